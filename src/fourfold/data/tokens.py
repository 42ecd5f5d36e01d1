"""Tokens and the text that they stand in, kept in step."""

from __future__ import annotations

from collections.abc import Sequence


def gaps(text: str, tokens: Sequence[str]) -> list[str] | None:
    """What stands before, between and after the tokens (one string more than tokens): white space or nothing.

    None if the tokens do not make up the text, as where a multiword token of CoNLL-U stands for several words.
    """
    found: list[str] = []
    at = 0
    for token in tokens:
        start = text.find(token, at)
        if start < 0 or text[at:start].strip():
            return None
        found.append(text[at:start])
        at = start + len(token)
    found.append(text[at:])
    return None if found[-1].strip() else found


def join(spaces: Sequence[str], tokens: Sequence[str]) -> str:
    """The text of tokens and the gaps around them."""
    return "".join(part for pair in zip(spaces, [*tokens, ""]) for part in pair)
