"""Zip archives for Lambda: same bytes for the same content, compiled, checked against their lock."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

import msgspec
from packaging.utils import canonicalize_name

from infra.locks import LockError, Pin

# Lambda's limit for a function and its layers together, unzipped.
LIMIT_BYTES: Final = 250 * 1024 * 1024
# The earliest time that a zip can hold: content decides about an archive, not the hour.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_METADATA: Final = re.compile(r"^(?:.*/)?[^/]+\.dist-info/METADATA$")


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How large an archive is, in bytes."""

    zipped: int
    unzipped: int
    # Of the unzipped ones, compiled Python.
    compiled: int
    files: int


def pack(root: Path, archive: Path, *, prefix: str = "") -> Sizes:
    """Zip the files under `root`, `prefix` before their names, sorted and without times; return the sizes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as target:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(prefix + path.relative_to(root).as_posix(), _TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            executable = path.stat().st_mode & stat.S_IXUSR
            info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            target.writestr(info, path.read_bytes())
    return sizes(archive)


def sizes(archive: Path) -> Sizes:
    """Return how large an archive is."""
    with zipfile.ZipFile(archive) as source:
        entries = [entry for entry in source.infolist() if not entry.is_dir()]
    return Sizes(
        zipped=archive.stat().st_size,
        unzipped=sum(entry.file_size for entry in entries),
        compiled=sum(entry.file_size for entry in entries if entry.filename.endswith(".pyc")),
        files=len(entries),
    )


def distributions(archive: Path) -> dict[str, str]:
    """Return the version of every distribution in an archive, by normalised name."""
    with zipfile.ZipFile(archive) as source:
        headers = [
            HeaderParser().parsestr(source.read(name).decode())
            for name in source.namelist()
            if _METADATA.match(name)
        ]
    return {canonicalize_name(header["Name"]): header["Version"] for header in headers}


def check_lock(archive: Path, pins: Mapping[str, Pin]) -> None:
    """Raise LockError unless the archive holds exactly the locked distributions, each at its version."""
    actual = distributions(archive)
    wrong = [f"{name} {pin.version} is missing" for name, pin in pins.items() if name not in actual]
    wrong += [
        f"{name} is {version}, locked is {pins[name].version}"
        for name, version in actual.items()
        if name in pins and version != pins[name].version
    ]
    wrong += [f"{name} {version} is not locked" for name, version in actual.items() if name not in pins]
    if wrong:
        raise LockError(f"{archive.name}: " + "; ".join(sorted(wrong)))


def check_files(archive: Path, root: Path, *, prefix: str = "") -> None:
    """Raise LockError unless every file under `root` is in the archive, with `prefix` before its name."""
    with zipfile.ZipFile(archive) as source:
        names = set(source.namelist())
    ours = {prefix + path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    if ours - names:
        raise LockError(f"{archive.name}: {', '.join(sorted(ours - names))} is missing")


def check_compiled(archive: Path, python: str) -> None:
    """Raise LockError unless every module in the archive is compiled for `python` (such as `3.12`)."""
    tag = "cpython-" + python.replace(".", "")
    with zipfile.ZipFile(archive) as source:
        names = set(source.namelist())
    modules = [name for name in names if name.endswith(".py")]
    missing = [name for name in modules if _compiled_name(name, tag) not in names]
    if missing:
        raise LockError(f"{archive.name}: {len(missing)} modules are not compiled, such as {min(missing)}")


def _compiled_name(name: str, tag: str) -> str:
    folder, _, module = name.rpartition("/")
    return f"{folder}/__pycache__/".lstrip("/") + f"{module.removesuffix('.py')}.{tag}.pyc"


def check_size(archives: Mapping[str, Sizes]) -> None:
    """Raise LockError if function and layers together are over Lambda's limit."""
    total = sum(size.unzipped for size in archives.values())
    if total > LIMIT_BYTES:
        raise LockError(
            f"{', '.join(archives)}: {total} bytes unzipped, over Lambda's limit of {LIMIT_BYTES}"
        )
