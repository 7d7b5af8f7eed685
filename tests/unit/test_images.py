"""Building images: what is built, by which engine, and what is said where there is none."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from infra import images
from local.containers import CONTAINERS
from tests.stack import ROOT


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH but for the shell's own programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_every_container_of_one_machine_is_an_image() -> None:
    assert set(CONTAINERS) <= set(images.names())


@pytest.mark.usefixtures("programs")
def test_without_an_engine_it_says_what_was_looked_for() -> None:
    with pytest.raises(images.NoEngine, match=r"docker: not installed; podman: not installed"):
        images.find_engine()
    assert images.main([]) == 1


def test_an_engine_that_does_not_answer_is_named_with_its_reason_and_the_next_is_taken(
    programs: Path,
) -> None:
    program(programs, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(images.NoEngine, match="docker: Cannot connect to the Docker daemon"):
        images.find_engine()
    program(programs, "podman", "exit 0")
    assert images.find_engine() == "podman"


def test_every_folder_is_built_on_the_base_that_is_given(
    programs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program(programs, "docker", '[ "$1" = info ] || { echo "$PWD" "$@"; }')
    assert images.main(["--base", "my-base", "--network", "host", "--platform", "linux/amd64"]) == 0
    lines = [shlex.split(line) for line in capfd.readouterr().out.splitlines()]
    assert [line[line.index("--tag") + 1] for line in lines] == [images.tag(name) for name in images.names()]
    for line in lines:
        assert (Path(line[0]), line[-1]) == (ROOT, ".")
        assert line[line.index("--build-arg") + 1] == "BASE=my-base"
        assert (ROOT / line[line.index("--file") + 1]).exists()


def test_an_image_that_is_not_built_ends_the_command(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(programs, "docker", '[ "$1" = info ]')
    assert images.main(["ocr"]) == 1
    assert "syncboard-ocr was not built" in capsys.readouterr().err


@pytest.mark.parametrize("folder", images.names())
def test_the_base_can_be_replaced_and_the_context_holds_what_is_copied(folder: str) -> None:
    lines = (ROOT / "containers" / folder / "Dockerfile").read_text().splitlines()
    assert next(line for line in lines if line.startswith(("ARG", "FROM"))).startswith("ARG BASE=")
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert copied
    assert {Path(word).parts[0] for word in copied} <= allowed
