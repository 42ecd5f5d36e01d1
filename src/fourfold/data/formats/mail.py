"""E-mail messages (RFC 5322), and mailboxes of them."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

from fourfold.data.decode import encoding_of
from fourfold.data.extractors import EXTRACTORS
from fourfold.data.formats import BadLine, Member, Record
from fourfold.data.markup import html_encoding, html_text

FROM = re.compile(rb"^From [^\r\n]*\d{4}\r?\n", re.MULTILINE)
QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
HEADERS = {"subject": "title", "from": "author", "to": "to", "message-id": "message_id", "in-reply-to": "reply_to"}


@dataclass(frozen=True, slots=True)
class Eml:
    """A message as one document: its plain text, else the text of its HTML. Fields: `title` (its subject), `author` (its
    sender), `to`, `date`, `message_id`, `reply_to`. Attachments are read as the files that they are.
    """

    attachments: bool = True

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine | Member]:
        message = email.message_from_bytes(data, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if not message.keys():
            yield BadLine(1, "not_mail")
            return
        fields = _fields(message)
        text = _body(message)
        if text:
            yield Record(text, 1, fields)
        elif not any(True for _ in message.iter_attachments()):
            yield BadLine(1, "no_text")
        for number, part in enumerate(_attachments(message) if self.attachments else (), 1):
            name = (part.get_filename() or f"part-{number}").replace("/", "_").replace("\x00", "")
            is_mail = part.get_content_type() == "message/rfc822"
            content = part.get_content().as_bytes() if is_mail else part.get_payload(decode=True)
            yield Member(name, content if isinstance(content, bytes) else None, "unreadable", fields, "eml" if is_mail else "")


@dataclass(frozen=True, slots=True)
class Mbox:
    """A mailbox: each message as one file `message-N.eml`."""

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine | Member]:
        starts = [
            found.span()
            for found in FROM.finditer(data)
            if found.start() == 0
            or (
                data[found.start() - 2 : found.start()] in (b"\n\n", b"\r\n")
                and data[max(0, found.start() - 4) : found.start()].endswith((b"\n\n", b"\r\n\r\n"))
            )
        ]
        if not starts:
            yield BadLine(1, "not_mbox")
            return
        ends = [start for start, _ in starts[1:]] + [len(data)]
        for number, ((_, begin), end) in enumerate(zip(starts, ends), 1):
            yield Member(f"message-{number}.eml", QUOTED_FROM.sub(rb"\1", data[begin:end]), format="eml")


def _fields(message: EmailMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for header, name in HEADERS.items():
        try:
            value = " ".join(str(message.get(header, "")).split())
        except (ValueError, IndexError, AttributeError, TypeError):  # headers that break the standard library's own parser
            value = ""
        if value:
            fields[name] = value.encode("utf-8", "replace").decode()
    with suppress(ValueError, IndexError, AttributeError, TypeError):
        fields["date"] = parsedate_to_datetime(str(message["date"])).isoformat()
    return fields


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    payload = part.get_payload(decode=True) if part is not None else None
    if part is None or not isinstance(payload, bytes):
        return ""
    if part.get_content_type() == "text/html":
        page = EXTRACTORS.build("whole")(html_text(payload, html_encoding(payload)))
        return "" if isinstance(page, str) else page.text
    return _decoded(payload, part.get_content_charset()).replace("\x00", "").replace("\r\n", "\n").strip()


def _decoded(payload: bytes, charset: str | None) -> str:
    """As declared where that fits, else as the bytes say."""
    for name in (charset, encoding_of(payload)):
        try:
            return payload.decode(name or "utf-8")
        except (LookupError, UnicodeError):
            continue
    return payload.decode("utf-8", "replace")


def _attachments(message: EmailMessage) -> Iterator[Any]:
    body = message.get_body(("plain", "html"))
    for part in message.iter_attachments():
        if part is not body and (part.get_filename() or part.get_content_type() == "message/rfc822"):
            yield part
