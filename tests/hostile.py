"""Small PDF files, good and hostile, built from scratch."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter

_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"


def file_of(objects: Sequence[bytes], *, root: int = 1, info: int | None = None) -> bytes:
    """Return a PDF file of `objects` (the first is number 1) with a correct cross-reference table."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    about = b"/Info %d 0 R" % info if info else b""
    sizes = (len(objects) + 1, root, about, start)
    out += b"trailer\n<</Size %d/Root %d 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % sizes
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object."""
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(data), entries, data)


def show(text: str, y: int = 700) -> bytes:
    """Return a content stream that shows each line of `text`."""
    lines = [line.encode("cp1252").replace(b"(", b"\\(").replace(b")", b"\\)") for line in text.split("\n")]
    return b"BT /F1 12 Tf 14 TL 72 %d Td %s ET" % (y, b" ".join(b"(%s) Tj T*" % line for line in lines))


def pdf_of_streams(
    streams: Sequence[bytes],
    *,
    box: bytes = b"0 0 612 792",
    resources: bytes = b"",
    extra: Sequence[bytes] = (),
) -> bytes:
    """Return a PDF with one page for each stream object; `extra` objects are numbered from 4."""
    first = 4 + len(extra)
    kids = b" ".join(b"%d 0 R" % (first + 2 * index) for index in range(len(streams)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]/MediaBox[%s]/Resources<</Font<</F1 3 0 R>>%s>>>>"
        % (len(streams), kids, box, resources),
        _FONT,
        *extra,
    ]
    for index, content in enumerate(streams):
        objects += [b"<</Type/Page/Parent 2 0 R/Contents %d 0 R>>" % (first + 2 * index + 1), content]
    return file_of(objects)


def text_pdf(*pages: str, box: bytes = b"0 0 612 792") -> bytes:
    """Return a PDF with a page of text for each argument."""
    return pdf_of_streams([stream(show(page)) for page in pages], box=box)


def titled_pdf(title: str, *pages: str) -> bytes:
    """Return a PDF that states `title` in its metadata."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(text_pdf(*pages))))
    writer.add_metadata({"/Title": title, "/Author": "A. Person", "/CreationDate": "D:20260309120000Z"})
    return _bytes_of(writer)


def encrypted_pdf(text: str, *, user: str, owner: str) -> bytes:
    """Return a one-page PDF under an owner password and, unless it is "", a user password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(text_pdf(text))))
    writer.encrypt(user_password=user, owner_password=owner, algorithm="RC4-128")
    return _bytes_of(writer)


def drawing_pdf() -> bytes:
    """Return a page that shows something but holds no text, as a scan does."""
    return pdf_of_streams([stream(b"0 0 300 300 re f")])


def blank_pdf() -> bytes:
    """Return a page that shows nothing."""
    return pdf_of_streams([stream(b"")])


def many_pages_pdf(count: int) -> bytes:
    """Return a PDF of `count` pages that share one line of text."""
    kids = b" ".join(b"%d 0 R" % number for number in range(5, 5 + count))
    page = b"<</Type/Page/Parent 2 0 R/Contents 4 0 R>>"
    return file_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count %d/Kids[%s]/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>>>"
            % (count, kids),
            _FONT,
            stream(show("page")),
            *[page] * count,
        ]
    )


def page_loop_pdf() -> bytes:
    """Return a PDF that claims 999,999 pages, with a page tree that contains itself."""
    return file_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 999999>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
        ]
    )


def lying_count_pdf() -> bytes:
    """Return a PDF of two pages that claims 999,999."""
    return text_pdf("one", "two").replace(b"/Count 2", b"/Count 999999")


def flate_bomb_pdf(unpacked_bytes: int) -> bytes:
    """Return a PDF of a few KB whose page is `unpacked_bytes` of drawing operators, compressed twice."""
    packer = zlib.compressobj(9)
    block = b"0 0 m 9 9 l " * 100_000
    once = b"".join(packer.compress(block) for _ in range(unpacked_bytes // len(block))) + packer.flush()
    return pdf_of_streams([stream(zlib.compress(once, 9), b"/Filter[/FlateDecode/FlateDecode]")])


def operator_bomb_pdf(levels: int = 9, width: int = 10) -> bytes:
    """Return a PDF whose page draws a form that draws `width` forms …: width ** levels text operators."""
    extra = []
    for level in range(levels):
        last = level == levels - 1
        body = show("boom") if last else b"/X Do " * width
        used = b"/Font<</F1 3 0 R>>" if last else b"/XObject<</X %d 0 R>>" % (5 + level)
        extra.append(stream(body, b"/Type/XObject/Subtype/Form/BBox[0 0 612 792]/Resources<<%s>>" % used))
    return pdf_of_streams([stream(b"/X Do")], resources=b"/XObject<</X 4 0 R>>", extra=extra)


def nested_array_pdf(depth: int) -> bytes:
    """Return a PDF with a page of text and an array nested `depth` deep in its catalogue."""
    nest = b"[" * depth + b"]" * depth
    return text_pdf("nested").replace(b"/Type/Catalog", b"/Type/Catalog/Nest " + nest)


def nested_page_tree_pdf(depth: int) -> bytes:
    """Return a PDF whose only page hangs `depth` nodes deep."""
    nodes = [
        b"<</Type/Pages/Count 1/Kids[%d 0 R]%s>>"
        % (3 + index, b"/Parent %d 0 R" % (1 + index) if index else b"")
        for index in range(depth)
    ]
    page = b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 99 99]/Contents %d 0 R>>" % (depth + 1, depth + 3)
    return file_of([b"<</Type/Catalog/Pages 2 0 R>>", *nodes, page, stream(show("deep"))])


def _bytes_of(writer: PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
