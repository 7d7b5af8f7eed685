"""Outlook messages (msg): properties in streams of an OLE file ([MS-OXMSG]), read by olefile."""

from __future__ import annotations

import datetime
import struct
from typing import Any, Final

import olefile

from chalicelib.ingest import hypertext
from chalicelib.ingest.attachments import Attachments, message
from chalicelib.ingest.document import Extracted, Source
from chalicelib.ingest.filename import stem
from chalicelib.ingest.mail import letter
from chalicelib.ingest.markdown import squeeze, tidy
from chalicelib.ingest.rtf import rtf_text
from chalicelib.ingest.rtfcompression import decompressed
from chalicelib.ingest.text import MAX_TITLE_CHARACTERS, clean, decode

# Property ids ([MS-OXPROPS]).
_SUBJECT, _SENDER_NAME, _SENDER_ADDRESS = 0x0037, 0x0C1A, 0x5D01
_SENDER_EMAIL, _TO, _CC = 0x0C1F, 0x0E04, 0x0E03
_BODY, _HTML, _RTF = 0x1000, 0x1013, 0x1009
_SENT, _DELIVERED = 0x0039, 0x0E06
_ATTACH_DATA, _LONG_NAME, _SHORT_NAME, _DISPLAY_NAME = 0x3701, 0x3707, 0x3704, 0x3001
# Property types: UTF-16 text, 8-bit text, bytes ([MS-OXCDATA] 2.11.1).
_UNICODE, _STRING8, _BINARY = "001F", "001E", "0102"
_PROPERTIES: Final = "__properties_version1.0"
_EPOCH: Final = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_MAX_HEADER_CHARACTERS: Final = 500

Folder = tuple[str, ...]


def read(ole: olefile.OleFileIO[Any], source: Source, folder: Folder = ()) -> Extracted:
    """Return what the message in `folder` of an open OLE file says; its attachments as `Attachments` says."""
    streams = _Streams(ole, folder)
    subject = squeeze(streams.text(_SUBJECT))
    address = streams.text(_SENDER_ADDRESS) or streams.text(_SENDER_EMAIL)
    name = streams.text(_SENDER_NAME)
    head = {
        "From": f"{name} <{address}>" if address and "@" in address and address != name else name or address,
        "To": streams.text(_TO)[:_MAX_HEADER_CHARACTERS],
        "Cc": streams.text(_CC)[:_MAX_HEADER_CHARACTERS],
        "Date": streams.date(_SENT) or streams.date(_DELIVERED),
    }
    with message() as readable:
        blocks = letter(subject, head, _body(streams))
        attachments = Attachments(source, blocks, readable=readable)
        for part in streams.folders("__attach_version1.0_"):
            _attach(ole, part, attachments, source, readable=readable)
    metadata = {"subject": subject, **{key.lower(): value for key, value in head.items()}}
    return Extracted(
        text=blocks.text(),
        title=subject[:MAX_TITLE_CHARACTERS] or stem(source.filename),
        source_type="msg",
        metadata={key: value for key, value in metadata.items() if value},
        warnings=attachments.warnings(),
    )


def _attach(
    ole: olefile.OleFileIO[Any], folder: Folder, attachments: Attachments, source: Source, *, readable: bool
) -> None:
    streams = _Streams(ole, folder)
    name = streams.text(_LONG_NAME) or streams.text(_SHORT_NAME) or streams.text(_DISPLAY_NAME)
    embedded = (*folder, "__substg1.0_3701000D")
    if not ole.exists(list(embedded)):
        attachments.add(name, streams.data(_ATTACH_DATA, _BINARY))
    elif readable and ole.exists([*embedded, _PROPERTIES]):
        found = read(ole, source, embedded)
        attachments.append(name or found.title, found.text, found.warnings)
    else:
        attachments.add(name, b"")


def _body(streams: _Streams) -> str:
    plain = tidy(streams.text(_BODY)).strip()
    if plain:
        return plain
    page = streams.data(_HTML, _BINARY)
    text = hypertext.decoded(page)[0] if page else streams.text(_HTML)
    if text.strip():
        return hypertext.markdown(hypertext.tree(text))
    return rtf_text(decompressed(streams.data(_RTF, _BINARY)))


class _Streams:
    """The properties in one folder of a message file."""

    def __init__(self, ole: olefile.OleFileIO[Any], folder: Folder) -> None:
        self._ole = ole
        self._folder = folder

    def data(self, number: int, kind: str) -> bytes:
        """Return a property's stream, b"" where there is none."""
        name = [*self._folder, f"__substg1.0_{number:04X}{kind}"]
        return bytes(self._ole.openstream(name).read()) if self._ole.exists(name) else b""

    def text(self, number: int) -> str:
        """Return a text property, "" where there is none."""
        wide = self.data(number, _UNICODE)
        if wide:
            return clean(wide.decode("utf-16-le", "replace")).strip()
        narrow = self.data(number, _STRING8)
        return decode(narrow)[0].strip() if narrow else ""

    def date(self, number: int) -> str:
        """Return a time property (100 ns since 1601, in the properties stream) as ISO 8601, or ""."""
        name = [*self._folder, _PROPERTIES]
        data = bytes(self._ole.openstream(name).read()) if self._ole.exists(name) else b""
        # 32 bytes of header in a message of its own, 24 in an embedded one, 8 in attachments ([MS-OXMSG] 2.4.1).
        for at in range(24 if self._folder else 32, len(data) - 15, 16):
            tag, _, ticks = struct.unpack_from("<IIQ", data, at)
            if tag == (number << 16 | 0x0040):
                try:
                    return (_EPOCH + datetime.timedelta(microseconds=ticks // 10)).isoformat(" ", "seconds")
                except OverflowError:
                    return ""
        return ""

    def folders(self, prefix: str) -> list[Folder]:
        """Return the folders below this one whose names start with `prefix`, in order."""
        depth = len(self._folder)
        paths = {tuple(path[: depth + 1]) for path in self._ole.listdir() if len(path) > depth + 1}
        return sorted(p for p in paths if p[:depth] == self._folder and p[depth].startswith(prefix))
