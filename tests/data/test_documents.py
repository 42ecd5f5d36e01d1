"""Documents of offices, mail, books and archives: what is read of them, and what a broken, locked or hostile one costs."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import lzma
import sys
import warnings
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from tests.data import documents as make
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from fourfold.core.errors import BadSpec
from fourfold.data.collect import collect_into
from fourfold.data.dataset import Dataset
from fourfold.data.formats import BadLine, Member, Record
from fourfold.data.formats.archives import Tar, Zip
from fourfold.data.formats.docx import Docx
from fourfold.data.formats.epub import Epub
from fourfold.data.formats.mail import Eml, Mbox
from fourfold.data.formats.pdf import Pdf
from fourfold.data.formats.pptx import Pptx
from fourfold.data.formats.warc import Warc
from fourfold.data.formats.xlsx import Xlsx
from fourfold.data.layout import Box, in_reading_order
from fourfold.data.reading import Reader
from fourfold.data.sources import RawFile
from fourfold.data.sources.files import Files

EMOJI = "龘𠮷🧧👨‍👩‍👧"  # beyond the first plane, and joined


def read(part: Any, data: bytes) -> tuple[list[Record], list[tuple[int, str]]]:
    found = list(part(data))
    return [r for r in found if isinstance(r, Record)], [(b.line, b.reason) for b in found if isinstance(b, BadLine)]


def inside(name: str, data: bytes, **settings: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Place and text of each document; place and reason of what was left out."""
    opened = Reader(Files("x", **settings)).open(RawFile(name, data, 0.0))
    assert not isinstance(opened, str), opened
    found = list(opened.records)
    return [(r.place, r.text) for r in found if isinstance(r, Record)], [
        (b.place, b.reason) for b in found if isinstance(b, BadLine)
    ]


# ---- PDF


LEFT = [f"left column line number {n}" for n in range(5)]
RIGHT = [f"right column line number {n}" for n in range(5)]


def test_pdf_columns_are_read_one_after_the_other() -> None:
    lines = [(72, 740, "A title that spans the two columns of this page of the report, all of it")]
    for n, (left, right) in enumerate(zip(LEFT, RIGHT)):  # as many programs write it: row by row
        lines += [(72, 700 - 14 * n, left), (330, 700 - 14 * n, right)]
    records, bad = read(Pdf(), make.pdf([lines]))
    assert records[0].text.split("\n")[1:] == LEFT + RIGHT
    assert records[0].fields == {"pages": 1}
    assert bad == []


def test_pdf_tables_are_read_by_rows() -> None:
    lines = [(72 + 150 * i, 700 - 14 * n, f"cell {n}{i}") for n in range(4) for i in range(3)]
    assert read(Pdf(), make.pdf([lines]))[0][0].text.split("\n")[0].split("\t") == ["cell 00", "cell 01", "cell 02"]


def test_pdf_pages_and_scans() -> None:
    data = make.pdf([[(72, 700, "It goes on")], [], [(72, 700, "over the page.")]])
    assert read(Pdf(), data) == ([Record("It goes on\nover the page.", 1, {"pages": 3})], [(2, "no_text")])
    assert [(r.line, r.text) for r in read(Pdf("page"), data)[0]] == [(1, "It goes on"), (3, "over the page.")]
    assert read(Pdf(max_pages=1), data)[1] == [(2, "too_many_pages")]


def test_pdf_with_a_password_and_broken_ones() -> None:
    assert read(Pdf(), make.pdf([[(72, 700, "secret")]], locked=True)) == ([], [(1, "password")])
    assert read(Pdf(), b"%PDF-1.7 and then nothing") == ([], [(1, "not_pdf")])


def test_reading_order_without_boxes() -> None:
    assert in_reading_order([]) == ""
    assert in_reading_order([Box(0, 0, 10, 10, "a"), Box(12, 0, 20, 10, "b")]) == "a b"


# ---- Office


def saved(thing: Any) -> bytes:
    out = io.BytesIO()
    thing.save(out)
    return out.getvalue()


