"""Subtitles (SubRip srt, WebVTT vtt): what is said, with its times."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Final

from chalicelib.errors import BrokenFile, TooLarge
from chalicelib.ingest.document import Extracted, ProgressCallback, Segment, Source, ignore_progress
from chalicelib.ingest.filename import stem
from chalicelib.ingest.markdown import squeeze
from chalicelib.ingest.text import decode

MB: Final = 1024 * 1024
MAX_FILE_BYTES: Final = 16 * MB
# 00:01:02,500 --> 00:01:04,000 (srt); hours are optional and the comma is a point in vtt.
_TIME: Final = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}[.,]\d{1,3})"
_TIMES = re.compile(rf"^[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^ >]{0,100})? ([^>]{1,100})>")
_TAG = re.compile(r"</?[A-Za-z0-9:._\- \"'=#]{0,200}>|\{\\[^}]{0,100}\}")
_HEADER = re.compile(r"\AWEBVTT[ \t]+(?:-[ \t]*)?(.{1,200})$", re.M)
# A pause this long (seconds) begins a paragraph.
_PAUSE: Final = 2.0


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read subtitles; progress has one step. Raise TooLarge (16 MB) or BrokenFile (no cue with times)."""
    path = Path(source.path)
    if path.stat().st_size > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // MB
        raise TooLarge(f"Subtitles are read up to {limit} MB.", limit_mb=limit)
    text, encoding, warnings = decode(path.read_bytes())
    segments = _segments(text)
    if not segments:
        raise BrokenFile("There are no subtitles in the file: no line with times (00:00:01,000 --> …).")
    on_progress(1, 1, "read")
    header = _HEADER.match(text)
    return Extracted(
        text=_prose(segments),
        title=squeeze(header[1]) if header else stem(source.filename),
        source_type="subtitles",
        segments=tuple(segments),
        metadata={"encoding": encoding},
        warnings=warnings,
    )


def _segments(text: str) -> list[Segment]:
    found: list[Segment] = []
    voice = ""
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.split("\n")
        at = next((number for number, line in enumerate(lines[:3]) if _TIMES.match(line)), None)
        if at is None:
            continue  # The header, a note, a style.
        times = _TIMES.match(lines[at])
        said, voice = _with_voices(" ".join(lines[at + 1 :]), voice)
        if times is None or not said:
            continue
        start, end = _seconds(*times.groups()[:3]), _seconds(*times.groups()[3:])
        # Captions that scroll repeat the line before.
        if not (found and found[-1].text == said and start <= found[-1].end + _PAUSE):
            found.append(Segment(start=start, end=max(start, end), text=said))
    return found


def _with_voices(text: str, voice: str) -> tuple[str, str]:
    """Return (what a cue says, who spoke last); a speaker is named where the voice changes from `voice`."""
    first, *rest = _VOICE.split(text)
    said = [_said(first)]
    for speaker, words in zip(rest[::2], rest[1::2], strict=True):
        said.append(_said(words) if speaker == voice else f"{speaker}: {_said(words)}")
        voice = speaker
    return " ".join(filter(None, said)), voice


def _said(text: str) -> str:
    return squeeze(html.unescape(_TAG.sub("", text)))


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return round(int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", ".")), 3)


def _prose(segments: list[Segment]) -> str:
    """Return what is said as paragraphs, parted at pauses."""
    paragraphs: list[list[str]] = [[]]
    last = segments[0].start
    for segment in segments:
        if segment.start - last > _PAUSE and paragraphs[-1]:
            paragraphs.append([])
        paragraphs[-1].append(segment.text)
        last = segment.end
    return "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)
