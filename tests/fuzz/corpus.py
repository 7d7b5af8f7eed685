"""Small good files of every kind: what the fuzzer spoils."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from chalicelib.ingest.content import HEAD_BYTES, sniff
from tests import hostile
from tests.documents import docx, epub, odf, paragraph, pptx, relations, shape, wordml, xlsx, zip_of
from tests.hostileset.pictures import gif, png
from tests.hostileset.recordings import wav
from tests.olefiles import ole
from tests.stack import ROOT
from tests.unit.test_mail import attached, mail, msg
from tests.unit.test_sheets import ROWS
from tests.unit.test_word97 import doc

NOTE = "The harbour is dredged every spring; “Quay 7” is 120 m long."
# Larger files make each mutation slow, and a single flipped bit in them says little.
MAX_BYTES = 100_000

_DOCX = docx(
    paragraph("Harbour", "Heading1")
    + paragraph(NOTE)
    + paragraph("first", "", '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="3"/></w:numPr>')
    + f'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>{paragraph("a")}</w:tc>'
    f"<w:tc>{paragraph('b')}</w:tc></w:tr></w:tbl>",
    {
        "word/styles.xml": wordml("styles", '<w:style w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>'),
        "word/numbering.xml": wordml(
            "numbering",
            '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum>'
            '<w:num w:numId="3"><w:abstractNumId w:val="0"/></w:num>',
        ),
        "word/footnotes.xml": wordml("footnotes", f'<w:footnote w:id="2">{paragraph("A note.")}</w:footnote>'),
    },
    s=("styles", "styles.xml"),
    n=("numbering", "numbering.xml"),
    f=("footnotes", "footnotes.xml"),
)  # fmt: skip
_ODT = odf(
    "text",
    f'<text:h text:outline-level="2">Harbour</text:h><text:p>{NOTE}<text:s text:c="3"/></text:p>'
    "<text:list><text:list-item><text:p>quay</text:p></text:list-item></text:list>"
    '<table:table><table:table-row table:number-rows-repeated="2">'
    '<table:table-cell table:number-columns-repeated="3"><text:p>x</text:p></table:table-cell>'
    "</table:table-row></table:table>",
)
_ODS = odf(
    "spreadsheet",
    '<table:table table:name="Ports"><table:table-row><table:table-cell office:value-type="string">'
    '<text:p>port</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="12"/>'
    "</table:table-row></table:table>",
)
_ODP = odf(
    "presentation",
    '<draw:page draw:name="1"><draw:frame><draw:text-box>'
    f"<text:p>{NOTE}</text:p></draw:text-box></draw:frame></draw:page>",
)
_RTF = (
    rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}}{\stylesheet{\s1\outlinelevel0 heading 1;}}"
    rb"\pard\s1 Harbour\par\pard The \b quay\b0  is \u8220?old\'94.\par\trowd\cellx900 a\cell b\cell\row"
    rb"{\footnote A note.}{\pict\pngblip\bin4 abcd}{\*\unknown x}\par}"
)
_MAIL = (
    b"From: =?utf-8?q?Ann?= <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?iso-8859-1?b?SGFmZW4=?=\r\n"
    b"Date: Mon, 18 Aug 2025 14:13:20 +0000\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>The harbour=20is old.</p>\r\n--b\r\n"
    b"Content-Type: application/octet-stream; name=n.csv\r\nContent-Disposition: attachment; filename=n.csv\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(b"port,depth\nKiel,12\n")
    + b"\r\n--b--\r\n"
)
_NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "metadata": {"kernelspec": {"language": "python"}},
        "cells": [
            {"cell_type": "markdown", "source": ["# Harbour\n", NOTE]},
            {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}]},
            {"cell_type": "code", "source": "x", "outputs": [{"output_type": "error", "ename": "E", "evalue": "v"}]},
        ],
    }
).encode()  # fmt: skip
_LATEX = (
    b"\\documentclass{article}\\title{Harbour}\\newcommand{\\port}[1]{port of #1}\\begin{document}\\maketitle\n"
    b"\\section{Quays}\nThe \\port{Kiel} is \\emph{old}. $x^2 + y_1$ \\cite{a}\n\\begin{itemize}\\item one\\item two"
    b"\\end{itemize}\n\\begin{tabular}{ll}a & b \\\\ c & d\\end{tabular}\n% comment\n\\end{document}\n"
)
_HTML = (
    "<!doctype html><html><head><meta charset=utf-8><title>Harbour</title></head><body><nav>menu</nav><article>"
    f"<h1>Harbour</h1><p>{NOTE * 5}</p><ul><li>a<li>b</ul><table><tr><td colspan=2>x<td>y</table><pre>code</pre>"
    "</article><script>x()</script></body></html>"
).encode()
_SUBTITLES = (
    b"WEBVTT\n\nNOTE x\n\n1\n00:00:01.000 --> 00:00:02.500 align:start\n<v Ann>Hello <b>there</b>\n\n"
    b"00:01:00.000 --> 00:01:02.000\nagain\n"
)
_OLD_LETTER = "Harbour\rA\x07B\x07\x07See \x13 LINK \x14here\x15.\r\x02\r"
# The example of [MS-OXRTFCP] 3.1.1.
_COMPRESSED_RTF = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
_CHAPTERS = {"one.xhtml": f"<h1>Quays</h1><p>{NOTE}</p>", "two.xhtml": "<p>More.</p>"}


def _slides() -> bytes:
    table = (
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>x</a:t></a:r></a:p>"
        "</a:txBody></a:tc></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )
    return pptx(shape("Harbour", "title") + shape("quay\n\tberth"), table, notes="Speak slowly.")


# Name of the file, and what makes it.
_MADE: Mapping[str, Callable[[], bytes]] = {
    "note.txt": lambda: NOTE.encode() * 3,
    "latin.txt": lambda: ("Hafenstraße, Gruß, Übersee. " * 9).encode("latin-1"),
    "wide.txt": lambda: NOTE.encode("utf-16"),
    "note.md": lambda: f"---\ntitle: Harbour\n---\n\n# Quays\n\n{NOTE}\n\n```python\nx = 1\n```\n".encode(),
    "quay.py": lambda: b'"""Quays of a harbour."""\n\nCOUNT = 12  # berths\n',
    "ports.csv": lambda: b'port;depth;"opened"\nKiel;12;"1,5"\nBremen;9;"x ""y"""\n',
    "talk.vtt": lambda: _SUBTITLES,
    "paper.tex": lambda: _LATEX,
    "page.html": lambda: _HTML,
    "letter.docx": lambda: _DOCX,
    "show.pptx": _slides,
    "ports.xlsx": lambda: xlsx({"Ports": ROWS}),
    "letter.odt": lambda: _ODT,
    "ports.ods": lambda: _ODS,
    "show.odp": lambda: _ODP,
    "book.epub": lambda: epub(_CHAPTERS, "<ncx><navMap/></ncx>"),
    "letter.doc": lambda: doc(_OLD_LETTER, notes="\x02A note.\r", headings={0: 1}),
    "mail.msg": lambda: ole(
        msg(subject="Harbour", sender="Ann", to="Bob", body=NOTE) | attached(0, "n.txt", b"a note")
    ),
    "html.msg": lambda: ole(msg(subject="H") | {"__substg1.0_10130102": b"<p>from <b>html</b></p>"}),
    "rtf.msg": lambda: ole(msg(subject="R") | {"__substg1.0_10090102": _COMPRESSED_RTF}),
    "letter.rtf": lambda: _RTF,
    "mail.eml": lambda: _MAIL,
    "plain.eml": lambda: mail().as_bytes(),
    "book.ipynb": lambda: _NOTEBOOK,
    "two.pdf": lambda: hostile.titled_pdf("Harbour", NOTE, "Second page."),
    "locked.pdf": lambda: hostile.encrypted_pdf(NOTE, user="", owner="o"),
    "forms.pdf": lambda: hostile.operator_bomb_pdf(levels=3, width=2),
    "papers.zip": lambda: zip_of(
        {"a.txt": NOTE, "b/c.md": "# C", "inner.zip": zip_of({"d.csv": "a,b\n1,2\n"})}
    ),
    "program.zip": lambda: zip_of(
        {"p/pyproject.toml": "[project]", "p/src/a.py": '"""A."""\nx = 1\n', "p/README.md": NOTE}
    ),
    "links.zip": lambda: zip_of({"_rels/.rels": relations(a=("x", "y")), "a.txt": NOTE}),
    "white.png": lambda: png(60, 40),
    "film.gif": lambda: gif(3),
    "silence.wav": lambda: wav(0.5),
}


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """A good file."""

    # Kind by content: the fuzzer counts by it.
    kind: str
    filename: str
    data: bytes


def seeds(also: Path | None = None) -> list[Seed]:
    """Return the good files: those made here, the bundled samples, and those below the folder `also`."""
    found = {name: make() for name, make in _MADE.items()}
    for folder in (ROOT / "samples", also):
        for path in sorted(folder.rglob("*")) if folder else ():
            if path.is_file() and 0 < path.stat().st_size <= MAX_BYTES:
                found[path.name] = path.read_bytes()
    rows = [
        (name, sniff(data[:HEAD_BYTES], filename=name, size=len(data)).kind, data)
        for name, data in found.items()
    ]
    return [Seed(kind=kind, filename=name, data=data) for name, kind, data in rows]
