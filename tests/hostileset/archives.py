"""Archives made to break their reader: bombs, lies, circles, and names that would lead elsewhere."""

from __future__ import annotations

import io
import zipfile
from functools import partial

from tests.documents import zip_of
from tests.hostileset.cases import MB, NOISE, NOTE, case
from tests.zipfiles import bomb_entry, locked_zip, overlapping_zip, raw_zip


def nested_zip(levels: int, width: int) -> bytes:
    """Return a small archive of archives … of 20 MB of zeros: width ** levels times."""
    data = raw_zip([bomb_entry("core.txt", 20 * MB)])
    for _ in range(levels):
        data = zip_of({f"{number}.zip": data for number in range(width)})
    return data


def deep_zip(depth: int) -> bytes:
    data = zip_of({"a.txt": NOTE})
    for _ in range(depth - 1):
        data = zip_of({"a.zip": data})
    return data


def crowded_zip() -> bytes:
    """Return an archive whose directory lists 100,001 files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(1001):
            archive.writestr(zipfile.ZipInfo(f"{number}.txt"), b"x")
    return out.getvalue()


def link_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("secrets.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("note.txt", NOTE)
    return out.getvalue()


# `says` is in the names of the documents that they become.
ARCHIVES = [
    case("a.zip", "60 MB of zeros", lambda: raw_zip([bomb_entry("a.txt", 60 * MB)]), "too_large"),
    case("a.zip", "archives of archives of zeros", partial(nested_zip, 4, 8), "too_large"),
    case("a.zip", "six archives deep", partial(deep_zip, 6), "too_large"),
    case("a.zip", "1001 files", crowded_zip, "too_large"),
    case("a.zip", "entries that share their bytes", partial(overlapping_zip, 500, 5 * MB), "too_large"),
    case(
        "a.zip",
        "entries that share their bytes and lie",
        partial(overlapping_zip, 500, 5 * MB, stated=10),
        says="",
    ),
    case(
        "a.zip",
        "size that lies",
        lambda: raw_zip([bomb_entry("a.txt", 60 * MB, stated=10)]),
        "too_large",
        says="",
    ),
    case(
        "a.zip",
        "size that promises 4 GB",
        lambda: raw_zip([bomb_entry("a.txt", 100, stated=0xFFFFFFF0)]),
        "too_large",
    ),
    case(
        "a.zip",
        "names that climb out",
        zip_of({"../../../note.txt": NOTE, "/etc/note.txt": NOTE}),
        says="note.txt",
    ),
    case("a.zip", "symbolic link", link_zip, says="note.txt"),
    case("a.zip", "names of 60000 characters", zip_of({"x" * 60_000 + ".txt": NOTE}), says=".txt"),
    case("a.zip", "name with an end in it", zip_of({"note.txt\0.exe": NOTE}), says="note.txt"),
    case("a.zip", "cut off", zip_of({"note.txt": NOTE})[:60], "broken_file"),
    case("a.zip", "header before noise", b"PK\x03\x04" + NOISE, "broken_file"),
    case("a.zip", "locked", partial(locked_zip, "note.txt", NOTE.encode(), b"p"), "password_required"),
    case(
        "a.zip",
        "locked with another password",
        partial(locked_zip, "note.txt", NOTE.encode(), b"p"),
        "password_required",
        password="q",
    ),
    case("a.zip", "nothing", b"PK\x05\x06" + bytes(18), says=""),
]
