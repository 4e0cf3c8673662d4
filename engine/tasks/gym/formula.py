"""Two small logics without a model or a generator: arithmetic as a model writes it, and syllogisms.

Expressions are read with exact fractions and without evaluating any code; the generators' own verifiers hand the text
to a parser built on `eval`, and model output never gets there.

A syllogism is decided by trying every way things could be. Three terms leave eight sorts of things; a world says which
sorts exist. A conclusion follows when it holds in every world in which both statements hold. The generator's own rules
call some arguments valid that are not, and some are valid only if every term has a member: `verdict` says so, and those
are not asked.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, combinations, product

# No right answer is longer, and what is need not reach the parser.
_LONGEST = 200
_ALPHABET = re.compile(r"[0-9+\-*/() ]+")
_SPELLED = str.maketrans({"\u00d7": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "[": "(", "]": ")"})
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate(text: str) -> tuple[Fraction, list[int]] | None:
    """Value and sorted numbers of an expression in + - * / and brackets; None for anything else.

    What follows an equals sign is ignored, so '(4 + 4) * 3 = 24' counts."""
    text = text.translate(_SPELLED).partition("=")[0].strip() if len(text) <= _LONGEST else ""
    if not _ALPHABET.fullmatch(text):
        return None
    try:
        tree = _tree(text)
        return _value(tree), sorted(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))  # type: ignore[misc]
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SystemError:
        # Python before 3.11.8 fails where another thread makes a tree in the same moment (python/cpython#106905).
        return ast.parse(text, mode="eval").body


def _value(node: ast.expr) -> Fraction:
    # type, not isinstance: True is an int to Python.
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        return _value(node.operand) if isinstance(node.op, ast.UAdd) else -_value(node.operand)
    raise ValueError(f"not arithmetic: {type(node).__name__}")


_FORM = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)")
Thing = tuple[bool, ...]
World = tuple[Thing, ...]
_THINGS: tuple[Thing, ...] = tuple(product((True, False), repeat=3))
# By size, so that the first counterexample met is a smallest one.
_WORLDS: tuple[World, ...] = tuple(chain.from_iterable(combinations(_THINGS, size) for size in range(9)))


@dataclass(frozen=True, slots=True)
class Argument:
    """Two statements and what is said to follow from them."""

    premises: tuple[str, str]
    conclusion: str

    def terms(self) -> tuple[str, ...]:
        """The plural nouns, in order of appearance."""
        forms = (_form(statement) for statement in (*self.premises, self.conclusion))
        return tuple(dict.fromkeys(form[place] for form in forms for place in (2, 4)))

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
            # Aristotle takes it that every term has a member, logic since Boole does not.
            if inhabited and not all(any(thing[place] for thing in world) for place in range(len(terms))):
                continue
            if all(premise(world) for premise in given) and not follows(world):
                return world
        return None


def describe(thing: Thing, terms: Sequence[str]) -> str:
    """A thing in words: 'among the dogs, not among the cats'."""
    return ", ".join(f"{'' if is_one else 'not '}among the {term}" for is_one, term in zip(thing, terms, strict=False))


def _form(statement: str) -> re.Match[str]:
    form = _FORM.fullmatch(statement)
    if form is None:
        raise ValueError(f"not a categorical statement: {statement!r}")
    return form


def _holds(statement: str, terms: Sequence[str]) -> Callable[[World], bool]:
    form = _form(statement)
    subject, predicate = terms.index(form[2]), terms.index(form[4])
    if form[1] == "Some":
        wanted = not form[3]
        return lambda world: any(thing[subject] and thing[predicate] == wanted for thing in world)
    banned = form[1] == "No"
    return lambda world: all(thing[predicate] != banned for thing in world if thing[subject])
