"""The concepts of a document, offline: no model, no network, milliseconds.

Candidate phrases (`candidates`) and known names (`lexicon`) are scored, the best are chosen without overlaps.
`bench/background_idf.py figures` prints the quality on the labelled texts of the tests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final, NamedTuple

import msgspec

from chalicelib.knowledge import background, lexicon
from chalicelib.knowledge.boilerplate import plain_heading, without_boilerplate
from chalicelib.knowledge.candidates import Key, Phrase, acronyms, display_name, phrases, score
from chalicelib.knowledge.categories import category
from chalicelib.knowledge.identifiers import Code, fence_language, read_code
from chalicelib.knowledge.skill import skill_level
from chalicelib.knowledge.tablecells import without_data
from chalicelib.knowledge.tokens import BREAK, clean, sample, stem, tokens

# A known name weighs like a two-word term of rare words; each mention counts.
NAME_WEIGHT: Final = 12.0
# What occurs in the title is likelier a subject.
TITLE_WEIGHT: Final = 1.5
# So many proper names that stand between punctuation are a list of people, present or addressed; each counts less.
LISTED_NAMES: Final = 3
LISTED_WEIGHT: Final = 0.4
# Mentions that stand for "the file is written in it", and for an import.
LANGUAGE_MENTIONS: Final = 6
SHELLS: Final = frozenset(("Bash", "PowerShell"))
IMPORT_MENTIONS: Final = 2
# Confidence of the worst and the best of a kind, the score between, how fast it changes; see `_confidence`.
KNOWN: Final = (0.75, 0.95)
PHRASE: Final = (0.55, 0.85)
WORD: Final = (0.3, 0.7)
EVEN_SCORE: Final = 14.0
SCORE_SCALE: Final = 6.0

_FENCE: Final = re.compile(
    r"^[ \t]*(`{3,8}|~{3,8})[ \t]{0,4}([\w+#-]{0,30})[^\n]{0,200}\n.*?(?:^[ \t]*\1[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_REFERENCES: Final = re.compile(
    r"^(?:#+[ \t]*)?(?:\d+\.?[ \t]+)?(?:references|bibliography|works cited|literature cited|further reading"
    r"|citations|external links|literaturverzeichnis|bibliographie|références)[ \t:]*$"
    r"|^#+[ \t]*(?:sources|quellen)[ \t]*$"
    r"|\\begin\{thebibliography\}",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING: Final = re.compile(r"^#{1,4} {1,4}(.{1,200})$", re.MULTILINE)
_FILE_NAME: Final = re.compile(r"\S*[_.\d-]\S*")
_TITLE_MARKS: Final = re.compile(r"[_\-–—.:|]+")


class Concept(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a document is about."""

    # As a person would write it: "machine learning", "Rust".
    name: str
    # language, framework, library, database, platform, tool, protocol, format, method, field, name or concept.
    category: str
    # Estimated chance that a reader would name it too, 0 to 1.
    confidence: float


class ConceptReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one document."""

    # The best first; empty when there is nothing to be found.
    concepts: tuple[Concept, ...]
    # Name of the leading concept, or "".
    primary_topic: str
    # beginner, intermediate or advanced.
    skill_level: str
    # How it was found; "offline" is this module.
    method: str = "offline"
    # True when the text was too long to be read whole.
    sampled: bool = False


class _Scored(NamedTuple):
    score: float
    name: str
    category: str
    key: Key
    frequency: float
    known: bool = False


def extract_concepts(text: str, *, title: str = "", kind: str = "text", limit: int = 10) -> ConceptReport:
    """Return at most `limit` concepts of `text`, its topic and its level.

    `title` may be a file name. `kind` "code" reads comments, imports and identifiers; any other kind is prose,
    in which Markdown's headings and fences are understood. Never raises on odd text; a text of any length takes
    well under a second because only `tokens.sample` of it is read.
    """
    part = sample(text)
    heading = plain_heading(_plain_title(title))
    file_name = len(tokens(heading)) if _FILE_NAME.fullmatch(title.strip()) else 0
    if kind == "code":
        code = read_code(part.text, title)
        prose = clean(code.prose)
        found = [*tokens(heading), BREAK, *tokens(prose), BREAK, *code.names]
        scored = _scored(found, heading, prose, code, technical=True, file_name=file_name)
    else:
        body, languages = _without_fences(without_boilerplate(without_data(_without_references(part.text))))
        prose = clean(body)
        found = [*tokens(heading), BREAK, *tokens(prose)]
        headings = " ; ".join([heading, *_HEADING.findall(body)[:200]])
        known = Code(language=_main(languages), imports=[], prose="", names=[])
        technical = bool(languages) or lexicon.is_technical(found)
        scored = _scored(found, headings, prose, known, technical=technical, file_name=file_name)
    chosen = _chosen(scored, limit)
    words = [word.lower() for word in found if word]
    stops = background.stops_for(words)
    return ConceptReport(
        concepts=tuple(chosen),
        primary_topic=chosen[0].name if chosen else "",
        skill_level=skill_level(prose, heading, [word for word in words if word not in stops]),
        sampled=part.sampled,
    )


def _scored(
    found: list[str], heading: str, prose: str, code: Code, *, technical: bool, file_name: int
) -> list[_Scored]:
    """Return names and phrases of a token list, the best first.

    The first `file_name` tokens are what the file happens to be called: no subject unless the text speaks of it.
    """
    language = background.text_language([word.lower() for word in found if word])
    in_title = set(phrases(tokens(heading), language))
    names = _names(found, code, technical=technical)
    known = {candidate.key for candidate in names}
    scored = [
        candidate._replace(score=candidate.score * _title_weight(candidate.key, in_title))
        for candidate in names
    ]
    candidates = phrases(found, language, acronyms(prose))
    listed = _listed_names(candidates.values())
    for phrase in candidates.values():
        points = score(phrase, language) * _title_weight(phrase.key, in_title)
        if any(set(phrase.key) <= set(name) for name in listed):
            points *= LISTED_WEIGHT
        if phrase.last < file_name:
            continue
        if points and phrase.key not in known and (phrase.spellings or len(phrase.key) > 1):
            candidate = _named(phrase, points, language)
            if not lexicon.lexicon().find(candidate.name.split(), technical=technical):
                scored.append(candidate)
    return sorted(scored, key=lambda candidate: (-candidate.score, candidate.name))


def _listed_names(candidates: Iterable[Phrase]) -> set[Key]:
    """Return the proper names that only stand between punctuation, where there are so many that it is a list."""
    found = {
        phrase.key
        for phrase in candidates
        if len(phrase.key) > 1
        and phrase.listed == phrase.total
        and all(word[0].isupper() for spelling in phrase.spellings for word in spelling.split())
    }
    return found if len(found) >= LISTED_NAMES else set()


def _named(phrase: Phrase, points: float, language: str) -> _Scored:
    name = display_name(phrase) if phrase.spellings else " ".join(phrase.key)
    kind = category(name)
    if kind == "name" and language == "de":
        kind = "concept"  # there, a capital is no sign of a proper name
    return _Scored(points, name, kind, phrase.key, phrase.frequency)


def _names(found: list[str], code: Code, *, technical: bool) -> list[_Scored]:
    """Return the lexicon's names in a token list, in its imports and as its language."""
    mentions: dict[lexicon.Entry, list[int]] = {}
    for match in lexicon.matches(found, technical=technical):
        mentions.setdefault(match.entry._replace(exact=""), []).append(match.start)
    spellings = [(code.language, LANGUAGE_MENTIONS), *((module, IMPORT_MENTIONS) for module in code.imports)]
    for spelling, count in spellings:
        for entry in {table.name: table for table in lexicon.spelled(spelling)}.values():
            mentions.setdefault(entry._replace(exact=""), []).extend([0] * count)
    by_name: dict[tuple[str, str], list[int]] = {}
    for entry, places in mentions.items():
        by_name.setdefault((entry.name, entry.category), []).extend(places)
    return [
        _Scored(NAME_WEIGHT * math.log2(1 + len(places)), name, of, _key(name), len(places), True)
        for (name, of), places in by_name.items()
    ]


