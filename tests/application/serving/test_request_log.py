"""The request log: ids, torn tails, full disks, sealing, finding."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.application.serving.request_log import (
    UNRECORDED,
    Closed,
    Opened,
    RequestId,
    RequestLog,
    Ticket,
    Torn,
    adopt,
    closed_path,
    next_segment,
    open_path,
    read_log,
)
from fourfold.application.serving.request_segments import ROW_GROUP_ROWS, find, seal
from fourfold.core.errors import BadInput, NotFound
from fourfold.storage.ledger import Ledger


def begin(log: RequestLog, actor: str = "key_1") -> Ticket:
    ticket = log.place()
    log.opened(ticket, Opened(ticket.id.at_ms, actor, "words", "noop@1", "d" * 64, "tag", "noop", "t", 1, "h", 10))
    return ticket


def end(log: RequestLog, ticket: Ticket, code: str = "ok") -> None:
    log.closed(ticket, Closed(ticket.id.offset, code, "", 0.5, 3, b"", 0.1, 0.2, 0.3))


@pytest.fixture
def ledger(tmp_path: Path):
    found = Ledger.open(tmp_path)
    yield found
    found.close()


@given(
    st.builds(
        RequestId, st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**24 - 1), st.integers(0, 2**40 - 1)
    )
)
def test_an_id_says_where_its_record_is(id: RequestId):
    assert RequestId.parse(str(id)) == id
    assert len(str(id)) == 30


@pytest.mark.parametrize(
    "text", ["", "req_", "run_01m84t0hbq000g000200000000", "req_01m84t0hbq000g00020000000u", "req_z" + "0" * 25]
)
def test_what_is_no_id(text: str):
    with pytest.raises(BadInput):
        RequestId.parse(text)


def test_a_record_is_found_while_it_runs_and_after(tmp_path: Path, ledger: Ledger):
    log = RequestLog(tmp_path, 1, 1)
    first, second = begin(log), begin(log, "key_2")
    end(log, second, "timed_out")
    log.flush()
    assert find(tmp_path, ledger, str(first.id)).code == "open"
    found = find(tmp_path, ledger, str(second.id))
    assert (found.actor, found.code, found.confidence, found.total_ms) == ("key_2", "timed_out", 0.5, 0.3)
    end(log, first)
    log.flush()
    assert find(tmp_path, ledger, str(first.id)).code == "ok"
    log.close()
    assert find(tmp_path, ledger, str(first.id)).code == "ok"


def test_what_has_no_record(tmp_path: Path, ledger: Ledger):
    log = RequestLog(tmp_path, 1, 1)
    with pytest.raises(NotFound, match="refused"):
        find(tmp_path, ledger, str(log.unrecorded()))
    ticket = begin(log)
    log.flush()
    for wrong in (ticket.id._replace(offset=1), ticket.id._replace(at_ms=1), ticket.id._replace(segment=9)):
        with pytest.raises(NotFound):
            find(tmp_path, ledger, str(wrong))
    assert log.unrecorded().offset > UNRECORDED
    log.close()


def test_a_torn_tail_is_counted_and_the_rest_is_kept(tmp_path: Path, ledger: Ledger):
    log = RequestLog(tmp_path, 1, 1)
    kept, lost = begin(log), begin(log)
    log.flush()
    path = open_path(tmp_path, "1-000001")
    data = path.read_bytes()
    path.write_bytes(data[:-5])  # as a machine that lost its power leaves it
    torn = Torn()
    assert [offset for offset, _ in read_log(path, torn)] == [kept.id.offset]
    assert torn.records == 1
    adopt(tmp_path)
    sealed = seal(tmp_path, ledger)
    assert [(s.rows, s.unfinished, s.torn) for s in sealed] == [(1, 1, 1)]
    assert find(tmp_path, ledger, str(kept.id)).code == "open"
    with pytest.raises(NotFound):
        find(tmp_path, ledger, str(lost.id))


def test_a_damaged_record_is_passed_over(tmp_path: Path):
    log = RequestLog(tmp_path, 1, 1)
    tickets = [begin(log) for _ in range(3)]
    log.flush()
    path = open_path(tmp_path, "1-000001")
    data = bytearray(path.read_bytes())
    data[tickets[1].id.offset + 20] ^= 1
    path.write_bytes(data)
    torn = Torn()
    assert [offset for offset, _ in read_log(path, torn)] == [tickets[0].id.offset, tickets[2].id.offset]
    assert torn.records == 1


def test_sealed_segments_are_searched_by_row_group(tmp_path: Path, ledger: Ledger):
    log = RequestLog(tmp_path, 1, 1)
    tickets = [begin(log, f"key_{i}") for i in range(ROW_GROUP_ROWS + 10)]
    for ticket in reversed(tickets):  # the ends stand in another order than the beginnings
        end(log, ticket)
    log.close()
    assert [s.rows for s in seal(tmp_path, ledger)] == [len(tickets)]
    assert not list((tmp_path / "requests" / "closed").iterdir())
    for i in (0, ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS, len(tickets) - 1):
        found = find(tmp_path, ledger, str(tickets[i].id))
        assert (found.actor, found.code) == (f"key_{i}", "ok")
    with pytest.raises(NotFound):
        find(tmp_path, ledger, str(tickets[0].id._replace(offset=1)))


def test_sealing_again_after_a_kill_changes_nothing(tmp_path: Path, ledger: Ledger):
    log = RequestLog(tmp_path, 1, 1)
    end(log, begin(log))
    log.close()
    path = closed_path(tmp_path, "1-000001")
    data = path.read_bytes()
    seal(tmp_path, ledger)
    path.write_bytes(data)  # as if the sealer had died between the ledger and the file's end
    seal(tmp_path, ledger)
    assert len(ledger.segments()) == 1
    assert not path.exists()


def test_rotation_keeps_both_ends_of_a_request_together(tmp_path: Path, ledger: Ledger):
    log = RequestLog(tmp_path, 7, 3, seal_bytes=200)
    tickets = [begin(log)]
    while tickets[-1].id.segment == 3:
        log.flush()
        tickets.append(begin(log))
    log.flush()
    assert not closed_path(tmp_path, "7-000003").exists()  # requests are still in flight there
    for ticket in tickets:
        end(log, ticket)
    log.flush()
    assert closed_path(tmp_path, "7-000003").exists()
    assert {find(tmp_path, ledger, str(t.id)).code for t in tickets} == {"ok"}
    assert next_segment(tmp_path, [s.name for s in ledger.segments()], 7) == 5
    assert next_segment(tmp_path, [], 1) == 1
    log.close()
    seal(tmp_path, ledger)
    assert next_segment(tmp_path, [s.name for s in ledger.segments()], 7) == 5


def test_an_old_segment_is_left_when_it_holds_something(tmp_path: Path):
    log = RequestLog(tmp_path, 1, 1, seal_seconds=0.0)
    log.rotate_if_old(log.place().file.since + 1)
    assert log.place().id.segment == 1
    end(log, begin(log))
    log.rotate_if_old(log.place().file.since + 1)
    assert log.place().id.segment == 2
    assert closed_path(tmp_path, "1-000001").exists()
    log.close()


@contextmanager
def full_disk(at_bytes: int):
    """No file of this process grows beyond that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_records_and_says_so_but_no_request(tmp_path: Path, ledger: Ledger):
    log = RequestLog(tmp_path, 1, 1)
    before = begin(log)
    log.flush()
    with full_disk(log.place().id.offset + 20):
        lost = begin(log)
        log.flush()
        assert "cannot be written" in log.problem
        assert log.lost == 1
    after = begin(log)  # takes the place that the lost one would have had
    assert after.id.offset == lost.id.offset
    for ticket in (before, lost, after):
        end(log, ticket)
    log.flush()
    assert log.problem == ""
    assert log.lost == 2  # its end, too, which would otherwise be taken for the end of `after`
    log.close()
    assert [(s.rows, s.unfinished, s.torn) for s in seal(tmp_path, ledger)] == [(2, 0, 0)]
