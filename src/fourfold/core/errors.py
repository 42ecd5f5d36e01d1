"""Expected trouble. Each error says what happened, to which thing, and what to do next."""

from __future__ import annotations

from difflib import get_close_matches
from typing import ClassVar


class FourfoldError(Exception):
    """Expected trouble with a stable `code`, an HTTP `status` and an `exit_code` of the command line.

    `hint` is the next step in one line: a command to type or a setting to change.
    """

    code: ClassVar[str] = "failed"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(FourfoldError):
    """Something that was given cannot be used as it is."""

    code, status, exit_code = "bad_input", 400, 1


class BadSpec(BadInput):
    """A setting is unknown, missing or of the wrong type; the message names its path."""

    code, status, exit_code = "bad_spec", 422, 2


class NotSignedIn(FourfoldError):
    """No key, or one that is not known, revoked or expired."""

    code, status, exit_code = "not_signed_in", 401, 3


class NotPermitted(FourfoldError):
    """The actor is known, and may not do this."""

    code, status, exit_code = "not_permitted", 403, 3


class NotFound(FourfoldError):
    """No such thing."""

    code, status, exit_code = "not_found", 404, 4


class Erased(FourfoldError):
    """It was here and was erased; the message names the receipt. Nothing brings it back."""

    code, status, exit_code = "erased", 410, 4


class Conflict(FourfoldError):
    """The thing changed meanwhile, exists already, or is in use."""

    code, status, exit_code = "conflict", 409, 5


class GateRefused(FourfoldError):
    """A version did not reach a stated bound; the message gives both figures."""

    code, status, exit_code = "gate_refused", 409, 5


class TooLarge(FourfoldError):
    """More than a stated limit; the message gives the limit and the setting that moves it."""

    code, status, exit_code = "too_large", 413, 1


class Busy(FourfoldError):
    """No room for more work now; come back after `retry_after_seconds`."""

    code, status, exit_code = "busy", 429, 6
    retry_after_seconds: float = 1.0


class TimedOut(FourfoldError):
    """Not done in the time that was allowed."""

    code, status, exit_code = "timed_out", 504, 6


class NotReady(FourfoldError):
    """What should answer is not running (yet)."""

    code, status, exit_code = "not_ready", 503, 1


class MissingExtra(FourfoldError):
    """A library of an extra is not installed; the message names the extra."""

    code, status, exit_code = "missing_extra", 501, 1


class SourceExpired(FourfoldError):
    """A source's token or secret is not accepted any more: somebody must renew it."""

    code, status, exit_code = "source_expired", 424, 3


class SourceBlocked(FourfoldError):
    """A source refuses to answer: a quota, a missing right, an address that is not on its list."""

    code, status, exit_code = "source_blocked", 424, 3


class Corrupt(FourfoldError):
    """Stored bytes are not what was stored."""

    code, status, exit_code = "corrupt", 500, 1


class StorageFull(FourfoldError):
    """The disk or store has no room; nothing was half-written."""

    code, status, exit_code = "storage_full", 507, 1


def did_you_mean(word: str, known: object) -> str:
    """` Did you mean 'x'?` for the closest of `known`, or an empty string."""
    close = get_close_matches(word, [str(k) for k in known], n=1, cutoff=0.5)  # type: ignore[attr-defined]
    return f" Did you mean {close[0]!r}?" if close else ""
