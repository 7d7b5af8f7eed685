"""Recordings and films to sound, by FFmpeg's libraries (PyAV). Native code: only ever run in the sandbox.

FFmpeg opens connections and files by itself, below Python, where the sandbox's hook sees nothing: playlists (HLS,
DASH, concat) would lead it anywhere. So only formats that hold their own data are opened, and by no protocol.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import av
import av.container
import msgspec
import numpy as np

from chalicelib.errors import BrokenFile, NoSound, TooLong
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.media.windows import SAMPLE_RATE, WINDOW_SECONDS, Cutter, Samples

# Demuxers that read one file and nothing beside it (names by `ffmpeg -demuxers`).
_FORMATS: Final = (
    "aac",
    "ac3",
    "aiff",
    "amr",
    "ape",
    "asf",
    "au",
    "avi",
    "caf",
    "eac3",
    "flac",
    "flv",
    "matroska,webm",
    "mov,mp4,m4a,3gp,3g2,mj2",
    "mp3",
    "mpeg",
    "mpegts",
    "ogg",
    "w64",
    "wav",
    "wv",
)
# FFmpeg lets a protocol or format pass when its name is in the list; "none" is no protocol's name.
_OPTIONS: Final = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}
# What containers say about themselves, and what it is called here. The first that is there counts.
_TAGS: Final = {
    "title": ("title",),
    "author": ("artist", "album_artist", "composer"),
    "album": ("album", "show"),
    "created": ("date", "creation_time", "year"),
    "language": ("language",),
}
_MAX_TAG_CHARACTERS: Final = 500
# Formats without a header: FFmpeg guesses their length from size and bit rate, three times too long for one sample.
_GUESSED: Final = frozenset({"aac", "ac3", "amr", "eac3"})
# What an MP3's first frame holds where the encoder wrote the number of frames into it, and how far in.
_MP3_HEADERS: Final = (b"Xing", b"Info", b"VBRI")
_MP3_HEADER_BYTES: Final = 2048


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says about itself."""

    # Length in seconds as the file states it; None: it says nothing.
    duration: float | None
    # Names of FFmpeg's format and codec: "mp3", "aac".
    container: str
    codec: str
    # "title", "author", "album", "created", "language": what there is.
    tags: dict[str, str]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of sound, in a file of its own (`window_file`)."""

    # Its first sample, counted from the recording's start, and how many there are.
    start: int
    samples: int
    # Loudest sample, 0 to 32,768.
    peak: int


class Decoded(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of `decode` made."""

    windows: tuple[Window, ...]
    # The recording ends with the last window.
    at_end: bool
    # Samples that the recording has up to here; at the end, all.
    samples: int
    # How far the file was read, in seconds: of a film the picture counts, too, and may outlast the sound.
    seconds: float
    # Packets of sound that could not be decoded and were left out.
    damaged: int


def window_file(folder: str, start: int) -> Path:
    """Return where the window that begins at sample `start` is: 16-bit samples, native byte order, no header."""
    return Path(folder) / f"window-{start}.s16"


def probe(path: str, *, on_progress: ProgressCallback = ignore_progress) -> Probe:
    """Return what the file at `path` says of itself.

    Raise NoSound where it has no audio track, BrokenFile where FFmpeg can't open it.
    """
    with _opened(path) as (container, stream):
        name = container.format.name.partition(",")[0]
        duration = (container.duration or 0) / av.time_base
        stated = duration > 0 and name not in _GUESSED and not (name == "mp3" and not _counts_frames(path))
        return Probe(
            duration=duration if stated else None,
            container=name,
            codec=stream.codec_context.name,
            tags=_tags({**stream.metadata, **container.metadata}),
        )


def decode(
    path: str,
    folder: str,
    start: int,
    windows: int,
    max_seconds: int,
    window_seconds: int = WINDOW_SECONDS,
    *,
    on_progress: ProgressCallback = ignore_progress,
) -> Decoded:
    """Write up to `windows` windows into `folder`, from sample `start` on; see `window_file`.

    What comes before `start` is decoded and dropped: positions after a seek are guesses in many formats. Progress
    counts seconds of sound from the recording's start; how many there will be is not known.

    Raise TooLong beyond `max_seconds`, NoSound, or BrokenFile where nothing can be decoded.
    """
    made: list[Window] = []
    with _opened(path) as (container, stream):
        sound = _Sound(container, stream, max_seconds)
        cutter = Cutter(window_seconds)
        position = start
        for samples in sound.from_sample(start):
            on_progress(sound.position // SAMPLE_RATE, 0, "Decoding")
            for window in cutter.add(samples):
                made.append(_write(folder, position, window))
                position += len(window)
            if len(made) >= windows:
                return sound.told(made[:windows], at_end=False)
    rest = cutter.rest()
    if len(rest):
        made.append(_write(folder, position, rest))
    if not sound.position:
        raise BrokenFile("None of the recording's sound can be decoded.")
    return sound.told(made, at_end=True)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[av.container.InputContainer, av.AudioStream]]:
    try:
        # By a file object: FFmpeg then needs no protocol at all.
        with (
            Path(path).open("rb") as file,
            av.open(file, mode="r", options=dict(_OPTIONS), metadata_errors="ignore") as container,
        ):
            if not container.streams.audio:
                raise NoSound("There is no sound in this file: it has no audio track.")
            best = container.streams.best("audio") or container.streams.audio[0]
            yield container, next(stream for stream in container.streams.audio if stream.index == best.index)
    except av.FFmpegError as error:
        raise BrokenFile(f"The recording can't be opened: {error.strerror or error}.") from None


