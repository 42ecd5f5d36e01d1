"""How a store seals its chunks: with the keys of a key file."""

from __future__ import annotations

from dataclasses import dataclass

from fourfold.core.errors import NotFound, NotReady
from fourfold.storage import encrypt


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals with the newest of `keys` and opens with any of them."""

    keys: encrypt.Keys

    def close_up(self, digest: str, data: bytes) -> bytes:
        """The sealed form of a chunk."""
        return encrypt.seal(self.keys, digest, data)

    def open(self, digest: str, sealed: bytes) -> bytes:
        """The chunk. Raises Corrupt if it was changed; NotReady, so that nothing is written over it, if its key is not here."""
        try:
            return encrypt.unseal(self.keys, digest, sealed)
        except NotFound as error:
            raise NotReady(error.message, hint=error.hint) from error

    def is_newest(self, sealed: bytes) -> bool:
        """Whether it was sealed with the newest key."""
        return encrypt.key_of(sealed) == self.keys.current
