"""What a document is said to be about."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.knowledge.categories import category
from chalicelib.knowledge.concepts import ConceptReport, extract_concepts
from chalicelib.knowledge.identifiers import read_code
from tests.unit.heldout_texts import HELD_OUT
from tests.unit.labelled_documents import Labelled
from tests.unit.labelled_texts import GUARD, KEYPHRASES, f1


def names(text: str, *, title: str = "", kind: str = "text") -> list[str]:
    return [concept.name for concept in extract_concepts(text, title=title, kind=kind).concepts]


def categories(text: str, *, title: str = "", kind: str = "text") -> dict[str, str]:
    return {
        concept.name: concept.category for concept in extract_concepts(text, title=title, kind=kind).concepts
    }


def test_the_thirty_labelled_texts_reach_the_quality_floor() -> None:
    assert len(GUARD) == 30
    scores = [f1(text) for text in GUARD]
    assert sum(scores) / len(scores) >= 0.64  # measured: 0.656; before the work on real files 0.586
    first = scores[: len(KEYPHRASES)]
    assert sum(first) / len(first) >= 0.69  # measured: 0.71


def test_texts_that_nothing_was_tuned_on_keep_their_quality() -> None:
    scores = [f1(text) for text in HELD_OUT]
    assert sum(scores) / len(scores) >= 0.6  # measured: 0.635; before the work on real files 0.567


@pytest.mark.parametrize("text", GUARD, ids=lambda text: text.title or "mail")
def test_no_labelled_text_falls_out(text: Labelled) -> None:
    assert f1(text) >= 0.4  # measured: 0.45 at the worst


def test_the_mean_confidence_is_not_above_the_share_that_is_right() -> None:
    confidences: list[float] = []
    right = 0.0
    for text in GUARD:
        report = extract_concepts(text.text, title=text.title, kind=text.kind)
        confidences += [concept.confidence for concept in report.concepts]
        right += f1(text) * (len(report.concepts) + len(text.expected)) / 2
    assert sum(confidences) / len(confidences) <= right / len(confidences) + 0.05


def test_names_are_singular_and_keep_the_case_of_proper_names() -> None:
    found = names(
        "Binary search trees are data structures. We store binary search trees on disk. Isaac Newton did not."
    )
    assert "binary search tree" in found
    assert "Isaac Newton" in found


@pytest.mark.parametrize(
    ("plural", "name"),
    [
        ("tomatoes", "tomato"), ("bread knives", "bread knife"), ("leather shoes", "leather shoe"),
        ("sparse matrices", "sparse matrix"), ("milk teeth", "milk tooth"), ("olives", "olive"),
        ("wild geese", "wild goose"),
    ],
)  # fmt: skip
def test_names_of_odd_plurals_are_words(plural: str, name: str) -> None:
    assert name in names(f"We have {plural}. They sell {plural}. Of {plural} there are many.")


def test_an_acronym_counts_for_the_phrase_that_explains_it() -> None:
    text = "A liquid crystal display (LCD) has two polarizers. The LCD needs a backlight. An LCD is flat."
    assert names(text)[0] == "liquid crystal display"
    assert "LCD" not in names(text)


def test_an_acronym_of_a_phrase_with_hyphens_counts_for_it() -> None:
    text = "A non-steroidal anti-inflammatory drug (NSAID) relieves pain. An NSAID lowers fever. One NSAID is cheap."
    assert names(text)[0] == "non-steroidal anti-inflammatory drug"
    assert "NSAID" not in names(text)


def test_an_acronym_of_six_words_breaks_nothing() -> None:
    text = "Light amplification by stimulated emission of radiation is a laser; Grand old city bus line map (GOCBLM)."
    assert names(text)


def test_a_planet_opens_a_sentence_and_stays_a_name_while_a_word_does_not() -> None:
    found = names("Saturn has rings. Saturn has moons. Bacteria grow. Bacteria divide.")
    assert "Saturn" in found
    assert "bacteria" in [name.lower() for name in found]
    assert "Bacteria" not in found


def test_general_words_are_no_concepts() -> None:
    assert (
        names("This paper presents a new approach. The results of the experiments show a large improvement.")
        == []
    )


def test_a_verb_before_an_article_ends_a_phrase() -> None:
    assert "worn chain ruin" not in names(
        "A worn chain ruins the cassette. The chain lube protects the chain."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We deploy a Go server: the compiler builds one binary and the code runs anywhere.", True),
        ("Go to the shop and buy bread. Go home early.", False),
    ],
)
def test_a_language_with_an_everyday_name_needs_a_technical_text(text: str, expected: bool) -> None:
    assert ("Go" in names(text)) is expected


def test_a_letter_is_a_language_only_next_to_a_word_of_programming() -> None:
    technical = "The function takes a string. The compiler reads the source code."
    assert "C" in names(technical + " It is a C compiler.")
    assert "C" not in names(technical + " Figure C shows it.")


def test_known_names_have_their_spelling_and_category() -> None:
    found = categories(
        "We moved from postgres to sqlite, and serve it with FastAPI on kubernetes over https."
    )
    assert found["PostgreSQL"] == "database"
    assert found["SQLite"] == "database"
    assert found["FastAPI"] == "framework"
    assert found["Kubernetes"] == "platform"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("string matching algorithm", "method"),
        ("plugin framework", "framework"),
        ("handshake protocol", "protocol"),
        ("game theory", "field"),
        ("volcanology", "field"),
        ("Jane Austen", "name"),
        ("left subtree", "concept"),
    ],
)
def test_a_head_noun_gives_the_category(name: str, expected: str) -> None:
    assert category(name) == expected


def test_code_gives_its_language_imports_and_the_words_of_its_names() -> None:
    code = (
        "import numpy as np\nfrom fastapi import FastAPI\n\n"
        "def spread_wildfire(area):\n    return area.wildfire_map\n"
    )
    found = categories(code, title="sim.py", kind="code")
    assert found["Python"] == "language"
    assert found["NumPy"] == "library"
    assert found["FastAPI"] == "framework"
    assert any("wildfire" in name for name in found)


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("fn main() {\n    let mut x = 1;\n    println!(\"{}\", x);\n}\n", "Rust"),
        ("#include <stdio.h>\nint main(void) {\n  printf(\"x\");\n}\n", "C"),
        ("package main\n\nfunc main() {\n\tx := 1\n\tfmt.Println(x)\n}\n", "Go"),
        ("SELECT a FROM t;\nINSERT INTO t VALUES (1);\n", "SQL"),
        ("nothing of the kind", ""),
    ],
)  # fmt: skip
def test_code_without_a_file_name_is_known_by_its_signs(code: str, language: str) -> None:
    assert read_code(code).language == language


def test_a_glob_in_code_opens_no_comment() -> None:
    code = read_code('PATTERN = "docs/**/*.html"\n\ndef count_pages(root):\n    return 1\n', "glob.py")
    assert {"count", "pages"} <= set(code.names)
    assert "def" not in code.prose


def test_fenced_code_names_its_language_and_gives_no_phrases() -> None:
    found = names(
        "Sorting notes.\n\n```python\nwobble_factor = wobble(wobble_factor)\n```\n", kind="markdown"
    )
    assert "Python" in found
    assert not any("wobble" in name for name in found)


def test_a_bibliography_is_no_subject() -> None:
    body = "Glaciers carve valleys. Glacier ice flows downhill. Moraines mark the edge of glaciers.\n" * 5
    found = names(body + "\nReferences\n\nSmith, Quentin. Journal of Ice. Smith, Quentin. More Ice.\n")
    assert "glacier" in found
    assert not any("Quentin" in name for name in found)


def test_german_nouns_are_found_without_verbs() -> None:
    found = names(
        "Die Photosynthese erzeugt Sauerstoff aus dem Wasser, und das Chlorophyll absorbiert das Licht."
    )
    assert {"Photosynthese", "Sauerstoff", "Chlorophyll"} <= set(found)
    assert not any("erzeugt" in name for name in found)


def test_chinese_terms_are_found() -> None:
    assert "机器学习" in names("机器学习是人工智能的一个分支。机器学习使用神经网络。")


def test_the_title_decides_between_equals_and_a_file_name_is_a_title() -> None:
    text = "The harpsichord and the clavichord are keyboard instruments."
    assert extract_concepts(text, title="clavichord.txt").primary_topic == "clavichord"
    assert extract_concepts(text, title="Harpsichord").primary_topic.lower() == "harpsichord"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("An introduction to sewing for beginners: a step-by-step tutorial on the basics.", "beginner"),
        (
            "We prove a lower bound on the convergence rate; the theorem needs a lemma on the manifold.",
            "advanced",
        ),
        ("The harbour was dredged in May, and two cranes were moved.", "intermediate"),
    ],
)
def test_the_level_follows_the_cues(text: str, level: str) -> None:
    assert extract_concepts(text).skill_level == level


@pytest.mark.parametrize("kind", ["text", "markdown", "code", "pdf"])
@pytest.mark.parametrize(
    "text", ["", "   \n", "the of and", "!?", "12 34", "\x00", "_", "```", '"""', "/*", "a\u0300\u200d"]
)
def test_a_text_that_says_nothing_has_no_concepts(text: str, kind: str) -> None:
    report = extract_concepts(text, kind=kind)
    assert report == ConceptReport(concepts=(), primary_topic="", skill_level="intermediate")


