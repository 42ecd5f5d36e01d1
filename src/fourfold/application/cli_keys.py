"""Commands on API keys: list, create, revoke."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from cyclopts import App, Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, note, opened
from fourfold.core.errors import BadSpec

DAY = 86_400.0  # seconds
RoleName = Literal["reader", "annotator", "developer", "operator", "approver", "admin"]

keys = App(name="keys", help_format="plaintext")


@keys.command(name="list")
@keys.default
def all_keys(*, common: Common = DEFAULT) -> None:
    """List API keys.

    Example: fourfold keys
    """
    with opened(common) as client:
        found = client.keys()

    def text() -> None:
        from fourfold.application.cli_print import table, when

        rows = [(k.id, k.name, k.role, _state(k.expires_at, k.revoked_at), when(k.created_at), k.created_by) for k in found]
        head = ("key", "name", "role", "state", "made", "by")
        table(head, rows, empty="No key yet. Run: fourfold keys create NAME --role reader")

    emit(common, found, text)


@keys.command
def create(
    name: Annotated[str, Parameter(help="Whose key it is.")],
    /,
    *,
    role: Annotated[RoleName, Parameter(help="What it may do.")],
    days: Annotated[float | None, Parameter(help="Days until it expires. Default: never.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Make an API key; its token is shown this once.

    Example: fourfold keys create shop-backend --role reader
    """
    if days is not None and not 0 < days <= 36_500:
        raise BadSpec(f"--days is {days:g}; give more than 0 and at most 36500.", hint="Leave it out for a key without an end.")
    with opened(common) as client:
        made = client.create_key(name, role, expires_at=None if days is None else time.time() + days * DAY)

    def text() -> None:
        print(made.token)
        note(f"{made.key.id} of {made.key.name}, {made.key.role}. The token is shown this once; only its hash is kept.")

    emit(common, made, text)


@keys.command
def revoke(key: Annotated[str, Parameter(help="Id of the key: key_…")], /, *, common: Common = DEFAULT) -> None:
    """Close an API key for good; it is refused within two seconds.

    Example: fourfold keys revoke key_01k…
    """
    with opened(common) as client:
        closed = client.revoke_key(key)

    def text() -> None:
        from fourfold.application.cli_print import line, when

        line(closed.id, closed.name, f"revoked {when(closed.revoked_at)}")

    emit(common, closed, text)


def _state(expires_at: float | None, revoked_at: float | None) -> str:
    from fourfold.application.cli_print import when

    if revoked_at is not None:
        return "revoked"
    if expires_at is None:
        return "alive"
    return f"{'alive' if expires_at > time.time() else 'expired'}, ends {when(expires_at)}"
