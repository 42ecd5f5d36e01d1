"""Connections: whether the accounts and addresses that sources ask still answer, and until when. Kept in the home.

A state never holds a secret: an account is named by what its platform shows to anybody (an app id, a user id, an address).
"""

from __future__ import annotations

import datetime
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from fourfold.core.errors import BadSpec, FourfoldError, NotFound, SourceBlocked, SourceExpired
from fourfold.core.fingerprint import digest_bytes

log = logging.getLogger(__name__)

State = Literal["ok", "expiring", "expired", "blocked"]
DAY = 86_400.0
MAX_DETAIL = 300  # characters of what a platform said


class Connection(msgspec.Struct, frozen=True):
    """What is known of an account. Times are Unix seconds; `expires_at` is None where nothing says when it ends.

    `code` and `detail` are what the platform said when it refused, `next` is what to do about it.
    """

    source: str
    account: str
    state: State
    checked_at: float
    since: float
    expires_at: float | None = None
    warn_seconds: float = 7 * DAY
    code: str = ""
    detail: str = ""
    next: str = ""


def connections_folder(home: Path) -> Path:
    """Where a home keeps them."""
    return home / "sources" / "connections"


def known(folder: Path, now: float | None = None) -> list[Connection]:
    """Every connection as it stands now, by source and account. What cannot be read is passed over."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(as_of(msgspec.json.decode(path.read_bytes(), type=Connection), time.time() if now is None else now))
        except (OSError, msgspec.DecodeError):
            continue
    return sorted(found, key=lambda connection: (connection.source, connection.account))


def as_of(connection: Connection, now: float) -> Connection:
    """The connection with the state that time alone has brought it to."""
    if connection.state not in ("ok", "expiring") or connection.expires_at is None:
        return connection
    left = connection.expires_at - now
    state: State = "expired" if left <= 0 else "expiring" if left <= connection.warn_seconds else "ok"
    return msgspec.structs.replace(connection, state=state)


def note(folder: Path | None, connection: Connection) -> Connection:
    """Keep what a visit found, and say in the log what needs somebody. The state as it stands now."""
    connection = as_of(connection, connection.checked_at)
    connection = msgspec.structs.replace(connection, detail=connection.detail[:MAX_DETAIL])
    if folder is not None:
        path = folder / f"{connection.source}-{digest_bytes(connection.account.encode())[:20]}.json"
        before = _read(path)
        if before is not None and before.state == connection.state:
            connection = msgspec.structs.replace(connection, since=before.since)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(connection))
        partial.replace(path)
    _say(connection)
    return connection


def refused(connection: Connection, message: str) -> FourfoldError:
    """The error for a connection that is expired or blocked."""
    kind = SourceExpired if connection.state == "expired" else SourceBlocked
    return kind(message, hint=connection.next)


def what_to_do(code: str) -> str:
    """The next step after an address did not answer as it should."""
    known = {
        "egress_refused": "If this address is meant, name it in allow.",
        "disallowed": "The site's robots.txt asks not to be read: ask its owner.",
        "not_feed": "Look at the address in a browser: it may want a sign-in, which this source does not do.",
    }
    return known.get(code, "Check the address, or try again later.") if code else ""


def when(seconds: float) -> str:
    """A moment as people read it, in UTC."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def told(connection: Connection) -> str:
    """What there is to say of a connection in one line."""
    if connection.state in ("expired", "blocked") and connection.detail:
        return f"{connection.code} {connection.detail}".strip().rstrip(".")
    if connection.expires_at is None:
        return ""
    return f"{'expired' if connection.state == 'expired' else 'expires'} {when(connection.expires_at)}"


def end_of(day: str, name: str) -> float | None:
    """The end of a day such as 2026-06-30 in UTC, in Unix seconds; None for "". Raises BadSpec for what is none."""
    if not day:
        return None
    try:
        begin = datetime.datetime.combine(datetime.date.fromisoformat(day), datetime.time(), datetime.UTC)
    except ValueError as error:
        raise BadSpec(f"{name}: {day!r} is no day.", hint="For example: 2026-06-30") from error
    return begin.timestamp() + DAY - 60  # its last minute: it is shown as that day


def alarm(folder: Path, told: dict[str, State], now: float | None = None) -> None:
    """Say in the log which connections are about to end, or have ended, unless `told` knows it already."""
    for connection in known(folder, now):
        key = f"{connection.source} {connection.account}"
        if told.get(key) != connection.state:
            _say(connection)
        told[key] = connection.state


def secret(env: str, file: str, *, names: tuple[str, str], environment: Mapping[str, str] = os.environ) -> str:
    """A secret from the environment variable or the file that a source names; never from its settings themselves.

    Raises BadSpec if neither is named, or both are; NotFound if there is nothing.
    """
    if bool(env) == bool(file):
        raise BadSpec(
            f"Set either {names[0]} or {names[1]}.", hint=f"For example {names[0]}: MY_SECRET, then: export MY_SECRET=…"
        )
    if env:
        value = environment.get(env, "").strip()
        if not value:
            raise NotFound(f"The environment has no {env}.", hint=f"Run: export {env}=…")
        return value
    try:
        value = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{names[1]}: {file} cannot be read.", hint="Check the path, and who may read it.") from error
    if not value:
        raise NotFound(f"{names[1]}: {file} is empty.", hint="Write the secret into it, and nothing else.")
    return value


def _read(path: Path) -> Connection | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Connection)
    except (OSError, msgspec.DecodeError):
        return None


def _say(connection: Connection) -> None:
    name = f"source {connection.source} ({connection.account})"
    match connection.state:
        case "expiring":
            assert connection.expires_at is not None
            log.warning("%s expires %s. %s", name, when(connection.expires_at), connection.next)
        case "expired" | "blocked":
            log.error("%s is %s: %s. %s", name, connection.state, told(connection), connection.next)
