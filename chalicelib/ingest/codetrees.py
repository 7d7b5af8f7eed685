"""What an archive's files become: a document each, or, where they are a program, one document per top folder.

A repository of 300 files is no 300 documents: nobody looks for the document "__init__.py". Its folders are: each
becomes a Markdown text with the folder's files one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from chalicelib.errors import PermanentError
from chalicelib.ingest.archives import LeftOut, Member, Unpacked, archive_name, unpack
from chalicelib.ingest.content import ContentType
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.ingest.markdown import fence, heading
from chalicelib.ingest.text import decode, opening_comment

# Of one file in a folder's text; longer code was made by a program or is data.
MAX_FILE_BYTES: Final = 256 * 1024
# Of a folder's text; what is more goes into a further document. Beyond it nobody reads, and analysis samples.
MAX_DOCUMENT_CHARACTERS: Final = 2 * 1024 * 1024

# Kinds that go into a folder's text; all others are documents of their own.
_IN_TEXT: Final = frozenset({"code", "text", "markdown", "html", "csv", "latex"})
# "Languages" that hold data or settings: no sign of a program.
_DATA_LANGUAGES: Final = frozenset({"css", "graphql", "ini", "json", "latex", "toml", "xml", "yaml"})
# What stands at the top of a program's folder.
_MARKERS: Final = frozenset(
    {
        "build.gradle", "build.gradle.kts", "cargo.toml", "cmakelists.txt", "composer.json", "deno.json",
        "dockerfile", "gemfile", "go.mod", "makefile", "meson.build", "mix.exs", "package.json", "package.swift",
        "pipfile", "pom.xml", "pubspec.yaml", "pyproject.toml", "requirements.txt", "setup.cfg", "setup.py",
        "tsconfig.json",
    }
)  # fmt: skip
_MARKER_ENDINGS: Final = (".sln", ".csproj", ".fsproj", ".vcxproj", ".cabal", ".gemspec", ".xcodeproj")
# Source files from which on an archive is a program without any other sign.
_MANY_SOURCES: Final = 3
_LOCK_FILES: Final = frozenset(
    {
        "bun.lock", "cargo.lock", "composer.lock", "flake.lock", "gemfile.lock", "go.sum", "gradle.lockfile",
        "mix.lock", "npm-shrinkwrap.json", "package-lock.json", "packages.lock.json", "pdm.lock", "pipfile.lock",
        "pnpm-lock.yaml", "podfile.lock", "poetry.lock", "pubspec.lock", "uv.lock", "yarn.lock",
    }
)  # fmt: skip
_GENERATED_ENDINGS: Final = (".min.js", ".min.css", ".map", "_pb2.py", "_pb2_grpc.py", ".pb.go", ".g.dart")
# Folders of others' code by usage only: in an archive of documents they are folders like any other.
_OTHERS_FOLDERS: Final = frozenset({"third_party", "thirdparty", "vendor", "venv"})


class PlannedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that an archive is to become."""

    # Name of its bytes' file in the folder.
    file: str
    # What to call it: a path in the archive, or "project-folder.md".
    filename: str
    size: int
    content: ContentType


class ArchivePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an archive. A function of its bytes alone: another run finds the same, in the same order."""

    documents: tuple[PlannedDocument, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def plan(
    path: str,
    folder: str,
    filename: str,
    password: str | None,
    *,
    on_progress: ProgressCallback = ignore_progress,
) -> ArchivePlan:
    """Unpack the archive `filename` at `path` into `folder` and say what its files become; raise as `unpack` does.

    Run it in the sandbox: it touches every byte.
    """
    found = unpack(Path(path), Path(folder), password=password, on_progress=on_progress)
    if not is_program(found.members):
        return ArchivePlan(documents=tuple(map(_single, found.members)), left_out=found.left_out)
    return _Program(Path(folder), archive_name(filename)).plan(found)


def is_program(members: Sequence[Member]) -> bool:
    """Tell whether files are a program: by a project's marker or a folder "src", or because most are source code."""
    sources = [member for member in members if _is_source(member)]
    if not sources:
        return False
    names = [PurePosixPath(member.path).name.lower() for member in members]
    marked = any(name in _MARKERS or name.endswith(_MARKER_ENDINGS) for name in names)
    in_src = any("src" in PurePosixPath(member.path).parts[:-1] for member in sources)
    return marked or in_src or (len(sources) >= _MANY_SOURCES and len(sources) * 2 > len(members))


