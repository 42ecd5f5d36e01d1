"""What the suite says at the end of a run, and the servers it brings up."""

from __future__ import annotations

from tests import conftest


def test_rooms_are_the_folders_of_the_tests() -> None:
    assert conftest.room_of("tests/storage/test_ledger.py::test_a[x/y]") == "storage"
    assert conftest.room_of("tests/application/serving/test_front.py::test_a") == "application"
    assert conftest.room_of("tests/test_walk.py::test_walk") == "house"


def test_each_missing_thing_comes_with_how_to_get_it() -> None:
    assert "apt-get install postgresql" in conftest.how_to_get("PostgreSQL is not installed")
    assert "fourfold[kenlm]" in conftest.how_to_get("could not import 'kenlm': No module named 'kenlm'")
    assert conftest.how_to_get("only on Linux") == ""


def test_an_empty_database_on_each_server(database_url: str) -> None:
    from fourfold.storage.database import Database

    database = Database(database_url)
    with database.write() as connection:
        assert connection.exec_driver_sql("select 1").scalar() == 1
    database.close()
