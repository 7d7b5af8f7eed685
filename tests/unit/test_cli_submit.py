"""`syncboard submit`: several files, folders, what is left out, and that one refusal does not stop the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncboard import deliveries
from syncboard.client import ApiError, Client
from syncboard.gathering import Gathered, gather
from tests.unit.terminals import Terminal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people have them: what they wrote, and what else lies about."""
    root = tmp_path / "library"
    for name, content in {
        "notes.md": b"# Notes\n\nAbout compost heaps.",
        "deep/deeper/plan.txt": b"The plan for the harbour.",
        ".env": b"SECRET=1",
        ".git/config": b"[core]",
        "node_modules/left-pad/index.js": b"module.exports = 1",
        "Thumbs.db": b"\0\1",
        "program.bin": bytes(range(256)) * 8,
        "empty.txt": b"",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def shown(gathered: Gathered, root: Path) -> dict[str, str]:
    return {os.path.relpath(one.name, root): one.reason for one in gathered.left_out}


# --- What is in a folder -----------------------------------------------------------------------------------------


def test_a_folder_is_walked_to_its_ends_in_order(folder: Path) -> None:
    found = gather([str(folder)])
    assert found.what == (folder / "notes.md", folder / "deep/deeper/plan.txt")


def test_what_is_left_out_of_a_folder_is_named_with_the_reason(folder: Path) -> None:
    left_out = shown(gather([str(folder)]), folder)
    assert set(left_out) == {".env", ".git", "node_modules", "Thumbs.db", "program.bin", "empty.txt"}
    assert left_out[".env"] == left_out[".git"] == "hidden"
    assert "other people's code" in left_out["node_modules"]
    assert "unknown binary type" in left_out["program.bin"]
    assert "empty" in left_out["empty.txt"]


def test_neither_a_link_to_a_folder_nor_a_pipe_is_followed(folder: Path) -> None:
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    left_out = shown(gather([str(folder)]), folder)
    assert {"round", "pipe"} <= set(left_out)


def test_a_hidden_file_that_is_named_is_taken(folder: Path) -> None:
    assert gather([str(folder / ".env")]).what == (folder / ".env",)


def test_what_is_named_twice_is_taken_once(folder: Path) -> None:
    notes = str(folder / "notes.md")
    assert gather([notes, notes, str(folder)]).what == (folder / "notes.md", folder / "deep/deeper/plan.txt")


# --- Submitting --------------------------------------------------------------------------------------------------


def test_a_folder_becomes_jobs_and_is_summed_up(terminal: Terminal, folder: Path) -> None:
    done = terminal.type("submit", str(folder))
    assert done.exit_code == 0, done.output
    assert "2 submitted" in done.stdout
    assert "2 hidden" in done.stderr
    assert "program.bin" in done.stderr
    assert sorted(job["filename"] for job in terminal.json("jobs")) == ["notes.md", "plan.txt"]


def test_a_folder_goes_in_batches(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "BATCH_FILES", 2)
    root = tmp_path / "many"
    root.mkdir()
    for number in range(5):
        (root / f"{number}.txt").write_text(f"Text number {number}.")
    sizes: list[int] = []
    submit = Client.submit_files

    def counted(self: Client, files: Any, **wishes: Any) -> dict[str, Any]:
        sizes.append(len(files))
        return submit(self, files, **wishes)

    monkeypatch.setattr(Client, "submit_files", counted)
    assert "5 submitted" in terminal.type("submit", str(root)).stdout
    assert sizes == [2, 2, 1]
    assert len(terminal.json("jobs")) == 5


def test_large_files_of_a_folder_go_by_form(
    terminal: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SMALL_BYTES", 26)
    sent: list[Path] = []

    def submit(_self: Client, path: Path, **_wishes: Any) -> dict[str, Any]:
        sent.append(path)
        return {"job_id": "j", "filename": path.name}

    monkeypatch.setattr(Client, "submit", submit)
    assert "2 submitted" in terminal.type("submit", str(folder)).stdout
    assert sent == [folder / "notes.md"]


def test_a_refusal_within_a_folder_does_not_stop_the_others(
    terminal: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Readable by its first bytes and refused by the API all the same: its name is too long for it.
    monkeypatch.setattr("chalicelib.api.submissions._MAX_NAME", 8)
    (folder / "a name that is too long.md").write_text("# Long")
    done = terminal.type("submit", str(folder))
    assert done.exit_code == 1
    assert "2 submitted" in done.stdout
    assert "1 refused" in done.stdout
    assert "a name that is too long.md" in done.stderr
    assert len(terminal.json("jobs")) == 2


def test_a_refusal_among_several_files_does_not_stop_the_others(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "notes.md").write_text("# Notes")
    sent: list[str] = []

    def submit(_self: Client, path: Path, **_wishes: Any) -> dict[str, Any]:
        if path.name == "empty.md":
            raise ApiError(400, {"type": "invalid_request", "message": "It is empty."})
        sent.append(path.name)
        meta = {"stage": "awaiting_upload", "message": "Waiting for the upload", "percent": 0}
        return {
            "job_id": "j", "state": "PENDING", "filename": path.name, "task": "t", "meta": meta, "created_at": None,
        }  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "submit", submit)
        done = terminal.type("submit", str(tmp_path / "empty.md"), str(tmp_path / "notes.md"))
    assert (done.exit_code, sent) == (1, ["notes.md"])
    assert "empty.md: invalid_request: It is empty." in done.stderr
    # What was just posted waits for nothing that the user could still do.
    assert "Uploaded, waiting to be noticed" in done.stdout
    assert "Waiting for the upload" not in done.stdout


def test_where_nothing_answers_any_more_it_ends_and_says_how_far_it_came(
    terminal: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "BATCH_FILES", 1)
    calls: list[int] = []
    submit = Client.submit_files

    def once(self: Client, files: Any, **wishes: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) > 1:
            raise httpx.ConnectError("refused")
        return submit(self, files, **wishes)

    monkeypatch.setattr(Client, "submit_files", once)
    done = terminal.type("submit", str(folder))
    assert done.exit_code == 1
    assert "1 submitted" in done.stdout
    assert "1 not sent" in done.stdout
    assert "Traceback" not in done.output


def test_a_folder_is_waited_for_to_its_end(
    terminal: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(_self: Client, job_id: str, **_: Any) -> dict[str, Any]:
        state = "FAILURE" if not waited else "SUCCESS"
        waited.append(job_id)
        meta = {"stage": "failed", "message": "", "percent": 100, "error": "It broke."}
        return {
            "job_id": job_id,
            "state": state,
            "filename": "f",
            "task": "t",
            "meta": meta,
            "created_at": None,
        }

    waited: list[str] = []
    monkeypatch.setattr(Client, "wait", wait)
    done = terminal.type("submit", str(folder), "--wait")
    assert done.exit_code == 1
    assert "1 SUCCESS, 1 FAILURE" in done.stdout
    assert "It broke." in done.stdout


def test_a_folder_with_nothing_to_read_says_so(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("x")
    done = terminal.type("submit", str(tmp_path))
    assert done.exit_code == 1
    assert "Nothing" in done.stderr
    assert "1 hidden" in done.stderr


def test_an_empty_name_is_not_the_folder_that_one_stands_in(terminal: Terminal) -> None:
    done = terminal.type("submit", "")
    assert done.exit_code == 1
    assert "No such file: ''" in done.stderr


def test_an_address_of_another_kind_is_called_so(terminal: Terminal) -> None:
    done = terminal.type("submit", "ftp://example.com/a.pdf")
    assert done.exit_code == 1
    assert "http" in done.stderr
    assert "No such file" not in done.stderr
