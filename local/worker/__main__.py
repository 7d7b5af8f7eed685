"""Runs a worker as a process of its own: `python -m local.worker`."""

from __future__ import annotations

import signal
import sys
import threading

from chalicelib.processes import die_with
from local.worker.options import parse
from local.worker.worker import Worker


def main() -> None:
    """Parse the options, work until SIGTERM or SIGINT; a second one hurries."""
    options = parse(sys.argv[1:])
    if options.parent is not None:
        die_with(options.parent)
    worker = Worker(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        # In a thread: a handler must not take locks that the interrupted code may hold.
        signal.signal(number, lambda *_: threading.Thread(target=worker.stop).start())
    worker.run()


if __name__ == "__main__":
    main()
