"""What a file is, by its bytes; and names from strangers."""

from __future__ import annotations

import importlib
import io
import random
import unicodedata
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import EmptyFile, UnsupportedType
from chalicelib.ingest.content import HEAD_BYTES, ContentType, sniff
from chalicelib.ingest.filename import MAX_CHARACTERS, extension, safe_filename, stem
from chalicelib.ingest.formats import FORMATS, format_for, queue_for, supported, taken
from chalicelib.ingest.languages import _EXTENSIONS
from tests import hostile


def kind_of(data: bytes, filename: str = "file") -> ContentType:
    return sniff(data[:HEAD_BYTES], filename=filename, size=len(data))


def zip_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


# --- Bytes before names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.md", "a.py", "a", "a.docx"])
def test_a_pdf_is_a_pdf_whatever_it_is_called(name: str) -> None:
    assert kind_of(hostile.text_pdf("x"), name).kind == "pdf"


@pytest.mark.parametrize("junk", [b"\n\n", b"\xef\xbb\xbf", b"\0junk\0" * 100])
def test_a_pdf_may_start_with_junk(junk: bytes) -> None:
    assert kind_of(junk + hostile.text_pdf("x")).kind == "pdf"


def test_a_text_that_mentions_the_pdf_header_is_a_text() -> None:
    assert kind_of(b"A PDF starts with\n%PDF-1.7\nand ends with %%EOF", "notes.md").kind == "markdown"


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>hello</body></html>",
        b"\n<!-- saved -->\n<!DOCTYPE html><title>x</title>",
        b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
    ],
)
def test_html_with_the_name_of_something_else_is_told_apart_from_html(data: bytes) -> None:
    assert {kind_of(data, name).kind for name in ("report.pdf", "photo.PNG", "a.docx", "a.mp3")} == {
        "mislabelled"
    }
    # Programs write tables and texts as HTML under these names.
    assert {kind_of(data, name).kind for name in ("report.html", "report", "table.xls", "a.doc")} == {"html"}
    with pytest.raises(UnsupportedType, match="not what its name says"):
        format_for("mislabelled")


def test_random_bytes_are_unknown_whatever_they_are_called() -> None:
    data = random.Random(7).randbytes(5000)
    assert {kind_of(data, name).kind for name in ("a.bin", "a.txt", "a.pdf", "a.md", "a.py")} == {"unknown"}


def test_nothing_is_empty() -> None:
    assert kind_of(b"", "a.pdf").kind == "empty"


# --- Text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252", "mac_roman"]
)
def test_text_is_text_in_every_western_encoding(encoding: str) -> None:
    assert kind_of("Größe, façade, señor.\n".encode(encoding) * 50, "a.txt").kind == "text"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Отчёт о работе порта."),
        ("koi8_r", "Отчёт о работе порта."),
        ("cp932", "これは日本語のテキストです。"),
        ("euc_jp", "これは日本語のテキストです。"),
        ("iso2022_jp", "これは日本語のテキストです。"),
        ("gb18030", "这是一个中文文本提取测试。"),
        ("big5", "這是一個中文文本。"),
    ],
)
def test_text_is_text_in_old_encodings(encoding: str, text: str) -> None:
    assert kind_of((text * 20).encode(encoding), "a.txt").kind == "text"


def test_a_character_cut_at_the_end_of_the_head_is_still_text() -> None:
    data = ("a" + "é" * HEAD_BYTES).encode()
    assert kind_of(data, "a.txt").kind == "text"
    with pytest.raises(UnicodeDecodeError):
        data[:HEAD_BYTES].decode()


def test_a_stray_control_character_does_not_make_a_text_binary() -> None:
    assert kind_of(b"line\r\n" * 50 + b"\x1a", "dos.txt").kind == "text"


def test_a_nul_makes_a_file_binary() -> None:
    assert kind_of(b"almost text\0 but not" * 20, "a.txt").kind == "unknown"


@pytest.mark.parametrize("name", ["README.md", "a.MARKDOWN", "b.mdx"])
def test_markdown_goes_by_its_name(name: str) -> None:
    assert kind_of(b"# Title\n", name).kind == "markdown"


