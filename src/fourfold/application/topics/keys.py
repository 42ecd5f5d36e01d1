"""API keys."""

from __future__ import annotations

from fourfold.application.permissions import action
from fourfold.application.results import KeyInfo, NewKey
from fourfold.application.topics import Hand
from fourfold.core.nouns import Role
from fourfold.storage.keys import ApiKey


class Keys(Hand):
    """API keys."""

    @action("administer")
    def keys(self) -> list[KeyInfo]:
        """Every API key, the revoked included."""
        return [_info(key) for key in self.ledger.keys()]  # noqa: SIM118

    @action("administer")
    def create_key(self, name: str, role: Role, *, expires_at: float | None = None) -> NewKey:
        """A new API key. Its token is in this answer and nowhere else."""
        key, token = self.ledger.create_key(name, role, actor=self.actor.id, expires_at=expires_at)
        return NewKey(_info(key), token)

    @action("administer")
    def revoke_key(self, key_id: str) -> KeyInfo:
        """Close an API key for good."""
        return _info(self.ledger.revoke_key(key_id, actor=self.actor.id))


def _info(key: ApiKey) -> KeyInfo:
    return KeyInfo(key.id, key.name, key.role, key.created_at, key.created_by, key.expires_at, key.revoked_at)
