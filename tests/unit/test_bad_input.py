"""What nobody should hand in: each thing gets a clear answer, and costs no more than its like."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from chalice.test import HTTPResponse

from chalicelib import services
from chalicelib.errors import EmptyFile, NotFound, SyncBoardError
from chalicelib.ingest.content import sniff
from chalicelib.jobs.job import new_id
from chalicelib.jobs.store import JobStore
from chalicelib.library.claims import Claims
from chalicelib.library.documents import Documents
from chalicelib.library.merging import Merging
from chalicelib.tasks.build_suggestions import generate_build_suggestions
from chalicelib.tasks.file_upload import process_file_upload
from chalicelib.tasks.ingestion import ingest
from tests.unit.conftest import Api
from tests.unit.libraries import Library, counting, prose

# DynamoDB's own limit of one item, in bytes.
_ITEM_BYTES = 400 * 1024
_TRANSACTION_WRITES = 100


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library()
    library.folder = tmp_path
    return library


def ingested(library: Library, content: bytes, *, name: str = "notes.txt", **params: Any) -> dict[str, Any]:
    """Take a file in as its task does; return its job's result."""
    path = library.folder / new_id()
    path.write_bytes(content)
    job = library.job(filename=name, params=params)
    ingest(library.run(job), path, sniff(content[:4096], filename=name, size=len(content)))
    return library.result(job)


def upload(api: Api, content: bytes, name: str = "notes.txt") -> HTTPResponse:
    return api.post("/upload_file", {"filename": name, "content": base64.b64encode(content).decode()})


def error_of(answer: HTTPResponse) -> str:
    assert 400 <= answer.status_code < 500, answer.body
    return str(answer.json_body["error"]["message"])


# --- Texts ---------------------------------------------------------------------------------------------------


def test_an_empty_file_is_refused_at_the_door(api: Api) -> None:
    assert "empty" in error_of(upload(api, b"")).lower()


@pytest.mark.parametrize("content", [b" ", b"\n" * 1000, "\u200b \ufeff\u2060\u00ad".encode()])
def test_a_file_without_a_word_is_an_empty_file(library: Library, content: bytes) -> None:
    with pytest.raises(EmptyFile):
        ingested(library, content)
    assert [key for key in library.left() if not key[1].startswith("HASH#")] == []


def test_bytes_that_are_no_text_are_refused_at_the_door(api: Api) -> None:
    assert "binary" in error_of(upload(api, b"word\x00with\x07control\x1bcharacters"))


STOPS = "the and of to a in is it that was for on are as with his they at be this from have or by"


@pytest.mark.parametrize(
    "text",
    [
        "kettle",
        "x",
        "42",
        "!?",
        STOPS,
        "Привет мир 你好世界 مرحبا بالعالم שלום עולם こんにちは 안녕하세요 hello γειά 🙂🙃",
        "\u202eright to left override\u202c and back",
        "e\u0301" * 5000,
        "a" * 200_000,
        "🙂" * 20_000,
        "\u0301" * 20_000,
        "=HYPERLINK(1)\r\r\r\n\x0b\x0c\x85 next",
    ],
)
def test_a_strange_text_becomes_a_document_that_can_be_found_and_deleted(library: Library, text: str) -> None:
    result = ingested(library, text.encode())
    document = Documents(library.table, "ann").require(result["doc_id"])
    assert document.characters > 0
    library.tidy()
    twin = ingested(library, text.encode() + b" \n", name="twin.txt")
    assert twin["doc_id"] != result["doc_id"]
    for doc_id in (result["doc_id"], twin["doc_id"]):
        library.delete(doc_id)
    library.tidy()
    assert library.left() == []
    assert library.objects.bodies == {}


