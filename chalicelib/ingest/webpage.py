"""Web pages: the article, picked out by trafilatura; or all that the page shows, where there is no article."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import trafilatura

from chalicelib.errors import TooLarge
from chalicelib.ingest import hypertext
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import squeeze, tidy
from chalicelib.ingest.text import clean
from chalicelib.ingest.titles import stated_title, title_of
from chalicelib.ingest.xmlparts import Element

MB: Final = 1024 * 1024
MAX_PAGE_BYTES: Final = 20 * MB
# Looking for the article costs about 1 s a megabyte; no article is this long.
_MAX_ARTICLE_PAGE_BYTES: Final = 5 * MB
# An article with less than this share of the page's own text (without navigation, headers and footers) was
# picked wrongly: a list of entries, a table of data, a forum.
_MIN_SHARE: Final = 0.25
_METADATA: Final = {"author": "author", "date": "created", "sitename": "site", "description": "description"}
_MAX_METADATA_CHARACTERS: Final = 500
# More words than this are no name, but a line that was taken for one.
_MAX_NAME_WORDS: Final = 6


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read an HTML file as Markdown; progress has one step. Raise TooLarge (20 MB) or BrokenFile."""
    path = Path(source.path)
    size = path.stat().st_size
    if size > MAX_PAGE_BYTES:
        limit = MAX_PAGE_BYTES // MB
        raise TooLarge(f"Web pages are read up to {limit} MB.", limit_mb=limit)
    page, warnings = hypertext.decoded(path.read_bytes())
    root = hypertext.tree(page)
    title = _title_tag(root)
    article, metadata = _article(page) if size <= _MAX_ARTICLE_PAGE_BYTES else ("", {})
    # Last: it changes the tree.
    body = hypertext.markdown(root, surroundings=False) or hypertext.markdown(root)
    text = article if len(article) >= len(body) * _MIN_SHARE else body
    on_progress(1, 1, "read")
    stated = stated_title(metadata.pop("title", "")) or title
    return Extracted(
        text=text,
        title=title_of(source, text, stated),
        source_type="html",
        metadata=metadata,
        warnings=warnings,
    )


def _title_tag(root: Element) -> str:
    element = root.find(".//title")
    return squeeze(element.text or "") if element is not None else ""


def _article(page: str) -> tuple[str, dict[str, str]]:
    """Return (the article as Markdown, metadata); ("", {}) where none is found."""
    tree = trafilatura.load_html(page)
    if tree is None:
        return "", {}
    try:
        found = trafilatura.extract_metadata(tree, extensive=False)
        text = trafilatura.extract(
            tree, fast=True, output_format="markdown", include_comments=False, include_tables=True
        )
    except RecursionError:
        # It walks trees by recursion; our own reading does not.
        return "", {}
    metadata = {name: squeeze(clean(str(getattr(found, key) or ""))) for key, name in _METADATA.items()}
    if any(len(name.split()) > _MAX_NAME_WORDS for name in metadata["author"].split(";")):
        metadata["author"] = ""
    metadata["title"] = _main_title(found.title or "", text or "")
    return tidy(clean(text or "")), {
        key: value[:_MAX_METADATA_CHARACTERS] for key, value in metadata.items() if value
    }


def _main_title(stated: str, text: str) -> str:
    """Return the page's title without the site's name, where the article's first heading tells it from it."""
    first = re.match(r"# (.+)", text)
    return first[1] if first and stated.startswith(f"{first[1]} ") else stated
