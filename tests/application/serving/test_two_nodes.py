"""Two homes on one PostgreSQL and one blob store: what one deploys both serve, and neither loses a record of the other's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.application.serving.request_segments import find
from fourfold.core.errors import BadSpec, Conflict
from fourfold.core.nouns import Route
from fourfold.storage.ledger import Ledger
from fourfold.storage.nodes import FRONTS, fronts_of, number_of

from .conftest import Home, until

ONE = {"text": "a b"}


class Node(Home):
    """A home whose ledger is elsewhere, and whose blobs are another's."""

    def __init__(self, folder: Path, url: str, blobs: Path) -> None:
        folder.mkdir()
        blobs.mkdir(exist_ok=True)
        (folder / "blobs").symlink_to(blobs)
        super().__init__(folder)
        self.ledger.close()
        (folder / "ledger.sqlite").unlink()
        (folder / "fourfold.toml").write_text(f'database = "{url}"\nseal_seconds = 0.5\n')
        self.ledger = Ledger.open(folder, url=url)
        self.token = self.ledger.create_key(folder.name, "reader", actor="cli")[1]


@pytest.fixture
def nodes(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Node, Node]]:
    pair = Node(tmp_path / "a", postgres_url, tmp_path / "blobs"), Node(tmp_path / "b", postgres_url, tmp_path / "blobs")
    yield pair
    for node in pair:
        node.close()


def test_both_serve_what_one_deploys_and_every_answer_is_found(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.deploy("words", Route(a.train("SEEN").ref))
    for node in nodes:
        node.up()
    answers: list[str] = []
    for _ in range(5):
        for node in nodes:
            body = node.ask("words:tag", ONE, token=a.token).json()  # a key of one opens both
            assert body["results"][0]["tokens"][0]["label"] == "SEEN"
            answers.append(body["id"])
    until(lambda: sum(segment.rows for segment in a.ledger.segments()) == len(answers))
    assert {segment.front for segment in a.ledger.segments()} == {1, FRONTS + 1}
    for answer in answers:  # sealed, so that either node finds all
        assert find(a.folder, a.ledger, answer).code == find(b.folder, b.ledger, answer).code == "ok"


def test_a_node_keeps_its_number_and_nobody_else_gets_it(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    assert [number_of(node.folder, node.ledger.database) for node in (b, a, b, a)] == [0, 1, 0, 1]
    assert list(fronts_of(1, 2)) == [FRONTS + 1, FRONTS + 2]
    with pytest.raises(BadSpec, match="Add a node"):
        fronts_of(0, FRONTS + 1)


def test_a_copied_home_loses_no_log(nodes: tuple[Node, Node], tmp_path: Path) -> None:
    """The copy has the number of its original: its log is kept, and the reason is said."""
    a, b = nodes
    number_of(a.folder, a.ledger.database)
    shutil.copy(a.folder / "node", b.folder / "node")
    file = tmp_path / "requests.parquet"
    file.write_bytes(b"rows of a")
    a.ledger.add_segment(file, name="1-000001", front=1, rows=3, first_at=1.0, last_at=2.0)
    a.ledger.add_segment(file, name="1-000001", front=1, rows=3, first_at=1.0, last_at=2.0)  # a sealer that runs again
    file.write_bytes(b"rows of b")
    with pytest.raises(Conflict, match="two homes have one number"):
        b.ledger.add_segment(file, name="1-000001", front=1, rows=9, first_at=5.0, last_at=6.0)
