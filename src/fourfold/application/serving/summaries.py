"""What the request log and the reply keep of results: token counts, a confidence, labels and scores. No text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fourfold.compute.tasks import Embedded, Generated, Ranked, Scored, Suggested, Tagged

MAX_LABELS = 32  # of a result, the most frequent ones


class Summary(NamedTuple):
    """Of one result. `input_tokens` is None where the result does not tell; `confidence` where the task has none."""

    kept: dict[str, Any]
    confidence: float | None
    input_tokens: int | None
    output_tokens: int = 0


def _tagged(result: Tagged) -> Summary:
    tokens = result.tokens
    confidence = sum(token.score for token in tokens) / len(tokens) if tokens else None
    labels = dict(Counter(token.label for token in tokens).most_common(MAX_LABELS))
    return Summary({"labels": labels, "score": confidence}, confidence, len(tokens))


def _ranked(result: Ranked) -> Summary:
    top = result.ranking[0].score if result.ranking else None
    return Summary({"segments": len(result.ranking), "top": top}, top, None)


def _scored(result: Scored) -> Summary:
    kept = {
        "log10_probability": result.log10_probability,
        "perplexity": result.perplexity,
        "unknown_tokens": result.unknown_tokens,
    }
    tokens = len(result.tokens) - 1 if isinstance(result.tokens, list) else None  # </s> is no token of the input
    return Summary(kept, None, tokens)


def _suggested(result: Suggested) -> Summary:
    top = result.suggestions[0].score if result.suggestions else None
    return Summary({"suggestions": len(result.suggestions), "top": top}, top, None)


def _generated(result: Generated) -> Summary:
    return Summary({"tokens": result.tokens, "finish_reason": result.finish_reason}, None, None, result.tokens)


def _embedded(result: Embedded) -> Summary:
    return Summary({"dimensions": len(result.embedding)}, None, None)


SUMMARIES: dict[type, Callable[[Any], Summary]] = {
    Tagged: _tagged,
    Ranked: _ranked,
    Scored: _scored,
    Suggested: _suggested,
    Generated: _generated,
    Embedded: _embedded,
}


class Summaries(NamedTuple):
    """Of the results of one call."""

    kept: list[dict[str, Any]]
    confidence: float | None  # the lowest of its results
    input_tokens: int
    output_tokens: int


def summarise(inputs: Sequence[Any], results: Sequence[Any]) -> Summaries:
    """The summary of a call. Where results do not tell the tokens of their input, `count_tokens` counts them."""
    parts = [SUMMARIES[type(result)](result) for result in results]
    confidences = [p.confidence for p in parts if p.confidence is not None]
    counts = (count_tokens(one) if p.input_tokens is None else p.input_tokens for p, one in zip(parts, inputs, strict=True))
    return Summaries([p.kept for p in parts], min(confidences, default=None), sum(counts), sum(p.output_tokens for p in parts))


def count_tokens(one: Any) -> int:
    """Tokens of an input where its model does not say: words between spaces, each CJK character by itself."""
    texts = (one.text, getattr(one, "query", ""), *(item.text for item in getattr(one, "items", ())))
    return sum(_words(text) for text in texts)


def _words(text: str) -> int:
    if text.isascii():
        return len(text.split())
    characters = sum("\u3400" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff" for c in text)
    spaced = "".join(" " if "\u3400" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff" else c for c in text)
    return characters + len(spaced.split())
