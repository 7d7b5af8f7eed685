"""The commands, from the words that people type to the API and the queues (on moto)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from typer.testing import CliRunner

from chalicelib import VERSION, services, settings
from chalicelib.aws.queues import dead_letters
from chalicelib.jobs import messages
from chalicelib.jobs.job import new_id
from chalicelib.jobs.store import JobStore
from local.worker import options
from syncboard import place
from syncboard.cli import app, main
from syncboard.client import Client
from syncboard.place import NoPlace, Place
from tests.unit.conftest import Api
from tests.unit.terminals import Terminal


def failed(api: Api, name: str = "notes.md") -> str:
    job_id: str = api.upload(name).json_body["job_id"]
    store = JobStore(services.table())
    store.fail(
        store.require(job_id, api.user), {"type": "broken_file", "message": "It broke.", "retryable": False}
    )
    return job_id


# --- Jobs --------------------------------------------------------------------------------------------------------


def test_status_shows_that_all_is_well(terminal: Terminal) -> None:
    shown = terminal.type("status")
    assert shown.exit_code == 0
    assert "http://api.test  ok" in shown.stdout
    assert "pdf" in shown.stdout
    assert terminal.json("status")["health"]["status"] == "ok"


def test_jobs_are_listed_and_filtered(terminal: Terminal) -> None:
    waiting, broken = terminal.api.upload("plan.md").json_body["job_id"], failed(terminal.api, "report.md")
    shown = terminal.type("jobs").stdout
    assert waiting in shown
    assert "It broke." in shown
    assert [job["job_id"] for job in terminal.json("jobs", "--state", "failure")] == [broken]
    assert [job["job_id"] for job in terminal.json("jobs", "-q", "plan")] == [waiting]
    assert [job["job_id"] for job in terminal.json("jobs", "--limit", "1")] == [broken]


def test_a_job_is_shown_with_its_timeline(terminal: Terminal) -> None:
    job_id = failed(terminal.api)
    shown = terminal.type("job", job_id).stdout
    assert "Timeline" in shown
    assert "broken_file" in shown
    assert terminal.json("job", job_id)["timeline"][0]["note"] == "submitted"


def test_a_job_of_an_archive_says_what_became_no_document_and_why(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = terminal.api.upload().json_body["job_id"]
    result = {
        "documents": [{"filename": "a.md", "job_id": "j1", "doc_id": "d1"}],
        "errors": [
            {
                "filename": "b.pdf",
                "job_id": "j2",
                "error": {"type": "broken_file", "message": "It is damaged."},
            }
        ],
        "skipped": [{"filename": "tool.exe", "reason": "This file is a program, which can't be read."}],
        "skipped_in_all": 40,
    }
    told = terminal.json("job", job_id)
    monkeypatch.setattr(Client, "job", lambda *_: {**told, "result": result})
    shown = terminal.type("job", job_id).stdout
    for words in ("tool.exe", "This file is a program", "b.pdf", "It is damaged.", "1 document", "39 more"):
        assert words in shown


def test_names_are_shown_as_they_are(terminal: Terminal) -> None:
    terminal.api.upload("[red]notes.md")
    assert "[red]notes.md" in terminal.type("jobs").stdout


def test_a_job_is_cancelled_once(terminal: Terminal) -> None:
    job_id = terminal.api.upload().json_body["job_id"]
    assert terminal.type("cancel", job_id).stdout == "Cancelled.\n"
    again = terminal.type("cancel", job_id)
    assert (again.exit_code, again.stderr) == (
        1,
        "syncboard: conflict: The job has already ended: REVOKED.\n",
    )


def test_steering_speaks_json_too(terminal: Terminal) -> None:
    waiting, broken = terminal.api.upload().json_body["job_id"], failed(terminal.api)
    assert terminal.json("cancel", waiting)["state"] == "REVOKED"
    assert terminal.json("retry", broken)["job_id"] == broken
    failed(terminal.api, "other.md")
    done = terminal.json("retry", "--all", "-q", "other")
    assert (len(done["retried"]), done["errors"]) == (1, [])


def test_waiting_jobs_are_cancelled_at_once_and_jobs_at_work_are_not(terminal: Terminal) -> None:
    waiting = [terminal.api.upload(f"{number}.md").json_body["job_id"] for number in range(3)]
    asked = CliRunner().invoke(app, ["cancel", "--waiting"], input="n\n", env=terminal.environment)
    assert asked.exit_code == 1
    done = terminal.type("cancel", "--waiting", "--yes")
    assert (done.exit_code, done.stdout) == (0, "3 cancelled, 0 had gone on by themselves.\n")
    states = {job["job_id"]: job["state"] for job in terminal.json("jobs")}
    assert states == dict.fromkeys(waiting, "REVOKED")


@pytest.mark.parametrize("words", [("cancel",), ("cancel", "x", "--waiting")])
def test_a_cancel_names_one_job_or_all_that_wait(terminal: Terminal, words: tuple[str, ...]) -> None:
    done = terminal.type(*words)
    assert done.exit_code == 1
    assert "Name one job, or all that wait with --waiting" in done.stderr


def test_a_failed_job_is_started_over(terminal: Terminal) -> None:
    job_id = failed(terminal.api)
    assert terminal.type("retry", job_id).stdout == "Started over.\n"
    assert terminal.json("job", job_id)["state"] == "PENDING"


def test_an_encrypted_file_is_started_over_with_its_password(terminal: Terminal) -> None:
    job_id = failed(terminal.api)
    assert terminal.type("retry", job_id, "--password", "open sesame").stdout == "Started over.\n"
    assert JobStore(services.table()).require(job_id, terminal.api.user).password == "open sesame"
    assert terminal.type("retry", "--all", "--password", "x").exit_code == 1


def test_all_failed_jobs_are_started_over(terminal: Terminal) -> None:
    for number in range(3):
        failed(terminal.api, f"report {number}.md")
    other = failed(terminal.api, "letter.md")
    assert terminal.type("retry", "--all", "-q", "report").stdout == "3 started over, 0 refused.\n"
    assert [job["job_id"] for job in terminal.json("jobs", "--state", "FAILURE")] == [other]


@pytest.mark.parametrize("words", [("retry",), ("retry", "x", "--all")])
def test_a_retry_names_one_job_or_all(terminal: Terminal, words: tuple[str, ...]) -> None:
    done = terminal.type(*words)
    assert (done.exit_code, done.stderr) == (1, "syncboard: Name one job, or all of them with --all.\n")


def test_files_and_links_are_submitted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    path = terminal.data / "notes.md"
    path.write_text("# Notes")
    sent: list[Any] = []

    def submit(_self: Client, what: Any, **wishes: Any) -> dict[str, Any]:
        sent.append((what, wishes))
        return a_job()

    monkeypatch.setattr(Client, "submit", submit)
    monkeypatch.setattr(Client, "submit_url", submit)
    done = terminal.type("submit", str(path), "https://example.com/a", "--force", "--password", "x")
    assert done.exit_code == 0, done.output
    wishes = {"password": "x", "force": True, "webhook": None}
    assert sent == [(path, wishes), ("https://example.com/a", wishes)]


def test_submit_waits_and_tells_by_its_exit_code(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    path = terminal.data / "notes.md"
    path.write_text("# Notes")
    monkeypatch.setattr(Client, "submit", lambda _self, _path, **_wishes: a_job())
    for state, code in (("SUCCESS", 0), ("FAILURE", 1)):
        monkeypatch.setattr(Client, "wait_all", lambda _self, ids, state=state: [a_job(state) for _ in ids])
        assert terminal.type("submit", str(path), "--wait").exit_code == code


def a_job(state: str = "PENDING") -> dict[str, Any]:
    meta = {"stage": "queued", "message": "Waiting", "percent": 0}
    return {"job_id": "j", "state": state, "filename": "f", "task": "t", "meta": meta, "created_at": None}


def test_a_file_that_is_not_there_is_named_before_anything_is_sent(terminal: Terminal) -> None:
    done = terminal.type("submit", "nothing.md", "https://example.com/")
    assert (done.exit_code, done.stderr) == (1, "syncboard: No such file: nothing.md.\n")
    assert terminal.json("jobs") == []


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment that names no table."""
    with monkeypatch.context() as patch:
        patch.delenv("SYNCBOARD_TABLE", raising=False)
        settings.get.cache_clear()
        yield
    settings.get.cache_clear()


