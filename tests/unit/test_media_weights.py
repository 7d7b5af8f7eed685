"""Putting the weights together, with small stand-ins for the packages that carry them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.media import weights
from chalicelib.media.weights import WeightFile, WeightsError, located, main, models_folder, prepare

HALVES = (b"first half, " * 99, b"second half" * 99)
CONFIG = b'{"lang_ids": []}'


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages as they are installed, whose code must not run; return their folder."""
    root = tmp_path / "site"
    for name, files in {
        "weights_one": {"model.bin.part1": HALVES[0], "config.json": CONFIG},
        "weights_two": {"model.bin.part2": HALVES[1]},
    }.items():
        (root / name / "data").mkdir(parents=True)
        (root / name / "__init__.py").write_text("raise RuntimeError('was run')", encoding="utf-8")
        for file, content in files.items():
            (root / name / "data" / file).write_bytes(content)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setattr(weights, "_PACKAGES", ("weights_one", "weights_two"))
    monkeypatch.setattr(
        weights,
        "BASE",
        (
            WeightFile(
                name="model.bin",
                sha256=hashlib.sha256(b"".join(HALVES)).hexdigest(),
                parts=(("weights_one", "data/model.bin.part1"), ("weights_two", "data/model.bin.part2")),
            ),
            WeightFile(
                name="config.json",
                sha256=hashlib.sha256(CONFIG).hexdigest(),
                parts=(("weights_one", "data/config.json"),),
            ),
        ),
    )
    return root


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "base").iterdir()}


WHOLE = {"model.bin": b"".join(HALVES), "config.json": CONFIG}


def test_the_halves_are_joined_and_nothing_else_is_left(packages: Path, tmp_path: Path) -> None:
    assert prepare(tmp_path / "models") == tmp_path / "models" / "base"
    assert content(tmp_path / "models") == WHOLE


def test_what_is_there_already_is_left_alone(packages: Path, tmp_path: Path) -> None:
    path = prepare(tmp_path) / "model.bin"
    before = path.stat()
    prepare(tmp_path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_damaged_file_is_made_anew(packages: Path, tmp_path: Path) -> None:
    (prepare(tmp_path) / "model.bin").write_bytes(b"cut off")
    prepare(tmp_path)
    assert content(tmp_path) == WHOLE


def test_what_an_interrupted_join_left_is_removed(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / ".model.bin.abc123").write_bytes(HALVES[0])
    prepare(tmp_path)
    assert content(tmp_path) == WHOLE


def test_parts_that_are_not_the_pinned_ones_are_refused(packages: Path, tmp_path: Path) -> None:
    (packages / "weights_two" / "data" / "model.bin.part2").write_bytes(b"tampered")
    with pytest.raises(WeightsError, match=r"model\.bin is not the pinned one"):
        prepare(tmp_path / "models")
    assert content(tmp_path / "models") == {}


def test_a_missing_part_is_named(packages: Path, tmp_path: Path) -> None:
    (packages / "weights_two" / "data" / "model.bin.part2").unlink()
    with pytest.raises(WeightsError, match=r"model\.bin\.part2 is missing"):
        prepare(tmp_path / "models")


def test_a_missing_package_is_named(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (("weights_nowhere", "data/x"),)
    monkeypatch.setattr(weights, "BASE", (WeightFile(name="x", sha256="0", parts=parts),))
    with pytest.raises(WeightsError, match="weights-nowhere is missing"):
        prepare(tmp_path)


def test_starts_at_the_same_time_end_in_one_good_copy(tmp_path: Path, packages: Path) -> None:
    code = (
        "import hashlib, sys; from pathlib import Path; from chalicelib.media import weights as w\n"
        f"sys.path.insert(0, {str(packages)!r})\n"
        f"w.BASE = (w.WeightFile(name='model.bin', sha256={hashlib.sha256(WHOLE['model.bin']).hexdigest()!r}, "
        "parts=(('weights_one', 'data/model.bin.part1'), ('weights_two', 'data/model.bin.part2'))),)\n"
        f"print(w.prepare(Path({str(tmp_path / 'models')!r})))"
    )
    root = Path(weights.__file__).resolve().parents[2]
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.DEVNULL) for _ in range(4)
    ]
    assert [process.wait(60) for process in started] == [0] * 4
    assert content(tmp_path / "models") == {"model.bin": WHOLE["model.bin"]}


def test_base_is_taken_from_the_packages_and_others_by_name_or_path(packages: Path, tmp_path: Path) -> None:
    assert located("base", tmp_path) == str(tmp_path / "base")
    assert located("small", tmp_path) == "small"
    assert located("/models/own", tmp_path) == "/models/own"


def test_without_its_packages_base_is_the_hub_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_PACKAGES", ("weights_nowhere",))
    assert located("base", tmp_path) == "base"


def test_verified_weights_are_used_when_their_packages_are_gone(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.setattr(weights, "_PACKAGES", ("weights_nowhere",))
    assert located("base", tmp_path) == str(tmp_path / "base")


def test_the_command_prepares_and_says_where(
    packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'base'}\n"
    assert main([]) == 2


def test_models_are_kept_where_the_setting_says() -> None:
    assert models_folder("/data/models") == Path("/data/models")
    assert models_folder("").is_absolute()