def _is_source(member: Member) -> bool:
    return member.content.kind == "code" and member.content.language not in _DATA_LANGUAGES


def _single(member: Member) -> PlannedDocument:
    return PlannedDocument(file=member.file, filename=member.path, size=member.size, content=member.content)


class _Program:
    """The files of a program on their way into one text per top folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._left_out: list[LeftOut] = []
        self._written = 0

    def plan(self, found: Unpacked) -> ArchivePlan:
        groups: dict[str, list[tuple[str, Member]]] = {}
        documents = []
        texts = [member for member in found.members if member.content.kind in _IN_TEXT]
        depth = _common_depth([member.path for member in texts])
        for member in found.members:
            if member.content.kind not in _IN_TEXT:
                documents.append(_single(member))
            elif reason := _refusal(member):
                self._left_out.append(LeftOut(filename=member.path, reason=reason))
            elif member.size > MAX_FILE_BYTES:
                documents.append(_single(member))  # a long text, as a book's, stands for itself
            else:
                inner = PurePosixPath(*PurePosixPath(member.path).parts[depth:])
                group = inner.parts[0] if len(inner.parts) > 1 else ""
                groups.setdefault(group, []).append((str(inner), member))
        for group, members in groups.items():
            documents += self._documents(group, members)
        return ArchivePlan(documents=tuple(documents), left_out=(*found.left_out, *self._left_out))

    def _documents(self, group: str, members: Sequence[tuple[str, Member]]) -> Iterator[PlannedDocument]:
        """Write a top folder's text, in parts if it is long."""
        name = f"{self._name}-{group}" if group else self._name
        title = f"{self._name}: {group}" if group else self._name
        for number, blocks in enumerate(_parts(self._sections(members)), 1):
            part = f" ({number})" if number > 1 else ""
            text = "\n\n".join([heading(1, title + part), *blocks]) + "\n"
            self._written += 1
            file = f"folder-{self._written}"
            data = text.encode()
            (self._folder / file).write_bytes(data)
            yield PlannedDocument(
                file=file,
                filename=f"{name}{part}.md",
                size=len(data),
                content=ContentType(kind="markdown", mime="text/markdown"),
            )

    def _sections(self, members: Sequence[tuple[str, Member]]) -> Iterator[str]:
        for path, member in members:
            try:
                text, _, _ = decode((self._folder / member.file).read_bytes())
            except PermanentError as error:
                self._left_out.append(LeftOut(filename=member.path, reason=error.message))
                continue
            if text.strip():
                yield _section(path, text, member.content)


def _section(path: str, text: str, content: ContentType) -> str:
    """Return one file under its path: prose as it is, code in a fence, below what it says of itself."""
    if content.kind in ("text", "markdown"):
        return "\n\n".join([heading(2, path), text.strip("\n")])
    said = opening_comment(text) if content.kind == "code" else ""
    language = (content.language or content.kind).replace(" ", "-")
    return "\n\n".join(block for block in (heading(2, path), said, fence(text, language)) if block)


def _parts(sections: Iterator[str]) -> Iterator[list[str]]:
    """Yield sections in runs of at most MAX_DOCUMENT_CHARACTERS."""
    run: list[str] = []
    characters = 0
    for section in sections:
        if run and characters + len(section) > MAX_DOCUMENT_CHARACTERS:
            yield run
            run, characters = [], 0
        run.append(section)
        characters += len(section)
    if run:
        yield run


def _refusal(member: Member) -> str:
    """Return why a text of a program is left out, or ""."""
    path = PurePosixPath(member.path.lower())
    if path.name in _LOCK_FILES:
        return "A lock file."
    if path.name.endswith(_GENERATED_ENDINGS):
        return "A generated file."
    if _OTHERS_FOLDERS.intersection(path.parts[:-1]):
        return "Other people's code."
    if member.size > MAX_FILE_BYTES and member.content.kind not in ("text", "markdown"):
        return f"The file is over {MAX_FILE_BYTES // 1024} KB: it looks generated."
    return ""


def _common_depth(paths: Sequence[str]) -> int:
    """Return how many folders all paths begin with: most archives of programs hold one folder and all in it."""
    folders = [PurePosixPath(path).parts[:-1] for path in paths]
    if not folders:
        return 0
    shortest, longest = min(folders), max(folders)
    return next(
        (at for at, pair in enumerate(zip(shortest, longest, strict=False)) if pair[0] != pair[1]),
        min(len(shortest), len(longest)),
    )
