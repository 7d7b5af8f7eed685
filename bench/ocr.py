"""Text recognition against plain Tesseract, on any folder of pages whose text is known.

    python -m bench.ocr DIR [--rounds 3]

`DIR/manifest.json` is a list of {"file": …, "expected_text": …}; files without text, and those that are neither
pictures nor PDFs without a text layer, are left out. Both sides read every page in this one run, in turn, one
Tesseract per core: ours is `chalicelib.ocr.reader.read`; plain is what a short script does, that is drawing a PDF's
page at 300 dots an inch (a picture is given as it is) and calling Tesseract on it. Figures are the best of the
rounds; recall is the share of the words of the true text that were read.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
import pypdfium2

from bench.truth import recall
from chalicelib.ingest.confinement import MB
from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.document import Source
from chalicelib.ingest.reading import ExtractionLimits, Workplace
from chalicelib.ocr import engine, reader
from chalicelib.ocr.pagerun import available_cores

_LIMITS: Final = ExtractionLimits(memory_bytes=1024 * MB, seconds=120, max_pages=2000)
_SAMPLE_SECONDS: Final = 0.02


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one side did with one file."""

    # Share of the true words that were read, 0 to 1.
    recall: float
    pages: int
    # Wall time, in seconds.
    seconds: float


def main() -> None:
    """Print a table of both sides."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found = engine.find()
    print(f"tesseract {found.version}, {available_cores()} cores, best of {given.rounds}")
    print(f"{'file':<36} {'pages':>5} {'recall':>7} {'plain':>7} {'s/page':>7} {'plain':>7} {'ratio':>6}")
    rows = []
    with memory_peak() as peak:
        for source, truth in files(given.folder):
            ours, plain = best(
                given.rounds, partial(with_reader, source, truth), partial(with_plain, source, truth, found)
            )
            rows.append((ours, plain))
            show(source.filename, ours, plain)
    if not rows:
        sys.exit("no file of the manifest is a picture or a scan with a known text")
    summarise(rows, peak())


def files(folder: Path) -> Iterator[tuple[Source, str]]:
    """Yield the pictures and PDFs of the manifest that have a true text, and that text."""
    for row in json.loads((folder / "manifest.json").read_text(encoding="utf-8")):
        path = folder / row["file"]
        if not row.get("expected_text"):
            continue
        with path.open("rb") as file:
            kind = sniff(file.read(HEAD_BYTES), filename=path.name, size=path.stat().st_size).kind
        if kind == "image" or (kind == "pdf" and not has_text(path)):
            yield Source(path=str(path.resolve()), filename=path.name, kind=kind), row["expected_text"]


def has_text(path: Path) -> bool:
    """Say whether a PDF can't be opened or has a text layer: then it is none for text recognition."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return True
    with closing(document):
        return any(page.get_textpage().count_chars() for page in document)


def best(rounds: int, *sides: Callable[[], Figures]) -> list[Figures]:
    """Return the fastest of several rounds for each side; within a round they take turns."""
    figures = [[side() for side in sides] for _ in range(rounds)]
    return [min(column, key=lambda each: each.seconds) for column in zip(*figures, strict=True)]


def with_reader(source: Source, truth: str) -> Figures:
    """Read a file as a job does."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = reader.read(source, Workplace(folder=Path(folder), limits=_LIMITS))
    seconds = time.perf_counter() - began
    return Figures(recall=recall(words(truth), words(found.text)), pages=found.pages or 1, seconds=seconds)


def with_plain(source: Source, truth: str, found: engine.Engine) -> Figures:
    """Read a file as a short script does."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(available_cores()) as pool:
        pictures = drawn(source, Path(folder))
        texts = list(pool.map(lambda picture: plain_text(picture, found), pictures))
    seconds = time.perf_counter() - began
    # Tesseract reads all pages of a TIFF in one call, one after the other.
    pages = len(texts) if source.kind == "pdf" else texts[0].count("\f")
    return Figures(recall=recall(words(truth), words("\n".join(texts))), pages=max(1, pages), seconds=seconds)


def drawn(source: Source, folder: Path) -> Iterator[Path]:
    """Yield a picture for Tesseract: of each page of a PDF, or the file itself."""
    if source.kind != "pdf":
        yield Path(source.path)
        return
    with closing(pypdfium2.PdfDocument(source.path)) as document:
        for number, page in enumerate(document):
            path = folder / f"{number}.pgm"
            page.render(scale=300 / 72, grayscale=True).to_pil().save(path)
            yield path


def plain_text(picture: Path, found: engine.Engine) -> str:
    """Return what Tesseract reads in a picture, with its defaults."""
    folder = found.folder_of("eng")
    command = [found.program, str(picture), "stdout", "--tessdata-dir", str(folder), "-l", "eng"]
    done = subprocess.run(
        command, env=dict(engine.ENVIRONMENT), capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout


def words(text: str) -> list[str]:
    """Return the words of a text for comparison."""
    return re.findall(r"\w+", text.lower())


@contextmanager
def memory_peak() -> Iterator[Callable[[], int]]:
    """Watch the memory of this process and its children together; the function given returns the peak in bytes."""
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            peak[0] = max(peak[0], tree_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: peak[0]
    finally:
        ended.set()
        thread.join()


def tree_bytes() -> int:
    """Return the memory of this process and its children that is theirs alone (unique set size), in bytes."""
    total = 0
    here: Any = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:  # it has ended
            continue
    return total


def show(name: str, ours: Figures, plain: Figures) -> None:
    """Print a row."""
    print(
        f"{name[:36]:<36} {ours.pages:>5} {ours.recall:>7.3f} {plain.recall:>7.3f} {ours.seconds / ours.pages:>7.2f}"
        f" {plain.seconds / ours.pages:>7.2f} {ours.seconds / plain.seconds:>6.2f}"
    )


def summarise(rows: list[tuple[Figures, Figures]], peak: int) -> None:
    """Print the means, and the ratio over the files of several pages, where both sides use every core."""
    ours, plain = zip(*rows, strict=True)
    for name, side in (("ours", ours), ("plain Tesseract", plain)):
        print(f"mean recall, {name}: {sum(figures.recall for figures in side) / len(side):.3f}")
    several = [pair for pair in rows if pair[0].pages > 1]
    if several:
        ratio = sum(pair[0].seconds for pair in several) / sum(pair[1].seconds for pair in several)
        print(f"time, files of several pages, ours / plain: {ratio:.2f}")
    print(f"peak memory of all processes: {peak / MB:,.0f} MB")


if __name__ == "__main__":
    main()
