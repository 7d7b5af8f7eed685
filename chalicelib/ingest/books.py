"""E-books (EPUB 2 and 3): the chapters in reading order."""

from __future__ import annotations

import posixpath
from typing import Final
from urllib.parse import unquote

from chalicelib.errors import BrokenFile, PasswordRequired
from chalicelib.ingest import hypertext
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import Blocks, heading, squeeze
from chalicelib.ingest.officefiles import opened_package
from chalicelib.ingest.packages import Package
from chalicelib.ingest.titles import title_of
from chalicelib.ingest.xmlparts import Element, all_text, child, children, named_texts, optional_part, part

_METADATA: Final = {
    "title": "title",
    "creator": "author",
    "language": "language",
    "publisher": "publisher",
    "date": "created",
    "subject": "subject",
}
_PAGES: Final = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})
# Algorithms that only disguise fonts (EPUB OCF 4.4, and Adobe's): the text is plain.
_FONT_ALGORITHMS: Final = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read an EPUB; progress counts chapters. Raise PasswordRequired (copy protection), BrokenFile or TooLarge."""
    with opened_package(source) as package:
        _refuse_protected(package)
        book = _Book(package)
        blocks = Blocks()
        for number, name in enumerate(book.spine, 1):
            blocks.add(book.chapter(name))
            on_progress(number, len(book.spine), f"chapter {number} of {len(book.spine)}")
    text = blocks.text()
    return Extracted(
        text=text,
        title=title_of(source, text, book.metadata.pop("title", "")),
        source_type="epub",
        metadata=book.metadata,
        warnings=tuple(book.warnings),
    )


def _refuse_protected(package: Package) -> None:
    root = optional_part(package, "META-INF/encryption.xml")
    methods = root.iter("{*}EncryptionMethod") if root is not None else iter(())
    if any(method.get("Algorithm") not in _FONT_ALGORITHMS for method in methods):
        raise PasswordRequired("The e-book is copy-protected (DRM), which can't be read here.")


class _Book:
    """An open EPUB."""

    def __init__(self, package: Package) -> None:
        self._package = package
        container = part(package, "META-INF/container.xml")
        rootfile = child(container, "rootfiles", "rootfile")
        self._name = "" if rootfile is None else rootfile.get("full-path", "")
        root = part(package, self._name)
        meta = child(root, "metadata")
        self.metadata = {} if meta is None else named_texts(meta, _METADATA)
        self.warnings: list[str] = []
        self._manifest = {item.get("id"): item for item in children(child(root, "manifest"), "item")}
        spine = child(root, "spine")
        self.spine = self._chapters(spine)
        self._titles = self._contents(spine)

    def chapter(self, name: str) -> str:
        """Return a chapter as Markdown, under its title in the table of contents if it has no heading itself."""
        try:
            page, _ = hypertext.decoded(self._package.read(name))
            text = hypertext.markdown(hypertext.tree(page))
        except BrokenFile as error:
            self.warnings.append(f"The chapter {posixpath.basename(name)!r} was left out: {error.message}")
            return ""
        title = self._titles.get(name, "")
        has_heading = text.startswith("#") or "\n#" in text
        return text if has_heading or not text or not title else f"{heading(1, title)}\n\n{text}"

    def _chapters(self, spine: Element | None) -> list[str]:
        found = []
        for reference in children(spine, "itemref"):
            item = self._manifest.get(reference.get("idref"))
            if item is not None and item.get("media-type") in _PAGES:
                found.append(self._resolve(item.get("href", ""), self._name))
        if not found:
            raise BrokenFile("The e-book is damaged: it names no chapters.")
        return list(dict.fromkeys(found))

    def _resolve(self, href: str, base: str) -> str:
        path = unquote(href.partition("#")[0])
        return posixpath.normpath(posixpath.join("/", posixpath.dirname(base), path)).lstrip("/")

    def _contents(self, spine: Element | None) -> dict[str, str]:
        """Return the chapters' titles in the table of contents (EPUB 2's NCX, or EPUB 3's navigation page)."""
        titles: dict[str, str] = {}
        ncx = self._manifest.get(spine.get("toc")) if spine is not None else None
        if ncx is not None:
            name = self._resolve(ncx.get("href", ""), self._name)
            root = optional_part(self._package, name)
            for point in root.iter("{*}navPoint") if root is not None else ():
                label, content = child(point, "navLabel", "text"), child(point, "content")
                if label is not None and content is not None:
                    titles.setdefault(self._resolve(content.get("src", ""), name), squeeze(label.text or ""))
        for item in self._manifest.values():
            if "nav" in item.get("properties", "").split():
                self._navigation(self._resolve(item.get("href", ""), self._name), titles)
        return titles

    def _navigation(self, name: str, titles: dict[str, str]) -> None:
        if name not in self._package:
            return
        page, _ = hypertext.decoded(self._package.read(name))
        for link in hypertext.tree(page).iter("a"):
            target = self._resolve(link.get("href", ""), name)
            titles.setdefault(target, squeeze(all_text(link)))
