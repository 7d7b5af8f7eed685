"""XML from strangers: no entities, no DTD, no network, no giant nodes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from lxml import etree

from chalicelib.errors import BrokenFile
from chalicelib.ingest.packages import Package

Element = etree._Element

_RELATIONSHIPS: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_CORE: Final = {
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "created": "created",
    "modified": "modified",
    "title": "title",
}
_MAX_METADATA_CHARACTERS: Final = 500
_DATE_CHARACTERS: Final = 10


def parse_xml(data: bytes, name: str) -> Element:
    """Return the root of the XML document `data`; `name` is for messages.

    Raise BrokenFile when it is not well-formed, is nested deeper than 256 elements (libxml2's limit), or declares
    entities: no office format needs them, and they multiply ("billion laughs").
    """
    # A parser of its own for each: lxml's keep state between documents.
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BrokenFile(f"The file is damaged: {name!r} is not well-formed XML ({error.msg}).") from None
    dtd: Any = root.getroottree().docinfo.internalDTD
    if dtd is not None and dtd.entities():
        raise BrokenFile(f"The file is refused: {name!r} declares XML entities, which no such file needs.")
    return root


def part(package: Package, name: str) -> Element:
    """Return the root of the package's part `name`; raise as `parse_xml` and `Package.read` do."""
    return parse_xml(package.read(name), name)


def optional_part(package: Package, name: str | None) -> Element | None:
    """Return the root of the part `name`, or None where there is none."""
    return part(package, name) if name is not None and name in package else None


def local(element: Element) -> str:
    """Return an element's name without its namespace: strict and transitional files differ in nothing else."""
    # Comments and the like have a function for a tag, and no name.
    tag: object = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def all_text(element: Element) -> str:
    """Return all text within an element, in order."""
    return "".join(str(piece) for piece in element.itertext())


def attribute(element: Element, name: str) -> str | None:
    """Return the attribute with the local name `name`, in whatever namespace, or None."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return None


def child(element: Element | None, *path: str) -> Element | None:
    """Return the first descendant along `path` of local names, or None."""
    for name in path:
        if element is None:
            return None
        element = next((item for item in element if local(item) == name), None)
    return element


def children(element: Element | None, name: str) -> Iterator[Element]:
    """Yield the children with the local name `name`."""
    if element is not None:
        yield from (item for item in element if local(item) == name)


class Relationship:
    """Where a relationship of an OPC part leads."""

    def __init__(self, kind: str, target: str) -> None:
        # Last segment of the relationship's type: "slide", "footnotes" …
        self.kind = kind
        # Name of the part in the package.
        self.target = target


def relationships(package: Package, name: str) -> dict[str, Relationship]:
    """Return the relationships of the part `name` ("" for the package's own) by id; links to outside are left out.

    ECMA-376 part 2, 9.3: they are in `_rels/NAME.rels` beside the part, relative to the part's folder.
    """
    folder, base = posixpath.split(name)
    root = optional_part(package, posixpath.join(folder, "_rels", f"{base}.rels"))
    found = {}
    for item in root.iter(_RELATIONSHIPS) if root is not None else ():
        if item.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, unquote(item.get("Target", "")))).lstrip(
                "/"
            )
            found[item.get("Id", "")] = Relationship(item.get("Type", "").rpartition("/")[2], target)
    return found


def targets(found: dict[str, Relationship], kind: str) -> list[str]:
    """Return the parts that relationships of `kind` lead to, in the file's order, each once."""
    return list(dict.fromkeys(item.target for item in found.values() if item.kind == kind))


def main_part(package: Package, usual: str) -> str:
    """Return the name of the office document's main part; `usual` where the package does not say."""
    return next(iter(targets(relationships(package, ""), "officeDocument")), usual)


def core_metadata(package: Package) -> dict[str, str]:
    """Return title, author, subject, keywords, created and modified of an Office Open XML file, where stated."""
    name = next(iter(targets(relationships(package, ""), "core-properties")), "docProps/core.xml")
    root = optional_part(package, name)
    return {} if root is None else named_texts(root, _CORE)


def named_texts(root: Element, names: dict[str, str]) -> dict[str, str]:
    """Return the text of the children of `root`, by the key that `names` gives for their local name."""
    found: dict[str, str] = {}
    for item in root:
        key = names.get(local(item))
        value = " ".join((item.text or "").split())
        if key and value and key not in found:
            cut = _DATE_CHARACTERS if key in ("created", "modified") else _MAX_METADATA_CHARACTERS
            found[key] = value[:cut]
    return found
