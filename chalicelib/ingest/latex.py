"""LaTeX sources: the text with its headings and lists; commands are taken off, formulas stay as written.

A light reading, not TeX: macros are not expanded and `\\input` is not followed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import msgspec

from chalicelib.ingest import text
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import squeeze, tidy
from chalicelib.ingest.titles import title_of

_LEVELS: Final = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5,
}  # fmt: skip
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*?$\n?", re.M)
_BODY = re.compile(r"\\begin\s*\{document\}(.*?)(?:\\end\s*\{document\}|\Z)", re.S)
# What one pair of braces holds, with one pair more inside it.
_BRACES: Final = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
_OPTIONS: Final = r"(?:\s?\[[^\[\]]{0,500}\])*"
_HEADING = re.compile(rf"\\({'|'.join(_LEVELS)})\*?{_OPTIONS}\s?{_BRACES}")
_ITEM = re.compile(rf"\\item\b{_OPTIONS}[ \t]*")
_NO_TEXT = re.compile(
    r"\\(?:label|ref|eqref|autoref|cref|Cref|pageref|cite[a-z]*|nocite|includegraphics|input|include|bibliography"
    r"|bibliographystyle|vspace|hspace|usepackage|documentclass|newcommand|renewcommand|setlength|pagestyle"
    rf"|thispagestyle|begin|end|setcounter|addcontentsline|graphicspath|definecolor|color|thanks)\*?{_OPTIONS}"
    rf"(?:\s?\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}})*{_OPTIONS}"
)
_HREF = re.compile(rf"\\(?:href|textcolor|colorbox)\s?\{{[^{{}}]*\}}\s?{_BRACES}")
_WRAPPED = re.compile(rf"\\[A-Za-z]+\*?{_OPTIONS}\s?{_BRACES}")
_COMMAND = re.compile(r"\\[A-Za-z]+\*? ?")
_MATH = re.compile(r"\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|(?<!\\)\$[^$\n]{1,500}\$", re.S)
_MATH_BLOCK = re.compile(
    r"\\begin\{(equation|align|gather|multline|eqnarray|displaymath)(\*?)\}.*?\\end\{\1\2\}", re.S
)
_VERBATIM = re.compile(
    r"\\begin\{(verbatim|lstlisting|minted)\}(?:\[[^\]]*\])?(?:\{[^}]*\})?(.*?)\\end\{\1\}", re.S
)
_SYMBOLS: Final = (
    ("\\\\", "\n"), ("\\&", "&"), ("\\%", "%"), ("\\#", "#"), ("\\_", "_"), ("\\$", "$"), ("\\{", "{"), ("\\}", "}"),
    ("---", "—"), ("--", "–"), ("``", "“"), ("''", "”"), ("~", " "), ("\\,", " "), ("\\ ", " "), ("\\-", ""),
)  # fmt: skip
_LETTERS: Final = {
    "L": "Ł", "l": "ł", "O": "Ø", "o": "ø", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "AA": "Å", "aa": "å",
    "ss": "ß", "i": "ı", "j": "ȷ", "LaTeX": "LaTeX", "TeX": "TeX", "ldots": "…", "dots": "…",
}  # fmt: skip
_LETTER = re.compile(rf"\\({'|'.join(_LETTERS)})(?![A-Za-z])(?:\{{\}}|[ \t])?")
# Accent commands, as the Unicode characters that combine with the letter before them.
_ACCENTS: Final = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "H": "\u030b", "k": "\u0328", "u": "\u0306", "r": "\u030a",
}  # fmt: skip
_ACCENT = re.compile(r"\\(?:(['`^\"~=.])\s?|([cvHkur])(?=[{ ]) ?)(?:\{\\?([A-Za-z])\}|\\?([A-Za-z]))")
_KEPT_MARK: Final = "\ue000{}\ue001"
_KEPT = re.compile("\ue000(\\d+)\ue001")


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a LaTeX file; progress has one step. Raise TooLarge or BrokenFile as `text.parse` does."""
    plain = text.parse(source, on_progress=on_progress)
    without_comments = _COMMENT.sub(r"\1", plain.text)
    stated = _argument(without_comments, "title")
    author = _argument(without_comments, "author")
    body = _BODY.search(without_comments)
    content = _stripped(body[1] if body else without_comments)
    shown = f"# {stated}\n\n{content}" if stated else content
    metadata = {**plain.metadata, "author": author} if author else plain.metadata
    return msgspec.structs.replace(
        plain,
        text=shown,
        title=title_of(source, shown, stated),
        source_type="latex",
        language=None,
        metadata=metadata,
    )


def _argument(content: str, name: str) -> str:
    """Return the text of the first command `name`, on one line."""
    found = re.search(rf"\\{name}\b{_OPTIONS}\s?{_BRACES}", content)
    return squeeze(_stripped(found[1]))[:500] if found else ""


def _stripped(content: str) -> str:
    """Return LaTeX as Markdown. Formulas and verbatim passages are put aside and come back as they were."""
    kept: list[str] = []

    def keep(passage: str) -> str:
        kept.append(passage)
        return _KEPT_MARK.format(len(kept) - 1)

    content = _VERBATIM.sub(lambda match: keep(f"\n\n```\n{match[2].strip(chr(10))}\n```\n\n"), content)
    content = _MATH_BLOCK.sub(lambda match: keep(match[0]), content)
    content = _MATH.sub(lambda match: keep(match[0]), content)
    content = _ACCENT.sub(_accented, _LETTER.sub(lambda match: _LETTERS[match[1]], content))
    content = _HEADING.sub(
        lambda match: f"\n\n{'#' * _LEVELS[match[1]]} {squeeze(_unwrapped(match[2]))}\n\n", content
    )
    content = _unwrapped(_ITEM.sub("\n- ", _NO_TEXT.sub("", content)))
    content = re.sub(r"[ \t]+", " ", re.sub(r"\n[ \t]+", "\n", content))
    # Put back from the last to the first: a passage may hold an earlier one's mark.
    for _ in range(2):
        content = _KEPT.sub(lambda match: kept[int(match[1])] if int(match[1]) < len(kept) else "", content)
    return tidy(content).strip()


def _accented(match: re.Match[str]) -> str:
    letter = match[3] or match[4]
    return unicodedata.normalize("NFC", letter + _ACCENTS[match[1] or match[2]])


def _unwrapped(content: str) -> str:
    """Return `content` without commands, but with what they are about."""
    content = _HREF.sub(r"\1", content)
    for _ in range(5):  # From the inside out; deeper ones lose their braces below.
        content, count = _WRAPPED.subn(r"\1", content)
        if not count:
            break
    for command, character in _SYMBOLS:
        content = content.replace(command, character)
    return re.sub(r"[{}]", "", _COMMAND.sub("", content))
