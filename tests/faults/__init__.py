"""Faults as fixtures: a proxy that breaks connections, PostgreSQL in a pair, S3 on three nodes; each node can be killed."""