@pytest.mark.parametrize(
    ("name", "data", "language"),
    [
        ("a.py", b"x = 1\n", "python"),
        ("a.JS", b"let x;\n", "javascript"),
        ("a.tsx", b"<div/>", "typescript"),
        ("a.rs", b"fn main() {}", "rust"),
        ("a.sql", b"select 1", "sql"),
        ("a.php", b"<!doctype html><?php ?>", "php"),
        ("Dockerfile", b"FROM scratch", "dockerfile"),
        ("Makefile", b"all:\n", "make"),
        ("CMakeLists.txt", b"project(x)", "cmake"),
        ("run", b"#!/bin/bash\n", "shell"),
        ("run", b"#!/usr/bin/env python3\n", "python"),
        ("run", b"#!/usr/bin/env -S node --harmony\n", "javascript"),
        ("run", b"#! /usr/local/bin/perl5.30 -w\n", "perl"),
    ],
)
def test_code_goes_by_name_or_shebang(name: str, data: bytes, language: str) -> None:
    found = kind_of(data, name)
    assert (found.kind, found.language) == ("code", language)


def test_an_unknown_shebang_is_plain_text() -> None:
    assert kind_of(b"#!/opt/own/thing\n", "run") == ContentType(kind="text", mime="text/plain")


def test_at_least_forty_languages_are_known_and_no_extension_twice() -> None:
    endings = [ending for group in _EXTENSIONS.values() for ending in group.split()]
    assert len(_EXTENSIONS) >= 40
    assert len(endings) == len(set(endings))


def test_the_binary_twin_of_a_code_extension_is_not_code() -> None:
    transport_stream = b"\x47\x40\x00\x10\x00" + bytes(183)
    assert kind_of(transport_stream * 10, "video.ts").kind != "code"


