"""The shell snippets of docs/guide.md, one after the other in one shell, against a running stack."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import snippets
from tests.snippets import Snippet
from tests.stack import ROOT, RunningStack, eventually

pytestmark = pytest.mark.e2e

GUIDE = ROOT / "docs" / "guide.md"
# The guide's address of the service, in whose place the tested one's is put.
ADDRESS = "127.0.0.1:8000"
_SECONDS = 60.0
_END = "@@@ end of a snippet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, stack: RunningStack) -> Path:
    """What a checkout with a running stack looks like, as far as the guide looks at it."""
    scratch = tmp_path_factory.mktemp("guide")
    (scratch / ".venv").symlink_to(sys.prefix)
    (scratch / ".local").symlink_to(stack.data)
    for name in ("samples", "chalicelib", "syncboard"):
        (scratch / name).symlink_to(ROOT / name)
    return scratch


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """A person's: without what tests set for themselves."""
    own = ("SYNCBOARD_", "AWS_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def adapted(code: str, stack: RunningStack) -> str:
    return code.replace(ADDRESS, stack.url.removeprefix("http://"))


class Shell:
    """One bash that runs snippets and tells what each printed. The first error ends it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-euo", "pipefail"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, snippet: Snippet, code: str) -> str:
        """Run one to its end; return what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        command = f"eval {shlex.quote(code)}"
        if snippet.fails:
            command = f"if (set -e; {command}); then echo 'the page says that this fails'; exit 1; fi"
        self._process.stdin.write(f"{command} </dev/null\necho\necho {_END}\n")
        self._process.stdin.flush()
        timer = threading.Timer(_SECONDS, self.close)
        timer.start()
        lines: list[str] = []
        try:
            for line in self._process.stdout:
                if line.strip() == _END:
                    return "".join(lines)
                lines.append(line)
        finally:
            timer.cancel()
        raise AssertionError("\n".join([f"ended by an error or after {_SECONDS} s:", code, *lines]))

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def run_until(words: str, code: str, folder: Path, environment: dict[str, str]) -> None:
    """Run what goes on until it is stopped; stop it as Ctrl-C does once it has said these words."""
    process = subprocess.Popen(
        ["bash", "-euc", f"exec {code}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(_SECONDS, process.kill)
    timer.start()
    lines: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.append(line)
            if words in line:
                process.send_signal(signal.SIGINT)
        assert process.wait() == 0, lines
        assert any(words in line for line in lines), lines
    finally:
        timer.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_the_shell_snippets_of_the_guide_do_what_it_says(
    stack: RunningStack, folder: Path, environment: dict[str, str]
) -> None:
    with stack.client() as client:
        eventually(
            lambda: client.health()["capabilities"]["text"]["state"],
            lambda state: state == "ready",
            seconds=60,
        )
    shell = Shell(folder, environment)
    ran = 0
    try:
        for snippet in snippets.runnable(snippets.read(GUIDE), snippets.SHELL):
            code = adapted(snippet.code, stack)
            if snippet.runs_until:
                run_until(snippet.runs_until, code, folder, environment)
            else:
                said = shell.run(snippet, code)
                shown = adapted(snippet.output, stack) if snippet.output is not None else "…"
                assert snippets.matches(said, shown, json=snippet.json), (
                    f"guide.md, line {snippet.line}: {code}\n{said}"
                )
            ran += 1
    finally:
        shell.close()
    assert ran >= 14
