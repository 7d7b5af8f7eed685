"""AWS_ENDPOINT_URL reaches the tests that are meant for it, and only these."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.stack import ROOT

# What imports the tests once, and again in a process of its own, as pytest-xdist does.
_PRINT = "import os, tests.stack; print(tests.stack.GIVEN_ENDPOINT, 'AWS_ENDPOINT_URL' in os.environ)"
_PRINT_TWICE = f"import subprocess, sys; exec({_PRINT!r}); sys.stdout.flush(); " + (
    f"subprocess.run([sys.executable, '-c', {_PRINT!r}], check=True)"
)


def printed(**variables: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if "ENDPOINT" not in name}
    done = subprocess.run(
        [sys.executable, "-c", _PRINT_TWICE],
        cwd=ROOT,
        env={**clean, **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_a_given_endpoint_reaches_every_process_that_runs_tests() -> None:
    assert printed(AWS_ENDPOINT_URL="http://localhost:4566") == ["http://localhost:4566 False"] * 2


def test_without_one_there_is_none() -> None:
    assert printed() == ["None False"] * 2


def test_no_test_looks_for_it_where_it_is_not_any_more() -> None:
    lookups = (
        '"AWS_ENDPOINT_URL" in os.environ',
        'environ.get("AWS_ENDPOINT_URL',
        'environ["AWS_ENDPOINT_URL',
    )
    modules = [
        path
        for path in (ROOT / "tests").rglob("*.py")
        if path.name not in ("stack.py", "test_given_endpoint.py")
    ]
    assert len(modules) > 50
    assert not [path.name for path in modules if any(lookup in path.read_text() for lookup in lookups)]
