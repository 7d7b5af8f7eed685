"""HTML to Markdown: everything that it shows, in order, without judging what matters.

For e-books, mails and pages that are no articles; `webpage` picks the article out of a page.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree, html

from chalicelib.errors import BrokenFile
from chalicelib.ingest.markdown import Blocks, fence, heading, squeeze, table
from chalicelib.ingest.text import decode
from chalicelib.ingest.xmlparts import Element, all_text

# What no reader sees.
_HIDDEN: Final = frozenset(
    {
        "head", "script", "style", "template", "noscript", "svg", "math", "canvas",
        "object", "embed", "iframe", "audio", "video", "select", "datalist",
    }
)  # fmt: skip
# What surrounds a page's own text.
_SURROUNDINGS: Final = frozenset({"nav", "header", "footer", "aside"})
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_INLINE: Final = frozenset(
    {
        "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite",
        "code", "data", "del", "dfn", "em", "font", "i", "img",
        "input", "ins", "kbd", "label", "mark", "output", "q", "rp",
        "rt", "ruby", "s", "samp", "small", "span", "strike", "strong",
        "sub", "sup", "time", "tt", "u", "var", "wbr", "button",
    }
)  # fmt: skip
_LISTS: Final = frozenset({"ul", "ol", "menu", "dir"})
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.I)
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})[\"']")
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,200}\?>")
_SPACES = re.compile(r"\s+")
_META_BYTES: Final = 4096
# Cells with more text than this, or with blocks of their own, are a page's layout and no table.
_MAX_CELL_CHARACTERS: Final = 1000
_BLOCKS_IN_CELLS: Final = "|".join(f".//{name}" for name in ("table", "h1", "h2", "h3", "pre", "blockquote"))


def decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return (text of an HTML file, warnings): by mark, UTF-8, the charset that it declares, or guessed."""
    stated = _XML_ENCODING.match(data) or _CHARSET.search(data[:_META_BYTES])
    if stated:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            try:
                # Browsers read Latin-1 as Windows' code page (WHATWG Encoding, 4.2).
                name = stated[1].decode("ascii").lower()
                return data.decode("cp1252" if name in ("iso-8859-1", "latin1", "us-ascii") else name), ()
            except (LookupError, UnicodeError):
                pass  # A wrong label: guess.
    text, _, warnings = decode(data)
    return text, warnings


def tree(text: str) -> Element:
    """Return the root of an HTML document; raise BrokenFile when there is none."""
    # huge_tree lifts the nesting to 2,048 elements: unclosed tags pile up on honest pages.
    parser = html.HTMLParser(no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(_XML_DECLARATION.sub("", text, count=1), parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise BrokenFile(f"There is no HTML in the file ({error}).") from None
    return root


def markdown(root: Element, *, surroundings: bool = True) -> str:
    """Return what the tree `root` shows, as Markdown; raise TooLarge.

    Without `surroundings`, navigation, page headers and footers are left out.
    """
    hidden = _HIDDEN if surroundings else _HIDDEN | _SURROUNDINGS
    return _Writer(hidden).write(root)


class _Writer:
    """Walks a tree by events, not by recursion: pages may be nested thousands deep."""

    def __init__(self, hidden: frozenset[str]) -> None:
        self._hidden = hidden
        self._blocks = Blocks()
        self._inline: list[str] = []
        # Open lists: the number of the next item, or None for bullets.
        self._lists: list[int | None] = []
        # What the text being gathered becomes: a heading's level, or a list item's marker.
        self._level = 0
        self._marker = ""

    def write(self, root: Element) -> str:
        """Return the Markdown of `root`."""
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if not isinstance(element.tag, str):
                self._text(element.tail if event == "end" else None)
            elif event == "start":
                if self._start(element):
                    self._text(element.text)
                else:
                    walk.skip_subtree()
            else:
                self._end(element)
                if element is not root:
                    self._text(element.tail)
        self._flush()
        return self._blocks.text()

    def _text(self, text: str | None) -> None:
        if text:
            # A line end in the source is a blank; only <br> breaks a line.
            self._inline.append(_SPACES.sub(" ", text))

    def _start(self, element: Element) -> bool:
        """Open an element; return whether its content is to be walked."""
        name = element.tag
        if name in self._hidden or element.get("hidden") is not None:
            return False
        if name in _INLINE:
            return True
        if name == "br":
            self._inline.append("\n")
            return True
        self._flush()
        if name == "pre":
            self._blocks.add(fence(all_text(element)))
            return False
        if name == "table" and _is_data(element):
            self._blocks.add(_table(element))
            return False
        self._level = _HEADINGS.get(name, 0)
        if name in _LISTS:
            self._lists.append(1 if name == "ol" else None)
        elif name == "li":
            self._marker = self._next_marker()
        return True

    def _end(self, element: Element) -> None:
        name = element.tag
        if name in _INLINE or name == "br" or name in self._hidden:
            return
        self._flush()
        self._level = 0
        if name in _LISTS and self._lists:
            self._lists.pop()
        elif name == "li":
            self._marker = ""

    def _next_marker(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "-"
        self._lists[-1] = number + 1
        return f"{number}."

    def _flush(self) -> None:
        text = "\n".join(filter(None, map(squeeze, "".join(self._inline).split("\n"))))
        self._inline.clear()
        if not text:
            return
        if self._level:
            self._blocks.add(heading(self._level, text))
        elif self._marker:
            self._blocks.add_item(self._marker, text, max(len(self._lists) - 1, 0))
            self._marker = ""
        else:
            self._blocks.add(text)


def _is_data(element: Element) -> bool:
    """Say whether a table holds data: layout tables hold blocks, or one cell."""
    if element.get("role") == "presentation" or element.xpath(_BLOCKS_IN_CELLS):
        return False
    cells = list(element.iter("td", "th"))
    return len(cells) > 1 and all(len(all_text(cell)) <= _MAX_CELL_CHARACTERS for cell in cells)


def _table(element: Element) -> str:
    rows = [[_cell(cell) for cell in row if cell.tag in ("td", "th")] for row in element.iter("tr")]
    caption = element.find("caption")
    title = squeeze(all_text(caption)) if caption is not None else ""
    return "\n\n".join(filter(None, (title, table(rows))))


def _cell(cell: Element) -> str:
    etree.strip_elements(cell, "script", "style", with_tail=False)
    return " ".join(str(piece) for piece in cell.itertext())
