"""Small objects are rows of the table, large ones are in the bucket; who reads them sees no difference."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chalicelib import services
from chalicelib.aws.objects import IN_ROWS, Objects
from chalicelib.errors import UploadMissing
from chalicelib.jobs.job import new_id
from tests.unit.conftest import Api

SMALL = b"Some words of a note, again and again. " * 20
LARGE = random.Random(1).randbytes(5000)


@pytest.fixture
def objects(api: Api) -> Objects:
    return services.objects()


@pytest.fixture
def folder() -> str:
    return f"texts/{new_id()}/"


@pytest.mark.parametrize("body", [SMALL, LARGE, b"x" * 1_000_000])
def test_what_is_stored_is_read_wherever_it_is(
    objects: Objects, folder: str, body: bytes, tmp_path: Path
) -> None:
    key = objects.put_small(f"{folder}1-d.txt", body)
    assert key.startswith(IN_ROWS) == (body == SMALL)
    assert objects.get(key) == body
    assert objects.get(key, first=10) == body[:10]
    assert objects.get(key, span=(5, 10)) == body[5:15]
    objects.download(key, tmp_path / "source")
    assert (tmp_path / "source").read_bytes() == body
    assert list(objects.keys_of(folder)) == [key]
    objects.delete(key)
    assert list(objects.keys_of(folder)) == []
    with pytest.raises(UploadMissing):
        objects.get(key)


def test_many_rows_are_read_at_once_and_what_is_elsewhere_is_left_out(objects: Objects, folder: str) -> None:
    keys = [objects.put_small(f"{folder}{number}", SMALL + bytes([number])) for number in range(120)]
    other = objects.put_small(f"{folder}large", LARGE)
    found = objects.get_rows([*keys, other, f"{IN_ROWS}{folder}never"])
    assert found == {key: SMALL + bytes([number]) for number, key in enumerate(keys)}
    assert objects.get_rows([]) == {}


def test_a_row_may_expire(objects: Objects, folder: str) -> None:
    objects.put_small(f"{folder}source", SMALL, expires_at=2_000_000_000)
    (row,) = objects.rows.query(("pk", f"BYTES#{folder[:-1]}")).items
    assert row["expires_at"] == 2_000_000_000


def test_a_small_upload_is_a_row_and_its_job_names_it(api: Api) -> None:
    job_id = api.upload("notes.md", b"# Notes\n\nSome words.").json_body["job_id"]
    key = f"{IN_ROWS}inline/{job_id}/source"
    assert services.objects().get(key) == b"# Notes\n\nSome words."
