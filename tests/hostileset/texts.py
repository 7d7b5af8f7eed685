"""PDF files, texts, mails and pages made to break their readers, and files that are not what their names say."""

from __future__ import annotations

import json
import zlib
from functools import partial

from tests import hostile
from tests.hostileset.cases import MB, NOISE, NOTE, case
from tests.hostileset.packages import GOOD_DOCX, entities

GOOD_PDF = hostile.text_pdf(NOTE)
CHARSET_MAIL = b"From: a@b.c\r\nSubject: =?is\xff-8859-1?b?SGFmZW4=?=\r\n\r\n" + NOTE.encode()


def deep_mail(depth: int) -> bytes:
    lines = []
    for level in range(depth):
        lines += [f'Content-Type: multipart/mixed; boundary="b{level}"', "", f"--b{level}"]
    return "\r\n".join(["From: a@b.c", "MIME-Version: 1.0", *lines, "", NOTE]).encode()


def many_parts_mail(count: int) -> bytes:
    head = "From: a@b.c\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    part = f"--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n{NOTE}\r\n"
    return (head + part * count + "--b--\r\n").encode()


TEXTS = [
    # --- PDF
    case(
        "a.pdf",
        "flate bomb of 300 MB",
        partial(hostile.flate_bomb_pdf, 300 * MB),
        "parser_crashed broken_file",
    ),
    case("a.pdf", "forms that draw forms", hostile.operator_bomb_pdf, "parser_crashed too_large"),
    case(
        "a.pdf",
        "page of 833333 points",
        partial(hostile.text_pdf, NOTE, box=b"0 0 833333 833333"),
        says="harbour",
    ),
    case("a.pdf", "page tree that holds itself", hostile.page_loop_pdf, "broken_file empty_file"),
    case("a.pdf", "two pages that claim to be 999999", hostile.lying_count_pdf, says="one"),
    case("a.pdf", "array nested 100000 deep", partial(hostile.nested_array_pdf, 100_000), says="nested"),
    case("a.pdf", "page tree nested 5000 deep", partial(hostile.nested_page_tree_pdf, 5000), "broken_file"),
    case("a.pdf", "one page too many", partial(hostile.many_pages_pdf, 2001), "too_large"),
    case(
        "a.pdf", "no password", partial(hostile.encrypted_pdf, NOTE, user="u", owner="o"), "password_required"
    ),
    case(
        "a.pdf",
        "wrong password",
        partial(hostile.encrypted_pdf, NOTE, user="u", owner="o"),
        "password_required",
        password="x",
    ),
    case("a.pdf", "cut off", GOOD_PDF[:200], "broken_file"),
    case("a.pdf", "header before noise", b"%PDF-1.7\n" + NOISE, "broken_file"),
    # --- Text, markup, mail, data
    case("a.rtf", "code page that there is not", rb"{\rtf1\ansicpg12 The harbour\'e9.}", says="harbour"),
    case(
        "a.rtf",
        "groups nested 200000 deep",
        b"{\\rtf1 " + b"{" * 200_000 + NOTE.encode(),
        says="harbour",
    ),
    case(
        "a.rtf",
        "binary data of 2 GB that is not there",
        b"{\\rtf1 " + NOTE.encode() + b"\\bin2147483647 x}",
        says="harbour",
    ),
    case(
        "a.rtf",
        "font table without end",
        b"{\\rtf1{\\fonttbl" + b"{\\f1 A;}" * 100_000 + b"}" + NOTE.encode() + b"}",
        says="harbour",
    ),
    case(
        "a.html",
        "elements nested 200000 deep",
        f"<html><body><p>{NOTE}</p>".encode() + b"<div>" * 200_000,
        says="harbour",
    ),
    case(
        "a.html",
        "cell that spans a billion columns",
        f"<html><table><tr><td colspan=1000000000 rowspan=1000000000>{NOTE}<td>x</table>".encode(),
        says="harbour",
    ),
    case(
        "a.html",
        "entities in a doctype",
        ("<!DOCTYPE html" + entities("html", f"<p>{NOTE} @</p>")[10:]).encode(),
        says="harbour",
    ),
    case(
        "a.html",
        "attribute of 5 MB",
        f'<html><body><p title="{"x" * 5 * MB}">{NOTE}</p></body></html>'.encode(),
        says="harbour",
    ),
    case(
        "a.md",
        "brackets and backticks without end",
        b"[" * 500_000 + b"`" * 500_000 + NOTE.encode(),
        says="harbour",
    ),
    case(
        "a.md",
        "front matter that does not end",
        b"---\n" + b"title: x\n" * 300_000 + NOTE.encode(),
        says="harbour",
    ),
    case("a.txt", "line of 30 MB", lambda: NOTE.encode() + b"x" * 30 * MB, says="harbour"),
    case("a.txt", "text of 33 MB", lambda: b"a b " * (33 * MB // 4), "too_large"),
    case("a.json", "arrays nested 500000 deep", b"[" * 500_000 + b"]" * 500_000, says="["),
    case("a.ipynb", "arrays nested 500000 deep", b'{"cells":' + b"[" * 500_000, "broken_file"),
    case(
        "a.ipynb",
        "200000 cells",
        lambda: json.dumps(
            {"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "markdown", "source": "x"}] * 200_000}
        ).encode(),
        "too_large parser_crashed",
        says="x",
    ),
    case(
        "a.csv", "quote that does not end", b'a,b\n"' + b"x,\n" * 1_000_000, "too_large broken_file", says="x"
    ),
    case("a.csv", "row of a million columns", b"a," * 1_000_000 + b"\nharbour,", "too_large", says="harbour"),
    case(
        "a.srt",
        "arrows without end",
        b"1\n00:00:01,000 --> 00:00:02,000\n" + b"--> " * 500_000,
        "broken_file empty_file",
        says="",
    ),
    case(
        "a.tex",
        "macros that call each other",
        b"\\documentclass{x}\\newcommand{\\a}{\\b\\b}\\newcommand{\\b}{\\a\\a}\\begin{document}\\a "
        + NOTE.encode()
        + b"\\end{document}",
        says="harbour",
    ),
    case("a.svg", "billion laughs in a picture", entities("svg", "@").encode(), says="laugh"),
    case("a.eml", "charset with noise in its name", CHARSET_MAIL, says="harbour"),
    case("a.eml", "parts nested 5000 deep", partial(deep_mail, 5000), "broken_file empty_file", says=""),
    case("a.eml", "ten thousand attachments", partial(many_parts_mail, 10_000), says="harbour"),
    case(
        "a.eml",
        "header of 5 MB",
        b"Subject: " + b"=?utf-8?q?x?= " * 400_000 + b"\r\n\r\n" + NOTE.encode(),
        says="harbour",
    ),
    # --- What is not what it seems
    case("a.pdf", "empty", b"", "empty_file"),
    case("a.docx", "empty document", b"", "empty_file"),
    case("a.txt", "blanks only", b" \n\t\r\n" * 1000, "empty_file"),
    case(
        "a.pdf", "web page by the name of a PDF", b"<html><body>Not found</body></html>", "unsupported_type"
    ),
    case("a.docx", "PDF by the name of a document", GOOD_PDF, says="harbour"),
    case("a.pdf", "document by the name of a PDF", GOOD_DOCX, says="harbour"),
    case("a.txt", "program by the name of a text", b"MZ" + NOISE, "unsupported_type"),
    case("a.pdf", "tape archive by the name of a PDF", zlib.compress(NOISE), "unsupported_type broken_file"),
    case("a.txt", "noise", NOISE, "unsupported_type"),
    case(
        "a.txt",
        "half a UTF-16 character",
        b"\xff\xfe" + NOTE.encode("utf-16-le") + b"\x41",
        "unsupported_type",
    ),
    case(
        "a.txt",
        "UTF-32 of no characters",
        b"\xff\xfe\x00\x00" + b"\xff\xff\xff\x7f" * 999,
        "broken_file unsupported_type",
    ),
    case("a.txt", "UTF-8 that is cut everywhere", b"\xe4\xb8 " * 999, "broken_file", says=""),
    case("a.7z", "packed by another program", b"7z\xbc\xaf\x27\x1c" + NOISE, "unsupported_type"),
    case("a\u202efdp.exe", "name that reads backwards", b"MZ" + NOISE, "unsupported_type"),
]
