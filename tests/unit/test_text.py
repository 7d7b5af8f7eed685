"""Text, Markdown and code: encodings, line ends, titles."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import BrokenFile, EmptyFile, ParserCrashed, TooLarge
from chalicelib.ingest import text
from chalicelib.ingest.content import sniff
from chalicelib.ingest.document import MAX_TEXT_CHARACTERS, Extracted
from chalicelib.ingest.extraction import ExtractionLimits, extract
from chalicelib.ingest.text import clean, decode
from tests import documents

LIMITS = ExtractionLimits(memory_bytes=256 * 1024**2, seconds=20, max_pages=10)
GERMAN = "Die Bäckerei öffnet um sechs Uhr früh. Schöne Grüße aus Köln, wo die Straßen größer sind.\n" * 3
FRENCH = "Départ à huit heures près de l'église. Le sentier monte à travers une forêt de mélèzes.\n" * 3
POLISH = "Zażółć gęślą jaźń. Książka leży na półce, a światło świeci się w każdym pokoju.\n" * 3
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. Dnes večer půjdeme do kina s přáteli.\n" * 3
RUSSIAN = "Отчёт о работе порта за первый квартал. Съешь ещё этих мягких булок.\n" * 3
GREEK = "Η αναφορά ολοκληρώθηκε χθες το βράδυ και στάλθηκε στην επιτροπή του λιμανιού.\n" * 3
JAPANESE = "これは日本語のテキストです。文字コードの判定を試験しています。\n" * 3
CHINESE = "这是一个中文文本提取测试。合同编号为二〇二六。我们需要检测编码。\n" * 3
KOREAN = "이것은 한국어 텍스트입니다. 문자 인코딩을 확인합니다.\n" * 3


def read(folder: Path, data: bytes, name: str) -> Extracted:
    return documents.read(folder, data, name, limits=LIMITS)


# --- Encodings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("original", "encoding"),
    [
        *[(GERMAN, name) for name in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252")],
        *[(FRENCH, name) for name in ("latin-1", "cp1252")],
        (POLISH, "cp1250"),
        *[(CZECH, name) for name in ("cp1250", "iso8859_2")],
        *[(RUSSIAN, name) for name in ("cp1251", "koi8_r", "utf-16")],
        (GREEK, "cp1253"),
        *[(JAPANESE, name) for name in ("cp932", "euc_jp", "utf-8")],
        (CHINESE, "gb18030"),
        (KOREAN, "cp949"),
    ],
)
def test_the_encoding_is_found(original: str, encoding: str) -> None:
    found, _, warnings = decode(original.encode(encoding))
    assert found == original
    assert warnings == ()


def test_the_encoding_is_found_when_the_first_accent_comes_late() -> None:
    found, _, _ = decode(b"plain words only\n" * 3000 + FRENCH.encode("latin-1"))
    assert found.endswith(FRENCH)


def test_a_few_bad_bytes_in_utf8_are_damage_and_warned_about() -> None:
    found, encoding, warnings = decode(RUSSIAN.encode() + b"\xff\n" + RUSSIAN.encode())
    assert encoding == "utf-8"
    assert found.startswith(RUSSIAN)
    assert found.endswith(RUSSIAN)
    assert warnings == ("Characters that could not be decoded as utf-8: 1.",)


def test_what_no_encoding_fits_is_broken() -> None:
    with pytest.raises(BrokenFile, match="can't be decoded"):
        decode(b"\xff\xfe" + b"\x00\xdc\x41\x00" * 50)


@given(st.binary(max_size=400))
def test_decoding_gives_clean_text_or_says_that_it_is_broken(data: bytes) -> None:
    try:
        found, _, _ = decode(data)
    except BrokenFile:
        return
    assert found == clean(found)
    assert not set(found) & set(map(chr, [*range(9), *range(11, 32), 127]))


def test_line_ends_become_newlines_and_control_characters_go() -> None:
    assert clean("a\r\nb\rc\u2028d\x0ce\x00f\tg\ufeffh") == "a\nb\nc\nd\nef\tgh"


# --- Titles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "title"),
    [
        ("a.md", "intro\n\n# The Title #\n\n## Sub\n", "The Title"),
        ("a.md", "The Title\n=========\ntext", "The Title"),
        ("a.md", '---\nauthor: me\ntitle: "From the front"\n---\n# Other\n', "From the front"),
        ("a.md", "---\nauthor: me\n---\n# After the front\n", "After the front"),
        ("a.md", "```\n# a comment\n```\n# Real\n", "Real"),
        ("a.md", "# A [link](http://x.example) and `code` in **bold**\n", "A link and code in bold"),
        ("notes.md", "no heading at all.\n", "notes"),
        ("a.txt", "\n\nA plain heading\n\nSome text.", "A plain heading"),
        ("letter.txt", "This is a whole sentence, and no heading.\nMore.", "letter"),
        ("data.csv", "name,age\nx,1\n", "data"),
        ("a.py", '#!/usr/bin/env python3\n# coding: utf-8\n"""Do the thing.\n\nMore."""\n', "Do the thing"),
        ("a.py", "'''One line.'''\n", "One line"),
        ("a.py", "x = 1\n'''not a docstring'''\n", "a.py"),
        ("a.js", "/**\n * Saves drafts.\n */\nlet x;\n", "Saves drafts"),
        ("a.c", "/* Copyright 2026 Somebody */\nint x;\n", "a.c"),
        ("a.py", '"""Never closed', "a.py"),
    ],
)
def test_titles(tmp_path: Path, name: str, data: str, title: str) -> None:
    assert read(tmp_path, data.encode(), name).title == title


