"""Build `chalicelib/knowledge/data/*.txt.gz`, or print the quality figures of what is built.

    python -m bench.background_idf build      # fetches Debian packages with apt-get download, about 110 MB
    python -m bench.background_idf figures    # concepts, clusters and times with the data as shipped

The build is deterministic: the same packages give the same bytes. What is shipped are statistics only: in how
many passages a word occurs, and which class of word it is. `data/README.md` names sources and licences.
"""

from __future__ import annotations

import argparse
import gzip
import html
import lzma
import math
import re
import subprocess
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from chalicelib.knowledge.background import ADJECTIVE, ADVERB, DATA, GERUND, PARTICIPLE, PROPER, VERB
from chalicelib.knowledge.concepts import extract_concepts
from chalicelib.knowledge.terms import term_vector
from chalicelib.knowledge.tokens import stem
from tests.unit.heldout_texts import HELD_OUT
from tests.unit.labelled_texts import GUARD, TOPICS, clustering, f1

# Words of a passage: the "document" whose frequencies are counted.
PASSAGE_WORDS = 150
# Stems kept, the most frequent first.
MAX_STEMS = 45_000

# Package, share of the mixture, and where its texts are. Four fifths are dictionary prose of every field, novels
# and essays; the rest are manuals of permissively licensed software.
SOURCES: tuple[tuple[str, float, str], ...] = (
    ("wordnet-base", 0.56, "usr/share/wordnet/data.*"),
    ("r-cran-janeaustenr", 0.11, "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"),
    ("dict-devil", 0.06, "usr/share/dictd/devil.dict.dz"),
    ("dict-jargon", 0.06, "usr/share/dictd/jargon.dict.dz"),
    ("rust-doc", 0.03, "usr/share/doc/rust-doc/html/book/**/*.html"),
    ("python3.11-doc", 0.04, "usr/share/doc/python3.11/html/**/*.html"),
    ("postgresql-doc-15", 0.03, "usr/share/doc/postgresql-doc-15/html/*.html"),
    ("sqlite3-doc", 0.03, "usr/share/doc/sqlite3/*.html"),
    ("apache2-doc", 0.03, "usr/share/doc/apache2-doc/manual/en/**/*.html"),
    ("python-sklearn-doc", 0.05, "usr/share/doc/python-sklearn-doc/html/modules/*.html"),
)

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_TAGS = re.compile(
    r"<(script|style|pre|head|nav|code)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE
)  # code samples are no prose


# --- Texts ---------------------------------------------------------------------------------------------------


def fetch(package: str, into: Path) -> None:
    """Download and unpack one Debian package, without installing it."""
    subprocess.run(["apt-get", "download", "-qq", package], cwd=into, check=True)
    archive = next(into.glob(f"{package}_*.deb"))
    subprocess.run(["dpkg", "-x", str(archive), str(into)], check=True)


def texts(path: Path) -> Iterator[str]:
    """Yield the prose of one file."""
    if path.suffix == ".rdb":
        yield from _r_strings(path.read_bytes())
    elif path.suffix == ".dz":
        yield gzip.decompress(path.read_bytes()).decode("latin-1")
    elif path.suffix == ".html":
        yield html.unescape(_TAGS.sub(" ", path.read_text(encoding="utf-8", errors="replace")))
    else:
        for line in path.read_text(encoding="latin-1").splitlines():
            if " | " in line:
                yield line.split(" | ", 1)[1]


