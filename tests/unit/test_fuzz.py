"""The fuzzer: a short campaign ends well, and what a long one would find it does find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from chalicelib.errors import BrokenFile, ParserCrashed
from tests.fuzz import campaign as fuzz
from tests.fuzz.campaign import Failure, campaign
from tests.fuzz.corpus import Seed, seeds
from tests.fuzz.mutations import MAX_BYTES, spoiled

SEED = Seed(kind="text", filename="note.txt", data=b"The harbour is dredged every spring.")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests of this machine leave in the temporary folder is not ours."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_short_campaign_ends_well() -> None:
    reports = campaign(seeds(), seed=20_26, mutations=4)
    assert len(reports) >= 23
    assert [
        (report.kind, failure.number, failure.what) for report in reports for failure in report.failures
    ] == []
    assert sum(report.ends["read"] for report in reports) > 10


def test_every_format_has_a_good_file_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "source"
    ends: dict[str, set[str]] = {}
    for seed in seeds():
        if seed.kind in ("audio", "video"):
            continue  # the libraries for these have an environment of their own
        path.write_bytes(seed.data)
        ends.setdefault(seed.kind, set()).add(fuzz._end(path, seed.data, seed.filename))
        for left in path.parent.glob("members/*"):
            left.unlink()
        if (tmp_path / "members").exists():
            (tmp_path / "members").rmdir()
    assert {kind for kind, found in ends.items() if "read" not in found} == set()


def test_the_same_number_spoils_a_file_in_the_same_way() -> None:
    for seed in seeds():
        once, again = (spoiled(Random(f"1/{seed.filename}/7"), seed.data, [b"other"]) for _ in range(2))
        assert once == again
        assert len(once) <= MAX_BYTES


def failures(monkeypatch: pytest.MonkeyPatch, read: Callable[..., None]) -> list[Failure]:
    monkeypatch.setattr(fuzz, "_read", read)
    (report,) = campaign([SEED], seed=1, mutations=1)
    return report.failures


def test_an_error_of_ours_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise BrokenFile("It is torn.")

    assert failures(monkeypatch, read) == []


def test_any_other_error_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise LookupError("no such thing")

    (failure,) = failures(monkeypatch, read)
    assert "LookupError: no such thing" in failure.what


def test_a_parser_that_trips_in_the_sandbox_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise ParserCrashed("The parser failed: IndexError", cause="error")

    assert "IndexError" in failures(monkeypatch, read)[0].what


def test_a_folder_that_is_left_behind_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read(*_: object) -> None:
        (tmp_path / "syncboard-parser-x").mkdir()

    assert "syncboard-parser-x" in failures(monkeypatch, read)[0].what


def test_a_limit_that_does_not_hold_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "MAX_SECONDS", -1.0)
    assert "it took" in failures(monkeypatch, lambda *_: None)[0].what
