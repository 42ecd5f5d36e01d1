"""Backups of the home: made, listed, and checked by restoring them."""

from __future__ import annotations

from fourfold.application.results import BackupList
from fourfold.application.sdk import Line
from fourfold.storage.backup import Backup
from fourfold.storage.restore import Restored


class Backups(Line):
    """Backups of the home. Places and key files are paths of the home's machine, or URLs such as `s3://bucket/prefix`."""

    def back_up(self, place: str, *, key_file: str | None = None, keep: int = 0) -> Backup:
        """Back the home up: only what is not in the place yet is written. `keep`: remove all but the newest so many backups."""
        return self._do("back_up", {"place": place, "key_file": key_file, "keep": keep}, Backup)

    def verify_backup(self, place: str, *, backup_id: str | None = None, key_file: str | None = None) -> Restored:
        """Restore a backup, the newest unless one is named, into a scratch folder, examine it, and remember the outcome."""
        return self._do("verify_backup", {"place": place, "backup_id": backup_id, "key_file": key_file}, Restored)

    def backups(self) -> BackupList:
        """The backups that this home made, newest first, and the age of the newest that was verified."""
        return self._do("backups", {}, BackupList)
