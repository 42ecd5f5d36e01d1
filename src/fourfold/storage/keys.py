"""API keys: random tokens of which only a hash is kept."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import blake3
import sqlalchemy as sa

from fourfold.core.errors import NotFound
from fourfold.core.ids import new_id
from fourfold.core.nouns import Actor, Role
from fourfold.storage import audit, schema


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the ledger holds it. Times are Unix seconds."""

    id: str
    name: str
    role: Role
    hash: str
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None

    @property
    def actor(self) -> Actor:
        """Who acts with this key."""
        return Actor(self.id, self.name, self.role)

    def alive(self, now: float) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def hash_token(token: str) -> str:
    """What is kept of a token. It has 256 random bits, so a fast hash is enough."""
    return blake3.blake3(token.encode()).hexdigest()


def create(connection: sa.Connection, actor: str, name: str, role: Role, expires_at: float | None) -> tuple[ApiKey, str]:
    """A new key and its token, which is shown this once."""
    token = f"ff_{secrets.token_urlsafe(32)}"
    key = ApiKey(new_id("key"), name, role, hash_token(token), time.time(), actor, expires_at, None)
    connection.execute(
        schema.api_key.insert(),
        {
            "id": key.id, "name": name, "role": role, "hash": key.hash, "created_at": key.created_at,
            "created_by": actor, "expires_at": expires_at, "revoked_at": None,
        },
    )  # fmt: skip
    audit.record(connection, actor, "create_key", key.id, {"role": role})
    return key, token


def revoke(connection: sa.Connection, actor: str, key_id: str) -> ApiKey:
    """Close a key for good; nothing changes if it is closed already. Raises NotFound."""
    c = schema.api_key.c
    now = time.time()
    changed = connection.execute(schema.api_key.update().where(c.id == key_id, c.revoked_at.is_(None)).values(revoked_at=now))
    if changed.rowcount:
        audit.record(connection, actor, "revoke_key", key_id)
    row = connection.execute(sa.select(schema.api_key).where(c.id == key_id)).first()
    if row is None:
        raise NotFound(f"There is no key {key_id!r}.", hint="Run: fourfold keys")
    return ApiKey(**row._mapping)


def all_keys(connection: sa.Connection) -> list[ApiKey]:
    """Every key, oldest first, the revoked included."""
    return [ApiKey(**row._mapping) for row in connection.execute(sa.select(schema.api_key).order_by(schema.api_key.c.id))]


def find(connection: sa.Connection, token: str) -> ApiKey | None:
    """The key that a token belongs to, alive or not."""
    row = connection.execute(sa.select(schema.api_key).where(schema.api_key.c.hash == hash_token(token))).first()
    return None if row is None else ApiKey(**row._mapping)
