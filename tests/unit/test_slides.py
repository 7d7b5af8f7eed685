"""PowerPoint presentations, the whole way through the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile
from tests.documents import pptx, read, relations, shape, zip_of


def test_slides_come_in_the_order_of_the_show_with_title_lists_and_notes(tmp_path: Path) -> None:
    first = shape("Harbours", "title") + shape("Quays\n\tof stone\nCranes", "body") + shape("12", "sldNum")
    found = read(tmp_path, pptx(first, shape("free text"), notes="Say hello."), "talk.pptx")
    expected = (
        "## Harbours\n\n- Quays\n   - of stone\n- Cranes\n\nNotes: Say hello.\n\n## Slide 2\n\nfree text"
    )
    assert found.text == expected
    assert (found.title, found.pages, found.source_type) == ("Harbours", 2, "pptx")


def test_grouped_shapes_and_tables_are_read(tmp_path: Path) -> None:
    cells = "".join(
        f"<a:tc><a:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:txBody></a:tc>" for text in ("A", "B")
    )
    grid = f"<a:tbl><a:tr>{cells}</a:tr><a:tr>{cells}</a:tr></a:tbl>"
    frame = f"<p:graphicFrame><a:graphic><a:graphicData>{grid}</a:graphicData></a:graphic></p:graphicFrame>"
    slide = f"<p:grpSp><p:grpSp>{shape('deep')}</p:grpSp></p:grpSp>{frame}"
    assert (
        read(tmp_path, pptx(slide), "a.pptx").text
        == "## Slide 1\n\ndeep\n\n| A | B |\n| --- | --- |\n| A | B |"
    )


def test_progress_counts_slides(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    read(tmp_path, pptx(*[shape("x")] * 3), "a.pptx", on_progress=lambda *report: seen.append(report))
    assert seen[-1] == (3, 3, "slide 3 of 3")


def test_a_presentation_whose_slides_are_gone_is_broken(tmp_path: Path) -> None:
    names = (
        'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    )
    show = f'<p:presentation {names}><p:sldIdLst><p:sldId r:id="s1"/></p:sldIdLst></p:presentation>'
    data = zip_of(
        {
            "[Content_Types].xml": "<Types/>",
            "ppt/presentation.xml": show,
            "ppt/_rels/presentation.xml.rels": relations(s1=("slide", "slides/slide1.xml")),
        }
    )
    with pytest.raises(BrokenFile, match="none of its slides"):
        read(tmp_path, data, "a.pptx")
