"""Package the project for Lambda: `python -m infra.package --stage dev --out build/package`.

Chalice packages the project's own code and its small runtime, and makes the template. Pip puts the locked
libraries beside it, for Lambda's platform: wheels only, hashes checked. Everything is compiled, and counted
against the lock. What comes out is ready for `sam deploy`:

    template.yaml       functions, API, roles (Chalice's template merged with infra/functions.yaml)
    deployment.zip      every function's code and libraries
    ingest-layer.zip    what only the workers need beside them
    data.yaml           queues, table and bucket: the other stack
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infra import archives, checks, interpreters, locks, templates
from infra.interpreters import Interpreter
from infra.locks import Pin
from infra.preflight import add_preflights
from infra.templates import ROOT

# Where Lambda unpacks function and layer: compiled modules name their source there, so tracebacks are right.
_FUNCTION_ROOT: Final = "/var/task"
_LAYER_ROOT: Final = "/opt/python"

# Loads what the zip functions run; the rest is in containers.
_LOAD_TASKS: Final = """
from chalicelib.tasks.registry import TASKS
for task in TASKS.values():
    if task.queue in ("uploads", "low_priority"):
        task.load()
"""

# A region is needed to make ARNs' partition and service names; the template itself fits every region.
_REGION: Final = "us-east-1"


class PackagingError(Exception):
    """The package can't be made, or is not right; the message says why."""


