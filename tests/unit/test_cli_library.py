"""The library's commands, from the words that people type to the API (tables in memory)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from chalicelib import services
from syncboard.cli import app
from syncboard.client import Client
from tests.memory import MemoryObjects, MemoryTable
from tests.unit.libraries import Library, prose
from tests.unit.terminals import Terminal

TIDES = "The tide turns at noon. Spring tides follow the new moon and the full moon at the harbour."


@pytest.fixture
def library(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Library:
    """The library of the user at the terminal."""
    library = Library(terminal.api.user)
    library.table, library.objects = MemoryTable(), MemoryObjects()
    monkeypatch.setattr(services, "table", lambda: library.table)
    monkeypatch.setattr(services, "objects", lambda: library.objects)
    return library


def test_a_search_shows_where_the_words_stand(terminal: Terminal, library: Library) -> None:
    doc_id = library.add(TIDES, title="Tides", source_type="markdown")["doc_id"]
    library.add(prose(1), title="Other")
    shown = terminal.type("search", "spring tide").stdout
    assert doc_id in shown
    assert "Spring tides follow the new moon" in shown
    assert [hit["doc_id"] for hit in terminal.json("search", "spring", "tide", "--type", "markdown")] == [
        doc_id
    ]
    assert terminal.json("search", "tide", "--type", "pdf") == []
    assert terminal.type("search", "xylophone").stdout == "Nothing was found for xylophone.\n"


def test_what_was_said_is_shown_with_its_time(terminal: Terminal, library: Library) -> None:
    segments = [
        {"start": 0.0, "end": 9.0, "text": "Good morning."},
        {"start": 83.0, "end": 90.0, "text": TIDES},
    ]
    library.add(f"Good morning. {TIDES}", title="Talk", source_type="audio", segments=segments)
    assert f"1:23  {TIDES}" in terminal.type("search", "harbour").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--skill", "expert"), "skill is one of beginner, intermediate, advanced"),
        (("--type", "nosuch"), "type is one of text, markdown"),
    ],
)
def test_a_filter_that_fits_no_document_ever_is_refused(
    terminal: Terminal, words: tuple[str, ...], says: str
) -> None:
    done = terminal.type("search", "database", *words)
    assert done.exit_code == 1
    assert says in done.stderr


def test_documents_are_listed_shown_and_deleted(terminal: Terminal, library: Library) -> None:
    first = library.add(prose(1), title="[red]One")["doc_id"]
    second = library.add(prose(1) + " and an end", title="Two")["doc_id"]
    assert [one["doc_id"] for one in terminal.json("documents", "list")] == [second, first]
    assert "[red]One" in terminal.type("documents", "list").stdout
    shown = terminal.type("documents", "show", second).stdout
    assert "Near duplicates" in shown
    assert first in shown
    assert terminal.type("documents", "show", first, "--text").stdout == prose(1) + "\n"

    kept = CliRunner().invoke(app, ["documents", "delete", first], input="n\n", env=terminal.environment)
    assert kept.exit_code == 1
    assert terminal.type("documents", "delete", first, "--yes").stdout == "Deleted.\n"
    assert [one["doc_id"] for one in terminal.json("documents", "list")] == [second]
    gone = terminal.type("documents", "show", first)
    assert (gone.exit_code, gone.stderr) == (1, "syncboard: not_found: There is no such document.\n")


def test_a_long_list_is_read_page_by_page(
    terminal: Terminal, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [library.add(prose(seed), title=f"Text {seed}")["doc_id"] for seed in range(5)]
    monkeypatch.setattr("syncboard.answers._PAGE", 2)
    assert [one["doc_id"] for one in terminal.json("documents", "list", "--limit", "4")] == ids[:0:-1]


def test_clusters_are_listed_named_and_exported(terminal: Terminal, library: Library) -> None:
    library.add(prose(1), title="One")
    (before,) = terminal.json("clusters", "list")
    assert terminal.type("clusters", "rename", before["name"], "Our things").stdout == (
        "It is called 'Our things' now.\n"
    )
    assert "Our things" in terminal.type("clusters", "list").stdout
    assert [one["title"] for one in terminal.json("clusters", "show", "our THINGS")] == ["One"]
    exported = json.loads(terminal.type("clusters", "export", before["cluster_id"]).stdout)
    assert [one["text"] for one in exported["documents"]] == [prose(1)]
    path = terminal.data / "things.md"
    done = terminal.type("clusters", "export", "Our things", "--markdown", "--to", str(path))
    assert (done.exit_code, done.stderr) == (0, f"Written to {path}.\n")
    assert path.read_text().startswith("# Our things\n\n## One\n")


def test_a_cluster_that_is_not_there_and_a_file_that_can_not_be_are_named(
    terminal: Terminal, library: Library
) -> None:
    library.add(prose(1))
    unknown = terminal.type("clusters", "show", "Nothing")
    assert unknown.exit_code == 1
    assert "No clusters are called 'Nothing'" in unknown.stderr
    (cluster,) = terminal.json("clusters", "list")
    done = terminal.type(
        "clusters", "export", cluster["cluster_id"], "--to", str(terminal.data / "no" / "a.json")
    )
    assert (done.exit_code, "can't be written" in done.stderr) == (1, True)


def test_duplicates_are_listed_compared_and_merged(terminal: Terminal, library: Library) -> None:
    assert "No documents are that much alike." in terminal.type("duplicates", "list").stdout
    a = library.add(prose(1), title="One")["doc_id"]
    b = library.add(prose(1) + " and an end", title="Two")["doc_id"]
    shown = terminal.type("duplicates", "list").stdout
    assert a in shown
    assert b in shown
    assert "threshold is a number from" in terminal.type("duplicates", "list", "--threshold", "2").stderr
    assert "In common" in terminal.type("duplicates", "compare", a, b).stdout
    assert terminal.json("duplicates", "compare", a, b)["passages"][0]["words"] == 120
    assert terminal.type("duplicates", "merge", a, b, "--yes").stdout == f"1 deleted, {a} kept.\n"
    assert [one["doc_id"] for one in terminal.json("documents", "list")] == [a]


def ended(**result: Any) -> dict[str, Any]:
    return {"job_id": "j", "state": "SUCCESS", "result": result}


def test_a_scan_is_waited_for(terminal: Terminal, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"documents": 7, "pairs_added": 1, "group_count": 2}
    monkeypatch.setattr(Client, "wait", lambda _self, _job_id, **_: ended(**result))
    said = "7 documents compared: 1 pairs that were not known, 2 groups in all.\n"
    assert terminal.type("duplicates", "scan", "--threshold", "0.7").stdout == said


def test_topics_are_found_anew_and_taken_apart(
    terminal: Terminal, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_id = library.add(prose(1), title="One")["cluster_id"]
    result = {"documents": 9, "moved": 4, "clusters_before": 3, "clusters_after": 2}
    monkeypatch.setattr(Client, "wait", lambda _self, _job_id, **_: ended(**result))
    said = "4 of 9 documents moved: 3 topics before, 2 now.\n"
    assert terminal.type("clusters", "regroup").stdout == said
    assert terminal.json("clusters", "regroup") == result
    taken = {"moved": 1, "clusters": {"other": 1}}
    monkeypatch.setattr(Client, "wait", lambda _self, _job_id, **_: ended(**taken))
    done = terminal.type("clusters", "delete", cluster_id, "--yes")
    assert done.stdout == "Its documents (1) are in 1 other clusters now.\n"


def test_suggestions_name_what_speaks_for_them(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = [{"doc_id": "d", "concept": name, "title": "Tides"} for name in ("tide", "moon")]
    idea = {
        "title": "A tide table", "description": "Print it.", "feasibility": "high", "effort_estimate": "2-3 days",
        "complexity_level": "beginner", "coverage_score": 0.8, "evidence": evidence, "missing_knowledge": ["ink"],
    }  # fmt: skip
    result = {"suggestions": [idea], "reasons": [], "next_steps": []}
    monkeypatch.setattr(Client, "wait", lambda _self, _job_id, **_: ended(**result))
    shown = terminal.type("suggest").stdout
    assert "1. A tide table" in shown
    assert "“Tides”: tide, moon" in shown
    assert terminal.json("suggest") == result


def test_a_job_that_fails_ends_the_command(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    status = {"job_id": "j", "state": "FAILURE", "error": {"message": "It broke."}}
    monkeypatch.setattr(Client, "wait", lambda _self, _job_id, **_: status)
    done = terminal.type("suggest")
    assert (done.exit_code, done.stderr) == (1, "syncboard: It broke.\n")


def test_figures_are_shown_and_saved(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing was counted yet" in terminal.type("analytics").stdout
    saved = terminal.data / "figures.csv"
    assert terminal.type("analytics", "--csv", "--to", str(saved), "--period", "7d").exit_code == 0
    assert saved.read_text().startswith("section,name,value\nreport,time_period,7d\n")
    assert "time_period is one of" in terminal.type("analytics", "--period", "2d").stderr
    told = terminal.json("analytics")
    told["as_of"] = "2026-01-31T12:00:00.000Z"
    told["distributions"]["source_types"] = {"pdf": 4, "text": 2}
    monkeypatch.setattr(Client, "analytics", lambda _self, **_: told)
    shown = terminal.type("analytics").stdout
    assert "█" * 24 in shown
    assert "0 documents, 0 clusters" in shown


def test_a_text_that_is_long_is_fetched(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"text": None, "text_url": "http://bucket.test/text?X-Amz-Signature=1"}
    monkeypatch.setattr(Client, "document", lambda _self, _doc_id: told)
    monkeypatch.setattr(Client, "fetch_text", lambda _self, address: f"from {address}")
    assert terminal.type("documents", "show", "d", "--text").stdout == f"from {told['text_url']}\n"
