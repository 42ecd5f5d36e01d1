"""Pieces of text with their places on a page → text in the order in which people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDE = 1.2  # a gap between columns, in heights of a line
MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Box:
    """A piece of text and where it stands; y grows upwards, as in PDF."""

    left: float
    bottom: float
    right: float
    top: float
    text: str


def in_reading_order(boxes: Sequence[Box]) -> str:
    """The text of a page: cut at white space, by turns across and down (the XY-cut of Nagy & Seth 1984), so that columns come
    one after the other, and what spans them stands where it is.
    """
    return "\n".join(line for block in _blocks(list(boxes), 0) for line in _lines(block)).strip()


def _blocks(boxes: list[Box], depth: int) -> list[list[Box]]:
    if len(boxes) < 2 or depth >= MAX_DEPTH:
        return [boxes] if boxes else []
    height = sorted(box.top - box.bottom for box in boxes)[len(boxes) // 2] or 1.0
    columns = _cut([(box.left, box.right) for box in boxes], WIDE * height)
    if columns and _are_columns(boxes, columns):
        sides = [[box for box in boxes if low <= (box.left + box.right) / 2 < high] for low, high in _ranges(columns)]
        return [block for side in sides for block in _blocks(side, depth + 1)]
    rows = _cut([(-box.top, -box.bottom) for box in boxes], 0.0)
    for at in rows:  # the first cut that leaves columns below or above it
        upper = [box for box in boxes if -(box.top + box.bottom) / 2 < at]
        lower = [box for box in boxes if -(box.top + box.bottom) / 2 >= at]
        if upper and lower and (_has_columns(lower, height) or _has_columns(upper, height)):
            return [*_blocks(upper, depth + 1), *_blocks(lower, depth + 1)]
    return [boxes]


def _has_columns(boxes: list[Box], height: float) -> bool:
    cuts = _cut([(box.left, box.right) for box in boxes], WIDE * height)
    return bool(cuts) and _are_columns(boxes, cuts)


def _are_columns(boxes: list[Box], cuts: list[float]) -> bool:
    """Columns of running text: each side has several lines, long ones. Else it is a table, to be read by rows."""
    for low, high in _ranges(cuts):
        side = [box for box in boxes if low <= (box.left + box.right) / 2 < high]
        lines = _lines(side)
        if len(lines) < 3 or sum(map(_width, lines)) / len(lines) < 16:
            return False
    return True


def _width(line: str) -> int:
    return sum(2 if character > "\u2e7f" else 1 for character in line)


def _ranges(cuts: list[float]) -> list[tuple[float, float]]:
    edges = [float("-inf"), *cuts, float("inf")]
    return list(pairwise(edges))


def _cut(spans: list[tuple[float, float]], least: float) -> list[float]:
    """The middles of the gaps of more than `least` that no span covers."""
    cuts, reach = [], None
    for start, end in sorted(spans):
        if reach is not None and start - reach > least:
            cuts.append((start + reach) / 2)
        reach = end if reach is None else max(reach, end)
    return cuts


def _lines(boxes: list[Box]) -> list[str]:
    """Boxes that overlap in height by more than half are one line, from left to right."""
    lines: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: (-(box.top + box.bottom) / 2, box.left)):
        middle = (box.top + box.bottom) / 2
        if lines and lines[-1][0].bottom <= middle <= lines[-1][0].top:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [_row(sorted(line, key=lambda box: box.left)) for line in lines]


def _row(line: list[Box]) -> str:
    text = line[0].text
    for before, box in pairwise(line):
        gap, height = box.left - before.right, box.top - box.bottom
        text += ("\t" if gap > 2 * height else " " if gap > 0.15 * height else "") + box.text
    return " ".join(text.split("\r\n")) if "\r\n" in text else text
