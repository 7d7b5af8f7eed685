"""E-books, the whole way through the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, PasswordRequired
from tests.documents import epub, read, zip_of


def test_chapters_come_in_reading_order_under_their_titles(tmp_path: Path) -> None:
    ncx = (
        "<ncx><navMap><navPoint><navLabel><text>Second part</text></navLabel>"
        '<content src="b%20c.xhtml#x"/></navPoint></navMap></ncx>'
    )
    chapters = {"a.xhtml": "<h1>First</h1><p>One.</p>", "b c.xhtml": "<p>Two.</p>"}
    found = read(tmp_path, epub(chapters, ncx), "book.epub")
    assert found.text == "# First\n\nOne.\n\n# Second part\n\nTwo."
    assert (found.title, found.metadata) == ("The Harbour", {"author": "A. Person", "language": "en"})


def test_a_missing_chapter_is_a_warning(tmp_path: Path) -> None:
    data = epub({"a.xhtml": "<p>One.</p>", "b.xhtml": ""})
    found = read(tmp_path, data.replace(b"OPS/b.xhtml", b"OPS/c.xhtml"), "a.epub")
    assert found.text == "One."
    assert "b.xhtml" in found.warnings[0]


def test_a_protected_book_is_refused_and_one_with_disguised_fonts_is_not(tmp_path: Path) -> None:
    def encryption(algorithm: str) -> dict[str, str]:
        return {"META-INF/encryption.xml": f'<e><EncryptionMethod Algorithm="{algorithm}"/></e>'}

    chapters = {"a.xhtml": "<p>One.</p>"}
    fonts = encryption("http://www.idpf.org/2008/embedding")
    assert read(tmp_path, epub(chapters, parts=fonts), "a.epub").text == "One."
    with pytest.raises(PasswordRequired, match="copy-protected"):
        read(
            tmp_path,
            epub(chapters, parts=encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")),
            "a.epub",
        )


def test_a_book_without_chapters_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="no chapters"):
        read(tmp_path, epub({}), "a.epub")
    with pytest.raises(BrokenFile, match=r"container\.xml"):
        read(tmp_path, zip_of({"mimetype": "application/epub+zip"}), "a.epub")
