"""Word documents, good and hostile, the whole way through the sandbox."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, EmptyFile, PasswordRequired, TooLarge
from tests.documents import core, docx, paragraph, read, relations, wordml, zip_of

_STYLES = wordml(
    "styles",
    '<w:style w:styleId="H2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Own"><w:name w:val="My own"/><w:basedOn w:val="H2"/></w:style>'
    '<w:style w:styleId="Loop"><w:name w:val="loop"/><w:basedOn w:val="Loop"/></w:style>'
    '<w:style w:styleId="T"><w:name w:val="Title"/></w:style>',
)
_NUMBERING = wordml(
    "numbering",
    '<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="3"><w:abstractNumId w:val="7"/></w:num>',
)


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def row(*cells: str) -> str:
    return f"<w:tr>{''.join(cells)}</w:tr>"


def numbered(text: str, level: int = 0, number: int = 3) -> str:
    properties = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return paragraph(text, properties=properties)


# --- Good files ---------------------------------------------------------------------------------------------


def test_headings_come_from_styles_and_what_they_are_based_on(tmp_path: Path) -> None:
    body = paragraph("The Harbour", "T") + paragraph("Quays", "Own") + paragraph("Ships lie here.", "Loop")
    found = read(
        tmp_path, docx(body, {"word/styles.xml": _STYLES}, r1=("styles", "styles.xml")), "report.docx"
    )
    assert found.text == "# The Harbour\n\n## Quays\n\nShips lie here."
    assert (found.title, found.source_type) == ("The Harbour", "docx")


def test_an_outline_level_makes_a_heading_without_any_style(tmp_path: Path) -> None:
    body = paragraph("Deep", properties='<w:outlineLvl w:val="3"/>') + paragraph(
        "Body", properties='<w:outlineLvl w:val="9"/>'
    )
    assert read(tmp_path, docx(body), "a.docx").text == "#### Deep\n\nBody"


def test_lists_are_counted_and_nested(tmp_path: Path) -> None:
    body = numbered("first") + numbered("inner", 1) + numbered("second") + numbered("out of it", number=0)
    data = docx(body, {"word/numbering.xml": _NUMBERING}, r1=("numbering", "numbering.xml"))
    assert read(tmp_path, data, "a.docx").text == "1. first\n   - inner\n2. second\n\nout of it"


def test_a_table_keeps_its_columns_where_cells_span(tmp_path: Path) -> None:
    body = (
        "<w:tbl>"
        + row(*(cell(paragraph(text)) for text in ("A", "B|C", "D")))
        + row(cell(paragraph("wide"), '<w:gridSpan w:val="2"/>'), cell(paragraph("x"), "<w:vMerge/>"))
        + "</w:tbl>"
    )
    expected = "| A | B\\|C | D |\n| --- | --- | --- |\n| wide |  |  |"
    assert read(tmp_path, docx(body), "a.docx").text == expected


def test_a_nested_table_stays_in_its_cell(tmp_path: Path) -> None:
    inner = f"<w:tbl>{row(cell(paragraph('1')), cell(paragraph('2')))}</w:tbl>"
    body = (
        f"<w:tbl>{row(cell(paragraph('left')), cell(inner))}{row(cell(''), cell(paragraph('below')))}</w:tbl>"
    )
    assert read(tmp_path, docx(body), "a.docx").text == "| left | 1; 2 |\n| --- | --- |\n|  | below |"


def test_a_table_of_one_cell_is_only_a_frame(tmp_path: Path) -> None:
    body = f"<w:tbl>{row(cell(paragraph('one') + paragraph('two')))}</w:tbl>"
    assert read(tmp_path, docx(body), "a.docx").text == "one\n\ntwo"


def test_a_text_box_is_read_once_and_not_from_its_fallback(tmp_path: Path) -> None:
    box = f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent>"
    body = (
        "<w:p><w:r><w:t>around</w:t></w:r><w:r><mc:AlternateContent><mc:Choice><w:drawing><wps:txbx>"
        f"{box}</wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict>"
        "</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert read(tmp_path, docx(body), "a.docx").text == "around\n\nboxed"


def test_notes_follow_the_text_and_headers_come_once(tmp_path: Path) -> None:
    body = '<w:p><w:r><w:t>Ships</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
    parts = {
        "word/footnotes.xml": wordml(
            "footnotes",
            f'<w:footnote w:type="separator" w:id="0">{paragraph("---")}</w:footnote>'
            f'<w:footnote w:id="2">{paragraph("Mostly boats.")}</w:footnote>',
        ),
        "word/header1.xml": wordml("hdr", paragraph("Harbour office")),
        "word/header2.xml": wordml("hdr", paragraph("Harbour office") + paragraph("Page 3 of 7")),
    }
    links = {
        "a": ("footnotes", "footnotes.xml"),
        "b": ("header", "header1.xml"),
        "c": ("header", "header2.xml"),
    }
    found = read(tmp_path, docx(body, parts, **links), "a.docx")
    assert found.text == "Ships[^2]\n\nHarbour office\n\n[^2]: Mostly boats."


def test_deleted_and_hidden_text_and_field_codes_are_left_out(tmp_path: Path) -> None:
    body = (
        "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t> seen</w:t></w:r>'
        "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    assert read(tmp_path, docx(body), "a.docx").text == "new seen"


def test_content_controls_do_not_hide_paragraphs_or_rows(tmp_path: Path) -> None:
    inner = f"<w:sdt><w:sdtContent>{row(cell(paragraph('a')), cell(paragraph('b')))}</w:sdtContent></w:sdt>"
    body = f"<w:sdt><w:sdtContent>{paragraph('shown')}</w:sdtContent></w:sdt><w:tbl>{inner}</w:tbl>"
    assert read(tmp_path, docx(body), "a.docx").text == "shown\n\n| a | b |\n| --- | --- |"


@pytest.mark.parametrize(
    ("stated", "title"), [("Annual report", "Annual report"), ("Document1", "First line"), ("", "First line")]
)
def test_the_stated_title_counts_unless_a_program_wrote_it(tmp_path: Path, stated: str, title: str) -> None:
    data = docx(paragraph("First line"), {"docProps/core.xml": core(title=stated, creator="A. Person")})
    found = read(tmp_path, data, "a.docx")
    assert (found.title, found.metadata) == (title, {"author": "A. Person"})


def test_the_main_part_may_have_any_name(tmp_path: Path) -> None:
    data = zip_of(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": relations(r1=("officeDocument", "/word/document2.xml")),
            "word/document2.xml": wordml("document", f"<w:body>{paragraph('found')}</w:body>"),
        }
    )
    assert read(tmp_path, data, "a.docx").text == "found"


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    data = docx(paragraph("x") * 120)
    read(tmp_path, data, "a.docx", on_progress=lambda *report: seen.append(report))
    assert seen[-1] == (120, 120, "block 120 of 120")


# --- Hostile files ------------------------------------------------------------------------------------------


def test_a_bomb_is_refused_before_anything_is_parsed(tmp_path: Path) -> None:
    data = docx(paragraph(" " * (40 * 1024**2)))
    with pytest.raises(TooLarge, match="200 times its size"):
        read(tmp_path, data, "a.docx")


def test_billion_laughs_are_refused(tmp_path: Path) -> None:
    entities = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    data = zip_of({"[Content_Types].xml": "", "word/document.xml": f"{entities}<x>&b;</x>"})
    with pytest.raises(BrokenFile, match="entities"):
        read(tmp_path, data, "a.docx")


def test_an_external_entity_is_never_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    document = f'<!DOCTYPE x [<!ENTITY a SYSTEM "file://{secret}">]><x>&a;</x>'
    with pytest.raises(BrokenFile, match="entities"):
        read(tmp_path, zip_of({"[Content_Types].xml": "", "word/document.xml": document}), "a.docx")


def test_a_missing_main_part_is_named(tmp_path: Path) -> None:
    data = zip_of({"[Content_Types].xml": "<Types/>", "word/styles.xml": _STYLES})
    with pytest.raises(BrokenFile, match=r"'word/document\.xml' is missing"):
        read(tmp_path, data, "a.docx")


def test_a_truncated_file_is_broken(tmp_path: Path) -> None:
    data = docx(paragraph("x"))
    with pytest.raises(BrokenFile, match="can't be opened as a ZIP file"):
        read(tmp_path, data[: len(data) // 2], "a.docx")


def test_elements_nested_without_end_are_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="not well-formed"):
        read(tmp_path, docx("<w:sdt>" * 5000 + "</w:sdt>" * 5000), "a.docx")


def test_a_part_out_of_the_package_is_only_a_missing_part(tmp_path: Path) -> None:
    data = docx(paragraph("x"), a=("footnotes", "../../../../etc/passwd"))
    with pytest.raises(BrokenFile, match="'etc/passwd' is missing"):
        read(tmp_path, data, "a.docx")


def test_a_document_without_text_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile):
        read(tmp_path, docx(""), "a.docx")


# --- Encryption ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encrypted() -> bytes:
    from msoffcrypto.format.ooxml import OOXMLFile

    # The writer that this uses is sound above 4,096 bytes only.
    data = docx(paragraph("confidential"), {"word/media/noise.bin": random.Random(1).randbytes(5000)})
    out = io.BytesIO()
    OOXMLFile(io.BytesIO(data)).encrypt("right", out)
    return out.getvalue()


def test_an_encrypted_document_opens_with_its_password(tmp_path: Path, encrypted: bytes) -> None:
    found = read(tmp_path, encrypted, "a.docx", password="right")
    assert (found.text, found.source_type) == ("confidential", "docx")


@pytest.mark.parametrize(("password", "message"), [(None, "is encrypted"), ("wrong", "password is wrong")])
def test_it_stays_closed_without(
    tmp_path: Path, encrypted: bytes, password: str | None, message: str
) -> None:
    with pytest.raises(PasswordRequired, match=message):
        read(tmp_path, encrypted, "a.docx", password=password)


def test_an_encrypted_document_that_is_cut_off_is_broken(tmp_path: Path, encrypted: bytes) -> None:
    with pytest.raises(BrokenFile):
        read(tmp_path, encrypted[:2048], "a.docx", password="right")


def test_an_encrypted_zip_entry_asks_for_the_password(tmp_path: Path) -> None:
    data = bytearray(docx(paragraph("x")))
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = data.find(signature)
        while start >= 0:
            data[start + at] |= 1
            start = data.find(signature, start + 1)
    with pytest.raises(PasswordRequired):
        read(tmp_path, bytes(data), "a.docx")


def test_an_entry_that_lies_about_its_size_is_broken(tmp_path: Path) -> None:
    out = io.BytesIO(docx(paragraph("x" * 100_000)))
    with zipfile.ZipFile(out) as archive:
        real = archive.getinfo("word/document.xml").file_size
    data = out.getvalue().replace(real.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(BrokenFile, match="can't be read"):
        read(tmp_path, data, "a.docx")
