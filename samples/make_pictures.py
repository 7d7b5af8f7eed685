"""Make the pictures: `minutes-scan.pdf`, a scan without a text layer, and `recipe-photo.jpg`, a photo of a page.

Needs `reportlab`, `pypdfium2` and `pillow`: `python samples/make_pictures.py`. The texts are ours.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import pypdfium2
from PIL import Image, ImageChops, ImageFilter
from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

_FOLDER: Final = Path(__file__).resolve().parent
_DPI: Final = 150

MINUTES: Final = (
    "# Minutes of the harbour committee",
    "Present were nine members. The chair opened the meeting at seven in the evening.",
    "The crane on the eastern quay needs a new cable before winter. Two offers were read, and the cheaper one was "
    "accepted. The work takes three days, during which freight is unloaded on the northern quay.",
    "The lighthouse keeper reported that the lamp failed twice in September. An electrician will look at the wiring.",
    "Fishing boats may use the inner basin until the end of March. The fee stays the same.",
)
RECIPE: Final = (
    "# Lentil soup with lemon",
    "Fry two onions, three carrots and a spoon of cumin in olive oil until the onions are soft.",
    "Add four hundred grams of red lentils and two litres of vegetable stock. Simmer for twenty five minutes.",
    "Stir in the juice of a lemon and a handful of parsley. Serve with warm bread.",
)


def main() -> None:
    """Write both files beside this one."""
    scan = _page(MINUTES).convert("L").filter(ImageFilter.GaussianBlur(0.4)).rotate(0.6, fillcolor=255)
    scan.save(_FOLDER / "minutes-scan.pdf", resolution=_DPI, quality=60)
    _photo(_page(RECIPE)).save(_FOLDER / "recipe-photo.jpg", quality=62)


def _page(paragraphs: tuple[str, ...]) -> Image.Image:
    """Return a printed page as a picture."""
    styles = getSampleStyleSheet()
    flow: list[Paragraph | Spacer] = []
    for text in paragraphs:
        style = styles["Heading1"] if text.startswith("# ") else styles["BodyText"]
        flow += [Paragraph(text.removeprefix("# "), style), Spacer(1, 6)]
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, pagesize=A5, invariant=1).build(flow)
    page = pypdfium2.PdfDocument(buffer.getvalue())[0]
    return page.render(scale=_DPI / 72).to_pil().convert("RGB")


def _photo(page: Image.Image) -> Image.Image:
    """Return what a phone makes of a page: a little crooked, warm, brighter on one side."""
    crooked = page.rotate(2.2, expand=True, fillcolor=(222, 214, 200), resample=Image.Resampling.BICUBIC)
    shade = (
        Image.linear_gradient("L")
        .rotate(60)
        .resize(crooked.size)
        .point(lambda value: 150 + value * 105 // 255)
    )
    warm = Image.merge(
        "RGB", (shade, shade.point(lambda v: int(v * 0.97)), shade.point(lambda v: int(v * 0.88)))
    )
    return ImageChops.multiply(crooked, warm).filter(ImageFilter.GaussianBlur(0.5))


if __name__ == "__main__":
    main()