# --- Where it runs -----------------------------------------------------------------------------------------------


def test_without_a_stack_a_command_says_how_to_get_one(terminal: Terminal) -> None:
    terminal.environment = {"SYNCBOARD_URL": None, "SYNCBOARD_TOKEN": None}
    done = terminal.type("jobs", "--data", str(terminal.data))
    assert done.exit_code == 1
    assert "syncboard up" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("words", ["jobs", "dlq list", "logs j", "token --user ann", "worker"])
def test_the_folder_of_the_stack_may_be_named_by_a_variable(
    terminal: Terminal, words: str, nowhere: None
) -> None:
    terminal.environment = {"SYNCBOARD_URL": None, "SYNCBOARD_TOKEN": None, "SYNCBOARD_DATA": "/elsewhere"}
    done = terminal.type(*words.split())
    assert done.exit_code == 1
    assert "/elsewhere" in done.stderr


def test_the_version_is_told(terminal: Terminal) -> None:
    assert terminal.type("--version").stdout == f"syncboard {VERSION}\n"


def test_a_worker_s_help_names_the_data_folder(capfd: pytest.CaptureFixture[str]) -> None:
    CliRunner().invoke(app, ["worker", "--help"])
    with pytest.raises(SystemExit):
        options.parse(["--help"])
    assert "--data" in capfd.readouterr().out


