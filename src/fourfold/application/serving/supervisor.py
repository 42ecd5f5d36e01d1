"""The supervisor: one process per home that keeps fronts, engine and management running and the routing table true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from fourfold.application.serving import home as homes
from fourfold.application.serving.processes import PACKAGE, Child, Lifeline
from fourfold.core.config import read_settings
from fourfold.core.errors import NotPermitted

if TYPE_CHECKING:
    from fourfold.storage.ledger import Ledger


def serve(
    home: Path, host: str | None = None, port: int | None = None, *, announce: Callable[[str], None] = lambda _: None
) -> None:
    """Serve a home until SIGINT or SIGTERM. `announce` is told the address when the port is open.

    `host` and `port` None are those of the home's settings. Raises Conflict if the home is served already or the port is in
    use, NotPermitted for an address beyond loopback without a key.
    """
    settings = read_settings(home)
    host, port = settings.host if host is None else host, settings.port if port is None else port
    with ExitStack() as stack:
        stack.enter_context(closing(homes.Lock(home)))
        sockets = homes.make_sockets(home)
        stack.callback(homes.remove_sockets, home)
        homes.make_salt(home)
        lifeline = Lifeline()
        engine = engine_child(sockets, lifeline)
        stack.callback(engine.wait, 5.0)
        stack.callback(lifeline.close)
        engine.start()
        # half a second of imports, in which the engine imports its own
        from fourfold.application.serving.watch import Watch
        from fourfold.storage.ledger import Ledger

        ledger = stack.enter_context(closing(Ledger.open(home)))
        refuse_open_house(host, ledger)
        listener = stack.enter_context(homes.listen(host, port))
        asyncio.run(Watch(home, ledger, settings, listener, engine, sockets, lifeline).run(announce))


def engine_child(sockets: Path, lifeline: Lifeline) -> Child:
    """The engine of the statistical families."""
    command = (f"{PACKAGE}.engine", str(homes.engine_socket(sockets)), str(lifeline.theirs))
    return Child("engine", lambda: command, (lifeline.theirs,))


def refuse_open_house(host: str, ledger: Ledger) -> None:
    """Raises NotPermitted where others could reach a home that has no key."""
    with suppress(ValueError):
        if ip_address(host).is_loopback:
            return
    if host != "localhost" and not any(key.alive(time.time()) for key in ledger.keys()):  # noqa: SIM118
        raise NotPermitted(
            f"{host} can be reached from other machines, and this home has no key.",
            hint="Run: fourfold keys create NAME --role reader",
        )
