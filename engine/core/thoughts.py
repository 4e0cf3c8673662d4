"""One thought read at places: where it is cut, what was answered there, when the final answer was reached and settled.

A thought is one stored chain. A place is a number of its tokens; what is answered there is either forced from the model
(a probe) or read from the text so far. Definitions: *first reached* is the first place whose answer equals the final
one; *settled* the first from which all later ones do; what comes after *settled* is redundant; a thought that was right
somewhere and not at its end is *thought away*. The last place is the whole thought with its own answer. After the
anytime curves of AnytimeReasoner (arXiv 2505.13438) and budget forcing of s1 (arXiv 2501.19393). Calls nobody.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from engine.core import answers
from engine.core.records import AnswerKind, Verdict, verdict_of

FIRST_TOKENS = 4
"""The first place of a grid."""
_SENTENCE = re.compile(rb"[.!?](?=\s)|\n+")
_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


@dataclass(frozen=True, slots=True)
class Place:
    """What a thought is good for once it has so many tokens."""

    tokens: int
    """Tokens of the thought up to here, those of a forced answer left out."""
    answer: str | None
    """None: none was given."""
    score: float | None
    """Of the answer, from 0, wrong, to 1, right; None: there is none."""
    forced_tokens: int = 0
    """Output tokens the forced answer took; 0 where none was asked: at the thought's end, and in a text."""
    on_grid: bool = True
    """False: an end of a sentence between the places that all thoughts share."""

    @property
    def verdict(self) -> Verdict:
        """The score in words."""
        return "none" if self.score is None else verdict_of(self.score)


@dataclass(frozen=True, slots=True)
class Thought:
    """A chain with its places; the last is its end."""

    key: str
    """The stored completion."""
    question_id: str
    n_tokens: int
    kind: AnswerKind
    places: tuple[Place, ...]
    """By tokens; at least the end."""
    stated: int | None = None
    """Tokens after which the final answer first stands in the text, also where it repeats a number of the question;
    None: it never does, or there is no final answer."""

    @property
    def final(self) -> Place:
        """Its own answer."""
        return self.places[-1]

    def at(self, tokens: int) -> Place:
        """What it says when it is stopped after so many tokens; one shorter than that keeps its own answer."""
        if tokens >= self.n_tokens:
            return self.final
        # A place counts from its own token on.
        reached = bisect.bisect_right([place.tokens for place in self.places], tokens)
        return self.places[reached - 1] if reached else Place(0, None, None)

    def _agrees(self, place: Place) -> bool:
        final = self.final.answer
        return place.answer is not None and final is not None and answers.same(place.answer, final, self.kind)

    @property
    def first_reached(self) -> int | None:
        """Tokens at the first place that says what the end says; None: the end says nothing."""
        return next((place.tokens for place in self.places if self._agrees(place)), None)

    @property
    def settled(self) -> int | None:
        """Tokens at the place from which on every one says what the end says; None: the end says nothing."""
        settled = None
        # From the end: one place that says something else ends what has settled.
        for place in reversed(self.places):
            if not self._agrees(place):
                break
            settled = place.tokens
        return settled

    @property
    def redundant(self) -> int | None:
        """Tokens after `settled`; None: the end says nothing."""
        return None if self.settled is None else self.n_tokens - self.settled

    @property
    def first_right(self) -> int | None:
        """Tokens at the first place with a right answer; None: there is none."""
        return next((place.tokens for place in self.places if place.verdict == "right"), None)

    @property
    def thought_away(self) -> bool:
        """Whether it was right somewhere and is not at its end."""
        return self.final.verdict != "right" and self.first_right is not None

    @property
    def flips(self) -> int:
        """How often a right answer was followed by one that is not."""
        return sum(one.verdict == "right" != two.verdict for one, two in pairwise(self.places))


