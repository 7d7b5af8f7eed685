"""PowerPoint presentations (pptx), read from their parts (ECMA-376 part 1, 19 and 21)."""

from __future__ import annotations

from typing import Final

from chalicelib.errors import BrokenFile
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import Blocks, heading, squeeze, table
from chalicelib.ingest.officefiles import opened_package
from chalicelib.ingest.packages import Package
from chalicelib.ingest.titles import title_of
from chalicelib.ingest.xmlparts import (
    Element,
    Relationship,
    attribute,
    child,
    children,
    core_metadata,
    local,
    main_part,
    part,
    relationships,
    targets,
)

_TITLES: Final = frozenset({"title", "ctrTitle"})
# Placeholders that repeat on every slide.
_REPEATED: Final = frozenset({"dt", "ftr", "hdr", "sldNum", "sldImg"})
# Placeholders whose paragraphs have bullets.
_BULLETED: Final = frozenset({"body", "obj"})


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a pptx; progress counts slides.

    A slide is a heading (its title or its number), its texts, lists and tables in their order, and its notes.
    Raise PasswordRequired, BrokenFile or TooLarge.
    """
    with opened_package(source) as package:
        slides = _slides(package)
        blocks = Blocks()
        for number, name in enumerate(slides, 1):
            _Slide(package, name).write(number, blocks)
            on_progress(number, len(slides), f"slide {number} of {len(slides)}")
        metadata = core_metadata(package)
    text = blocks.text()
    return Extracted(
        text=text,
        title=title_of(source, text, metadata.pop("title", "")),
        source_type="pptx",
        pages=len(slides),
        metadata=metadata,
    )


def _slides(package: Package) -> list[str]:
    """Return the names of the slides' parts, in the order of the show."""
    name = main_part(package, "ppt/presentation.xml")
    root, parts = part(package, name), relationships(package, name)
    ids = [_relation(item) for item in children(child(root, "sldIdLst"), "sldId")]
    found = [parts[key].target for key in ids if key in parts and parts[key].target in package]
    if not found and ids:
        raise BrokenFile("The presentation is damaged: none of its slides can be found.")
    return found


def _relation(element: Element) -> str:
    """Return the relationship id of an element that has a plain `id` too."""
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith("}id")), "")


class _Slide:
    """One slide."""

    def __init__(self, package: Package, name: str) -> None:
        self._package = package
        self._root = part(package, name)
        self._parts: dict[str, Relationship] = relationships(package, name)
        self._title = ""

    def write(self, number: int, blocks: Blocks) -> None:
        """Append the slide to `blocks`."""
        content = Blocks()
        self._shapes(child(self._root, "cSld", "spTree"), content)
        notes = self._notes()
        if self._title or len(content) or notes:
            blocks.add(heading(2, self._title or f"Slide {number}"))
        blocks.extend(content)
        if notes:
            blocks.add(f"Notes: {notes}")

    def _shapes(self, group: Element | None, blocks: Blocks) -> None:
        for shape in group if group is not None else ():
            name = local(shape)
            if name == "sp":
                self._shape(shape, blocks)
            elif name == "graphicFrame":
                self._graphic(shape, blocks)
            elif name == "AlternateContent":
                self._shapes(child(shape, "Choice"), blocks)
            elif name == "grpSp":
                self._shapes(shape, blocks)

    def _shape(self, shape: Element, blocks: Blocks) -> None:
        kind = _placeholder(shape)
        body = child(shape, "txBody")
        if body is None or kind in _REPEATED:
            return
        if kind in _TITLES and not self._title:
            self._title = squeeze(" ".join(_paragraph(item) for item in children(body, "p")))
            return
        for item in children(body, "p"):
            text = _paragraph(item)
            if _has_bullet(item, kind):
                blocks.add_item("-", text, _level(item))
            else:
                blocks.add(text)

    def _graphic(self, frame: Element, blocks: Blocks) -> None:
        data = child(frame, "graphic", "graphicData")
        grid = child(data, "tbl")
        if grid is not None:
            blocks.add(table([_cell(cell) for cell in children(row, "tc")] for row in children(grid, "tr")))
            return
        # A diagram (`dm`: its data) or a chart (`id`) is a part of its own.
        for item in data if data is not None else ():
            link = self._parts.get(attribute(item, "dm") or attribute(item, "id") or "")
            if link is not None and link.target in self._package:
                self._graphic_part(link, blocks)

    def _graphic_part(self, link: Relationship, blocks: Blocks) -> None:
        root = part(self._package, link.target)
        if link.kind == "diagramData":
            for item in root.iter("{*}p"):
                blocks.add_item("-", _paragraph(item))
        elif link.kind == "chart":
            blocks.add(" ".join(_paragraph(item) for item in root.iter("{*}p")).strip())
            names = [value.text or "" for cache in root.iter("{*}strCache") for value in cache.iter("{*}v")]
            blocks.add(", ".join(dict.fromkeys(filter(None, map(squeeze, names)))))

    def _notes(self) -> str:
        texts = []
        for name in targets(self._parts, "notesSlide"):
            if name not in self._package:
                continue
            for shape in part(self._package, name).iter("{*}sp"):
                if _placeholder(shape) == "body":
                    texts += [_paragraph(item) for item in children(child(shape, "txBody"), "p")]
        return "\n".join(filter(None, texts)).strip()


def _placeholder(shape: Element) -> str | None:
    """Return the kind of a placeholder ("title" …; "obj" is the default), or None for a free shape."""
    mark = child(shape, "nvSpPr", "nvPr", "ph")
    return None if mark is None else mark.get("type", "obj")


def _paragraph(paragraph: Element) -> str:
    pieces = []
    for item in paragraph:
        name = local(item)
        if name in ("r", "fld"):
            text = child(item, "t")
            pieces.append((text.text or "") if text is not None else "")
        elif name == "br":
            pieces.append("\n")
    return "".join(pieces).strip()


def _has_bullet(paragraph: Element, kind: str | None) -> bool:
    properties = child(paragraph, "pPr")
    if child(properties, "buNone") is not None:
        return False
    own = child(properties, "buChar") is not None or child(properties, "buAutoNum") is not None
    return own or kind in _BULLETED


def _level(paragraph: Element) -> int:
    properties = child(paragraph, "pPr")
    stated = "0" if properties is None else properties.get("lvl", "0")
    return int(stated) if stated.isascii() and stated.isdigit() else 0


def _cell(cell: Element) -> str:
    return " ".join(_paragraph(item) for item in children(child(cell, "txBody"), "p"))