def test_one_word_is_its_own_concept() -> None:
    assert names("photosynthesis") == ["photosynthesis"]


def test_names_of_ten_thousand_characters_are_left_out() -> None:
    assert names("x" * 10_000 + " volcano " + "Y" * 10_000, title="z" * 10_000) == ["volcano"]


def test_a_long_text_is_sampled_and_says_so() -> None:
    assert not extract_concepts("volcano. " * 100).sampled
    assert extract_concepts("volcano. " * 100_000).sampled


def test_the_limit_is_kept() -> None:
    assert len(extract_concepts(KEYPHRASES[0].text, limit=3).concepts) == 3
    assert extract_concepts(KEYPHRASES[0].text, limit=0).concepts == ()


def test_a_report_survives_json() -> None:
    report = extract_concepts(KEYPHRASES[0].text)
    assert msgspec.json.decode(msgspec.json.encode(report), type=ConceptReport) == report


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        ("one line of a log file, repeated\n", "text"),
        ("a", "text"),
        ("Aa Bb ", "text"),
        ("x@", "text"),
        ("`", "markdown"),
        ("/*", "code"),
        ('"""', "code"),
        ("\n", "code"),
    ],
)
def test_ten_megabytes_of_anything_take_a_bounded_time(unit: str, kind: str) -> None:
    text = unit * (10_000_000 // len(unit))
    start = time.process_time()
    extract_concepts(text, kind=kind)
    assert (
        time.process_time() - start < 5.0
    )  # 0.7 s on a quiet machine; a quadratic pattern would take minutes


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=40), st.sampled_from(["text", "code", "markdown"]))
def test_any_text_gives_a_sound_report(text: str, title: str, kind: str) -> None:
    report = extract_concepts(text, title=title, kind=kind)
    assert len(report.concepts) <= 10
    assert all(0 < concept.confidence <= 0.95 and concept.name.strip() for concept in report.concepts)
    assert len({concept.name for concept in report.concepts}) == len(report.concepts)
