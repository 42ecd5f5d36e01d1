"""Messages of WeChat official accounts, as the platform's interface gives them (JSON)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from fourfold.data.asking import NoAnswer, decoded
from fourfold.data.formats import BadLine, Member


class Article(msgspec.Struct, frozen=True):
    """One article of a message."""

    title: str = ""
    author: str = ""
    digest: str = ""
    content: str = ""
    content_source_url: str = ""
    url: str = ""
    is_deleted: bool = False


class Content(msgspec.Struct, frozen=True):
    """Up to eight articles."""

    news_item: list[Article] = []
    update_time: int = 0


class Message(msgspec.Struct, frozen=True):
    """A published message (`article_id`) or permanent material (`media_id`)."""

    article_id: str = ""
    media_id: str = ""
    content: Content = Content()
    update_time: int = 0


@dataclass(frozen=True, slots=True)
class Wechat:
    """Each article of a message as a page `N.html`, which the format `html` reads. Fields: `title`, `author`, `summary`,
    `url`, `original_url`, `date`, `message_id`. A deleted article is counted as `deleted`.
    """

    def __call__(self, data: bytes, /) -> Iterator[BadLine | Member]:
        try:
            message = decoded(data, Message, "the file")
        except NoAnswer:
            yield BadLine(1, "not_wechat")
            return
        at = message.update_time or message.content.update_time
        date = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat() if at else ""
        for number, article in enumerate(message.content.news_item, 1):
            fields = {
                "title": article.title, "author": article.author, "summary": article.digest, "url": article.url,
                "original_url": article.content_source_url, "date": date, "message_id": message.article_id or message.media_id,
            }  # fmt: skip
            fields = {name: value.replace("\x00", "") for name, value in fields.items() if value}
            page = f'<html><body><div id="js_content">{article.content}</div></body></html>'.encode("utf-8", "replace")
            reason = "deleted" if article.is_deleted else "" if article.content.strip() else "no_text"
            yield Member(f"{number}.html", None if reason else page, reason, fields)
        if not message.content.news_item:
            yield BadLine(1, "no_text")
