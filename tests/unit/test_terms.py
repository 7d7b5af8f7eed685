"""What becomes a term, and what does not."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.knowledge import background
from chalicelib.knowledge.terms import term_vector
from chalicelib.knowledge.tokens import BREAK, SAMPLE_CHARS, clean, sample, singular, stem, subwords, tokens


def words(text: str) -> list[str]:
    return [word for word in tokens(clean(text)) if word != BREAK]


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("queries", "query"),
        ("boxes", "box"),
        ("trees", "tree"),
        ("branches", "branch"),
        ("classes", "class"),
        ("analysis", "analysis"),
        ("physics", "physics"),
        ("series", "series"),
        ("status", "status"),
        ("gas", "gas"),
    ],
)
def test_plurals_are_folded_and_other_words_in_s_are_not(plural: str, expected: str) -> None:
    assert singular(plural) == expected


@pytest.mark.parametrize(
    "forms",
    [("bake", "baking", "baked", "bakes"), ("run", "running", "runs"), ("query", "queries", "queried")],
)
def test_forms_of_a_word_share_a_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize("word", ["string", "thing", "king", "speed", "need"])
def test_a_word_that_only_looks_inflected_keeps_its_ending(word: str) -> None:
    assert stem(word) == word


def test_contractions_break_a_phrase_and_possessives_are_dropped() -> None:
    assert tokens("I've Ada’s notes") == [BREAK, "Ada", "notes"]


def test_mail_headers_and_signatures_are_dropped_and_the_subject_stays() -> None:
    mail = "From: ann@example.org\nSubject: Re: roses\nOrganization: Acme\n\nPrune in March.\n-- \nAnn Smith\nAcme\n"
    assert words(mail) == ["roses", "Prune", "in", "March"]


def test_addresses_paths_hosts_and_markup_are_no_words() -> None:
    text = "See <b>docs</b> at https://x.example/a?b=1, mail me@example.org, host db.example.com, /etc/my/conf &amp;"
    assert words(text) == ["See", "docs", "at", "mail", "host"]


def test_a_markdown_link_keeps_its_text() -> None:
    assert words("the [borrow checker](https://doc.example/book) says") == [
        "the",
        "borrow",
        "checker",
        "says",
    ]


def test_a_word_broken_at_the_end_of_a_line_is_joined() -> None:
    assert words("a long explan-\nation") == ["a", "long", "explanation"]


def test_code_tokens_and_base64_are_no_words() -> None:
    assert words("call my_function with bnRlbnQuCgZx now") == ["call", "with", "now"]


def test_languages_with_signs_in_their_names_are_one_token() -> None:
    assert words("C++ and C# and .NET and node.js") == ["C++", "and", "C#", "and", ".NET", "and", "node.js"]


def test_identifiers_split_at_humps_and_underscores() -> None:
    assert subwords("parseHTTPHeader_v2") == ["parse", "HTTP", "Header", "v"]


def test_the_vector_has_length_one_and_at_most_the_limit() -> None:
    vector = term_vector(
        " ".join(f"word{chr(97 + i)}{chr(97 + j)}" for i in range(26) for j in range(26)), limit=50
    )
    assert len(vector) == 50
    assert math.isclose(sum(weight**2 for weight in vector.values()), 1.0)


def test_common_words_weigh_less_than_rare_ones_and_stop_words_nothing() -> None:
    vector = term_vector("the time of the photosynthesis")
    assert vector["photosynthesis"] > 2 * vector["tim"]
    assert "the" not in vector


def test_repetition_counts_less_than_proportionally() -> None:
    vector = term_vector("flour flour flour flour flour flour flour flour yeast")
    assert 1 < vector["flour"] / vector["yeast"] < 8


def test_identifiers_give_their_parts_as_terms() -> None:
    assert {"http", "header"} <= term_vector("def parse_http_header(): return HttpHeader()").keys()


def test_scripts_without_spaces_give_character_pairs() -> None:
    assert {"机器", "学习"} <= term_vector("机器学习 and Кириллица").keys()
    assert "кириллица" in term_vector("机器学习 and Кириллица")


def test_function_words_of_the_texts_language_are_left_out() -> None:
    vector = term_vector("Die Katze sitzt auf der Matte und sie ist mit dem Leben nicht unzufrieden")
    assert "katz" in vector
    assert not {"die", "auf", "der", "und", "nicht"} & vector.keys()


@pytest.mark.parametrize("text", ["", " \n\t ", "the of and", "1234 5678", "!!! ---", "\x00\x01"])
def test_a_text_without_terms_gives_an_empty_vector(text: str) -> None:
    assert term_vector(text) == {}


def test_a_short_text_is_read_whole_and_a_long_one_is_sampled_over_its_length() -> None:
    assert sample("short") == ("short", False)
    text = "".join(f"{i:09d}\n" for i in range(1_000_000))
    part = sample(text)
    assert part.sampled
    assert len(part.text) < 160_000
    assert part.text.startswith("000000000\n")
    assert any(line.startswith("0009") for line in part.text.splitlines())


def test_no_word_is_cut_at_the_edges_of_a_sample() -> None:
    words = ("lorem", "ipsum", "dolorem", "consectetur", "é")
    chance = random.Random(1)
    text = " ".join(chance.choice(words) for _ in range(90_000))
    part = sample(text)
    assert part.sampled
    assert set(part.text.split()) == set(words)
    assert len(part.text) > 140_000
    assert len(sample("海" * 400_000).text) == 150_000 + 10 * len("\n\n")  # no spaces: cut all the same


@pytest.mark.parametrize("unit", ["a", "<a ", "[", "x@", "学", "\\a["])
def test_ten_megabytes_of_anything_take_a_bounded_time(unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    start = time.process_time()
    term_vector(text)
    assert time.process_time() - start < 2.0  # about 0.2 s here; a quadratic pattern would take minutes


@pytest.mark.parametrize(
    "unit",
    ["\ufdfa", "\u0301\u0323", "[a](", "](", "[", "<!--", "a@", "a-"],
    ids=[
        "growing under NFKC",
        "combining marks",
        "links",
        "link ends",
        "brackets",
        "comments",
        "mail",
        "hyphens",
    ],
)
def test_a_hostile_text_is_cleaned_in_a_fraction_of_a_second(unit: str) -> None:
    text = sample(unit * (450_000 // len(unit))).text
    began = time.process_time()
    cleaned = clean(text)
    # Processor time, so that a busy machine fails nothing. Each took from 0.3 to 17 s, and must be linear.
    assert time.process_time() - began < 0.6
    assert len(cleaned) <= SAMPLE_CHARS * len(" ; ")


def test_normalising_in_pieces_changes_nothing_in_prose() -> None:
    text = "Cafe\u0301 \ufb01nance ｆｕｌｌ ½ … ".replace(" ", "\n") * 2_000
    assert words(text) == words(unicodedata.normalize("NFKC", text))


def test_links_comments_and_images_leave_their_words() -> None:
    text = (
        'See [the guide](https://a.example/x "Title") and [![logo](l.png)](/home). <!-- not <b>this</b> -->'
    )
    assert words(text) == ["See", "the", "guide", "and", "logo"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_unit_or_empty_vector(text: str) -> None:
    length = sum(weight**2 for weight in term_vector(text).values())
    assert length == 0 or math.isclose(length, 1.0)


def test_the_background_knows_common_words_and_calls_unknown_ones_rare() -> None:
    assert (
        background.idf("the")
        < background.idf("people")
        < background.idf("photosynthesis")
        < background.rarest()
    )
    assert background.idf("zzyzxq") == background.rarest()
    assert len(background.weights()) > 40_000


def test_importing_knowledge_reads_no_data_and_no_heavy_library() -> None:
    code = (
        "import sys, chalicelib.knowledge.concepts, chalicelib.knowledge.clusters\n"
        "from chalicelib.knowledge import background\n"
        "assert background.weights.cache_info().currsize == 0\n"
        "assert not {'numpy', 'sklearn', 'boto3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
