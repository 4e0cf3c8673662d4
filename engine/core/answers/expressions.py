"""Mathematical answers by value: LaTeX or plain spelling, read by a small parser and evaluated to forty digits.

Nothing is executed and nothing is simplified: an expression is evaluated at fixed points, where two that are equal
have equal values (the identity test of Schwartz and Zippel), so its cost is bounded by its length. Powers, factorials
and exponentials whose value would have more than some thousand digits have no value here. The numbers are mpmath's,
which is imported when the first expression is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import Any

from engine.core.answers import markup, numbers, words
from engine.core.answers.formulas import LONGEST, Node, Parser, Unread, prepared
from engine.core.answers.patterns import late
from engine.core.answers.spelling import nothing_said

_BASED = late(r"([0-9A-F]{1,60})\s?_\s?(?:\{?\s?(?:\\text\{)?([0-9]{1,2}|[a-z]{3,7})\}?\}?)\Z")
_NAMED = late(r"\A[A-Za-z]\s?=\s?")
_BASES = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}
_BITS = 20_000
_PLACES = 20
_POINTS = 3
_ZERO = "0"


def value_key(text: str) -> str | None:
    """A text that is equal for expressions of equal value; None: it is no expression, or its value is out of bounds.

    Orders count in tuples and not in sets or bare lists; of "x = 5" the right side is the value.
    """
    return keys(text)[0] if len(text) <= LONGEST and any(c.isalnum() or c == "\u221e" for c in text) else None


@lru_cache(maxsize=4096)
def keys(text: str) -> tuple[str | None, frozenset[str]]:
    """The value key of a text, and all keys by which it may be found equal to another."""
    if len(text) > LONGEST:
        return None, frozenset()
    worded = _worded_region(text)
    if worded == "":
        return _key(("set",)), frozenset({_key(("set",))})
    try:
        written, percent = prepared(worded or words.whole(text) or text)
        # A number in a base is what is written: 101_2 is not asked to be 5.
        based = _BASED.fullmatch(_NAMED.sub("", written.strip()))
        if based:
            key = f"{based[1].lstrip('0')} in base {_BASES.get(based[2], based[2])}"
            return key, frozenset({key})
        tree = Parser(written).whole()
        first, *others = _keys(tree)
        if percent:
            # 50% is asked for as 50 and as a half.
            others.append(_keys(("/", tree, ("number", "100")))[0])
    except (Unread, RecursionError):
        return None, frozenset()
    except (ValueError, ArithmeticError, OverflowError, TypeError, MemoryError):
        # What mpmath says of poles and of values that do not exist.
        return None, frozenset()
    return first, frozenset({first, *others})


_ALL_REALS = late(
    r"(?:(?:[a-z] )?(?:is|are|can be|may be|=|\u2208|\\in) |for )?(?:the set of )?(?:all|any|"
    r"every)(?: of)? (?:the )?reals?"
    r"(?: numbers?| values?)?(?: (?:of |for )?[a-z])?"
    r"(?:,? (?:except|but|other than|excluding|apart from|not equal to)(?: for)?(?: [a-z] =)? (?P<but>[^a-z]{1,40}))?"
)


def _worded_region(text: str) -> str | None:
    """A set of numbers in words as a formula, "" for the empty one; None: it is none."""
    if " " not in text or len(text) > _WORDED:
        return None
    plain = " ".join(markup.plain(text).replace("$", "").rstrip(" .").lower().split())
    found = _ALL_REALS.fullmatch(plain)
    if found:
        but = (found["but"] or "").replace(" and ", ", ")
        return rf"\reals \setminus \{{{but}\}}" if but else r"\reals"
    return "" if nothing_said(plain) == "no solution" else None


_WORDED = 120


def equal(one: str, other: str) -> bool:
    """Whether two expressions have the same value; False where one of them cannot be read."""
    return not keys(one)[1].isdisjoint(keys(other)[1])


def rational(text: str) -> numbers.Number | None:
    """The number an arithmetic text comes to, such as 6*7 or (1/2)^2; None: it is none, or not a rational one."""
    try:
        written, percent = prepared(text)
        value = _exact(Parser(written).whole(), 0)
    except (Unread, RecursionError, ValueError, ArithmeticError):
        return None
    spelled = numbers.spell(value)
    if len(spelled) > 2 * numbers.DIGITS:
        return None
    return numbers.Number(0, len(text), value, spelled + ("%" if percent else ""), percent)


def _keys(tree: Node) -> list[str]:
    """By which keys a tree may be found equal, its own first."""
    if tree[0] == "relation" and set(tree[1]) == {"="} and (named := _named_value(tree[2:])) is not None:
        return [_key(named)]
    region = _region(tree) if tree[0] in ("relation", "either", "both", "reals", "without", "union") else None
    if region is not None:
        shown = _region_key(region)
        return [shown, _key(tree)] if tree[0] in ("relation", "union") else [shown]
    if tree[0] == "relation" and tree[1] in (("=",), ("in",)):
        left, right = tree[2], tree[3]
        own: list[str] = []
        if left[0] == "name" or (left[0] == "*" and left[1][0] == "name" and right[0] != "name"):
            # "x = 5" and "f(x) = 2x" say what the right side is.
            own.append(_key(right))
        elif left[0] == "bracket" and all(item[0] == "name" for item in left[3:]):
            # "(a, b) = (1, 2)" names the parts of the right side.
            own.append(_key(right))
        elif right[0] == "name" and not _named(left):
            own.append(_key(left))
        if tree[1] == ("=",) and not _apart(left) and not _apart(right):
            own.append(_equation(left, right))
        return own or [_key(tree)]
    if tree[:3] == ("bracket", "[", "]") and all(item[:3] == ("bracket", "[", "]") for item in tree[3:]):
        # Rows in brackets are a matrix too.
        return [_key(tree), _key(("matrix", *(("row", *item[3:]) for item in tree[3:])))]
    if tree[0] == "matrix" and all(len(row) == 2 for row in tree[1:]):
        # A column is also written as a tuple.
        column = ("bracket", "(", ")", *(row[1] for row in tree[1:]))
        return [_key(tree), _key(column)]
    return [_key(tree)]


def _named_value(sides: tuple[Node, ...]) -> Node | None:
    """Of "\\angle A = 30" and "x = 1/2 = 0.5" the value that all sides but a name are, as it stands first."""
    left, *values = sides
    label = _holds_name(left, "\\angle") or (left[0] == "*" and left[1][0] == "^" and left[1][1][0] == "name")
    if label and len(values) == 1 and left[0] == "*":
        return values[0]
    if left[0] != "name":
        values = [left, *values]
    if len(values) < 2 or any(_named(value) or _apart(value) for value in values):
        return None
    # Rounded, as a decimal behind its fraction is.
    numbers_of = [_value(value, 0) for value in values]
    close = all(abs(number - numbers_of[0]) <= abs(numbers_of[0]) / 100 for number in numbers_of[1:])
    return values[0] if close else None


def _holds_name(tree: Node, name: str) -> bool:
    return tree == ("name", name) or any(
        isinstance(part, tuple) and part and _holds_name(part, name) for part in tree[1:]
    )


_Span = tuple[Any, bool, Any, bool]
"""From, whether that belongs to it, to, and whether that does."""


def _region(tree: Node) -> list[_Span] | None:
    """The real numbers that a solved inequality, an interval or a union of them holds, in order; None: none is read."""
    mp = _mpmath()
    kind = tree[0]
    if kind == "reals":
        return [(-mp.inf, False, mp.inf, False)]
    if kind == "bracket" and len(tree) == 5 and tree[1] in "([" and tree[2] in ")]":
        ends = [_value(end, 0) for end in tree[3:]] if not any(_named(end) or _apart(end) for end in tree[3:]) else []
        rises = len(ends) == 2 and not any(map(mp.im, ends)) and ends[0] < ends[1]
        return [(ends[0], tree[1] == "[", ends[1], tree[2] == "]")] if rises else None
    if kind == "without":
        held, left_out = _region(tree[1]), tree[2]
        if held is None or left_out[0] != "set" or any(_named(item) or _apart(item) for item in left_out[1:]):
            return None
        for item in left_out[1:]:
            point = _value(item, 0)
            held = _common(held, [(-mp.inf, False, point, False), (point, False, mp.inf, False)])
        return held
    if kind in ("either", "both", "union"):
        if kind != "union" and len({_variable_of(part) for part in tree[1:]}) != 1:
            return None
        parts = [_region(part) for part in tree[1:]]
        known = [part for part in parts if part is not None]
        if len(known) != len(parts):
            return None
        common = known[0]
        for part in known[1:]:
            common = _common(common, part)
        # "x < -1 and x > 3" means either.
        return common if kind == "both" and common else _merged([span for part in known for span in part])
    return _solved(tree) if kind == "relation" else None


def _variable_of(tree: Node) -> Node | None:
    return next((side for side in tree[2:] if side[0] == "name" and not _is_constant(side)), None)


def _is_constant(tree: Node) -> bool:
    return tree[1] in ("e", "i", "\\pi", "pi", "\u03c0")


def _solved(tree: Node) -> list[_Span] | None:
    """Of x > 2, 1 < x <= 3 and x != 2 the numbers that x may be."""
    mp = _mpmath()
    signs, sides = tree[1], tree[2:]
    variable = _variable_of(tree)
    if signs == ("in",):
        return _region(sides[1]) if variable == sides[0] and sides[1][0] in ("reals", "without", "union") else None
    if variable is None or len(sides) > 3 or (len(sides) == 3 and sides[1] != variable):
        return None
    ends = [None if side == variable else side for side in sides]
    if ends.count(None) != 1 or any(end and (_free(end) or _apart(end)) for end in ends):
        return None
    values = [None if end is None else _value(end, 0) for end in ends]
    if signs == ("!=",):
        point = next(value for value in values if value is not None)
        return [(-mp.inf, False, point, False), (point, False, mp.inf, False)]
    if all(sign[0] == ">" for sign in signs):
        values, signs = values[::-1], tuple(sign.replace(">", "<") for sign in signs[::-1])
    if not all(sign[0] == "<" for sign in signs):
        return None
    at = values.index(None)
    low: tuple[Any, bool] = (values[at - 1], signs[at - 1] == "<=") if at else (-mp.inf, False)
    high: tuple[Any, bool] = (values[at + 1], signs[at] == "<=") if at + 1 < len(values) else (mp.inf, False)
    return [(*low, *high)] if low[0] < high[0] else None


def _free(tree: Node) -> bool:
    """Whether it holds a name whose value is not known."""
    if tree[0] == "name":
        return not _is_constant(tree)
    return any(isinstance(part, tuple) and bool(part) and _free(part) for part in tree[1:])


def _common(one: list[_Span], other: list[_Span]) -> list[_Span]:
    both: list[_Span] = []
    for a in one:
        for b in other:
            low = max((a[0], not a[1]), (b[0], not b[1]))
            high = min((a[2], a[3]), (b[2], b[3]))
            if low[0] < high[0]:
                both.append((low[0], not low[1], high[0], high[1]))
    return sorted(both)


def _merged(spans: list[_Span]) -> list[_Span]:
    done: list[_Span] = []
    for span in sorted(spans, key=lambda span: (span[0], not span[1])):
        last = done[-1] if done else None
        if last and (span[0] < last[2] or (span[0] == last[2] and (span[1] or last[3]))):
            end = max((last[2], last[3]), (span[2], span[3]))
            done[-1] = (last[0], last[1], *end)
        else:
            done.append(span)
    return done


def _region_key(region: list[_Span]) -> str:
    spans = (
        f"{'[' if closed else '('}{_shown(low)}, {_shown(high)}{']' if ended else ')'}"
        for low, closed, high, ended in region
    )
    return " cup ".join(sorted(spans))


def _key(tree: Node) -> str:
    match tree[0]:
        case "reals":
            return _region_key(_region(tree) or [])
        case "either" | "both":
            return f"{tree[0]} " + "; ".join(sorted(_key(part) for part in tree[1:]))
        case "without":
            return f"{_key(tree[1])} without {_key(tree[2])}"
        case "set":
            return "{" + ", ".join(sorted(set(_spread(tree)))) + "}"
        case "bracket":
            return f"{tree[1]}{', '.join(_key(item) for item in tree[3:])}{tree[2]}"
        case "union":
            return " cup ".join(sorted(_key(part) for part in tree[1:]))
        case "matrix":
            return "[" + "; ".join(", ".join(_key(cell) for cell in row[1:]) for row in tree[1:]) + "]"
        case "relation":
            sides = [_key(side) for side in tree[2:]]
            signs = tree[1]
            # x > 2 is 2 < x.
            if all(sign[0] == ">" for sign in signs):
                sides, signs = sides[::-1], tuple(sign.replace(">", "<") for sign in signs[::-1])
            return f"{signs} {' '.join(sides)}"
    if _holds(tree, "pm") or _holds(tree, "mp"):
        return "{" + ", ".join(sorted(set(_spread(("set", tree))))) + "}"
    shown = [_shown(value) for value in _values(tree)]
    # Variables that cancel are no part of the value.
    return shown[0] if len(set(shown)) == 1 else " ".join(shown)


def _spread(tree: Node) -> list[str]:
    """Keys of the members of a set, one for each sign of a plus-minus."""
    members: list[str] = []
    named = {item[2] for item in tree[1:] if item[0] == "relation" and item[1] == ("=",) and item[2][0] == "name"}
    for item in tree[1:]:
        # Of "x = 1, x = 2" the values; of "x = 1, y = 2" each is its own name's.
        if len(named) == 1 and item[0] == "relation" and item[1] == ("=",) and item[2][0] == "name":
            item = item[3]
        if _holds(item, "pm") or _holds(item, "mp"):
            members += [_key(_signed(item, upper)) for upper in (True, False)]
        elif item[0] == "set":
            members += _spread(item)
        else:
            members.append(_key(item))
    return members


def _holds(tree: Node, kind: str) -> bool:
    return tree[0] == kind or any(isinstance(part, tuple) and part and _holds(part, kind) for part in tree[1:])


def _apart(tree: Node) -> bool:
    """Whether it is several values or none, such as a tuple, which no side of an equation is subtracted from."""
    return tree[0] in _APART or _holds(tree, "pm") or _holds(tree, "mp")


_APART = ("set", "bracket", "union", "matrix", "relation", "reals", "either", "both", "without")


def _named(tree: Node) -> bool:
    return _holds(tree, "name")


def _signed(tree: Node, upper: bool) -> Node:
    if tree[0] in ("pm", "mp"):
        sign = "+" if (tree[0] == "pm") == upper else "-"
        return (sign, *(_signed(part, upper) for part in tree[1:]))
    return tuple(_signed(part, upper) if isinstance(part, tuple) else part for part in tree)


def _equation(left: Node, right: Node) -> str:
    """An equation is the same when both sides are multiplied by one number."""
    mp = _mpmath()
    values = _values(("-", left, right))
    # By the first value that is not zero, so 2x = 4 and x = 2 have one key.
    scale = next((value for value in values if abs(value) > mp.mpf(10) ** -25), None)
    return "= " + " ".join(_shown(value / scale if scale else value) for value in values)


@lru_cache(maxsize=1)
def _mpmath() -> Any:
    from mpmath.ctx_mp import MPContext

    context = MPContext()
    # Of its own: mpmath's shared context is anybody's to change, and decides how many digits are compared.
    context.dps = 40
    return context


def _values(tree: Node) -> list[Any]:
    """At each of the fixed points; one value where it names no variable."""
    points = range(_POINTS if _named(tree) else 1)
    return [_value(tree, point) for point in points]


def _shown(value: Any) -> str:
    mp = _mpmath()
    real, imaginary = mp.re(value), mp.im(value)
    # Rounding is measured against the number: what is 1e-25 of it is zero.
    size = max(abs(real), abs(imaginary), 1 if not mp.isinf(value) else 0)
    parts = [_ZERO if abs(part) < size * mp.mpf(10) ** -25 else mp.nstr(part, _PLACES) for part in (real, imaginary)]
    if "nan" in parts:
        raise Unread("nan")
    parts = [part.removesuffix(".0") for part in parts]
    return parts[0] if parts[1] == _ZERO else f"{parts[0]}+{parts[1]}i"


@lru_cache(maxsize=512)
def _variable(name: str, point: int) -> Any:
    """A fixed number between 1 and 3 for each name and point, as good as random."""
    # By hash, so that every process of every machine has the same points.
    digest = hashlib.blake2b(f"{name} {point}".encode(), digest_size=15).digest()
    return 1 + _mpmath().mpf(int.from_bytes(digest, "big")) / (1 << 119)


def _value(tree: Node, point: int) -> Any:
    mp = _mpmath()
    kind = tree[0]
    if kind == "number":
        return mp.mpf(tree[1])
    if kind == "infinity":
        return mp.inf
    if kind == "name":
        constants = {"\\pi": mp.pi, "pi": mp.pi, "e": mp.e, "i": mp.j, "\u03c0": mp.pi}
        # mpmath's constants are lazy; the plus makes a number of these digits.
        return +constants[tree[1]] if tree[1] in constants else _variable(tree[1], point)
    if kind == "call":
        return _called(tree[1], _value(tree[2], point))
    if kind == "negative":
        return -_value(tree[1], point)
    if kind == "!":
        return mp.factorial(_natural(_value(tree[1], point)))
    if kind not in _ARITHMETIC:
        raise Unread(kind)
    return _ARITHMETIC[kind](_value(tree[1], point), _value(tree[2], point))


def _natural(value: Any) -> int:
    if _mpmath().im(value) or not 0 <= value <= 1000 or value != int(value):
        raise Unread("factorial")
    return int(value)


def _called(name: str, value: Any) -> Any:
    mp = _mpmath()
    if abs(value) > 10_000 and name in ("exp", "sinh", "cosh", "tanh"):
        raise Unread(name)
    return abs(value) if name == "abs" else getattr(mp, name)(value)


def _raised(base: Any, exponent: Any) -> Any:
    mp = _mpmath()
    # The digits of a power are known before it is raised, and 9**9**9**9 has too many.
    if mp.isinf(base) or mp.isinf(exponent) or abs(exponent) > 10**6:
        raise Unread("power")
    if base and abs(exponent) * abs(mp.log(abs(base), 2)) > _BITS:
        raise Unread("power")
    third = mp.mpf(1) / 3
    # Schools mean the real cube root, and mpmath gives the complex one.
    if not mp.im(base) and base < 0 and exponent == third:
        return -((-base) ** third)
    return base**exponent


def _divided(top: Any, below: Any) -> Any:
    if not below:
        raise Unread("zero")
    return top / below


def _chosen(n: Any, k: Any) -> Any:
    return _mpmath().binomial(_natural(n), _natural(k))


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divided,
    "^": _raised,
    "binom": _chosen,
    "log": lambda a, b: _mpmath().log(a) / _mpmath().log(b),
}


def _exact(tree: Node, depth: int) -> Fraction:
    """The value of arithmetic over whole and decimal numbers."""
    kind = tree[0]
    if kind == "relation" and tree[1] == ("=",) and tree[2][0] == "name":
        return _exact(tree[3], depth)
    if kind == "number":
        return Fraction(tree[1])
    if kind == "negative":
        return -_exact(tree[1], depth + 1)
    if kind not in ("+", "-", "*", "/", "^"):
        raise Unread(kind)
    left, right = _exact(tree[1], depth + 1), _exact(tree[2], depth + 1)
    if kind == "^":
        size = max(left.numerator.bit_length(), left.denominator.bit_length())
        # Known before it is raised, as above; in bits.
        if right == Fraction(1, 2) and left >= 0:
            top, below = isqrt(left.numerator), isqrt(left.denominator)
            if Fraction(top, below) ** 2 == left:
                return Fraction(top, below)
        if right.denominator != 1 or abs(right) > 1000 or size * abs(right) > 400:
            raise Unread("power")
        return left ** int(right)
    return {"+": left + right, "-": left - right, "*": left * right, "/": left / right if kind == "/" else left}[kind]
