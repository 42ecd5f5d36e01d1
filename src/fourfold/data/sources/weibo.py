"""Weibo: one's own and authorised timelines and their comments, by the open platform's interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.asking import Asking, NoAnswer, NotAccepted, Pace, decoded, trouble
from fourfold.data.connections import DAY, Connection, State, note, refused, secret
from fourfold.data.egress import networks_of
from fourfold.data.fetching import Store
from fourfold.data.sources import RawFile, Visit

Timeline = Literal["user", "home"]
PATHS = {"user": "/2/statuses/user_timeline.json", "home": "/2/statuses/home_timeline.json"}
POSTS, COMMENTS = 100, 50  # the most that the interface gives at once

# The platform's error codes (open.weibo.com/wiki/Error_code), one line each: what state they mean, what to do.
LIMITED = frozenset({10022, 10023, 10024})
BUSY = frozenset({10001, 10002, 10003, 10009, 10010, 10011})  # tried again
RENEW = "Have the account's owner authorise the application anew, and name the new token."
CODES: dict[int, tuple[State, str]] = {
    21314: ("expired", RENEW),
    21315: ("expired", RENEW),
    21316: ("expired", RENEW),
    21317: ("expired", RENEW),
    21319: ("expired", RENEW),
    21327: ("expired", RENEW),
    21332: ("expired", RENEW),
    10004: ("blocked", "Add this machine's address to the application's list."),
    10005: ("blocked", "The application has no right to this interface: ask for it on the open platform."),
    10006: ("blocked", "The application's key is missing: check the token."),
    10013: ("blocked", "The account is no valid one any more."),
    10014: ("blocked", "The application has no right to this interface: ask for it on the open platform."),
    **dict.fromkeys(BUSY, ("blocked", "The platform is busy: try again later; what was fetched is kept.")),
    10022: ("blocked", "The hour's requests of this machine are used up: try again later; what was fetched is kept."),
    10023: ("blocked", "The hour's requests of this user are used up: try again later; what was fetched is kept."),
    10024: ("blocked", "The hour's requests to this interface are used up: try again later; what was fetched is kept."),
    20003: ("blocked", "There is no such user: check uid."),
    21321: ("blocked", "The application is not reviewed yet, and this user is not among its testers."),
    21335: ("blocked", "The platform gives posts of the authorised user only: leave uid out."),
}
GONE = frozenset({20101, 20112})  # a post that was deleted, or that may not be seen


class Trouble(msgspec.Struct, frozen=True):
    """An error; `error_code` comes as a number or as text."""

    error_code: int | str = 0
    error: str = ""


class TokenInfo(msgspec.Struct, frozen=True):
    """Whose a token is, and for how many seconds more."""

    uid: int | str = ""
    expire_in: float = 0
    error_code: int | str = 0
    error: str = ""


class Page(msgspec.Struct, frozen=True):
    """Posts or comments, newest first."""

    statuses: list[msgspec.Raw] = []
    comments: list[msgspec.Raw] = []
    total_number: int = 0


class Limits(msgspec.Struct, frozen=True):
    """How long until there are requests again."""

    reset_time_in_seconds: float = 0


class Head(msgspec.Struct, frozen=True):
    """What a post or comment is known by."""

    id: int = 0
    comments_count: int = 0


class Memory(msgspec.Struct, frozen=True):
    """What a version knows: times of its files, the newest post of each timeline, and posts whose comments are asked for."""

    what: str = ""  # whose posts
    files: dict[str, float] = {}
    newest: dict[str, int] = {}
    watched: dict[str, tuple[int, float]] = {}  # post → its newest comment, and when the post was first seen


@dataclass(frozen=True, slots=True)
class Weibo:
    """Posts of `timelines`, each a raw file as the platform gave it; with `comments`, those of each post.

    The access token comes from `token_env` or `token_file`. Later visits ask for what is newer than the newest post.
    Raises SourceExpired or SourceBlocked where the platform refuses.
    """

    token_env: str = ""  # the environment variable that holds the access token
    token_file: str = ""
    timelines: tuple[Timeline, ...] = ("user",)
    uid: int | str = ""  # whose posts; default: those of the user who authorised
    comments: bool = False
    comment_days: float = 30.0  # a post's comments are asked for that long after it was first seen
    max_posts: int = 2_000  # of one timeline and visit
    warn_days: float = 3.0
    max_wait_seconds: float = 60.0  # for requests to be allowed again; a longer wait fails the run
    base: str = "https://api.weibo.com"
    allow: tuple[str, ...] = ()
    delay_seconds: float = 0.5
    timeout_seconds: float = 60.0
    attempts: int = 3
    retry_seconds: float = 2.0
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if bool(self.token_env) == bool(self.token_file):
            raise BadSpec("Set either token_env or token_file.", hint="For example: token_env=WEIBO_TOKEN")
        if not self.timelines:
            raise BadSpec("timelines is empty.", hint="Known: user, home.")
        if self.max_posts < 1 or self.max_wait_seconds < 0:
            raise BadSpec("max_posts is at least 1, max_wait_seconds at least 0.")
        networks_of(self.allow)
        self._pace()

    def __call__(self) -> Iterator[RawFile]:
        raise BadSpec("weibo is visited, not called.", hint="Run: fourfold collect NAME --source weibo --set token_env=…")

    def visit(self, visit: Visit, /) -> Iterator[RawFile]:
        """New posts and comments, newest first, then those of before. Raises BadInput if the platform keeps posts back."""
        before = self._remembered(visit)
        store = Store(visit.state)
        token = secret(self.token_env, self.token_file, names=("token_env", "token_file"))
        asking = Asking(self.base, self.allow, self._pace(), store)
        asking.secrets.add(token)
        account = _Account(self, asking, token)
        try:
            new, memory = asyncio.run(self._all(visit, account, before))
        except (NotAccepted, NoAnswer) as error:
            said = note(visit.connection, trouble("weibo", account.name, error, visit.now()))
            if isinstance(error, NoAnswer):
                raise
            raise refused(said, f"The account {account.name} cannot be asked: {error.message}") from error
        if not new and not before.files:
            store.forget()  # nothing yet: the next visit looks anew
        files = {path: visit.now() for path in new}
        for path, data in new.items():
            yield RawFile(path, data, files[path], fetched_at=files[path])
        for path, at in before.files.items():
            if path not in new and visit.previous is not None:
                files[path] = at
                lies = visit.previous.raw / path
                data = lies.read_bytes() if lies.is_file() else None
                yield RawFile(path, data, at, "" if data is not None else "lost", fetched_at=at)
        for kind, detail in account.left_out:
            yield RawFile(kind, None, visit.now(), "post_limit", detail)
        visit.memory.write_bytes(msgspec.json.encode(msgspec.structs.replace(memory, files=files)) + b"\n")

    def _pace(self) -> Pace:
        return Pace(self.delay_seconds, self.timeout_seconds, self.attempts, self.retry_seconds)

    async def _all(self, visit: Visit, account: _Account, before: Memory) -> tuple[dict[str, bytes], Memory]:
        """New files, and what is known afterwards."""
        new: dict[str, bytes] = {}
        newest = dict(before.newest)
        watched = dict(before.watched or _posts_of(before.files))
        try:
            await account.open(visit)
            for kind in dict.fromkeys(self.timelines):
                key = f"{kind}/{self.uid or account.uid}"
                posts = await self._posts(account, kind, newest.get(key, 0), visit)
                for head, raw in posts:
                    new[f"posts/{head.id}.weibo"] = raw
                    watched.setdefault(str(head.id), (0, visit.now()))
                newest[key] = max((head.id for head, _ in posts), default=newest.get(key, 0))
            if self.comments:
                watched = {id: one for id, one in watched.items() if visit.now() - one[1] < self.comment_days * DAY}
                for n, (id, (last, seen)) in enumerate(watched.items()):
                    found = await account.comments(id, last)
                    new |= {f"comments/{id}/{head.id}.weibo": raw for head, raw in found}
                    watched[id] = (max((head.id for head, _ in found), default=last), seen)
                    visit.progress(n + 1, len(watched), "posts with comments")
        finally:
            await account.close()
        return new, Memory(self._what(), {}, newest, watched if self.comments else {})

    def _what(self) -> str:
        return f"{self.uid or self.token_env or self.token_file} {sorted(self.timelines)}"

    def _remembered(self, visit: Visit) -> Memory:
        """What the version before knew; nothing if it held somebody else's posts."""
        if visit.previous is None or not visit.previous.memory.is_file():
            return Memory()
        found = msgspec.json.decode(visit.previous.memory.read_bytes(), type=Memory)
        return found if found.what == self._what() else Memory()

    async def _posts(self, account: _Account, kind: Timeline, since: int, visit: Visit) -> list[tuple[Head, bytes]]:
        """Posts newer than `since`, newest first. Raises BadInput if there are posts, and none is given."""
        query: dict[str, Any] = {"count": POSTS, "since_id": since}
        if kind == "user" and self.uid:
            query["uid"] = self.uid
        found: dict[int, tuple[Head, bytes]] = {}
        oldest, page = 0, Page()
        while len(found) < self.max_posts:
            page = await account.ask(PATHS[kind], {**query, **({"max_id": oldest - 1} if oldest else {})}, Page)
            fresh = [(head, bytes(raw)) for raw in page.statuses if (head := _head(raw)).id not in found]
            if not fresh:
                if not found and not since and page.total_number:
                    account.forget()
                    raise BadInput(
                        f"Weibo says that there are {page.total_number} posts, and gave none.",
                        hint="The platform gives posts of the user who authorised: check uid and the application's rights.",
                    )
                break
            found |= {head.id: (head, raw) for head, raw in fresh}
            oldest = min(found)
            visit.progress(len(found), page.total_number or None, "posts")
        posts = list(found.values())[: self.max_posts]
        if len(found) >= self.max_posts:
            account.left_out.append((kind, f"{len(posts)} of {max(page.total_number, len(found))} posts were taken"))
        return posts


