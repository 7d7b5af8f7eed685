"""Recordings and films made to break their reader: no sound, no end, headers that lie."""

from __future__ import annotations

import struct

from tests.hostileset.cases import NOISE, case


def wav(seconds: float, *, stated: int | None = None, rate: int = 8000, channels: int = 1) -> bytes:
    """Return a silent recording; `stated` is what the header says of its length in bytes."""
    data = bytes(int(seconds * 8000) * 2)
    size = len(data) if stated is None else stated
    header = struct.pack("<HHIIHH", 1, channels, rate, (rate * 2) & 0xFFFFFFFF, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", (36 + size) & 0xFFFFFFFF)
        + b"WAVEfmt \x10\0\0\0"
        + header
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def box(kind: bytes, data: bytes, *, stated: int | None = None) -> bytes:
    return struct.pack(">I", 8 + len(data) if stated is None else stated) + kind + data


def nested_boxes(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = box(b"moov", data)
    return box(b"ftyp", b"isom\0\0\0\0isom") + data


MP4 = box(b"ftyp", b"isom\0\0\2\0isomiso2")
_REFUSED = "broken_file no_speech parser_crashed unsupported_type empty_file"

RECORDINGS = [
    case("a.wav", "silence", lambda: wav(2), "no_speech"),
    case("a.wav", "no samples", lambda: wav(0), _REFUSED),
    case("a.wav", "header that promises 4 GB", lambda: wav(1, stated=0xFFFFFFF0), "no_speech broken_file"),
    case("a.wav", "rate of zero", lambda: wav(1, rate=0), _REFUSED),
    case("a.wav", "four billion samples a second", lambda: wav(1, rate=0xFFFFFFFF), _REFUSED + " too_long"),
    case("a.wav", "65535 channels", lambda: wav(1, channels=65_535), _REFUSED),
    case("a.mp3", "header before noise", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + NOISE, _REFUSED),
    case("a.mp4", "header and no more", MP4, _REFUSED),
    case("a.mp4", "header before noise", MP4 + NOISE, _REFUSED),
    case("a.mp4", "box larger than the file", MP4 + box(b"moov", NOISE, stated=0xFFFFFFFF), _REFUSED),
    case("a.mp4", "boxes nested 2000 deep", nested_boxes(2000), _REFUSED),
    case("a.ogg", "header before noise", b"OggS\0\2" + NOISE, _REFUSED),
    case("a.flac", "header before noise", b"fLaC\0\0\0\x22" + NOISE, _REFUSED),
    case("a.mkv", "header before noise", b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska" + NOISE, _REFUSED),
]
