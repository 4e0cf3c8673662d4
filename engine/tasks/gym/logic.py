"""Syllogisms decided by trying every way things could be; no model, no generator.

Three terms leave eight sorts of things; a world says which sorts exist. A conclusion follows when it holds in every
world in which both statements hold. The generator's own rules call some arguments valid that are not, and some are
valid only if every term has a member: `verdict` says so, and those are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

_FORM = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)")
Thing = tuple[bool, ...]
World = tuple[Thing, ...]
_THINGS: tuple[Thing, ...] = tuple(product((True, False), repeat=3))
_WORLDS: tuple[World, ...] = tuple(chain.from_iterable(combinations(_THINGS, size) for size in range(9)))


@dataclass(frozen=True, slots=True)
class Argument:
    """Two statements and what is said to follow from them."""

    premises: tuple[str, str]
    conclusion: str

    def terms(self) -> tuple[str, ...]:
        """The plural nouns, in order of appearance."""
        found = (form[place] for form in map(_form, (*self.premises, self.conclusion)) for place in (2, 4))
        return tuple(dict.fromkeys(found))

    def verdict(self) -> bool | None:
        """Whether the conclusion follows; None: only if no term is empty, so logicians differ."""
        strict = self.counterexample(inhabited=False) is None
        return strict if strict == (self.counterexample(inhabited=True) is None) else None

    def counterexample(self, *, inhabited: bool) -> World | None:
        """A smallest world where the statements hold and the conclusion does not; None: there is none."""
        terms = self.terms()
        given = [_holds(premise, terms) for premise in self.premises]
        follows = _holds(self.conclusion, terms)
        for world in _WORLDS:
            if inhabited and not all(any(thing[place] for thing in world) for place in range(len(terms))):
                continue
            if all(premise(world) for premise in given) and not follows(world):
                return world
        return None


def describe(thing: Thing, terms: Sequence[str]) -> str:
    """A thing in words: 'among the dogs, not among the cats'."""
    return ", ".join(f"{'' if is_one else 'not '}among the {term}" for is_one, term in zip(thing, terms, strict=False))


def _form(statement: str) -> re.Match[str]:
    found = _FORM.fullmatch(statement)
    if found is None:
        raise ValueError(f"not a categorical statement: {statement!r}")
    return found


def _holds(statement: str, terms: Sequence[str]) -> Callable[[World], bool]:
    form = _form(statement)
    subject, predicate = terms.index(form[2]), terms.index(form[4])
    if form[1] == "Some":
        wanted = not form[3]
        return lambda world: any(thing[subject] and thing[predicate] == wanted for thing in world)
    banned = form[1] == "No"
    return lambda world: all(thing[predicate] != banned for thing in world if thing[subject])
