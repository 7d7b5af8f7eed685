"""Every page of Markdown: its links lead somewhere, and the commands, tests and files that it names are there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from chalicelib import errors
from local import framing  # has an error of its own
from tests.stack import ROOT

# Pages that are input to the service, and say nothing of it.
_SAMPLES: Final = {
    "postgres-indexes.md",
    "retrying-jobs.md",
    "slow-queries.md",
    "sourdough-second-edition.md",
}
# Errors that end within the service: bases, what stops a run, and what becomes a warning of a language model.
_INSIDE: Final = {
    *("permanent_error", "transient_error", "cancelled", "hand_over", "stale_run"),
    *("model_busy", "model_refused", "model_unclear"),
}
_LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# `make bench` in running text or code; "make it" in prose has no code around it.
_MADE: Final = re.compile(r"(?:`|^ *|&& )make ([a-z]+(?:-[a-z]+)*)(?=[` ]|$)", re.MULTILINE)
_MODULE: Final = re.compile(r"python -m ((?:bench|infra|local|tests|syncboard|chalicelib)[a-z_.]*)")
_TEST: Final = re.compile(r"`(?:tests/unit/)?(test_\w+\.py)(?:::(\w+))?`")
_FILE: Final = re.compile(
    r"`((?:bench|chalicelib|containers|docs|infra|local|requirements|samples|syncboard|tests)/[\w@./-]+)`"
)


def pages() -> list[Path]:
    """Return the Markdown files that Git knows, or that are about to be known to it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # An export without a repository.
        found = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "containers").glob("*.md")]
    else:
        found = [ROOT / line for line in listed.stdout.splitlines()]
    return sorted(page for page in found if page.name not in _SAMPLES and page.exists())


def headings(text: str) -> set[str]:
    """Return the anchors of a page, made of its headings as GitHub makes them."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?)\s*$", _FENCED.sub("", text), re.MULTILINE):
        shown = _LINK.sub(lambda link: link.group(0).partition("]")[0].lstrip("!["), heading)
        anchor = re.sub(r"[^\w -]", "", shown.lower()).replace(" ", "-")
        again = sum(
            known == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", known) is not None
            for known in anchors
        )
        anchors.add(f"{anchor}-{again}" if again else anchor)
    return anchors


def dead_links(page: Path) -> Iterator[str]:
    """Yield the relative links of `page` that lead to no file, or to no heading."""
    for target in _LINK.findall(_FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in headings(there.read_text())):
            yield target


PAGES: Final = pages()
NAMES: Final = [str(page.relative_to(ROOT)) for page in PAGES]


def test_the_pages_are_found() -> None:
    assert {"README.md", "docs/guide.md", "docs/adr/0001-a-job-is-a-row.md"} <= set(NAMES)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
class TestAPage:
    """What can be checked of each."""

    def test_its_links_lead_somewhere(self, page: Path) -> None:
        assert not list(dead_links(page))

    def test_its_commands_are_there(self, page: Path) -> None:
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        text = page.read_text()
        assert set(_MADE.findall(text)) <= targets
        for module in _MODULE.findall(text):
            path = ROOT / module.rstrip(".").replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module

    def test_the_tests_and_files_that_it_names_are_there(self, page: Path) -> None:
        text = page.read_text()
        for file, name in _TEST.findall(text):
            there = [path.read_text() for path in (ROOT / "tests").rglob(file)]
            assert there, file
            assert any(f"def {name}(" in code for code in there) or not name, f"{file}::{name}"
        for file in _FILE.findall(text):
            assert (ROOT / file).exists(), file


def test_every_type_of_error_that_a_user_may_see_is_on_some_page() -> None:
    shown = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    missing = {kind.type for kind in kinds(errors.SyncBoardError)} | {framing.Forbidden.type}
    missing -= _INSIDE
    assert {kind for kind in missing if f"`{kind}`" not in shown} == set()


def kinds(root: type[errors.SyncBoardError]) -> Iterator[type[errors.SyncBoardError]]:
    """Yield an error and all that derive from it."""
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


class TestTheChecksThemselves:
    """A dead link is found, a live one is none."""

    def test_dead_links_are_found(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        (tmp_path / "other.md").write_text(
            "# Here `it` is: two\n\n```sh\n# no heading\n```\n\n## Again\n\n## Again\n"
        )
        good = "[a](other.md) [b](other.md#here-it-is-two) [c](#page) [d](https://example.com) [e](other.md#again-1)"
        bad = "[f](gone.md) [g](other.md#no-heading) [h](#nowhere) ![i](gone.png)"
        page.write_text(f"# Page\n\n{good}\n{bad}\n\n```\n[j](in-code.md)\n```\n")
        assert list(dead_links(page)) == ["gone.md", "other.md#no-heading", "#nowhere", "gone.png"]

    def test_commands_are_told_from_prose(self) -> None:
        text = "`make images-test` may make it so.\n    make images BASE=x\ncd x && make run\n```\nmake clean\n```\n"
        assert _MADE.findall(text) == ["images-test", "images", "run", "clean"]
