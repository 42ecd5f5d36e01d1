"""The key that the command line of a home uses on itself: made when first needed, kept in `cli.token` for the owner alone."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger

COMMAND_LINE = Actor("cli", "command line", "admin")  # whoever can write the home's files can do anything to it already
MADE_BY = "home"  # who made such a key; those that the command line makes for people are made by COMMAND_LINE


def token_path(home: Path) -> Path:
    """Where a home keeps the token of its own command line."""
    return home / "cli.token"


def own_token(ledger: Ledger) -> str:
    """The token of the home's own command line: an admin key. A new one is made where it is lost, revoked or expired, and
    those before it are closed.
    """
    descriptor = os.open(token_path(ledger.home), os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two commands at once: one makes the key, the other reads it
        token = file.read().strip()
        key = ledger.find_key(token) if token else None
        if key is not None and key.alive(time.time()):
            return token
        for old in ledger.keys():  # noqa: SIM118
            if old.created_by == MADE_BY and old.revoked_at is None:
                ledger.revoke_key(old.id, actor=MADE_BY)
        _, token = ledger.create_key(COMMAND_LINE.name, COMMAND_LINE.role, actor=MADE_BY)
        file.seek(0)
        file.truncate()
        file.write(token)
    return token


def first_key(home: Path) -> str | None:
    """The token of an admin key, made where nobody ever had a key to this home; else None. The own key is made, too."""
    ledger = Ledger.open(home)
    try:
        own_token(ledger)
        if any(key.created_by != MADE_BY for key in ledger.keys()):  # noqa: SIM118
            return None
        return ledger.create_key("first admin", "admin", actor=COMMAND_LINE.id)[1]
    finally:
        ledger.close()