class Cut:
    """A reply as tokens. `pieces`: their bytes in order; `stored_tokens`: how many the model itself counted, where the
    pieces are another tokenizer's and stand for them in proportion; None: they are its own."""

    def __init__(self, pieces: Sequence[bytes], stored_tokens: int | None = None) -> None:
        self._text = b"".join(pieces)
        self._ends = list(accumulate(map(len, pieces)))
        self.exact = stored_tokens is None
        # At least one where there is text, as shares are taken of it.
        self.n_tokens = len(pieces) if stored_tokens is None else max(1, stored_tokens) if pieces else 0

    def before(self, tokens: int) -> str:
        """The text of the first `tokens` tokens; a character that they cut in two is left out."""
        place = self._piece(tokens)
        return self._text[: self._ends[place - 1] if place else 0].decode("utf-8", "ignore")

    def after(self, position: int) -> int:
        """Tokens it takes to reach this byte of the text."""
        # The piece that holds the byte is needed whole.
        place = min(len(self._ends), bisect.bisect_left(self._ends, position) + 1)
        # Rounded up: with fewer tokens the byte would not be reached.
        return min(self.n_tokens, -(-place * self.n_tokens // max(1, len(self._ends))))

    def sentence_ends(self) -> list[int]:
        """Tokens at which a sentence or a line is over, the reply's own end left out."""
        # Two sentences may end within one token.
        ends = dict.fromkeys(self.after(match.end()) for match in _SENTENCE.finditer(self._text))
        return [tokens for tokens in ends if 0 < tokens < self.n_tokens]

    def states(self, answer: str, kind: AnswerKind) -> int | None:
        """Tokens after which this answer first stands in the text; None: nowhere as it is."""
        text = self._text.decode("utf-8", "replace")
        if kind in ("number", "expression"):
            # By value: 1,000 and 1000.0 are the same answer.
            first = next((match for match in _NUMBER.finditer(text) if answers.same(match[0], answer, kind)), None)
        else:
            # As a word of its own: the answer 'no' does not stand in 'note'.
            first = re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.I)
        return None if first is None else self.after(len(text[: first.end()].encode("utf-8", "replace")))

    def _piece(self, tokens: int) -> int:
        return max(0, min(len(self._ends), tokens * len(self._ends) // max(1, self.n_tokens)))


def grid(longest: int, count: int) -> tuple[int, ...]:
    """So many places for all thoughts alike, each a like factor after the last, up to the power of two that holds the
    longest; fewer where thoughts are short. Chosen from lengths alone, before anything is asked."""
    # A power of two, so that one longer thought more does not move all places.
    last = max(FIRST_TOKENS * 2, 1 << max(0, longest - 1).bit_length())
    factor = (last / FIRST_TOKENS) ** (1 / max(1, count - 1))
    # Rounded they may fall together where the range is short.
    return tuple(dict.fromkeys(min(last, round(FIRST_TOKENS * factor**step)) for step in range(count)))


def places(cut: Cut, shared: Sequence[int], sentences: int) -> list[tuple[int, bool]]:
    """Where to stop one thought: (tokens, whether all thoughts share the place), its end left out.

    `sentences`: at most so many ends of sentences besides, spread evenly over those it has."""
    # What lies at or behind its end is the end, which needs no question.
    own = {tokens: True for tokens in shared if tokens < cut.n_tokens}
    between = [tokens for tokens in cut.sentence_ends() if tokens not in own]
    # Evenly over all of them: the first few would all lie in the restating of the question.
    step = max(1.0, len(between) / sentences) if sentences else 0
    kept = [between[int(at * step)] for at in range(min(sentences, len(between)))]
    return sorted({**own, **dict.fromkeys(kept, False)}.items())


def from_text(
    key: str, question_id: str, cut: Cut, kind: AnswerKind, read: Sequence[tuple[int, str | None, float | None]]
) -> Thought:
    """A thought nobody probed: `read` is what the reader of answers makes of its beginnings, the whole at the end."""
    final = read[-1][1]
    spot = None if final is None else cut.states(final, kind)
    return Thought(key, question_id, cut.n_tokens, kind, tuple(Place(*each) for each in read), spot)
