"""The API behind its local gateway over moto, in a process of its own: `python -m tests.served FOLDER`.

A real HTTP server with the real routes, without emulator and worker: up in two seconds, with one of everything for
the user `demo`. It prints what it is as JSON, and serves until its standard input ends. In a process of its own,
because Chalice turns an app that it serves into a local one for good.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.stack import ROOT


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A running API."""

    # Without a slash at the end.
    url: str
    # Of the user `demo`.
    token: str
    # What that user has, by name of the path parameter.
    ids: dict[str, list[str]]
    # What it prints: its logs, a JSON object a line.
    log: Path


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[Served]:
    """Serve the API until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    clean = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.served", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**clean, "PYTHONPATH": str(ROOT), **environment},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, log.read_text(encoding="utf-8")[-3000:]
            yield msgspec.convert({**msgspec.json.decode(line), "log": log}, Served)
        finally:
            process.communicate()


def main(folder: Path) -> None:
    """Serve until standard input ends."""
    # Logs go to standard output, which is for the note here: nobody reads on, and a full pipe would stop the service.
    note = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # First of all, so that the service finds its settings.
    import tests.conftest  # noqa: F401
    from chalicelib.api import tokens
    from tests.unit.conftest import in_memory_aws
    from tests.world import make_world

    os.environ.setdefault("SYNCBOARD_UPLOAD_PATH", "/_s3")
    with in_memory_aws(folder / "jwt-secret"):
        import app
        from local.gateway import make_gateway

        gateway = make_gateway(app.app, host="127.0.0.1", port=0, samples=folder)
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        world = make_world("demo", "zwieback")
        told = {
            "url": f"http://127.0.0.1:{gateway.server_address[1]}",
            "token": tokens.issue(world.owner, seconds=3600),
            "ids": {
                "job_id": world.jobs,
                "batch_id": world.batches,
                "doc_id": world.documents,
                "cluster_id": world.clusters,
            },
        }
        note.write(f"{msgspec.json.encode(told).decode()}\n")
        note.flush()
        sys.stdin.read()
        gateway.shutdown()
        gateway.server_close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
