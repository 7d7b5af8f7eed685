"""What an OLE file says about itself ([MS-OLEPS]), as metadata."""

from __future__ import annotations

import datetime
from typing import Any, Final

import olefile

from chalicelib.ingest.text import decode

_NAMES: Final = {"title": "title", "subject": "subject", "author": "author", "keywords": "keywords"}
_DATES: Final = {"create_time": "created", "last_saved_time": "modified"}
_MAX_CHARACTERS: Final = 500


def properties(ole: olefile.OleFileIO[Any]) -> dict[str, str]:
    """Return title, author, subject, keywords, created and modified of an open OLE file, where stated."""
    stated: Any = ole.get_metadata()
    found: dict[str, str] = {}
    for key, name in _NAMES.items():
        value = getattr(stated, key, None)
        if isinstance(value, bytes):
            value = value.decode("utf-8") if stated.codepage == 65001 else decode(value)[0]
        if isinstance(value, str) and value.strip(" \0"):
            found[name] = value.strip(" \0")[:_MAX_CHARACTERS]
    for key, name in _DATES.items():
        moment = getattr(stated, key, None)
        # 1601 is the format's zero.
        if isinstance(moment, datetime.datetime) and moment.year > 1601:
            found[name] = moment.date().isoformat()
    return found
