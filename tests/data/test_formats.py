"""Each format: what becomes a document, what becomes a field, and how far a fault reaches."""

from __future__ import annotations

import gzip
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.formats import FORMATS, BadLine, Record
from fourfold.data.formats.conll import Conll
from fourfold.data.formats.conllu import Conllu
from fourfold.data.formats.delimited import Csv, Tsv
from fourfold.data.formats.jsonl import Jsonl
from fourfold.data.formats.markdown import Markdown
from fourfold.data.formats.parquet import Parquet
from fourfold.data.formats.text import Text


def read(part: Any, data: str | bytes) -> tuple[list[Record], list[tuple[int, str]]]:
    found = list(part(data.encode() if isinstance(data, str) else data))
    records = [r for r in found if isinstance(r, Record)]
    return records, [(b.line, b.reason) for b in found if isinstance(b, BadLine)]


# txt


def test_text_units() -> None:
    data = "\nfirst line\nsecond\n\n\nthird\n"
    assert read(Text(), data)[0] == [Record("first line\nsecond\n\n\nthird", 2, {})]
    assert [(r.text, r.line) for r in read(Text("paragraph"), data)[0]] == [("first line\nsecond", 2), ("third", 6)]
    assert [(r.text, r.line) for r in read(Text("line"), data)[0]] == [("first line", 2), ("second", 3), ("third", 6)]


def test_a_large_text_is_a_corpus() -> None:
    lines = [f"line {i} of a corpus" for i in range(5000)]
    assert len(read(Text(), "\n".join(lines))[0]) == 5000
    assert len(read(Text(), "\n\n".join(lines))[0]) == 5000
    assert len(read(Text(), "\n".join(lines[:10]))[0]) == 1


def test_a_broken_line_of_a_text() -> None:
    records, bad = read(Text("line"), "好\n".encode() + b"\xff\xfe?\n" + "谢谢".encode())
    assert [r.text for r in records] == ["好", "谢谢"]
    assert bad == [(2, "invalid_bytes")]


def test_a_line_of_ten_megabytes() -> None:
    assert len(read(Text("line"), "a" * 10_000_000 + "\nb")[0][0].text) == 10_000_000


# md


def test_markdown() -> None:
    records, bad = read(
        Markdown(),
        "---\ntitle: Descaling\ntags: [kettle, care]\ndate: 2026-03-18\n---\n# Descale *your* kettle\n\n"
        "Use **vinegar** or [citric acid](https://x.example/a), see `docs`.\n\n"
        "- snake_case_name stays\n> quoted\n\n```\n# not a heading\n**code**\n```\n<!-- gone -->\n## Twice a year ##\n",
    )
    assert bad == []
    assert records == [
        Record(
            "Descale your kettle\n\nUse vinegar or citric acid, see docs.\n\nsnake_case_name stays\nquoted\n\n"
            "# not a heading\n**code**\n\nTwice a year",
            6,
            {
                "title": "Descaling",
                "tags": ["kettle", "care"],
                "date": "2026-03-18",
                "headings": ["Descale your kettle", "Twice a year"],
            },
        )
    ]


def test_markdown_with_a_broken_head_keeps_its_body() -> None:
    records, bad = read(Markdown(), "---\na: [\n---\n# Title\nbody")
    assert bad == [(1, "bad_front_matter")]
    assert records[0].fields == {"title": "Title", "headings": ["Title"]}
    assert read(Markdown(), "just words")[0] == [Record("just words", 1, {})]


# csv, tsv


def test_csv_with_text_columns_and_label() -> None:
    data = 'id,subject,body,intent,stars\n007,Late,"Where is it?\nIt was due.",delivery_status,5\n008,,Thanks!,praise,\n'
    records, bad = read(Csv(text=("subject", "body"), label="intent", types={"stars": "int"}), data)
    assert bad == []
    assert records == [
        Record("Late\nWhere is it?\nIt was due.", 2, {"label": "delivery_status", "id": "007", "stars": 5}),
        Record("Thanks!", 4, {"label": "praise", "id": "008", "stars": None}),
    ]


