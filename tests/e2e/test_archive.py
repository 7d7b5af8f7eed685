"""Archives through the public API of a running stack."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import SAMPLES
from syncboard.client import Client
from tests.documents import docx, paragraph, zip_of
from tests.stack import RunningStack, eventually, run_all
from tests.zipfiles import locked_zip

pytestmark = pytest.mark.e2e

TIDES = "# Tides\n\nThe tide follows the moon; spring tides follow the new moon and the full moon.\n"
BERTHS = '"""Berths of a harbour, and the ships that lie in them."""\n\nBERTHS = 12\n'


@pytest.fixture
def client(stack: RunningStack) -> Iterator[Client]:
    with stack.client("archivist" + secrets.token_hex(4)) as made:
        yield made


def zip_file(folder: Path, files: dict[str, str | bytes], name: str = "papers.zip") -> Path:
    path = folder / name
    path.write_bytes(zip_of(files))
    return path


def test_an_archive_becomes_a_document_for_each_of_its_files(client: Client, tmp_path: Path) -> None:
    inner = zip_of({"slow.md": (SAMPLES / "slow-queries.md").read_bytes()})
    path = zip_file(
        tmp_path,
        {
            "notes/tides.md": TIDES,
            "letter.docx": docx(paragraph("Dear harbour master, the dredger is late again this spring.")),
            "inner.zip": inner,
            "locked.pdf": (SAMPLES / "locked.pdf").read_bytes(),
            "tool.exe": b"MZ" + bytes(999),
            "__MACOSX/._x": "x",
        },
    )
    job = client.submit(path)
    states = list(client.iter_progress(job["job_id"]))
    done = states[-1]
    assert done["state"] == "SUCCESS"
    percents = [state["meta"]["percent"] for state in states]
    assert percents == sorted(percents)
    result = done["result"]
    assert [entry["filename"] for entry in result["documents"]] == [
        "notes/tides.md",
        "letter.docx",
        "inner.zip/slow.md",
    ]
    assert [(entry["filename"], entry["error"]["type"]) for entry in result["errors"]] == [
        ("locked.pdf", "password_required")
    ]
    assert [entry["filename"] for entry in result["skipped"]] == ["tool.exe"]
    assert client.document(result["documents"][0]["doc_id"])["text"].strip() == TIDES.strip()
    assert len(client.documents()["documents"]) == 3
    assert client.batch(job["job_id"])["counts"] == {"SUCCESS": 3, "FAILURE": 1}


def test_a_program_becomes_a_document_for_each_top_folder(client: Client, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "harbour/pyproject.toml": "[project]\nname = 'harbour'\n",
        "harbour/README.md": "# Harbour\n\nBooks berths for ships in a harbour, by the tide.\n",
        "harbour/src/berths.py": BERTHS,
        "harbour/src/ships.py": '"""Ships and their draught."""\n\nclass Ship:\n    draught = 3\n',
        "harbour/uv.lock": "x" * 999,
    }
    (done,) = run_all(client, zip_file(tmp_path, files, "harbour.zip"))
    titles = {entry["filename"]: entry["title"] for entry in done["result"]["documents"]}
    assert titles == {"harbour.md": "harbour", "harbour-src.md": "harbour: src"}
    source = next(entry for entry in done["result"]["documents"] if entry["filename"] == "harbour-src.md")
    assert BERTHS.strip() in client.document(source["doc_id"])["text"]
    assert [entry["filename"] for entry in done["result"]["skipped"]] == ["harbour/uv.lock"]


def test_the_same_archive_again_makes_no_further_document(client: Client, tmp_path: Path) -> None:
    path = zip_file(tmp_path, {"a.md": TIDES, "b.md": TIDES + "\nAnd more."})
    first, second = run_all(client, path, path)
    assert len(client.documents()["documents"]) == 2
    ids = [[entry["doc_id"] for entry in done["result"]["documents"]] for done in (first, second)]
    assert ids[0] == ids[1]


def test_a_locked_archive_opens_with_its_password(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    path.write_bytes(locked_zip("tides.md", TIDES.encode(), b"harbour"))
    (refused,) = run_all(client, path)
    assert (refused["state"], refused["error"]["type"]) == ("FAILURE", "password_required")
    (done,) = run_all(client, path, password="harbour")
    assert len(done["result"]["documents"]) == 1


def test_cancelling_an_archive_cancels_its_files(client: Client, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{number}.md": f"{TIDES}\nCopy {number}." for number in range(60)}
    job = client.submit(zip_file(tmp_path, files))
    eventually(
        lambda: client.status(job["job_id"]), lambda status: "files are done" in status["meta"]["message"]
    )
    client.cancel(job["job_id"])
    eventually(lambda: client.status(job["job_id"]), lambda status: status["state"] == "REVOKED")
    ended = eventually(
        lambda: client.batch(job["job_id"])["counts"], lambda found: set(found) <= {"SUCCESS", "REVOKED"}
    )
    assert ended["REVOKED"] > 0
    assert sum(ended.values()) == 60
