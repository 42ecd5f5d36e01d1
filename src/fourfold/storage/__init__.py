"""The ledger and the files it vouches for: the only room that knows databases and disks."""
