"""Search: what is found, in what order, how it is shown, and what it costs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.errors import Unavailable, UploadMissing
from chalicelib.ingest.document import Segment
from chalicelib.jobs.job import new_id
from chalicelib.knowledge.searchwords import question
from chalicelib.knowledge.snippets import snippet
from chalicelib.library import search, searchindex
from chalicelib.library.searchindex import SearchIndex, fresh_row
from tests.unit.libraries import WORDS, Library, counting, prose

Settle = Callable[[Library], None]


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture(params=["fresh", "tidied", "half and half"])
def settle(request: pytest.FixtureRequest) -> Settle:
    """Whether the documents are rows still, or in a segment, must make no difference."""

    def settle(library: Library) -> None:
        if request.param == "half and half":
            others = library.add("nothing of interest")["doc_id"]
            library.tidy()
            library.delete(others)
        elif request.param == "tidied":
            library.tidy()

    return settle


def test_documents_with_all_words_are_found_the_best_first(library: Library, settle: Settle) -> None:
    much = library.add("kettle kettle kettle and a ladder")["doc_id"]
    some = library.add("a kettle stands beside a ladder " + "and many other things besides " * 20)["doc_id"]
    library.add("a kettle alone")
    library.add("nothing at all")
    settle(library)
    assert library.search("kettles ladder") == [much, some]
    assert library.found("kettle ladder").match == "all"


def test_where_none_has_all_words_those_with_some_are_found(library: Library, settle: Settle) -> None:
    one = library.add("the kettle sings")["doc_id"]
    library.add("nothing at all")
    settle(library)
    found = library.found("kettle submarine")
    assert [hit.document.doc_id for hit in found.hits] == [one]
    assert found.match == "some"


def test_a_rare_word_counts_more_than_a_common_one(library: Library, settle: Settle) -> None:
    for _ in range(6):
        library.add("kettle and more of the same")
    rare = library.add("a falcon and more of the same")["doc_id"]
    settle(library)
    assert library.search("kettle falcon")[0] == rare


def test_a_phrase_must_stand_there_as_it_is(library: Library, settle: Settle) -> None:
    right = library.add("We follow the state of the art, always.")["doc_id"]
    library.add("The art of the state follows us.")
    accented = library.add("Beim Café   Größe: alles gut")["doc_id"]
    settle(library)
    assert library.search('"state of the art"') == [right]
    assert library.search('"CAFE grösse"') == [accented]
    assert library.search('"state art"') == []


def test_a_beginning_finds_all_words_that_begin_so(library: Library, settle: Settle) -> None:
    ids = [library.add(text)["doc_id"] for text in ("kettles here", "kettledrums here", "a kit there")]
    settle(library)
    assert sorted(library.search("kettle*")) == sorted(ids[:2])
    assert library.search("kit*") == ids[2:]


def test_scripts_without_spaces_are_found(library: Library, settle: Settle) -> None:
    right = library.add("我在北京大学学习计算机科学")["doc_id"]
    library.add("我喜欢吃苹果")
    settle(library)
    assert library.search("北京大学") == [right]


def test_the_title_and_the_file_name_are_found(library: Library, settle: Settle) -> None:
    right = library.add("nothing of the kind", title="Quarterly falcon report")["doc_id"]
    settle(library)
    assert library.search("falcon") == [right]


def test_filters_choose_among_what_was_found(library: Library, settle: Settle) -> None:
    plain = library.add("kettle in a text")
    page = library.add("kettle on a page", source_type="html")
    settle(library)
    assert library.search("kettle", source_type="html") == [page["doc_id"]]
    assert plain["doc_id"] in library.search("kettle", cluster_id=plain["cluster_id"])
    assert library.search("kettle", cluster_id=new_id()) == []
    assert len(library.search("kettle", skill_level=plain["skill_level"])) >= 1
    assert library.search("kettle", skill_level="wizard") == []
    made = library.found("kettle").hits[0].document.created_at
    assert len(library.search("kettle", since=made - 60_000, until=made + 60_000)) == 2
    assert library.search("kettle", until=made - 60_000) == []
    assert library.search("kettle", since=made + 60_000) == []


def test_the_total_is_of_what_is_meant_or_says_that_it_is_a_bound(library: Library, settle: Settle) -> None:
    for number in range(3):
        library.add(f"kettle number {number} {prose(number)}")
    library.add("a quiet kettle on a page", source_type="html")
    settle(library)

    def totals(q: str, **given: Any) -> tuple[int, bool]:
        found = library.found(q, **given)
        return found.total, found.exact

    assert totals("kettle") == totals("kettle", limit=1) == (4, True)
    assert totals("kettle", source_type="html") == (1, True)
    assert totals("kettle", skill_level="wizard") == (0, True)
    assert totals('"quiet kettle"') == (1, True)
    assert totals("kettle", source_type="text", limit=1) == (4, False)


def test_pages_follow_each_other_without_gap_or_repetition(library: Library, settle: Settle) -> None:
    ids = {library.add(f"kettle {'and more ' * (number % 7)}")["doc_id"] for number in range(23)}
    settle(library)
    seen: list[str] = []
    after = None
    while True:
        found = library.found("kettle", limit=5, after=after)
        seen += [hit.document.doc_id for hit in found.hits]
        after = found.last
        if after is None:
            break
    assert len(seen) == 23
    assert set(seen) == ids
    assert found.total == 23


def test_what_was_deleted_is_not_counted(library: Library, settle: Settle) -> None:
    ids = [library.add(f"kettle number {number}")["doc_id"] for number in range(4)]
    settle(library)
    library.delete(ids[0])

    def away(_key: str) -> None:
        raise Unavailable("away")

    library.objects.delete = away
    library.delete(ids[1])
    found = library.found("kettle")
    assert (found.total, {hit.document.doc_id for hit in found.hits}) == (2, set(ids[2:]))


def test_nobody_finds_anothers_documents(library: Library, settle: Settle) -> None:
    Library("ben", library).add("kettle")
    settle(library)
    assert library.search("kettle") == []


def test_a_snippet_shows_where_the_words_stand(library: Library) -> None:
    library.add(
        "Lorem ipsum dolor. " * 40 + "Then the kettle boiled,\nand the ladder fell. " + "Amen amen. " * 40
    )
    (hit,) = library.found("kettles ladder").hits
    assert hit.snippet is not None
    marked = [hit.snippet.text[start:end] for start, end in hit.snippet.marks]
    assert marked == ["kettle", "ladder"]
    assert "\n" not in hit.snippet.text
    assert hit.snippet.offset > 500


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Finding a kettle\n\n> It **really** whistles.", "Finding a kettle It really whistles."),
        ("| name | use |\n| --- | :---: |\n| kettle | tea |", "name use kettle tea"),
        (
            "**^** *Kettles* of the [old world](https://example.org/a_b) and `new`",
            "Kettles of the old world and new",
        ),
        ("- one kettle\n- 2 * 3 = 6, a_b and C*\n", "one kettle 2 * 3 = 6, a_b and C"),
        ("<b>Kettle</b> x < 5 | y", "Kettle x < 5 y"),
    ],
)
def test_a_snippet_shows_no_markup_and_marks_what_it_shows(text: str, shown: str) -> None:
    found = snippet(text, question("kettle"))
    assert found.text == shown
    assert [found.text[at:end].lower().rstrip("s") for at, end in found.marks] == ["kettle"]


def test_a_snippet_of_code_shows_what_stands_there() -> None:
    code = "def kettle(**options):  # whistles\n    return a | b"
    found = snippet(code, question("kettle"), markup=False)
    assert found.text == "def kettle(**options): # whistles return a | b"


def test_marks_stand_where_the_words_are_however_much_markup_there_is() -> None:
    text = " ".join(f"**word{number}** [kettle](https://example.org/{number}) |" for number in range(60))
    found = snippet(text, question("kettle"))
    assert len(found.text) > 200
    assert len(found.marks) > 10
    assert {found.text[at:end] for at, end in found.marks} == {"kettle"}


def test_a_snippet_of_a_phrase_begins_at_the_phrase(library: Library) -> None:
    library.add("art and state. " * 60 + "the state of the art")
    (hit,) = library.found('"state of the art"').hits
    assert hit.snippet is not None
    assert "state of the art" in hit.snippet.text


def test_a_snippet_is_the_beginning_where_only_the_title_has_the_word(library: Library) -> None:
    library.add("Something else. " * 40, title="Kettle")
    (hit,) = library.found("kettle").hits
    assert hit.snippet is not None
    assert (hit.snippet.offset, hit.snippet.marks) == (0, [])


def test_of_a_recording_the_passages_are_shown_with_their_times(library: Library) -> None:
    said = ("Welcome to the show.", "Today: the kettle.", "A ladder and a kettle.", "Good night.")
    segments = tuple(Segment(start=10.0 * n, end=10.0 * n + 9, text=text) for n, text in enumerate(said))
    library.add("\n".join(said), segments=segments)
    (hit,) = library.found("kettle ladder").hits
    assert [passage.start for passage in hit.passages] == [10.0, 20.0]
    assert library.found("welcome").hits[0].passages == [segments[0]]


def test_a_search_reads_no_library(library: Library) -> None:
    """Requests do not grow with the documents: the index's rows, blocks of it, what is shown."""
    for number in range(60):
        library.add(f"kettle {prose(number, 8)}")
        if number == 30:
            library.tidy()
    counts, reads = counting(library.table), list[str]()
    get = library.objects.get

    def counted(key: str, **options: object) -> bytes:
        reads.append(key)
        return bytes(get(key, **options))

    library.objects.get = counted
    assert len(library.found("kettle", limit=10).hits) == 10
    assert counts == {"query": 1, "get_many": 1}
    segments = len(SearchIndex(library.table, library.objects, "ann").read().segments)
    assert len(reads) <= 10 + 2 * segments


