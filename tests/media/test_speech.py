"""What is really heard: the words are asserted, never only that something came."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.truth import errors
from chalicelib import settings
from chalicelib.errors import HandOver, NoSound
from chalicelib.ingest.document import Extracted, Source
from chalicelib.ingest.reading import Checkpoint, ExtractionLimits, Forgetful, Workplace
from chalicelib.media import decoding, recognition, weights
from chalicelib.media.link_reader import read_link
from chalicelib.media.reader import Transcription, read
from chalicelib.media.windows import SAMPLE_RATE
from local.containers import MODELS
from tests.stack import ROOT
from tests.webserver import Web, allowing, reply, serving

SAMPLES = ROOT / "samples"
LIMITS = ExtractionLimits(memory_bytes=1024**3, seconds=120, max_pages=1)
STANDUP = (
    "Good morning everybody. Yesterday I finished the new search index, and the queries are much faster. "
    "Today I will write the tests for the job queue. One thing blocks me. The database migration on the staging "
    "server fails, and I need help from the platform team. That is all from me. Thank you."
)
SCREENCAST = (
    "Welcome to this short film. On the left you can see the list of documents. Press the green button to upload a "
    "file. The text appears after a few seconds."
)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def wrong(heard: str, said: str) -> float:
    """Return the share of words that are wrong, by the words that were said."""
    return errors(words(said), words(heard))


def place_in(folder: Path, checkpoint: Checkpoint | None = None) -> Workplace:
    return Workplace(folder=folder, limits=LIMITS, checkpoint=checkpoint or Forgetful())


def heard(path: Path, folder: Path, kind: str = "audio") -> Extracted:
    return read(Source(path=str(path), filename=path.name, kind=kind), place_in(folder))


def test_the_measure_of_wrong_words_counts_them() -> None:
    assert wrong("one two three", "One, two. Three!") == 0
    assert wrong("one too three four", "one two three") == pytest.approx(2 / 3)
    assert wrong("", "one two") == 1


def test_a_stand_up_meeting_is_heard_word_by_word(tmp_path: Path) -> None:
    found = heard(SAMPLES / "standup.mp3", tmp_path)
    assert wrong(found.text, STANDUP) <= 0.05
    assert (found.title, found.language, found.warnings) == ("Stand-up meeting", "en", ())
    assert found.segments[-1].end == pytest.approx(21, abs=2)


def test_a_film_s_speech_is_heard(tmp_path: Path) -> None:
    found = heard(SAMPLES / "screencast.webm", tmp_path, "video")
    assert wrong(found.text, SCREENCAST) <= 0.05
    assert (found.title, found.source_type) == ("How to upload a file", "video")


def samples_of(path: Path, folder: Path) -> NDArray[np.int16]:
    folder.mkdir()
    decoding.decode(str(path), str(folder), 0, 1, 600)
    return np.fromfile(decoding.window_file(str(folder), 0), np.int16)


def written(path: Path, *parts: NDArray[np.int16]) -> Path:
    with av.open(str(path), "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.concatenate(parts).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def test_windows_lose_no_word_and_a_run_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    standup = samples_of(SAMPLES / "standup.mp3", tmp_path / "one")
    film = samples_of(SAMPLES / "screencast.webm", tmp_path / "two")
    pause = np.zeros(3 * SAMPLE_RATE, np.int16)
    path = written(tmp_path / "long.wav", standup, pause, film, pause, standup)
    source = Source(path=str(path), filename=path.name, kind="audio")
    checkpoint, found, runs = Forgetful(), None, 0
    while found is None:
        runs += 1
        place = Workplace(folder=tmp_path, limits=LIMITS, checkpoint=checkpoint, seconds_left=lambda: 0.0)
        try:
            found = Transcription(
                source, place, recognition.recogniser, max_seconds=3600, window_seconds=30
            ).run()
        except HandOver:
            assert runs < 5
    assert wrong(found.text, f"{STANDUP} {SCREENCAST} {STANDUP}") <= 0.05
    assert runs >= 3
    assert "\n\n" in found.text  # the pauses
    starts = [segment.start for segment in found.segments]
    assert starts == sorted(starts)
    assert found.segments[-1].end == pytest.approx(len(np.fromfile(path, np.int16)) / SAMPLE_RATE, abs=3)


def test_silence_and_noise_are_nobody_s_speech_and_take_little_time(tmp_path: Path) -> None:
    recognition.recogniser()
    noise = np.random.default_rng(1).normal(0, 300, 60 * SAMPLE_RATE).astype(np.int16)
    for samples, seconds in ((np.zeros(60 * SAMPLE_RATE, np.int16), 2.0), (noise, 20.0)):
        began = time.monotonic()
        with pytest.raises(NoSound, match="Nobody speaks"):
            heard(written(tmp_path / "a.wav", samples), tmp_path)
        assert time.monotonic() - began < seconds


def test_the_model_is_loaded_once_in_a_process() -> None:
    assert recognition.recogniser() is recognition.recogniser()


def test_openmp_s_thread_limit_is_refused_in_a_process_of_its_own(tmp_path: Path) -> None:
    code = (
        "from chalicelib.media import recognition\n"
        "from chalicelib.settings import SettingsError\n"
        "try:\n    recognition.recogniser()\n"
        "except SettingsError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "OMP_THREAD_LIMIT=1 is set" in done.stdout


def test_weights_with_a_wrong_byte_are_put_together_anew_before_they_are_loaded(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "base", tmp_path / "base")
    model = tmp_path / "base" / "model.bin"
    with model.open("r+b") as file:
        file.seek(10_000_000)
        file.write(b"\xff\x00\xff")
    assert weights.located("base", tmp_path) == str(tmp_path / "base")
    assert weights._is_verified(model, weights.BASE[0])


# --- Links --------------------------------------------------------------------------------------------------


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server, allowing(f"127.0.0.1:{server.port}"):
        yield server


def test_a_page_s_film_without_captions_is_listened_to(web: Web, tmp_path: Path) -> None:
    page = b"<html><head><title>Upload</title></head><body><video src='/film.webm'></video></body></html>"
    web.answers |= {
        "/film": reply(body=page, kind="text/html"),
        "/film.webm": reply(body=(SAMPLES / "screencast.webm").read_bytes(), kind="video/webm"),
    }
    found = read_link(web.url("/film"), place_in(tmp_path))
    assert wrong(found.text, SCREENCAST) <= 0.05
    assert (found.title, found.source_type, found.language) == ("Upload", "video", "en")
    assert found.metadata["webpage_url"] == web.url("/film")
    assert found.segments


def test_a_stream_in_parts_is_listened_to(web: Web, tmp_path: Path) -> None:
    part = transport_stream(SAMPLES / "standup.mp3", tmp_path / "part.ts")
    body = b"#EXTM3U\n#EXT-X-TARGETDURATION:30\n#EXTINF:21,\npart.ts\n#EXT-X-ENDLIST\n"
    web.answers |= {
        "/talk.m3u8": reply(body=body, kind="application/vnd.apple.mpegurl"),
        "/part.ts": reply(body=part.read_bytes(), kind="video/mp2t"),
    }
    found = read_link(web.url("/talk.m3u8"), place_in(tmp_path))
    assert wrong(found.text, STANDUP) <= 0.05


def transport_stream(source: Path, path: Path) -> Path:
    with av.open(str(source), mode="r") as given, av.open(str(path), "w", format="mpegts") as output:
        sound = given.streams.audio[0]
        stream = output.add_stream_from_template(sound)
        for packet in given.demux(sound):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return path


def test_the_settings_name_the_folder_of_the_weights() -> None:
    assert settings.get().model_folder == str(MODELS)
