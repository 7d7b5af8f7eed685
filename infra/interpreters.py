"""A Python that Lambda has too, and an environment of its own to package with.

A package is for the Python that makes it, and Lambda's 3.11 has too old a C library for many wheels, which
Chalice would drop silently. So 3.12 at least. The project itself runs on 3.11 too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

# Lambda runtimes that this project is packaged for, the preferred first.
VERSIONS: Final = ("3.13", "3.12")

_PROBE: Final = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
_HOW_TO_GET_ONE: Final = (
    f"Packaging needs Python {' or '.join(VERSIONS)}. Install one (`pyenv install {VERSIONS[0]}`, "
    f"`uv python install {VERSIONS[0]}`, or your system's python{VERSIONS[0]} with its venv module), "
    "or name one with --python."
)


class InterpreterError(Exception):
    """No Python here can package, or its environment can't be made; the message says what to do."""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python on this machine."""

    path: Path
    # Such as `3.12`.
    version: str


def probe(path: Path) -> Interpreter | None:
    """Return the interpreter at `path`, or None if it does not run or can't make environments."""
    try:
        done = subprocess.run([path, "-c", _PROBE], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return Interpreter(path=path, version=done.stdout.strip())


def candidates() -> Iterator[Path]:
    """Yield where a Python may be: this one, the PATH, pyenv's versions, uv's versions."""
    yield Path(sys.executable)
    for version in VERSIONS:
        found = shutil.which(f"python{version}")
        if found:
            yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    for version in VERSIONS:
        yield from sorted((pyenv / "versions").glob(f"{version}.*/bin/python"), reverse=True)
        yield from sorted(uv.glob(f"cpython-{version}.*/bin/python"), reverse=True)


def find(paths: Iterable[Path]) -> Interpreter:
    """Return the best of the interpreters at `paths`; raise InterpreterError if none will do."""
    usable = [found for path in paths if (found := probe(path)) and found.version in VERSIONS]
    if not usable:
        raise InterpreterError(_HOW_TO_GET_ONE)
    return min(usable, key=lambda interpreter: VERSIONS.index(interpreter.version))


def can_be_expected() -> bool:
    """Tell whether a Python to package with should be here: in CI, where something can install one."""
    installers = [name for name in ("uv", "pyenv") if shutil.which(name)]
    return bool(os.environ.get("CI") and installers)


def environment(interpreter: Interpreter, lock: Path, folder: Path) -> Path:
    """Return the `bin` folder of an environment with exactly what `lock` names, made if it is not there.

    Wheels only, hashes checked. `--no-deps` because the lock is complete; `pip check` proves it. Raise
    InterpreterError with pip's words if it can't be done.
    """
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    stamp = folder / "lock.sha256"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return binaries
    shutil.rmtree(folder, ignore_errors=True)
    pip: list[str | Path] = [binaries / "python", "-m", "pip", "--disable-pip-version-check"]
    _run([interpreter.path, "-m", "venv", folder])
    _run([*pip, "install", "-qq", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", lock])
    _run([*pip, "check"])
    stamp.write_text(digest, encoding="ascii")
    return binaries


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise InterpreterError(f"The packaging environment can't be made: {done.stdout.strip()}")
