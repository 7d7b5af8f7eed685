"""The code on a page of Markdown, and what the page says about it.

A fenced block may have comments right above it: `<!-- not run: reason -->`, `<!-- fails -->` (it ends with an error)
and `<!-- runs until: words -->` (it goes on until it is stopped, and prints these words). A block of output below a
shell block says what that prints; `…` stands for anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

# Languages of blocks that can be run.
SHELL: Final = ("sh", "bash", "console")
BROWSER: Final = ("js", "javascript")
_OUTPUT: Final = ("text", "json")
_BLOCK: Final = re.compile(
    r"(?P<comments>(?:^<!-- .*? -->\n)*)^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_COMMENT: Final = re.compile(r"<!-- (?P<what>not run|fails|runs until)(?:: (?P<value>.*?))? -->")
_ANYTHING: Final = "…"


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """A block that can be run."""

    # Line of its first line of code in the page.
    line: int
    language: str
    code: str
    # Why it is not run; empty: it is.
    not_run: str = ""
    # Whether it ends with an error.
    fails: bool = False
    # What it prints when it is up, where it goes on until it is stopped.
    runs_until: str = ""
    # What the page says that it prints, or None; whether that is JSON, in which blanks mean nothing.
    output: str | None = None
    json: bool = False


def read(page: Path) -> list[Snippet]:
    """Return a page's blocks that can be run, in order."""
    text = page.read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    found = []
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block["language"] not in (*SHELL, *BROWSER):
            continue
        says = {match["what"]: match["value"] or "" for match in _COMMENT.finditer(block["comments"])}
        shown = (
            following is not None
            and following["language"] in _OUTPUT
            and not text[block.end() : following.start()].strip()
        )
        found.append(
            Snippet(
                line=text.count("\n", 0, block.start("code")) + 1,
                language=block["language"],
                code=block["code"],
                not_run=says.get("not run", ""),
                fails="fails" in says,
                runs_until=says.get("runs until", ""),
                output=following["code"] if shown and following else None,
                json=bool(shown and following and following["language"] == "json"),
            )
        )
    return found


def runnable(snippets: Sequence[Snippet], languages: Sequence[str]) -> list[Snippet]:
    """Return those in one of the languages that are run."""
    return [snippet for snippet in snippets if snippet.language in languages and not snippet.not_run]


def matches(said: str, shown: str, *, json: bool = False) -> bool:
    """Tell whether a program said what a page shows: the pieces between `…`, in order; blanks are all alike."""
    blank = "" if json else " "
    words = blank.join(said.split())
    place = 0
    for piece in (blank.join(part.split()) for part in shown.split(_ANYTHING)):
        place = words.find(piece, place)
        if place < 0:
            return False
        place += len(piece)
    return True