def test_a_search_during_a_tidying_starts_again(library: Library) -> None:
    for _ in range(3):
        library.add("kettle")
    library.tidy()
    library.add("kettle")
    get = library.objects.get

    def meanwhile(key: str, **options: object) -> bytes:
        library.objects.get = get
        library.tidy()
        return bytes(get(key, **options))

    library.objects.get = meanwhile
    assert len(library.search("kettle")) == 4


def test_many_documents_make_few_segments(library: Library) -> None:
    index = SearchIndex(library.table, library.objects, "ann")
    for number in range(1000):
        library.table.write(fresh_row("ann", new_id(), {f"number{number}": 5, "kettl": 9}))
        if number % 16 == 15 or number == 999:
            while index.tidy():
                pass
    standing = index.read()
    assert standing.fresh == {}
    assert len(standing.segments) <= 5
    assert sum(segment.directory.documents for segment in standing.segments) == 1000
    assert sorted(library.objects.keys("search/")) == sorted(segment.key for segment in standing.segments)


def test_of_two_tidyings_at_once_one_does_the_work(library: Library) -> None:
    for number in range(5):
        library.add(f"kettle {number}")
    index = SearchIndex(library.table, library.objects, "ann")
    transact = library.table.transact

    def meanwhile(writes: object) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        library.tidy()
        transact(writes)  # type: ignore[arg-type]

    library.table.transact = meanwhile  # type: ignore[method-assign]
    done = index.tidy()
    assert done is not None
    assert done.added == 0
    library.tidy()
    assert len(library.search("kettle")) == 5
    assert len(library.objects.keys("search/")) == 1


