"""The plots of a report, as SVG: equal figures give equal bytes, and text stays text, so that readers' own fonts show Chinese.

matplotlib is imported when the first plot is drawn: it costs half a second.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fourfold.compute.bootstrap import Interval
    from fourfold.compute.metrics.calibration import ReliabilityBin

INK, MUTED, GRID, PAPER = "#1d2733", "#5b6876", "#e3e8ed", "#ffffff"
BLUE, PALE_BLUE, ORANGE = "#2364aa", "#a9c8e8", "#c2570c"
SHADES = ("#ffffff", "#dbe9f6", "#8fbde0", "#3d83c0", "#12406f")
MEASURED_FONT = "DejaVu Sans"  # comes with matplotlib, so that layout is the same on every machine
FONTS = (
    "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Source Han Sans SC', "
    "'DejaVu Sans', sans-serif"
)
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "fourfold", "text.parse_math": False, "font.family": [MEASURED_FONT],
    "font.size": 9.5, "text.color": INK, "axes.labelcolor": MUTED, "axes.labelsize": 9.5, "axes.edgecolor": GRID,
    "axes.linewidth": 1.0, "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": PAPER,
    "axes.axisbelow": True, "axes.unicode_minus": False, "figure.facecolor": PAPER, "grid.color": GRID, "grid.linewidth": 0.8,
    "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.labelsize": 9,
    "ytick.labelsize": 9, "xtick.major.size": 3, "ytick.major.size": 0, "ytick.major.pad": 6, "legend.frameon": False,
}  # fmt: skip
TOP, BOTTOM, RIGHT = 0.94, 0.62, 0.3  # inches around the axes; the title stands in TOP
LABELS_OF_CONFUSION, ROWS_OF_BARS, LABEL_LETTERS = 24, 40, 26


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a plot of intervals: its name, its figure, and how many positions or documents it rests on."""

    name: str
    interval: Interval
    count: int


