"""What a person types, and what a text is found by."""

from __future__ import annotations

import time

import pytest

from chalicelib.errors import InvalidRequest
from chalicelib.knowledge.searchwords import FULL, MAX_TERMS, fold, impacts, question, term


def test_accents_and_case_are_folded() -> None:
    assert fold("CAFÉ Straße ﬁne") == "cafe strasse fine"


def test_forms_of_a_word_are_one_term() -> None:
    assert question("baking baked BAKES bake").terms == ("bak",)


def test_a_question_has_words_phrases_beginnings_and_what_is_ignored() -> None:
    asked = question('the kettle "state of the art" lad* Ähre')
    assert asked.terms == ("kettl", "ahr", "stat", "art")
    assert asked.phrases == (("state", "of", "the", "art"),)
    assert asked.prefixes == ("lad",)
    assert asked.ignored == ("the", "of")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('"open phrase', ("open", "phras")),
        ('kettle ""', ("kettl",)),
        ('"salt-pepper"', ("salt", "pepper")),
        ("salt_pepper", ("salt", "pepper")),
    ],
)
def test_odd_marks_are_taken_as_they_come(text: str, terms: tuple[str, ...]) -> None:
    assert question(text).terms == terms


@pytest.mark.parametrize("text", ["", "  ", "!?", '"', "*", "__", "🎉"])
def test_a_question_without_a_letter_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        question(text)


@pytest.mark.parametrize(
    "text", ["a*", " ".join(f"word{n}" for n in range(17)), " ".join(f"be{n}*" for n in range(17))]
)
def test_a_question_that_would_read_too_much_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        question(text)


@pytest.mark.parametrize("text", ["the of and", '"to be or not to be"', "der die das und"])
def test_of_function_words_alone_nothing_is_left(text: str) -> None:
    asked = question(text)
    assert asked.empty
    assert asked.ignored


def test_a_run_without_spaces_is_asked_for_in_pairs() -> None:
    assert question("北京大学").terms == ("北京", "京大", "大学")
    assert {"北京", "京大"} <= impacts("我在北京大学学习").keys()


def test_a_word_weighs_more_the_oftener_it_stands_and_the_shorter_the_text_is() -> None:
    short, long = impacts("kettle on the fire"), impacts("kettle on the fire " + "and so on " * 300)
    twice = impacts("kettle on the kettle")
    assert twice["kettl"] > short["kettl"] > long["kettl"]
    assert "the" not in short


def test_the_title_counts_more_than_the_text() -> None:
    assert impacts("some words here", ("Kettle",))["kettl"] > impacts("kettle some words here")["kettl"]


def test_an_identifier_is_found_whole_and_by_its_parts() -> None:
    found = impacts("parseHttpResponse(syntax_tree)")
    assert {
        term(word) for word in ("parsehttpresponse", "parse", "http", "response", "syntax", "tree")
    } <= found.keys()


def test_a_huge_text_has_bounded_terms_and_takes_moments() -> None:
    started = time.process_time()
    found = impacts(" ".join(f"w{number}" for number in range(400_000)))
    assert time.process_time() - started < 5.0
    assert len(found) == MAX_TERMS
    assert all(1 <= impact <= FULL for impact in found.values())
