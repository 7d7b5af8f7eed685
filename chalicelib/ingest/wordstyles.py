"""What a Word paragraph's style and numbering make of it: a heading, a list item, or neither."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from chalicelib.ingest.xmlparts import Element, attribute, child, children

_HEADING_NAME = re.compile(r"(?:heading|überschrift|titre|título|titolo|kop|rubrik) ?(\d)\Z", re.I)
# Styles are based on one another; a chain this long is a circle.
_MAX_CHAIN: Final = 20
_BODY_LEVEL: Final = 9  # ECMA-376 part 1, 17.3.1.20: no outline level.


def value(element: Element | None) -> str | None:
    """Return the attribute `w:val` of an element, or None."""
    return None if element is None else attribute(element, "val")


def is_on(element: Element | None) -> bool:
    """Say whether a toggle property is set (17.17.4: present without a value means on)."""
    return element is not None and value(element) not in ("0", "false", "off")


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph style, with what it inherits."""

    # Level of a heading: 1 to 9, 0 for the document's title; None: no heading.
    level: int | None = None
    # Numbering that the style brings.
    number_id: str | None = None
    number_level: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph's place in a list."""

    # "-" or "3.".
    marker: str
    # 0 is the outermost.
    level: int


class Styles:
    """The styles of one document, by id."""

    def __init__(self, root: Element | None) -> None:
        self._elements = {attribute(item, "styleId"): item for item in children(root, "style")}
        self._known: dict[str | None, Style] = {}

    def get(self, style_id: str | None) -> Style:
        """Return the style `style_id`; one without properties for an unknown id."""
        if style_id not in self._known:
            self._known[style_id] = self._resolved(style_id)
        return self._known[style_id]

    def level(self, properties: Element | None, style: Style) -> int | None:
        """Return the heading level of a paragraph with `properties` and `style`; None: no heading."""
        own = _outline_level(properties)
        return style.level if own is None or style.level == 0 else own if own <= _BODY_LEVEL else None

    def _resolved(self, style_id: str | None) -> Style:
        level = number_id = number_level = None
        for _ in range(_MAX_CHAIN):
            element = self._elements.get(style_id)
            # Without a styles part the usual ids still say what they are.
            name = value(child(element, "name")) or style_id or ""
            properties = child(element, "pPr")
            level = level if level is not None else _level(name, properties)
            number_id = number_id or value(child(properties, "numPr", "numId"))
            number_level = number_level or value(child(properties, "numPr", "ilvl"))
            style_id = value(child(element, "basedOn"))
            if element is None or style_id is None:
                break
        if level is not None and level > _BODY_LEVEL:
            level = None
        return Style(level=level, number_id=number_id, number_level=number_level)


def _level(name: str, properties: Element | None) -> int | None:
    if name.lower() == "title":
        return 0
    named = _HEADING_NAME.match(name)
    return int(named[1]) or 1 if named else _outline_level(properties)


def _outline_level(properties: Element | None) -> int | None:
    """Return 1 to 9, 10 for "body text", None where nothing is said."""
    stated = value(child(properties, "outlineLvl"))
    return int(stated) + 1 if stated and re.fullmatch(r"\d", stated) else None


class Numbering:
    """The lists of one document; counts the items of numbered ones."""

    def __init__(self, root: Element | None) -> None:
        abstract = {attribute(item, "abstractNumId"): item for item in children(root, "abstractNum")}
        self._formats: dict[str | None, dict[str | None, str]] = {}
        for number in children(root, "num"):
            levels = children(abstract.get(value(child(number, "abstractNumId"))), "lvl")
            self._formats[attribute(number, "numId")] = {
                attribute(level, "ilvl"): value(child(level, "numFmt")) or "decimal" for level in levels
            }
        self._counts: dict[tuple[str, int], int] = {}

    def item(self, properties: Element | None, style: Style) -> Item | None:
        """Return the place of a paragraph with the numbering `properties` and `style`; None: no list."""
        number_id = value(child(properties, "numId")) or style.number_id
        stated = value(child(properties, "ilvl")) or style.number_level or "0"
        # Number 0 takes a paragraph out of its style's list (17.9.18).
        if number_id is None or number_id == "0" or not re.fullmatch(r"\d", stated):
            return None
        form = self._formats.get(number_id, {}).get(stated, "bullet")
        if form == "none":
            return None
        level = int(stated)
        return Item(marker="-" if form == "bullet" else f"{self._next(number_id, level)}.", level=level)

    def _next(self, number_id: str, level: int) -> int:
        for deeper in range(level + 1, _BODY_LEVEL + 1):
            self._counts.pop((number_id, deeper), None)
        self._counts[number_id, level] = self._counts.get((number_id, level), 0) + 1
        return self._counts[number_id, level]
