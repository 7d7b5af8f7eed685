"""The hostile set, the whole way: each file ends as it should, soon, and nothing of it stays behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from chalicelib.errors import PermanentError
from chalicelib.ingest import extraction
from chalicelib.ingest.codetrees import ArchivePlan, plan
from chalicelib.ingest.confinement import Limits
from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.reading import Workplace
from chalicelib.ingest.sandbox import run_sandboxed
from tests import documents
from tests.hostileset.archives import ARCHIVES
from tests.hostileset.cases import Case
from tests.hostileset.packages import PACKAGED
from tests.hostileset.pictures import PICTURES
from tests.hostileset.texts import TEXTS

LIMITS = msgspec.structs.replace(documents.LIMITS, seconds=3)
# Including two limits of time: one on the way to another child.
MAX_SECONDS = 9.0


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a child or a private folder behind, or takes too long."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before
    assert list(temporary.iterdir()) == []


def text_of(case: Case, folder: Path) -> str:
    """Return what a file says; of an archive, what its documents are called."""
    data = case.make()
    path = folder / "source"
    path.write_bytes(data)
    content = sniff(data[:HEAD_BYTES], filename=case.filename, size=len(data))
    place = Workplace(folder=folder / "place", limits=LIMITS)
    place.folder.mkdir()
    if content.kind == "zip":
        planned = run_sandboxed(
            plan,
            str(path),
            str(place.folder),
            case.filename,
            case.password,
            result_type=ArchivePlan,
            limits=Limits(memory_bytes=LIMITS.memory_bytes, seconds=LIMITS.seconds),
        )
        return "\n".join(document.filename for document in planned.documents)
    source = extraction.source_of(
        path, content=content, filename=case.filename, password=case.password, limits=LIMITS
    )
    found = extraction.read(source, place, scans=False)
    if not found.text.strip():
        raise extraction.no_text(found)
    return found.text


def end_of(case: Case, folder: Path) -> str | PermanentError:
    try:
        return text_of(case, folder)
    except PermanentError as error:
        return error


def judge(case: Case, folder: Path) -> None:
    """Fail unless a file ends as it should."""
    began = time.monotonic()
    end = end_of(case, folder)
    assert time.monotonic() - began < MAX_SECONDS
    if isinstance(end, PermanentError):
        assert end.type in case.ends.split(), f"{end.type}: {end.message}"
        # Whatever a parser trips over is told as our own error, but for what the sandbox itself stops.
        assert end.details.get("cause") != "error", end.message
    else:
        assert case.says is not None, f"it was read: {end[:200]!r}"
        assert case.says in end
        assert "root:" not in end


def named(cases: list[Case]) -> list[object]:
    return [pytest.param(case, id=f"{case.filename.rpartition('.')[2]}-{case.name}") for case in cases]


@pytest.mark.parametrize("case", named([*PACKAGED, *TEXTS]))
def test_a_hostile_document_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    judge(case, tmp_path)


@pytest.mark.parametrize("case", named(ARCHIVES))
def test_a_hostile_archive_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    judge(case, tmp_path)


@pytest.mark.parametrize("case", named(PICTURES))
def test_a_hostile_picture_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    judge(case, tmp_path)


def test_the_set_is_large() -> None:
    from tests.hostileset.recordings import RECORDINGS

    assert len(PACKAGED) + len(TEXTS) + len(ARCHIVES) + len(PICTURES) + len(RECORDINGS) >= 120
