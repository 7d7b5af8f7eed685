"""Finding Tesseract, and running it within limits."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from chalicelib.errors import ParserCrashed, Unavailable
from chalicelib.ocr import engine
from chalicelib.ocr.engine import Engine
from chalicelib.ocr.programs import ProgramLimits, Programs
from chalicelib.settings import SettingsError

SCRIPT = """#!/bin/sh
case "$1" in
--version) echo "tesseract 9.8.7" ;;
--list-langs) echo 'List of available languages in "{folder}" (1):' ;;
esac
"""


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the only folder on the PATH, where there is no wheel of Tesseract."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    engine.find.cache_clear()
    return tmp_path


@pytest.fixture(autouse=True)
def forget() -> object:
    yield
    engine.find.cache_clear()


def model(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.traineddata").touch()


def test_this_installation_has_tesseract_with_english_and_the_orientation_model() -> None:
    found = engine.find()
    assert found.version.startswith("5.")
    assert "eng" in found.languages()
    assert (found.folder_of("eng") / "eng.traineddata").is_file()
    assert found.orientation_folder() is not None


def test_without_the_wheel_the_one_on_the_path_is_taken(no_wheel: Path) -> None:
    model(no_wheel / "models", "fra")
    program = no_wheel / "tesseract"
    program.write_text(SCRIPT.format(folder=no_wheel / "models"), encoding="utf-8")
    program.chmod(0o700)
    found = engine.find()
    assert (found.program, found.version, found.languages()) == (str(program), "9.8.7", ["fra"])
    assert found.orientation_folder() is None


def test_without_any_the_error_says_how_to_get_it(no_wheel: Path) -> None:
    with pytest.raises(Unavailable, match=r"Run: (sudo apt install tesseract-ocr|brew install tesseract)"):
        engine.find()


def test_a_program_that_does_not_run_here_is_none(no_wheel: Path) -> None:
    program = no_wheel / "tesseract"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o700)
    with pytest.raises(Unavailable):
        engine.find()


@pytest.mark.parametrize("languages", ["tlh", "eng+tlh", "", "eng,deu", "../eng", "osd"])
def test_an_unknown_language_names_those_that_there_are(tmp_path: Path, languages: str) -> None:
    model(tmp_path, "eng")
    model(tmp_path, "deu")
    found = Engine(program="tesseract", version="5", folders=(tmp_path,))
    with pytest.raises(SettingsError, match=r"SYNCBOARD_OCR_LANGUAGES=.*Installed: deu, eng"):
        found.folder_of(languages)


def test_several_languages_come_from_one_folder(tmp_path: Path) -> None:
    model(tmp_path / "a", "eng")
    model(tmp_path / "b", "eng")
    model(tmp_path / "b", "deu")
    found = Engine(program="tesseract", version="5", folders=(tmp_path / "a", tmp_path / "b"))
    assert found.folder_of("eng") == tmp_path / "a"
    assert found.folder_of("eng+deu") == tmp_path / "b"


# --- Programs -----------------------------------------------------------------------------------------------


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_a_program_gets_the_environment_that_it_is_given_and_this_process_keeps_its_own() -> None:
    before = dict(os.environ)
    done = Programs(engine.ENVIRONMENT, ProgramLimits()).run(
        python("import os; print(os.environ['OMP_THREAD_LIMIT'], 'HOME' in os.environ)")
    )
    assert done.stdout == "1 False\n"
    assert dict(os.environ) == before


def test_a_program_that_hangs_is_killed_in_time() -> None:
    before = children()
    with pytest.raises(ParserCrashed, match=r"within 0\.2 seconds") as caught:
        Programs({}, ProgramLimits(seconds=0.2)).run(python("import time; time.sleep(60)"))
    assert caught.value.details["cause"] == "time_limit"
    assert children() <= before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the address space")
def test_a_program_that_wants_too_much_memory_gets_none() -> None:
    limits = ProgramLimits(memory_bytes=200 * 1024**2)
    done = Programs({}, limits).run(python("import time; time.sleep(0.05); bytearray(300 << 20)"))
    assert done.returncode != 0
    assert "MemoryError" in done.stderr


def test_a_program_that_dies_is_a_crash() -> None:
    with pytest.raises(ParserCrashed, match="killed by signal 11"):
        Programs({}, ProgramLimits()).run(python("import os; os.kill(os.getpid(), 11)"))


def test_closing_ends_what_runs_and_lets_nothing_start() -> None:
    programs = Programs({}, ProgramLimits(seconds=60))
    ends: list[BaseException] = []
    before = children()

    def work() -> None:
        try:
            programs.run(python("import time; time.sleep(60)"))
        except ParserCrashed as error:
            ends.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 10
    while children() <= before and time.monotonic() < deadline:
        time.sleep(0.005)
    programs.close()
    thread.join(timeout=10)
    assert [str(end) for end in ends] == ["Text recognition was killed by signal 9."]
    with pytest.raises(ParserCrashed, match="stopped"):
        programs.run(python(""))
