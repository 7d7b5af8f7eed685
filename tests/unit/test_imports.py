"""The API's import path stays light: no parser, no numeric library, and nothing of the laptop."""

from __future__ import annotations

import json
import os
import subprocess
import sys

HEAVY = {
    "numpy",
    "scipy",
    "sklearn",
    "networkx",
    "pypdf",
    "pypdfium2",
    "PIL",
    "faster_whisper",
    "yt_dlp",
    "trafilatura",
    "charset_normalizer",
    "pydantic",
    "requests",
    "httpx",
    "rich",
    "typer",
    "local",
    "syncboard",
    "pip",
    "setuptools",
}


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after `statement`."""
    names = "sorted({name.partition('.')[0] for name in sys.modules})"
    code = f"import sys, json; {statement}; print(json.dumps({names}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_api_imports_nothing_heavy() -> None:
    assert modules_after("import app") & HEAVY == set()


def test_what_works_on_each_document_imports_no_library_of_the_analysis() -> None:
    every = (
        "import chalicelib.tasks.file_upload, chalicelib.tasks.ingestion, chalicelib.tasks.dissolve_cluster"
    )
    assert modules_after(every) & {"numpy", "scipy", "sklearn", "networkx"} == set()
    # Not even where it is named: what needs them is imported by the run itself.
    assert (
        modules_after("import chalicelib.tasks.regroup_library") & {"scipy", "sklearn", "networkx"} == set()
    )


def test_the_api_loads_no_model_and_nothing_that_suggests() -> None:
    code = "import sys, app; print([name for name in sys.modules if name.startswith('chalicelib.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout
    assert "chalicelib.aws.clients" in loaded
    for name in ("aws.bedrock", "tasks.model", "knowledge.suggestions", "knowledge.concepts"):
        assert f"'chalicelib.{name}'" not in loaded, name


def test_only_the_aws_layer_imports_boto3() -> None:
    from pathlib import Path

    import chalicelib

    root = Path(chalicelib.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if any(
            line.split()[:2] in (["import", "boto3"], ["from", "boto3"], ["import", "botocore"])
            or line.startswith(("from botocore", "from boto3"))
            for line in path.read_text().splitlines()
        )
    }
    assert found
    assert all(name.startswith("aws/") for name in found), found


def test_only_settings_reads_the_environment() -> None:
    from pathlib import Path

    import chalicelib

    root = Path(chalicelib.__file__).parent
    found = {
        path.relative_to(root).as_posix() for path in root.rglob("*.py") if "os.environ" in path.read_text()
    }
    assert found == {"settings.py"} or found == {"settings.py", "ingest/confinement.py"}, found
