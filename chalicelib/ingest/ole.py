"""OLE files: old Office documents and Outlook messages, told apart by the streams in their directory.

The first bytes of such a file seldom say what it is, as its directory may lie anywhere: so one parser takes them
all and looks. An encrypted docx, pptx or xlsx is an OLE file too.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec
import olefile

from chalicelib.errors import BrokenFile, PermanentError, UnsupportedType
from chalicelib.ingest import containers, outlook, word97
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.formats import FORMATS, taken
from chalicelib.ingest.officefiles import OLE_MAGIC, opened

_HEAD_BYTES: Final = 64 * 1024


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read an OLE file as what it is; progress as that kind's parser reports it.

    Raise PasswordRequired, BrokenFile, TooLarge, or UnsupportedType for a kind that nothing here reads.
    """
    try:
        return _parsed(source, on_progress)
    except RecursionError:
        # olefile follows folders in folders by calls in calls.
        raise BrokenFile("The file is damaged: its folders are nested too deeply.") from None


def _parsed(source: Source, on_progress: ProgressCallback) -> Extracted:
    with opened(source) as file:
        head = file.read(_HEAD_BYTES)
        if not head.startswith(OLE_MAGIC):
            # It was an encrypted package. Its own parser decrypts it again: the plain text stays in memory.
            kind, _ = containers.identify(head, source.filename)
            return _parsed_as(kind, source, on_progress)
        file.seek(0)
        try:
            ole = olefile.OleFileIO(file)
        except (OSError, struct.error, IndexError) as error:
            raise BrokenFile(f"The file is damaged: {error}") from None
        with ole:
            return _read(ole, source, on_progress)


def _read(ole: olefile.OleFileIO[Any], source: Source, on_progress: ProgressCallback) -> Extracted:
    reader: Callable[..., Any]
    if ole.exists("WordDocument"):
        reader = word97.read
    elif ole.exists("Workbook") or ole.exists("Book"):
        return _parsed_as("xls", source, on_progress)
    elif ole.exists("__properties_version1.0"):
        reader = outlook.read
    else:
        raise _unreadable(ole)
    try:
        found: Extracted = reader(ole, source)
    except OSError as error:
        raise BrokenFile(f"The file is damaged: {error}") from None
    on_progress(1, 1, "read")
    return found


def _unreadable(ole: olefile.OleFileIO[Any]) -> PermanentError:
    if not ole.listdir():
        return BrokenFile("The file is damaged: nothing can be found in it.")
    if ole.exists("PowerPoint Document"):
        row = FORMATS["ppt"]
        return UnsupportedType(
            f"This file is {row.label}, which can't be read: save it as pptx.", kind=row.kind
        )
    return UnsupportedType(
        f"This is a file of an old program that can't be read. Taken are: {taken()}.", kind="ole"
    )


def _parsed_as(kind: str, source: Source, on_progress: ProgressCallback) -> Extracted:
    # "xls" comes here first: its parser is named here, not looked up, or it would come back.
    name = "chalicelib.ingest.sheets:parse" if kind == "xls" else FORMATS[kind].parser
    if name is None:
        raise BrokenFile("The file is encrypted, and what is in it is no Office document.")
    module, _, function = name.partition(":")
    parse_kind = getattr(importlib.import_module(module), function)
    found: Extracted = parse_kind(msgspec.structs.replace(source, kind=kind), on_progress=on_progress)
    return found