def test_the_text_column_is_guessed_or_asked_for() -> None:
    assert read(Csv(), "ID;Body\n1;hello\n")[0] == [Record("hello", 2, {"ID": "1"})]
    assert read(Csv(), "word\nhello\n")[0] == [Record("hello", 2, {})]
    assert read(Csv(), "编号,内容\n1,你好\n")[0][0].text == "你好"
    with pytest.raises(
        BadInput, match=r"Columns: id, remark\. Name it \(formats: \{csv: \{text: remark\}\}\), or exclude the file"
    ):
        read(Csv(), "id,remark\n1,hello\n")
    with pytest.raises(BadInput, match=r"'remarks' for the text. Did you mean 'remark'\?"):
        read(Csv(text="remarks"), "id,remark\n1,hello\n")


def test_csv_rows_of_the_wrong_length() -> None:
    records, bad = read(Csv(), "id,text\n1,good\n2\n3,a,b\n4,trailing,,\n\n5,last\n")
    assert [r.fields["id"] for r in records] == ["1", "4", "5"]
    assert bad == [(3, "wrong_length"), (4, "wrong_length")]


def test_an_unclosed_quote_spoils_its_own_line_only() -> None:
    data = 'id,text\n1,good\n2,"never closed\n3,also good\n4,"closed, with comma"\n5,fine\n'
    records, bad = read(Csv(), data)
    assert [(r.fields["id"], r.line) for r in records] == [("1", 2), ("3", 4), ("4", 5), ("5", 6)]
    assert bad == [(3, "unclosed_quote")]


def test_an_unclosed_quote_at_the_end_and_far_from_any_other() -> None:
    many = "".join(f"{i},row\n" for i in range(3, 1000))
    records, bad = read(Csv(max_record_lines=20), f'id,text\n1,good\n2,"open\n{many}')
    assert len(records) == 1 + 997
    assert bad == [(3, "unclosed_quote")]
    assert read(Csv(), 'id,text\n1,good\n2,"open')[1] == [(3, "unclosed_quote")]


def test_quotes_inside_fields() -> None:
    data = 'id,text\n1,a 24" screen\n2,"say ""hi"""\n3,"odd" tail\n4,ok\n'
    records, bad = read(Csv(), data)
    assert [r.text for r in records] == ['a 24" screen', 'say "hi"', "odd tail", "ok"]
    assert bad == []


def test_csv_with_zero_bytes_mixed_line_ends_and_huge_fields() -> None:
    records, bad = read(Csv(), "id,text\r\n1,a\x00b\n2,c\r3," + "x" * 2_000_000 + "\n")
    assert [len(r.text) for r in records] == [3, 1, 2_000_000]
    assert bad == []


def test_csv_in_gb18030_with_a_broken_row() -> None:
    rows = "编号,内容\n1,水壶烧不开水了\n2,请给我换一个新的\n3,谢谢".encode("gb18030").split(b"\n")
    rows[2] += b"\xff"
    records, bad = read(Csv(), b"\n".join(rows))
    assert [r.text for r in records] == ["水壶烧不开水了", "谢谢"]
    assert bad == [(3, "invalid_bytes")]


def test_csv_values_of_the_wrong_type_and_rows_without_text() -> None:
    records, bad = read(Csv(types={"n": "int", "ok": "bool"}), "n,ok,text\n1,yes,a\nx,no,b\n3,maybe,c\n4,no,\n,,\n")
    assert [r.fields for r in records] == [{"n": 1, "ok": True}]
    assert bad == [(3, "wrong_type"), (4, "wrong_type"), (5, "no_text"), (6, "empty")]


def test_tsv() -> None:
    assert read(Tsv(), 'query\tclicked\nlong kettle\ta.html\n"quoted"\t\n')[0] == [
        Record("long kettle", 2, {"clicked": "a.html"}),
        Record("quoted", 3, {"clicked": None}),
    ]
    assert read(Tsv(quotes=False), 'query\tn\n"open\t1\n')[0] == [Record('"open', 2, {"n": "1"})]


