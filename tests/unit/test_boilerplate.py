"""Lines that are not what a text is about, and words that are nouns where they stand."""

from __future__ import annotations

import time

import pytest

from chalicelib.knowledge.boilerplate import plain_heading, without_boilerplate
from chalicelib.knowledge.concepts import extract_concepts
from chalicelib.knowledge.tablecells import without_data
from chalicelib.knowledge.tokens import BREAK, tokens
from chalicelib.knowledge.wordruns import runs


def names(text: str, *, title: str = "", kind: str = "text") -> list[str]:
    return [concept.name for concept in extract_concepts(text, title=title, kind=kind).concepts]


def nouns(text: str) -> list[str]:
    """Return the runs of a text as phrases."""
    return [" ".join(word for word, _ in run.words) for run in runs(tokens(text), "en")]


@pytest.mark.parametrize(
    "line",
    [
        "Home | Blog | Shop | Contact", "Page 3 of 12", "© 2024 The Kitchen Garden", "All rights reserved.",
        "Share this post: Facebook Twitter", "Posted on 12 February by Helen", "Dear Mrs Okafor,", "Hi there,",
        "36. **^** Thorpe 1996, p. 68.", "Skip to content", "CHAPTER IV",
        "Kapitel 3", "This e-mail may contain confidential information.",
    ],
)  # fmt: skip
def test_furniture_goes(line: str) -> None:
    assert without_boilerplate(f"Glaciers carve valleys.\n{line}\nIce flows.").split() == [
        "Glaciers", "carve", "valleys.", "Ice", "flows.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "| a | b | c |", "Dear friends of the harbour have always known that the tide turns twice a day.",
        "Share the dough between two tins.", "Thanks to the lock, no row is lost.", "A bread oven needs steam.",
    ],
)  # fmt: skip
def test_prose_and_tables_stay(line: str) -> None:
    assert line in without_boilerplate(f"Glaciers carve valleys.\n{line}\nIce flows.")


def test_what_stands_after_the_closing_of_a_letter_goes_and_a_long_line_ends_that() -> None:
    letter = (
        "The invoice is wrong.\n\nKind regards,\nJonas Lindqvist\nHead of Purchasing\n\nHelsinki | Tel: 123\n"
    )
    after = "The attachment repeats what was agreed about the reverse charge in the meeting of last week."
    kept = without_boilerplate(letter + after)
    assert "Lindqvist" not in kept
    assert "Helsinki" not in kept
    assert "The invoice is wrong." in kept
    assert after in kept


def test_a_page_header_counts_once() -> None:
    text = "\n".join(
        f"Harbour Works Handbook\nChapter {n} treats cranes and bollards number {n}." for n in range(9)
    )
    assert without_boilerplate(text).lower().count("harbour works handbook") == 1


def test_entries_of_a_bibliography_without_a_heading_go() -> None:
    entries = "\n\n".join(
        f"key{n}\nBahdanau, Cho, and Bengio.\nNeural translation.\nCoRR, {2010 + n}." for n in range(6)
    )
    assert "Bengio" not in without_boilerplate(f"Attention is all.\n\n{entries}")
    assert "Bengio" in without_boilerplate(f"Attention is all.\n\n{entries[:300]}")


@pytest.mark.parametrize(
    ("heading", "plain"),
    [
        ("Quarterly Report on Harbour Operations", "quarterly report on harbour operations"),
        ("## Choosing an Index: BRIN", "## choosing an index: BRIN"),
        ("TENANCY AGREEMENT", "tenancy agreement"),
        ("Johannes Gutenberg", "Johannes Gutenberg"),
        ("We met Anna Berg.", "We met Anna Berg."),
    ],
)
def test_a_heading_s_capitals_are_no_names(heading: str, plain: str) -> None:
    assert plain_heading(heading) == plain


