"""Recordings and films to text: decoded in the sandbox, window by window, and heard in this process.

After each window the job's checkpoint says how far it was heard, so a run that is killed or out of time costs one
window at most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chalicelib import settings
from chalicelib.errors import HandOver, NoSound
from chalicelib.ingest.confinement import Limits
from chalicelib.ingest.document import Extracted, Segment, Source
from chalicelib.ingest.filename import stem
from chalicelib.ingest.formats import MEDIA
from chalicelib.ingest.reading import Workplace
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.ingest.text import MAX_TITLE_CHARACTERS, clean
from chalicelib.media import decoding, transcript
from chalicelib.media.decoding import Decoded, Probe, Window, window_file
from chalicelib.media.recognition import Recogniser, recogniser, require_all_threads
from chalicelib.media.transcript import Transcript, clock, text_of
from chalicelib.media.windows import SAMPLE_RATE, WINDOW_SECONDS

# Windows that are decoded at once: 2 h, 230 MB of disk. The next ones cost decoding from the start again, which
# takes a hundredth of hearing.
_WINDOWS_AT_ONCE: Final = 12
# Decoding runs some hundred times faster than the sound; never slower than this, or the file is a hostile one.
_LEAST_DECODING_SPEED: Final = 20
# Loudest sample of a window that holds nothing (-60 dB of full scale): speech that low is noise to Whisper too.
_SILENCE_PEAK: Final = 32
# A window may take this much longer than those before it.
_SAFETY: Final = 1.5
# Of the tags' names, as much as Whisper's prompt has room for.
_MAX_NAMES_CHARACTERS: Final = 200
# What comes after the last window (results written, files removed), in seconds.
_CLOSING_SECONDS: Final = 10.0
# Length that a file states and that its content falls short of: a part of it, and seconds.
_SHORT_SHARE: Final = 0.98
_SHORT_SECONDS: Final = 1.0


def read(source: Source, place: Workplace) -> Extracted:
    """Transcribe a recording or film; progress counts its seconds.

    Raise NoSound, TooLong, BrokenFile or ParserCrashed: permanent. Raise HandOver to the same queue when this run's
    time does not suffice for the next window. Raise SettingsError where the process is not fit for it.
    """
    require_all_threads()
    limit = settings.get().max_media_seconds
    return Transcription(source, place, recogniser, max_seconds=limit).run()


class Transcription:
    """One run over one file."""

    def __init__(
        self,
        source: Source,
        place: Workplace,
        recogniser: Callable[[], Recogniser],
        *,
        max_seconds: int,
        window_seconds: int = WINDOW_SECONDS,
    ) -> None:
        self._source = source
        self._place = place
        self._recogniser = recogniser
        self._max_seconds = max_seconds
        self._window_seconds = window_seconds
        self._heard = transcript.load(place.checkpoint.load())
        # Length in seconds, as far as it is known; 0: not yet.
        self._total = 0.0
        # Seconds of sound that this run heard, without windows of silence, and seconds that it took.
        self._sound = 0.0
        self._spent = 0.0

    def run(self) -> Extracted:
        """Hear the file from where an earlier run ended to its end; see `read`."""
        probe = self._probe()
        self._total = probe.duration or 0.0
        if self._total > self._max_seconds:
            raise decoding.too_long(self._max_seconds)
        names = _names(probe)
        while True:
            decoded = self._decode()
            if decoded.at_end:
                self._total = decoded.samples / SAMPLE_RATE
            for window in decoded.windows:
                self._allow(window)
                self._hear(window, names)
            if decoded.at_end:
                return self._extracted(probe, decoded)

    def _probe(self) -> Probe:
        limits = self._place.limits
        return run_sandboxed(
            decoding.probe,
            self._source.path,
            result_type=Probe,
            limits=Limits(memory_bytes=limits.memory_bytes, seconds=limits.seconds),
        )

    def _decode(self) -> Decoded:
        """Have the next windows decoded into the run's folder."""
        done = round(self._heard.position / SAMPLE_RATE)

        def report(seconds: int, _total: int, _text: str) -> None:
            self._place.on_progress(done, round(self._total), f"Decoding, minute {seconds // 60 + 1}")

        longest = self._total or self._max_seconds
        return run_sandboxed(
            decoding.decode,
            self._source.path,
            str(self._place.folder),
            self._heard.position,
            _WINDOWS_AT_ONCE,
            self._max_seconds,
            self._window_seconds,
            result_type=Decoded,
            limits=Limits(
                memory_bytes=self._place.limits.memory_bytes,
                seconds=self._place.limits.seconds + longest / _LEAST_DECODING_SPEED,
            ),
            on_progress=report,
        )

    def _allow(self, window: Window) -> None:
        """Raise HandOver when the run's time is not likely to suffice for `window`.

        Each run hears one window at least, or a job would be handed over for ever.
        """
        if not self._sound:
            return
        needed = self._spent / self._sound * window.samples / SAMPLE_RATE * _SAFETY + _CLOSING_SECONDS
        if self._place.seconds_left() < needed:
            minute = self._heard.position // SAMPLE_RATE // 60 + 1
            raise HandOver(f"Going on at minute {minute}", queue=MEDIA)

    def _hear(self, window: Window, names: str) -> None:
        """Add what is said in `window` to the transcript, and save it."""
        began = time.monotonic()
        language = self._heard.language
        segments: list[Segment] = []
        if window.peak > _SILENCE_PEAK:
            found, passages = self._recogniser().hear(self._samples(window), language, names)
            for passage in passages:
                segments.append(_moved(passage, window))
                self._report(segments[-1].end)
            # What "nobody speaks" sounds like is no language.
            language = language or (found if segments else None)
        self._heard = Transcript(
            position=window.start + window.samples,
            segments=(*self._heard.segments, *segments),
            language=language,
        )
        self._place.checkpoint.save(transcript.save(self._heard))
        self._report(self._heard.position / SAMPLE_RATE)
        window_file(str(self._place.folder), window.start).unlink()
        if window.peak > _SILENCE_PEAK:
            self._spent += time.monotonic() - began
            self._sound += window.samples / SAMPLE_RATE

    def _samples(self, window: Window) -> NDArray[np.float32]:
        path = window_file(str(self._place.folder), window.start)
        return np.fromfile(path, dtype=np.int16, count=window.samples).astype(np.float32) / 32768.0

    def _report(self, seconds: float) -> None:
        total = max(self._total, seconds)
        minutes = max(1, math.ceil(total / 60))
        minute = min(int(seconds // 60) + 1, minutes)
        of = f" of {minutes}" if self._total else ""
        self._place.on_progress(
            math.ceil(seconds), math.ceil(total) if self._total else 0, f"minute {minute}{of}"
        )

    def _extracted(self, probe: Probe, decoded: Decoded) -> Extracted:
        segments = self._heard.segments
        if not segments:
            raise NoSound("Nobody speaks in this recording.", seconds=round(self._total, 1))
        tags = {name: clean(value) for name, value in probe.tags.items()}
        title = tags.pop("title", "")[:MAX_TITLE_CHARACTERS].strip()
        return Extracted(
            text=clean(text_of(segments, self._heard.language)),
            title=title or stem(self._source.filename),
            source_type=self._source.kind,
            language=self._heard.language,
            segments=segments,
            metadata={
                **tags,
                "duration": clock(decoded.seconds),
                "language": self._heard.language or "",
                "format": f"{probe.container}, {probe.codec}",
            },
            warnings=tuple(_warnings(probe, decoded)),
        )


def _names(probe: Probe) -> str:
    """Return what the tags name. With it Whisper spelt "LibriVox" right, without it "Libravox"."""
    named = (clean(probe.tags.get(key, "")).strip() for key in ("title", "author", "album"))
    return ", ".join(name for name in named if name)[:_MAX_NAMES_CHARACTERS]


def _moved(segment: Segment, window: Window) -> Segment:
    """Return a window's segment with times of the recording; Whisper may see its end after the window's."""
    begin, end = window.start / SAMPLE_RATE, (window.start + window.samples) / SAMPLE_RATE
    return Segment(
        start=round(min(segment.start + begin, end), 2),
        end=round(min(segment.end + begin, end), 2),
        text=segment.text,
    )


def _warnings(probe: Probe, decoded: Decoded) -> Iterator[str]:
    stated = probe.duration or 0.0
    if decoded.seconds < stated * _SHORT_SHARE - _SHORT_SECONDS:
        yield (
            f"The file says that it is {clock(stated)} long, but ends after {clock(decoded.seconds)}: "
            "it may be cut off."
        )
    if decoded.damaged:
        yield f"Parts of the sound are damaged and were left out: {decoded.damaged}."
