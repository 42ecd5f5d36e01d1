"""Search: every string is a query, what is literally there is found, and an update makes what a rebuild makes."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bench import search_rows

from fourfold.core.errors import BadInput, BadSpec, Corrupt, Erased
from fourfold.core.nouns import Actor
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import FragmentWriter
from fourfold.data.indexes import INDEXES, Asked
from fourfold.data.indexes.bm25 import Bm25, Words
from fourfold.data.queries import parse
from fourfold.data.search import OpenIndex, build, index
from fourfold.storage.erase import erase
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
SIGNS = [
    *string.punctuation,
    *"。，、；：？！“”‘’「」『』（）【】《》…—～·￥",
    "C++ (test",
    "a AND",
    "title:",
    '"',
    "((",
    "\\",
    "*",
    "\x00",
]


def dataset(folder: Path, texts: Sequence[str], per_fragment: int = 50_000, **columns: Sequence[object]) -> Dataset:
    folder.mkdir()
    writer = FragmentWriter(folder, rows=per_fragment)
    for n, text in enumerate(texts):
        row = {"doc_id": f"doc_{n}", "text": text, "source": f"a.txt#{n + 1}", "source_digest": "0", "fetched_at": None}
        writer.add(row | {name: values[n] for name, values in columns.items()}, 1)
    writer.close()
    return Dataset(folder)


def opened(source: Dataset, folder: Path, before: Path | None = None) -> OpenIndex:
    folder.mkdir()
    spec = {"bm25": {"columns": ["title", "text"]}}
    build(INDEXES.build(spec), spec, list(source.fragments()), folder, before=before)
    return OpenIndex(folder)


def ids(found: OpenIndex, query: str, **more: object) -> list[str]:
    return [hit.doc_id for hit in found.search(query, **more).hits]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """20,000 rows in four fragments, and the folder of their index."""
    folder = tmp_path_factory.mktemp("many")
    texts = search_rows.rows()
    opened(dataset(folder / "rows", texts, 5_000), folder / "index").close()
    return texts, folder / "index"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIndex]:
    tmp_path = tmp_path_factory.mktemp("few")
    texts = [
        "C++ (test) 怎么编译",
        "测试 test only",
        "快递费太贵了",
        "客服。态度不明",
        "客服\n态度很好",
        "The Wi-Fi café is open",
        "ＷＩＦＩ 连不上",
        "𠮷野家的快递 😀",
    ]
    titles = ["编译", "快递", None, "客服态度", None, "Café", None, None]
    prices = [1, 2, 3, 4, 5, None, 7, 8]
    with closing(opened(dataset(tmp_path / "rows", texts, 3, title=titles, price=prices), tmp_path / "index")) as found:
        yield found


def everything(words: Words, query: str) -> set[int]:
    """All rows that a query finds."""
    ranked = words.rank(Asked(query, parse(query), 20_000))
    assert len(ranked.hits) == ranked.total
    return {hit.row for hit in ranked.hits}


def test_rows_that_literally_hold_a_string_are_found(many: tuple[list[str], Path]) -> None:
    texts, folder = many
    literal = right = returned = quoted = 0
    with closing(Bm25().open(folder, None)) as words:
        for wanted in search_rows.strings(texts):
            rows = {n for n, text in enumerate(texts) if wanted in text}
            assert rows, wanted
            got, exact = everything(words, wanted), everything(words, f'"{wanted}"')
            assert rows <= exact <= got, wanted
            literal, right, returned = literal + len(rows), right + len(rows & got), returned + len(got)
            quoted += len(exact)
    print(
        f"\nrecall {right / literal:.4f}, precision {right / returned:.4f}, quoted: recall 1, precision {literal / quoted:.4f}"
    )
    assert right == literal
    assert right / returned >= 0.8  # the words of a stretch may stand apart; in quotes they may not
    assert literal / quoted >= 0.99


def test_the_two_examples_of_the_promise(many: tuple[list[str], Path]) -> None:
    texts, folder = many
    with closing(Bm25().open(folder, None)) as words:
        found = everything(words, "快递")
        assert found == {n for n, text in enumerate(texts) if "快递" in text}
        assert found > {n for n, text in enumerate(texts) if "快递费" in text} > set()
        assert everything(words, "客服态度") >= {n for n, text in enumerate(texts) if "客服态度" in text} > set()


@pytest.mark.parametrize("sign", SIGNS)
def test_every_sign_is_a_query(few: OpenIndex, sign: str) -> None:
    for query in (sign, f"{sign} test", f"test{sign}", f"快递{sign}", f"{sign}{sign}"):
        for match in ("all", "any"):
            answer = few.search(query, match=match)
            assert len(answer.hits) == answer.total


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("C++ (test", ["doc_0"]),
        ("test", ["doc_0", "doc_1"]),
        ("快递", ["doc_1", "doc_2", "doc_7"]),  # in a title, inside a longer word, and after a rare character
        ("客服态度", ["doc_3", "doc_4"]),
        ('"客服态度"', ["doc_3", "doc_4"]),  # in a title, and over a line's end
        ("text:“客服态度”", ["doc_4"]),  # a full stop stands between them in the other
        ("title:快递", ["doc_1"]),
        ("title:快递 test", ["doc_1"]),
        ("wifi", ["doc_5", "doc_6"]),
        ("wi-fi", ["doc_5", "doc_6"]),
        ('"wi-fi"', ["doc_5"]),
        ("CAFE", ["doc_5"]),
        ("𠮷野家", ["doc_7"]),
        ("😀", ["doc_7"]),
        ("快递 test", ["doc_1"]),  # both
        ("快递 没有的词", []),
        ("", []),
        ("nowhere:快递", []),  # no such column: text like any other
    ],
)
def test_what_is_found(few: OpenIndex, query: str, found: list[str]) -> None:
    assert sorted(ids(few, query)) == found


def test_some_words_are_enough_if_asked_so(few: OpenIndex) -> None:
    answer = few.search("快递 没有的词")
    assert (answer.hits, answer.total) == ([], 0)
    assert "match any" in answer.note
    assert set(ids(few, "快递 没有的词", match="any")) == {"doc_1", "doc_2", "doc_7"}
    assert ids(few, '"没有的词" 快递', match="any") == []  # what is quoted must be there


def test_filters_choose_rows_before_the_limit(few: OpenIndex) -> None:
    answer = few.search("快递", limit=1, filters=["price>=3", "price!=3"])
    assert ([hit.doc_id for hit in answer.hits], answer.total) == (["doc_7"], 1)
    assert ids(few, "快递", filters=["title=快递"]) == ["doc_1"]
    assert answer.hits[0].fields["price"] == 8
    with pytest.raises(BadInput, match="Did you mean 'price'"):
        few.search("快递", filters=["prize>3"])
    with pytest.raises(BadInput, match="compares int64 with 'dear'"):
        few.search("快递", filters=["price>dear"])
    with pytest.raises(BadInput, match="says nothing of a column"):
        few.search("快递", filters=["price"])


def test_pages_follow_each_other(many: tuple[list[str], Path]) -> None:
    with closing(OpenIndex(many[1])) as found:
        whole = ids(found, "快递费", limit=60)
        assert [*ids(found, "快递费", limit=30), *ids(found, "快递费", limit=30, offset=30)] == whole
        assert len(set(whole)) == 60
        with pytest.raises(BadInput, match="limit"):
            found.search("快递费", limit=0)


def test_an_update_makes_what_a_rebuild_makes(tmp_path: Path) -> None:
    texts = search_rows.rows(600)
    old = opened(dataset(tmp_path / "old", texts, 200), tmp_path / "before")
    changed = [*texts[:200], *(f"{text}。新的" for text in texts[200:400]), *texts[400:]]
    source = dataset(tmp_path / "new", changed, 200)
    updated, rebuilt = opened(source, tmp_path / "updated", tmp_path / "before"), opened(source, tmp_path / "rebuilt")
    with closing(old), closing(updated), closing(rebuilt):
        for query in ("快递", "客服态度", '"新的"'):
            assert updated.search(query, limit=100) == rebuilt.search(query, limit=100)
        for one, rows in ((updated, changed), (old, texts)):
            assert one.search('"新的"').total == sum("新的" in text for text in rows)
    written = {p.relative_to(tmp_path / "rebuilt"): p.read_bytes() for p in (tmp_path / "rebuilt").rglob("*") if p.is_file()}
    for path, data in written.items():
        if not path.name.startswith("."):
            assert (tmp_path / "updated" / path).read_bytes() == data, path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def test_an_index_is_a_version_with_its_lineage(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("快递费\n\n客服态度")
    spec = {"files": {"path": str(tmp_path / "notes"), "formats": {"txt": {"unit": "line"}}}}
    notes = collect(ledger, ACTOR, "notes", spec, licence="CC-BY-4.0")
    made = index(ledger, ACTOR, "notes-index", notes)
    assert (made.ref, made.kind, made.meta["rows"], made.meta["taken_over"]) == ("notes-index@1", "index", 2, 0)
    assert [v.ref for v in ledger.inputs(made)] == ["notes@1"]
    assert made.meta["licence"] == "CC-BY-4.0"
    again = index(ledger, ACTOR, "notes-index", notes)
    assert (again.digest, again.meta["taken_over"]) == (made.digest, 1)
    with closing(OpenIndex(ledger.materialise(made))) as found:
        assert found.search("快递").total == 1

    erase(ledger, ["notes@1"], actor="key_1", reason="request 1")  # the indexes of what is erased go with it
    for version in (made, again):
        with pytest.raises(Erased):
            ledger.materialise(version)


def test_what_cannot_be_indexed_says_why(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("快递费")
    notes = collect(ledger, ACTOR, "notes", {"files": {"path": str(tmp_path / "a.txt")}})
    made = index(ledger, ACTOR, "i", notes)
    with pytest.raises(BadInput, match="no dataset but of the kind index"):
        index(ledger, ACTOR, "j", made)
    with pytest.raises(BadInput, match="no text in the columns body"):
        index(ledger, ACTOR, "j", notes, {"bm25": {"columns": ["body"]}})
    with pytest.raises(BadSpec, match="Did you mean 'columns'"):
        index(ledger, ACTOR, "j", notes, {"bm25": {"column": ["body"]}})
    with pytest.raises(Corrupt):
        OpenIndex(tmp_path)


def test_a_dataset_without_rows_answers_nothing(tmp_path: Path) -> None:
    source = dataset(tmp_path / "rows", ["快递"])
    path = next(source.fragments()).path
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with closing(opened(source, tmp_path / "index")) as found:
        assert found.search("快递").note == "The index holds no document."


def test_columns_that_hold_no_text_are_not_searched(tmp_path: Path) -> None:
    source = dataset(tmp_path / "rows", ["快递 7", "水壶"], title=[1, 7])
    with closing(opened(source, tmp_path / "index")) as found:
        assert ids(found, "7") == ["doc_0"]
        assert ids(found, "title:7") == []  # text like any other
        assert ids(found, "水壶", filters=["title=7"]) == ["doc_1"]


def test_what_is_far_beyond_the_end_is_empty(few: OpenIndex) -> None:
    for offset in (8, 10**6, 10**15):
        answer = few.search("快递", offset=offset, limit=1000)
        assert (answer.hits, answer.total) == ([], 3)
    assert few.search(f'"{"快" * 9_000}"').total == 0  # a long phrase


def test_an_index_of_words_is_not_searched_by_vectors(few: OpenIndex) -> None:
    assert few.search("快递", by="words").total == 3
    for by in ("vectors", "both"):
        with pytest.raises(BadInput, match=f"cannot be searched by {by}"):
            few.search("快递", by=by)
