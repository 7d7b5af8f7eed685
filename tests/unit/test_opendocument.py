"""OpenDocument texts and presentations, the whole way through the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, PasswordRequired
from tests.documents import odf, read

_LIST_STYLE = (
    '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1"/>'
    "</text:list-style>"
)


def test_headings_lists_and_white_space_are_kept(tmp_path: Path) -> None:
    content = (
        '<text:h text:outline-level="2">Quays</text:h>'
        '<text:p>two<text:s text:c="2"/>blanks<text:line-break/>and <text:span>a line</text:span> more</text:p>'
        '<text:list text:style-name="L"><text:list-item><text:p>one</text:p><text:list><text:list-item>'
        "<text:p>inner</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>two</text:p>"
        "</text:list-item></text:list><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
    )
    found = read(tmp_path, odf("text", content, _LIST_STYLE), "a.odt")
    assert found.text == "## Quays\n\ntwo  blanks\nand a line more\n\n1. one\n   - inner\n2. two"
    assert (found.title, found.source_type, found.pages) == ("Quays", "odt", None)


def test_tables_notes_and_boxes_are_read(tmp_path: Path) -> None:
    content = (
        "<text:p>Ships<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Boats.</text:p>"
        "</text:note-body></text:note> lie<draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box>"
        "</draw:frame></text:p><table:table><table:table-row><table:table-cell><text:p>A</text:p>"
        '</table:table-cell><table:table-cell table:number-columns-repeated="2"><text:p>B</text:p>'
        '</table:table-cell><table:table-cell table:number-columns-repeated="16000"/></table:table-row></table:table>'
    )
    found = read(tmp_path, odf("text", content), "a.odt")
    assert found.text == "Ships[^1] lie\n\nboxed\n\n| A | B | B |\n| --- | --- | --- |\n\n[^1]: Boats."


def test_slides_have_titles_and_notes(tmp_path: Path) -> None:
    def frame(text: str, kind: str = "") -> str:
        mark = f'presentation:class="{kind}"' if kind else ""
        return f"<draw:frame {mark}><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"

    content = (
        f"<draw:page>{frame('body')}{frame('Harbours', 'title')}<presentation:notes>{frame('Smile.')}"
        f"</presentation:notes></draw:page><draw:page>{frame('more')}</draw:page>"
    )
    found = read(tmp_path, odf("presentation", content), "a.odp")
    assert found.text == "## Harbours\n\nbody\n\nNotes: Smile.\n\n## Slide 2\n\nmore"
    assert (found.title, found.pages) == ("Harbours", 2)


def test_an_encrypted_text_says_so(tmp_path: Path) -> None:
    manifest = '<m:manifest xmlns:m="urn:m"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>'
    with pytest.raises(PasswordRequired, match="without a password"):
        read(tmp_path, odf("text", "", parts={"META-INF/manifest.xml": manifest}), "a.odt")


def test_content_that_is_no_xml_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=r"content\.xml"):
        read(tmp_path, odf("text", "<unclosed>"), "a.odt")
