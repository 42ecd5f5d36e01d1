"""The routing table: weights, limits, replacement."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fourfold.application.serving import routing
from fourfold.application.serving.routing import (
    Limits,
    RoutedDeployment,
    RoutedKey,
    RoutedVersion,
    Routes,
    RoutingTable,
    limits_of,
)
from fourfold.core.errors import BadSpec


def version(number: int, weight: float) -> RoutedVersion:
    return RoutedVersion(f"m@{number}", str(number) * 64, "noop", ("tag",), "/engine.sock", weight)


def test_the_choice_follows_the_weights_and_repeats_itself():
    deployment = RoutedDeployment("d", (version(1, 0.9), version(2, 0.1)), Limits(), 0.0)
    ids = [f"req_{i:026d}" for i in range(5000)]
    chosen = [deployment.choose(i)[0].ref for i in ids]
    assert chosen == [deployment.choose(i)[0].ref for i in ids]
    share = Counter(chosen)["m@2"] / len(ids)
    assert abs(share - 0.1) < 0.02  # 4.7 standard deviations of a fair draw
    assert deployment.choose(ids[0])[1] in ("weight 0.9 of 2 versions", "weight 0.1 of 2 versions")


def test_one_version_takes_everything():
    deployment = RoutedDeployment("d", (version(1, 1.0),), Limits(), 0.0)
    assert deployment.choose("req_x")[0].ref == "m@1"


def test_limits():
    assert limits_of({}) == Limits()
    assert limits_of({"max_inputs": 3}, {"max_inputs": 5, "timeout_seconds": 2.0}) == Limits(max_inputs=3, timeout_seconds=2.0)
    assert limits_of({"timeout_seconds": 2}).timeout_seconds == 2
    for wrong in ({"max_input": 3}, {"max_inputs": "3"}, {"max_inputs": 0}, {"timeout_seconds": -1.0}):
        with pytest.raises(BadSpec, match="limits"):
            limits_of(wrong)


def test_a_new_table_is_seen_once_and_a_missing_one_changes_nothing(tmp_path: Path):
    (tmp_path / "run").mkdir()
    routes = Routes(tmp_path)
    assert not routes.refresh()
    assert not routes.trusted(now=1e9)
    table = RoutingTable(
        "1", 1e9, (RoutedDeployment("d", (version(1, 1.0),), Limits(), 0.0),), (RoutedKey("h", "k", "n", "reader"),)
    )
    routing.write(tmp_path, table)
    assert routing.path_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert routes.refresh()
    assert not routes.refresh()
    assert routes.table == table
    assert routes.engines() == {"/engine.sock"}
    assert routes.trusted(now=1e9 + 3600)
    assert not routes.trusted(now=1e9 + routing.KEYS_LIVE_SECONDS)
    routing.path_of(tmp_path).unlink()
    assert not routes.refresh()
    assert list(routes.keys) == ["h"]
    routing.write(tmp_path, RoutingTable("2", 2e9))
    assert routes.refresh()
    assert routes.keys == {}
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["routing.msgpack"]


def test_a_table_is_followed_once_every_front_says_so(tmp_path):
    (tmp_path / "run").mkdir()
    old, new = RoutingTable(written_at=1.5), RoutingTable(written_at=2.25)
    assert routing.followed(tmp_path, [], new)  # nobody serves: nobody is behind
    assert not routing.followed(tmp_path, [1], new)
    routing.note_followed(tmp_path, 1, new)
    routing.note_followed(tmp_path, 2, old)
    assert routing.followed(tmp_path, [1], new)
    assert not routing.followed(tmp_path, [1, 2], new)
    assert routing.followed(tmp_path, [1, 2], old)
