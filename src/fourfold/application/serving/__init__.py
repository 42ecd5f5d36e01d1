"""Serving: the front answers, engines compute, the supervisor keeps both as the ledger says. Messages cross, never objects."""
