"""From recognised words to text."""

from __future__ import annotations

import pytest

from chalicelib.ocr.layout import Word, confidence_of, looks_like_table, text_of, trusted_letters, words_of

HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"


def word(
    text: str,
    *,
    block: int = 1,
    paragraph: int = 1,
    line: int = 1,
    left: int = 0,
    top: int = 0,
    confidence: float = 90,
) -> Word:
    return Word(
        text=text,
        confidence=confidence,
        block=block,
        paragraph=paragraph,
        line=line,
        left=left,
        top=top,
        width=50,
        height=20,
    )


def test_words_are_taken_from_the_rows_that_hold_one() -> None:
    table = "\n".join(
        (
            HEAD,
            "1\t1\t0\t0\t0\t0\t0\t0\t900\t900\t-1\t",
            "5\t1\t2\t1\t3\t1\t10\t20\t30\t40\t95.5\tReport",
            "5\t1\t2\t1\t3\t2\t50\t20\t30\t40\t95.5\t ",
            "",
        )
    )
    assert words_of(table) == [
        Word(
            text="Report", confidence=95.5, block=2, paragraph=1, line=3, left=10, top=20, width=30, height=40
        )
    ]


def test_lines_and_paragraphs_are_kept() -> None:
    words = [
        word("One"),
        word("two"),
        word("three", line=2),
        word("Four", paragraph=2),
        word("Five", block=2),
    ]
    assert text_of(words) == "One two\nthree\n\nFour\n\nFive"


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("infor-", "mation", "information"),
        ("North-", "Sea", "North-\nSea"),
        ("10-", "20", "10-\n20"),
        ("dash -", "no", "dash -\nno"),
    ],
)
def test_a_word_parted_at_the_line_end_is_joined_and_nothing_else(first: str, second: str, text: str) -> None:
    assert text_of([word(first), word(second, line=2)]) == text


def test_long_words_count_more_for_confidence() -> None:
    assert confidence_of([word("abcdefghi", confidence=90), word("x", confidence=0)]) == 81
    assert confidence_of([]) == 0


def test_letters_are_trusted_by_their_confidence() -> None:
    assert trusted_letters([word("abcd", confidence=50), word("ef", confidence=100)]) == 4


def grid(rows: int, columns: int, *, words: int) -> list[Word]:
    """Return a page of columns that are blocks, each row of a column being a line of some words."""
    return [
        word("cell", block=column, line=row, left=column * 500 + number * 60, top=row * 40)
        for column in range(columns)
        for row in range(rows)
        for number in range(words)
    ]


def test_rows_of_short_cells_in_blocks_of_their_own_look_like_a_table() -> None:
    assert looks_like_table(grid(6, 3, words=1))


@pytest.mark.parametrize(
    "words",
    [grid(40, 2, words=8), grid(20, 1, words=3), grid(3, 3, words=1), []],
    ids=["two columns of prose", "one block", "three rows", "nothing"],
)
def test_what_else_is_no_table(words: list[Word]) -> None:
    assert not looks_like_table(words)
