"""A process ends with the one that started it, also where that is the first of all processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import psutil
import pytest

from tests.stack import ROOT, eventually

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
CHILD = "import os, sys, time; from chalicelib.processes import die_with; die_with({parent}); print('alive'); {then}"


def run(parent: object, *before: str) -> subprocess.CompletedProcess[str]:
    """Run a child that dies with process `parent` and says that it lives."""
    program = CHILD.format(parent=parent, then="")
    return subprocess.run(
        [*before, sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30
    )


def test_a_child_lives_while_its_parent_does_and_ends_where_that_is_gone() -> None:
    assert run(os.getpid()).stdout == "alive\n"
    orphan = run(psutil.Process().ppid())
    assert (orphan.stdout, orphan.returncode) == ("", 1)


@linux_only
def test_a_child_of_the_first_process_of_a_container_is_no_orphan() -> None:
    """The worker of a stack that is process 1: its parent's id is 1 from the beginning."""
    space = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*space, "true"], capture_output=True).returncode:
        pytest.skip("no process space can be made here")
    first = (
        "import os, subprocess, sys\n"
        "assert os.getpid() == 1\n"
        f"child = {CHILD.format(parent='os.getppid()', then='')!r}\n"
        "sys.exit(subprocess.run([sys.executable, '-c', child]).returncode)\n"
    )
    done = subprocess.run(
        [*space, sys.executable, "-c", first], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr


@linux_only
def test_a_killed_parent_takes_its_child_along() -> None:
    child = CHILD.format(parent="os.getppid()", then="sys.stdout.flush(); time.sleep(60)")
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "alive\n"
        (process,) = psutil.Process(parent.pid).children()
        parent.kill()
        eventually(process.is_running, lambda runs: not runs, seconds=10)
