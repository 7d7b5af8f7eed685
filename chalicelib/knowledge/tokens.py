"""From text to tokens: a bounded sample, cleaned of what is no prose, cut into words and breaks.

Everything here is linear in the sample's length, and the sample is bounded, so that no text, however long or
odd, takes more than a fraction of a second.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

# The beginning of a long text is taken whole; of the rest, windows at even distances (all in characters).
HEAD_CHARS: Final = 100_000
WINDOWS: Final = 10
WINDOW_CHARS: Final = 5_000
# The most that a sample has, with the blank lines between its parts.
SAMPLE_CHARS: Final = HEAD_CHARS + WINDOWS * (WINDOW_CHARS + len("\n\n"))
# Normalising takes time that is quadratic in the length of a run of combining marks: it is done in pieces that end
# at a space, or, where there is none for so long, anywhere.
_PIECE: Final = re.compile(r"(?s).{1,1000}(?:\s|\Z)|.{1,1000}")

_SPACE: Final = re.compile(r"\s")
# Longer tokens are data (hashes, base64, minified code), not words.
MAX_TOKEN: Final = 40

# Stands between tokens where no phrase may run across.
BREAK: Final = ""

_NOT_SPACED: Final = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Thai to Han
# The longer patterns are strings: `re` compiles them at first use and keeps them, so that the import stays quick.
_TOKEN: Final = (
    rf"(?P<cjk>[{_NOT_SPACED}]+)"
    r"|(?P<special>\b[CcFf]#|\b[Cc]\+\+|\.(?:NET|Net)\b)"
    rf"|(?P<word>(?:(?![{_NOT_SPACED}])[^\W\d_])(?:(?![{_NOT_SPACED}])\w)*(?:[-'’.&+](?:(?![{_NOT_SPACED}])\w)+)*)"
    r"|(?P<stop>\w+|[^\w\s]|\n[ \t]*\n)"
)
_MAIL_HEADER: Final = (
    r"(?mi)^(?:From|To|Cc|Bcc|Date|Sent|Reply-To|Message-ID|Received|Return-Path|Organization|Lines|NNTP-[\w-]+"
    r"|Distribution|Newsgroups|References|In-Reply-To|Content-[\w-]+|MIME-Version|X-[\w-]+|Path|Sender"
    r"|Keywords|Summary|Delivered-To|User-Agent|Importance): .*$\n?(?:[ \t]+.*$\n?)*"
)
_SUBJECT: Final = re.compile(r"^Subject: *(?:(?:re|fwd?|aw): *)*", re.MULTILINE | re.IGNORECASE)
_SIGNATURE: Final = re.compile(r"\n-- ?\n(?:.*(?:\n|\Z)){0,10}\Z")
# What is replaced by a break, in this order: each is machine text inside prose. None may begin anew inside what it
# has scanned, else a text of beginnings only takes long: hence the excluded characters and possessive quantifiers.
_MACHINE_TEXT: Final = (
    r"(?m)^[^\n]{0,120}\b(?:wrote|writes|schrieb):[ \t]*$",
    r"<!--(?:[^<]|<(?!!--)){0,500}?-->|</?[a-zA-Z][^<>\n]{0,300}>|&[a-z]{2,8};",
    r"!?\[\[?(?=[^\[\]\n]{0,200}+\]\()|\]\([^)\s\[\]]{0,500}+(?: \"[^\"\n]{0,200}+\")?\)",
    r"\b(?:https?|ftps?|file|s3|git|ssh|mailto|doi):/{0,2}[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+",
    r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+",
    r"\b(?:[\w-]{1,63}\.){1,6}(?:com|org|net|edu|gov|mil|uk|local|localdomain|arpa)\b(?:/[^\s<>\"')\]]*)?",
    r"(?<![\w.])(?:~|\.{1,2})?/[\w.-]+(?:/[\w.-]+)+/?|\b[A-Za-z]:\\[\w\\.-]+",
    r"\\(?:cite\w*|ref|eqref|label|usepackage|documentclass|bibliography\w*|begin|end)\*?"
    r"(?:\[[^\]\n]{0,200}\])?\{[^}\n]{0,200}\}|\\[a-zA-Z]+",
)
_SOFT_HYPHEN: Final = re.compile("[\u00ad\ufffe\u0002]\n?")
_BROKEN_WORD: Final = re.compile(r"(?<=[a-zà-ÿ]{2})-\n[ \t]*(?=[a-zà-ÿ]{2})")
_SHORT_LINE: Final = re.compile(r"^([^\n]{1,45})\n(?=[ \t]*[A-Z0-9])", re.MULTILINE)
# Articles and pronouns of Romance languages that lose their vowel: l'eau, d'une, s'est, qu'il, dell'arte.
_ELIDED: Final = frozenset(
    (
        "l",
        "d",
        "s",
        "n",
        "j",
        "c",
        "m",
        "t",
        "qu",
        "jusqu",
        "lorsqu",
        "puisqu",
        "dell",
        "nell",
        "all",
        "un",
        "sull",
    )
)
# Numbers of forms, ids and hashes in pieces: three digits and letters in one token, but for one name and number
# (SHA-256, ISO-8601, ES2015).
_DIGITS: Final = re.compile(r"\d")
_NUMBERED: Final = re.compile(r"[^\W\d_]{1,8}-?\d{1,4}[a-z]?")
# What a program has numbered: Sheet1, item-4, col2.
_COUNTED: Final = re.compile(
    r"(?i)(?:sheet|table|tab|col(?:umn)?|row|item|sub-?item|class|fig(?:ure)?|page|slide|chapter|section|test|image|img|dsc"
    r"|untitled|shape|rectangle|field|line|step)-?\d+"
)
# Three of these in a word mean base64 or an identifier: "bnRlbnQuCg".
_HUMP: Final = re.compile(r"[a-z][A-Z]")
_CAMEL: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zà-ÿ]+|[A-Z]|[^\W\d_A-Za-zà-ÿ]+")


class Sample(NamedTuple):
    """The part of a text that is analysed."""

    # The text itself, or its head and windows of the rest.
    text: str
    # True when something was left out.
    sampled: bool


def sample(text: str) -> Sample:
    """Return at most 150,000 characters of `text`: its first 100,000 and ten even windows of the rest."""
    rest = len(text) - HEAD_CHARS
    if rest <= WINDOWS * WINDOW_CHARS:
        return Sample(text, False)
    stride = rest // WINDOWS
    starts = [HEAD_CHARS + i * stride + (stride - WINDOW_CHARS) // 2 for i in range(WINDOWS)]
    parts = [_whole_words(text, start, start + WINDOW_CHARS) for start in starts]
    return Sample("\n\n".join([_whole_words(text, 0, HEAD_CHARS), *parts]), True)


def _whole_words(text: str, start: int, end: int) -> str:
    """Return `text[start:end]` without the parts of words at its edges, which would count as words of their own.

    Where there is no space nearby, as in scripts without any, it is cut all the same.
    """
    piece = text[start:end]
    if start and not text[start - 1].isspace() and (first := _SPACE.search(piece, 0, MAX_TOKEN)):
        piece = piece[first.end() :]
    if end < len(text) and not text[end].isspace():
        edge = len(piece) - MAX_TOKEN
        spaces = [match.start() for match in _SPACE.finditer(piece, max(0, edge))]
        piece = piece[: spaces[-1]] if spaces else piece
    return piece


def clean(text: str) -> str:
    """Return `text` normalised (NFKC) and without mail headers, signatures, addresses, paths and markup.

    At most `SAMPLE_CHARS` of it: one character may become eighteen (U+FDFA).
    """
    text = _normalise(text)[:SAMPLE_CHARS].replace("\r\n", "\n").replace("\r", "\n")
    if len(re.findall(_MAIL_HEADER, text[:5000])) >= 2:
        head = _SUBJECT.sub("", re.sub(_MAIL_HEADER, "", text[:5000]))
        text = head + text[5000:]
    text = _SIGNATURE.sub("\n", text)
    for pattern in _MACHINE_TEXT:
        text = re.sub(pattern, " ; ", text)
    text = _BROKEN_WORD.sub("", _SOFT_HYPHEN.sub("", text))
    return _SHORT_LINE.sub(r"\1\n\n", text)


def _normalise(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", piece) for piece in _PIECE.findall(text))


def tokens(text: str) -> list[str]:
    """Cut cleaned text into words as written and `BREAK`s (punctuation, numbers, blank lines, contractions)."""
    found: list[str] = []
    for match in re.finditer(_TOKEN, text):
        kind, word = match.lastgroup, match.group()
        if kind == "stop":
            word = BREAK
        elif kind == "word":
            word = _word(word)
        found.append(word)
    return found


def _word(word: str) -> str:
    """Drop a possessive or an elided article; return BREAK for contractions, code (`a_b`), ids and other data."""
    if len(word) > MAX_TOKEN or "_" in word or len(_HUMP.findall(word)) > 2 or _COUNTED.fullmatch(word):
        return BREAK
    if len(_DIGITS.findall(word)) > 2 and not _NUMBERED.fullmatch(word):
        return BREAK
    for mark in "'’":
        head, found, tail = word.partition(mark)
        if not found:
            continue
        if tail.lower() == "s":
            return head
        if head.lower() in _ELIDED and len(tail) > 2:
            return tail
        if word[0].islower() or tail.islower():
            return BREAK  # "don't", "they've", "o'er"
    return word


def is_unspaced(word: str) -> bool:
    """Tell whether `word` is of a script written without spaces (Han, Kana, Thai, Lao)."""
    first = ord(word[0])
    return 0x0E00 <= first <= 0x0EFF or 0x3040 <= first <= 0x9FFF or 0xF900 <= first <= 0xFAFF


def subwords(identifier: str) -> list[str]:
    """Split an identifier at underscores, digits and humps: `HTTPServer_v2` → HTTP, Server, v."""
    return _CAMEL.findall(identifier)


@lru_cache(maxsize=65_536)
def singular(word: str) -> str:
    """Fold a lower-case English plural: queries → query, boxes → box, trees → tree; analysis stays."""
    if len(word) < 4 or word[-1] != "s" or word.endswith(("ss", "us", "is", "ics", "ous", "news", "series")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zzes")):
        return word[:-2]
    return word[:-1]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the key under which forms of a lower-case word are counted: baking, baked, bakes, bake → bak.

    Plural folding and step 1b of Porter's stemmer (Program 14(3), 1980) with the final e dropped. A key is no
    word to show to anybody.
    """
    word = singular(word)
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    for suffix in ("ing", "ed"):
        base = word[: -len(suffix)]
        if word.endswith(suffix) and len(base) >= 3 and not word.endswith("eed") and _has_vowel(base):
            return base[:-1] if base[-1] == base[-2] and base[-1] not in "lsz" else base.removesuffix("e")
    return word[:-1] if word[-1:] == "e" and len(word) > 3 else word


def _has_vowel(word: str) -> bool:
    return any(letter in "aeiouy" for letter in word)
