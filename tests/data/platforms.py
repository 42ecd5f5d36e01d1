"""Platforms on loopback that follow the published interfaces of WeChat and Weibo, errors and limits included."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.data.sites import Reply

JSON = {"Content-Type": "application/json; charset=utf-8"}


def reply(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value, ensure_ascii=False).encode(), status, dict(JSON))


@dataclass
class Wechat:
    """One official account: its messages newest first, its tokens, its quota."""

    app_id: str = "wx0123456789abcdef"
    secret: str = "s3cret-of-the-account"
    published: list[dict[str, Any]] = field(default_factory=list)
    material: list[dict[str, Any]] = field(default_factory=list)
    trouble: dict[str, Any] = field(default_factory=dict)  # path → error instead of an answer
    kept_back: int = 0  # items that are counted, and not given
    quota: int = 1_000_000
    token_seconds: int = 7200
    tokens: list[str] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)

    def post(self, id: str, at: int, *articles: dict[str, Any]) -> None:
        items = [{"content_source_url": "", "is_deleted": False, "author": "", "digest": "", **one} for one in articles]
        self.published.insert(
            0, {"article_id": id, "content": {"news_item": items, "create_time": at, "update_time": at}, "update_time": at}
        )

    def __call__(self, path: str, headers: dict[str, str]) -> Reply:
        address = urlsplit(path)
        body = json.loads(headers[":body"] or "{}")
        self.asked[address.path] += 1
        if address.path in self.trouble:
            code, message = self.trouble[address.path]
            return reply({"errcode": code, "errmsg": f"{message} rid: 1234-5678"})
        if address.path == "/cgi-bin/stable_token":
            return self._token(body)
        token = parse_qs(address.query).get("access_token", [""])[0]
        if token not in self.valid:
            return reply({"errcode": 40001, "errmsg": f"invalid credential, access_token is invalid or not latest {token}"})
        self.quota -= 1
        if self.quota < 0:
            return reply({"errcode": 45009, "errmsg": "reach max api daily quota limit"})
        match address.path:
            case "/cgi-bin/freepublish/batchget":
                return self._page(self.published, body, contents=body["no_content"] == 0)
            case "/cgi-bin/material/batchget_material" if body["type"] == "news":
                return self._page(self.material, body, contents=True)
        return reply({"errcode": 40066, "errmsg": "invalid url"})

    def _token(self, body: dict[str, Any]) -> Reply:
        if body["appid"] != self.app_id:
            return reply({"errcode": 40013, "errmsg": "invalid appid"})
        if body["secret"] != self.secret:
            return reply({"errcode": 40125, "errmsg": "invalid appsecret"})
        if body["force_refresh"] or not self.valid:
            self.valid = {f"token-{len(self.tokens)}-of-the-account"}
            self.tokens += self.valid
        return reply({"access_token": next(iter(self.valid)), "expires_in": self.token_seconds})

    def _page(self, items: list[dict[str, Any]], body: dict[str, Any], *, contents: bool) -> Reply:
        assert 1 <= body["count"] <= 20
        some = items[body["offset"] : body["offset"] + body["count"]]
        some = some if contents else [{k: v for k, v in one.items() if k != "content"} for one in some]
        return reply({"total_count": len(items) + self.kept_back, "item_count": len(some), "item": some})


@dataclass
class Weibo:
    """One user of Weibo: posts and comments newest first, a token, and requests that are left."""

    token: str = "2.00token-of-the-user"
    uid: int = 1234567890
    expire_in: int = 30 * 86_400
    posts: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    trouble: dict[str, tuple[int, str]] = field(default_factory=dict)
    left: int = 1_000_000
    reset_seconds: int = 2415
    kept_back: int = 0
    asked: list[str] = field(default_factory=list)

    def post(self, id: int, text: str, **more: Any) -> None:
        user = {"id": self.uid, "idstr": str(self.uid), "screen_name": "暖风茶社"}
        self.posts.insert(
            0,
            {
                "created_at": "Tue May 27 17:46:55 +0800 2025", "id": id, "idstr": str(id), "mid": str(id), "text": text,
                "source": '<a href="http://weibo.com">微博</a>', "user": user, "reposts_count": 2, "comments_count": 0,
                "attitudes_count": 5, **more,
            },
        )  # fmt: skip

    def comment(self, post: int, id: int, text: str) -> None:
        status = next(one for one in self.posts if one["id"] == post)
        user = {"id": 7, "idstr": "7", "screen_name": "路人"}
        one = {"created_at": "Wed May 28 09:00:00 +0800 2025", "id": id, "idstr": str(id), "text": text, "user": user}
        self.comments.setdefault(post, []).insert(0, {**one, "status": status})

    def __call__(self, path: str, headers: dict[str, str]) -> Reply:
        address = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.asked.append(path)
        if address.path in self.trouble:
            code, message = self.trouble[address.path]
            return reply({"request": address.path, "error_code": code, "error": message}, 403)
        if address.path == "/oauth2/get_token_info":
            if parse_qs(headers[":body"])["access_token"] != [self.token]:
                return reply({"error": "invalid_access_token", "error_code": 21332, "request": address.path}, 400)
            info = {"uid": self.uid, "appkey": "1", "scope": None, "create_at": 1, "expire_in": self.expire_in}
            return reply(info)
        if headers.get("authorization") != f"OAuth2 {self.token}":
            return reply({"error": "expired_token", "error_code": 21327, "request": address.path}, 403)
        if address.path == "/2/account/rate_limit_status.json":
            return reply({"remaining_user_hits": self.left, "reset_time_in_seconds": self.reset_seconds})
        self.left -= 1
        if self.left < 0:
            return reply({"error": "User requests out of rate limit!", "error_code": 10023, "request": address.path}, 403)
        return self._page(address.path, query)

    def _page(self, path: str, query: dict[str, str]) -> Reply:
        if path == "/2/comments/show.json":
            if int(query["id"]) not in {one["id"] for one in self.posts}:
                return reply({"error": "target weibo does not exist!", "error_code": 20101, "request": path}, 400)
            name, items = "comments", self.comments.get(int(query["id"]), [])
        elif path in ("/2/statuses/user_timeline.json", "/2/statuses/home_timeline.json"):
            if query.get("uid", str(self.uid)) != str(self.uid):
                return reply({"error": "uid is not the authorised one", "error_code": 21335, "request": path}, 403)
            name, items = "statuses", self.posts
        else:
            return reply({"error": "Request Api not found!", "error_code": 10020, "request": path}, 404)
        newest = int(query.get("max_id", 0)) or 1 << 62
        some = [one for one in items if int(query["since_id"]) < one["id"] <= newest][: int(query["count"])]
        return reply({name: some, "previous_cursor": 0, "next_cursor": 0, "total_number": len(items) + self.kept_back})
