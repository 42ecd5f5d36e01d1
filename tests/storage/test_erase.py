"""Erasure: a state with a receipt that reading, publishing, repair, garbage collection and restore honour."""

from __future__ import annotations

import shutil

import pytest

from fourfold.core.errors import Conflict, Corrupt, Erased, FourfoldError
from fourfold.core.fingerprint import digest_bytes
from fourfold.core.nouns import Actor
from fourfold.storage import erase, restore, states
from fourfold.storage.backup import back_up
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")


def test_an_erased_version_is_gone_and_says_so(ledger, publish):
    version, other = publish(content="secret"), publish(content="harmless")
    ledger.materialise(version)
    receipt = erase.erase(ledger, [version.ref], actor="owner", reason="request 7")
    assert (receipt.versions, receipt.chunks) == (("words@1",), (digest_bytes(b"secret"),))
    assert not ledger.blobs.has(digest_bytes(b"secret"))
    assert not (ledger.materialised.folder / version.digest).exists()
    with pytest.raises(Erased, match=f"words@1 is erased, receipt {receipt.receipt}"):
        ledger.materialise(version)
    with pytest.raises(Erased):
        ledger.manifest(version)
    assert erase.is_erased(ledger.database, digest_bytes(b"secret"))
    assert erase.is_erased(ledger.database, version.digest)
    assert not erase.is_erased(ledger.database, other.digest)
    assert [r.receipt for r in erase.read_register(ledger.register)] == [receipt.receipt]
    assert fsck(ledger) == []
    with pytest.raises(Erased, match="nothing left"):
        erase.erase(ledger, [version.ref], actor="owner", reason="again")


def test_versions_of_equal_content_go_together_and_shared_chunks_stay(ledger):
    def publish(**files):
        with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
            for name, text in files.items():
                (run.folder / name).write_text(text)
        return run.version

    first, twin, other = publish(a="secret", b="shared"), publish(a="secret", b="shared"), publish(b="shared")
    receipt = erase.erase(ledger, [first.ref], actor="owner", reason="")
    assert receipt.versions == (first.ref, twin.ref)
    assert (receipt.chunks, receipt.shared_chunks) == ((digest_bytes(b"secret"),), 1)
    assert (ledger.materialise(other) / "b").read_text() == "shared"
    assert fsck(ledger) == []


def test_publishing_erased_bytes_again_is_refused_and_leaves_nothing(ledger, publish):
    receipt = erase.erase(ledger, [publish(content="secret").ref], actor="owner", reason="")
    with pytest.raises(Erased, match=receipt.receipt):
        publish("other", "secret")
    assert not ledger.blobs.has(digest_bytes(b"secret"))
    assert ledger.runs()[0].state == "failed"
    assert fsck(ledger) == []


def test_an_erased_chunk_that_comes_back_into_a_store_is_found_and_taken_out(ledger, publish):
    erase.erase(ledger, [publish(content="secret").ref], actor="owner", reason="")
    ledger.blobs.put(digest_bytes(b"secret"), b"secret")
    assert [finding.check for finding in fsck(ledger)] == ["erasure"]
    collect_garbage(ledger, actor=OWNER)
    assert fsck(ledger) == []


def test_a_home_from_before_an_erasure_is_cured_by_the_register(tmp_path):
    home = tmp_path / "home"
    ledger = Ledger.open(home)
    with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "w").write_text("secret")
    ledger.close()
    shutil.copytree(home, tmp_path / "backup")
    ledger = Ledger.open(home)
    receipt = erase.erase(ledger, ["words@1"], actor="owner", reason="")
    ledger.close()
    restored = Ledger.open(tmp_path / "backup")
    restored.register = home / "erasures"
    assert [f.problem for f in fsck(restored)] == ["the register has this erasure and the database does not"]
    assert erase.replay_register(restored) == [receipt.receipt]
    assert not restored.blobs.has(digest_bytes(b"secret"))
    with pytest.raises(Erased):
        restored.materialise(restored.version("words@1"))
    assert erase.replay_register(restored) == []
    assert fsck(restored) == []
    restored.close()


