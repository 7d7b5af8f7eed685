"""Virtual environments of their own, made from lock files and rebuilt only when the lock changes.

The emulator pins libraries that the service pins differently; each container has its own requirements on AWS and
so has it here. An environment is `<root>/<name>`; its stamp says which lock and which Python it was made from.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from chalicelib.processes import die_with

ROOT: Final = Path(__file__).resolve().parent.parent / ".venvs"

_STAMP: Final = "made-from"
_ERROR_LINES: Final = 8


class EnvironmentFailed(RuntimeError):
    """An environment could not be made; the message says what to do about it."""


def to_stderr(line: str) -> None:
    """Write one line of progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def python_of(name: str, root: Path = ROOT) -> Path:
    """Return where the environment's Python is or will be."""
    return root / name / "bin" / "python"


def is_fresh(name: str, lock: Path, root: Path = ROOT) -> bool:
    """Tell whether the environment is there and was made from this very lock and Python. Takes milliseconds."""
    stamp = root / name / _STAMP
    try:
        return stamp.read_text(encoding="utf-8") == _fingerprint(lock) and python_of(name, root).exists()
    except (FileNotFoundError, NotADirectoryError):
        return False


def ensure_environment(
    name: str, lock: Path, root: Path = ROOT, *, report: Callable[[str], None] = to_stderr
) -> Path:
    """Make the environment `name` from the hashed requirements in `lock` unless it is fresh; return its Python.

    Safe under concurrent starts: the others wait for the first. `report` gets one line when something is
    installed. Raises EnvironmentFailed.
    """
    if not lock.is_file():
        raise EnvironmentFailed(f"{lock} is missing: the checkout is incomplete")
    if not is_fresh(name, lock, root):
        try:
            with _locked(root / f"{name}.lock"):
                if not is_fresh(name, lock, root):
                    report(f"Installing the {name} environment into {root / name} (once) …")
                    _make(name, lock, root)
        except OSError as error:
            raise EnvironmentFailed(f"cannot write {root / name}: {error.strerror or error}") from error
    return python_of(name, root)


def _fingerprint(lock: Path) -> str:
    """Return what an environment depends on: the lock's bytes and the Python that made it."""
    return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version_info[:3]} {sys.base_prefix}\n"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; it ends with this process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(name: str, lock: Path, root: Path) -> None:
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _create(folder)
        _install(python_of(name, root), lock)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # Last, so that an interrupted installation is seen as none.
    (folder / _STAMP).write_text(_fingerprint(lock), encoding="utf-8")


def _create(folder: Path) -> None:
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        raise EnvironmentFailed(_venv_advice())
    done = _run([sys.executable, "-I", "-m", "venv", "--clear", str(folder)])
    if done.returncode != 0:
        reason = done.stdout + done.stderr
        if "ensurepip" in reason:
            raise EnvironmentFailed(f"{_venv_advice()}\n{_last_lines(reason)}")
        raise EnvironmentFailed(f"cannot create {folder}:\n{explain(reason)}")


def _install(python: Path, lock: Path) -> None:
    done = _run(
        # -I: without PYTHONPATH and the user's own packages, which pip would take for installed.
        [
            *(
                str(python),
                "-I",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
            ),
            *("--retries", "2", "--require-hashes", "--requirement", str(lock)),
        ]
    )
    if done.returncode != 0:
        raise EnvironmentFailed(f"cannot install {lock.name}:\n{explain(done.stderr)}")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    # pip refuses `--user`, which some people set for all, in an environment.
    environ = {**os.environ, "PIP_USER": "0"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def _venv_advice() -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    install = (
        f"brew install python@{version}"
        if sys.platform == "darwin"
        else f"sudo apt install python{version}-venv"
    )
    return f"this Python ({sys.executable}) cannot make virtual environments. Run: {install}"


# What pip's output says, and what to do about it. The first that fits counts.
_ADVICE: Final = (
    (("No space left on device",), "The disk is full. Free some space and start again."),
    (
        ("DO NOT MATCH THE HASHES",),
        "A package is not the one that was locked. Do not install it; tell the maintainers.",
    ),
    (
        (
            *("NewConnectionError", "NameResolutionError", "Temporary failure in name resolution"),
            *("ConnectTimeout", "Connection refused", "Network is unreachable", "ProxyError", "SSLError"),
        ),
        "The package index can't be reached. Connect to the network (or set PIP_INDEX_URL to a mirror) and start "
        "again: this is needed once.",
    ),
    (
        ("No matching distribution found", "Could not find a version"),
        "A package has no build for this Python or machine. Python 3.11 to 3.13 on Linux or macOS is known to work.",
    ),
)


def explain(output: str) -> str:
    """Return advice for pip's `output` with its last lines."""
    advice = (text for signs, text in _ADVICE if any(sign in output for sign in signs))
    return f"{next(advice, 'pip says:')}\n{_last_lines(output)}"


def _last_lines(output: str) -> str:
    return "\n".join(f"  {line}" for line in output.strip().splitlines()[-_ERROR_LINES:])


def main(arguments: list[str]) -> int:
    """Make one environment: NAME LOCK PARENT. What goes wrong is the only output."""
    name, lock, parent = arguments
    die_with(int(parent))
    try:
        ensure_environment(name, Path(lock), report=lambda _line: None)
    except EnvironmentFailed as error:
        to_stderr(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
