"""Binary files by their magic numbers, and containers (ZIP, OLE, ISO media) by what is in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from chalicelib.ingest.filename import extension

UNKNOWN: Final = ("unknown", "application/octet-stream")

_ZIP_MAGIC: Final = b"PK\x03\x04"
_EMPTY_ZIP_MAGIC: Final = b"PK\x05\x06"
_OLE_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OOXML: Final = "application/vnd.openxmlformats-officedocument."
_ODF: Final = "application/vnd.oasis.opendocument."
_MIMES: Final = {
    "docx": _OOXML + "wordprocessingml.document",
    "pptx": _OOXML + "presentationml.presentation",
    "xlsx": _OOXML + "spreadsheetml.sheet",
    "odt": _ODF + "text",
    "ods": _ODF + "spreadsheet",
    "odp": _ODF + "presentation",
    "epub": "application/epub+zip",
    "zip": "application/zip",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "msg": "application/vnd.ms-outlook",
    "ole": "application/x-ole-storage",
}
_KIND_BY_MIME: Final = {mime: kind for kind, mime in _MIMES.items()}
# What an office package holds beside its own folder; an archive of anything (jar, apk) holds none of these.
_PACKAGE_NAMES: Final = frozenset(
    {b"[Content_Types].xml", b"META-INF/manifest.xml", b"_rels/.rels", b"content.xml"}
)
_PACKAGE_FOLDERS: Final = (b"docProps/", b"customXml/")
# Of a local file header: flags, compression method, compressed size, lengths of name and extra field.
_LOCAL_HEADER: Final = struct.Struct("<6xHH8xI4xHH")
_SIZE_FOLLOWS: Final = 0x8  # Bit 3: the sizes stand behind the data.
_STORED: Final = 0
_OOXML_FOLDERS: Final = {b"word/": "docx", b"ppt/": "pptx", b"xl/": "xlsx"}
# Names of streams in an OLE file's directory ([MS-CFB] 2.6.1), which are UTF-16.
_OLE_STREAMS: Final = {
    "WordDocument": "doc",
    "PowerPoint Document": "ppt",
    "Workbook": "xls",
    "Book": "xls",
    "__substg1.0_": "msg",
}
_ARCHIVE_MIMES: Final = frozenset(
    {
        "application/gzip",
        "application/x-7z-compressed",
        "application/x-bzip2",
        "application/x-gzip",
        "application/x-rar-compressed",
        "application/x-tar",
        "application/x-xz",
        "application/x-zstd",
        "application/zstd",
    }
)
_EXECUTABLE_MAGICS: Final = (b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\0asm")


def identify(head: bytes, filename: str) -> tuple[str, str]:
    """Return (kind, media type) of a binary file by its first bytes; ("unknown", …) for what nobody knows.

    The name decides only within a container whose telling part lies beyond `head`.
    """
    if head.startswith((_ZIP_MAGIC, _EMPTY_ZIP_MAGIC)):
        kind = _zip_kind(head, filename)
        return kind, _MIMES[kind]
    if head.startswith(_OLE_MAGIC):
        kind = _ole_kind(head, filename)
        return kind, _MIMES[kind]
    if head.startswith(_EXECUTABLE_MAGICS):
        return "executable", "application/x-executable"
    return _media_type(head) or _by_magic(head)


def _zip_kind(head: bytes, filename: str) -> str:
    names = []
    for name, data in _zip_entries(head):
        # ODF and EPUB put their media type first and uncompressed.
        if name == b"mimetype":
            return _KIND_BY_MIME.get(data[:80].split(b"PK")[0].decode("ascii", "replace").strip(), "zip")
        names.append(name)
    named = extension(filename)[1:]
    is_package = any(name in _PACKAGE_NAMES or name.startswith(_PACKAGE_FOLDERS) for name in names)
    for folder, kind in _OOXML_FOLDERS.items():
        # An archive may have a folder "word" too.
        if (is_package or named == kind) and any(name.startswith(folder) for name in names):
            return kind
    return named if is_package and named in _MIMES else "zip"


def _zip_entries(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, what follows) of each local file header (APPNOTE 4.3.7) within `head`.

    Entries are stepped over by their size, so that a ZIP file stored in a ZIP file is not taken for its parts.
    """
    at = head.find(_ZIP_MAGIC)
    while 0 <= at <= len(head) - _LOCAL_HEADER.size:
        flags, method, size, name_size, extra_size = _LOCAL_HEADER.unpack_from(head, at)
        name_end = at + _LOCAL_HEADER.size + name_size
        data = name_end + extra_size
        yield head[at + _LOCAL_HEADER.size : name_end], head[data : data + 80]
        if flags & _SIZE_FOLLOWS and method == _STORED:
            return
        at = head.find(_ZIP_MAGIC, data if flags & _SIZE_FOLLOWS else data + size)


def _ole_kind(head: bytes, filename: str) -> str:
    for stream, kind in _OLE_STREAMS.items():
        if stream.encode("utf-16-le") in head:
            return kind
    # The directory often lies behind the data.
    named = extension(filename)[1:]
    return named if named in _OLE_STREAMS.values() else "ole"


def _media_type(head: bytes) -> tuple[str, str] | None:
    """Tell sound from film where one container holds either."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"heic", b"heix", b"mif1", b"avif"):
            return "image", "image/heif"
        return ("audio", "audio/mp4") if brand in (b"M4A ", b"M4B ", b"F4A ") else ("video", "video/mp4")
    if head.startswith(b"OggS"):
        return ("video", "video/ogg") if b"theora" in head[:200] else ("audio", "audio/ogg")
    return None


def _by_magic(head: bytes) -> tuple[str, str]:
    # Imported here: its table of magic numbers takes 14 ms to read, and most uploads are text or PDF.
    import puremagic

    try:
        matches = puremagic.magic_string(head)
    except puremagic.PureError:
        return UNKNOWN
    mime = next((match.mime_type for match in matches if match.mime_type), UNKNOWN[1])
    kind = mime.partition("/")[0]
    if kind in ("image", "audio", "video"):
        return kind, mime
    return ("archive", mime) if mime in _ARCHIVE_MIMES else ("unknown", mime)