class _Account:
    """The account as it is asked: its token in a header, and the limits that it runs into."""

    def __init__(self, source: Weibo, asking: Asking, token: str) -> None:
        self._source, self._asking, self._token = source, asking, token
        self.uid = str(source.uid)
        self.name = str(source.uid) or source.token_env or source.token_file
        self.left_out: list[tuple[str, str]] = []  # timelines with more posts than were wanted
        self.close, self.forget = asking.close, asking.forget

    async def open(self, visit: Visit) -> None:
        """Whose the token is, and when it ends; noted before anything is fetched."""
        _, reply = await self._asking.ask("POST", "/oauth2/get_token_info", form={"access_token": self._token})
        info = decoded(reply, TokenInfo, "/oauth2/get_token_info")
        if info.error_code:
            raise self._refusal(Trouble(info.error_code, info.error))
        now = visit.now()
        self.uid = str(info.uid)
        if info.expire_in <= 0:
            raise NotAccepted(
                "the token has ended.", hint=RENEW, state="expired", said_code="21327", said="the token has ended"
            )
        ends, warn = now + info.expire_in, self._source.warn_days * DAY
        note(visit.connection, Connection("weibo", self.name, "ok", now, now, ends, warn, next=RENEW))

    async def comments(self, post: str, since: int) -> list[tuple[Head, bytes]]:
        """Comments of a post that are newer than `since`; none of a post that is gone."""
        found: dict[int, tuple[Head, bytes]] = {}
        while True:
            query = {"id": post, "count": COMMENTS, "since_id": since, **({"max_id": min(found) - 1} if found else {})}
            page = await self.ask("/2/comments/show.json", query, Page, gone=True)
            fresh = [(head, bytes(raw)) for raw in page.comments if (head := _head(raw)).id not in found]
            found |= {head.id: (head, raw) for head, raw in fresh}
            if not fresh:
                return list(found.values())

    async def ask(self, path: str, query: Mapping[str, Any], kind: Any, *, gone: bool = False) -> Any:
        """A reply, from the visit's state if it lies there; after a short wait if that is all it takes."""
        key = f"{path}?{'&'.join(f'{name}={value}' for name, value in sorted(query.items()))}"
        kept = self._asking.kept(key)
        if kept is not None:
            return decoded(kept, kind, path)
        waited, left = False, self._source.attempts - 1
        while True:
            _, reply = await self._asking.ask("GET", path, query=query, headers=self._headers())
            trouble = decoded(reply, Trouble, path)
            code = int(trouble.error_code or 0)
            if not code:
                self._asking.keep(key, reply)
                return decoded(reply, kind, path)
            if gone and code in GONE:
                return kind()
            if code in BUSY and left:
                left -= 1
                await asyncio.sleep(self._source.retry_seconds)
            elif code in LIMITED and not waited:
                await asyncio.sleep(await self._reset(trouble))
                waited = True
            else:
                raise self._refusal(trouble)

    async def _reset(self, trouble: Trouble) -> float:
        """Seconds until requests are allowed again. Raises NotAccepted if that is too long."""
        _, reply = await self._asking.ask("GET", "/2/account/rate_limit_status.json", headers=self._headers())
        seconds = decoded(reply, Limits, "rate_limit_status").reset_time_in_seconds
        if not 0 < seconds <= self._source.max_wait_seconds:
            raise self._refusal(trouble, f" It says: again in {seconds:.0f} s." if seconds > 0 else "")
        return seconds

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"OAuth2 {self._token}"}

    def _refusal(self, trouble: Trouble, more: str = "") -> NotAccepted:
        code = int(trouble.error_code or 0)
        state, hint = CODES.get(code, ("blocked", "Look the code up in the open platform's table of error codes."))
        said = self._asking.clean(trouble.error)
        return NotAccepted(f"{code} {said}.", hint=hint + more, state=state, said_code=str(code), said=said)


def _head(raw: msgspec.Raw) -> Head:
    return decoded(bytes(raw), Head, "an item")


def _posts_of(files: Mapping[str, float]) -> dict[str, tuple[int, float]]:
    """Posts of before, of which no comment was asked for."""
    return {path[6:-6]: (0, at) for path, at in files.items() if path.startswith("posts/")}
