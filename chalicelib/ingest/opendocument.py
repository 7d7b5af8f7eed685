"""OpenDocument texts and presentations (odt, odp), read from `content.xml` (OASIS ODF 1.3, part 3)."""

from __future__ import annotations

from typing import Final

from chalicelib.errors import PasswordRequired
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import Blocks, heading, squeeze, table, tidy
from chalicelib.ingest.officefiles import opened_package
from chalicelib.ingest.packages import Package
from chalicelib.ingest.titles import title_of
from chalicelib.ingest.word import flat
from chalicelib.ingest.xmlparts import (
    Element,
    attribute,
    child,
    children,
    local,
    named_texts,
    optional_part,
    part,
)

_META: Final = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keyword": "keywords",
    "creation-date": "created",
    "date": "modified",
}
# Neither shown nor part of the text.
_SKIPPED: Final = frozenset(
    {
        "tracked-changes", "annotation", "annotation-end", "forms", "sequence-decls", "variable-decls",
        "user-field-decls", "settings",
        "event-listeners", "object-ole", "image", "object", "plugin", "page-number", "page-count", "date-time-decl",
        "soft-page-break",
    }
)  # fmt: skip
# Rows and columns may be repeated a million times by one attribute.
_MAX_REPEATED: Final = 100


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read an odt or odp; progress counts the body's blocks or the slides.

    Raise PasswordRequired, BrokenFile or TooLarge.
    """
    with opened_package(source) as package:
        refuse_encrypted(package)
        root = part(package, "content.xml")
        meta = optional_part(package, "meta.xml")
        office_meta = child(meta, "meta")
        metadata = {} if office_meta is None else named_texts(office_meta, _META)
    reader = _Reader(root)
    blocks = Blocks()
    body = child(root, "body")
    # Its one child says what it is: `text`, `presentation`.
    items = [] if body is None or not len(body) else list(body[0])
    pages = 0
    for number, item in enumerate(items, 1):
        if local(item) == "page":
            pages += 1
            reader.slide(item, pages, blocks)
        else:
            reader.block(item, blocks)
        on_progress(number, len(items), f"block {number} of {len(items)}")
    for note in reader.notes:
        blocks.add(note)
    text = blocks.text()
    stated = reader.title or metadata.pop("title", "")
    return Extracted(
        text=text,
        title=title_of(source, text, stated),
        source_type=source.kind,
        pages=pages or None,
        metadata=metadata,
    )


def refuse_encrypted(package: Package) -> None:
    """Raise PasswordRequired for an encrypted OpenDocument file: each part is encrypted in its own right."""
    manifest = optional_part(package, "META-INF/manifest.xml")
    if manifest is not None and next(manifest.iter("{*}encryption-data"), None) is not None:
        raise PasswordRequired(
            "The OpenDocument file is encrypted: save it without a password and submit that."
        )


class _Reader:
    """Turns the blocks of one OpenDocument file into Markdown."""

    def __init__(self, root: Element) -> None:
        # Foot- and endnotes so far, as Markdown.
        self.notes: list[str] = []
        # Text of the first paragraph in the style "Title".
        self.title = ""
        self._numbered = {
            (attribute(style, "name"), attribute(level, "level"))
            for style in root.iter("{*}list-style")
            for level in children(style, "list-level-style-number")
            if attribute(level, "num-format")
        }
        self._parents = {
            attribute(style, "name"): attribute(style, "parent-style-name") for style in root.iter("{*}style")
        }

    def slide(self, page: Element, number: int, blocks: Blocks) -> None:
        """Append a slide: its title, what is on it, its notes."""
        title, content, notes = "", Blocks(), Blocks()
        for item in page:
            if local(item) == "notes":
                for frame in children(item, "frame"):
                    self.block(frame, notes)
            elif attribute(item, "class") == "title" and not title:
                inner = Blocks()
                self.block(item, inner)
                title = squeeze(inner.text())
            else:
                self.block(item, content)
        if title or len(content) or len(notes):
            blocks.add(heading(2, title or f"Slide {number}"))
        blocks.extend(content)
        if len(notes):
            blocks.add(f"Notes: {notes.text()}")

    def block(self, element: Element, blocks: Blocks) -> None:
        """Append what an element of the body shows."""
        name = local(element)
        if name in ("h", "p"):
            self._paragraph(element, blocks)
        elif name == "list":
            self._list(element, 1, None, blocks)
        elif name == "table":
            self._table(element, blocks)
        elif name not in _SKIPPED:
            for item in element:
                self.block(item, blocks)

    def _paragraph(self, element: Element, blocks: Blocks) -> None:
        boxes: list[Element] = []
        text = tidy(self._inline(element, boxes))
        style = attribute(element, "style-name")
        if local(element) == "h":
            stated = attribute(element, "outline-level") or "1"
            blocks.add(heading(int(stated) if stated.isascii() and stated.isdigit() else 1, text))
        elif "Title" in (style, self._parents.get(style)):
            self.title = self.title or squeeze(text)
            blocks.add(heading(1, text))
        else:
            blocks.add(text)
        for box in boxes:
            for item in box:
                self.block(item, blocks)

    def _inline(self, element: Element, boxes: list[Element]) -> str:
        """Return the text of a paragraph; white space counts as in 6.1.2 of the standard."""
        pieces = [element.text or ""]
        for item in element:
            name = local(item)
            if name == "s":
                count = attribute(item, "c") or "1"
                pieces.append(" " * (min(int(count), 100) if count.isascii() and count.isdigit() else 1))
            elif name == "tab":
                pieces.append("\t")
            elif name == "line-break":
                pieces.append("\n")
            elif name == "note":
                pieces.append(self._note(item))
            elif name in ("frame", "custom-shape", "g", "rect"):
                boxes.append(item)
            elif name not in _SKIPPED:
                pieces.append(self._inline(item, boxes))
            pieces.append(item.tail or "")
        return "".join(pieces)

    def _note(self, note: Element) -> str:
        inner = Blocks()
        body = child(note, "note-body")
        number = len(self.notes)
        self.notes.append("")
        for item in body if body is not None else ():
            self.block(item, inner)
        self.notes[number] = f"[^{number + 1}]: {squeeze(inner.text())}"
        return f"[^{number + 1}]"

    def _list(self, element: Element, level: int, style: str | None, blocks: Blocks) -> None:
        style = attribute(element, "style-name") or style
        numbered = (style, str(level)) in self._numbered
        for number, item in enumerate(element, 1):
            marker = f"{number}." if numbered and local(item) == "list-item" else "-"
            for inner in item:
                if local(inner) == "list":
                    self._list(inner, level + 1, style, blocks)
                elif local(inner) == "p":
                    boxes: list[Element] = []
                    blocks.add_item(marker, self._inline(inner, boxes), level - 1)
                    for box in boxes:
                        self.block(box, blocks)
                else:
                    self.block(inner, blocks)

    def _table(self, element: Element, blocks: Blocks) -> None:
        rows = []
        for row in element.iter("{*}table-row"):
            # Rows of a nested table belong to its cell.
            if _table_of(row) is element:
                rows.append([text for cell in row for text in self._cell(cell)])
        blocks.add(table(rows))

    def _cell(self, cell: Element) -> list[str]:
        inner = Blocks()
        for item in cell:
            self.block(item, inner)
        stated = attribute(cell, "number-columns-repeated") or "1"
        count = min(int(stated), _MAX_REPEATED) if stated.isascii() and stated.isdigit() else 1
        return [flat(inner.text())] * count


def _table_of(row: Element) -> Element | None:
    return next(row.iterancestors("{*}table"), None)
