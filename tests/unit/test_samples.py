"""The bundled samples end as `samples/expected.json` says. Those that listen or look are the e2e tests' part."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.errors import SyncBoardError
from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.extraction import ExtractionLimits, extract
from chalicelib.ingest.formats import format_for
from chalicelib.knowledge.minhash import SURE, likeness, signature
from local.session import is_sample
from syncboard.samples import EXPECTED

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
LIMITS = ExtractionLimits(memory_bytes=192 * 1024**2, seconds=10, max_pages=2000)


def test_every_sample_has_an_expectation() -> None:
    assert {path.name for path in SAMPLES.iterdir() if is_sample(path)} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_sample_ends_as_expected(name: str) -> None:
    path, expected = SAMPLES / name, EXPECTED[name]
    data = path.read_bytes()
    content = sniff(data[:HEAD_BYTES], filename=name, size=len(data))
    if format_for(content.kind).reader or name == "minutes-scan.pdf":
        assert expected.state == "SUCCESS"  # needs a container
        return
    if expected.state == "FAILURE":
        with pytest.raises(SyncBoardError) as failed:
            extract(path, content=content, filename=name, limits=LIMITS)
        assert failed.value.type == expected.error_type
    else:
        found = extract(path, content=content, filename=name, limits=LIMITS)
        assert (expected.says or "") in " ".join(found.text.split())


def test_the_edited_copies_are_near_duplicates_and_no_more() -> None:
    copies = {name: expected.alike_to for name, expected in EXPECTED.items() if expected.alike_to}
    assert len(copies) == 2
    for name, original in copies.items():
        ours, theirs = (signature((SAMPLES / one).read_text()) for one in (name, original))
        assert ours
        assert theirs
        alike = likeness(ours, theirs)
        assert alike
        assert alike.kind == "near_duplicate"
        assert SURE <= alike.similarity < 1