def test_docx() -> None:
    document = docx.Document()
    document.core_properties.author = "王敏"
    document.add_heading("退货说明", 1)
    document.add_paragraph(f"七天内可以退货 {EMOJI}")
    table = document.add_table(2, 2)
    for i, text in enumerate(["品名", "期限", "水壶", "七天"]):
        table.cell(i // 2, i % 2).text = text
    document.add_paragraph("以上。")
    (record,), bad = read(Docx(), saved(document))
    assert record.text == f"退货说明\n七天内可以退货 {EMOJI}\n品名\t期限\n水壶\t七天\n以上。"
    assert (record.fields["title"], record.fields["author"], record.fields["headings"]) == ("退货说明", "王敏", ["退货说明"])
    assert "水壶" not in read(Docx(tables=False), saved(document))[0][0].text
    assert bad == []


def test_xlsx_rows_with_their_sheets() -> None:
    book = openpyxl.Workbook()
    book.active.title = "工单"
    for row in [
        ["编号", "正文", "日期", "已解决"],
        [1, "水壶漏水", datetime.date(2025, 3, 1), True],
        [2, None, None, False],
        [],
    ]:
        book.active.append(row)
    book.create_sheet("图表").append(["x", "y"])
    found = list(Xlsx()(saved(book)))
    fields = {"编号": 1, "日期": "2025-03-01", "已解决": True}
    assert found == [
        Record("水壶漏水", 2, fields, "工单"),
        BadLine(3, "no_text", place="工单"),
        BadLine(1, "no_text_column", place="图表"),
    ]
    assert len(list(Xlsx(sheets=("图表",), text="y")(saved(book)))) == 0


def test_pptx() -> None:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "季度总结"
    slide.placeholders[1].text = "投诉减少"
    slide.notes_slide.notes_text_frame.text = "先讲数字"
    show.slides.add_slide(show.slide_layouts[6])
    (record,), _ = read(Pptx(), saved(show))
    assert record.text == "季度总结\n投诉减少\n先讲数字"
    assert record.fields["slides"] == 2
    assert [r.line for r in read(Pptx("slide", notes=False), saved(show))[0]] == [1]


@pytest.mark.parametrize(("part", "name"), [(Docx(), "docx"), (Xlsx(), "xlsx"), (Pptx(), "pptx"), (Epub(), "epub")])
def test_broken_office_files(part: Any, name: str) -> None:
    assert read(part, b"no zip")[1] == [(1, f"not_{name}")]
    assert read(part, make.zipped({"a.txt": b"a"}))[1] == [(1, f"not_{name}")]
    assert read(part, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"))[1] == [(1, "password")]
    assert read(part, make.zipped({"word/document.xml": bytes(64 << 20)}))[1] == [(1, "bomb")]


# ---- books and mail


def test_epub_in_the_order_of_the_book() -> None:
    chapters = {"b.xhtml": "<html><body><h1>二之具</h1><p>籝</p></body></html>", "a.xhtml": "<p>一之源</p>"}
    found = list(Epub()(make.epub(chapters, ["a.xhtml", "gone.xhtml", "b.xhtml"])))
    assert [(r.text, r.line) for r in found if isinstance(r, Record)] == [("一之源", 1), ("二之具\n\n籝", 3)]
    assert found[1] == BadLine(2, "missing_chapter", place="OEBPS/gone.xhtml")
    assert found[2].fields == {"title": "茶经", "author": "陆羽", "lang": "zh", "chapter": "二之具"}  # type: ignore[union-attr]
    assert len(read(Epub("document"), make.epub(chapters))[0]) == 1


def message(text: str, **headers: str) -> EmailMessage:
    found = EmailMessage()
    for name, value in headers.items():
        found[name] = value
    found.set_content(text)
    return found


def test_eml_with_attachments() -> None:
    mail = message(
        f"附件请查收 {EMOJI}", Subject="三月工单", From="李雷 <li@example.com>", Date="Mon, 3 Mar 2025 10:00:00 +0800"
    )
    mail.add_attachment(b"body\nfirst\n", maintype="text", subtype="csv", filename="三月.csv")
    mail.add_attachment(message("within", Subject="inner"))
    documents, bad = inside("a.eml", bytes(mail))
    assert [(place, text) for place, text in documents] == [
        ("", f"附件请查收 {EMOJI}"),
        ("三月.csv", "first"),
        ("part-2", "within"),
    ]
    assert bad == []
    record = next(iter(Eml(attachments=False)(bytes(mail))))
    assert isinstance(record, Record)
    assert record.fields == {"title": "三月工单", "author": "李雷 <li@example.com>", "date": "2025-03-03T10:00:00+08:00"}


def test_eml_of_html_only_and_no_mail() -> None:
    mail = EmailMessage()
    mail["Subject"] = "x"
    mail.set_content("<p>您好</p><p>再见</p>", subtype="html")
    assert read(Eml(), bytes(mail))[0][0].text == "您好\n\n再见"
    assert read(Eml(), b"\n\nnothing") == ([], [(1, "not_mail")])


def test_mbox() -> None:
    first = bytes(message("one\n>From me", Subject="1")).replace(b"\n>From", b"\n>From")
    second = bytes(message("two", Subject="2"))
    data = b"From a@b Mon Mar  3 10:00:00 2025\n" + first + b"\n\nFrom c@d Mon Mar  3 11:00:00 2025\n" + second
    assert inside("box.mbox", data)[0] == [("message-1.eml", "one\nFrom me"), ("message-2.eml", "two")]
    assert read(Mbox(), b"no mailbox")[1] == [(1, "not_mbox")]


# ---- archives


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_files_in_archives(name: str) -> None:
    files = {"notes/a.txt": f"甲{EMOJI}".encode(), "b.jsonl": b'{"text":"one"}\n{bad', "c.bin": b"1", "empty.txt": b""}
    packed = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(name.rpartition(".")[2], "w")
    data = make.zipped(files) if name == "a.zip" else make.tarred(files, packed)
    documents, bad = inside(name, data)
    assert documents == [("notes/a.txt", f"甲{EMOJI}"), ("b.jsonl", "one")]
    assert bad == [("b.jsonl", "not_json"), ("c.bin", "unknown_format"), ("empty.txt", "empty_file")]


@pytest.mark.parametrize("packed", ["zip", "tar"])
def test_paths_that_lead_out(packed: str) -> None:
    files = {"../up.txt": b"a", "/root.txt": b"a", "a/../../b.txt": b"a", "C:\\x.txt": b"a", "..\\w.txt": b"a", ".git/x": b"a"}
    data = make.zipped(files) if packed == "zip" else make.tarred(files)
    documents, bad = inside(f"a.{packed}", data)
    assert documents == []
    assert [reason for _, reason in bad] == ["path_traversal"] * 5 + ["hidden"]


def test_bombs() -> None:
    zeros = bytes(8 << 20)
    assert [m.reason for m in Zip()(make.zipped({"zeros.txt": zeros})) if isinstance(m, Member)] == ["bomb"]
    nested = make.zipped({"0.txt": b"core"})
    for depth in range(1, 8):
        nested = make.zipped({f"{depth}.zip": nested, f"{depth}.txt": b"layer"})
    documents, bad = inside("nested.zip", nested)
    assert len(documents) == 5
    assert [reason for _, reason in bad] == ["too_deep", "too_deep"]
    many = make.zipped({f"{n}.txt": b"a" * 100 for n in range(50)})
    documents, bad = inside("many.zip", many, max_file_bytes=2000)
    assert len(documents) == 20
    assert {reason for _, reason in bad} == {"too_large"}
    assert inside("many.zip", many, formats={"zip": {"max_files": 3}})[1] == [("", "too_many_files")]
    with pytest.raises(BadSpec):
        Zip(max_files=0)


@pytest.mark.parametrize(
    ("pack", "ending", "name"), [(gzip.compress, "gz", "gzip"), (bz2.compress, "bz2", "bzip2"), (lzma.compress, "xz", "xz")]
)
def test_packed_files(pack: Any, ending: str, name: str) -> None:
    assert inside(f"a.txt.{ending}", pack("好".encode()))[0] == [("", "好")]
    reader = Reader(Files("x"))
    assert reader.open(RawFile(f"a.txt.{ending}", b"not packed", 0.0)) == f"bad_{name}"
    assert reader.open(RawFile(f"a.txt.{ending}", pack(bytes(120 << 20)), 0.0)) == "bomb"
    assert Reader(Files("x", max_file_bytes=10)).open(RawFile(f"a.txt.{ending}", pack(b"a" * 11), 0.0)) == "too_large"


def test_links_and_broken_archives() -> None:
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        pipe = tarfile.TarInfo("pipe.txt")
        pipe.type = tarfile.FIFOTYPE
        archive.addfile(pipe)
    assert [m.reason for m in Tar()(out.getvalue()) if isinstance(m, Member)] == ["link", "not_a_file"]
    assert read(Zip(), b"PK no")[1] == [(1, "not_zip")]
    assert read(Tar(), b"\x01" * 1024)[1] == [(1, "not_tar")]
    locked = bytearray(make.zipped({"a.txt": b"secret"}))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    assert [m.reason for m in Zip()(bytes(locked)) if isinstance(m, Member)] == ["password"]


def test_a_zip_of_one_name_twenty_thousand_times() -> None:
    out = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(out, "w") as archive:
        for _ in range(20_000):
            archive.writestr("a.txt", b"x")
        archive.writestr("a~2.txt", b"y")
    names = [member.path for member in Zip()(out.getvalue()) if isinstance(member, Member)]
    assert names[:3] == ["a.txt", "a~2.txt", "a~3.txt"]
    assert names[-2:] == ["a~20000.txt", "a~2~2.txt"]
    assert len(set(names)) == 20_001


def test_a_compression_that_is_not_known() -> None:
    data = bytearray(make.zipped({"a.txt": b"secret"}))
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 99
    assert [m.reason for m in Zip()(bytes(data)) if isinstance(m, Member)] == ["unreadable"]


def test_names_of_chinese_zip_programs() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xxxx.txt", b"a")
    data = out.getvalue().replace(b"xxxx", "合同".encode("gb18030"))
    assert inside("a.zip", data)[0] == [("合同.txt", "a")]


# ---- WARC


def warc(*answers: tuple[str, str, str, bytes]) -> bytes:
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for url, status, kind, body in answers:
        head = StatusAndHeaders(status, [("Content-Type", kind)], protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(url, "response", payload=io.BytesIO(body), length=len(body), http_headers=head)
        )
    return out.getvalue()


def test_warc() -> None:
    text = "，".join(["今天仓库盘点，发货顺延一天"] * 12)
    page = f"<html><body><article><p>{text}。</p><p>{text}！</p></article></body></html>".encode("gb18030")
    data = warc(
        ("http://a.example/1", "200 OK", "text/html; charset=utf-8", page),  # the header lies
        ("http://a.example/2", "404 Not Found", "text/html", b"gone"),
        ("http://a.example/3", "200 OK", "image/png", b"\x89PNG"),
    )
    documents, bad = inside("crawl.warc.gz", data)
    assert documents == [("http://a.example/1", f"{text}。\n\n{text}！")]
    assert bad == [("http://a.example/2", "http_404"), ("http://a.example/3", "unknown_format")]
    assert read(Warc(), b"no warc")[1] == [(1, "not_warc")]


# ---- as a whole


def test_collect_keeps_archives_and_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "box.zip").write_bytes(make.zipped({"a/t.jsonl": b'{"text":"one"}\n{bad', "b.txt": b"two"}))
    (tmp_path / "in" / "x.pdf").write_bytes(make.pdf([[(72, 700, "x")]], locked=True))
    meta = collect_into(tmp_path / "out", Files(str(tmp_path / "in")))
    rows = Dataset(tmp_path / "out").table().to_pylist()
    assert [row["source"] for row in rows] == ["box.zip!/a/t.jsonl#1", "box.zip!/b.txt#1"]
    assert (tmp_path / "out" / "raw" / "box.zip").is_file()
    assert meta["drops"] == {"not_json": 1, "password": 1}
    assert meta["bad"] == 2


def test_without_the_extra_a_file_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    opened = Reader(Files("x")).open(RawFile("a.pdf", b"%PDF", 0.0))
    assert not isinstance(opened, str)
    (bad,) = opened.records
    assert isinstance(bad, BadLine)
    assert bad.reason == "needs_extra"
    assert "pip install 'fourfold[documents]'" in bad.detail
