"""Any folder with a `manifest.json` through the real stack: what comes out, how long it takes, how true it is.

    python -m bench.corpus --dir FOLDER [--timeout 600] [--json FILE]

The manifest is a list of `{"file", "expected_text", "expected_behaviour", …}`, paths relative to it. Text is compared
by words (letters and digits, case folded): recall is the share of the true words that came out; for speech, the words
wrong are (substituted + left out + put in) / true ones. The run fails where a file crashes its parser or its worker,
is not done in time, or gives no text although a true text is there; a file of which the manifest says that it must
fail, or be refused, may.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.truth import errors, recall
from local.containers import CONTAINERS
from local.stack import Stack, StackOptions
from syncboard.client import Client

# Files in hand at a time: as many as the workers can have, and a few to wait for them.
_AT_ONCE = 6
# Errors that are nobody's fault but ours.
_CRASHES = (
    "parser_crashed",
    "internal_error",
    "worker_lost",
    "hard_time_limit",
    "soft_time_limit",
    "attempts_exhausted",
)
_MAY_FAIL = re.compile(r"fail|refuse|limit|error|empty|password|abort", re.I)
# Scripts that are written without spaces: each character is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a manifest; other keys are not looked at."""

    file: str
    # What it says; None: not known, "": nothing.
    expected_text: str | None = None
    # What must become of it, in words, where that is not plain text.
    expected_behaviour: str | None = None

    @property
    def may_fail(self) -> bool:
        """Whether an error is in order."""
        return bool(self.expected_behaviour and _MAY_FAIL.search(self.expected_behaviour))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file."""

    file: str
    state: str
    # From submission to its end, seconds.
    seconds: float
    words: int = 0
    # Share of the true words that came out; None without a true text.
    recall: float | None = None
    # Words wrong by true words, for speech.
    wrong: float | None = None
    # Type of its error, and what it says.
    error: str = ""
    # Why the run fails because of it; empty: all is well.
    verdict: str = ""


def words(text: str) -> list[str]:
    """Return the words of a text for comparison."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "").replace("'", ""))


def run(folder: Path, entries: Sequence[Entry], *, timeout: float, console: Console) -> list[Row]:
    """Send every file through a stack of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="corpus-") as data,
        Stack(StackOptions(port=0, data=Path(data), containers=tuple(CONTAINERS), verbose=False)) as stack,
        ThreadPoolExecutor(_AT_ONCE) as threads,
    ):
        token = stack.token("corpus", seconds=24 * 3600)

        def one(entry: Entry) -> Row:
            with Client(stack.url, token) as client:
                row = judge(entry, *_send(client, folder / entry.file, timeout))
            console.print(
                f"{row.file}: {row.state} {row.error} {row.verdict}", style="red" if row.verdict else ""
            )
            return row

        return list(threads.map(one, entries))


def _send(client: Client, path: Path, timeout: float) -> tuple[dict[str, Any], str, float]:
    """Return a file's last status, its text, and the seconds that it took."""
    began = time.monotonic()
    job = client.submit(path, force=True)
    try:
        status = client.wait(job["job_id"], timeout=timeout)
    except TimeoutError:
        status = client.status(job["job_id"])
    took = time.monotonic() - began
    doc_id = (status.get("result") or {}).get("doc_id")
    return status, (client.document(doc_id)["text"] or "") if doc_id else "", took


def judge(entry: Entry, status: dict[str, Any], text: str, seconds: float) -> Row:
    """Compare what came out with what should."""
    error = status.get("error") or {}
    true, found = words(entry.expected_text or ""), words(text)
    spoken = (status.get("result") or {}).get("source_type") in ("audio", "video")
    return Row(
        file=entry.file,
        state=status["state"],
        seconds=round(seconds, 1),
        words=len(found),
        recall=round(recall(true, found), 4) if true else None,
        wrong=round(errors(true, found), 4) if true and spoken else None,
        error=f"{error['type']}: {error['message']}" if error else "",
        verdict=_verdict(entry, status["state"], error.get("type", ""), bool(true), bool(found)),
    )


def _verdict(entry: Entry, state: str, error: str, expected: bool, found: bool) -> str:
    if state not in ("SUCCESS", "FAILURE"):
        return "hangs"
    if error in _CRASHES and not entry.may_fail:
        return "crashes"
    if expected and not found:
        return "gives no text"
    return ""


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table and the sums."""
    table = Table(title="Corpus", title_justify="left")
    for heading in ("file", "state", "s", "words", "recall", "wrong", "error", ""):
        table.add_column(heading, justify="right" if heading in ("s", "words", "recall", "wrong") else "left")
    for row in rows:
        shares = ("" if share is None else f"{share:.1%}" for share in (row.recall, row.wrong))
        table.add_row(
            row.file, row.state, f"{row.seconds:.1f}", str(row.words), *shares, row.error[:60], row.verdict
        )
    console.print(table)
    for name in ("recall", "wrong"):
        shares_of = [share for row in rows if (share := getattr(row, name)) is not None]
        if shares_of:
            console.print(f"mean {name}: {sum(shares_of) / len(shares_of):.2%} of {len(shares_of)} files")
    states = Counter(row.state for row in rows)
    console.print(", ".join(f"{number} {state}" for state, number in states.most_common()))


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", type=Path, required=True, help="folder with a manifest.json")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one file")
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    options = parser.parse_args()
    manifest = options.dir / "manifest.json"
    if not manifest.is_file():
        parser.error(f"{manifest} is missing")
    console = Console()
    entries = msgspec.json.decode(manifest.read_bytes(), type=list[Entry])
    rows = run(options.dir, entries, timeout=options.timeout, console=console)
    show(rows, console)
    if options.json:
        options.json.write_text(json.dumps(msgspec.to_builtins(rows), indent=1), encoding="utf-8")
    return 1 if any(row.verdict for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
