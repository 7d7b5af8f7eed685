"""Captions: which of a film's to take, and what they say (WebVTT and SubRip)."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from chalicelib.ingest.document import Segment

# What is read here, the preferred first.
FORMATS: Final = ("vtt", "srt")

# Hours are optional in WebVTT; SubRip writes a comma.
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_TAG = re.compile(r"<[^>\n]{0,200}>|\{\\[^}\n]{0,100}\}")
# Sounds that are not speech: "[Music]", "♪".
_NOISE = re.compile(r"\[[^\]]*\]|[♪♫\s]*")
_BLANKS = re.compile(r"\s+")
# Share of cues that begin with what the cue before ended with, above which the captions roll.
_ROLLING_SHARE: Final = 0.3
# Cues that roll follow each other without a gap, in seconds.
_TOUCHING_SECONDS: Final = 0.5


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One of a film's captions."""

    # Language code as the site has it: "en", "pt-BR", "en-orig".
    language: str
    # Recognised by a machine rather than written by a person.
    automatic: bool
    # "vtt" or "srt".
    format: str
    # What yt-dlp knows of it: "url" or "data", "protocol" …
    source: dict[str, Any]


class _Cue(msgspec.Struct, frozen=True):
    start: float
    end: float
    lines: tuple[str, ...]


def chosen(
    written: Mapping[str, Sequence[Mapping[str, Any]]],
    automatic: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    wanted: Sequence[str] = (),
    spoken: str | None = None,
) -> Track | None:
    """Return the captions to take, or None: languages in order of preference, written ones before automatic.

    Preferred are the `wanted` languages, then the one that is `spoken`, then English, then any that people wrote.
    A site's automatic captions in languages that nobody speaks are translations by machine: only taken if wanted.
    """
    originals = [name for name in automatic if name.endswith("-orig")]
    languages = [*wanted, *([spoken] if spoken else []), *originals]
    for language in languages:
        track = _track(written, language, automatic=False) or _track(automatic, language, automatic=True)
        if track:
            return track
    for language in ("en", *written):
        if track := _track(written, language, automatic=False):
            return track
    return _track(automatic, next(iter(automatic)), automatic=True) if len(automatic) == 1 else None


def _track(
    offered: Mapping[str, Sequence[Mapping[str, Any]]], language: str, *, automatic: bool
) -> Track | None:
    """Return the captions of `language`, or of a variant of it (en-GB for en), in a format that is read here."""
    exact = [name for name in offered if name.lower() == language.lower()]
    base = language.lower().partition("-")[0]
    variants = [name for name in offered if name.lower().partition("-")[0] == base]
    for name in (*exact, *variants):
        for wanted in FORMATS:
            for source in offered[name]:
                if source.get("ext") == wanted and name != "live_chat":
                    return Track(language=name, automatic=automatic, format=wanted, source=dict(source))
    return None


def parse(text: str) -> tuple[Segment, ...]:
    """Return what captions in WebVTT or SubRip say; what repeats in rolling captions is said once.

    Whatever is no cue is passed over; a text without any gives nothing.
    """
    cues = list(_cues(text))
    if _rolls(cues):
        cues = list(_unrolled(cues))
    return tuple(
        Segment(start=cue.start, end=cue.end, text=" ".join(cue.lines))
        for cue in cues
        if cue.lines and cue.end >= cue.start
    )


def _cues(text: str) -> Iterator[_Cue]:
    """Yield the cues: a line with times, and what follows up to an empty line or the next such line.

    A line with a blank in it is not empty: YouTube's automatic captions begin with one.
    """
    timing: re.Match[str] | None = None
    said: list[str] = []
    for line in [*text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        following = _TIMING.match(line)
        if timing and (following or not line):
            yield _cue(timing, said, numbered=following is not None)
            timing = None
        if following:
            timing, said = following, []
        else:
            said.append(line)


def _cue(timing: re.Match[str], said: Sequence[str], *, numbered: bool) -> _Cue:
    """Return a cue; `numbered`: the next one follows without an empty line, perhaps with its number before it."""
    spoken = [each for each in map(_cleaned, said) if each]
    if numbered and spoken and spoken[-1].isdecimal():
        spoken.pop()
    times = timing.groups()
    return _Cue(_seconds(times[:4]), _seconds(times[4:]), tuple(spoken))


def _cleaned(line: str) -> str:
    plain = _BLANKS.sub(" ", html.unescape(_TAG.sub("", line))).strip()
    return "" if _NOISE.fullmatch(plain) else plain


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return round(int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}"), 3)


def _repeated(before: _Cue, cue: _Cue) -> int:
    """Return how many of the cue's first lines are the last lines of the one before."""
    if cue.start - before.end > _TOUCHING_SECONDS:
        return 0
    longest = min(len(before.lines), len(cue.lines))
    return next((n for n in range(longest, 0, -1) if before.lines[-n:] == cue.lines[:n]), 0)


def _rolls(cues: Sequence[_Cue]) -> bool:
    """Tell whether lines stay on the screen while others follow, as in YouTube's automatic captions."""
    spoken = [cue for cue in cues if cue.lines]
    repeating = sum(_repeated(before, cue) > 0 for before, cue in itertools.pairwise(spoken))
    return repeating > _ROLLING_SHARE * len(spoken)


def _unrolled(cues: Sequence[_Cue]) -> Iterator[_Cue]:
    before: _Cue | None = None
    for cue in cues:
        if not cue.lines:
            continue
        new = cue.lines[_repeated(before, cue) if before else 0 :]
        if new:
            yield _Cue(cue.start, cue.end, new)
        before = cue
