"""Word documents (docx), read from their parts (ECMA-376 part 1, 17; strict and transitional alike).

Kept are headings, lists, tables, text boxes and notes; left out are deleted text, hidden text and field codes.
Own code over lxml: python-docx sees no text boxes, notes or content controls.
"""

from __future__ import annotations

import re
from typing import Final

from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import Blocks, heading, squeeze, table, tidy
from chalicelib.ingest.officefiles import opened_package
from chalicelib.ingest.packages import Package
from chalicelib.ingest.titles import title_of
from chalicelib.ingest.wordstyles import Numbering, Styles, is_on, value
from chalicelib.ingest.xmlparts import (
    Element,
    attribute,
    child,
    core_metadata,
    local,
    main_part,
    optional_part,
    part,
    relationships,
    targets,
)

# Elements whose content is shown as if they were not there.
_TRANSPARENT: Final = frozenset(
    {
        "body", "customXml", "sdt", "sdtContent", "ins", "moveTo", "smartTag", "AlternateContent",
        "Choice", "hyperlink", "fldSimple", "r", "dir", "bdo", "footnote", "endnote",
        "hdr", "ftr", "oMath", "oMathPara", "drawing", "pict", "object", "inline",
        "anchor", "graphic", "graphicData", "wsp", "wgp", "wpc", "grpSp", "sp",
        "txbx", "shape", "textbox", "group", "rect", "roundrect", "oval",
    }
)  # fmt: skip
_CHARACTERS: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_PAGE_NUMBER = re.compile(r"\W*(?:\w+\s+)?\d*(?:\s*(?:of|von|de|sur|/)\s*\d*)?\W*\Z", re.I)
_MATH: Final = (
    "{http://schemas.openxmlformats.org/officeDocument/2006/math}",
    "{http://purl.oclc.org/ooxml/officeDocument/math}",
)
# Word itself takes 63 columns.
_MAX_SPAN: Final = 63
# A report on progress at every so many blocks.
_REPORT_EVERY: Final = 50


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a docx; progress counts the body's paragraphs and tables.

    Raise PasswordRequired, BrokenFile or TooLarge.
    """
    with opened_package(source) as package:
        name = main_part(package, "word/document.xml")
        root = part(package, name)
        parts = relationships(package, name)
        styles, numbering = (
            optional_part(package, next(iter(targets(parts, kind)), None)) for kind in ("styles", "numbering")
        )
        reader = _Reader(Styles(styles), Numbering(numbering))
        blocks = Blocks()
        body = child(root, "body")
        total = 0 if body is None else len(body)
        for number, item in enumerate(body if body is not None else (), 1):
            reader.block(item, blocks)
            if number % _REPORT_EVERY == 0 or number == total:
                on_progress(number, total, f"block {number} of {total}")
        for line in _margins(package, [*targets(parts, "header"), *targets(parts, "footer")], reader):
            blocks.add(line)
        for kind, mark in (("footnotes", ""), ("endnotes", "e")):
            for target in targets(parts, kind):
                reader.notes(part(package, target), mark, blocks)
        metadata = core_metadata(package)
    text = blocks.text()
    stated = reader.title or metadata.pop("title", "")
    return Extracted(text=text, title=title_of(source, text, stated), source_type="docx", metadata=metadata)


def _margins(package: Package, names: list[str], reader: _Reader) -> list[str]:
    """Return the lines of headers and footers, each once, without page numbers."""
    lines: dict[str, None] = {}
    for name in names:
        root = optional_part(package, name)
        for paragraph in root.iter("{*}p") if root is not None else ():
            line = squeeze(reader.plain(paragraph))
            if line and not _PAGE_NUMBER.match(line):
                lines[line] = None
    return list(lines)


class _Reader:
    """Turns WordprocessingML into Markdown."""

    def __init__(self, styles: Styles, numbering: Numbering) -> None:
        self._styles = styles
        self._numbering = numbering
        # Text of the first paragraph in the style "Title".
        self.title = ""

    def block(self, element: Element, blocks: Blocks) -> None:
        """Append what a child of the body (or of a cell, note or text box) shows."""
        name = local(element)
        if name == "p":
            self._paragraph(element, blocks)
        elif name == "tbl":
            self._table(element, blocks)
        elif name in _TRANSPARENT:
            for item in element:
                self.block(item, blocks)

    def notes(self, root: Element, mark: str, blocks: Blocks) -> None:
        """Append foot- or endnotes as Markdown's `[^1]: text`."""
        for note in root:
            inner = Blocks()
            if attribute(note, "type") in (None, "normal"):
                self.block(note, inner)
            if len(inner):
                blocks.add(f"[^{mark}{attribute(note, 'id')}]: {squeeze(inner.text())}")

    def plain(self, element: Element) -> str:
        """Return the text of a paragraph, without the text boxes that hang on it."""
        pieces: list[str] = []
        self._inline(element, pieces, [])
        return "".join(pieces)

    def _paragraph(self, element: Element, blocks: Blocks) -> None:
        pieces: list[str] = []
        boxes: list[Element] = []
        self._inline(element, pieces, boxes)
        self._line(element, tidy("".join(pieces)), blocks)
        for box in boxes:
            for item in box:
                self.block(item, blocks)

    def _line(self, element: Element, text: str, blocks: Blocks) -> None:
        properties = child(element, "pPr")
        style = self._styles.get(value(child(properties, "pStyle")))
        level = self._styles.level(properties, style)
        if level == 0 and not self.title:
            self.title = squeeze(text)
        if level is not None:
            blocks.add(heading(max(level, 1), text))
            return
        item = self._numbering.item(child(properties, "numPr"), style)
        if item is None or not text.strip():
            blocks.add(text)
        else:
            blocks.add_item(item.marker, text, item.level)

    def _inline(self, element: Element, pieces: list[str], boxes: list[Element]) -> None:
        for item in element:
            name = local(item)
            if name == "t":
                pieces.append(item.text or "")
            elif name in _CHARACTERS:
                pieces.append(_CHARACTERS[name])
            elif name in ("footnoteReference", "endnoteReference"):
                pieces.append(f"[^{'e' if name.startswith('e') else ''}{attribute(item, 'id')}]")
            elif name == "txbxContent":
                boxes.append(item)
            elif _is_shown(item, name):
                self._inline(item, pieces, boxes)

    def _table(self, element: Element, blocks: Blocks) -> None:
        rows = [self._cells(row) for row in _rows(element)]
        if sum(map(len, rows)) == 1:
            # One cell is a frame around text, no table.
            self.block_of(rows[0][0], blocks)
            return
        blocks.add(table([text for cell in row for text in self._spread(cell)] for row in rows))

    def block_of(self, cell: Element, blocks: Blocks) -> None:
        """Append the blocks of a table's cell."""
        for item in cell:
            self.block(item, blocks)

    def _cells(self, row: Element) -> list[Element]:
        return [cell for cell in _unwrapped(row) if local(cell) == "tc"]

    def _spread(self, cell: Element) -> list[str]:
        """Return a cell's text, and "" for each further column that it spans."""
        properties = child(cell, "tcPr")
        merge = child(properties, "vMerge")
        inner = Blocks()
        if merge is None or value(merge) == "restart":
            self.block_of(cell, inner)
        span = value(child(properties, "gridSpan")) or "1"
        columns = min(int(span), _MAX_SPAN) if span.isascii() and span.isdigit() else 1
        return [flat(inner.text()), *[""] * (columns - 1)]


def _is_shown(element: Element, name: str) -> bool:
    """Say whether what is in an inline element belongs to the text."""
    if name == "r":
        return not is_on(child(element, "rPr", "vanish"))
    return name in _TRANSPARENT or str(element.tag).startswith(_MATH)


def flat(text: str) -> str:
    """Return blocks as the text of one cell: nested tables lose their lines, headings and lists their marks."""
    lines = (line for line in text.split("\n") if not re.match(r"\|(?: --- \|)+\Z", line))
    return squeeze(
        " ".join(
            re.sub(r"^#{1,6} |^ *(?:-|\d+\.) |^\| | \|$", "", line).replace(" | ", "; ") for line in lines
        )
    )


def _rows(element: Element) -> list[Element]:
    return [row for row in _unwrapped(element) if local(row) == "tr" and not _is_deleted(row)]


def _is_deleted(row: Element) -> bool:
    return child(row, "trPr", "del") is not None


def _unwrapped(element: Element) -> list[Element]:
    """Return the children, and those inside content controls and the like in their place."""
    found: list[Element] = []
    for item in element:
        if local(item) in ("sdt", "sdtContent", "customXml", "ins"):
            found.extend(_unwrapped(item))
        else:
            found.append(item)
    return found
