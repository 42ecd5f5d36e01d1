"""Posts and comments of Weibo, as its interface gives them: one, a page of them, an export, or one a line (JSON)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any

import msgspec

from fourfold.data.formats import BadLine, Record

TAG = re.compile(r"<[^>]{0,500}>")
TOPIC = re.compile(r"#([^#\s][^#]{0,60})#")
DATED = re.compile(r"(\w{3}) (\w{3}) (\d\d) (\d\d:\d\d:\d\d) ([+-]\d{4}) (\d{4})")
COUNTS = {"reposts_count": "reposts", "comments_count": "comments", "attitudes_count": "likes", "like_count": "likes"}
LISTS = ("statuses", "comments", "data")
ELLIPSIS = "…全文"


@dataclass(frozen=True, slots=True)
class Weibo:
    """Each post or comment as one document. Fields: `kind` (post, comment), `item_id`, `user_id`, `user`, `date`, `url`,
    `topics`, `reposts`, `comments`, `likes`, `post_id` and `reply_to` of comments, `reposted` (the text of what was passed
    on), `truncated` where the interface gives only the beginning. What was deleted is counted as `deleted`.
    """

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        for line, item in _items(data):
            if item is None:
                yield BadLine(line, "not_weibo")
            elif item.get("deleted") in ("1", 1, True):
                yield BadLine(line, "deleted")
            elif text := _text(item):
                yield Record(text, line, _fields(item))
            else:
                yield BadLine(line, "no_text")


def _items(data: bytes) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Line and item; of a file that is one JSON value the line is the item's number."""
    whole = _decoded(data)
    if whole is None:
        for line, one in enumerate(data.splitlines(), 1):
            if one.strip():
                found = _decoded(one)
                yield line, found if isinstance(found, Mapping) else None
        return
    if isinstance(whole, Mapping):
        key = next((name for name in LISTS if isinstance(whole.get(name), list)), None)
        whole = whole[key] if key else [whole]
    for number, one in enumerate(whole if isinstance(whole, list) else [None], 1):
        yield number, one if isinstance(one, Mapping) else None


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _text(item: Mapping[str, Any]) -> str:
    long = item.get("longText")
    text = long.get("longTextContent") if isinstance(long, Mapping) else None
    text = text or item.get("text_raw") or item.get("text")
    return plain(text) if isinstance(text, str) else ""


def plain(text: str) -> str:
    """A post without markup: its breaks become lines, emoji pictures their names."""
    text = re.sub(r"<br\s*/?>", "\n", text.replace("\x00", ""), flags=re.IGNORECASE)
    text = re.sub(r"<img[^>]{0,300}alt=[\"']?(\[[^\]]{1,20}\])[^>]{0,300}>", r"\1", text)
    return unescape(TAG.sub("", text)).strip()


def _fields(item: Mapping[str, Any]) -> dict[str, Any]:
    user, post, answered = (item.get(name) for name in ("user", "status", "reply_comment"))
    user = user if isinstance(user, Mapping) else {}
    text, is_comment = _text(item), isinstance(post, Mapping)
    reposted = item.get("retweeted_status")
    fields: dict[str, Any] = {
        "kind": "comment" if is_comment else "post",
        "item_id": _id(item),
        "user_id": _id(user),
        "user": user.get("screen_name") or user.get("name"),
        "date": _date(item.get("created_at")),
        "url": f"https://weibo.com/{_id(user)}/{_id(item)}" if _id(user) and not is_comment else None,
        "topics": list(dict.fromkeys(TOPIC.findall(text))) or None,
        "post_id": _id(post) if isinstance(post, Mapping) else None,
        "reply_to": _id(answered) if isinstance(answered, Mapping) else None,
        "reposted": _text(reposted) if isinstance(reposted, Mapping) else None,
        "truncated": True if item.get("isLongText") is True and text.endswith(("全文", "…", "...")) else None,
    }
    fields |= {COUNTS[name]: item[name] for name in COUNTS if isinstance(item.get(name), int)}
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _id(item: Mapping[str, Any]) -> str:
    """As a string: numbers of 16 digits do not survive every reader."""
    return str(item.get("idstr") or item.get("id") or "")


def _date(value: Any) -> str:
    """ISO 8601 of the platform's `Tue May 31 17:46:55 +0800 2011`, or of what an export wrote."""
    if not isinstance(value, str):
        return ""
    found = DATED.search(value)
    if found:
        _, month, day, clock, zone, year = found.groups()
        return parsedate_to_datetime(f"{day} {month} {year} {clock} {zone}").isoformat()
    return value.strip()