def test_a_title_is_never_longer_than_two_hundred_characters(tmp_path: Path) -> None:
    assert len(read(tmp_path, b"# " + b"x" * 999, "a.md").title) == text.MAX_TITLE_CHARACTERS


@pytest.mark.parametrize(
    "data", ["---\n" * 60_000, '"""' * 80_000, "[" * 200_000, "#" * 250_000, "`" * 250_000]
)
@pytest.mark.parametrize("name", ["a.md", "a.py", "a.txt"])
def test_texts_that_look_for_a_slow_pattern_find_none(tmp_path: Path, data: str, name: str) -> None:
    # Read in this process: quadratic work on 250 KB would take minutes.
    assert read(tmp_path, data.encode(), name).text == data


# --- The whole way ------------------------------------------------------------------------------------------


def test_code_keeps_its_language(tmp_path: Path) -> None:
    found = read(tmp_path, b"fn main() {}\n", "main.rs")
    assert (found.source_type, found.language, found.title) == ("code", "rust", "main.rs")


def test_a_large_text_goes_through_the_sandbox_and_comes_back_whole(tmp_path: Path) -> None:
    original = "Zeile für Zeile 🙂\n" * 60_000
    assert read(tmp_path, original.encode(), "a.txt").text == original


def test_a_text_of_blanks_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile, match="no text"):
        read(tmp_path, b" \n\t\r\n \xc2\xa0", "a.txt")


def test_zero_bytes_are_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile, match="0 bytes"):
        read(tmp_path, b"", "a.txt")


def test_a_text_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "source"
    with path.open("wb") as file:
        file.write(b"text\n")
        file.truncate(40 * 1024**2)
    content = sniff(b"text\n", filename="a.txt", size=5)
    with pytest.raises(TooLarge, match="32 MB"):
        extract(path, content=content, filename="a.txt", limits=LIMITS)


def test_a_text_that_needs_too_much_memory_says_so(tmp_path: Path) -> None:
    path = tmp_path / "source"
    with path.open("wb") as file:
        file.truncate(MAX_TEXT_CHARACTERS)
    limits = ExtractionLimits(memory_bytes=16 * 1024**2, seconds=20, max_pages=1)
    with pytest.raises(ParserCrashed, match="memory limit of 16 MB") as caught:
        extract(path, content=sniff(b"text\n", filename="a.txt", size=5), filename="a.txt", limits=limits)
    assert caught.value.details["cause"] == "memory_limit"