def _r_strings(data: bytes) -> Iterator[str]:
    """Yield the printable strings of R's lazy-load database: length-prefixed zlib or xz objects."""
    for start in (match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\xfd7zXZ", data)):
        try:
            opener = lzma.LZMADecompressor() if data[start] == 0xFD else zlib.decompressobj()
            unpacked = opener.decompress(data[start:])
        except (zlib.error, lzma.LZMAError):
            continue  # these two bytes were no beginning of an object
        yield " ".join(match.decode() for match in re.findall(rb"[ -~]{20,}", unpacked))


def passages(strings: Iterable[str]) -> Iterator[set[str]]:
    """Yield the words of consecutive passages of PASSAGE_WORDS lower-case words."""
    words: list[str] = []
    for text in strings:
        words.extend(_WORD.findall(text.lower()))
        while len(words) >= PASSAGE_WORDS:
            yield set(words[:PASSAGE_WORDS])
            del words[:PASSAGE_WORDS]


# --- Statistics ----------------------------------------------------------------------------------------------


def frequencies(folder: Path) -> tuple[dict[str, float], Counter[str]]:
    """Return the share of passages with each stem, mixed by SOURCES, and the passages of each surface word."""
    rates: dict[str, dict[str, float]] = {}
    surfaces: Counter[str] = Counter()
    for package, _, pattern in SOURCES:
        counts: Counter[str] = Counter()
        total = 0
        files = sorted(folder.glob(pattern))
        for words in passages(text for path in files for text in texts(path)):
            total += 1
            surfaces.update(words)
            counts.update({stem(part) for word in words for part in word.split("-") if len(part) > 1})
        print(f"{package:22} {len(files):5} files {total:7} passages {len(counts):7} stems")
        rates[package] = {key: count / total for key, count in counts.items()}
    return mixture(rates), surfaces


def mixture(rates: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the mean of the sources' rates by share, where no manual may make its own subject look common.

    A manual's rate counts up to 3 times the dictionary's (at least one passage in 2,000): "rust" occurs on every
    page of Rust's book and is a rare word all the same.
    """
    shares: dict[str, float] = defaultdict(float)
    dictionary = rates["wordnet-base"]
    for package, share, _ in SOURCES:
        manual = share <= 0.05
        for key, rate in rates[package].items():
            cap = 3 * max(dictionary.get(key, 0.0), 1 / 2000) if manual else 1.0
            shares[key] += share * min(rate, cap)
    return shares


def idf_lines(shares: dict[str, float]) -> list[str]:
    """Return lines `IDF in tenths, tab, stems`, the most frequent MAX_STEMS stems, sorted."""
    kept = sorted(shares, key=lambda key: (-shares[key], key))[:MAX_STEMS]
    levels: dict[int, list[str]] = defaultdict(list)
    for key in kept:
        levels[round(-10 * math.log(min(shares[key], 0.95)))].append(key)
    return [f"{level}\t{' '.join(sorted(levels[level]))}" for level in sorted(levels)]


class WordNet:
    """Counts of WordNet's lemmas by part of speech (n, v, a, r), and its irregular forms."""

    def __init__(self, folder: Path) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.proper = self._proper_nouns(folder)
        self.irregular: dict[str, dict[str, str]] = {}
        for name, letter in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
            for line in (folder / f"index.{name}").read_text(encoding="latin-1").splitlines():
                if not line.startswith(" "):
                    lemma, _, senses = line.split(" ")[:3]
                    self.counts[lemma][letter] += 2 + int(
                        senses
                    )  # smoothing: a tenth of a tagged occurrence each
            pairs = (line.split()[:2] for line in (folder / f"{name}.exc").read_text().splitlines())
            self.irregular[letter] = dict(pairs)
        for line in (folder / "cntlist.rev").read_text().splitlines():
            key, _, count = line.split(" ")
            lemma, _, rest = key.partition("%")
            self.counts[lemma][" nvara"[int(rest[0])]] += 10 * int(count)

    @staticmethod
    def _proper_nouns(folder: Path) -> set[str]:
        """Return the nouns, in lower case, that WordNet writes with one capital, always: saturn, monday."""
        written: dict[str, set[str]] = defaultdict(set)
        for line in (folder / "data.noun").read_text(encoding="latin-1").splitlines():
            if not line.startswith(" "):
                fields = line.split(" ")
                for lemma in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
                    written[lemma.lower()].add(lemma)
        return {lower for lower, forms in written.items() if forms == {lower.capitalize()}}

    def of(self, word: str, letter: str) -> int:
        """Return the count of a lemma as one part of speech."""
        return self.counts[word][letter] if word in self.counts else 0

    def inflected_verb(self, word: str, suffix: str) -> int:
        """Return the count of the verb whose form in `suffix` (s, ed or ing) is `word`, or 0."""
        lemma = self.irregular["v"].get(word, "")
        if lemma and (suffix == "ing") == word.endswith("ing") and (suffix == "s") == word.endswith("s"):
            return self.of(lemma, "v")
        if not word.endswith(suffix):
            return 0
        base = word[: -len(suffix)]
        undoubled = base[:-1] if len(base) > 2 and base[-1] == base[-2] else base
        guesses = {base, base + "e", undoubled, base[:-1] + "y" if base.endswith("i") else base}
        return max(self.of(guess, "v") for guess in guesses)

    def plural_noun(self, word: str) -> int:
        """Return the count of the noun whose plural is `word`, or 0."""
        lemma = self.irregular["n"].get(word, "")
        guesses = {lemma, word[:-1], word[:-2], word[:-3] + "y"} if word.endswith("s") else {lemma}
        return max(self.of(guess, "n") for guess in guesses)

    def compared_adjective(self, word: str) -> int:
        """Return the count of the adjective whose comparative or superlative is `word`, or 0."""
        for suffix in ("er", "est"):
            if word.endswith(suffix):
                base = word[: -len(suffix)]
                undoubled = base[:-1] if len(base) > 2 and base[-1] == base[-2] else base
                guesses = {base, base + "e", undoubled, base[:-1] + "y" if base.endswith("i") else base}
                return max(self.of(guess, "a") for guess in guesses)
        return 0

    def word_class(self, word: str) -> str:
        """Return the class code of a surface word, or "" for a noun or an unknown word."""
        noun = self.of(word, "n") + self.plural_noun(word)
        adjective = self.of(word, "a") + self.compared_adjective(word)
        adverb = self.of(word, "r")
        verb = self.of(word, "v") + self.inflected_verb(word, "s")
        participle, gerund = self.inflected_verb(word, "ed"), self.inflected_verb(word, "ing")
        total = noun + adjective + adverb + verb + participle + gerund
        if word in self.proper and noun == total:
            return PROPER
        if not total or noun >= 0.35 * total or (gerund and noun):
            return ""
        candidates = (
            (adjective, ADJECTIVE),
            (adverb, ADVERB),
            (verb, VERB),
            (participle, PARTICIPLE),
            (gerund, GERUND),
        )
        return max(candidates)[1]


def class_lines(surfaces: Counter[str], wordnet: WordNet) -> list[str]:
    """Return lines `class, tab, words` of the words that are mostly not nouns, seen in two passages or more."""
    words = {word for word, count in surfaces.items() if count >= 2 and "-" not in word and word.isascii()}
    classes: dict[str, list[str]] = defaultdict(list)
    for word in sorted(words):
        if code := wordnet.word_class(word):
            classes[code].append(word)
    return [f"{code}\t{' '.join(classes[code])}" for code in sorted(classes)]


def write(name: str, lines: list[str]) -> None:
    """Write lines as gzip without a time stamp."""
    data = gzip.compress("\n".join(lines).encode("utf-8"), 9, mtime=0)
    (DATA / name).write_bytes(data)
    print(f"{name}: {sum(len(line.split()) for line in lines)} entries, {len(data)} bytes")


def build(folder: Path) -> None:
    """Build both files from the packages in `folder`, fetching those that are missing."""
    for package, _, _ in SOURCES:
        if not list(folder.glob(f"{package}_*.deb")):
            fetch(package, folder)
    shares, surfaces = frequencies(folder)
    write("background_idf.txt.gz", idf_lines(shares))
    write("word_classes.txt.gz", class_lines(surfaces, WordNet(folder / "usr/share/wordnet")))


# --- Figures -------------------------------------------------------------------------------------------------


def figures() -> None:
    """Print F1@10 on the labelled texts, the adjusted Rand index on the labelled topics, and times."""
    scores = [f1(text) for text in GUARD]
    print(f"concepts: F1@10 {sum(scores) / len(scores):.3f} on {len(scores)} texts (worst {min(scores):.2f})")
    held = [f1(text) for text in HELD_OUT]
    print(f"          F1@10 {sum(held) / len(held):.3f} on {len(held)} that nothing was tuned on")
    results = [clustering(seed) for seed in range(20)]
    mean = sum(score for score, _ in results) / len(results)
    print(
        f"clusters: ARI {mean:.3f}, {sum(n for _, n in results) / len(results):.1f} clusters of {len(TOPICS)} topics"
    )
    prose = "\n\n".join(text for texts_of in TOPICS.values() for text in texts_of)
    for size in (5_000, 200_000, 10_000_000):
        text = (prose * (1 + size // len(prose)))[:size]
        print(f"{size:>10} characters: concepts {milliseconds(extract_concepts, text):.1f} ms,", end=" ")
        print(f"terms {milliseconds(term_vector, text):.1f} ms")


def milliseconds(function: Callable[[str], object], text: str) -> float:
    """Return the least of three times."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function(text)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    """Run the command named on the command line."""
    parser = argparse.ArgumentParser(description="Build or measure the background statistics.")
    parser.add_argument("command", choices=("build", "figures"))
    parser.add_argument("--packages", type=Path, help="folder of the downloaded packages, kept")
    arguments = parser.parse_args()
    if arguments.command == "figures":
        figures()
    elif arguments.packages:
        arguments.packages.mkdir(parents=True, exist_ok=True)
        build(arguments.packages)
    else:
        with tempfile.TemporaryDirectory() as folder:
            build(Path(folder))


if __name__ == "__main__":
    main()