def test_headers_without_names_or_with_equal_ones() -> None:
    assert read(Csv(), "text,,a,a\nx,1,2,3\n")[0][0].fields == {"column_2": "1", "a": "2", "a_2": "3"}
    assert read(Csv(), b"te\xffxt,a\n1,2\n" + "谢谢,谢谢\n".encode())[1] == [(1, "bad_header")]
    assert read(Csv(), "\n\n") == ([], [])


def test_delimited_settings_are_checked() -> None:
    with pytest.raises(BadSpec, match="delimiter is one character"):
        FORMATS.build({"csv": {"delimiter": "::"}})
    with pytest.raises(BadSpec, match="max_record_lines"):
        FORMATS.build({"tsv": {"max_record_lines": 0}})


CELL = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=12)


@given(st.lists(st.tuples(CELL, CELL.filter(str.strip)), max_size=8))
@settings(deadline=None)
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    import csv

    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "text"), *rows])
    records, bad = read(Csv(encoding="utf-8", delimiter=","), out.getvalue())
    assert bad == []
    assert [(r.fields["a"] or "", r.text) for r in records] == rows


@given(st.text(alphabet=st.sampled_from('ab,"\n'), max_size=60))
@settings(deadline=None)
def test_any_damage_ends_and_counts(text: str) -> None:
    records, bad = read(Csv(delimiter=",", max_record_lines=4), "x,text\n" + text)
    lines = [r.line for r in records] + [line for line, _ in bad]
    assert len(lines) == len(set(lines)), "no line is both good and bad"


# jsonl


def test_jsonl_with_bad_lines_between_good_ones() -> None:
    data = (
        b'{"text": "caf\xc3\xa9", "n": 1, "tags": ["a", "b"], "deep": {"k": [1]}, "none": null}\n'
        b'{"text": "two"\n[1, 2]\n\n{"text": ""}\n{"n": NaN, "text": "three"}\n{"text": "\\ud800"}\n{"text": "\xff"}\n'
        b'{"text": "four", "big": 123456789012345678901}\n'
    )
    records, bad = read(Jsonl(), data)
    assert [(r.text, r.line) for r in records] == [("café", 1), ("three", 6), ("four", 9)]
    assert records[0].fields == {"n": 1, "tags": ["a", "b"], "deep": '{"k":[1]}', "none": None}
    assert records[1].fields == {"n": None}
    assert records[2].fields == {"big": "123456789012345678901"}
    assert bad == [(2, "not_json"), (3, "not_an_object"), (5, "no_text"), (7, "invalid_bytes"), (8, "invalid_bytes")]


def test_nesting_beyond_reason_is_a_bad_line() -> None:
    assert read(Jsonl(), '{"text": ' + "[" * 100_000 + "\n" + '{"text": "fine"}')[1] == [(1, "not_json")]


def test_chat_messages_are_text_and_kept() -> None:
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    records, _ = read(Jsonl(), json.dumps(chat))
    assert records[0].text == "Hi\nHello"
    assert json.loads(records[0].fields["messages"]) == chat["messages"]


def test_jsonl_without_a_text_key() -> None:
    with pytest.raises(BadInput, match="Columns: a, b"):
        read(Jsonl(), '{"a": "x", "b": "y"}\n{"a": "x", "b": "z"}')
    records, bad = read(Jsonl(), '{"a": "x", "b": "y"}\n{"text": "x"}')
    assert (len(records), bad) == (1, [(1, "no_text")])


def test_a_json_array() -> None:
    data = '[\n {"text": "one"},\n {"text":\n "two"}, 3,\n {"text": "three"} ]'
    records, bad = read(Jsonl(), data)
    assert [(r.text, r.line) for r in records] == [("one", 2), ("two", 3), ("three", 5)]
    assert bad == [(4, "not_an_object")]
    assert read(Jsonl(), '[{"text": "a"}, {oops}]')[1] == [(1, "not_json")]


# parquet


