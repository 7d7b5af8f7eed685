"""Spreadsheets, the whole way through the sandbox."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, EmptyFile, ParserCrashed, PasswordRequired, TooLarge
from tests.documents import odf, read, xlsx, zip_of
from tests.olefiles import ole


def text_cell(at: str, text: str) -> str:
    return f'<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>'


ROWS = (
    f'<row r="3">{text_cell("C3", "port")}{text_cell("D3", "opened")}{text_cell("E3", "depth")}</row>'
    f'<row r="5">{text_cell("C5", "Kiel")}<c r="D5" s="1"><v>44197</v></c><c r="E5"><v>12</v></c></row>'
    f'<row r="6">{text_cell("C6", "a|b")}<c r="D6" s="1"><v>44197.5</v></c><c r="E6"><v>9.25</v></c></row>'
    '<row r="7"><c r="E7" t="b"><v>1</v></c></row>'
)


def test_a_sheet_is_a_heading_and_a_table_without_empty_rows_and_columns(tmp_path: Path) -> None:
    found = read(tmp_path, xlsx({"Ports": ROWS, "Empty": ""}), "ports.xlsx")
    assert found.text == (
        "## Ports\n\n| port | opened | depth |\n| --- | --- | --- |\n| Kiel | 2021-01-01 | 12 |\n"
        "| a\\|b | 2021-01-01 12:00:00 | 9.25 |\n|  |  | TRUE |"
    )
    assert (found.title, found.source_type) == ("ports", "xlsx")


def test_an_opendocument_sheet_is_read_alike(tmp_path: Path) -> None:
    cells = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
        for text in ("port", "Kiel")
    )
    content = f'<table:table table:name="Ports"><table:table-row>{cells}</table:table-row></table:table>'
    found = read(tmp_path, odf("spreadsheet", content), "a.ods")
    assert (found.text, found.source_type) == ("## Ports\n\n| port | Kiel |\n| --- | --- |", "ods")


def test_an_encrypted_opendocument_sheet_says_so(tmp_path: Path) -> None:
    manifest = '<m:manifest xmlns:m="urn:m"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>'
    with pytest.raises(PasswordRequired, match="without a password"):
        read(tmp_path, odf("spreadsheet", "", parts={"META-INF/manifest.xml": manifest}), "a.ods")


def test_a_workbook_without_values_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile):
        read(tmp_path, xlsx({"Sheet1": ""}), "a.xlsx")


def test_a_bomb_is_refused_before_the_reader_sees_it(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="ZIP bomb"):
        read(tmp_path, xlsx({"a": " " * (30 * 1024**2)}), "a.xlsx")


def test_a_cell_at_the_far_corner_ends_the_reader_and_nobody_else(tmp_path: Path) -> None:
    rows = f'<row r="1">{text_cell("A1", "x")}</row><row r="1048576">{text_cell("XFD1048576", "y")}</row>'
    with pytest.raises(ParserCrashed):
        read(tmp_path, xlsx({"a": rows}), "a.xlsx")


def test_a_workbook_without_its_workbook_part_is_broken(tmp_path: Path) -> None:
    data = zip_of({"[Content_Types].xml": "<Types/>", "xl/other.xml": "<x/>"})
    with pytest.raises(BrokenFile, match="damaged"):
        read(tmp_path, data, "a.xlsx")


def test_an_old_workbook_of_noise_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile):
        read(tmp_path, ole({"Workbook": random.Random(3).randbytes(6000)}), "a.xls")