def _run(command: Sequence[str | Path], *, cwd: Path = ROOT) -> None:
    """Run a tool with the variables that it needs; raise PackagingError with its output if it fails."""
    environment = {
        **os.environ,
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Looking at the app must not leave bytecode in what is packaged; `_compile` makes it on purpose.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",  # the same source compiles to the same bytes
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(  # noqa: S603
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tool = f"{Path(command[0]).name} {command[1]}"
        raise PackagingError(f"{tool} failed:\n{done.stdout.strip()}")


# What olefile carries for Python 2, and what does not even compile today.
_NOT_FOR_THIS_PYTHON: Final = "olefile2.py"


def _compile(binaries: Path, folder: Path, root: str) -> None:
    """Compile every module under `folder`, which Lambda will unpack at `root`.

    `unchecked-hash`: Lambda's disk is read-only and its files carry other times, so nothing must be compared.
    """
    for module in folder.rglob(_NOT_FOR_THIS_PYTHON):
        module.unlink()
    mode = ["--invalidation-mode", "unchecked-hash"]
    _run([binaries / "python", "-m", "compileall", "-q", *mode, "-s", folder, "-p", root, folder])


def _libraries(binaries: Path, version: str, pins: Mapping[str, Pin], root: str, cache: Path) -> Path:
    """Return a folder with the pinned wheels for Lambda's platform, compiled. Each set is made once."""
    lines = "\n".join(pin.line() for _, pin in sorted(pins.items())) + "\n"
    digest = hashlib.sha256(f"{version} {root}\n{lines}".encode()).hexdigest()
    folder = cache / digest[:16]
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        requirements, target = Path(scratch, "requirements.txt"), Path(scratch, "target")
        requirements.write_text(lines, encoding="utf-8")
        platforms = [part for tag in locks.platform_tags() for part in ("--platform", tag)]
        pip: list[str | Path] = [
            binaries / "python",
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "-qq",
        ]
        only = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-compile"]
        python = ["--implementation", "cp", "--python-version", version]
        _run([*pip, *only, *python, *platforms, "--target", target, "-r", requirements])
        shutil.rmtree(target / "bin", ignore_errors=True)
        _compile(binaries, target, root)
        target.rename(folder)
    return folder


def _chalice(binaries: Path, stage: str, out: Path) -> None:
    """Run Chalice on a copy of the project that holds nothing but its own code.

    Chalice imports app.py only, so the tasks are loaded here; and that all code was packed is seen here, too.

    An empty requirements.txt keeps Chalice from fetching libraries: it would compile what has no wheel, and
    check no hash.
    """
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch)
        shutil.copy(ROOT / "app.py", project)
        shutil.copytree(
            ROOT / "chalicelib", project / "chalicelib", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
        shutil.copytree(templates.CHALICE, project / ".chalice", ignore=shutil.ignore_patterns("deploy*"))
        config = json.dumps(templates.with_stage(templates.chalice_config(), stage))
        (project / ".chalice" / "config.json").write_text(config, encoding="utf-8")
        (project / "requirements.txt").touch()
        command: list[str | Path] = [binaries / "chalice", "package", "--stage", stage]
        _run([*command, "--merge-template", templates.FUNCTIONS, out], cwd=project)
        _run([binaries / "python", "-c", _LOAD_TASKS], cwd=project)
        archives.check_files(out / "deployment.zip", project / "chalicelib", prefix="chalicelib/")


def _function_archive(binaries: Path, libraries: Path, archive: Path) -> archives.Sizes:
    """Add libraries and compiled modules to the zip that Chalice made."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with zipfile.ZipFile(archive) as source:
            source.extractall(folder)
        _compile(binaries, folder, _FUNCTION_ROOT)
        shutil.copytree(libraries, folder, dirs_exist_ok=True)
        return archives.pack(folder, archive)


def _template(stage: str, out: Path) -> Path:
    """Write Chalice's template with the stage as its default, check it, put the data stack's beside it."""
    template = templates.read(out / "sam.yaml")
    template["Parameters"]["Stage"]["Default"] = stage
    template["Parameters"]["DataStack"]["Default"] = f"syncboard-{stage}-data"
    add_preflights(template)
    path = out / "template.yaml"
    templates.write(template, path)
    (out / "sam.yaml").unlink()
    shutil.copy(templates.DATA, out / "data.yaml")
    found = checks.check_packaged(template)
    if found:
        raise PackagingError("\n".join(str(finding) for finding in found))
    return path


def _lint(binaries: Path, template: Path, data: Path) -> None:
    _run([binaries / "cfn-lint", template, data])
    _run([binaries / "sam", "validate", "--lint", "--region", _REGION, "--template", template])


def package(
    stage: str, out: Path, interpreter: Interpreter, *, lint: bool = True
) -> dict[str, archives.Sizes]:
    """Make the package of a stage in `out`, with `lint` by cfn-lint and SAM as well; return the archives' sizes.

    Raise PackagingError, LockError or InterpreterError with a message that says what to do.
    """
    if not templates.STAGE.fullmatch(stage):
        raise PackagingError(f"{stage!r} is no stage: 1 to 16 lower-case letters and digits, a letter first")
    version = interpreter.version
    binaries = environment(interpreter)
    target = locks.lambda_environment(version)
    runtime = locks.read(ROOT / "requirements.txt", target)
    ingest = locks.without(locks.read(ROOT / "requirements" / "ingest.txt", target), runtime)
    cache = ROOT / "build" / "libraries"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)

    _chalice(binaries, stage, out)
    function, layer = out / "deployment.zip", out / "ingest-layer.zip"
    made = {
        function.name: _function_archive(
            binaries, _libraries(binaries, version, runtime, _FUNCTION_ROOT, cache), function
        ),
        layer.name: archives.pack(
            _libraries(binaries, version, ingest, _LAYER_ROOT, cache), layer, prefix="python/"
        ),
    }
    for archive, pins in ((function, runtime), (layer, ingest)):
        archives.check_lock(archive, pins)
        archives.check_compiled(archive, version)
    archives.check_size(made)
    template = _template(stage, out)
    if lint:
        _lint(binaries, template, out / "data.yaml")
    return made


def check(interpreter: Interpreter) -> None:
    """Make and lint the templates as `package` would, without libraries. Raise as `package` does."""
    binaries = environment(interpreter)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        _chalice(binaries, "dev", out)
        (out / "ingest-layer.zip").touch()  # the template names it
        _lint(binaries, _template("dev", out), out / "data.yaml")


def environment(interpreter: Interpreter) -> Path:
    """Return the `bin` folder of the packaging environment."""
    folder = ROOT / ".venvs" / f"package-{interpreter.version}"
    return interpreters.environment(interpreter, ROOT / "requirements" / "package.txt", folder)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.package", description="Package the project for Lambda."
    )
    parser.add_argument("--stage", default="dev", help="lower-case letters and digits (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("build/package"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--python", type=Path, help="the Python to package with (default: the best one found)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="only make and lint the templates; without a Python for it, say so",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Package, print sizes; return 1 with a message if it can't be done."""
    options = _arguments(arguments)
    try:
        paths = [options.python] if options.python else interpreters.candidates()
        interpreter = interpreters.find(paths)
        if options.check:
            check(interpreter)
            return 0
        made = package(options.stage, options.out.resolve(), interpreter)
    except (PackagingError, locks.LockError, interpreters.InterpreterError) as error:
        skipped = options.check and isinstance(error, interpreters.InterpreterError)
        what = "SAM'S OWN CHECK OF THE TEMPLATES DID NOT RUN" if skipped else "not packaged"
        sys.stderr.write(f"{what}: {error}\n")
        return 0 if skipped and not interpreters.can_be_expected() else 1
    sys.stdout.write(f"packaged for python{interpreter.version} x86_64 in {options.out}\n")
    for name, size in made.items():
        zipped, unzipped, compiled = (value / 1e6 for value in (size.zipped, size.unzipped, size.compiled))
        sys.stdout.write(
            f"  {name:18} {zipped:6.2f} MB zip, {unzipped:6.2f} MB unzipped "
            f"({compiled:.2f} MB of it .pyc), {size.files} files\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