def test_help_gives_no_type_to_a_switch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["syncboard", "dlq", "purge", "--help"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    assert "--yes" in shown
    assert "bool" not in shown


def test_an_address_needs_a_token() -> None:
    with pytest.raises(NoPlace, match="SYNCBOARD_TOKEN"):
        place.find(data=Path(), user="ann", url="http://api.test", token=None)


def test_nothing_at_the_address_is_one_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    monkeypatch.setattr(
        Place, "client", lambda _self: Client("http://api.test:1", "x", transport=httpx.MockTransport(refuse))
    )
    monkeypatch.setattr("syncboard.client.time.sleep", lambda _seconds: None)
    done = terminal.type("jobs")
    assert (done.exit_code, done.stderr) == (
        1,
        "syncboard: Nothing answers at http://api.test:1 (refused). Is it running?\n",
    )


def test_the_stack_that_runs_here_is_found_and_entered(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"SYNCBOARD_PLACE": "embedded"}
    monkeypatch.setenv("SYNCBOARD_PLACE", "aws")
    (tmp_path / "stack.json").write_text(
        json.dumps({"url": "http://127.0.0.1:9", "environment": environment})
    )
    try:
        here = place.find(data=tmp_path, user="ann", url=None, token=None)
        assert settings.get().place == "embedded"
    finally:
        monkeypatch.undo()
        settings.get.cache_clear()
    assert here.url == "http://127.0.0.1:9"
    from chalicelib.api import tokens

    assert tokens.verify(f"Bearer {here.token}") == "ann"


def test_a_broken_note_is_named(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(NoPlace, match=r"stack\.json"):
        place.find(data=tmp_path, user="ann", url=None, token=None)


def test_a_token_is_signed_with_the_secret_of_its_folder_whatever_was_read_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNCBOARD_JWT_SECRET", raising=False)
    settings.get.cache_clear()
    assert settings.get().jwt_secret == ""  # as an import may have read it
    monkeypatch.setenv("SYNCBOARD_JWT_SECRET", "")  # restored afterwards
    try:
        done = CliRunner().invoke(app, ["token", "--user", "ann", "--data", str(tmp_path)])
        assert done.exit_code == 0, done.output
        from chalicelib.api import tokens

        assert tokens.verify(f"Bearer {done.stdout.strip()}") == "ann"
    finally:
        monkeypatch.undo()
        settings.get.cache_clear()


# --- Logs --------------------------------------------------------------------------------------------------------


def test_logs_show_the_lines_of_one_job_from_all_files(terminal: Terminal) -> None:
    folder = terminal.data / "logs"
    folder.mkdir()
    line = {"timestamp": "12:00", "level": "INFO", "location": "x:1", "job_id": "j1"}
    (folder / "syncboard.log.1").write_text(json.dumps({**line, "message": "started", "file": "a.md"}) + "\n")
    (folder / "syncboard.log").write_text(
        "j1 in plain words\n"
        + json.dumps({**line, "job_id": "j2", "message": "other"})
        + "\n"
        + json.dumps({**line, "message": "succeeded"})
        + "\n"
    )
    shown = terminal.type("logs", "j1", "--data", str(terminal.data)).stdout.splitlines()
    assert shown == ["12:00  INFO    started  file=a.md", "12:00  INFO    succeeded"]
    unknown = terminal.type("logs", "j3", "--data", str(terminal.data))
    assert unknown.exit_code == 1
    assert "say nothing of job j3" in unknown.stderr


def test_logs_of_no_stack_say_so(terminal: Terminal) -> None:
    said = terminal.type("logs", "j1", "--data", str(terminal.data)).stderr
    assert "no logs" in said
    # The terminal has an address and a token: that they are of no use here is said as well.
    assert "CloudWatch" in said


# --- Dead letters ------------------------------------------------------------------------------------------------


@pytest.fixture
def letters(terminal: Terminal) -> Iterator[Terminal]:
    """A terminal in a place with dead-letter queues, empty before and after."""
    sqs = boto3.client("sqs")
    urls = [sqs.create_queue(QueueName=f"unit-{dead_letters(name)}")["QueueUrl"] for name in settings.QUEUES]
    yield terminal
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def test_dead_letters_are_listed_shown_redriven_and_purged(letters: Terminal) -> None:
    job_id = letters.api.upload().json_body["job_id"]
    call = messages.encode(messages.CallToWork(job_id=job_id, dispatch=1))
    services.queues().send(dead_letters("uploads"), call)
    services.queues().send(dead_letters("analysis"), "{broken")

    listed = letters.json("dlq", "list")
    assert {(letter["queue"], letter["job_id"], letter["state"]) for letter in listed} == {
        ("uploads", job_id, "PENDING"),
        ("analysis", "", ""),
    }
    assert "(unreadable)" in letters.type("dlq", "list").stdout
    shown = json.loads(letters.type("dlq", "show", listed[0]["message_id"]).stdout)
    assert shown["body"] == listed[0]["body"]

    redriven = letters.type("dlq", "redrive")
    assert redriven.stdout == "1 sent out anew, 0 deleted that nobody needed, 1 kept.\n"
    assert letters.json("job", job_id)["timeline"][-1]["note"].startswith("retried by an operator")
    assert letters.type("dlq", "purge", "--queue", "analysis", "--yes").stdout == "1 deleted.\n"
    assert letters.json("dlq", "list") == []


def test_a_purge_asks_first(letters: Terminal) -> None:
    services.queues().send(dead_letters("uploads"), "{broken")
    asked = CliRunner().invoke(app, ["dlq", "purge"], input="n\n")
    assert asked.exit_code == 1
    assert len(letters.json("dlq", "list")) == 1


def test_dead_letters_elsewhere_are_not_promised(terminal: Terminal, nowhere: None) -> None:
    said = terminal.type("dlq", "list", "--data", str(terminal.data)).stderr
    assert "No SyncBoard runs on" in said
    assert "set SYNCBOARD_URL" not in said
    assert "SYNCBOARD_TABLE" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("list", "--queue", "fast"), "There is no queue 'fast'"),
        (("show", new_id()), "There is no dead letter"),
    ],
)
def test_what_is_not_there_is_named(letters: Terminal, words: tuple[str, ...], says: str) -> None:
    done = letters.type("dlq", *words)
    assert done.exit_code == 1
    assert says in done.stderr