def test_ten_megabytes_of_one_line_are_one_small_document(library: Library) -> None:
    line = "All work and no play makes Jack a dull boy.\n"
    text = (line * (10_000_000 // len(line))).encode()
    result = ingested(library, text)
    fits(library)
    assert result["words"] == 10 * (10_000_000 // len(line))


def test_a_text_of_nothing_but_different_words_fits_its_rows(library: Library) -> None:
    words = (f"w{number:x}{number % 97}ä" for number in range(150_000))
    ingested(library, " ".join(words).encode(), name="vocabulary.txt")
    fits(library)


def fits(library: Library) -> None:
    """Every item is one that DynamoDB takes."""
    for key, item in library.table.items.items():
        assert len(msgspec.json.encode(item, enc_hook=list)) < _ITEM_BYTES, key


def test_letters_from_one_template_cost_no_more_each(library: Library) -> None:
    """The cap of candidates: neither requests nor writes nor what a transaction holds grow with the family."""
    template = prose(1, 60)
    counts = counting(library.table)
    transacted: list[int] = []
    transact = library.table.transact

    def noting(writes: Any) -> None:
        transacted.append(len(writes))
        transact(writes)

    library.table.transact = noting  # type: ignore[method-assign]
    costs = []
    for number in range(150):
        before = counts.total()
        library.add(f"{template} dear {prose(1000 + number, 2)}", title=f"Letter {number}")
        costs.append(counts.total() - before)
        if number % 16 == 15:
            library.tidy()
    # 64 of the family are full bands; from there on nothing may grow.
    assert max(costs[110:]) <= max(costs[70:110]) + 2
    assert sum(costs[110:]) <= 1.05 * sum(costs[70:110])
    assert max(transacted) <= _TRANSACTION_WRITES
    fits(library)


def test_bytes_whose_document_is_deleted_this_moment_become_one_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingested(library, b"Some words.")["doc_id"]
    claim = Claims.claim

    def meanwhile(claims: Claims, sha256: str, doc_id: str) -> str | None:
        found = claim(claims, sha256, doc_id)
        monkeypatch.undo()
        library.delete(first)
        return found

    monkeypatch.setattr(Claims, "claim", meanwhile)
    second = ingested(library, b"Some words.")
    assert "duplicate_of" not in second
    assert Documents(library.table, "ann").find(second["doc_id"])


def test_the_file_of_a_duplicate_goes_with_the_job(library: Library) -> None:
    """Its bytes are those of a document; when that one is deleted, no copy may stay."""
    content = b"Some words of a kettle."
    first = ingested(library, content)["doc_id"]
    job = library.job()
    source = f"inline/{job.job_id}/source"
    params = {"source": source, "content": msgspec.to_builtins(sniff(content, filename="a.txt", size=23))}
    library.table.items[job.key]["params"] = msgspec.json.encode(params).decode()
    library.objects.put(source, content)
    process_file_upload(library.run(msgspec.structs.replace(job, params=params)))
    assert library.result(job)["duplicate_of"] == first
    library.delete(first)
    library.tidy()
    assert library.objects.bodies == {}


# --- Names ---------------------------------------------------------------------------------------------------

LONG = "é" * 10_000


def test_a_title_of_10_000_characters_is_cut(library: Library) -> None:
    result = ingested(library, f"# {LONG}\n\nSome words.".encode(), name="a.md")
    fits(library)
    assert len(result["title"]) <= 500
    (found,) = library.found("words").hits
    assert found.document.title == result["title"]


def test_what_a_file_says_of_itself_is_cut_to_what_a_row_holds(library: Library) -> None:
    long = "x" * 300_000
    letter = f"From: {long} <a@example.com>\nTo: b@example.com\nSubject: {long}\n\nSome words.\n"
    result = ingested(library, letter.encode(), name="letter.eml")
    fits(library)
    assert Documents(library.table, "ann").require(result["doc_id"]).metadata["subject"].startswith("xx")
    library.add(
        "Some words.",
        title=long,
        metadata={f"{number} {long}": long for number in range(1000)},
        warnings=tuple(f"{number} {long[:2000]}" for number in range(5000)),
    )
    fits(library)


def test_a_file_name_of_10_000_characters_gets_an_answer(api: Api) -> None:
    answer = upload(api, b"Some words.", name=f"{LONG}.txt")
    assert answer.status_code in (202, 400)
    if answer.status_code == 202:
        job = JobStore(services.table()).find(answer.json_body["job_id"])
        assert job is not None
        assert job.filename.endswith(".txt")
        assert len(job.filename) <= 200


def test_names_of_topics_have_a_limit(api: Api) -> None:
    library = Library(api.user)
    library.table, library.objects = services.table(), services.objects()  # type: ignore[assignment]
    cluster_id = library.add(prose(1))["cluster_id"]
    for name in (LONG, "", " ", "a\nb", "a\0b"):
        assert "name" in error_of(api.send("PUT", f"/clusters/{cluster_id}", {"name": name}))
    bodies: list[Any] = [{}, {"name": 7}, {"name": None}, [], "x", {"name": "a", "b": 1}]
    for body in bodies:
        error_of(api.send("PUT", f"/clusters/{cluster_id}", body))


def test_a_concept_of_10_000_characters_is_cut(library: Library) -> None:
    word = "ab" * 5000
    library.add(f"{word} is one. {word} is two. The {word} again.", title=word)
    fits(library)
    library.add("def " + "x" * 10_000 + "(): pass\n" * 3, title="code", source_type="code")
    fits(library)


# --- Merging -------------------------------------------------------------------------------------------------


def test_a_merge_of_1_000_ids_names_its_limit(api: Api) -> None:
    answer = api.post("/duplicates/merge", {"keep": new_id(), "remove": [new_id() for _ in range(1000)]})
    assert "20" in error_of(answer)


def test_many_merges_in_all_directions_at_once_leave_one_document(library: Library) -> None:
    ids = [library.add(prose(1), title=f"Number {number}")["doc_id"] for number in range(4)]

    def merge(keep: str) -> None:
        try:
            Merging(library.table, library.objects, "ann").merge(keep, [one for one in ids if one != keep])
        except NotFound:
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(merge, ids * 2))
    there = Documents(library.table, "ann").find_many(ids)
    assert len(there) == 1
    assert Documents(library.table, "ann").count() == 1


# --- Search --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "q",
    [
        "the of and",
        '""',
        '"',
        '"""',
        '" "',
        '"kettle ladder',
        'kettle" "ladder',
        "*",
        "**",
        "* * *",
        "k*e*t",
        '"*"',
        "-",
        "AND OR NOT",
        "\x00\x07\x1b",
        "kettle\x00ladder",
        "\u202ekettle",
        "مرحبا",
        "שלום עולם",
        "🙂",
        "🙂*",
        "\u0301\u0301",
        "a" * 200,
        "\ufffd\ufffe",
        "%",
        "\\",
        "(((",
        "[",
    ],
)
def test_any_question_gets_an_answer(api: Api, q: str) -> None:
    answer = api.get(f"/search?q={quote(q)}")
    assert answer.status_code in (200, 400), answer.body
    if answer.status_code == 400:
        assert "q" in error_of(answer)
    else:
        assert answer.json_body["results"] == []


@pytest.mark.parametrize(
    "q", ["", "%20", quote("x" * 10_000), quote("é" * 201), quote("\ud800", errors="surrogatepass"), "%FF%FE"]
)
def test_a_question_that_is_none_is_refused(api: Api, q: str) -> None:
    answer = api.get(f"/search?q={q}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert "q" in error_of(answer)


def test_questions_find_strange_words_too(library: Library) -> None:
    for text in ("مرحبا بالعالم الجميل", "שלום עולם יפה", "naïve café 🙂", "C++ and F# beside .NET"):
        doc_id = library.add(text)["doc_id"]
        for word in text.split()[:2]:
            if any(character.isalnum() for character in word) and word != "and":
                assert doc_id in library.search(word), word


# --- Nothing there yet ---------------------------------------------------------------------------------------


def test_an_empty_library_answers_everywhere(api: Api) -> None:
    assert api.get("/duplicates").json_body["groups"] == []
    assert api.get("/clusters").json_body["clusters"] == []
    assert api.get("/clusters?sort=largest").json_body["clusters"] == []
    assert api.get("/documents").json_body["documents"] == []
    assert api.get("/search?q=kettle").json_body["total"] == 0
    assert api.get("/analytics").json_body["overview"]["total_documents"] == 0
    for period in ("7d", "30d", "90d", "all"):
        assert api.get(f"/analytics?time_period={period}").status_code == 200
        assert api.get(f"/analytics/export?time_period={period}").status_code == 200


@pytest.mark.parametrize("period", ["", "1d", "365d", "ALL", "all ", "%00", "7d&time_period=all"])
def test_an_unknown_period_names_those_there_are(api: Api, period: str) -> None:
    for path in ("/analytics", "/analytics/export"):
        answer = api.get(f"{path}?time_period={period}")
        if answer.status_code != 200:
            assert "30d" in error_of(answer)


@pytest.mark.parametrize("number", [0, -1, 11, 10**30, 2.5, "5", True, None, [], {}, "nan"])
def test_a_wrong_number_of_suggestions_names_its_limits(api: Api, number: Any) -> None:
    answer = api.post("/what_can_i_build", {"max_suggestions": number})
    message = error_of(answer)
    assert "max_suggestions" in message


def test_suggestions_from_an_empty_library_say_why_and_what_to_do(library: Library) -> None:
    result = library.task("generate_build_suggestions", generate_build_suggestions)
    assert result["suggestions"] == []
    assert result["reasons"]
    assert result["next_steps"]
    library.add("x")
    result = library.task("generate_build_suggestions", generate_build_suggestions)
    assert result["suggestions"] == []
    assert "1 of the 3" in result["reasons"][0]
    assert result["next_steps"]


def test_a_rescan_of_an_empty_library_finds_nothing(library: Library) -> None:
    assert library.rescan()["groups"] == []


@pytest.mark.parametrize("threshold", [0, 2, "nan", float("inf"), "much", None, [], {}, True, 10**400])
def test_a_rescan_with_a_threshold_out_of_range_says_so(library: Library, threshold: Any) -> None:
    with pytest.raises(SyncBoardError, match="threshold"):
        library.rescan(threshold=threshold)
