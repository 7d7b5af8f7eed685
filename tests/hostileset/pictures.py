"""Pictures made to break their reader: too many pixels, frames or pages, and headers that lie."""

from __future__ import annotations

import struct
import zlib
from functools import partial

from tests.hostileset.cases import NOISE, case


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, rows: int | None = None) -> bytes:
    """Return a white grey-scale PNG that says it has `height` rows and has `rows`."""
    packer = zlib.compressobj(9)
    line = b"\0" + b"\xff" * width
    count = height if rows is None else rows
    pixels = b"".join(packer.compress(line) for _ in range(count)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def text_png(size: int) -> bytes:
    """Return a PNG with a compressed comment of `size` bytes."""
    comment = b"Comment\0\0" + zlib.compress(bytes(size), 9)
    whole = png(60, 40)
    return whole[:33] + _chunk(b"zTXt", comment) + whole[33:]


def gif(frames: int, width: int = 40, height: int = 30) -> bytes:
    """Return an animation whose frames are one white pixel each: clear code, pixel, end code of its LZW data."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\xff\xff\xff\0\0\0"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def looping_tiff() -> bytes:
    """Return a TIFF whose one page says that it is followed by itself."""
    tags = [(256, 8), (257, 8), (258, 1), (259, 1), (262, 1), (273, 200), (277, 1), (278, 8), (279, 8)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 8)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + b"\xff" * 8


def bmp(width: int, height: int) -> bytes:
    """Return a BMP that says it is so large and holds nothing."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


_REFUSED = "too_large broken_file empty_file parser_crashed unsupported_type"

PICTURES = [
    case("a.png", "side of 35000 pixels", partial(png, 35_000, 40), "empty_file too_large broken_file"),
    case("a.png", "35000 by 35000 pixels", partial(png, 35_000, 35_000, rows=1), "too_large"),
    case("a.png", "two billion pixels a side", partial(png, 3, 2**31 - 1, rows=1), "too_large broken_file"),
    case("a.png", "no pixels at all", partial(png, 0, 0), _REFUSED),
    case("a.png", "rows that are missing", partial(png, 400, 300, rows=3), _REFUSED),
    case("a.png", "cut off", png(60, 40)[:40], "broken_file"),
    case("a.png", "comment of 100 MB", partial(text_png, 100 * 1024**2), _REFUSED),
    case("a.png", "header before noise", b"\x89PNG\r\n\x1a\n" + NOISE, "broken_file"),
    case("a.jpg", "header before noise", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + NOISE, _REFUSED),
    case("a.gif", "10000 frames", partial(gif, 10_000), "empty_file"),
    case("a.gif", "frame of 65535 by 65535", partial(gif, 1, 65_535, 65_535), "too_large"),
    case("a.tif", "page that follows itself", looping_tiff, _REFUSED),
    case("a.bmp", "two billion pixels that are not there", partial(bmp, 2**30, 2), _REFUSED),
    case("a.bmp", "negative width", partial(bmp, -(2**31), 1), _REFUSED),
    case(
        "a.webp", "header before noise", b"RIFF" + struct.pack("<I", 20_000) + b"WEBPVP8 " + NOISE, _REFUSED
    ),
    case("a.heic", "header before noise", struct.pack(">I", 24) + b"ftypheic" + NOISE, _REFUSED),
]
