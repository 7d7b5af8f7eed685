"""A document's title: what its author wrote, not what a program left in its properties."""

from __future__ import annotations

import re

from chalicelib.ingest.document import Source
from chalicelib.ingest.filename import stem
from chalicelib.ingest.markdown import squeeze
from chalicelib.ingest.text import MAX_TITLE_CHARACTERS, clean, heading_like

# Titles that programs write by themselves, and file names.
_NO_TITLE = re.compile(
    r"(?:untitled|unbenannt|title|document|presentation|powerpoint[- ]pr[aä]sentation|powerpoint presentation"
    r"|slide|word document|unknown)[\s\d]*\Z"
    r"|.*\.(?:docx?|dvi|html?|indd|odp|odt|pdf|pptx?|ps|qxd|rtf|tex|txt|xlsx?)\Z|[\W\d_]*\Z|\S*[/\\]\S*\Z",
    re.I | re.S,
)
_PREFIX = re.compile(r"(?:microsoft (?:word|powerpoint|excel) - )", re.I)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.M)
# A heading further down names a part, not the document.
_HEAD_CHARACTERS = 5000


def stated_title(stated: str) -> str:
    """Return the title in a document's properties if a person wrote it, else ""."""
    stated = squeeze(_PREFIX.sub("", clean(stated)))
    return stated[:MAX_TITLE_CHARACTERS] if len(stated) >= 3 and not _NO_TITLE.match(stated) else ""


def title_of(source: Source, text: str, stated: str = "") -> str:
    """Return the stated title, else the first heading of the Markdown `text`, else a first line that looks like one.

    Where there is none of these, the file's name.
    """
    found = _HEADING.search(text[:_HEAD_CHARACTERS])
    title = stated_title(stated) or (found[1] if found else heading_like(text))
    return title[:MAX_TITLE_CHARACTERS].strip() or stem(source.filename)
