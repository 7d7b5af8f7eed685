"""ZIP files that `zipfile` does not write: encrypted ones, and ones that lie."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import NamedTuple


def locked_zip(name: str, data: bytes, password: bytes) -> bytes:
    """Return an archive of one stored file under ZipCrypto (APPNOTE 6.1)."""
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), data)
        crc = archive.infolist()[0].CRC
    # Twelve bytes come before the data; the last of them, the checksum's first, tells a wrong password.
    body = _encrypted(bytes(11) + bytes([crc >> 24]) + data, password)
    whole = bytearray(plain.getvalue())
    start = whole.index(name.encode()) + len(name)
    whole[start : start + len(data)] = body
    _patch(whole, whole.index(b"PK\x03\x04"), flags=6, size=18, length=len(body))
    _patch(whole, whole.index(b"PK\x01\x02"), flags=8, size=20, length=len(body))
    offset = whole.index(b"PK\x05\x06") + 16
    whole[offset : offset + 4] = (int.from_bytes(whole[offset : offset + 4], "little") + 12).to_bytes(
        4, "little"
    )
    return bytes(whole)


def _patch(whole: bytearray, header: int, *, flags: int, size: int, length: int) -> None:
    whole[header + flags] |= 1
    whole[header + size : header + size + 4] = length.to_bytes(4, "little")


def _encrypted(data: bytes, password: bytes) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = _crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = _crc(keys[2], keys[1] >> 24)

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in data:
        key = keys[2] | 2
        out.append(byte ^ ((key * (key ^ 1)) >> 8 & 0xFF))
        update(byte)
    return bytes(out)


def _crc(crc: int, byte: int) -> int:
    rest = (crc ^ byte) & 0xFF
    for _ in range(8):
        rest = (rest >> 1) ^ (0xEDB88320 if rest & 1 else 0)
    return (crc >> 8) ^ rest


class RawEntry(NamedTuple):
    """An entry of which the directory may say what is not so."""

    name: str
    # As it stands in the file, compressed by deflate.
    packed: bytes
    crc: int
    # What the headers say that it unpacks to.
    stated: int


def bomb_entry(name: str, size: int, *, stated: int | None = None) -> RawEntry:
    """Return an entry of `size` zeros that says it has `stated`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bytes(min(size, 1024 * 1024))
    crc, parts, left = 0, [], size
    while left > 0:
        piece = block[:left]
        crc = zlib.crc32(piece, crc)
        parts.append(packer.compress(piece))
        left -= len(piece)
    return RawEntry(name, b"".join([*parts, packer.flush()]), crc, size if stated is None else stated)


def raw_zip(entries: Sequence[RawEntry], *, shared: bool = False) -> bytes:
    """Return an archive of entries; `shared`: all of them are the bytes of the first."""
    out, directory = bytearray(), bytearray()
    for number, entry in enumerate(entries):
        name = entry.name.encode()
        common = struct.pack(
            "<HHHHIIIHH", 0x800, 8, 0, 0x21, entry.crc, len(entry.packed), entry.stated, len(name), 0
        )
        offset = 0 if shared else len(out)
        directory += (
            b"PK\x01\x02" + struct.pack("<HH", 20, 20) + common + bytes(10) + struct.pack("<I", offset) + name
        )
        if not shared or number == 0:
            out += b"PK\x03\x04" + struct.pack("<H", 20) + common + name + entry.packed
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(directory), len(out), 0)
    return bytes(out + directory + b"PK\x05\x06" + end)


def overlapping_zip(count: int, size: int, *, stated: int | None = None) -> bytes:
    """Return an archive of `count` files that are the same bytes (D. Fifield, "A better zip bomb", 2019)."""
    first = bomb_entry("0.txt", size, stated=stated)
    return raw_zip([first._replace(name=f"{number}.txt") for number in range(count)], shared=True)
