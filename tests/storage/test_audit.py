"""The chain of audit rows shows every edit, deletion and truncation."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from fourfold.core.errors import Corrupt
from fourfold.storage import audit, schema


@pytest.fixture
def chained(ledger):
    for number in range(5):
        with ledger.write() as connection:
            audit.record(connection, "key_1", "promote", f"words@{number}", {"number": number})
    return ledger


def test_an_untouched_chain_verifies(chained):
    rows, head = chained.verify_audit()
    assert rows == 5
    assert chained.verify_audit() == (rows, head)
    with chained.write() as connection:
        audit.record(connection, "key_1", "promote", "more")
    assert chained.verify_audit()[0] == 6
    assert chained.verify_audit()[1] != head


CHANGES = {
    "an actor": sa.update(schema.audit).where(schema.audit.c.position == 2).values(actor="key_2"),
    "a detail": sa.update(schema.audit).where(schema.audit.c.position == 5).values(detail_json="{}"),
    "a time": sa.update(schema.audit).where(schema.audit.c.position == 1).values(at=0.0),
    "a row less": sa.delete(schema.audit).where(schema.audit.c.position == 3),
    "the last row less": sa.delete(schema.audit).where(schema.audit.c.position == 5),
    "two rows exchanged": sa.update(schema.audit)
    .where(schema.audit.c.position.in_((2, 3)))
    .values(thing=sa.case((schema.audit.c.position == 2, "words@2"), else_="words@1")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_shows(chained, change):
    chained.verify_audit()
    with chained.write() as connection:
        connection.execute(change)
    with pytest.raises(Corrupt):
        chained.verify_audit()


def test_sealing_goes_on_where_it_stopped(chained, monkeypatch):
    monkeypatch.setattr(audit, "BATCH", 2)
    assert [audit.seal(chained.database) for _ in range(4)] == [2, 2, 1, 0]
    assert audit.verify(chained.database)[0] == 5
