"""Source code as text: its language, what it imports, what its comments and names speak of."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePath
from typing import Final, NamedTuple

from chalicelib.knowledge import background
from chalicelib.knowledge.lexicon import spelled
from chalicelib.knowledge.tokens import BREAK, MAX_TOKEN, subwords

# Times that one identifier is counted at most: `i` in a loop must not outweigh the subject.
MAX_COUNT: Final = 4

_LANGUAGES: Final = {
    "py": "Python", "pyi": "Python", "js": "JavaScript", "mjs": "JavaScript", "jsx": "JavaScript",
    "ts": "TypeScript", "tsx": "TypeScript", "java": "Java", "c": "C", "h": "C", "cc": "C++", "cpp": "C++",
    "hpp": "C++", "cxx": "C++", "cs": "C#", "go": "Go", "rs": "Rust", "rb": "Ruby", "php": "PHP", "swift": "Swift",
    "kt": "Kotlin", "scala": "Scala", "hs": "Haskell", "ml": "OCaml", "ex": "Elixir", "exs": "Elixir",
    "erl": "Erlang", "clj": "Clojure", "lua": "Lua", "pl": "Perl", "r": "R", "jl": "Julia", "sql": "SQL",
    "sh": "Bash", "bash": "Bash", "ps1": "PowerShell", "html": "HTML", "css": "CSS", "scss": "Sass", "dart": "Dart",
    "m": "MATLAB", "f90": "Fortran", "vhd": "VHDL", "v": "Verilog", "sol": "Solidity", "zig": "Zig", "tex": "LaTeX",
}  # fmt: skip
# Categories of the lexicon whose names may stand for themselves as identifiers.
_PRODUCTS: Final = frozenset(("framework", "library", "database", "platform", "tool"))
# By content, for code without a telling name: the language with the most matches, at least two.
_SIGNS: Final = {
    "Python": r"^[ \t]*(?:def \w+\(.*\).*:|class \w+.*:|from [\w.]+ import |import \w+$|elif |if __name__)",
    "JavaScript": r"\b(?:const|let|var) \w+ = |\bfunction\b.*\{|=> \{|require\(|console\.log|^import .* from ['\"]",
    "TypeScript": r"^[ \t]*(?:export )?(?:interface|type) \w+.*[{=]|: (?:string|number|boolean)\b",
    "Java": r"^[ \t]*(?:public|private|protected) .*[({]$|System\.out\.|^import java",
    "C": r"^#include <\w+\.h>|\bint main\(|\bprintf\(|\bmalloc\(",
    "C++": r"^#include <\w+>|\bstd::|\btemplate ?<|\bcout\b",
    "Go": r"^func |^package \w+$|:= |\bfmt\.",
    "Rust": r"\bfn \w+.*\{|\blet mut |\bimpl\b.*\{|^use \w+::|println!",
    "Ruby": r"^[ \t]*(?:def \w+[?!]?|end|require ['\"]|attr_\w+)",
    "SQL": r"(?i)^[ \t]*(?:select .* from|insert into|create table|update \w+ set)\b",
    "Bash": r"^#!.*\bsh$|\bfi$|\bdone$|^[ \t]*echo ",
}
_IMPORTS: Final = re.compile(
    r"^[ \t]*(?:from\s+([\w.]+)\s+import|import[ \t]+(?:[\w*{}, \t]+[ \t]from[ \t]+)?['\"]?([@\w./-]+)"
    r"|use\s+(\w+)(?:::|;)"
    r"|using\s+([\w.]+);|#\s*include\s*[<\"]([\w./]+)|require\s*\(?['\"]([\w./-]+))",
    re.MULTILINE,
)
_REQUIRE: Final = re.compile(r"\brequire\(['\"]([@\w./-]+)")
_COMMENT: Final = re.compile(
    r'"""(.*?)(?:"""|\Z)|\'\'\'(.*?)(?:\'\'\'|\Z)|(?:^|[\s;{}(,])/\*(.*?)(?:\*/|\Z)'
    r"|(?:^|\s)(?:#+|//+!?|--|;;+|%+)[ \t]+([^\n]*)",
    re.DOTALL | re.MULTILINE,
)
_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'")
_NAME: Final = re.compile(r"[^\W\d]\w*")


class Code(NamedTuple):
    """What a source file says about its subject."""

    # Display name of the language, or "".
    language: str
    # Top-level names of imported modules, in order, without repeats.
    imports: list[str]
    # Comments and docstrings, as prose.
    prose: str
    # Words of the identifiers, a BREAK after each identifier; one that is a product's name stands as it is, once.
    names: list[str]


def read_code(text: str, filename: str = "") -> Code:
    """Take source code apart. Nothing is parsed: any language, broken or half a file will do."""
    comments: list[str] = []

    def keep(match: re.Match[str]) -> str:
        comments.append(next(group for group in match.groups() if group is not None))
        return "\n"

    imports = [next(filter(None, groups)) for groups in _IMPORTS.findall(text)] + _REQUIRE.findall(text)
    bare = _STRING.sub(" ", _COMMENT.sub(keep, text))
    return Code(
        language=code_language(text, filename),
        imports=list(dict.fromkeys(filter(None, map(_top_module, imports)))),
        prose="\n\n".join(re.sub(r"^[ \t]*\*+", "", comment, flags=re.MULTILINE) for comment in comments),
        names=_names(bare),
    )


def code_language(text: str, filename: str = "") -> str:
    """Return the language of source code by its file name's ending, else by its first 20,000 characters."""
    known = _LANGUAGES.get(PurePath(filename).suffix.lstrip(".").lower()) if len(filename) < 300 else None
    if known:
        return known
    counts = {name: len(re.findall(sign, text[:20_000], re.MULTILINE)) for name, sign in _SIGNS.items()}
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] >= 2 else ""


def fence_language(info: str) -> str:
    """Return the language of a Markdown fence's info string ("py", "rust", "c++"), or ""."""
    by_name = {name.lower(): name for name in _LANGUAGES.values()}
    return by_name.get(info.lower()) or _LANGUAGES.get(info.lower(), "")


def _top_module(path: str) -> str:
    parts = [part for part in re.split(r"[./@]|::", path) if part]
    return parts[0] if parts else ""


def _names(code: str) -> list[str]:
    words: list[str] = []
    keywords = background.code_keywords()
    for name, count in Counter(_NAME.findall(code)).items():
        if len(name) > MAX_TOKEN or name.lower() in keywords:
            continue
        if entries := spelled(name):
            # `image: redis`, `postgres.connect()`; but no `requests` or `go`, whose spelling is an ordinary word's.
            words += [name, BREAK] if any(e.category in _PRODUCTS and not e.exact for e in entries) else []
            continue
        parts = [part.lower() for part in subwords(name) if len(part) > 2 and part.lower() not in keywords]
        words += [*parts, BREAK] * min(count, MAX_COUNT) if parts else []
    return words