def confusion_matrix(path: Path, labels: Sequence[str], counts: NDArray[np.int64], unit: str) -> None:
    """Gold labels in rows, predicted ones in columns, cells in per cent of the row; rare labels share a row, `other`."""
    labels, counts = fold_rare(labels, counts)
    size, margin = 0.38 * max(1, len(labels)), margin_for(labels)
    gold = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, gold, out=np.zeros(counts.shape), where=gold > 0)

    def draw(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap, PowerNorm

        shades = LinearSegmentedColormap.from_list("share", SHADES)
        axes.pcolormesh(share, cmap=shades, norm=PowerNorm(0.5, 0, 1), edgecolors=GRID, linewidth=0.8)  # 1 % is seen, too
        for row, column in np.argwhere(counts > 0).tolist():
            here = float(share[row, column])
            colour = PAPER if here > 0.55 else INK if here >= 0.005 else MUTED
            axes.text(column + 0.5, row + 0.5, per_cent(here), color=colour, ha="center", va="center", fontsize=8)
        for row, number in enumerate(gold[:, 0]):
            axes.text(len(labels) + 0.2, row + 0.5, f"{number:,}", color=MUTED, va="center", fontsize=8)
        axes.set_xticks(
            np.arange(len(labels)) + 0.5, labels=labels, rotation=90, rotation_mode="anchor", ha="right", va="center"
        )
        axes.set_yticks(np.arange(len(labels)) + 0.5, labels=labels)
        axes.tick_params(length=0)
        axes.set_ylim(max(1, len(labels)), 0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted label")
        axes.set_ylabel("gold label")
        axes.xaxis.set_label_coords(0.5, -(margin + 0.08) / size)
        axes.yaxis.set_label_coords(-(margin + 0.02) / size, 0.5)

    note = f"share of each gold label's {unit}, in per cent · right: {unit} per gold label"
    _save(path, "Confusion matrix", note, draw, (size, size), left=margin + 0.3, bottom=margin + 0.4, right=0.75)


def differences(path: Path, title: str, rows: Sequence[Row], axis: str, note: str) -> None:
    """`intervals` of what may be negative: dots around a line at 0, with signs."""
    intervals(path, title, rows, axis, f"{note} · right: difference and documents", bars=False, signed=True)


def intervals(path: Path, title: str, rows: Sequence[Row], axis: str, note: str, *, bars: bool, signed: bool = False) -> None:
    """One line per row: a bar from 0 or a dot, the interval as a whisker, the figure and the count as text."""
    kept = [row for row in rows if row.interval.value is not None][:ROWS_OF_BARS]
    if len(kept) < len(rows):
        note += f" · {len(rows) - len(kept)} more in report.json"
    names = [shorten(row.name) for row in kept]
    values = np.array([row.interval.value for row in kept], np.float64)
    low, high = (
        np.array([v if (v := getattr(r.interval, end)) is not None else r.interval.value for r in kept], np.float64)
        for end in ("low", "high")
    )

    def draw(axes: Axes) -> None:
        y = np.arange(len(kept))
        if bars:
            axes.barh(y, values, height=0.62, color=PALE_BLUE)
            axes.set_xlim(0, 1)
        else:
            axes.plot(values, y, "o", color=BLUE, markersize=5.5)
            axes.margins(x=0.06)
        if signed:
            axes.axvline(0, color=MUTED, linewidth=1)
        axes.hlines(y, low, high, color=BLUE, linewidth=1.8)
        axes.set_yticks(y, labels=names)
        axes.set_ylim(len(kept) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis)
        for index, row in enumerate(kept):
            sign = "+" if signed else ""
            text = format(values[index], f"{sign}.3f" if abs(values[index]) < 10 else f"{sign},.1f")
            at = {"transform": axes.get_yaxis_transform(), "va": "center", "ha": "right", "fontsize": 9}
            axes.text(1.125, index, text, **at)
            axes.text(1.27, index, f"{row.count:,}", color=MUTED, **at)

    _save(path, title, note, draw, (4.6, max(1, 0.27 * len(kept))), left=margin_for(names), right=1.4)


def reliability_diagram(path: Path, bins: Sequence[ReliabilityBin], note: str) -> None:
    """Accuracy against confidence: a dot per bin, larger for more positions, beside the diagonal of perfect calibration.

    Below, the share of positions that each bin holds.
    """
    total, width = max(1, sum(b.count for b in bins)), 1 / max(1, len(bins))
    full = [(b.confidence, b.accuracy, b.count / total) for b in bins if b.confidence is not None and b.accuracy is not None]
    confidence, accuracy, share = np.array(full, np.float64).reshape(-1, 3).T

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1.2)
        axes.vlines(confidence, np.minimum(confidence, accuracy), np.maximum(confidence, accuracy), color=ORANGE, linewidth=2.5)
        axes.plot(confidence, accuracy, "-", color=PALE_BLUE, linewidth=1.4, zorder=1)
        axes.scatter(confidence, accuracy, s=12 + 90 * np.sqrt(share), color=BLUE, clip_on=False, zorder=3)
        axes.text(0.97, 0.05, "gap to perfect calibration", color=ORANGE, fontsize=9, ha="right")
        axes.set(xlim=(0, 1), ylim=(0, 1.015), ylabel="accuracy (share right)")
        axes.tick_params(labelbottom=False)
        axes.grid()
        counts = axes.inset_axes((0, -0.36, 1, 0.28), sharex=axes)
        counts.bar(
            [b.low for b in bins], [100 * b.count / total for b in bins], width, align="edge", color=PALE_BLUE, edgecolor=PAPER
        )
        counts.set(xlabel="confidence (probability of the predicted label)", ylabel="share (%)")
        counts.grid(axis="y")

    _save(path, "Reliability", note, draw, (4.4, 3.6), left=0.75, bottom=1.95)


def perplexity_histogram(path: Path, perplexities: NDArray[np.float64], corpus: float, note: str) -> None:
    """How many texts have which perplexity (logarithmic), and where the whole corpus stands."""
    low, high = (float(v) for v in np.quantile(perplexities, (0.0, 1.0)))
    edges = np.geomspace(max(low, 1.0) / 1.02, max(high, 1.0) * 1.02, 41)
    decades = np.log10(edges[-1] / edges[0])
    steps = (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 5 else (1,)

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

        axes.hist(perplexities, bins=edges.tolist(), color=PALE_BLUE, edgecolor=PAPER, linewidth=0.6)
        axes.axvline(corpus, color=ORANGE, linewidth=1.8)
        axes.annotate(
            f"all texts {corpus:,.1f}", (corpus, 1), xycoords=("data", "axes fraction"), xytext=(0, 5),
            textcoords="offset points", color=ORANGE, fontsize=9, ha="center",
        )  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))  # there are no half texts
        axes.set(xlabel="perplexity per token (logarithmic)", ylabel="texts")
        axes.grid(axis="y")

    _save(path, "Perplexity of texts", note, draw, (5.6, 2.9), left=0.75)


