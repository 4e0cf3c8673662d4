"""Short written-out reasoning for worked examples, built from what the generator says about its question; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from engine.tasks.gym.formula import Argument, describe, evaluate

Entry = Mapping[str, Any]


def reasoning(generator: str, entry: Entry) -> str | None:
    """Correct steps towards the answer, without stating it as one; None: we have no way to write them."""
    write = _WRITERS.get(generator)
    return write(entry) if write else None


def _running(entry: Entry) -> str:
    """Term by term, left to right; for sums and for products, never mixed."""
    first, *rest = entry["metadata"]["expression"].split()
    lines, value = [], first
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        result = evaluate(f"{value} {sign} {term}")
        total = str(result[0]) if result else "?"
        lines.append(f"{value} {sign} {term} = {total}.")
        value = total
    return " ".join(lines)


def _gcd(entry: Entry) -> str:
    numbers = entry["metadata"]["numbers"]
    lists = ((number, [d for d in range(1, number + 1) if number % d == 0]) for number in numbers)
    divisors = " ".join(f"The divisors of {number} are {_listing(every)}." for number, every in lists)
    return f"{divisors} The largest number in every list is {math.gcd(*numbers)}."


def _lcm(entry: Entry) -> str:
    first, *rest = entry["metadata"]["numbers"]
    lines, value = [], first
    for number in rest:
        # By way of the greatest common divisor, which keeps the numbers of a step small.
        shared = math.gcd(value, number)
        multiple = value * number // shared
        product = f"{value} * {number} / {shared} = {multiple}"
        divisor = f"The greatest common divisor of {value} and {number} is {shared}"
        lines.append(f"{divisor}, so their least common multiple is {product}.")
        value = multiple
    return " ".join(lines)


def _letters(entry: Entry) -> str:
    words, letter = entry["metadata"]["span"], entry["metadata"]["target_letter"]
    counts = [word.lower().count(letter) for word in words]
    spelled = (f"{word}: {_listing(word.lower())} has {n}." for word, n in zip(words, counts, strict=True))
    total = f" In total {' + '.join(map(str, counts))} = {sum(counts)}." if len(counts) > 1 else ""
    return f"Count the letter {letter}. {' '.join(spelled)}{total}"


def _backward(entry: Entry) -> str:
    word = entry["metadata"]["word"]
    return f"The letters of {word} are {_listing(word)}. From last to first: {_listing(word[::-1])}."


def _equation(entry: Entry) -> str | None:
    name = entry["metadata"]["variable"]
    left, _, right = entry["metadata"]["equation"].partition(" = ")
    # Linear in one unknown: the left side at 0 and at 1 gives constant and factor.
    at_zero, at_one = (evaluate(left.replace(name, value)) for value in ("0", "1"))
    if at_zero is None or at_one is None:
        return None
    constant, factor = at_zero[0], at_one[0] - at_zero[0]
    rest = Fraction(right) - constant
    taken, over = (f"({value})" if value < 0 else str(value) for value in (constant, factor))
    moved, divided = f"{factor}*{name} = {right} - {taken} = {rest}", f"{name} = {rest} / {over} = {rest / factor}"
    return f"Take the constant to the other side: {moved}. Divide: {divided}."


def _syllogism(entry: Entry) -> str:
    meta = entry["metadata"]
    argument = Argument((meta["premise1"], meta["premise2"]), meta["conclusion"])
    # With members in all terms, for a reader would not think of empty ones.
    world = argument.counterexample(inhabited=True)
    if world is None:
        return f"Whenever statements 1 and 2 hold, '{meta['conclusion']}' holds as well; there is no counterexample."
    things = "; ".join(describe(thing, argument.terms()) for thing in world)
    return f"Suppose there is just this: {things}. Then statements 1 and 2 hold, but '{meta['conclusion']}' does not."


def _listing(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))


_WRITERS: Mapping[str, Callable[[Entry], str | None]] = {
    "chain_sum": _running,
    "distractors": lambda entry: str(entry["metadata"]["steps"]),
    "products": _running,
    "gcd": _gcd,
    "lcm": _lcm,
    "letter_counting": _letters,
    "spell_backward": _backward,
    "simple_equations": _equation,
    "syllogism": _syllogism,
}
