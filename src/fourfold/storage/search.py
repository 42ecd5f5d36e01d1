"""Conditions as people type them → conditions of SQL: `f1 > 0.9 and family = 'crf'`. Values are always bound parameters.

    condition  = both ("or" both)*        both = one ("and" one)*
    one        = "not" one | "(" condition ")" | name [test]          a name alone: it has such a tag or figure
    test       = ("=" | "!=" | "<" | "<=" | ">" | ">=") value | ["not"] "in" "(" value ("," value)* ")"
               | ["not"] ("like" | "contains") text
    value      = number | 'text' | "text" | true | false

A name is a column, then a tag or a fact (figures and what meta says). `tag.x` and `meta.x` say which.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import sqlalchemy as sa

from fourfold.core.errors import BadSpec, did_you_mean
from fourfold.storage import schema, words

LONGEST, DEEPEST = 4000, 50
MOST_WORDS = 20  # of a text that is searched for
FEW = 2000  # things that a comparison finds and that are worth listing
TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))|(?P<name>[^\W\d][\w.\-]*|`[^`]+`)"
    r"|(?P<text>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,))"
)
COMPARE: dict[str, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
WORDS = {"and", "or", "not", "in", "like", "contains", "true", "false"}

Value = float | str | bool
Test = Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Things:
    """What is searched: the table, its columns by the names that people use, and where tags are."""

    table: sa.Table
    columns: dict[str, sa.Column[Any]]
    noun: str
    tagged: bool = False


_v, _r = schema.version.c, schema.run.c
VERSIONS = Things(
    schema.version,
    {
        "id": _v.id, "name": _v.name, "number": _v.number, "kind": _v.kind, "digest": _v.digest, "run": _v.run_id,
        "size_bytes": _v.size_bytes, "created_at": _v.created_at, "verb": _r.verb, "actor": _r.actor,
        "alias": schema.alias.c.alias,
    },
    "version",
    tagged=True,
)  # fmt: skip
RUNS = Things(
    schema.run,
    {
        "id": _r.id, "name": _r.name, "verb": _r.verb, "state": _r.state, "actor": _r.actor, "recipe": _r.recipe,
        "error": _r.error, "started_at": _r.started_at, "finished_at": _r.finished_at,
    },
    "run",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the condition and where it begins, from 1."""

    kind: str
    text: str
    at: int


def condition(connection: sa.Connection, things: Things, text: str) -> sa.ColumnElement[bool]:
    """The condition that `text` states. Raises BadSpec with the position of what is wrong, and the closest known name."""
    if len(text) > LONGEST:
        raise BadSpec(f"The condition has {len(text):,} characters, more than {LONGEST:,}.")
    parser = _Parser(connection, things, text, _tokens(text))
    found = parser.condition(0)
    if parser.next.kind != "end":
        parser.fail(f"{parser.next.text!r} is one too many", "Join conditions by and / or.")
    return found


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            start = len(text) - len(text[at:].lstrip())
            what = "this text does not end" if text[start] in "'\"`" else f"{text[start]!r} has no meaning here"
            raise BadSpec(f"At position {start + 1} of {text!r}: {what}.", hint="Such as: f1 > 0.9 and family = 'crf'")
        tokens.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        at = match.end()
    return [*tokens, Token("end", "", len(text) + 1)]


