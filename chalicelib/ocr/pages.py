"""Pages as pictures: counted and measured before a pixel is decoded, then one at a time made ready to be read.

Everything here parses foreign bytes, and PDFium aborts on hostile ones: only ever run in the sandbox.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pypdfium2
from PIL import Image, UnidentifiedImageError

from chalicelib.errors import BrokenFile, TooLarge
from chalicelib.ingest import pdf
from chalicelib.ingest.document import ProgressCallback, Source, ignore_progress
from chalicelib.ocr.preparation import Findings, prepared

# What is decoded; by content, whatever the name says. HEIC is not: its decoders are LGPL.
_FORMATS: Final = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
MAX_MEGAPIXELS: Final = 100
_MAX_PIXELS: Final = MAX_MEGAPIXELS * 1_000_000

# PDF pages are drawn at this many dots an inch, or so that their long side gets this many pixels.
_DPI: Final = 300
_LONG_SIDE: Final = 5000
# Sides of a PDF page in points of 1/72 inch: 200 inches are the limit of ISO 32000-1, annex C. A page that claims
# more would be drawn at under 25 dots an inch, which no letter outlives.
_MAX_POINTS: Final = 14_400
_POINTS_PER_INCH: Final = 72

_EXIF_ORIENTATION: Final = 0x0112
# Exif orientation, 1 to 8, to what makes the picture upright (Exif 2.32, section 4.6.4).
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Loads every decoder now, in the parent: a forked child then has them already.
Image.init()


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a picture file holds."""

    # Number of pages: more than one in a TIFF only.
    pages: int
    # "PNG", "TIFF" …
    format: str
    warnings: tuple[str, ...] = ()


def survey(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Survey:
    """Count the pages of a picture file and check their sizes, from headers alone.

    Raise TooLarge (pixels, pages) or BrokenFile.
    """
    with _opened(source) as image:
        pages = 1
        _check_pixels(image)
        warnings: tuple[str, ...] = ()
        if image.format == "TIFF":
            pages = _count_pages(image, source.max_pages)
        elif image.format != "MPO" and getattr(image, "is_animated", False):
            warnings = ("This is an animation: only its first picture was read.",)
        on_progress(pages, pages, "measured")
        return Survey(pages=pages, format=image.format or "", warnings=warnings)


def prepare(
    source: Source, page: int, turn: int, target: str, *, on_progress: ProgressCallback = ignore_progress
) -> Findings:
    """Write page `page` (1 is the first), turned clockwise by `turn` degrees, to `target`, a grey PGM made ready.

    Raise TooLarge or BrokenFile.
    """
    image = _drawn(source, page) if source.kind == "pdf" else _decoded(source, page)
    on_progress(0, 1, f"page {page} drawn")
    image, found = prepared(image, turn=turn)
    # Not PNG: packing it would take as long as everything else.
    image.save(target, format="PPM")
    return found


def _drawn(source: Source, page: int) -> Image.Image:
    """Draw a page of a PDF in grey, with at most `_LONG_SIDE` pixels on its long side."""
    with closing(pdf.open_document(source)) as document:
        try:
            with closing(document.get_page(page - 1)) as drawn:
                width, height = drawn.get_size()
                _check_points(max(width, height))
                dpi = min(_DPI, _LONG_SIDE * _POINTS_PER_INCH / max(width, height))
                bitmap = drawn.render(scale=dpi / _POINTS_PER_INCH, grayscale=True)
                picture: Image.Image = bitmap.to_pil().convert("L")
                return picture
        except pypdfium2.PdfiumError:
            raise BrokenFile(f"Page {page} of the PDF is damaged and can't be drawn.") from None


def _check_points(long_side: float) -> None:
    if long_side > _MAX_POINTS:
        inches, limit = long_side / _POINTS_PER_INCH, _MAX_POINTS // _POINTS_PER_INCH
        raise TooLarge(
            f"The PDF's page is {inches:,.0f} inches long; the limit for text recognition is {limit} inches.",
            limit_inches=limit,
        )


@contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    """Open a picture, decoding nothing; turn what its decoders raise into BrokenFile."""
    # Ours says what the limit is; Pillow's, at twice its figure, also holds for pictures within a picture.
    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS
    try:
        with Image.open(Path(source.path), formats=_FORMATS) as image:
            yield image
    except Image.DecompressionBombError:
        raise _too_many_pixels() from None
    except UnidentifiedImageError:
        raise BrokenFile("The picture is damaged, or of a kind that can't be read.") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        # What Pillow's decoders raise on damaged data, though only OSError is documented.
        raise BrokenFile(f"The picture is damaged: {str(error) or type(error).__name__}.") from None


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > _MAX_PIXELS:
        raise _too_many_pixels(image.size)


def _too_many_pixels(size: tuple[int, int] | None = None) -> TooLarge:
    shape = f"{size[0]:,} × {size[1]:,} pixels" if size else "far too many pixels"
    return TooLarge(
        f"The picture has {shape}; the limit is {MAX_MEGAPIXELS} megapixels. Make it smaller.",
        limit_megapixels=MAX_MEGAPIXELS,
    )


def _count_pages(image: Image.Image, limit: int) -> int:
    """Return the number of pages of a TIFF; follow their chain no further than the limit."""
    for page in range(limit + 1):
        try:
            image.seek(page)
        except EOFError:
            return page
        _check_pixels(image)
    raise TooLarge(f"The picture has more than {limit:,} pages, which is the limit.", limit_pages=limit)


def _decoded(source: Source, page: int) -> Image.Image:
    """Decode a page of a picture file, upright, in grey, on white."""
    with _opened(source) as image:
        if page > 1:
            image.seek(page - 1)
        _check_pixels(image)
        orientation = _orientation(image)
        grey = _grey(image)
    return grey.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else grey


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError):
        return 1  # A damaged note on a picture is no reason not to read it.


def _grey(image: Image.Image) -> Image.Image:
    # Lets the JPEG decoder leave the colours out; others ignore it.
    image.draft("L", image.size)
    if image.has_transparency_data:
        # Not converted without need: at the limit of pixels that is a copy of 400 MB.
        image = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
        paper = Image.new("L", image.size, 255)
        paper.paste(image.convert("L"), mask=image.getchannel("A"))
        return paper
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _stretched(image)
    return image.convert("L")


def _stretched(image: Image.Image) -> Image.Image:
    """Bring whole numbers of 16 bits, or any others, to 0 to 255: `convert` would cut them off."""
    values = image.convert("F")
    low, high = map(float, values.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low) if high > low else 1.0
    return values.point(lambda value: value * scale - low * scale).convert("L")
