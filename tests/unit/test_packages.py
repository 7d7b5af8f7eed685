"""ZIP files: what is refused before anything is unpacked, and what while it is read."""

from __future__ import annotations

import io
import zipfile

import pytest

from chalicelib.errors import BrokenFile, TooLarge
from chalicelib.ingest.packages import ARCHIVE, OFFICE, Package, PackageLimits
from tests.documents import zip_of

SMALL = PackageLimits(unpacked_bytes=1000, entries=3, ratio=10, ratio_from_bytes=500)


def package(data: bytes, limits: PackageLimits = SMALL) -> Package:
    return Package(io.BytesIO(data), limits=limits)


def test_the_limits_are_those_that_users_are_told() -> None:
    assert (ARCHIVE.unpacked_bytes, ARCHIVE.entries, ARCHIVE.ratio) == (500 * 1024**2, 1000, 200)
    assert OFFICE.entries == 10_000


def test_what_is_in_it_is_listed_and_read() -> None:
    with package(zip_of({"a/b.txt": "one", "c": "two"})) as opened:
        assert (opened.names, "c" in opened, opened.read("a/b.txt")) == (["a/b.txt", "c"], True, b"one")


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(TooLarge, match="4 files; the limit is 3"):
        package(zip_of(dict.fromkeys("abcd", "")))


def test_a_ratio_over_the_limit_is_refused_only_above_the_floor() -> None:
    assert package(zip_of({"a": "x" * 499})).names == ["a"]
    generous = PackageLimits(ratio=2, ratio_from_bytes=500)
    with pytest.raises(TooLarge, match="ZIP bomb"):
        package(zip_of({"a": "x" * 900}), generous)


def test_declared_sizes_are_summed() -> None:
    with pytest.raises(TooLarge, match="unpacks to more"):
        package(zip_of({"a": "x" * 600, "b": "y" * 600}))


def test_what_is_read_is_counted_however_often() -> None:
    with package(zip_of({"a": bytes(range(200)) * 2})) as opened:
        opened.read("a")
        opened.read("a")
        with pytest.raises(TooLarge):
            opened.read("a")


def test_links_and_folders_are_no_files() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder/", "")
        archive.writestr("../../outside", "x")
    with package(out.getvalue()) as opened:
        assert opened.names == ["../../outside"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_zip_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenFile):
        package(data)


def test_a_missing_entry_is_named() -> None:
    with package(zip_of({"a": "x"})) as opened, pytest.raises(BrokenFile, match="'b' is missing"):
        opened.read("b")
