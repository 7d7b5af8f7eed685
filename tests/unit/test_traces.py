"""Deletion without a trace: every item and every object is searched for what the document was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chalicelib import services
from chalicelib.errors import Unavailable
from chalicelib.ingest.document import Extracted, Segment
from chalicelib.jobs.job import new_id
from chalicelib.jobs.store import JobStore
from chalicelib.knowledge.questions import Question, digest_of
from chalicelib.library import upkeep
from chalicelib.library.analytics import snapshot_of
from chalicelib.library.answers import Answers
from chalicelib.library.assignment import REPLACED_AT
from chalicelib.library.claims import Claims
from chalicelib.library.documents import Documents
from chalicelib.library.merging import Merging
from chalicelib.tasks.ingestion import publish_document
from chalicelib.tasks.refresh_analytics import refresh_analytics
from tests.traces import all_bodies, all_items, traces
from tests.unit.conftest import Api
from tests.unit.libraries import Library, prose

# In the text, title, file name, passages and concepts of one document only.
MARK = "quokkaburg"


class Shown(Library):
    """A library whose items and objects can be looked at."""

    def look(self) -> tuple[dict[Any, Any], dict[str, bytes]]:
        return dict(self.table.items), dict(self.objects.bodies)


class Stored(Shown):
    """The same on DynamoDB and S3, as moto plays them."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.table, self.objects = services.table(), services.objects()  # type: ignore[assignment]

    def look(self) -> tuple[dict[Any, Any], dict[str, bytes]]:
        return all_items(services.table().name), all_bodies(services.objects().bucket)


@pytest.fixture
def library() -> Shown:
    return Shown()


def marked(library: Shown, *, spoken: bool = False) -> str:
    """Publish a document that has all that a document can have; return its id."""
    job = library.job()
    source = f"inline/{job.job_id}/source"
    job = msgspec.structs.replace(job, job_id=new_id(), params={"source": source})
    source = f"inline/{job.job_id}/source"
    job = msgspec.structs.replace(job, params={"source": source}, filename=f"{MARK}.txt")
    JobStore(library.table).create(job)
    library.objects.put(source, text().encode())
    doc_id = new_id()
    assert Claims(library.table, library.owner, job.job_id).claim("c" * 64, doc_id) is None
    said = (Segment(start=0.0, end=5.0, text=f"{MARK} is a town"),) if spoken else ()
    what = Extracted(
        text=text(), title=f"All of {MARK}", source_type="text", segments=said, metadata={"author": MARK}
    )
    publish_document(library.run(job), what, filename=f"{MARK}.txt", doc_id=doc_id, sha256="c" * 64)
    return str(library.result(job)["doc_id"])


def text() -> str:
    """Return a text on what no other document knows of, beside words that others have."""
    return f"{MARK} is a town. " + " ".join(f"The {MARK} town hall stands. {prose(1, 40)}." for _ in range(3))


def others(library: Shown) -> list[str]:
    """Publish documents with which it shares a topic, and one nearly like it; return their ids."""
    near = text().replace(MARK, "elsewhere")
    return [library.add(one)["doc_id"] for one in (prose(1, 90), near, prose(2, 60))]


def left(library: Shown, doc_id: str) -> list[str]:
    return traces(*library.look(), [doc_id, MARK])


def removed_by_request(library: Shown, doc_id: str, _others: list[str]) -> None:
    library.delete(doc_id)


def removed_by_cutting_short(library: Shown, doc_id: str, _others: list[str]) -> None:
    """Delete; the bucket is away right afterwards."""

    def away(_key: str) -> None:
        raise Unavailable("away")

    delete, library.objects.delete = library.objects.delete, away
    try:
        library.delete(doc_id)
    finally:
        library.objects.delete = delete


WAYS: list[Callable[[Shown, str, list[str]], None]] = [removed_by_request, removed_by_cutting_short]


@pytest.mark.parametrize("remove", WAYS)
@pytest.mark.parametrize("when", ["fresh", "indexed"])
def test_of_a_deleted_document_nothing_is_left(
    library: Shown, remove: Callable[[Shown, str, list[str]], None], when: str
) -> None:
    before = others(library)
    doc_id = marked(library, spoken=True)
    after = others(library)
    if when == "indexed":
        library.tidy()
    library.task("refresh_analytics", refresh_analytics)
    found = left(library, doc_id)
    # What is looked for is there, in each place that there is.
    places = ["DOC#", "BAND", "DUP#", "DUPOF#", "CLUSTER#", "HASH#", "ANALYTICS", "texts/", "inline/"]
    places.append("search/" if when == "indexed" else "FRESH#")
    assert [place for place in places if not any(place in line for line in found)] == []
    remove(library, doc_id, [*before, *after])
    library.tidy()
    assert left(library, doc_id) == []
    there = Documents(library.table, library.owner)
    assert set(there.find_many([*before, *after])) == {*before, *after}
    assert there.count() == len(before) + len(after)
    assert len(library.search("town hall")) == 2


