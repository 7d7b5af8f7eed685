"""`make setup`: every environment beside the main one, ready to use: the emulator's, the containers', Lambda's."""

from __future__ import annotations

import subprocess
import sys

from local.containers import CONTAINERS, RUNTIME
from local.emulator import LOCK_FILE
from local.environments import EnvironmentFailed, ensure_environment, to_stderr
from local.worker_process import ROOT


def main() -> int:
    """Make them, each once; return the exit code."""
    try:
        ensure_environment("emulator", LOCK_FILE)
        ensure_environment("lambda", RUNTIME)
        for container in CONTAINERS.values():
            python = ensure_environment(container.name, container.lock)
            if container.prepare:
                subprocess.run([str(python), *container.prepare], cwd=ROOT, check=True)
    except EnvironmentFailed as error:
        to_stderr(str(error))
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
