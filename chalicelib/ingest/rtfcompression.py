"""Compressed RTF, as Outlook stores the body of a message ([MS-OXRTFCP]): LZ77 with a primed dictionary."""

from __future__ import annotations

import struct
from typing import Final

from chalicelib.errors import BrokenFile, TooLarge

_COMPRESSED: Final = b"LZFu"
_PLAIN: Final = b"MELA"
_HEADER_BYTES: Final = 16
# 2.1.3.1.4, what the dictionary holds at first.
_PRIMER: Final = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_WINDOW: Final = 4096
_MAX_BYTES: Final = 64 * 1024 * 1024


def decompressed(data: bytes) -> bytes:
    """Return the RTF in `data`; b"" for nothing. Raise BrokenFile or TooLarge (64 MB)."""
    if not data:
        return b""
    if len(data) < _HEADER_BYTES:
        raise BrokenFile("The message is damaged: its text is cut off.")
    _, size, magic = struct.unpack_from("<II4s", data)
    if magic == _PLAIN:
        return data[_HEADER_BYTES : _HEADER_BYTES + size]
    if magic != _COMPRESSED:
        raise BrokenFile("The message is damaged: its text is packed in an unknown way.")
    return _unpacked(data)


def _unpacked(data: bytes) -> bytes:
    # The dictionary is a ring; written out in a row, a reference counts back from the end of what is written.
    out = bytearray(_PRIMER)
    at = _HEADER_BYTES
    while at < len(data):
        control = data[at]
        at += 1
        for bit in range(8):
            if not control >> bit & 1:
                out += data[at : at + 1]
                at += 1
                continue
            if at + 2 > len(data):
                return bytes(out[len(_PRIMER) :])
            reference = int.from_bytes(data[at : at + 2], "big")
            at += 2
            if not _copy(out, reference >> 4, (reference & 0xF) + 2):
                return bytes(out[len(_PRIMER) :])
        if len(out) > _MAX_BYTES:
            raise TooLarge(f"The message's text is over {_MAX_BYTES // 1024**2} MB.")
    return bytes(out[len(_PRIMER) :])


def _copy(out: bytearray, offset: int, length: int) -> bool:
    """Append `length` bytes from the dictionary's `offset`; return False at the mark of the end."""
    distance = (len(out) - offset) % _WINDOW
    if distance == 0:
        return False
    for _ in range(length):
        # A reference to what was never written reads zeros.
        out.append(out[-distance] if distance <= len(out) else 0)
    return True
