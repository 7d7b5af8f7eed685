"""Formats that are text with a structure: tables, subtitles, notebooks, LaTeX."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile
from chalicelib.ingest.document import Segment
from tests.documents import read

# --- Tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "delimiter"),
    [
        ("port,depth\nKiel,12\n", "a.csv", ","),
        ('port;depth\n"Ki;el";12\n', "a.csv", ";"),
        ("port\tdepth\nKiel\t12\n", "a.tsv", "tab"),
        ("port|depth\nKiel|1,2\n", "a.csv", "|"),
    ],
)
def test_the_delimiter_is_found(tmp_path: Path, data: str, name: str, delimiter: str) -> None:
    found = read(tmp_path, data.encode(), name)
    assert found.text.startswith("| port | depth |\n| --- | --- |\n| Ki")
    assert (found.metadata["delimiter"], found.metadata["rows"], found.source_type) == (delimiter, "2", "csv")


def test_a_large_table_stays_text(tmp_path: Path) -> None:
    data = "a,b\n" + "1,2\n" * 2000
    found = read(tmp_path, data.encode(), "a.csv")
    assert (found.text, found.metadata["rows"]) == (data, "2001")


def test_a_table_in_disorder_stays_text(tmp_path: Path) -> None:
    data = 'a,b\n"' + "x" * 200_000
    assert read(tmp_path, data.encode(), "a.csv").text == data


# --- Subtitles ----------------------------------------------------------------------------------------------

_SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i>\r\nworld.\r\n\r\n"
    "2\r\n00:00:02,600 --> 00:00:03,000\r\n{\\an8}Again.\r\n\r\n"
    "3\r\n01:00:00,000 --> 01:00:01,000\r\nLater &amp; last.\r\n"
)


def test_subtitles_become_paragraphs_and_segments(tmp_path: Path) -> None:
    found = read(tmp_path, _SRT.encode(), "talk.srt")
    assert found.text == "Hello world. Again.\n\nLater & last."
    assert found.segments == (
        Segment(start=1.0, end=2.5, text="Hello world."),
        Segment(start=2.6, end=3.0, text="Again."),
        Segment(start=3600.0, end=3601.0, text="Later & last."),
    )
    assert (found.title, found.source_type) == ("talk", "subtitles")


def test_webvtt_names_a_speaker_once_and_repeats_nothing(tmp_path: Path) -> None:
    data = (
        "WEBVTT - Harbour talk\n\nNOTE a comment\n\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hello\n\n"
        "00:02.000 --> 00:03.000\n<v Ann>you.\n\n00:03.000 --> 00:04.000\n<v Bob>Yes.\n\n"
        "00:04.000 --> 00:05.000\nplain\n\n00:05.000 --> 00:06.000\nplain\n"
    )
    found = read(tmp_path, data.encode(), "a.txt")
    assert (found.text, found.title) == ("Ann: Hello you. Bob: Yes. plain", "Harbour talk")


def test_subtitles_without_times_are_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="no line with times"):
        read(tmp_path, b"WEBVTT\n\nnothing", "a.vtt")


# --- Notebooks ----------------------------------------------------------------------------------------------


def test_a_notebook_keeps_text_code_and_short_outputs(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Harbours\n", "text"]},
        {
            "cell_type": "code",
            "source": "print('```')",
            "outputs": [
                {"output_type": "stream", "text": ["out\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBOR", "text/plain": "y" * 2100}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["long"]},
            ],
        },
        {"cell_type": "code", "source": "", "outputs": 3},
        "no cell",
    ]
    book = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}
    found = read(tmp_path, json.dumps(book).encode(), "a.ipynb")
    assert found.text == (
        "# Harbours\ntext\n\n````python\nprint('```')\n````\n\n```\nout\n```\n\n```\n"
        + "y" * 2000
        + "\n… (100 more characters)\n```\n\n```\nValueError: no\n```"
    )
    assert (found.title, found.language, found.source_type) == ("Harbours", "python", "notebook")


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"cells": 3}', b"[" * 200_000])
def test_what_is_no_notebook_is_broken(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BrokenFile):
        read(tmp_path, data, "a.ipynb")


# --- LaTeX --------------------------------------------------------------------------------------------------


def test_latex_keeps_headings_lists_formulas_and_letters(tmp_path: Path) -> None:
    source = r"""\documentclass[a4paper]{article} % a comment
\title{The \emph{Harbour}\thanks{Paid by us}}\author{J\"org \L{}uk}
\begin{document}\maketitle
\section[short]{Quays \& cranes}\label{sec:q}
Ships~lie \textbf{there \emph{always}}\footnote{Mostly.} at 50\% \cite{a,b}, see \href{http://x}{this}.
\begin{itemize}\item One \item[*] Two\end{itemize}
\begin{equation}E = mc^{2} % kept
\end{equation}
\begin{verbatim}
\raw{%}
\end{verbatim}
\input{secret}\color{red}caf\'e \c{c}a
\end{document} after"""
    found = read(tmp_path, source.encode(), "a.tex")
    assert found.text.startswith(
        "# The Harbour\n\n## Quays & cranes\n\nShips lie there alwaysMostly. at 50% , see this."
    )
    assert "\n- One \n- Two" in found.text.replace("- One\n", "- One \n")
    assert "E = mc^{2}" in found.text
    assert "```\n\\raw{" in found.text
    assert found.text.endswith("café ça")
    assert (found.title, found.metadata["author"], found.source_type) == ("The Harbour", "Jörg Łuk", "latex")


def test_braces_nested_without_end_take_linear_time(tmp_path: Path) -> None:
    read(tmp_path, b"text " + b"\\emph{" * 20_000, "a.tex")
    read(tmp_path, b"text " + b"{" * 50_000 + b"\\item[" * 20_000, "a.tex")