def test_on_dynamodb_and_s3_nothing_is_left_either(api: Api) -> None:
    library = Stored(api.user)
    stays = library.add(prose(1, 90))["doc_id"]
    library.task("refresh_analytics", refresh_analytics)
    doc_id = marked(library, spoken=True)
    library.tidy()
    assert len(left(library, doc_id)) > 20
    library.delete(doc_id)
    library.tidy()
    assert left(library, doc_id) == []
    library.delete(stays)
    library.tidy()
    items, bodies = library.look()
    assert ([key for key in items if api.user in key[0]], bodies) == ([], {})


def test_the_directory_of_topics_is_made_anew_without_it(library: Shown) -> None:
    doc_id = marked(library)
    for number in range(REPLACED_AT + 2):
        library.add(" ".join(f"{word}{number}x" for word in prose(number, 40).split()))
    assert any(line.startswith("TOPICS#") for line in left(library, doc_id))
    library.delete(doc_id)
    library.tidy()
    assert left(library, doc_id) == []
    # Another deletion, and a tidying without one: it is made anew once.
    before = [key for key in library.table.items if key[0].startswith("TOPICS#")]
    library.tidy()
    assert before == [key for key in library.table.items if key[0].startswith("TOPICS#")] != []


@pytest.mark.parametrize("alone", [False, True])
def test_figures_that_were_being_counted_during_a_deletion_go_too(
    library: Shown, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    if not alone:
        others(library)
    doc_id = marked(library)

    def meanwhile(*given: Any) -> Any:
        monkeypatch.undo()
        library.delete(doc_id)
        library.tidy()
        monkeypatch.setattr(upkeep, "request", lambda *_: asked.append("tidy"))
        return snapshot_of(*given)

    asked: list[str] = []

    monkeypatch.setattr("chalicelib.tasks.refresh_analytics.snapshot_of", meanwhile)
    library.task("refresh_analytics", refresh_analytics)
    assert left(library, doc_id)
    assert asked == ["tidy"]
    library.tidy()
    assert left(library, doc_id) == []


def test_what_a_model_answered_about_its_library_goes_too(library: Shown) -> None:
    doc_id = marked(library)
    said = {"suggestions": [{"title": f"A guide to {MARK}"}]}
    asked = Question(
        kind="suggestions", version=1, system="", text="", tool="", description="", schema={}, digest="d" * 64
    )
    answers = Answers(library.table, "ann")
    answers.keep(msgspec.structs.replace(asked, whole=True), said)
    answers.keep(msgspec.structs.replace(asked, kind="concepts", digest=digest_of(text())), said)
    answers.keep(msgspec.structs.replace(asked, kind="concepts"), {"concepts": []})
    assert sum(line.startswith("ANSWERS#") for line in left(library, doc_id)) == 2
    row = library.table.items["LIB#ann", f"DOC#{doc_id}"]
    row["method"] = "bedrock"
    library.delete(doc_id)
    library.tidy()
    assert left(library, doc_id) == []
    assert [key for key in library.table.items if key[0].startswith("ANSWERS#")]


def test_of_a_merged_document_its_names_are_left_where_it_went(library: Shown) -> None:
    _, near, _ = others(library)
    doc_id = marked(library)
    library.tidy()
    Merging(library.table, library.objects, library.owner).merge(near, [doc_id])
    library.tidy()
    assert {line.partition(": ")[0] for line in left(library, doc_id)} == {f"LIB#{library.owner} DOC#{near}"}
    library.delete(near)
    library.tidy()
    assert left(library, doc_id) == []


def test_of_a_library_that_is_deleted_one_by_one_nothing_is_left(library: Shown) -> None:
    ids = [*others(library), marked(library, spoken=True)]
    library.tidy()
    ids += others(library)
    library.task("refresh_analytics", refresh_analytics)
    for doc_id in ids:
        library.delete(doc_id)
    library.tidy()
    items, bodies = library.look()
    assert [key for key in items if f"#{library.owner}" in key[0]] == []
    assert traces(items, bodies, [*ids, MARK, *prose(1, 40).split()]) == []
