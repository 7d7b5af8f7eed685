"""Pages drawn for the tests of text recognition."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.document import Source

HARBOUR = (
    "Harbour report",
    "The northern terminal handled many containers",
    "between January and March of this year, which",
    "is more than in the same quarter of last year.",
)
WORDS = frozenset(("harbour", "report", "northern", "terminal", "containers", "january", "quarter"))


def page(
    lines: Sequence[str] = HARBOUR, *, size: int = 40, ink: int = 0, paper: int = 255, margin: int = 120
) -> Image.Image:
    """Return a page of `lines` in grey; `size` is the height of the type in pixels."""
    font = ImageFont.load_default(size)
    width = max(round(font.getlength(line)) for line in lines) + 2 * margin
    picture = Image.new("L", (width, 2 * margin + round(1.6 * size) * len(lines)), paper)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((margin, margin + round(1.6 * size) * number), line, font=font, fill=ink)
    return picture


def noisy(picture: Image.Image, strength: float) -> Image.Image:
    """Return the picture under grain of `strength` levels."""
    grain = Image.effect_noise(picture.size, strength)
    return Image.blend(picture, grain, 0.35)


def png(picture: Image.Image) -> bytes:
    """Return the picture as PNG."""
    return encoded(picture, "PNG")


def encoded(
    picture: Image.Image,
    format: str,
    others: Sequence[Image.Image] = (),
    *,
    exif: bytes = b"",
    title: str = "",
) -> bytes:
    """Return the picture in `format`, with `others` as further pages or frames."""
    out = io.BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": list(others)} if others else {}
    if exif:
        options["exif"] = exif
    if title:
        options["title"] = title
    picture.save(out, format, **options)
    return out.getvalue()


def scanned_pdf(*pages: Image.Image | str) -> bytes:
    """Return a PDF of A4 pages: of each picture, and of each string as text."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842))
    for content in pages:
        if isinstance(content, str):
            canvas.drawString(72, 700, content)
        else:
            scale = min(595 / content.width, 842 / content.height)
            canvas.drawImage(ImageReader(content), 0, 0, content.width * scale, content.height * scale)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def png_header(width: int, height: int, *, rows: int = 0) -> bytes:
    """Return a black-and-white PNG that claims this size and holds `rows` white rows, packed."""
    data = zlib.compress((b"\0" + b"\xff" * (-(-width // 8))) * rows, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def gif_of(first: Image.Image, frames: int) -> bytes:
    """Return an animation of `first` and then `frames` dots."""
    dot = b"!\xf9\x04\0\x05\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0"
    return encoded(first, "GIF").removesuffix(b";") + dot * frames + b";"


def tiff_loop() -> bytes:
    """Return a TIFF whose only page says that it is also the next one."""
    data = bytearray(encoded(page(), "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    return bytes(data)


def source_of(
    folder: Path, data: bytes, filename: str, *, max_pages: int = 2000, password: str | None = None
) -> Source:
    """Write a file and return it as a reader gets it."""
    path = folder / "source"
    path.write_bytes(data)
    kind = sniff(data[:HEAD_BYTES], filename=filename, size=len(data)).kind
    return Source(path=str(path), filename=filename, kind=kind, max_pages=max_pages, password=password)
