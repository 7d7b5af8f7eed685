"""What is in an archive, and what becomes of it: documents of their own, or a text per folder of a program."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, PasswordRequired, TooLarge
from chalicelib.ingest import archives, codetrees
from chalicelib.ingest.codetrees import ArchivePlan, plan
from chalicelib.ingest.packages import PackageLimits
from tests.documents import zip_of
from tests.zipfiles import locked_zip

NOTE = "The harbour is dredged every spring."


def planned(folder: Path, data: bytes, name: str = "files.zip", password: str | None = None) -> ArchivePlan:
    path, members = folder / "source.zip", folder / "members"
    path.write_bytes(data)
    members.mkdir(exist_ok=True)
    return plan(str(path), str(members), name, password)


def names(found: ArchivePlan) -> list[str]:
    return [document.filename for document in found.documents]


def text_of(folder: Path, found: ArchivePlan, name: str) -> str:
    document = next(document for document in found.documents if document.filename == name)
    return (folder / "members" / document.file).read_text()


# --- Files of their own ----------------------------------------------------------------------------------------


def test_unrelated_files_become_a_document_each(tmp_path: Path) -> None:
    found = planned(
        tmp_path, zip_of({"notes/tides.md": "# Tides", "letter.txt": NOTE, "page.html": "<html>x"})
    )
    kinds = [(document.filename, document.content.kind) for document in found.documents]
    assert kinds == [("notes/tides.md", "markdown"), ("letter.txt", "text"), ("page.html", "html")]
    assert text_of(tmp_path, found, "letter.txt") == NOTE


def test_what_systems_leave_behind_is_left_out_without_a_word(tmp_path: Path) -> None:
    junk = ["__MACOSX/._a.txt", ".DS_Store", "sub/Thumbs.db", ".git/HEAD", "x/.svn/entries", "desktop.ini"]
    found = planned(tmp_path, zip_of({**dict.fromkeys(junk, "x"), "a.txt": NOTE}))
    assert (names(found), found.left_out) == (["a.txt"], ())


def test_links_and_folders_are_left_out(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("passwords.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder/", "")
        archive.writestr("a.txt", NOTE)
    assert names(planned(tmp_path, out.getvalue())) == ["a.txt"]


def test_names_are_never_paths(tmp_path: Path) -> None:
    evil = ["../../outside.txt", "/etc/cron.d/x.txt", "..\\..\\windows.txt", "C:\\boot.txt", "a/./../b.txt"]
    found = planned(tmp_path, zip_of(dict.fromkeys(evil, NOTE)))
    assert names(found) == ["outside.txt", "etc/cron.d/x.txt", "windows.txt", "boot.txt", "a/b.txt"]
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert written == [f"members/000{number}" for number in range(1, 6)] + ["source.zip"]


def test_what_nobody_reads_is_named_with_its_reason(tmp_path: Path) -> None:
    found = planned(tmp_path, zip_of({"a.txt": NOTE, "tool.exe": b"MZ" + bytes(99), "nothing.txt": ""}))
    assert names(found) == ["a.txt"]
    assert [(entry.filename, entry.reason) for entry in found.left_out] == [
        ("tool.exe", "This file is a program, which can't be read."),
        ("nothing.txt", "The file is empty."),
    ]


def test_archives_in_archives_are_opened(tmp_path: Path) -> None:
    inner = zip_of({"deep/note.txt": NOTE})
    found = planned(tmp_path, zip_of({"a.txt": NOTE, "more.zip": inner}))
    assert names(found) == ["a.txt", "more.zip/deep/note.txt"]
    assert sorted(path.name for path in (tmp_path / "members").iterdir()) == ["0001", "0003"]


def test_packages_of_programs_are_not_opened(tmp_path: Path) -> None:
    found = planned(
        tmp_path, zip_of({"a.txt": NOTE, "lib.jar": zip_of({"A.class": "x", "LICENSE.txt": NOTE})})
    )
    assert names(found) == ["a.txt"]
    assert found.left_out[0].filename == "lib.jar"


def test_office_files_stay_whole(tmp_path: Path) -> None:
    from tests.documents import docx, paragraph

    found = planned(tmp_path, zip_of({"letter.docx": docx(paragraph(NOTE)), "a.txt": NOTE}))
    assert [document.content.kind for document in found.documents] == ["docx", "text"]


def test_a_damaged_file_does_not_sink_the_others(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("bad.txt", "x" * 50)
        archive.writestr("good.txt", NOTE)
    found = planned(tmp_path, out.getvalue().replace(b"x" * 50, b"y" * 50))
    assert names(found) == ["good.txt"]
    assert "damaged" in found.left_out[0].reason


def test_a_damaged_archive_in_an_archive_does_not_sink_the_others(tmp_path: Path) -> None:
    found = planned(tmp_path, zip_of({"broken.zip": b"PK\x03\x04" + bytes(50), "good.txt": NOTE}))
    assert names(found) == ["good.txt"]
    assert found.left_out[0].filename == "broken.zip"


def test_names_in_utf_8_that_do_not_say_so_are_read(tmp_path: Path) -> None:
    data = zip_of({"Grüße.txt": NOTE})
    # Take the flag from both headers: as macOS and many programs write.
    unmarked = data.replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00")
    assert names(planned(tmp_path, unmarked)) == ["Grüße.txt"]


def test_no_zip_file_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile):
        planned(tmp_path, b"PK\x03\x04 and no more")


# --- Limits ----------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    data = zip_of({"core.txt": NOTE})
    for level in range(depth - 1):
        data = zip_of({f"{level}.zip": data})
    return data


def test_five_archives_deep_is_read_and_six_is_refused(tmp_path: Path) -> None:
    assert names(planned(tmp_path, nested(5))) == ["3.zip/2.zip/1.zip/0.zip/core.txt"]
    with pytest.raises(TooLarge, match="5 deep"):
        planned(tmp_path, nested(6))


def test_a_thousand_files_are_taken_and_one_more_is_not(tmp_path: Path) -> None:
    files = {f"{number}.txt": NOTE for number in range(1000)}
    assert len(names(planned(tmp_path, zip_of({**files, ".git/one": "x"})))) == 1000
    with pytest.raises(TooLarge, match="1,001 files or more; the limit is 1,000"):
        planned(tmp_path, zip_of({**files, "one.txt": NOTE}))


def test_files_of_inner_archives_count_too(tmp_path: Path) -> None:
    inner = zip_of({f"{number}.txt": NOTE for number in range(600)})
    with pytest.raises(TooLarge, match="the limit is 1,000"):
        planned(tmp_path, zip_of({"a.zip": inner, "b.zip": inner}))


def test_bytes_of_inner_archives_count_towards_the_outermost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = PackageLimits(unpacked_bytes=10_000, entries=100, ratio=10**6)
    monkeypatch.setattr(archives, "_DIRECTORY", small)
    inner = zip_of({"a.txt": "a" * 6000})
    assert len(names(planned(tmp_path, zip_of({"one.zip": inner})))) == 1
    with pytest.raises(TooLarge, match="unpacks to more"):
        planned(tmp_path, zip_of({"one.zip": inner, "two.zip": inner}))


# --- Passwords -------------------------------------------------------------------------------------------------


def test_an_encrypted_archive_wants_its_password(tmp_path: Path) -> None:
    data = locked_zip("note.txt", NOTE.encode(), b"harbour")
    with pytest.raises(PasswordRequired, match="submit it again with its password"):
        planned(tmp_path, data)
    with pytest.raises(PasswordRequired, match="password is wrong"):
        planned(tmp_path, data, password="lighthouse")
    found = planned(tmp_path, data, password="harbour")
    assert text_of(tmp_path, found, "note.txt") == NOTE


def test_an_archive_under_aes_says_that_it_is_not_opened(tmp_path: Path) -> None:
    data = bytearray(zip_of({"note.txt": NOTE}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1
    data[directory + 10] = 99
    with pytest.raises(PasswordRequired, match="AES"):
        planned(tmp_path, bytes(data), password="harbour")


# --- Programs --------------------------------------------------------------------------------------------------

PROJECT = {
    "harbour-main/pyproject.toml": "[project]\nname = 'harbour'",
    "harbour-main/README.md": "# Harbour\n\nBooks berths.",
    "harbour-main/src/berths.py": '"""Berths of a harbour."""\n\nCOUNT = 12\n',
    "harbour-main/src/ships.py": "class Ship:\n    pass\n",
    "harbour-main/tests/test_berths.py": "def test_count():\n    assert True\n",
}


def test_a_program_becomes_a_text_per_top_folder(tmp_path: Path) -> None:
    found = planned(tmp_path, zip_of(PROJECT), "harbour.zip")
    assert names(found) == ["harbour.md", "harbour-src.md", "harbour-tests.md"]
    assert text_of(tmp_path, found, "harbour-src.md") == (
        "# harbour: src\n\n## src/berths.py\n\nBerths of a harbour.\n\n"
        '```python\n"""Berths of a harbour."""\n\nCOUNT = 12\n```\n\n'
        "## src/ships.py\n\n```python\nclass Ship:\n    pass\n```\n"
    )
    assert "Books berths." in text_of(tmp_path, found, "harbour.md")
    assert {document.content.kind for document in found.documents} == {"markdown"}


def test_locks_generated_and_vendored_files_are_left_out_and_said(tmp_path: Path) -> None:
    more = {
        "harbour-main/poetry.lock": "x",
        "harbour-main/src/app.min.js": "x",
        "harbour-main/vendor/other.py": "x = 1",
        "harbour-main/src/data.py": "x = 1\n" * 100_000,
        **{f"harbour-main/node_modules/{number}/index.js": "x" for number in range(2000)},
    }
    found = planned(tmp_path, zip_of({**PROJECT, **more}), "harbour.zip")
    assert names(found) == ["harbour.md", "harbour-src.md", "harbour-tests.md"]
    assert {entry.filename.removeprefix("harbour-main/"): entry.reason for entry in found.left_out} == {
        "node_modules/": "A folder of other people's code or of made files (2,000 files).",
        "poetry.lock": "A lock file.",
        "src/app.min.js": "A generated file.",
        "vendor/other.py": "Other people's code.",
        "src/data.py": "The file is over 256 KB: it looks generated.",
    }


def test_pictures_and_papers_of_a_program_stay_documents(tmp_path: Path) -> None:
    from tests.hostile import text_pdf

    found = planned(
        tmp_path, zip_of({**PROJECT, "harbour-main/docs/plan.pdf": text_pdf(NOTE)}), "harbour.zip"
    )
    assert names(found)[0] == "harbour-main/docs/plan.pdf"


def test_long_folders_are_parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codetrees, "MAX_DOCUMENT_CHARACTERS", 100)
    files = {f"src/{letter}.py": f"{letter} = {'1' * 40}" for letter in "abc"}
    assert names(planned(tmp_path, zip_of(files), "p.zip")) == ["p.md", "p (2).md", "p (3).md"]


@pytest.mark.parametrize(
    ("files", "program"),
    [
        (["a.py", "notes.txt"], False),
        (["a.py", "b.py", "c.py", "notes.txt"], True),
        (["a.py", "b.py", "c.py", "1.txt", "2.txt", "3.txt"], False),
        (["a.py", "requirements.txt", "1.txt", "2.txt"], True),
        (["src/a.c", "1.txt", "2.txt"], True),
        (["App.sln", "a.cs"], True),
        (["package.json", "photos.txt"], False),
        (["a.json", "b.json", "c.yaml", "d.xml"], False),
    ],
)
def test_programs_are_told_by_markers_or_by_their_share_of_source(
    tmp_path: Path, files: list[str], program: bool
) -> None:
    found = planned(tmp_path, zip_of(dict.fromkeys(files, "{}  # x")), "p.zip")
    assert any(name.startswith("p") and name.endswith(".md") for name in names(found)) == program
