"""How well and how fast recordings are transcribed: words wrong per file, and time against raw faster-whisper.

    .venvs/media/bin/python -m bench.media DIR

DIR holds `manifest.json`: a list of {"file": …, "expected_text": …}. Files whose text is null or empty are left out.
Runs in the media environment. Both ways hear each file in the same process with the same model and options; times
are the least of `--runs`, taken in turn.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.truth import errors
from chalicelib.ingest.document import Source
from chalicelib.ingest.reading import ExtractionLimits, Workplace
from chalicelib.media import recognition
from chalicelib.media.reader import read

_MEDIA = frozenset(
    ".aac .aiff .avi .flac .m4a .mkv .mov .mp3 .mp4 .ogg .opus .wav .webm".split()  # noqa: SIM905 (shorter so)
)
_LIMITS = ExtractionLimits(memory_bytes=1024**3, seconds=120, max_pages=1)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One recording of the manifest."""

    # Path relative to the manifest.
    file: str
    # What is said; None: not known.
    expected_text: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one recording."""

    file: str
    # Share of words wrong, ours and by raw faster-whisper.
    wrong: float
    raw_wrong: float
    # Seconds: of sound, of our whole way, and of raw faster-whisper.
    sound: float
    ours: float
    raw: float


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    given = msgspec.json.decode((options.folder / "manifest.json").read_bytes(), type=list[Sample])
    samples = [each for each in given if each.expected_text and Path(each.file).suffix.lower() in _MEDIA]
    rows = [measured(options.folder / each.file, each.expected_text or "", options.runs) for each in samples]
    print(f"{'file':44} {'wrong':>6} {'raw':>6} {'sound':>7} {'ours':>7} {'raw':>7} {'ratio':>6}")
    for row in rows:
        print(
            f"{row.file[-44:]:44} {row.wrong:6.1%} {row.raw_wrong:6.1%} {row.sound:6.1f}s {row.ours:6.2f}s "
            f"{row.raw:6.2f}s {row.ours / row.raw:6.2f}"
        )
    sound, ours, raw = (sum(getattr(row, name) for row in rows) for name in ("sound", "ours", "raw"))
    print(f"real-time factor: ours {ours / sound:.3f}, raw {raw / sound:.3f}, ratio {ours / raw:.3f}")
    print(json.dumps([msgspec.to_builtins(row) for row in rows]))


def measured(path: Path, expected: str, runs: int) -> Row:
    """Transcribe one file in both ways; the model is loaded beforehand."""
    recogniser = recognition.recogniser()
    assert isinstance(recogniser, recognition.Whisper)
    with tempfile.TemporaryDirectory() as folder:
        source = Source(path=str(path.resolve()), filename=path.name, kind="audio")
        ours, raw, text, raw_text, sound = [], [], "", "", 0.0
        for _ in range(runs):
            # A new one each time: its checkpoint says what was heard already.
            place = Workplace(folder=Path(folder), limits=_LIMITS)
            found, seconds = timed(partial(read, source, place))
            ours.append(seconds)
            text = found.text
            (raw_text, sound), seconds = timed(lambda: plain(recogniser, path))
            raw.append(seconds)
    return Row(
        file=path.name,
        wrong=wrong(text, expected),
        raw_wrong=wrong(raw_text, expected),
        sound=sound,
        ours=min(ours),
        raw=min(raw),
    )


def plain(recogniser: recognition.Whisper, path: Path) -> tuple[str, float]:
    """Return the text by raw faster-whisper with our options, and the seconds of sound."""
    found, info = recogniser._model.transcribe(str(path), **recognition._OPTIONS)
    return " ".join(segment.text.strip() for segment in found), float(info.duration)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return a call's result and its seconds."""
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def wrong(heard: str, said: str) -> float:
    """Return the share of words that are wrong, by the words that were said."""
    true, found = (re.findall(r"[\w']+", text.lower()) for text in (said, heard))
    return errors(true, found)


if __name__ == "__main__":
    main()
