"""The platform by topic: each file holds the acts of one, and `platform.Platform` has them all."""

from __future__ import annotations

from pathlib import Path

from fourfold.core.config import Settings
from fourfold.core.nouns import Actor
from fourfold.core.progress import Progress, silent
from fourfold.storage.ledger import Ledger


class Hand:
    """What every act works with: the home's ledger and settings, who acts, and who is told how far it is."""

    def __init__(self, ledger: Ledger, actor: Actor, settings: Settings, *, progress: Progress = silent) -> None:
        self.ledger = ledger
        if settings.erasure_register:
            ledger.register = Path(settings.erasure_register).expanduser().absolute()
        if settings.lineage_url or settings.lineage_file:
            from fourfold.application.lineage import Lineage  # httpx is loaded only where somebody is told

            ledger.told = Lineage(ledger.home, settings)
        self.actor = actor
        self.settings = settings
        self.progress = progress
