"""Who is asking: the API key of a request, as an Actor."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from fourfold.core.errors import NotSignedIn
from fourfold.storage.ledger import Ledger

NEXT = "Send the header Authorization: Bearer TOKEN; an admin makes one with: fourfold keys create NAME --role ROLE"


class KeyHolder(AbstractAuthenticationMiddleware):
    """Finds the actor behind `Authorization: Bearer`. Loopback needs a key, too."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """The actor, or NotSignedIn for a key that is missing, unknown, revoked or expired."""
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotSignedIn("This needs an API key.", hint=NEXT)
        ledger: Ledger = connection.app.state.ledger
        key = await asyncio.to_thread(ledger.find_key, token.strip())
        if key is None or not key.alive(time.time()):
            state = "not known" if key is None else "revoked" if key.revoked_at else "expired"
            raise NotSignedIn(f"This API key is {state}.", hint=NEXT)
        return AuthenticationResult(user=key.actor, auth=key.id)