def fold_rare(labels: Sequence[str], counts: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Labels that occur, most frequent gold ones first, in short; beyond LABELS_OF_CONFUSION the rest become `other`."""
    occurs = counts.sum(axis=0) + counts.sum(axis=1)
    order = np.lexsort((np.arange(len(labels)), -counts.sum(axis=1)))
    order = order[occurs[order] > 0]
    names = [shorten(str(labels[i])) for i in order.tolist()]
    counts = counts[np.ix_(order, order)]
    kept = LABELS_OF_CONFUSION - 1
    if len(names) <= LABELS_OF_CONFUSION:
        return names, counts
    for axis in (0, 1):
        head, tail = np.split(counts, [kept], axis=axis)
        counts = np.concatenate([head, tail.sum(axis=axis, keepdims=True)], axis=axis)
    return [*names[:kept], f"other ({len(names) - kept})"], counts


def per_cent(share: float) -> str:
    """Whole per cents; `·` for what rounds to none."""
    return f"{100 * share:.0f}" if share >= 0.005 else "·"


def shorten(name: str) -> str:
    """A label that fits beside an axis, without characters that XML cannot hold."""
    name = "".join(c if c.isprintable() else "�" for c in name)
    return name if len(name) <= LABEL_LETTERS else f"{name[: LABEL_LETTERS - 1]}…"


def margin_for(names: Sequence[str]) -> float:
    """Inches that tick labels need."""
    return 0.24 + 9 / 72 * max((sum(map(ems, name)) for name in names), default=0.0)


def ems(character: str) -> float:
    """A wide estimate of a character's width in the fonts of FONTS."""
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    return 0.74 if character.isupper() else 0.62


def _save(
    path: Path,
    title: str,
    note: str,
    draw: Callable[[Axes], None],
    size: tuple[float, float],
    *,
    left: float,
    bottom: float = BOTTOM,
    right: float = RIGHT,
) -> None:
    """Draw on axes of `size` inches with the given margins, write SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    width, height = left + size[0] + right, TOP + size[1] + bottom
    letters = max(len(note) * 0.074, len(title) * 0.11) + 0.4  # the head must fit, too
    width = max(width, letters)
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # readers' fonts have it: text stays text
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((left / width, bottom / height, size[0] / width, size[1] / height))
        draw(axes)
        figure.text(0.16 / width, 1 - 0.32 / height, title, fontsize=13, fontweight="bold", va="center")
        figure.text(0.16 / width, 1 - 0.57 / height, note, fontsize=9, color=MUTED, va="center")
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "Fourfold", "Title": title})
    svg = path.read_text(encoding="utf-8").replace(f" font-family: '{MEASURED_FONT}';", "")
    path.write_text(svg.replace("<svg ", f'<svg font-family="{FONTS}" ', 1), encoding="utf-8")
