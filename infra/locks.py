"""Lock files (requirements with hashes): what they pin for the machine that Lambda runs on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Lambda's Python 3.12 and newer runs on Amazon Linux 2023, glibc 2.34.
GLIBC_MINOR: Final = 34
# The oldest tag that is still in use for wheels, manylinux1's.
_OLDEST_GLIBC_MINOR: Final = 5

_CONTINUATION: Final = re.compile(r"\\\n\s*")
_HASH: Final = re.compile(r"--hash=(\S+)")


class LockError(Exception):
    """A lock file, or what was made from it, is not what it should be. The message says what to do."""


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution at one version."""

    # Normalised name.
    name: str
    version: str
    # `sha256:…` of every file that may be installed for it.
    hashes: tuple[str, ...]

    def line(self) -> str:
        """Return the pin as pip reads it, without its marker."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={value}" for value in self.hashes)])


def platform_tags() -> list[str]:
    """Return the wheel platforms that Lambda's x86_64 runtime can load, newest first."""
    return [f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC_MINOR, _OLDEST_GLIBC_MINOR - 1, -1)] + [
        "manylinux2014_x86_64",
        "manylinux2010_x86_64",
        "manylinux1_x86_64",
    ]


def lambda_environment(python: str) -> dict[str, str]:
    """Return the marker variables (PEP 508) of Lambda's runtime for a Python version such as `3.12`."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def parse(text: str, environment: Mapping[str, str]) -> dict[str, Pin]:
    """Return the pins of a lock file whose markers hold in `environment`, by name.

    Raise LockError for a line that is not pinned to one version with hashes.
    """
    pins: dict[str, Pin] = {}
    for line in _CONTINUATION.sub(" ", text).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        requirement = Requirement(_HASH.sub("", line).strip())
        if requirement.marker and not requirement.marker.evaluate(dict(environment)):
            continue
        versions = [item.version for item in requirement.specifier if item.operator == "=="]
        hashes = tuple(_HASH.findall(line))
        if len(versions) != 1 or not hashes:
            raise LockError(f"{requirement.name} is not pinned to one version with hashes: lock it again")
        name = canonicalize_name(requirement.name)
        pins[name] = Pin(name=name, version=versions[0], hashes=hashes)
    return pins


def read(path: Path, environment: Mapping[str, str]) -> dict[str, Pin]:
    """Return the pins of a lock file; see `parse`."""
    return parse(path.read_text(encoding="utf-8"), environment)


def without(pins: Mapping[str, Pin], others: Mapping[str, Pin]) -> dict[str, Pin]:
    """Return `pins` less what `others` has too; raise LockError where they differ in a version."""
    for name in pins.keys() & others.keys():
        if pins[name].version != others[name].version:
            raise LockError(
                f"{name} is {others[name].version} in one lock and {pins[name].version} in the other"
            )
    return {name: pin for name, pin in pins.items() if name not in others}
