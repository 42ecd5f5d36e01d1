"""Ids that sort by the time they were made."""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


PAIRS = [first + second for first in ALPHABET for second in ALPHABET]  # two digits at a time: every request has an id


def base32(number: int, width: int) -> str:
    """`number` in Crockford base 32, most significant digit first, left-padded to `width` digits, which is even."""
    return "".join([PAIRS[number >> shift & 1023] for shift in range(5 * width - 10, -10, -10)])


def from_base32(digits: str) -> int:
    """The number that `base32` wrote. Raises ValueError on another character."""
    number = 0
    for digit in digits:
        number = number << 5 | ALPHABET.index(digit)
    return number


def new_id(prefix: str, *, now: float | None = None) -> str:
    """`prefix_` + 10 digits of Unix milliseconds + 10 random digits (50 bits): ids sort by time of making."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    return f"{prefix}_{base32(milliseconds, 10)}{base32(secrets.randbits(50), 10)}"