@pytest.mark.parametrize(
    "unit", ["Home | Blog | Shop\n", "Kind regards,\n", "a, b, 1999\n\n", "\n", "| ", "Dear "]
)
def test_ten_megabytes_take_a_bounded_time(unit: str) -> None:
    text = unit * (150_000 // len(unit))
    start = time.process_time()
    without_boilerplate(without_data(text))
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("The duck swims.", "duck"),
        ("An exclusive lock is taken.", "exclusive lock"),
        ("It needs a load test now.", "load test"),
        ("The printing press is old.", "printing press"),
        ("He saw domestic ducks there.", "domestic ducks"),
        ("A lock waits. Of locks there are many.", "locks"),
    ],
)
def test_what_stands_before_a_word_makes_it_a_noun(text: str, phrase: str) -> None:
    assert phrase in nouns(text)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Does the tree grow in shade?", "tree grow"),
        ("The transformer stacks such layers.", "transformer stacks"),
        ("They have just received invoices.", "received invoices"),
        ("Some forty-two lines follow.", "forty-two lines"),
        ("In March the cranes stood still.", "March"),
    ],
)
def test_what_is_no_noun_stays_outside(text: str, phrase: str) -> None:
    assert phrase not in nouns(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("l'eau", ["eau"]), ("qu'il", [BREAK]), ("o'er", [BREAK]), ("they've", [BREAK]), ("O'Reilly", ["O'Reilly"]),
        ("Sheet1", [BREAK]), ("INV-2026-0417", [BREAK]), ("f49caff4d93d", [BREAK]), ("SHA-256", ["SHA-256"]),
        ("COVID-19", ["COVID-19"]), ("ibm.com/redbooks", ["ibm.com", BREAK, "redbooks"]),
    ],
)  # fmt: skip
def test_tokens_are_words(text: str, found: list[str]) -> None:
    assert tokens(text) == found


def test_a_file_s_name_alone_is_no_concept() -> None:
    assert names("Ducks swim in ponds.", title="docling_sample-2.docx") == [
        "pond"
    ] or "docling" not in " ".join(names("Ducks swim in ponds.", title="docling_sample-2.docx"))


def test_people_who_are_listed_stand_behind_the_subject() -> None:
    text = "Present: Anna Berg, Tom Okafor, Li Wei, Marta Ruiz.\n\nThe roof repair needs scaffolding."
    assert names(text)[0] not in {"Anna Berg", "Tom Okafor", "Li Wei", "Marta Ruiz"}
    assert "Johannes Gutenberg" in names("Around 1450 Johannes Gutenberg, a goldsmith, cast movable type.")


PEOPLE = ["Sheryl", "Preston", "Roy", "Linda", "Joanna", "Aimee"]


def test_what_comes_once_in_a_column_is_data() -> None:
    rows = "".join(f"| {name} | premium plan | Redis |\n" for name in PEOPLE)
    found = names(f"| customer | plan | cache |\n| --- | --- | --- |\n{rows}", kind="csv")
    assert {"premium plan", "Redis", "customer"} <= set(found)
    assert not set(PEOPLE) & set(found)


def test_small_tables_and_sentences_in_cells_are_read() -> None:
    small = "| name | born |\n| --- | --- |\n| Ada Lovelace | 1815 |\n| Alan Turing | 1912 |\n"
    assert without_data(small) == small
    long = "The lighthouse keeper cleans the lens each morning."
    rows = "".join(f"| {n} | {long if n == 3 else n} |\n" for n in range(8))
    assert long in without_data(f"| n | note |\n| --- | --- |\n{rows}")


def test_snippets_for_the_shell_make_no_text_one_on_bash() -> None:
    text = "Queues hold jobs.\n\n```sh\nmake run\n```\n\n```bash\ncurl x\n```\n"
    assert "Bash" not in names(text, kind="markdown")
    assert "Rust" in names("Queues hold jobs.\n\n```rust\nfn main() {}\n```\n", kind="markdown")


@pytest.mark.parametrize(
    "text", ["`app.py`'s handlers wait. Its handlers wait.", "Each lambda x is short.", "ffff ffff"]
)
def test_a_letter_and_a_repeated_word_make_no_phrase(text: str) -> None:
    assert not {"s handler", "lambda x", "ffff ffff"} & set(names(text))


def test_french_phrases_are_short() -> None:
    text = "Les coulées de lave filtrent l'eau de pluie, qui ressort en sources minérales sur la chaîne des volcans."
    assert max(len(name.split()) for name in names(text)) <= 2


def test_products_that_a_file_of_settings_names_are_found() -> None:
    settings = "services:\n  cache:\n    image: redis:7\n  database:\n    image: postgres:16\n"
    assert {"Redis", "PostgreSQL"} <= set(names(settings, kind="code", title="compose.yml"))