def test_a_tidying_that_misses_a_file_which_another_one_has_replaced_looks_again(library: Library) -> None:
    ids = [library.add(f"kettle {number}")["doc_id"] for number in range(3)]
    library.tidy()
    library.delete(ids[0])
    get = library.objects.get

    def meanwhile(*given: Any, **options: Any) -> Any:
        library.objects.get = get
        library.tidy()
        return get(*given, **options)

    library.objects.get = meanwhile
    index = SearchIndex(library.table, library.objects, "ann")
    assert index.tidy() == searchindex.Tidied()
    assert index.tidy() is None
    assert set(library.search("kettle")) == set(ids[1:])


def test_an_index_that_names_a_lost_file_says_so(library: Library) -> None:
    doc_id = library.add("kettle")["doc_id"]
    library.tidy()
    library.delete(doc_id)
    library.objects.bodies.clear()
    with pytest.raises(UploadMissing):
        SearchIndex(library.table, library.objects, "ann").tidy()


def test_a_tidying_whose_answer_was_lost_keeps_its_file(library: Library) -> None:
    """The request is sent again, and refused: by what it has done itself."""
    doc_id = library.add("kettle")["doc_id"]
    transact = library.table.transact

    def twice(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        transact(writes)
        transact(writes)

    library.table.transact = twice  # type: ignore[method-assign]
    assert SearchIndex(library.table, library.objects, "ann").tidy()
    assert library.search("kettle") == [doc_id]
    library.tidy()
    assert library.search("kettle") == [doc_id]


def test_one_step_takes_deleted_documents_out_of_so_many_bytes_of_files(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files they are spread over: a step holds whole files in memory."""
    monkeypatch.setattr(searchindex, "_RATIO", 0)  # no file is joined with another
    ids = []
    for seed in range(4):
        ids += [library.add(prose(seed, 40))["doc_id"] for _ in range(3)]
        library.tidy()
    index = SearchIndex(library.table, library.objects, "ann")
    assert len(index.read().segments) == 4
    monkeypatch.setattr(searchindex, "_MAX_BYTES", max(stored.size for stored in index.read().segments))
    for doc_id in ids[::3]:
        library.delete(doc_id)
    steps = []
    while done := index.tidy():
        steps.append(done.removed)
    assert steps == [1, 1, 1, 1]
    assert set(library.search(" ".join(f"{word}*" for word in WORDS[:8]))) <= set(ids) - set(ids[::3])
    assert {name for stored in index.read().segments for name in index.open(stored).all_ids()} == set(
        ids
    ) - set(ids[::3])


def test_the_file_of_a_killed_tidying_is_swept(library: Library) -> None:
    library.add("kettle")
    library.tidy()
    library.objects.put("search/ann/1-x", b"left by a killed run")
    library.objects.put("search/ann/99999999999999-y", b"of one that is at work")
    library.tidy()
    assert "search/ann/1-x" not in library.objects.bodies
    assert "search/ann/99999999999999-y" in library.objects.bodies


def test_ranks_are_those_of_a_plain_bm25(library: Library) -> None:
    """Against a straightforward computation over all documents, whatever mixture of segments and rows there is."""
    import math

    from chalicelib.knowledge.searchwords import impacts

    chance = random.Random(4)
    texts = [
        " ".join(chance.choices(["kettle", "ladder", "falcon", "candle", "marble"], k=12)) for _ in range(60)
    ]
    ids = []
    for number, text in enumerate(texts):
        ids.append(library.add(text, title="x")["doc_id"])
        if number in (20, 40):
            library.tidy()
    there = {doc_id: impacts(text, ("x", "x.txt")) for doc_id, text in zip(ids, texts, strict=True)}
    expected = {}
    for doc_id, found in there.items():
        if "kettl" in found and "falcon" in found:
            score = 0.0
            for term in ("kettl", "falcon"):
                having = sum(term in other for other in there.values())
                score += math.log(1 + (60 - having + 0.5) / (having + 0.5)) * found[term] / 255
            expected[doc_id] = score
    hits = library.found("kettle falcon").hits
    assert {hit.document.doc_id: hit.score for hit in hits} == {
        doc_id: round(score, 3) for doc_id, score in expected.items()
    }
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("most", [3, 8, 500])
def test_pages_show_each_document_once_however_many_score_the_same(
    library: Library, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A page reads the ids of the best only: those that equal its last one belong to them."""
    for number in range(40):
        library.add(f"anchor {'basket ' * (number % 3)}", title=f"Note {'x' * (number % 2)}")
        if number == 25:
            library.tidy()
    everything = library.search("anchor")
    assert len(everything) == 40
    monkeypatch.setattr(search, "_MAX_ROWS", most)
    seen: list[str] = []
    after, pages = None, 0
    while pages < 60:
        page = library.found("anchor", limit=3, after=after)
        assert page.total == 40
        seen += [hit.document.doc_id for hit in page.hits]
        after, pages = page.last, pages + 1
        if after is None:
            break
    assert seen == everything
