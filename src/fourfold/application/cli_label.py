"""Commands of those who label: take, answer, release; and of those who judge what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened
from fourfold.core.errors import BadInput, BadSpec

Project = Annotated[str, Parameter(help="The annotation project.")]
Document = Annotated[str, Parameter(help="Id of the document.")]
OfLabel = Annotated[str | None, Parameter(help="Of a classification: the label.")]
OfSpan = Annotated[tuple[str, ...], Parameter(help="Of spans: START:END:LABEL; may be repeated.")]
OfPair = Annotated[Literal["a", "b", "tie"] | None, Parameter(help="Of a preference: the better one.")]
OfText = Annotated[str | None, Parameter(help="Of a text: what to write, or @FILE.")]
Value = Annotated[str | None, Parameter(help='The answer as JSON, such as \'{"label": "refund"}\'.')]
LONG = 60  # characters of a text in a table


def next_items(
    name: Project, /, *, limit: Annotated[int, Parameter(help="How many. Default: 1.")] = 1, common: Common = DEFAULT
) -> None:
    """The next documents for you; nobody else is given them meanwhile.

    Example: fourfold annotate next intents --limit 5
    """
    with opened(common) as client:
        handed = client.next_items(name, limit=limit)

    def text() -> None:
        from fourfold.application.cli_print import line, outline, when

        for one in handed.items:
            line(one.doc_id, f"yours until {when(one.until)}", style="bold")
            print(one.text)
            outline(one.columns)
            if one.suggestion is not None:
                sure = "" if one.confidence is None else f", {one.confidence:.2f} sure"
                line(f"{one.suggested_by}{sure}: {_json(one.suggestion)}", style="dim")
        line(f"{handed.left:,} documents are open." if handed.items else f"Nothing for you now; {handed.left:,} are open.")

    emit(common, handed, text)


def answer(
    name: Project,
    document: Document,
    /,
    *,
    label: OfLabel = None,
    span: OfSpan = (),
    prefer: OfPair = None,
    text: OfText = None,
    value: Value = None,
    pass_over: Annotated[str | None, Parameter(help="Give no answer, and say why.")] = None,
    comment: Annotated[str, Parameter(help="A remark beside the answer.")] = "",
    common: Common = DEFAULT,
) -> None:
    """Answer a document, or answer it anew; what was answered before is kept.

    Example: fourfold annotate answer intents doc_01k… --label refund
    """
    given = None if pass_over is not None else _value(label, span, prefer, text, value)
    with opened(common) as client:
        kept = client.label_item(name, document, given, comment=pass_over if pass_over is not None else comment)
    emit(common, kept, lambda: print(f"{kept.doc_id} revision {kept.revision}: {_json(kept.value)}"))


def release(
    name: Project,
    /,
    *documents: Annotated[str, Parameter(help="The documents. Default: all that you hold.")],
    common: Common = DEFAULT,
) -> None:
    """Let go of documents that you hold, so that others get them.

    Example: fourfold annotate release intents
    """
    with opened(common) as client:
        released = client.release_items(name, doc_ids=list(documents) or None)
    emit(common, released, lambda: print(f"{released.items} released"))


def labels(
    name: Project,
    /,
    *,
    document: Annotated[str | None, Parameter(help="Only of this document.")] = None,
    history: Annotated[bool, Parameter(help="Every revision, not only what counts.")] = False,
    common: Common = DEFAULT,
) -> None:
    """What was answered, by whom, when, by which guideline.

    Example: fourfold annotate labels intents --history
    """
    with opened(common) as client:
        found = client.labels(name, doc_id=document, history=history)

    def text() -> None:
        from fourfold.application.cli_print import short, table, when

        rows = [
            (a.doc_id, a.annotator, a.role, a.revision, short(_json(a.value), LONG), a.guideline, when(a.at), short(a.comment))
            for a in found
        ]
        head = ("document", "who", "as", "revision", "answer", "guideline", "when", "comment")
        table(head, rows, empty=f"No answer yet. Run: fourfold annotate next {name}")

    emit(common, found, text)


def agreement(name: Project, /, *, common: Common = DEFAULT) -> None:
    """How far annotators agree.

    Example: fourfold annotate agreement intents
    """
    with opened(common) as client:
        found = client.agreement(name)

    def text() -> None:
        from fourfold.application.cli_print import line, outline, plain, table

        line(f"{found.documents:,} documents answered by two or more; on {found.same:,} all said the same.")
        line(f"Krippendorff's alpha: {plain(found.alpha)}")
        outline({"alpha by label": found.by_label} if found.by_label else {})
        rows = [(p.a, p.b, p.units, p.observed, p.expected, p.kappa, p.span_f1) for p in found.pairs]
        table(("a", "b", "units", "observed", "by chance", "kappa", "span F1"), rows, empty="No two people answered the same.")

    emit(common, found, text)


def disagreements(
    name: Project, /, *, limit: Annotated[int, Parameter(help="How many. Default: 50.")] = 50, common: Common = DEFAULT
) -> None:
    """Documents on which people differ, for an adjudicator to decide.

    Example: fourfold annotate disagreements intents
    """
    with opened(common) as client:
        found = client.disagreements(name, limit=limit)

    def text() -> None:
        from fourfold.application.cli_print import line, table

        for one in found:
            line(one.doc_id, one.why, style="bold")
            print(one.text)
            table(("", "", ""), [(a.annotator, _json(a.value), a.comment) for a in one.answers], indent=2)
        line(f"{len(found):,} to decide." if found else "Nothing to decide.")

    emit(common, found, text)


def adjudicate(
    name: Project,
    document: Document,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the record.")],
    label: OfLabel = None,
    span: OfSpan = (),
    prefer: OfPair = None,
    text: OfText = None,
    value: Value = None,
    leave_out: Annotated[bool, Parameter(help="Leave the document out of every result.")] = False,
    common: Common = DEFAULT,
) -> None:
    """Decide a document over what was answered.

    Example: fourfold annotate adjudicate intents doc_01k… --label refund --reason 'guideline 2, rule 3'
    """
    given = None if leave_out else _value(label, span, prefer, text, value)
    with opened(common) as client:
        kept = client.adjudicate(name, document, given, reason)
    emit(common, kept, lambda: print(f"{kept.doc_id}: {'left out' if kept.value is None else _json(kept.value)}"))


def _value(label: str | None, span: Sequence[str], prefer: str | None, text: str | None, value: str | None) -> dict[str, Any]:
    """The answer that was typed. Raises BadSpec unless it is exactly one."""
    given: list[dict[str, Any]] = []
    if label is not None:
        given.append({"label": label})
    if span:
        given.append({"spans": [_span(one) for one in span]})
    if prefer is not None:
        given.append({"preferred": prefer})
    if text is not None:
        given.append({"text": text_of(text)})
    if value is not None:
        try:
            given.append(msgspec.json.decode(value, type=dict[str, Any]))
        except msgspec.DecodeError as error:
            raise BadSpec(f"--value is no JSON object: {error}.", hint="For example: --value '{\"spans\": []}'") from error
    if len(given) != 1:
        raise BadSpec(f"{len(given)} answers are given.", hint="Give one of --label, --span, --prefer, --text, --value.")
    return given[0]


def _span(text: str) -> dict[str, Any]:
    start, _, rest = text.partition(":")
    end, _, label = rest.partition(":")
    if not (start.isdecimal() and end.isdecimal() and label):
        raise BadSpec(f"{text!r} is no span.", hint="Write it as START:END:LABEL, such as 0:2:PERSON.")
    return {"start": int(start), "end": int(end), "label": label}


def text_of(text: str) -> str:
    """The text, or what is in the file that it names with @."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{text[1:]} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{text[1:]} is not UTF-8.", hint="Save it as UTF-8.") from error


def _json(value: Any) -> str:
    return "passed over" if value is None else msgspec.json.encode(value).decode()
