"""Backups of the home: made, listed, and checked by restoring them."""

from __future__ import annotations

from pathlib import Path

from fourfold.application.permissions import action
from fourfold.application.results import BackupList
from fourfold.application.topics import Hand
from fourfold.storage import backup, encrypt, restore


class Backups(Hand):
    """Backups of the home. Places and key files are paths of the home's machine, or URLs such as `s3://bucket/prefix`."""

    @action("administer")
    def back_up(self, place: str, *, key_file: str | None = None, keep: int = 0) -> backup.Backup:
        """Back the home up: only what is not in the place yet is written. `keep`: remove all but the newest so many backups."""
        keys = _keys(key_file)
        return backup.back_up(self.ledger, place, actor=self.actor.id, keys=keys, keep=keep, progress=self.progress)

    @action("administer")
    def verify_backup(self, place: str, *, backup_id: str | None = None, key_file: str | None = None) -> restore.Restored:
        """Restore a backup, the newest unless one is named, into a scratch folder, examine it, and remember the outcome."""
        return restore.verify(self.ledger, place, backup_id=backup_id, keys=_keys(key_file))

    @action("administer")
    def backups(self) -> BackupList:
        """The backups that this home made, newest first, and the age of the newest that was verified."""
        return BackupList(backup.backups(self.ledger), backup.age_seconds(self.ledger))


def _keys(key_file: str | None) -> encrypt.Keys | None:
    return encrypt.read_keys(Path(key_file).expanduser()) if key_file else None
