"""Generated libraries: a vocabulary as people use it, topics, texts of several lengths, and planted duplicates.

Words come from the shipped background, the commonest most often (Zipf). Each text has a topic, shared with others,
and a subject of its own; one in twenty is an edit of an earlier one, of thirteen kinds in turn.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from chalicelib.knowledge import background

# The lengths of texts in characters, with how many in a hundred have about that.
_LENGTHS: Final = ((1000, 80), (2500, 17), (10_000, 3))
# Topics that a library may have, and how many words belong to each.
_TOPICS: Final = 300
_TOPIC_WORDS: Final = 60
# Of a text's words so many are its subject's.
_SUBJECT_SHARE: Final = 0.35
_EDITED: Final = 20
# An edit is of one of the last so many texts.
_RECENT: Final = 500


class Planted(NamedTuple):
    """Two documents of which one is an edit of the other, by their places."""

    kind: str
    original: int
    edit: int


def vocabulary() -> list[str]:
    """Return some 20,000 words, the commonest first."""
    weights = background.weights()
    return [word for word in sorted(weights, key=lambda word: (weights[word], word)) if word.isalpha()][
        :20_000
    ]


class Writer:
    """Writes documents of a Zipf-like distribution of words, each leaning to a subject."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = vocabulary()
        total = 0.0
        self.cumulative = [total := total + 1 / (rank + 3) for rank in range(len(self.words))]

    def sentence(self, subject: list[str], share: float = 0.2) -> str:
        """Return a sentence of 6 to 22 words, of which a share are the subject's."""
        length = self.random.randint(6, 22)
        words = self.random.choices(self.words, cum_weights=self.cumulative, k=length)
        words = [self.random.choice(subject) if self.random.random() < share else word for word in words]
        return " ".join(words).capitalize() + "."

    def document(self) -> str:
        """Return 150 to 900 words in paragraphs."""
        subject = self.random.sample(self.words[300:], 40)
        paragraphs = [
            " ".join(self.sentence(subject) for _ in range(self.random.randint(3, 6)))
            for _ in range(self.random.randint(3, 12))
        ]
        return "\n\n".join(paragraphs)


class Author(Writer):
    """Writes a library: texts of topics and lengths as people have them, and edits of them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.topics = [self.random.sample(self.words[300:], _TOPIC_WORDS) for _ in range(_TOPICS)]
        total = 0.0
        self.popularity = [total := total + 1 / (rank + 5) for rank in range(_TOPICS)]
        self.planted: list[Planted] = []
        # That of the last text.
        self.topic = 0

    def texts(self) -> Iterator[str]:
        """Yield texts for ever; `planted` tells which are edits."""
        kinds = list(edits(self).items())
        # Texts and their topics, by place.
        recent: dict[int, tuple[str, int]] = {}
        number = 0
        while True:
            if number % _EDITED == _EDITED - 1:
                kind, edit = kinds[len(self.planted) % len(kinds)]
                original = self.random.choice(list(recent))
                self.planted.append(Planted(kind, original, number))
                # An edit is not edited again: its likeness to the first one would be anybody's guess.
                text, self.topic = recent.pop(original)
                yield edit(text)
            else:
                text = self.text()
                recent[number] = text, self.topic
                if len(recent) > _RECENT:
                    del recent[next(iter(recent))]
                yield text
            number += 1

    def text(self) -> str:
        """Return a text of one topic."""
        (self.topic,) = self.random.choices(range(_TOPICS), cum_weights=self.popularity)
        topic = self.topics[self.topic]
        # A topic's first words are its most frequent ones, and each text has its own choice of them.
        chosen = sorted(self.random.sample(range(_TOPIC_WORDS), _TOPIC_WORDS // 2))
        subject = [topic[place] for place in chosen for _ in range(1 + 12 // (place + 2))]
        subject += self.random.sample(self.words[300:], 10)
        lengths, shares = zip(*_LENGTHS, strict=True)
        (about,) = self.random.choices(lengths, shares)
        length = self.random.uniform(0.6, 1.4) * about
        paragraphs: list[str] = []
        size = 0
        while size < length:
            sentences = [self.sentence(subject, _SUBJECT_SHARE) for _ in range(self.random.randint(2, 5))]
            paragraphs.append(" ".join(sentences))
            size += len(paragraphs[-1])
        return "\n\n".join(paragraphs)


# --- Edits ---------------------------------------------------------------------------------------------------


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.)\s+", text)


def edits(writer: Writer) -> dict[str, Callable[[str], str]]:
    """Return the kinds of edits by name."""
    chance = writer.random

    def some_words(text: str, share: float, change: Callable[[str], str]) -> str:
        return " ".join(change(word) if chance.random() < share else word for word in text.split(" "))

    def some_letters(text: str, share: float, change: Callable[[str], str]) -> str:
        return "".join(
            change(letter) if letter.isalpha() and chance.random() < share else letter for letter in text
        )

    def reordered(text: str) -> str:
        parts = text.split("\n\n")
        chance.shuffle(parts)
        return "\n\n".join(parts)

    def without_sentences(text: str) -> str:
        return " ".join(part for part in _sentences(text) if chance.random() > 0.2)

    def with_sentences(text: str) -> str:
        parts = _sentences(text)
        subject = chance.sample(writer.words[300:], 40)
        for _ in range(max(1, len(parts) // 5)):
            parts.insert(chance.randrange(len(parts)), writer.sentence(subject))
        return " ".join(parts)

    def swapped(word: str) -> str:
        return word[:1] + word[2:3] + word[1:2] + word[3:] if len(word) > 3 else word

    ocr = str.maketrans({"l": "1", "o": "0", "e": "c", "m": "rn", "i": "l", "s": "5", "h": "b"})
    return {
        "paragraphs reordered": reordered,
        "one sentence in five deleted": without_sentences,
        "one sentence in five added": with_sentences,
        "8 % of words replaced": lambda text: some_words(text, 0.08, lambda _: chance.choice(writer.words)),
        "8 % of words deleted": lambda text: some_words(text, 0.08, lambda _: ""),
        "3 % of letters misread": lambda text: some_letters(text, 0.03, lambda a: a.translate(ocr)),
        "5 % of words mistyped": lambda text: some_words(text, 0.05, swapped),
        "upper case, no punctuation": lambda text: re.sub(r"[.,\n]+", " ", text).upper(),
        "wrapped at 60 characters": lambda text: re.sub(r"(.{50,60}) ", "\\1\n", text),
        "quoted in a mail": lambda text: "On Monday she wrote:\n\n> " + text.replace("\n", "\n> "),
        "header and footer on each page": lambda text: "\n\n".join(
            f"{part}\n\nConfidential, page {page} of this report"
            for page, part in enumerate(text.split("\n\n"))
        ),
        "last quarter cut off": lambda text: text[: len(text) * 3 // 4],
        "preface of 20 %": lambda text: writer.document()[: len(text) // 5] + "\n\n" + text,
    }
