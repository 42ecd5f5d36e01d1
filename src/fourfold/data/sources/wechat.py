"""WeChat official accounts: published articles and permanent material, by the platform's interface for the account's owner."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.asking import Asking, NoAnswer, NotAccepted, Pace, decoded, file_name, trouble
from fourfold.data.connections import DAY, Connection, State, end_of, note, refused, secret
from fourfold.data.egress import networks_of
from fourfold.data.fetching import Store
from fourfold.data.sources import RawFile, Visit

log = logging.getLogger(__name__)

What = Literal["published", "material"]
PAGE = 20  # items: the most that the interface gives at once
EARLY_SECONDS = 300.0  # a token is renewed before it ends
PATHS = {"published": "/cgi-bin/freepublish/batchget", "material": "/cgi-bin/material/batchget_material"}
IDS = {"published": "article_id", "material": "media_id"}

# The platform's error codes (developers.weixin.qq.com, "global return codes"), one line each: what state they mean, what to do.
TOKEN = frozenset({40001, 40014, 42001})  # the token, not the account: renewed once
BUSY = frozenset({-1, 45011})  # try again
CODES: dict[int, tuple[State, str]] = {
    40001: ("expired", "Renew the account's secret, and name the new one."),
    40014: ("expired", "Renew the account's secret, and name the new one."),
    42001: ("expired", "Renew the account's secret, and name the new one."),
    40125: ("expired", "The secret was changed: name the new one."),
    41004: ("expired", "The secret is missing: name it."),
    40013: ("blocked", "Check app_id."),
    40164: ("blocked", "Add this machine's address to the account's IP white list."),
    40243: ("blocked", "The secret is frozen: thaw it in the account's settings."),
    45009: ("blocked", "The day's quota is used up: try again tomorrow; what was fetched is kept."),
    48001: ("blocked", "The account has no right to this interface: ask for it in its settings."),
    48004: ("blocked", "The interface is closed for this account: read the platform's notices to its owner."),
    50001: ("blocked", "The account's owner has not granted this."),
    50002: ("blocked", "The account is limited or frozen: read the platform's notices to its owner."),
    61007: ("blocked", "The account's owner has not granted this."),
    89501: ("blocked", "The account's administrator must confirm this machine's address."),
    89503: ("blocked", "The account's administrator must confirm this machine's address."),
    89506: ("blocked", "The account's administrator refused this machine's address: ask again in a day."),
    89507: ("blocked", "The account's administrator refused this machine's address: ask again in an hour."),
}


class Said(msgspec.Struct, frozen=True):
    """A reply: an error, a token, or a page of items."""

    errcode: int = 0
    errmsg: str = ""
    access_token: str = ""
    expires_in: float = 0
    total_count: int = 0
    item: list[msgspec.Raw] = []


class Head(msgspec.Struct, frozen=True):
    """What an item is known by."""

    article_id: str = ""
    media_id: str = ""
    update_time: int = 0


class Remembered(msgspec.Struct, frozen=True):
    """An item of a version: its file, and when it was last changed."""

    path: str
    update_time: int
    fetched_at: float


@dataclass(frozen=True, slots=True)
class Wechat:
    """Articles of the official account `app_id`, each message of up to eight articles a raw file as the platform gave it.

    The secret comes from `secret_env` or `secret_file`. Raises SourceExpired or SourceBlocked where the platform refuses.
    """

    app_id: str = ""
    secret_env: str = ""  # the environment variable that holds the secret
    secret_file: str = ""
    what: tuple[What, ...] = ("published",)
    expires: str = ""  # the day on which the account's yearly verification or its secret ends: 2026-06-30
    warn_days: float = 14.0
    base: str = "https://api.weixin.qq.com"
    allow: tuple[str, ...] = ()
    delay_seconds: float = 0.2
    timeout_seconds: float = 60.0
    attempts: int = 3
    retry_seconds: float = 2.0
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if not self.app_id:
            raise BadSpec("app_id is empty.", hint="It stands in the account's settings, beside the secret.")
        if not self.what:
            raise BadSpec("what is empty.", hint="Known: published, material.")
        if bool(self.secret_env) == bool(self.secret_file):
            raise BadSpec("Set either secret_env or secret_file.", hint="For example: secret_env=WECHAT_SECRET")
        end_of(self.expires, "expires")
        networks_of(self.allow)
        self._pace()

    def __call__(self) -> Iterator[RawFile]:
        raise BadSpec("wechat is visited, not called.", hint="Run: fourfold collect NAME --source wechat --set app_id=…")

    def visit(self, visit: Visit, /) -> Iterator[RawFile]:
        """Items in the order of the platform, which is newest first; those that did not change come from the version before."""
        before = _remembered(visit)
        store = Store(visit.state)
        try:
            found = asyncio.run(self._all(visit, store, before))
        except (NotAccepted, NoAnswer) as error:
            said = note(visit.connection, trouble("wechat", self.app_id, error, visit.now()))
            if isinstance(error, NoAnswer):
                raise
            raise refused(said, f"The account {self.app_id} cannot be asked: {error.message}") from error
        if not found:
            store.forget()  # nothing yet: the next visit looks anew
        self._answered(visit)
        written = {}
        for (kind, id), (head, data) in found.items():
            key = f"{kind}/{id}"
            path = f"{kind}/{file_name(id)}.wechat"
            at = before[key].fetched_at if data is None else visit.now()
            if data is None:
                assert visit.previous is not None
                lies = visit.previous.raw / before[key].path
                data = lies.read_bytes() if lies.is_file() else None
            written[key] = Remembered(path, head.update_time, at)
            yield RawFile(path, data, float(head.update_time), "" if data is not None else "lost", fetched_at=at)
        visit.memory.write_bytes(msgspec.json.encode(written) + b"\n")

    def _answered(self, visit: Visit) -> None:
        """Note that the account answered, and until when it will."""
        now, ends = visit.now(), end_of(self.expires, "expires")
        if ends is not None and ends <= now:
            log.warning("source wechat (%s) answers though expires, %s, is past: set the new day", self.app_id, self.expires)
            ends = None
        next = "Have the account verified anew, or renew its secret; then set expires to the new day." if ends else ""
        note(visit.connection, Connection("wechat", self.app_id, "ok", now, now, ends, self.warn_days * DAY, next=next))

    def _pace(self) -> Pace:
        return Pace(self.delay_seconds, self.timeout_seconds, self.attempts, self.retry_seconds)

    async def _all(
        self, visit: Visit, store: Store, before: dict[str, Remembered]
    ) -> dict[tuple[str, str], tuple[Head, bytes | None]]:
        """Every item; its bytes are None where it is as it was before."""
        asking = Asking(self.base, self.allow, self._pace(), store)
        account = _Account(self, asking)
        found: dict[tuple[str, str], tuple[Head, bytes | None]] = {}
        try:
            for kind in dict.fromkeys(self.what):
                for id, item in (await self._kind(account, kind, before, visit)).items():
                    found[kind, id] = item
        finally:
            await asking.close()
        return found

    async def _kind(
        self, account: _Account, kind: What, before: dict[str, Remembered], visit: Visit
    ) -> dict[str, tuple[Head, bytes | None]]:
        """All items of a kind. Raises BadInput if the platform gives fewer than it says there are."""
        found: dict[str, tuple[Head, bytes | None]] = {}
        offset, total = 0, 0
        light = any(key.startswith(f"{kind}/") for key in before) and kind == "published"
        while True:
            page = await account.page(kind, offset, contents=not light)
            heads = [_head(raw) for raw in page.item]
            if light and not all(_same(kind, head, before) for head in heads):  # only then are the texts asked for
                page = await account.page(kind, offset, contents=True)
                heads = [_head(raw) for raw in page.item]
            for head, raw in zip(heads, page.item):
                found.setdefault(_id(kind, head), (head, None if _same(kind, head, before) else bytes(raw)))
            offset, total = offset + len(page.item), page.total_count
            visit.progress(len(found), total, kind)
            if not page.item or offset >= total:
                break
        if len(found) < total:
            account.forget()
            raise _fewer(self.app_id, kind, len(found), total)
        return found


class _Account:
    """The account as it is asked: its token, renewed when it ends or is refused."""

    def __init__(self, source: Wechat, asking: Asking) -> None:
        self._source, self._asking = source, asking
        self._secret = secret(source.secret_env, source.secret_file, names=("secret_env", "secret_file"))
        asking.secrets.add(self._secret)
        self._token, self._ends = "", 0.0
        self.forget = asking.forget

    async def page(self, kind: What, offset: int, *, contents: bool) -> Said:
        """A page of items, from the visit's state if it was fetched before it was killed."""
        key = f"{kind}?offset={offset}&contents={int(contents)}"
        kept = self._asking.kept(key)
        if kept is not None:
            return decoded(kept, Said, PATHS[kind])
        body = {
            "offset": offset,
            "count": PAGE,
            **({"type": "news"} if kind == "material" else {"no_content": int(not contents)}),
        }
        said = Said()
        for attempt in range(1, self._source.attempts + 2):
            token = await self._have_token(force=attempt > 2)
            _, reply = await self._asking.ask("POST", PATHS[kind], query={"access_token": token}, json=body)
            said = decoded(reply, Said, PATHS[kind])
            if not said.errcode:
                self._asking.keep(key, reply)
                return said
            if said.errcode in TOKEN and attempt <= 2:
                self._ends = 0.0
            elif said.errcode in BUSY and attempt <= self._source.attempts:
                await asyncio.sleep(self._source.retry_seconds * 2 ** (attempt - 1))
            else:
                raise self._refusal(said)
        raise self._refusal(said)

    async def _have_token(self, *, force: bool) -> str:
        """A token that has not ended: the stable one, so that other programs of the account keep theirs."""
        if self._token and time.time() < self._ends - EARLY_SECONDS:
            return self._token
        body = {"grant_type": "client_credential", "appid": self._source.app_id, "secret": self._secret, "force_refresh": force}
        _, reply = await self._asking.ask("POST", "/cgi-bin/stable_token", json=body)
        said = decoded(reply, Said, "/cgi-bin/stable_token")
        if said.errcode or not said.access_token:
            raise self._refusal(said)
        self._token, self._ends = said.access_token, time.time() + said.expires_in
        self._asking.secrets.add(self._token)
        return self._token

    def _refusal(self, said: Said) -> NotAccepted:
        state, hint = CODES.get(said.errcode, ("blocked", "Look the code up in the platform's table of global return codes."))
        message = self._asking.clean(said.errmsg)
        return NotAccepted(f"{said.errcode} {message}.", hint=hint, state=state, said_code=str(said.errcode), said=message)


def _head(raw: msgspec.Raw) -> Head:
    return decoded(bytes(raw), Head, "an item")


def _id(kind: What, head: Head) -> str:
    return getattr(head, IDS[kind])


def _same(kind: What, head: Head, before: dict[str, Remembered]) -> bool:
    known = before.get(f"{kind}/{_id(kind, head)}")
    return known is not None and known.update_time == head.update_time


def _fewer(app_id: str, kind: str, found: int, total: int) -> BadInput:
    return BadInput(
        f"The account {app_id} says that it has {total} items of {kind}, and gave {found}.",
        hint="Run the same command again; if it stays so, look into the account's rights.",
    )


def _remembered(visit: Visit) -> dict[str, Remembered]:
    if visit.previous is None or not visit.previous.memory.is_file():
        return {}
    return msgspec.json.decode(visit.previous.memory.read_bytes(), type=dict[str, Remembered])
