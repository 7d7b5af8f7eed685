"""`make images`: build the image of every folder in `containers/`, with Docker or Podman.

Every folder that has a Dockerfile is one image, `syncboard-<folder>`; the build's context is the project's root, of
which `.dockerignore` lets through what an image is made of.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
ENGINES: Final = ("docker", "podman")
_INFO_SECONDS: Final = 30.0


class NoEngine(RuntimeError):
    """No container engine runs here; the message says which were tried and what each said."""


class BuildFailed(RuntimeError):
    """An image could not be built; the engine has said why."""


def names() -> list[str]:
    """Return the folders of `containers/` that are images, in order."""
    return sorted(path.parent.name for path in (ROOT / "containers").glob("*/Dockerfile"))


def tag(name: str) -> str:
    """Return the local name of a folder's image."""
    return f"syncboard-{name}"


def find_engine(wanted: str | None = None) -> str:
    """Return the command of an engine that runs: the one wanted, else the first. Raise NoEngine."""
    reasons = []
    for engine in [wanted] if wanted else ENGINES:
        if reason := _why_not(engine):
            reasons.append(f"{engine}: {reason}")
        else:
            return engine
    raise NoEngine("No container engine runs here (" + "; ".join(reasons) + ").")


def build(
    name: str,
    *,
    engine: str,
    base: str | None = None,
    network: str | None = None,
    platform: str | None = None,
) -> str:
    """Build one image and return its tag; raise BuildFailed. What the engine prints goes to the terminal.

    `base` replaces the Dockerfile's own; `network` is what the build's commands use (`host`, say); `platform` is
    what the image is for (`linux/amd64`).
    """
    command = [engine, "build", "--file", f"containers/{name}/Dockerfile", "--tag", tag(name)]
    command += ["--build-arg", f"BASE={base}"] if base else []
    command += ["--network", network] if network else []
    command += ["--platform", platform] if platform else []
    if subprocess.run([*command, "."], cwd=ROOT, check=False).returncode:  # noqa: S603
        raise BuildFailed(f"{tag(name)} was not built.")
    return tag(name)


def exists(name: str, engine: str) -> bool:
    """Tell whether a folder's image is there."""
    return _says([engine, "image", "inspect", tag(name)]) is None


def _why_not(engine: str) -> str | None:
    """Return why an engine can't be used; None: it can."""
    if shutil.which(engine) is None:
        return "not installed"
    return _says([engine, "info"])


def _says(command: Sequence[str]) -> str | None:
    """Return the last line of what a command that fails says; None: it went well."""
    try:
        done = subprocess.run(  # noqa: S603
            command, check=False, capture_output=True, text=True, timeout=_INFO_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_INFO_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]


def main(arguments: Sequence[str]) -> int:
    """Build what the command line names, or everything; return the exit code."""
    parser = argparse.ArgumentParser(prog="infra.images", description="Build the images of containers/.")
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(names())} (default: all)")
    parser.add_argument("--engine", choices=ENGINES, help="default: the first that runs")
    parser.add_argument("--base", help="base image in place of the Dockerfile's own")
    parser.add_argument("--network", help="network of the build, for instance host")
    parser.add_argument("--platform", help="what they are for, for instance linux/amd64")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(names()):
        parser.error(f"there is no image {', '.join(sorted(unknown))}; there are: {', '.join(names())}")
    try:
        engine = find_engine(given.engine)
        for name in given.names or names():
            build(name, engine=engine, base=given.base, network=given.network, platform=given.platform)
    except (NoEngine, BuildFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