class _Sound:
    """The sound of one stream as 16-bit samples, one channel, 16 kHz."""

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.AudioStream,
        max_seconds: int,
    ) -> None:
        self._container = container
        self._stream = stream
        self._max_seconds = max_seconds
        self._resampler: av.AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None
        # Samples given out or dropped so far.
        self.position = 0
        self._damaged = 0
        self._seconds = 0.0

    def from_sample(self, start: int) -> Iterator[Samples]:
        """Yield all samples from number `start` on; raise TooLong when there are too many."""
        for samples in self._samples():
            before = self.position
            self.position += len(samples)
            if self.position > self._max_seconds * SAMPLE_RATE:
                raise too_long(self._max_seconds)
            if self.position > start:
                yield samples[max(0, start - before) :]

    def told(self, windows: list[Window], *, at_end: bool) -> Decoded:
        """Return what was made, with what is known of the file by now."""
        seconds = max(self._seconds, self.position / SAMPLE_RATE)
        return Decoded(
            windows=tuple(windows),
            at_end=at_end,
            samples=self.position,
            seconds=seconds,
            damaged=self._damaged,
        )

    def _samples(self) -> Iterator[Samples]:
        for frame in self._frames():
            yield from self._resampled(frame)
        yield from self._flushed()

    def _frames(self) -> Iterator[av.AudioFrame]:
        for packet in self._packets():
            if packet.stream.index != self._stream.index:
                continue
            try:
                yield from cast(list[av.AudioFrame], packet.decode())
            except av.FFmpegError:
                self._damaged += 1

    def _packets(self) -> Iterator[av.Packet[Any]]:
        """Yield the packets of all streams: how far a file goes, the picture says as well."""
        packets = self._container.demux()
        began = (self._container.start_time or 0) / av.time_base
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                # The file is cut off or damaged from here on.
                self._damaged += 1
                return
            if packet is None:
                return
            if packet.pts is not None and packet.time_base is not None:
                ends = float((packet.pts + (packet.duration or 0)) * packet.time_base) - began
                self._seconds = max(self._seconds, ends)
            yield packet

    def _resampled(self, frame: av.AudioFrame) -> Iterator[Samples]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            # Streams may change in the middle (a broadcast's jingle in stereo).
            yield from self._flushed()
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            self._shape = shape
        assert self._resampler is not None
        # Gaps in the time stamps are the container's matter; the resampler would stumble over them.
        frame.pts = None
        yield from map(_array, self._resampler.resample(frame))

    def _flushed(self) -> Iterator[Samples]:
        if self._resampler is not None:
            yield from map(_array, self._resampler.resample(None))
            self._resampler = None


def too_long(max_seconds: int) -> TooLong:
    """Return the error for a recording or film over the limit."""
    hours = f"{max_seconds / 3600:g} hours" if max_seconds >= 3600 else f"{max_seconds / 60:g} minutes"
    return TooLong(
        f"The recording is longer than {hours}, which is the limit. Split it.", limit_seconds=max_seconds
    )


def _counts_frames(path: str) -> bool:
    """Tell whether an MP3 states its number of frames, which makes its length more than a guess."""
    with Path(path).open("rb") as file:
        head = file.read(10)
        tag = 0
        if head[:3] == b"ID3":
            # Seven bits a byte (ID3v2, section 3.1).
            tag = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
        file.seek(tag)
        first = file.read(_MP3_HEADER_BYTES)
    return any(mark in first for mark in _MP3_HEADERS)


def _array(frame: av.AudioFrame) -> Samples:
    return frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def _write(folder: str, start: int, samples: Samples) -> Window:
    samples.tofile(window_file(folder, start))
    # As int32: the absolute value of -32,768 is no 16-bit number.
    peak = max(int(samples.max()), -int(samples.min()))
    return Window(start=start, samples=len(samples), peak=peak)


def _tags(given: dict[str, str]) -> dict[str, str]:
    lower = {key.lower(): value.strip() for key, value in given.items()}
    found = {
        name: next((lower[key] for key in keys if lower.get(key)), "")[:_MAX_TAG_CHARACTERS]
        for name, keys in _TAGS.items()
    }
    return {name: value for name, value in found.items() if value and value != "und"}
