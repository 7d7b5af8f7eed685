"""Programming languages by file name and by first line."""

from __future__ import annotations

import re
from typing import Final

from chalicelib.ingest.filename import extension

_EXTENSIONS: Final = {
    "ada": ".adb .ads",
    "assembly": ".asm .s",
    "batch": ".bat .cmd",
    "c": ".c .h",
    "c++": ".cc .cpp .cxx .hh .hpp .hxx .ino",
    "c#": ".cs .csx",
    "clojure": ".clj .cljc .cljs .edn",
    "cobol": ".cbl .cob",
    "css": ".css .less .sass .scss",
    "cuda": ".cu .cuh",
    "d": ".d",
    "dart": ".dart",
    "elixir": ".ex .exs",
    "elm": ".elm",
    "erlang": ".erl .hrl",
    "f#": ".fs .fsi .fsx",
    "fortran": ".f .f03 .f08 .f90 .f95 .for",
    "go": ".go",
    "graphql": ".gql .graphql",
    "groovy": ".gradle .groovy",
    "haskell": ".hs .lhs",
    "hcl": ".hcl .tf .tfvars",
    "ini": ".cfg .conf .ini .properties",
    "java": ".java",
    "javascript": ".cjs .js .jsx .mjs",
    "json": ".geojson .json .json5 .jsonc .jsonl .ndjson",
    "julia": ".jl",
    "kotlin": ".kt .kts",
    "latex": ".bib .cls .sty .tex",
    "lisp": ".cl .el .lisp .lsp",
    "lua": ".lua",
    "make": ".mak .mk",
    "nim": ".nim",
    "nix": ".nix",
    "objective-c": ".m .mm",
    "ocaml": ".ml .mli",
    "pascal": ".dpr .lpr .pas .pp",
    "perl": ".pl .pm .t",
    "php": ".php .phtml",
    "powershell": ".ps1 .psd1 .psm1",
    "prolog": ".pro",
    "protobuf": ".proto",
    "python": ".py .pyi .pyw .pyx",
    "r": ".r .rmd",
    "ruby": ".gemspec .rake .rb",
    "rust": ".rs",
    "scala": ".sbt .sc .scala",
    "scheme": ".rkt .scm .ss",
    "shell": ".bash .fish .ksh .sh .zsh",
    "solidity": ".sol",
    "sql": ".ddl .dml .psql .sql",
    "svelte": ".svelte",
    "swift": ".swift",
    "tcl": ".tcl",
    "toml": ".toml",
    "typescript": ".cts .mts .ts .tsx",
    "verilog": ".sv .svh .v .vh",
    "vhdl": ".vhd .vhdl",
    "visual basic": ".bas .vb .vbs",
    "vue": ".vue",
    "xml": ".svg .wsdl .xml .xsd .xsl .xslt",
    "yaml": ".yaml .yml",
    "zig": ".zig",
}
_BY_EXTENSION: Final = {
    ending: language for language, endings in _EXTENSIONS.items() for ending in endings.split()
}
_BY_NAME: Final = {
    "cmakelists.txt": "cmake",
    "containerfile": "dockerfile",
    "dockerfile": "dockerfile",
    "gemfile": "ruby",
    "gnumakefile": "make",
    "jenkinsfile": "groovy",
    "makefile": "make",
    "rakefile": "ruby",
    "vagrantfile": "ruby",
}
_BY_INTERPRETER: Final = {
    "ash": "shell",
    "awk": "awk",
    "bash": "shell",
    "dash": "shell",
    "deno": "typescript",
    "fish": "shell",
    "ksh": "shell",
    "lua": "lua",
    "make": "make",
    "node": "javascript",
    "nodejs": "javascript",
    "perl": "perl",
    "php": "php",
    "pwsh": "powershell",
    "python": "python",
    "ruby": "ruby",
    "sh": "shell",
    "tclsh": "tcl",
    "zsh": "shell",
}
# "#!/usr/bin/env -S python3.11 -u", "#!/bin/bash": the interpreter's name without its version.
_SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+)*)?(?:\S*/)?([A-Za-z]+)")


def language_of(filename: str, text: str) -> str | None:
    """Return the programming language of a text file, by its name or else its `#!` line; None: no code."""
    name = filename.lower()
    by_name = _BY_NAME.get(name) or _BY_EXTENSION.get(extension(name))
    if by_name:
        return by_name
    shebang = _SHEBANG.match(text[:200])
    return _BY_INTERPRETER.get(shebang[1].lower()) if shebang else None
