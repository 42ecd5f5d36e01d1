"""What people and programs touch: the platform, serving, HTTP, the command line, the SDK."""
