"""Make the spoken samples: `standup.mp3`, and `screencast.webm`, a film with speech and a picture.

Needs `espeak-ng` (its speech is free to ship) and PyAV with NumPy: `python samples/make_media.py`. The text is ours.
Encoders differ between builds of FFmpeg's libraries, so the bytes are not the same everywhere; the words are.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

HERE = Path(__file__).resolve().parent

# What is said; the tests look for these words.
STANDUP = (
    "Good morning everybody. Yesterday I finished the new search index, and the queries are much faster. "
    "Today I will write the tests for the job queue. One thing blocks me. The database migration on the staging "
    "server fails, and I need help from the platform team. That is all from me. Thank you."
)
SCREENCAST = (
    "Welcome to this short film. On the left you can see the list of documents. Press the green button to upload a "
    "file. The text appears after a few seconds."
)
# American voice at a calm pace: Whisper's base model hears every word.
VOICE = ("espeak-ng", "-v", "en-us", "-s", "140")
RATE = 22_050
FRAMES_PER_SECOND = 5
WIDTH, HEIGHT = 320, 180


def main() -> None:
    """Write both files beside this one."""
    speech_to_mp3(STANDUP, HERE / "standup.mp3", title="Stand-up meeting", artist="SyncBoard")
    speech_to_film(SCREENCAST, HERE / "screencast.webm", title="How to upload a file")


def spoken(text: str) -> bytes:
    """Return `text` as a WAV file, spoken by espeak-ng."""
    return subprocess.run([*VOICE, "--stdout", text], check=True, capture_output=True).stdout


def frames(wav: bytes, layout: str, sample_format: str, rate: int) -> Iterator[av.AudioFrame]:
    """Yield the sound of a WAV file in the shape that an encoder takes."""
    resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
    with av.open(io.BytesIO(wav), mode="r") as container:
        for frame in container.decode(audio=0):
            yield from resampler.resample(frame)
        yield from resampler.resample(None)


def speech_to_mp3(text: str, path: Path, **tags: str) -> None:
    """Write speech as an MP3 of 32 kbit/s."""
    with av.open(str(path), "w", format="mp3") as output:
        output.metadata.update(tags)
        stream = output.add_stream("libmp3lame", rate=RATE, layout="mono", bit_rate=32_000)
        for frame in frames(spoken(text), "mono", "s16p", RATE):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def speech_to_film(text: str, path: Path, **tags: str) -> None:
    """Write speech with a picture in which a bar moves, as a WebM of VP8 and Opus."""
    wav = spoken(text)
    with av.open(str(path), "w", format="webm") as output:
        output.metadata.update(tags)
        picture = output.add_stream("libvpx", rate=FRAMES_PER_SECOND)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.bit_rate = 40_000
        sound = output.add_stream("libopus", rate=48_000, layout="mono", bit_rate=32_000)
        samples = 0
        for frame in frames(wav, "mono", "s16", 48_000):
            output.mux(sound.encode(frame))
            samples += frame.samples
        output.mux(sound.encode(None))
        for number in range(samples * FRAMES_PER_SECOND // 48_000):
            output.mux(picture.encode(bar(number)))
        output.mux(picture.encode(None))


def bar(number: int) -> av.VideoFrame:
    """Return one picture: a grey screen, and a green bar that grows with `number`."""
    pixels = np.full((HEIGHT, WIDTH, 3), 235, dtype=np.uint8)
    pixels[80:100, 20 : 20 + min(4 * number, WIDTH - 40)] = (40, 160, 80)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
    return frame


if __name__ == "__main__":
    main()
