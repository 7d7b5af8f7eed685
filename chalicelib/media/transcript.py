"""What was heard so far, and how it reads as a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from chalicelib.ingest.document import Segment

# A pause of more than this begins a paragraph, in seconds.
_PAUSE_SECONDS: Final = 2.0
# So does the end of a sentence after this many words.
_PARAGRAPH_WORDS: Final = 80
# And any end of a segment after this many: automatic captions know no sentences.
_MOST_WORDS: Final = 200
# Sentences end so in the languages that Whisper knows: also in Chinese, Hindi, Arabic; quotes may follow.
_SENTENCE_END: Final = re.compile(r"[.?!…。？！।؟]['\"”’»)\]]*\Z")
# Chinese, Japanese and Thai write no blanks between sentences' parts.
_UNSPACED: Final = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """How far a recording was heard: the checkpoint of its job, as JSON."""

    # First sample that was not heard yet.
    position: int = 0
    # What was said, times in seconds from the recording's start.
    segments: tuple[Segment, ...] = ()
    # Language that is spoken; None while nobody spoke.
    language: str | None = None


def load(data: bytes | None) -> Transcript:
    """Return the transcript that a checkpoint holds; an empty one where it holds none."""
    return Transcript() if data is None else msgspec.json.decode(data, type=Transcript)


def save(transcript: Transcript) -> bytes:
    """Return `transcript` as a checkpoint."""
    return msgspec.json.encode(transcript)


def text_of(segments: Iterable[Segment], language: str | None = None) -> str:
    """Return the segments as a text: a paragraph ends at a pause of over 2 s, or with a sentence after 80 words."""
    blank = "" if language in _UNSPACED else " "
    return "\n\n".join(blank.join(part.text for part in paragraph) for paragraph in _paragraphs(segments))


def clock(seconds: float) -> str:
    """Return a time as people write it: 1:02:03, 2:03."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _paragraphs(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    paragraph: list[Segment] = []
    words = 0
    for segment in segments:
        if paragraph and _ends(paragraph[-1], words, segment):
            yield paragraph
            paragraph, words = [], 0
        paragraph.append(segment)
        words += len(segment.text.split())
    if paragraph:
        yield paragraph


def _ends(last: Segment, words: int, following: Segment) -> bool:
    if following.start - last.end > _PAUSE_SECONDS:
        return True
    sentence = _SENTENCE_END.search(last.text) is not None
    return words >= _MOST_WORDS or (sentence and words >= _PARAGRAPH_WORDS)