# --- Kinds with a container or a mark ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (zip_of(**{"[Content_Types].xml": b"", "word/document.xml": b""}), "a.zip", "docx"),
        (zip_of(**{"[Content_Types].xml": b"", "ppt/presentation.xml": b""}), "a", "pptx"),
        (zip_of(**{"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "a", "xlsx"),
        (zip_of(**{"[Content_Types].xml": b"", "_rels/.rels": b""}), "a.docx", "docx"),
        (zip_of(mimetype=b"application/epub+zip"), "a", "epub"),
        (zip_of(mimetype=b"application/vnd.oasis.opendocument.text", x=b""), "a", "odt"),
        (zip_of(**{"a.txt": b"word/", "b.txt": b"xl/"}), "a.docx", "zip"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600) + "WordDocument".encode("utf-16-le"), "a", "doc"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "a.xls", "xls"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "a.bin", "ole"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20), "a.txt", "image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(20), "a", "image"),
        (b"ID3\x04\0\0\0\0\0\0" + bytes(20), "a", "audio"),
        (b"OggS\0\x02" + bytes(22) + b"\x01vorbis", "a", "audio"),
        (b"\0\0\0 ftypM4A \0\0\0\0", "a", "audio"),
        (b"\0\0\0 ftypisom\0\0\0\0", "a", "video"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(20), "a", "audio"),
        (b"\x1f\x8b\x08\0" + bytes(20), "a.tgz", "archive"),
        (b"\x7fELF\x02\x01\x01" + bytes(20), "a", "executable"),
        (b"{\\rtf1\\ansi hello}", "a.doc", "rtf"),
        (b"%!PS-Adobe-3.0\n", "a.txt", "postscript"),
        (b"From: a@example.org\nSubject: x\n\nhi", "a.eml", "email"),
        (b'{"cells": []}', "a.ipynb", "notebook"),
        (b"WEBVTT\n\n", "a.txt", "subtitles"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nx\n", "a.srt", "subtitles"),
        (b"no times at all", "a.srt", "text"),
        (b"a,b\n1,2\n", "a.csv", "csv"),
        (b"a\tb\n1\t2\n", "a.TSV", "csv"),
        (b"\\documentclass{article}", "a.tex", "latex"),
        (b"@book{x}", "a.bib", "code"),
        (b"Return-Path: <a@example.org>\nFrom: a\n\nhi", "message", "email"),
        (b"From: a note to myself\n", "message", "text"),
    ],
)
def test_kinds_are_told_by_their_content(data: bytes, name: str, kind: str) -> None:
    assert kind_of(data, name).kind == kind


def test_office_files_are_known_whatever_part_comes_first() -> None:
    for first in ("docProps/app.xml", "customXml/item1.xml", "_rels/.rels"):
        assert kind_of(zip_of(**{first: b"x" * 70_000}), "a.docx").kind == "docx"
        assert kind_of(zip_of(**{first: b"", "word/document.xml": b""}), "a").kind == "docx"
    assert kind_of(zip_of(**{"word/media/image1.png": b"x" * 70_000}), "a.docx").kind == "docx"


def test_archives_are_no_office_files_whatever_they_hold() -> None:
    jar = {"META-INF/MANIFEST.MF": b"", "org/Main.class": b""}
    apk = {"AndroidManifest.xml": b"", "classes.dex": b"", "res/x.xml": b""}
    folders = {"word/notes.txt": b"", "xl/list.txt": b""}
    stored = {"report.docx": zip_of(**{"[Content_Types].xml": b"", "word/document.xml": b""})}
    for files in (jar, apk, folders, stored):
        assert kind_of(zip_of(**files), "a.zip").kind == "zip"


def test_what_is_taken_is_told_briefly_and_in_full() -> None:
    told = taken()
    assert len(told) < 230
    assert "encrypted" not in told
    assert all(row.family in told for row in FORMATS.values() if row.readable)
    assert [row.kind for row in FORMATS.values() if row.readable and not row.family] == ["ole"]


def test_an_unsupported_kind_says_what_it_is_and_what_is_taken() -> None:
    with pytest.raises(UnsupportedType, match=r"is an old PowerPoint.*Taken are: .*Markdown.*PDF"):
        queue_for("ppt")
    with pytest.raises(UnsupportedType, match="unknown binary type"):
        queue_for("no such kind")
    with pytest.raises(EmptyFile, match="0 bytes"):
        format_for("empty")


def test_documents_are_supported_on_the_queue_of_the_text_functions() -> None:
    documents = {
        *("text", "markdown", "code", "pdf", "csv", "subtitles", "latex", "html", "docx", "pptx", "xlsx"),
        *("doc", "xls", "msg", "ole", "odt", "ods", "odp", "epub", "rtf", "email", "notebook"),
    }
    assert {kind for kind in documents if supported(kind)} == documents
    assert {queue_for(kind) for kind in documents} == {"uploads"}
    assert not any(supported(kind) for kind in ("ppt", "postscript", "executable", "unknown", "nonsense"))


def test_every_parser_that_a_format_names_exists() -> None:
    for row in FORMATS.values():
        if row.parser is not None:
            module, _, function = row.parser.partition(":")
            assert callable(getattr(importlib.import_module(module), function))


@given(st.binary(max_size=300), st.text(max_size=20))
def test_sniffing_never_fails_and_always_names_a_known_kind(data: bytes, name: str) -> None:
    assert kind_of(data, name).kind in FORMATS


# --- File names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\notes.md", "notes.md"),
        ("C:notes.md", "notes.md"),
        ("a/b\\c.txt", "c.txt"),
        ("tab\there\0.txt", "tabhere.txt"),
        ("e\u0301te\u0301.txt", "été.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("👩\u200d💻 notes 🏴󠁧󠁢󠁳󠁣󠁴󠁿.md", "👩\u200d💻 notes 🏴󠁧󠁢󠁳󠁣󠁴󠁿.md"),
        (".gitignore", ".gitignore"),
        ("name. . ", "name"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("a/", "unnamed"),
        ("\ud800\x00", "unnamed"),
    ],
)
def test_names_are_made_safe(given_name: str, shown: str) -> None:
    assert safe_filename(given_name) == shown


def test_a_long_name_keeps_its_extension() -> None:
    name = safe_filename("n" * 500 + ".pdf")
    assert len(name) == MAX_CHARACTERS
    assert name.endswith("nn.pdf")


@given(st.text(max_size=400))
def test_any_name_becomes_short_clean_and_stays_so(name: str) -> None:
    safe = safe_filename(name)
    assert 1 <= len(safe) <= MAX_CHARACTERS
    assert not {"/", "\\"} & set(safe)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in safe)
    assert safe_filename(safe) == safe
    assert stem(safe) + safe[len(stem(safe)) :] == safe


def test_an_extension_is_short_and_has_a_stem() -> None:
    names = ["a.PDF", "a.tar.gz", ".profile", "no", "end.", "a. sentence goes on"]
    assert [extension(name) for name in names] == [".pdf", ".gz", "", "", "", ""]


def test_an_archive_that_begins_with_an_uncompressed_pdf_is_an_archive() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("report.pdf", b"%PDF-1.7\n" + bytes(200))
    head = file.getvalue()
    assert b"%PDF-" in head[:100]
    assert sniff(head, filename="reports.zip", size=len(head)).kind == "zip"
