"""fsck finds each kind of damage that is planted, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from fourfold.storage import audit, schema
from fourfold.storage.fsck import fsck


def damage_blob(ledger, version):
    digest = ledger.manifest(version).files[0].digest
    path = ledger.home / "blobs" / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_text("wrong")


def lose_blob(ledger, version):
    digest = ledger.manifest(version).files[0].digest
    ledger.blobs.remove(digest)


def change(statement):
    def apply(ledger, version):
        audit.seal(ledger.database)
        with ledger.write() as connection:
            connection.execute(statement)

    return apply


DAMAGE = {
    "content": damage_blob,
    "content lost": lose_blob,
    "content listed": change(schema.manifest_file.update().values(path="other.txt")),
    "audit": change(schema.audit.update().values(actor="somebody else")),
    "paths": change(schema.manifest_file.update().values(path="../../etc/passwd")),
    "rows": change(schema.file_chunk.delete()),
    "rows numbered": change(schema.name.update().values(last_number=0)),
    "rows sized": change(schema.manifest_file.update().values(size_bytes=1)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(ledger, publish, name):
    version = publish(content="right")
    assert fsck(ledger) == []
    DAMAGE[name](ledger, version)
    assert name.split()[0] in {finding.check for finding in fsck(ledger)}


def test_progress_counts_versions(ledger, publish):
    publish(content="1"), publish(content="2")
    seen: list[tuple[float, float | None, str]] = []
    fsck(ledger, progress=lambda *step: seen.append(step))
    assert seen == [(0, 2, "versions"), (1, 2, "versions"), (2, 2, "versions")]


def test_a_row_that_points_at_nothing_is_found(ledger, publish):
    publish(content="x")
    if ledger.database.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite lets anybody write such a row")
    with closing(sqlite3.connect(ledger.home.parent / "ledger.db")) as connection:  # foreign keys are off
        connection.execute("update version set run_id = 'run_none'")
        connection.commit()
    assert {"database", "rows"} <= {finding.check for finding in fsck(ledger)}