def test_an_erasure_that_was_cut_short_goes_on_from_the_register(ledger, publish, monkeypatch):
    publish(content="secret")

    def fails(self, digest):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(type(ledger.blobs), "remove", fails)
        with pytest.raises(OSError, match="Input/output"):
            erase.erase(ledger, ["words@1"], actor="owner", reason="")
    assert {finding.check for finding in fsck(ledger)} == {"erasure"}
    collect_garbage(ledger, actor=OWNER)
    assert not ledger.blobs.has(digest_bytes(b"secret"))
    assert fsck(ledger) == []


def test_a_torn_last_line_is_no_receipt_and_a_bad_line_stops_everything(ledger, publish):
    publish(content="one"), publish(content="two")
    erase.erase(ledger, ["words@1"], actor="owner", reason="")
    file = ledger.register / "register.jsonl"
    with file.open("ab") as out:
        out.write(b'{"receipt": "era_ha\n\x00\xff\n\nrubbish')  # a torn block may hold line ends
    assert len(list(erase.read_register(ledger.register))) == 1
    erase.erase(ledger, ["words@2"], actor="owner", reason="")
    assert len(list(erase.read_register(ledger.register))) == 2
    file.write_bytes(b"{}\n" + file.read_bytes())
    with pytest.raises(Corrupt, match="Line 1"):
        erase.replay_register(ledger)
    whole = file.read_bytes().removeprefix(b"{}\n")
    file.write_bytes(whole.replace(b"words@2", b"words\xff2"))  # the last receipt, damaged after it was whole
    with pytest.raises(Corrupt, match="Line 3"):
        erase.replay_register(ledger)


def test_what_is_held_is_not_erased(ledger, publish):
    version = publish(content="evidence")
    with ledger.write() as connection:
        states.hold(connection, version, "owner", "case 12")
    with pytest.raises(Conflict, match="legal hold"):
        erase.erase(ledger, [version.ref], actor="owner", reason="")
    assert not list(erase.read_register(ledger.register))


def test_a_backup_from_before_an_erasure_restores_without_the_erased(ledger, publish, tmp_path):
    publish(content="secret")
    publish(content="harmless")
    back_up(ledger, str(tmp_path / "place"), actor="owner")
    receipt = erase.erase(ledger, ["words@1"], actor="owner", reason="request 7")
    restore.restore(str(tmp_path / "place"), tmp_path / "restored", register=ledger.register)
    restore.verify(ledger, str(tmp_path / "place"))
    again = Ledger.open(tmp_path / "restored")
    assert not again.blobs.has(digest_bytes(b"secret"))
    with pytest.raises(Erased, match=receipt.receipt):
        again.materialise(again.version("words@1"))
    assert (again.materialise(again.version("words@2")) / "weights.txt").read_text() == "harmless"
    assert fsck(again) == []
    again.close()


def test_a_replica_does_not_bring_back_what_was_erased(ledger, publish, tmp_path):
    from fourfold.storage import store_rows

    with ledger.write() as connection:
        store_rows.insert(connection, "owner", "second", "local", {"folder": str(tmp_path / "second")})
    ledger.blobs.refresh(ledger.home, ledger.database)
    version = publish(content="secret")
    second = ledger.blobs.opened["second"]
    assert second.has(digest_bytes(b"secret"))
    erase.erase(ledger, [version.ref], actor="owner", reason="")
    assert not second.has(digest_bytes(b"secret"))
    second.put(digest_bytes(b"secret"), b"secret")  # a disk that was away, back with what it had
    with pytest.raises(FourfoldError):
        ledger.blobs.get(digest_bytes(b"secret"))
    assert not ledger.blobs.primary.has(digest_bytes(b"secret"))
    collect_garbage(ledger, actor=OWNER)
    assert not second.has(digest_bytes(b"secret"))
    assert fsck(ledger) == []