@dataclass(slots=True)
class _Parser:
    connection: sa.Connection
    things: Things
    text: str
    tokens: Sequence[Token]
    position: int = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.next
        self.position += token.kind != "end"
        return token

    def word(self, *words: str) -> str:
        """The next word, taken, if it is one of these."""
        token = self.next
        if (token.kind == "name" and token.text.lower() in words) or (token.kind == "sign" and token.text in words):
            self.position += 1
            return token.text.lower()
        return ""

    def fail(self, what: str, hint: str = "", at: Token | None = None) -> NoReturn:
        raise BadSpec(
            f"At position {(at or self.next).at} of {self.text!r}: {what}{'' if what.endswith('?') else '.'}", hint=hint
        )

    def condition(self, depth: int) -> sa.ColumnElement[bool]:
        if depth > DEEPEST:
            self.fail(f"more than {DEEPEST} parentheses or nots inside each other")
        found = [self.both(depth)]
        while self.word("or"):
            found.append(self.both(depth))
        return sa.or_(*found)

    def both(self, depth: int) -> sa.ColumnElement[bool]:
        found = [self.one(depth)]
        while self.word("and"):
            found.append(self.one(depth))
        return sa.and_(*found)

    def one(self, depth: int) -> sa.ColumnElement[bool]:
        if self.word("not"):
            if depth > DEEPEST:
                self.fail(f"more than {DEEPEST} parentheses or nots inside each other")
            return sa.not_(self.one(depth + 1))
        if self.word("("):
            found = self.condition(depth + 1)
            if not self.word(")"):
                self.fail("a ) is missing")
            return found
        name = self.take()
        if name.kind != "name" or name.text.lower() in WORDS:
            self.fail("a name is expected here", "Such as: f1 > 0.9 and family = 'crf'", name)
        return self.test(name)

    def test(self, name: Token) -> sa.ColumnElement[bool]:
        sign = self.next
        if sign.kind == "sign" and sign.text in COMPARE:
            self.take()
            compare, value = COMPARE[sign.text], self.value()
            return self.resolve(name, value, lambda column: compare(column, value))
        turned = bool(self.word("not"))
        if self.word("in"):
            values = self.values()
            found = self.resolve(name, values[0], lambda column: column.in_(values))
        elif name.text == "text" and self.word("contains"):
            found = self._text(name)
        elif word := self.word("like", "contains"):
            text = self.value()
            if not isinstance(text, str):
                self.fail(f"{word} takes a text", "Such as: name contains 'crf'", self.tokens[self.position - 1])
            pattern = text if word == "like" else f"%{_escaped(text)}%"
            found = self.resolve(name, text, lambda column: column.ilike(pattern, escape="\\"))
        elif turned:
            self.fail("in, like or contains is expected here")
        else:
            return self.resolve(name, None, lambda column: sa.true())
        return sa.not_(found) if turned else found

    def _text(self, name: Token) -> sa.ColumnElement[bool]:
        """Things that have every word of a text somewhere: in names, settings, what meta says, errors."""
        text = self.value()
        found = list(dict.fromkeys(words.cut(text))) if isinstance(text, str) else []
        if not found:
            self.fail("contains takes a text with words", "Such as: text contains 'lamp tickets'", name)
        return sa.and_(*(self._among(words.having(word), schema.word.c.thing) for word in found[:MOST_WORDS]))

    def values(self) -> list[Value]:
        if not self.word("("):
            self.fail("a ( is expected after in", "Such as: family in ('crf', 'ngram')")
        first = self.next
        values = [self.value()]
        while self.word(","):
            values.append(self.value())
        if not self.word(")"):
            self.fail("a ) is missing")
        if len({isinstance(value, str) for value in values}) > 1:
            self.fail("numbers and texts in one list", "Write two conditions, joined by or.", first)
        return values

    def value(self) -> Value:
        token = self.take()
        if token.kind == "number":
            return float(token.text)
        if token.kind == "text":
            quote = token.text[0]
            text = token.text[1:-1].replace(quote * 2, quote)
            if "\0" in text:
                self.fail("a text cannot hold a zero character", at=token)
            return text
        if token.text.lower() not in ("true", "false"):
            self.fail("a value is expected here", "Texts stand in quotes: family = 'crf'", token)
        return token.text.lower()

    # What a name stands for

    def resolve(self, token: Token, value: Value | None, test: Test) -> sa.ColumnElement[bool]:
        name = token.text.strip("`")
        column = self.things.columns.get(name)
        if column is not None:
            return self._column(token, column, value, test)
        kind, dot, rest = name.partition(".")
        only = kind if dot and kind in ("tag", "meta", "metric") else ""
        name = rest if only else name
        places = [
            place
            for wanted, place in (("tag", self._tagged), ("meta", self._facts))
            if only in ("", wanted) or (only == "metric" and wanted == "meta")
        ]
        found = [where for place in places if (where := place(name, value, test)) is not None]
        if not found:
            near = did_you_mean(name, self._known())
            self.fail(f"no {self.things.noun} has a {name!r}.{near}".rstrip("."), "" if near else self._names(), token)
        return sa.or_(*found)

    def _column(self, token: Token, column: sa.Column[Any], value: Value | None, test: Test) -> sa.ColumnElement[bool]:
        number = isinstance(column.type, sa.Float | sa.Integer)
        if value is not None and number and isinstance(value, str):
            if not token.text.endswith("_at"):
                self.fail(f"{token.text} is a number, and {value!r} is a text", at=token)
            return self._at(token, column, value, test)
        if value is not None and not number and not isinstance(value, str):
            self.fail(f"{token.text} is a text: its value stands in quotes", at=token)
        where = test(column) if value is not None else column.is_not(None)
        own = self.things.table.c
        if column.table is schema.alias:
            return own.id.in_(sa.select(schema.alias.c.version_id).where(where))
        return where if column.table is self.things.table else own.run_id.in_(sa.select(_r.id).where(where))

    def _at(self, token: Token, column: sa.Column[Any], value: str, test: Test) -> sa.ColumnElement[bool]:
        """A day or moment: `created_at >= '2026-11-01'`, in UTC unless it says otherwise."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date", f"Such as: {token.text} >= '2026-11-01' or '2026-11-01T12:30'", token)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        compared = test(column)
        if not isinstance(compared, sa.BinaryExpression) or compared.operator not in COMPARE.values():
            self.fail(f"{token.text} is compared by = != < <= > >=", at=token)
        return compared.operator(column, seconds)

    def _facts(self, name: str, value: Value | None, test: Test) -> sa.ColumnElement[bool] | None:
        f = schema.fact.c
        if not self._any(sa.select(f.thing).where(f.name == name, f.thing.startswith(self._prefix))):
            return None
        where = test(f.text if isinstance(value, str) else f.number)
        return self._among(sa.select(f.thing).where(f.name == name, where), f.thing)

    def _tagged(self, name: str, value: Value | None, test: Test) -> sa.ColumnElement[bool] | None:
        t = schema.tag.c
        if not self.things.tagged or not self._any(sa.select(t.tag).where(t.tag == name)):
            return None
        if isinstance(value, float):
            return sa.false()  # tags are texts
        return self._among(sa.select(t.version_id).where(t.tag == name, test(t.value)), t.version_id)

    def _among(self, found: sa.Select[Any], column: sa.Column[Any]) -> sa.ColumnElement[bool]:
        """Few are listed; where there are many, each thing is asked instead, since a page of them is soon full."""
        own = self.things.table.c.id
        some = sa.select(sa.func.count()).select_from(found.limit(FEW).subquery())
        few = self.connection.execute(some).scalar_one() < FEW
        return own.in_(found) if few else found.where(column == own).correlate(self.things.table).exists()

    @property
    def _prefix(self) -> str:
        return "ver_" if self.things.noun == "version" else "run_"

    def _any(self, query: sa.Select[Any]) -> bool:
        return self.connection.execute(query.limit(1)).first() is not None

    def _known(self) -> list[str]:
        names = self.connection.execute(sa.select(schema.fact.c.name).distinct()).scalars().all()
        tags = self.connection.execute(sa.select(schema.tag.c.tag).distinct()).scalars().all() if self.things.tagged else []
        return [*self.things.columns, *tags, *names]

    def _names(self) -> str:
        """What one can ask for: figures first."""
        f = schema.fact.c
        figures = sa.select(f.name).where(f.number.is_not(None), f.name.not_like("%.%")).distinct().limit(12)
        names = sorted(self.connection.execute(figures).scalars())
        return f"There are {', '.join([*names, *self.things.columns])}, tags, and whatever `fourfold show` says."


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
