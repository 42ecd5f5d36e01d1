"""The S3 server of the tests is a real one: with one of three nodes dead it goes on, with two dead it refuses."""

from __future__ import annotations

import obstore
import pytest
from obstore.exceptions import GenericError
from obstore.store import S3Store
from tests.faults.swift import Swift


def test_one_dead_node_is_borne_two_are_refused(swift: Swift, s3_bucket: dict[str, str]) -> None:
    options = dict(s3_bucket)
    store = S3Store(options.pop("bucket"), config=options, retry_config={"max_retries": 0})  # type: ignore[arg-type]
    obstore.put(store, "before", b"before")
    swift.kill(1)
    obstore.put(store, "during", b"during")
    assert bytes(obstore.get(store, "before").bytes()) == b"before"
    assert bytes(obstore.get(store, "during").bytes()) == b"during"
    swift.kill(3)
    with pytest.raises(GenericError, match="503"):
        obstore.put(store, "refused", b"refused")
    swift.whole()
    with pytest.raises(FileNotFoundError):
        obstore.get(store, "refused")
    assert bytes(obstore.get(store, "during").bytes()) == b"during"
