"""Mathematical answers by value: LaTeX or plain spelling, read by a small parser and evaluated to forty digits.

Nothing is executed and nothing is simplified: an expression is evaluated at fixed points, where two that are equal
have equal values (the identity test of Schwartz and Zippel), so its cost is bounded by its length. Powers, factorials
and exponentials whose value would have more than some thousand digits have no value here. The numbers are mpmath's,
which is imported when the first expression is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from engine.core.answers import markup, numbers

LONGEST = 600
"""Characters of an expression that is evaluated; longer ones are compared by spelling."""
_DEPTH = 40
_BITS = 20_000
_PLACES = 20
_POINTS = 3
_ZERO = "0"

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]{1,120}(?:\.[0-9]{1,120})?|\.[0-9]{1,120})"
    r"|(?P<begin>\\begin\s{0,3}\{[a-zA-Z]{1,12}\*?\})|(?P<end>\\end\s{0,3}\{[a-zA-Z]{1,12}\*?\})"
    r"|(?P<row>\\\\)|\\(?P<command>[a-zA-Z]{1,20})|(?P<escaped>\\[{}|])"
    r"|(?P<word>[a-zA-Z]{1,40}|[\u0370-\u03ff])|(?P<sign>\*\*|<=|>=|!=|[-+*/^_=<>(),;:\[\]{}|!&']))"
)
_WORDS = {"sqrt", "pi", "infinity", "infty", "inf", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp"} | {
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "cup", "frac", "theta", "alpha", "beta", "or", "and")
}
_FUNCTIONS = {
    **{name: name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "ln", "exp", "sinh", "cosh", "tanh")},
    **{"arcsin": "asin", "arccos": "acos", "arctan": "atan", "asin": "asin", "acos": "acos", "atan": "atan"},
}
_IGNORED = {
    *("left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "quad", "qquad", "limits"),
    *("circ", "degree", "degrees", "textstyle", "mathrm", "mathbf", "mathit", "mathbb", "operatorname"),
}
_RELATIONS = {
    **{"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!="},
    **{"le": "<=", "leq": "<=", "ge": ">=", "geq": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "in": "in"},
    **{"approx": "=", "equiv": "=", "leqslant": "<=", "geqslant": ">="},
}
_TEXTS = re.compile(r"\\(?:text|mbox|textbf|textit|textrm|mathrm|operatorname)\s{0,3}\{([^{}]{0,80})\}")
_UNIT = re.compile(r"(?<=[0-9})\]a-z])\s{0,3}\^?\s{0,3}(?:\\circ|\{\\circ\}|\\degree)(?![a-zA-Z])")
_MEASURES = (
    "mm|cm|dm|km|mi|ft|in|yd|mg|kg|oz|lbs?|ml|cl|hrs?|min|sec|mph|kph|kmh|am|pm|cents?|degrees?|dollars?|inches|feet|"
    "meters?|metres?|miles?|hours?|minutes?|seconds?|days?|weeks?|years?|units?|euros?"
)
# Units behind a number: known ones, or words of three letters or more that a space keeps apart.
_TAIL = re.compile(
    rf"(?:(?<=[0-9}})])\s{{0,4}}(?:{_MEASURES})\b\.?|\s{{1,4}}(?:(?:square|cubic|sq\.?|cu\.?)\s)?[A-Za-z]{{3,20}}\b)"
    r"(?:\s[a-z]{1,20}){0,4}\s{0,3}(?:\^\s?\{?[0-9]\}?)?\.?\Z"
)
_THOUSANDS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3}){1,20}(?![0-9,])")
_JOINED = re.compile(r"\{,\}|,\s{0,3}\\!\s{0,3}|\\!")
_THIN = re.compile(r"\\[,;: ]|~|\\quad(?![a-zA-Z])|\\qquad(?![a-zA-Z])")
_BASED = re.compile(r"([0-9A-F]{1,60})\s?_\s?(?:\{?\s?(?:\\text\{)?([0-9]{1,2}|[a-z]{3,7})\}?\}?)\Z")
_BASES = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}

Node = tuple[Any, ...]


class _Unread(Exception):
    """Not an expression this module reads, or one whose value is out of bounds."""


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
    try:
        written, percent = _prepared(text)
        based = _BASED.fullmatch(written.strip())
        if based:
            key = f"{based[1].lstrip('0')} in base {_BASES.get(based[2], based[2])}"
            return key, frozenset({key})
        tree = _Parser(written).whole()
        first, *others = _keys(tree)
        if percent:
            others.append(_keys(("/", tree, ("number", "100")))[0])
    except (_Unread, RecursionError):
        return None, frozenset()
    except (ValueError, ArithmeticError, OverflowError, TypeError, MemoryError):
        # What mpmath says of poles and of values that do not exist.
        return None, frozenset()
    return first, frozenset({first, *others})


def equal(one: str, other: str) -> bool:
    """Whether two expressions have the same value; False where one of them cannot be read."""
    return not keys(one)[1].isdisjoint(keys(other)[1])


def rational(text: str) -> numbers.Number | None:
    """The number an arithmetic text comes to, such as 6*7 or (1/2)^2; None: it is none, or not a rational one."""
    try:
        written, percent = _prepared(text)
        value = _exact(_Parser(written).whole(), 0)
    except (_Unread, RecursionError, ValueError, ArithmeticError):
        return None
    spelled = numbers.spell(value)
    if len(spelled) > 2 * numbers.DIGITS:
        return None
    return numbers.Number(0, len(text), value, spelled + ("%" if percent else ""), percent)


def _prepared(text: str) -> tuple[str, bool]:
    """Without delimiters, spacing commands and units; and whether it was in per cent."""
    text = markup.latin(text).strip()
    for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening + closing):
            text = text[len(opening) : -len(closing)].strip()
    # Between two pieces of mathematics the delimiters say nothing.
    text = re.sub(r"(?<!\\)\$", " ", text) if not re.match(r"\$\s?[0-9]", text) else text[1:]
    text = text.replace("\\$", " ").replace("**", "^").rstrip(" .;")
    text = _THIN.sub(" ", _JOINED.sub("", text.replace("\\\\", "\x00"))).replace("\x00", "\\\\")
    percent = text.endswith("%")
    text = text.rstrip("%").rstrip("\\ ").strip() if percent else text
    text = _TEXTS.sub(lambda held: _joint(held[1]), text)
    text = _UNIT.sub(" ", text).strip()
    for _ in range(2):
        bare = _TAIL.sub("", text)
        words = re.findall(r"[A-Za-z]{2,20}", text[len(bare) :])
        # A word of mathematics is no unit.
        text = bare if words and not _WORDS.intersection(words) and bare.strip() else text
    if "(" not in text and "[" not in text and "\\{" not in text:
        text = _THOUSANDS.sub(lambda grouped: grouped[0].replace(",", ""), text)
    return text.strip(), percent


def _joint(words: str) -> str:
    bare = words.strip().lower()
    return f" {bare} " if bare in ("or", "and") else f" {words} "


class _Parser:
    """Recursive descent, one token ahead; its depth is bounded."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                if text[at:].isspace():
                    break
                raise _Unread(text)
            at = match.end()
            kind = match.lastgroup or ""
            self._add(kind, match[kind])
        self.at = 0
        self.depth = 0

    def _add(self, kind: str, token: str) -> None:
        if kind == "word" and token not in _WORDS:
            # A run of letters is a product of variables, but a word of a language is not.
            if len(token) > 3:
                raise _Unread(token)
            self.tokens.extend(("name", letter) for letter in token)
        elif kind == "word" or (kind == "command" and token not in _IGNORED):
            self.tokens.append(("command", token))
        elif kind == "begin":
            self.tokens.append(("begin", token.partition("{")[2].rstrip("}")))
        elif kind != "command":
            self.tokens.append((kind, token))

    @property
    def head(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def take(self, *wanted: str) -> str | None:
        """The next token, if it is one of these."""
        if self.head[1] in wanted and self.head[0]:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def need(self, *wanted: str) -> str:
        token = self.take(*wanted)
        if token is None:
            raise _Unread(self.head[1])
        return token

    def whole(self) -> Node:
        """All of the text as one tree."""
        tree = self.listed()
        if self.at < len(self.tokens) or not self.tokens:
            raise _Unread(self.head[1])
        return tree

    def listed(self) -> Node:
        items = [self.relation()]
        while self.take(",", ";", "or", "and"):
            self.take("or", "and")
            items.append(self.relation())
        return items[0] if len(items) == 1 else ("set", *items)

    def relation(self) -> Node:
        self.depth += 1
        if self.depth > _DEPTH:
            raise _Unread("depth")
        sides, signs = [self.union()], list[str]()
        while self.head[0] in ("sign", "command") and self.head[1] in _RELATIONS:
            signs.append(_RELATIONS[self.head[1]])
            self.at += 1
            sides.append(self.union())
        self.depth -= 1
        return ("relation", tuple(signs), *sides) if signs else sides[0]

    def union(self) -> Node:
        parts = [self.sum()]
        while self.take("cup"):
            parts.append(self.sum())
        return parts[0] if len(parts) == 1 else ("union", *parts)

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > _DEPTH:
            raise _Unread("depth")
        tree = self.product()
        while sign := self.take("+", "-", "pm", "mp"):
            tree = (sign, tree, self.product())
        self.depth -= 1
        return tree

    def product(self) -> Node:
        if sign := self.take("+", "-", "pm", "mp"):
            self.depth += 1
            if self.depth > _DEPTH:
                raise _Unread("depth")
            inner = self.product()
            self.depth -= 1
            return inner if sign == "+" else ("negative", inner) if sign == "-" else ("pm", ("number", "0"), inner)
        tree = self.power()
        while True:
            if sign := self.take("*", "/", "cdot", "times", "div", "ast"):
                divides = sign in ("/", "div")
                factor = ("negative", self.power()) if self.take("-") else self.power()
                tree = ("/" if divides else "*", tree, factor)
            elif self._begins():
                mixed = tree[0] == "number" and self.head[1] in ("frac", "dfrac", "tfrac", "number")
                follows = self.head[0] == "number"
                factor = self.power()
                if follows:
                    # "2 1/2" is a mixed number, and two numbers side by side are nothing.
                    if tree[0] != "number" or factor[0] != "number" or not self.take("/"):
                        raise _Unread("two numbers")
                    tree = ("+", tree, ("/", factor, self.power()))
                else:
                    plain = mixed and factor[0] == "/" and all(side[0] == "number" for side in factor[1:])
                    tree = ("+" if plain else "*", tree, factor)
            else:
                return tree

    def _begins(self) -> bool:
        kind, token = self.head
        if kind == "command":
            return token not in _RELATIONS and token not in ("cup", "or", "and", "pm", "mp", "times", "cdot", "div")
        return kind in ("number", "name") or token in ("(", "{", "[", "\\{")

    def power(self) -> Node:
        base = self.postfix()
        if self.take("^"):
            self.depth += 1
            if self.depth > _DEPTH:
                raise _Unread("depth")
            exponent = ("negative", self.power()) if self.take("-") else self.power()
            self.depth -= 1
            return ("^", base, exponent)
        return base

    def postfix(self) -> Node:
        tree = self.atom()
        while True:
            if self.take("!"):
                tree = ("!", tree)
            elif self.head[1] == "_" and tree[0] == "name":
                self.at += 1
                tree = ("name", f"{tree[1]}_{self.index()}")
            elif self.head[1] == "'" and tree[0] == "name":
                self.at += 1
                tree = ("name", f"{tree[1]}'")
            else:
                return tree

    def index(self) -> str:
        """What stands below a name."""
        if not self.take("{"):
            kind, token = self.head
            if kind not in ("number", "name"):
                raise _Unread(token)
            self.at += 1
            return token
        start = self.at
        while self.head[0] and self.head[1] != "}":
            self.at += 1
        self.need("}")
        return "".join(token for _, token in self.tokens[start : self.at - 1])

    def atom(self) -> Node:
        self.depth += 1
        if self.depth > _DEPTH:
            raise _Unread("depth")
        kind, token = self.head
        self.at += 1
        match kind:
            case "number":
                tree: Node = ("number", token)
            case "name":
                tree = ("name", token)
            case "begin":
                tree = self.matrix()
            case "command":
                tree = self.command(token)
            case "sign" | "escaped" if token in ("(", "[", "{", "\\{", "|"):
                tree = self.bracketed(token)
            case _:
                raise _Unread(token)
        self.depth -= 1
        return tree

    def group(self) -> Node:
        """An argument of a command: in braces, or one digit, letter or command."""
        if self.take("{"):
            tree = self.listed()
            self.need("}")
            return tree
        kind, token = self.head
        if kind == "number" and len(token) > 1:
            # \frac12 is a half: each digit is an argument of its own.
            self.tokens[self.at] = ("number", token[1:])
            return ("number", token[0])
        return self.atom()

    def command(self, name: str) -> Node:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            top = self.group()
            return ("/", top, self.group())
        if name in ("binom", "dbinom", "tbinom"):
            top = self.group()
            return ("binom", top, self.group())
        if name == "sqrt":
            degree: Node = ("number", "2")
            if self.take("["):
                degree = self.sum()
                self.need("]")
            return ("^", self.group(), ("/", ("number", "1"), degree))
        if name in ("infty", "infinity", "inf"):
            return ("infinity",)
        if name in ("boxed", "fbox"):
            return self.group()
        if name == "overline":
            raise _Unread(name)
        if name == "log":
            base: Node = ("number", "10")
            if self.take("_"):
                base = self.group()
            return ("log", self.argument(), base)
        if name in _FUNCTIONS:
            if self.take("^"):
                power = self.group()
                inverse = power == ("negative", ("number", "1"))
                called = f"a{_FUNCTIONS[name]}" if inverse else _FUNCTIONS[name]
                applied = ("call", called, self.argument())
                return applied if inverse else ("^", applied, power)
            return ("call", _FUNCTIONS[name], self.argument())
        if name in ("cup", "in", "or", "and", "pm", "mp") or name in _RELATIONS:
            raise _Unread(name)
        return ("name", f"\\{name}")

    def argument(self) -> Node:
        """What a function is applied to: brackets, or the factors that follow it."""
        if self.head[1] in ("(", "{", "["):
            return self.power()
        if self.take("-"):
            return ("negative", self.argument())
        tree = self.power()
        while self.head[0] in ("number", "name") or self.head[1] in ("pi", "frac"):
            tree = ("*", tree, self.power())
        return tree

    def bracketed(self, opening: str) -> Node:
        if opening == "|":
            inner = self.sum()
            self.need("|")
            return ("call", "abs", inner)
        items = [self.relation()]
        while self.take(",", ";"):
            items.append(self.relation())
        closing = self.need(")", "]", "}", "\\}")
        if opening == "\\{" or closing == "\\}":
            return ("set", *items) if opening in ("\\{", "{") else ("bracket", opening, "}", *items)
        if len(items) == 1 and opening + closing in ("()", "[]", "{}"):
            return items[0]
        if opening == "{":
            return ("set", *items)
        return ("bracket", opening, closing, *items)

    def matrix(self) -> Node:
        rows: list[Node] = [("row", self.relation())]
        while True:
            if self.take("&"):
                rows[-1] = (*rows[-1], self.relation())
            elif self.head[0] == "row":
                self.at += 1
                if self.head[0] != "end":
                    rows.append(("row", self.relation()))
            elif self.head[0] == "end":
                self.at += 1
                return ("matrix", *rows)
            else:
                raise _Unread(self.head[1])


def _keys(tree: Node) -> list[str]:
    """By which keys a tree may be found equal, its own first."""
    if tree[0] == "relation" and tree[1] in (("=",), ("in",)):
        left, right = tree[2], tree[3]
        own: list[str] = []
        if left[0] == "name" or (left[0] == "*" and left[1][0] == "name" and right[0] != "name"):
            # "x = 5" and "f(x) = 2x" say what the right side is.
            own.append(_key(right))
        elif right[0] == "name" and not _named(left):
            own.append(_key(left))
        if tree[1] == ("=",):
            own.append(_equation(left, right))
        return own or [_key(tree)]
    if tree[0] == "matrix" and all(len(row) == 2 for row in tree[1:]):
        # A column is also written as a tuple.
        column = ("bracket", "(", ")", *(row[1] for row in tree[1:]))
        return [_key(tree), _key(column)]
    return [_key(tree)]


def _key(tree: Node) -> str:
    match tree[0]:
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
    for item in tree[1:]:
        if item[0] == "relation" and item[1] == ("=",) and item[2][0] == "name":
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
    scale = next((value for value in values if abs(value) > mp.mpf(10) ** -25), None)
    return "= " + " ".join(_shown(value / scale if scale else value) for value in values)


@lru_cache(maxsize=1)
def _mpmath() -> Any:
    from mpmath.ctx_mp import MPContext

    context = MPContext()
    context.dps = 40
    return context


def _values(tree: Node) -> list[Any]:
    """At each of the fixed points; one value where it names no variable."""
    points = range(_POINTS if _named(tree) else 1)
    return [_value(tree, point) for point in points]


def _shown(value: Any) -> str:
    mp = _mpmath()
    real, imaginary = mp.re(value), mp.im(value)
    size = max(abs(real), abs(imaginary), 1 if not mp.isinf(value) else 0)
    parts = [_ZERO if abs(part) < size * mp.mpf(10) ** -25 else mp.nstr(part, _PLACES) for part in (real, imaginary)]
    if "nan" in parts:
        raise _Unread("nan")
    return parts[0] if parts[1] == _ZERO else f"{parts[0]}+{parts[1]}i"


@lru_cache(maxsize=512)
def _variable(name: str, point: int) -> Any:
    """A fixed number between 1 and 3 for each name and point, as good as random."""
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
        return +constants[tree[1]] if tree[1] in constants else _variable(tree[1], point)
    if kind == "call":
        return _called(tree[1], _value(tree[2], point))
    if kind == "negative":
        return -_value(tree[1], point)
    if kind == "!":
        return mp.factorial(_natural(_value(tree[1], point)))
    if kind not in _ARITHMETIC:
        raise _Unread(kind)
    return _ARITHMETIC[kind](_value(tree[1], point), _value(tree[2], point))


def _natural(value: Any) -> int:
    if _mpmath().im(value) or not 0 <= value <= 1000 or value != int(value):
        raise _Unread("factorial")
    return int(value)


def _called(name: str, value: Any) -> Any:
    mp = _mpmath()
    if abs(value) > 10_000 and name in ("exp", "sinh", "cosh", "tanh"):
        raise _Unread(name)
    return abs(value) if name == "abs" else getattr(mp, name)(value)


def _raised(base: Any, exponent: Any) -> Any:
    mp = _mpmath()
    # The digits of a power are known before it is raised, and 9**9**9**9 has too many.
    if mp.isinf(base) or mp.isinf(exponent) or abs(exponent) > 10**6:
        raise _Unread("power")
    if base and abs(exponent) * abs(mp.log(abs(base), 2)) > _BITS:
        raise _Unread("power")
    third = mp.mpf(1) / 3
    if not mp.im(base) and base < 0 and exponent == third:
        return -((-base) ** third)
    return base**exponent


def _divided(top: Any, below: Any) -> Any:
    if not below:
        raise _Unread("zero")
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


def _exact(tree: Node, depth: int) -> numbers.Fraction:
    """The value of arithmetic over whole and decimal numbers."""
    kind = tree[0]
    if kind == "relation" and tree[1] == ("=",) and tree[2][0] == "name":
        return _exact(tree[3], depth)
    if kind == "number":
        return numbers.Fraction(tree[1])
    if kind == "negative":
        return -_exact(tree[1], depth + 1)
    if kind not in ("+", "-", "*", "/", "^"):
        raise _Unread(kind)
    left, right = _exact(tree[1], depth + 1), _exact(tree[2], depth + 1)
    if kind == "^":
        size = max(left.numerator.bit_length(), left.denominator.bit_length())
        if right.denominator != 1 or abs(right) > 1000 or size * abs(right) > 400:
            raise _Unread("power")
        return left ** int(right)
    return {"+": left + right, "-": left - right, "*": left * right, "/": left / right if kind == "/" else left}[kind]
