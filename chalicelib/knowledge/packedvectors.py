"""Term vectors of many documents in little memory: 3.6 KB for one of 300 terms, a fifth of a dictionary."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping


class PackedVectors:
    """A list of term vectors."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._terms: list[str] = []
        self._rows: list[tuple[array[int], array[float]]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> dict[str, float]:
        """Return a vector, exactly as it was added."""
        numbers, weights = self._rows[place]
        return {self._terms[number]: weight for number, weight in zip(numbers, weights, strict=True)}

    def __iter__(self) -> Iterator[dict[str, float]]:
        return (self[place] for place in range(len(self)))

    def append(self, vector: Mapping[str, float]) -> None:
        """Add a vector."""
        numbers = array("I")
        for term in vector:
            number = self._numbers.get(term)
            if number is None:
                number = self._numbers[term] = len(self._terms)
                self._terms.append(term)
            numbers.append(number)
        self._rows.append((numbers, array("d", vector.values())))
