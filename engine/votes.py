"""Counting answers: plurality over normalised answers, ties to the answer seen first; pure."""

from __future__ import annotations

from collections import Counter

from engine.answers import normalise


class Votes:
    """A ballot of extracted answers; a reply without an answer casts no vote."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._spelled: dict[str, str] = {}

    def add(self, answer: str | None) -> None:
        """Cast one vote; None abstains."""
        if answer is None:
            return
        key = normalise(answer)
        self._spelled.setdefault(key, answer)
        self._counts[key] += 1

    @property
    def leader(self) -> str | None:
        """The answer with most votes, as it was first spelled; None: nobody voted yet."""
        if not self._counts:
            return None
        return self._spelled[max(self._counts, key=lambda key: self._counts[key])]
