"""API keys."""

from __future__ import annotations

from fourfold.application.results import KeyInfo, NewKey
from fourfold.application.sdk import Line
from fourfold.core.nouns import Role


class Keys(Line):
    """API keys."""

    def keys(self) -> list[KeyInfo]:
        """Every API key, the revoked included."""
        return self._do("keys", {}, list[KeyInfo])

    def create_key(self, name: str, role: Role, *, expires_at: float | None = None) -> NewKey:
        """A new API key. Its token is in this answer and nowhere else."""
        return self._do("create_key", {"name": name, "role": role, "expires_at": expires_at}, NewKey)

    def revoke_key(self, key_id: str) -> KeyInfo:
        """Close an API key for good."""
        return self._do("revoke_key", {"key_id": key_id}, KeyInfo)
