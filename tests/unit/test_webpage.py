"""Web pages, the whole way through the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.errors import EmptyFile, TooLarge, UnsupportedType
from chalicelib.ingest import hypertext
from tests.documents import read

_PROSE = "Ships lie at the quays of the old harbour, and cranes unload them all day long. " * 8


def page(body: str, head: str = "<title>The Harbour - Example News</title>") -> bytes:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode()


def markdown(body: str) -> str:
    return hypertext.markdown(hypertext.tree(f"<body>{body}</body>"))


def test_the_article_is_picked_out_of_its_surroundings(tmp_path: Path) -> None:
    body = (
        "<nav><a href=/>Home</a> <a href=/x>Shop</a></nav><article><h1>The Harbour</h1>"
        f"<p>{_PROSE}</p><h2>Quays</h2><p>{_PROSE}</p></article><footer>All rights reserved</footer>"
    )
    head = '<title>The Harbour - Example News</title><meta name="author" content="Ann Person">'
    found = read(tmp_path, page(body, head), "a.html")
    assert found.text.startswith("# The Harbour\n\nShips lie")
    assert "\n## Quays\n" in found.text
    assert "Shop" not in found.text
    assert "rights" not in found.text
    assert (found.title, found.metadata["author"], found.source_type) == ("The Harbour", "Ann Person", "html")


def test_a_page_without_an_article_is_read_whole(tmp_path: Path) -> None:
    rows = "".join(f"<tr><td>Port {number}</td><td>{number} m</td></tr>" for number in range(200))
    found = read(tmp_path, page(f"<table><tr><th>Port</th><th>Depth</th></tr>{rows}</table>"), "a.html")
    assert "| Port 199 | 199 m |" in found.text


def test_html_named_pdf_is_refused_by_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedType, match="not what its name says"):
        read(tmp_path, page("<p>Not found.</p>"), "report.pdf")


@pytest.mark.parametrize("label", ["windows-1251", "x-nonsense"])
def test_the_charset_is_taken_from_the_page_or_guessed(tmp_path: Path, label: str) -> None:
    data = f'<html><meta charset="{label}"><body><p>{"Отчёт о работе порта. " * 9}</p>'.encode("cp1251")
    assert "Отчёт о работе порта." in read(tmp_path, data, "a.html").text


def test_a_page_over_the_limit_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="20 MB"):
        read(tmp_path, b"<html><body>" + b"x" * (100 * 1024**2), "a.html")


def test_a_long_page_on_one_line_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, page("<p>" + "word " * 1_200_000 + "</p>"), "a.html")
    assert len(found.text) > 5_900_000


def test_a_page_nested_without_end_is_read_as_far_as_libxml2_goes(tmp_path: Path) -> None:
    data = page("<div>shallow</div>" + "<div>" * 50_000 + "deep")
    assert read(tmp_path, data, "a.html").text.startswith("shallow")


def test_a_page_without_text_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile):
        read(tmp_path, page("<script>let x = 1</script>"), "a.html")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<h3>a <b>b</b></h3>text<p>more", "### a b\n\ntext\n\nmore"),
        ("<ol><li>a<ul><li>b</ul><li>c</ol>", "1. a\n   - b\n2. c"),
        ("one<br>two\n three", "one\ntwo three"),
        ("<pre>  x\n   y</pre>", "```\n  x\n   y\n```"),
        (
            "<table><caption>C</caption><tr><th>a<th>b<tr><td>1<td>2|3</table>",
            "C\n\n| a | b |\n| --- | --- |\n| 1 | 2\\|3 |",
        ),
        ("<table><tr><td><h2>layout</h2><td>x</table>", "## layout\n\nx"),
        ("<style>x</style><p hidden>y</p><p>z<!-- c --></p>&amp;", "z\n\n&"),
    ],
)  # fmt: skip
def test_html_becomes_markdown(body: str, expected: str) -> None:
    assert markdown(body) == expected
