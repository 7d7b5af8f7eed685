"""What the packager relies on: locks are read for Lambda's platform, archives are checked against them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from infra import archives, interpreters, locks, package, templates
from infra.locks import LockError, Pin
from infra.preflight import add_preflights
from infra.templates import Template

LAMBDA = locks.lambda_environment("3.12")
LOCK = """\
# a comment
Alpha_One==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
winonly==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:cc
newer==3.0 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
"""


def pin(name: str, version: str) -> Pin:
    return Pin(name=name, version=version, hashes=("sha256:aa",))


def install(root: Path, name: str, version: str) -> None:
    """Lay down what pip leaves of a distribution: a module and its metadata."""
    (root / f"{name}.py").write_text(f"VERSION = {version!r}\n", encoding="utf-8")
    metadata = root / f"{name}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    install(folder, "alpha", "1.0")
    install(folder, "beta", "2.0")
    return folder


@pytest.fixture
def archive(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    archives.pack(root, path)
    return path


def test_a_lock_is_read_for_lambdas_platform_whatever_this_one_is() -> None:
    pins = locks.parse(LOCK, LAMBDA)
    assert set(pins) == {"alpha-one", "newer"}
    assert pins["alpha-one"].line() == "alpha-one==1.0 --hash=sha256:aa --hash=sha256:bb"


@pytest.mark.parametrize("line", ["alpha>=1 --hash=sha256:aa", "alpha==1"])
def test_a_line_that_pins_nothing_or_has_no_hash_is_refused(line: str) -> None:
    with pytest.raises(LockError, match="alpha is not pinned"):
        locks.parse(line, LAMBDA)


def test_a_layer_holds_what_the_function_does_not() -> None:
    both = {"alpha": pin("alpha", "1.0"), "beta": pin("beta", "2.0")}
    assert set(locks.without(both, {"alpha": pin("alpha", "1.0")})) == {"beta"}


def test_two_locks_that_differ_in_a_version_are_refused() -> None:
    with pytest.raises(LockError, match=r"alpha is 1\.1 in one lock and 1\.0 in the other"):
        locks.without({"alpha": pin("alpha", "1.0")}, {"alpha": pin("alpha", "1.1")})


def test_the_projects_locks_agree_and_leave_the_layer_its_parsers() -> None:
    runtime = locks.read(templates.ROOT / "requirements.txt", LAMBDA)
    ingest = locks.read(templates.ROOT / "requirements" / "ingest.txt", LAMBDA)
    assert {"pypdf", "pypdfium2"} <= set(locks.without(ingest, runtime))


def test_an_archive_that_holds_what_is_locked_passes(archive: Path) -> None:
    archives.check_lock(archive, {"alpha": pin("alpha", "1.0"), "beta": pin("beta", "2.0")})


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ({"alpha": "1.0", "beta": "2.0", "gamma": "3.0"}, r"gamma 3\.0 is missing"),
        ({"alpha": "1.0", "beta": "2.1"}, r"beta is 2\.0, locked is 2\.1"),
        ({"alpha": "1.0"}, r"beta 2\.0 is not locked"),
    ],
)
def test_an_archive_that_differs_from_its_lock_is_refused(
    archive: Path, pins: dict[str, str], message: str
) -> None:
    with pytest.raises(LockError, match=message):
        archives.check_lock(archive, {name: pin(name, version) for name, version in pins.items()})


def test_the_same_files_make_the_same_archive_at_any_time(root: Path, archive: Path, tmp_path: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (0, 10**9))
    again = tmp_path / "b.zip"
    archives.pack(root, again)
    assert again.read_bytes() == archive.read_bytes()


def test_an_archive_with_a_module_that_is_not_compiled_is_refused(root: Path, archive: Path) -> None:
    with pytest.raises(LockError, match="2 modules are not compiled"):
        archives.check_compiled(archive, "3.12")
    for name in ("alpha", "beta"):
        compiled = root / "__pycache__" / f"{name}.cpython-312.pyc"
        compiled.parent.mkdir(exist_ok=True)
        compiled.write_bytes(b"")
    archives.pack(root, archive)
    archives.check_compiled(archive, "3.12")
    with pytest.raises(LockError, match="not compiled"):
        archives.check_compiled(archive, "3.13")


def test_archives_over_lambdas_limit_together_are_refused(root: Path, tmp_path: Path) -> None:
    small = archives.pack(root, tmp_path / "c.zip", prefix="python/")
    archives.check_size({"one": small, "two": small})
    half = archives.Sizes(zipped=1, unzipped=archives.LIMIT_BYTES // 2 + 1, compiled=0, files=1)
    with pytest.raises(LockError, match="over Lambda's limit"):
        archives.check_size({"one": half, "two": half})


def test_a_machine_without_a_python_that_can_package_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(interpreters.InterpreterError, match=r"pyenv install 3\.13"):
        interpreters.find([tmp_path / "python"])


@pytest.mark.parametrize(("ci", "installer", "code"), [("", "uv", 0), ("true", "", 0), ("true", "uv", 1)])
def test_a_check_without_a_python_for_it_is_skipped_loudly_and_fails_only_where_one_could_be_installed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    ci: str,
    installer: str,
    code: int,
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("infra.interpreters.shutil.which", lambda name: name if name == installer else None)
    assert package.main(["--check", "--python", str(tmp_path / "python")]) == code
    assert "SAM'S OWN CHECK OF THE TEMPLATES DID NOT RUN" in capsys.readouterr().err


def test_the_preferred_of_two_pythons_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"a": "3.11", "b": "3.12", "c": "3.13"}
    monkeypatch.setattr(
        interpreters, "probe", lambda path: interpreters.Interpreter(path=path, version=versions[str(path)])
    )
    assert interpreters.find([Path("a"), Path("b"), Path("c")]).version == "3.13"
    assert interpreters.find([Path("a"), Path("b")]).version == "3.12"


def test_a_running_python_is_recognised() -> None:
    found = interpreters.probe(Path(sys.executable))
    assert found is not None
    assert found.version == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_an_environment_that_matches_its_lock_is_not_made_again(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("", encoding="utf-8")
    folder = tmp_path / "venv"
    folder.mkdir()
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
    (folder / "lock.sha256").write_text(digest, encoding="ascii")
    missing = interpreters.Interpreter(path=tmp_path / "no-python", version="3.12")
    assert interpreters.environment(missing, lock, folder).parent == folder


def test_an_environment_that_can_not_be_made_is_reported(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.touch()
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "venv"  # no folder can be made there
    here = interpreters.Interpreter(path=Path(sys.executable), version="3.12")
    with pytest.raises(interpreters.InterpreterError, match="can't be made"):
        interpreters.environment(here, lock, folder)


def test_a_file_of_ours_that_is_not_in_the_archive_is_found(root: Path, archive: Path) -> None:
    archives.check_files(archive, root)
    (root / "late.html").touch()
    with pytest.raises(LockError, match=r"late\.html is missing"):
        archives.check_files(archive, root)


def test_an_impossible_stage_ends_with_a_message_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "VERSIONS", (f"{sys.version_info[0]}.{sys.version_info[1]}",))
    arguments = ["--stage", "No-where", "--out", str(tmp_path / "out"), "--python", sys.executable]
    assert package.main(arguments) == 1
    assert "'No-where' is no stage" in capsys.readouterr().err


def test_every_path_of_the_api_answers_a_browser_that_asks_before_it_calls() -> None:
    from chalice.deploy.swagger import CFNSwaggerGenerator

    import app

    body = CFNSwaggerGenerator().generate_swagger(app.app)
    template: Template = {"Resources": {"RestAPI": {"Properties": {"DefinitionBody": body}}}}
    for _ in range(2):  # packaging what is packaged changes nothing
        add_preflights(template)
    assert set(body["paths"]) == set(app.app.routes)
    for path, methods in body["paths"].items():
        answer = methods["options"]["x-amazon-apigateway-integration"]["responses"]["default"]
        told = answer["responseParameters"]
        taken = ",".join(sorted(app.app.routes[path]))
        assert told["method.response.header.Access-Control-Allow-Methods"] == f"'{taken}'"
        assert told["method.response.header.Access-Control-Allow-Origin"] == {"Fn::Sub": "'${CorsOrigin}'"}
    # The gateway's own answers name the same request headers.
    named = str(templates.read(templates.FUNCTIONS)["Resources"]["RestAPI"])
    assert told["method.response.header.Access-Control-Allow-Headers"] in named