def test_parquet() -> None:
    table = pa.table(
        {
            "body": ["one", None, "three"],
            "label": ["x", "y", None],
            "at": [datetime(2026, 3, 18, 9, 30)] * 3,
            "scores": [[1.5], [], None],
            "tags": [["a"], ["b", "c"], None],
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    records, bad = read(Parquet(), out.getvalue())
    assert [(r.text, r.line) for r in records] == [("one", 1), ("three", 3)]
    assert records[0].fields == {"label": "x", "at": "2026-03-18T09:30:00", "scores": "[1.5]", "tags": ["a"]}
    assert bad == [(2, "no_text")]
    assert read(Parquet(), out.getvalue()[:-20])[1] == [(1, "not_parquet")]


# conll


def test_conll() -> None:
    data = "-DOCSTART- -X- O\n\n# id 7\nEU NNP B-ORG\nrejects VBZ O\n\n\n#kettle\tO\nbroken\n\nlast O\n"
    records, bad = read(Conll(), data)
    assert records == [
        Record("EU rejects", 3, {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}),
        Record("last", 11, {"tokens": ["last"], "tags": ["O"]}),
    ]
    assert bad == [(9, "too_few_columns")]
    assert read(Conll(tag=1), "EU NNP B-ORG\n")[0][0].fields["tags"] == ["NNP"]
    assert read(Conll(tag=5), "EU NNP B-ORG\n")[1] == [(1, "empty_column")]


def test_wnut17_is_read_whole(public_data: Path) -> None:
    records, bad = read(Conll(), gzip.decompress((public_data / "wnut17" / "wnut17train.conll.gz").read_bytes()))
    assert len(records) + len(bad) == 3394  # sentences, Derczynski et al. 2017, table 2
    assert sum(tag.startswith("B-") for r in records for tag in r.fields["tags"]) == 1975  # entities, ibid.
    assert bad == []


# conllu

FRENCH = """# sent_id = fr-1
1\tVoilà\tvoilà\tVERB\t_\t_\t0\troot\t_\t_
2-3\tdu\t_\t_\t_\t_\t_\t_\t_\t_
2\tde\tde\tADP\t_\t_\t4\tcase\t_\t_
3\tle\tle\tDET\t_\tDefinite=Def\t4\tdet\t_\t_
4\tthé\tthé\tNOUN\t_\t_\t1\tobl\t_\tEntity=B-PRODUCT|SpaceAfter=No
4.1\tfait\tfaire\tVERB\t_\t_\t_\t_\t1:conj\t_
5\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\t_
"""


def test_conllu_with_a_multiword_token_and_an_empty_node() -> None:
    records, bad = read(Conllu(), FRENCH)
    assert bad == []
    assert records[0].text == "Voilà du thé."
    assert records[0].fields == {
        "tokens": ["Voilà", "de", "le", "thé", "."],
        "lemma": ["voilà", "de", "le", "thé", "."],
        "upos": ["VERB", "ADP", "DET", "NOUN", "PUNCT"],
        "xpos": ["_"] * 5,
        "feats": ["_", "_", "Definite=Def", "_", "_"],
        "head": ["0", "4", "4", "1", "1"],
        "deprel": ["root", "case", "det", "obl", "punct"],
        "entity": ["O", "O", "O", "B-PRODUCT", "O"],
        "sent_id": "fr-1",
    }


@pytest.mark.parametrize(
    ("line", "with_", "reason"),
    [
        ("5\t.", "6\t.", "bad_word_id"),
        ("5\t.", "5\t", "bad_word_id"),
        ("2-3\tdu", "3-4\tdu", "bad_word_id"),
        ("2-3\tdu", "2-9\tdu", "bad_word_id"),
        ("3\tle\tle", "3\tle", "wrong_length"),
    ],
)
def test_a_line_that_breaks_conllu_takes_its_sentence_only(line: str, with_: str, reason: str) -> None:
    records, bad = read(Conllu(), FRENCH.replace(line, with_) + "\n" + FRENCH)
    assert len(records) == 1
    assert [r for _, r in bad] == [reason]


def test_treebanks_are_read_whole(public_data: Path) -> None:
    for path, sentences in (("ud-english-ewt/train.conllu.gz", 12_199), ("ud-chinese-gsdsimp/dev.conllu.gz", 500)):
        records, bad = read(Conllu(), gzip.decompress((public_data / path).read_bytes()))
        assert (len(records), bad) == (sentences, [])
        assert all(len(r.fields["upos"]) == len(r.fields["tokens"]) for r in records)
