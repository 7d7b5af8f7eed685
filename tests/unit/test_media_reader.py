"""Reading a recording with a recogniser that stands for Whisper."""

from __future__ import annotations

import math
import os
import signal
import sys
import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from chalicelib.errors import BrokenFile, Cancelled, HandOver, NoSound, TooLong
from chalicelib.ingest.document import Extracted, ProgressCallback, Segment, Source, ignore_progress
from chalicelib.ingest.reading import Checkpoint, ExtractionLimits, Forgetful, Workplace
from chalicelib.media import decoding, reader, transcript
from chalicelib.media.decoding import decode, probe
from chalicelib.media.reader import Transcription
from chalicelib.media.windows import SAMPLE_RATE
from chalicelib.settings import SettingsError

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="forks")
LIMITS = ExtractionLimits(memory_bytes=512 * 1024**2, seconds=60, max_pages=1)
# Windows of the tests, in seconds.
WINDOW = 10


def place_in(
    folder: Path,
    *,
    checkpoint: Checkpoint | None = None,
    on_progress: ProgressCallback = ignore_progress,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> Workplace:
    return Workplace(
        folder=folder,
        limits=LIMITS,
        checkpoint=checkpoint or Forgetful(),
        on_progress=on_progress,
        seconds_left=seconds_left,
    )


class Parrot:
    """Stands for Whisper: "hears" two words per window, and remembers what it was given."""

    def __init__(self, language: str = "en") -> None:
        self.given: list[tuple[int, str | None, str]] = []
        self._language = language

    def hear(
        self, samples: NDArray[np.float32], language: str | None, names: str
    ) -> tuple[str, Iterator[Segment]]:
        self.given.append((len(samples), language, names))
        assert samples.dtype == np.float32
        assert float(np.abs(samples).max()) <= 1.0
        seconds = len(samples) / SAMPLE_RATE
        return self._language, iter([Segment(start=0.5, end=seconds, text=f"Window {len(self.given)}.")])


def tone(seconds: float, *, loud: float = 0.5, rate: int = SAMPLE_RATE) -> NDArray[np.int16]:
    """Return a hum of 220 Hz."""
    times = np.arange(int(seconds * rate)) / rate
    return (np.sin(times * 220 * 2 * math.pi) * loud * 32767).astype(np.int16)


def wav(path: Path, samples: NDArray[np.int16], rate: int = SAMPLE_RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def encoded(path: Path, form: str, codec: str, samples: NDArray[np.int16], **tags: str) -> Path:
    """Write a hum in a lossy format."""
    with av.open(str(path), "w", format=form) as output:
        output.metadata.update(tags)
        stream = cast(av.AudioStream, output.add_stream(codec, rate=48_000, layout="mono"))
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=48_000)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return path


def mute_film(path: Path) -> Path:
    with av.open(str(path), "w", format="webm") as output:
        stream = output.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def listen(path: Path, place: Workplace, recogniser: Parrot | None = None, **options: int) -> Extracted:
    given = {"max_seconds": 3600, "window_seconds": WINDOW, **options}
    source = Source(path=str(path), filename=path.name, kind="audio")
    heard = recogniser or Parrot()
    return Transcription(source, place, lambda: heard, **given).run()


# --- Windows, text, progress --------------------------------------------------------------------------------


def test_windows_are_heard_in_order_and_their_times_are_the_recording_s(tmp_path: Path) -> None:
    samples = tone(25)
    # Quiet near the end of the first window: the cut goes there.
    samples[int(8.9 * SAMPLE_RATE) : int(9.1 * SAMPLE_RATE)] = 0
    parrot = Parrot()
    found = listen(wav(tmp_path / "a.wav", samples), place_in(tmp_path), parrot)
    assert sum(count for count, _, _ in parrot.given) == len(samples)
    assert parrot.given[0][0] == pytest.approx(9 * SAMPLE_RATE, abs=200)
    assert [segment.text for segment in found.segments] == ["Window 1.", "Window 2.", "Window 3."]
    assert found.segments[1].start == pytest.approx(9.5, abs=0.02)
    assert found.segments[-1].end == 25.0
    assert found.text == "Window 1. Window 2. Window 3."
    assert (found.title, found.source_type, found.language, found.warnings) == ("a", "audio", "en", ())
    assert found.metadata["duration"] == "0:25"
    assert list(tmp_path.glob("window-*")) == []


def test_the_language_of_the_first_window_is_kept_for_the_others(tmp_path: Path) -> None:
    parrot = Parrot("de")
    assert listen(wav(tmp_path / "a.wav", tone(25)), place_in(tmp_path), parrot).language == "de"
    assert [language for _, language, _ in parrot.given] == [None, "de", "de"]


def test_progress_counts_the_recording_s_seconds_and_never_falls(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    listen(
        wav(tmp_path / "a.wav", tone(65)), place_in(tmp_path, on_progress=lambda *report: seen.append(report))
    )
    assert seen[-1] == (65, 65, "minute 2 of 2")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert {total for _, total, _ in seen} == {65}
    assert "minute 1 of 2" in {text for _, _, text in seen}


def test_more_windows_than_are_decoded_at_once_are_all_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_WINDOWS_AT_ONCE", 2)
    parrot = Parrot()
    samples = tone(57)
    found = listen(wav(tmp_path / "a.wav", samples), place_in(tmp_path), parrot)
    assert sum(count for count, _, _ in parrot.given) == len(samples)
    assert len(found.segments) == len(parrot.given) >= 6


def test_a_window_without_any_sound_is_not_listened_to(tmp_path: Path) -> None:
    parrot = Parrot()
    samples = np.concatenate([np.zeros(10 * SAMPLE_RATE, np.int16), tone(5)])
    listen(wav(tmp_path / "a.wav", samples), place_in(tmp_path), parrot)
    assert len(parrot.given) == 1


def test_cancelling_in_a_progress_call_stops_the_work(tmp_path: Path) -> None:
    def cancel(_done: int, _total: int, _text: str) -> None:
        raise Cancelled("by the owner")

    with pytest.raises(Cancelled, match="by the owner"):
        listen(wav(tmp_path / "a.wav", tone(5)), place_in(tmp_path, on_progress=cancel))


# --- Tags ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "codec"), [("mp3", "libmp3lame"), ("mp4", "aac"), ("ogg", "libopus"), ("matroska", "aac")]
)
def test_tags_become_title_and_metadata_and_help_to_spell(tmp_path: Path, form: str, codec: str) -> None:
    path = encoded(tmp_path / "a", form, codec, tone(2), title="Tides", artist="A. Person", date="2026-03-09")
    parrot = Parrot()
    found = listen(path, place_in(tmp_path), parrot)
    assert found.title == "Tides"
    assert found.metadata["author"] == "A. Person"
    assert parrot.given[0][2] == "Tides, A. Person"


def test_control_characters_in_tags_are_removed(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a", "mp3", "libmp3lame", tone(2), title="Ti\x1b[31mdes\r\n")
    assert listen(path, place_in(tmp_path)).title == "Ti[31mdes"


# --- What is wrong with a file ------------------------------------------------------------------------------


def test_a_film_without_an_audio_track_has_no_sound(tmp_path: Path) -> None:
    with pytest.raises(NoSound, match="no audio track"):
        listen(mute_film(tmp_path / "a.webm"), place_in(tmp_path))


def test_in_a_silent_recording_nobody_speaks(tmp_path: Path) -> None:
    parrot = Parrot()
    with pytest.raises(NoSound, match="Nobody speaks"):
        listen(wav(tmp_path / "a.wav", np.zeros(SAMPLE_RATE * 15, np.int16)), place_in(tmp_path), parrot)
    assert parrot.given == []


@pytest.mark.parametrize("declared", [True, False])
def test_a_recording_over_the_limit_is_refused(tmp_path: Path, declared: bool) -> None:
    samples = tone(12)
    path = wav(tmp_path / "a.wav", samples) if declared else encoded(tmp_path / "a", "adts", "aac", samples)
    assert (probe(str(path)).duration is not None) == declared
    with pytest.raises(TooLong, match=r"longer than 0\.1 minutes") as caught:
        listen(path, place_in(tmp_path), max_seconds=6)
    assert caught.value.details == {"limit_seconds": 6}


def test_a_truncated_mp3_is_heard_and_the_lie_about_its_length_is_told(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a", "mp3", "libmp3lame", tone(30))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    found = listen(path, place_in(tmp_path))
    assert found.warnings[0].startswith("The file says that it is 0:30 long, but ends after 0:")
    assert found.metadata["duration"] in {"0:09", "0:10"}


def test_a_film_whose_picture_outlasts_its_sound_is_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with av.open(str(path), "w", format="webm") as output:
        picture = output.add_stream("libvpx", rate=1)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        sound = output.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(2, rate=48_000).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48_000
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
        for number in range(20):
            image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            image.pts, image.time_base = number, Fraction(1, 1)
            output.mux(picture.encode(image))
        output.mux(picture.encode(None))
    found = listen(path, place_in(tmp_path))
    assert found.warnings == ()
    assert found.metadata["duration"] in {"0:19", "0:20"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        bytes(range(256)) * 64,
        b"\x1a\x45\xdf\xa3" + bytes(4000),
    ],
)
def test_bytes_that_are_no_recording_are_broken(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(BrokenFile):
        listen(path, place_in(tmp_path))


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {target}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_playlists_lead_ffmpeg_nowhere(tmp_path: Path, playlist: str) -> None:
    secret = wav(tmp_path / "secret.wav", tone(2))
    path = tmp_path / "list"
    path.write_text(playlist.format(target=secret), encoding="utf-8")
    with pytest.raises(BrokenFile, match="can't be opened"):
        listen(path, place_in(tmp_path))


def test_random_damage_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a", "mp3", "libmp3lame", tone(20))
    data = bytearray(path.read_bytes())
    chance = np.random.default_rng(5)
    for place in chance.integers(4000, len(data) - 1, 400):
        data[place] = int(chance.integers(0, 256))
    path.write_bytes(data)
    found = listen(path, place_in(tmp_path))
    assert found.segments
    assert any("damaged" in warning for warning in found.warnings)


# --- Decoding -----------------------------------------------------------------------------------------------


def test_decoding_from_a_sample_gives_what_comes_after_it(tmp_path: Path) -> None:
    samples = np.arange(20_000, dtype=np.int16)
    path = wav(tmp_path / "a.wav", samples)
    got = decode(str(path), str(tmp_path), 12_345, 5, 60)
    assert [(window.start, window.samples) for window in got.windows] == [(12_345, 20_000 - 12_345)]
    file = decoding.window_file(str(tmp_path), 12_345)
    assert np.array_equal(np.fromfile(file, np.int16), samples[12_345:])
    assert (got.at_end, got.samples, got.windows[0].peak) == (True, 20_000, 19_999)


def test_the_loudest_sample_of_all_is_measured(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", np.full(1000, -32768, np.int16))
    assert decode(str(path), str(tmp_path), 0, 1, 60).windows[0].peak == 32768


def test_stereo_at_another_rate_becomes_one_channel_at_16_khz(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a", "mp4", "aac", tone(3))
    got = decode(str(path), str(tmp_path), 0, 5, 60)
    assert got.samples == pytest.approx(3 * SAMPLE_RATE, rel=0.03)


# --- Going on where an earlier run was ----------------------------------------------------------------------


class Kept:
    """A checkpoint that survives runs."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.saves = 0

    def load(self) -> bytes | None:
        return self.data

    def save(self, data: bytes) -> None:
        self.data = data
        self.saves += 1


def test_a_run_without_time_for_the_next_window_hands_over_and_the_next_goes_on(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(65))
    kept = Kept()
    whole = listen(path, place_in(tmp_path))
    with pytest.raises(HandOver, match="Going on at minute 1") as caught:
        listen(path, place_in(tmp_path, checkpoint=kept, seconds_left=lambda: 1.0))
    assert (caught.value.queue, kept.saves) == ("uploads-media", 1)
    parrot = Parrot()
    found = listen(path, place_in(tmp_path, checkpoint=kept), parrot)
    assert len(parrot.given) == len(whole.segments) - 1
    assert [(each.start, each.end) for each in found.segments] == [
        (each.start, each.end) for each in whole.segments
    ]
    assert parrot.given[0][1] == "en"


def test_every_run_hears_one_window_so_a_job_ends(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(45))
    kept = Kept()
    runs = 0
    found = None
    while found is None:
        runs += 1
        assert runs < 10
        try:
            found = listen(path, place_in(tmp_path, checkpoint=kept, seconds_left=lambda: 0.0))
        except HandOver:
            continue
    assert runs == len(found.segments) == kept.saves


def test_a_run_after_the_last_window_only_tells_what_was_heard(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(15))
    kept = Kept()
    first = listen(path, place_in(tmp_path, checkpoint=kept))
    parrot = Parrot()
    assert listen(path, place_in(tmp_path, checkpoint=kept), parrot) == first
    assert parrot.given == []


class OnDisk:
    """A checkpoint in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> bytes | None:
        return self._path.read_bytes() if self._path.exists() else None

    def save(self, data: bytes) -> None:
        self._path.write_bytes(data)


class Killer(Parrot):
    """Kills its own process in the third window."""

    def hear(
        self, samples: NDArray[np.float32], language: str | None, names: str
    ) -> tuple[str, Iterator[Segment]]:
        if len(self.given) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().hear(samples, language, names)


@linux_only
def test_a_run_that_is_killed_costs_one_window(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(45))
    checkpoint = OnDisk(tmp_path / "checkpoint")
    child = os.fork()
    if child == 0:
        try:
            listen(path, place_in(tmp_path, checkpoint=checkpoint), Killer())
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    whole = listen(path, place_in(tmp_path))
    parrot = Parrot()
    found = listen(path, place_in(tmp_path, checkpoint=checkpoint), parrot)
    assert len(parrot.given) == len(whole.segments) - 2
    assert [each.start for each in found.segments] == [each.start for each in whole.segments]


def test_a_checkpoint_comes_back_as_it_was_saved() -> None:
    saved = transcript.Transcript(
        position=99, segments=(Segment(start=1.5, end=2.0, text="Élan 海"),), language="fr"
    )
    assert transcript.load(transcript.save(saved)) == saved
    assert transcript.load(None) == transcript.Transcript()


# --- The process --------------------------------------------------------------------------------------------


def test_a_process_with_a_thread_limit_refuses_to_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    source = Source(path=str(wav(tmp_path / "a.wav", tone(1))), filename="a.wav", kind="audio")
    with pytest.raises(SettingsError, match="OMP_THREAD_LIMIT=1 is set"):
        reader.read(source, place_in(tmp_path))