def _chosen(scored: list[_Scored], limit: int) -> list[Concept]:
    """Return the best candidates of which none is another's part or variant."""
    chosen: list[_Scored] = []
    for candidate in scored:
        if len(chosen) >= limit:
            break
        if not any(_overlap(candidate, other) for other in chosen):
            chosen.append(candidate)
    return [Concept(name=c.name, category=c.category, confidence=_confidence(c)) for c in chosen]


def _overlap(candidate: _Scored, other: _Scored) -> bool:
    """Tell whether two candidates say nearly the same.

    A name of the lexicon may stand beside a phrase with it. A part of a chosen phrase is welcome when it is
    mentioned two and a half times as often; a longer form of a chosen word, unless that one is mentioned four times
    as often.
    """
    mine, theirs = set(candidate.key), set(other.key)
    if candidate.known and not other.known:
        return mine == theirs  # "Rust" beside "Rust compiler"
    if mine <= theirs:
        return candidate.frequency < 2.5 * other.frequency or mine == theirs
    if theirs <= mine:
        return len(mine - theirs) < 2 and candidate.frequency * 4 < other.frequency
    shared = len(mine & theirs)
    return shared >= 2 and shared >= min(len(mine), len(theirs)) - 1


def _confidence(candidate: _Scored) -> float:
    """Map a score to the chance of being right: between two bounds, by a logistic curve.

    On the thirty labelled texts 92 % of the lexicon's names are right, 74 % of the phrases and 52 % of the single
    words, little of it by score; the bounds are set below that, since those texts are our own.
    """
    low, high = KNOWN if candidate.known else PHRASE if len(candidate.key) > 1 else WORD
    return round(low + (high - low) / (1 + math.exp((EVEN_SCORE - candidate.score) / SCORE_SCALE)), 2)


def _title_weight(key: Key, in_title: set[Key]) -> float:
    return TITLE_WEIGHT if key in in_title else 1.0


def _key(name: str) -> Key:
    return tuple(stem(word) for word in lexicon.key(name).split())


def _plain_title(title: str) -> str:
    """Return a title or file name as words: "binary_search-trees.pdf" is "binary search trees"."""
    title = title[:300]
    suffix = PurePath(title).suffix
    stripped = title.removesuffix(suffix) if 1 < len(suffix) <= 6 and " " not in suffix else title
    return _TITLE_MARKS.sub(" ", stripped) if " " not in stripped.strip() else stripped


def _without_fences(text: str) -> tuple[str, list[str]]:
    """Return a text without its fenced code, and the languages of the fences."""
    languages: list[str] = []

    def drop(match: re.Match[str]) -> str:
        # Any text shows how it is run: commands of a shell make none on the shell.
        if (language := fence_language(match[2])) and language not in SHELLS:
            languages.append(language)
        return "\n\n"

    return _FENCE.sub(drop, text), languages


def _without_references(text: str) -> str:
    """Cut off a bibliography in a text's last two thirds: its authors and journals are not the subject."""
    match = _REFERENCES.search(text, len(text) // 3)
    return text[: match.start()] if match else text


def _main(languages: list[str]) -> str:
    return max(sorted(set(languages)), key=languages.count) if languages else ""
