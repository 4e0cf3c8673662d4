"""Mathematics as models write it, LaTeX or plain, read into a tree; a small recursive descent of bounded depth.

A tree is a tuple: its kind, then its parts. Numbers stay as they are written, and nothing is evaluated.
"""

from __future__ import annotations

import re
from typing import Any

from engine.core.answers import markup
from engine.core.answers.patterns import late

LONGEST = 600
"""Characters of an expression that is read; longer ones are compared by spelling."""
_DEPTH = 40

_TOKEN = late(
    # Every repetition is bounded: a model may write a million digits, and this is matched against each.
    r"\s*(?:(?P<number>[0-9]{1,120}(?:\.[0-9]{1,120})?|\.[0-9]{1,120})(?:[eE](?P<tens>[-+]?[0-9]{1,2})(?![0-9A-Za-z.]))?"
    r"|(?P<begin>\\begin\s{0,3}\{[a-zA-Z]{1,12}\*?\})|(?P<end>\\end\s{0,3}\{[a-zA-Z]{1,12}\*?\})"
    r"|(?P<row>\\\\)|\\(?P<command>[a-zA-Z]{1,20})|(?P<escaped>\\[{}|])"
    r"|(?P<word>[a-zA-Z]{1,40}|[\u0370-\u03ff])|(?P<sign>\*\*|<=|>=|!=|[-+*/^_=<>(),;:\[\]{}|!&']))"
)
_WORDS = {"sqrt", "pi", "infinity", "infty", "inf", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp"} | {
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "cup", "frac", "theta", "alpha", "beta", "or", "and")
}
_FUNCTIONS = {
    **{name: name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "ln", "exp", "sinh", "cosh", "tanh")},
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "asin": "asin",
    "acos": "acos",
    "atan": "atan",
}
_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Sigma Phi Omega"
)
_GREEK = dict(zip("αβγδεζηθικλμνξρστυφχψωΓΔΘΛΣΦΩ", (f"\\{name}" for name in _NAMES.split()), strict=True))
"""As LaTeX names them."""
_IGNORED = {
    *("left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "quad", "qquad", "limits"),
    *("circ", "degree", "degrees", "textstyle", "mathrm", "mathbf", "mathit", "mathbb", "operatorname"),
}
_RELATIONS = {
    "=": "=",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
    "!=": "!=",
    "le": "<=",
    "leq": "<=",
    "ge": ">=",
    "geq": ">=",
    "lt": "<",
    "gt": ">",
    "ne": "!=",
    "neq": "!=",
    "in": "in",
    "approx": "=",
    "equiv": "=",
    "leqslant": "<=",
    "geqslant": ">=",
}
_TEXTS = late(r"\\(?:text|mbox|textbf|textit|textrm|mathrm|operatorname)\s{0,3}\{([^{}]{0,80})\}")
_LOOKS = late(rf"\\(?:{markup.STYLES})\s{{0,3}}(?=\{{)|{markup.DECLARED}")
_BARS = late(r"\\[lr]?vert(?![A-Za-z])")
# "Area = 12": what it is the value of.
_LABEL = late(
    r"\A\s{0,3}(?:\\(?:text|mathrm|mbox)\s?\{[^{}=]{1,40}\}|[A-Z][a-z]{3,20}(?:\s[a-z]{1,20}){0,3})\s{0,3}=\s?"
)
_UNIT = late(r"(?<=[0-9})\]a-z])\s{0,3}\^?\s{0,3}(?:\\circ|\{\\circ\}|\\degree)(?![a-zA-Z])")
_MEASURES = (
    "mm|cm|dm|km|mi|ft|in|yd|mg|kg|oz|lbs?|ml|cl|hrs?|min|sec|mph|kph|kmh|am|pm|cents?|degrees?|dollars?|inches|feet|"
    "meters?|metres?|miles?|hours?|minutes?|seconds?|days?|weeks?|years?|units?|euros?"
)
# A unit that is set as text, of one letter too.
_WORDED_UNIT = late(
    r"(?<=[0-9A-Za-z)}])\s{0,3}\\(?:text|mbox|mathrm|textrm)\s?\{\s{0,3}(?:(?:square|cubic|sq\.?|cu\.?)\s)?"
    rf"(?:{_MEASURES}|[kcm]?m|k?g|[sLNJWV])\s?(?:\^\s?\{{?[0-9]\}}?)?\.?\}}\s{{0,3}}(?:\^\s?\{{?[0-9]\}}?)?\s{{0,3}}\Z"
)
# Units behind a number: known ones, or words of three letters or more that a space keeps apart.
_TAIL = late(
    rf"(?:(?<=[0-9}})])\s{{0,4}}(?:{_MEASURES})\b\.?|\s{{1,4}}(?:(?:square|cubic|sq\.?|cu\.?)\s)?[A-Za-z]{{3,20}}\b)"
    r"(?:\s[a-z]{1,20}){0,4}\s{0,3}(?:\^\s?\{?[0-9]\}?)?\.?\Z"
)
_THOUSANDS = late(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3}){1,20}(?![0-9,])")
_JOINED = late(r"\{,\}|,\s{0,3}\\!\s{0,3}|\\!")
_THIN = late(r"\\[,;: ]|~|\\quad(?![a-zA-Z])|\\qquad(?![a-zA-Z])")
# Units of one letter are told from variables by their quotient, as in 10 m/s.
_RATE = late(
    r"(?<=[0-9})])\s{0,4}(?:[kcm]?m|mi|ft|[km]?g|[kM]?J|N|rad|L|mol|[kM]?W)\s?/\s?(?:m?s|min|hr?|[kcm]?m|[km]?g|L|mol|K)"
    r"\s{0,2}(?:\^\s?\{?[0-9]\}?)?\s?\Z"
)
_REPEATING = late(r"([0-9]{0,20})\.([0-9]{0,20})\\overline\s{0,2}\{?([0-9]{1,20})\}?")
_REALS = late(r"\\(?:mathbb|Bbb)\s{0,3}(?:\{\s?R\s?\}|R(?![A-Za-z]))(?!\s?\^)")
Node = tuple[Any, ...]


class Unread(Exception):
    """Not an expression this module reads, or one whose value is out of bounds."""


def prepared(text: str) -> tuple[str, bool]:
    """Without delimiters, spacing commands and units; and whether it was in per cent."""
    text = markup.over(markup.latin(text)).strip()
    # Two dollars before one, or half of a pair would stay.
    for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening + closing):
            text = text[len(opening) : -len(closing)].strip()
    # Between two pieces of mathematics the delimiters say nothing.
    text = re.sub(r"(?<!\\)\$", " ", text) if not re.match(r"\$\s?[0-9]", text) else text[1:]
    text = text.replace("\\$", " ").replace("**", "^").rstrip(" .;")
    text = _REALS.sub(r"\\reals ", _REPEATING.sub(_repeated, text))
    # A doubled backslash ends a row of a matrix, and half of it would read as a spacing command.
    text = _THIN.sub(" ", _JOINED.sub("", text.replace("\\\\", "\x00"))).replace("\x00", "\\\\")
    percent = text.endswith("%")
    text = text.rstrip("%").rstrip("\\ ").strip() if percent else text
    text = _WORDED_UNIT.sub("", text) if "{" in text else text
    text = _LABEL.sub("", _BARS.sub("|", text))
    text = _LOOKS.sub("", _TEXTS.sub(lambda held: _joint(held[1]), text))
    text = _RATE.sub("", _UNIT.sub(" ", text)).strip()
    # Twice, for a unit behind a unit.
    for _ in range(2):
        bare = _TAIL.sub("", text)
        words = re.findall(r"[A-Za-z]{2,20}", text[len(bare) :])
        # A word of mathematics is no unit.
        text = bare if words and not _WORDS.intersection(words) and bare.strip() else text
    # In brackets a comma parts the elements: (1,234) is a pair.
    if "(" not in text and "[" not in text and "\\{" not in text:
        text = _THOUSANDS.sub(lambda grouped: grouped[0].replace(",", ""), text)
    return text.strip(), percent


def _repeated(decimal: re.Match[str]) -> str:
    """A decimal that repeats digits without end, as the fraction it is."""
    whole, fixed, again = decimal[1] or "0", decimal[2], decimal[3]
    below = (10 ** len(again) - 1) * 10 ** len(fixed)
    top = int(whole + fixed + again) - int(whole + fixed)
    return f"({top}/{below})"


def _joint(words: str) -> str:
    bare = words.strip().lower()
    return f" {bare} " if bare in ("or", "and") else f" {words} "


class Parser:
    """Recursive descent, one token ahead; its depth is bounded."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                if text[at:].isspace():
                    break
                raise Unread(text)
            at = match.end()
            kind = next(kind for kind in match.groupdict() if match[kind] is not None)
            self._add(kind, match[kind])
            if match["tens"]:
                # 1.2e-3 is a number times a power of ten.
                sign = [("sign", "-")] if match["tens"][0] == "-" else []
                power = [("number", "10"), ("sign", "^"), *sign, ("number", match["tens"].lstrip("+-"))]
                self.tokens[-1:] = [("sign", "("), self.tokens[-1], ("sign", "*"), *power, ("sign", ")")]
        self.at = 0
        self.depth = 0

    def _add(self, kind: str, token: str) -> None:
        if kind == "word" and token not in _WORDS:
            # A run of letters is a product of variables, but a word of a language is not.
            if len(token) > 3:
                raise Unread(token)
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
            raise Unread(self.head[1])
        return token

    def whole(self) -> Node:
        """All of the text as one tree."""
        tree = self.listed()
        if self.at < len(self.tokens) or not self.tokens:
            raise Unread(self.head[1])
        return tree

    def listed(self) -> Node:
        items, joints = [self.relation()], set[str]()
        # A comma and a word may stand together: '1, 2, and 3'.
        while joint := self.take(",", ";", "or", "and", "lor", "vee", "land", "wedge"):
            joints.add(self.take("or", "and") or joint)
            items.append(self.relation())
        if len(items) == 1:
            return items[0]
        if all(item[0] == "relation" and "=" not in item[1] and "in" not in item[1] for item in items):
            # Conditions on a variable: "x < -1 or x > 3", "x > 1 and x < 3".
            return ("either" if joints <= {"or", "lor", "vee"} else "both", *items)
        return ("set", *items)

    def relation(self) -> Node:
        self.depth += 1
        if self.depth > _DEPTH:
            raise Unread("depth")
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
        tree: Node = parts[0] if len(parts) == 1 else ("union", *parts)
        return ("without", tree, self.sum()) if self.take("setminus", "backslash") else tree

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > _DEPTH:
            raise Unread("depth")
        tree = self.product()
        while sign := self.take("+", "-", "pm", "mp"):
            tree = (sign, tree, self.product())
        self.depth -= 1
        return tree

    def product(self) -> Node:
        # A sign binds weaker than a power and its factors: -x^2 is -(x^2).
        if sign := self.take("+", "-", "pm", "mp"):
            self.depth += 1
            if self.depth > _DEPTH:
                raise Unread("depth")
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
                # 2\frac12 is two and a half, and 2x is a product.
                mixed = tree[0] == "number" and self.head[1] in ("frac", "dfrac", "tfrac", "number")
                follows = self.head[0] == "number"
                factor = self.power()
                if follows:
                    # "2 1/2" is a mixed number, and two numbers side by side are nothing.
                    if tree[0] != "number" or factor[0] != "number" or not self.take("/"):
                        raise Unread("two numbers")
                    tree = ("+", tree, ("/", factor, self.power()))
                else:
                    plain = mixed and factor[0] == "/" and all(side[0] == "number" for side in factor[1:])
                    tree = ("+" if plain else "*", tree, factor)
            else:
                return tree

    def _begins(self) -> bool:
        kind, token = self.head
        if kind == "command":
            return token not in _RELATIONS and token not in (
                "rfloor",
                "rceil",
                *("rangle", "cup", "or", "and", "lor", "land", "vee", "wedge", "pm", "mp", "times", "cdot", "div"),
                *("mid", "setminus", "backslash"),
            )
        return kind in ("number", "name") or token in ("(", "{", "[", "\\{")

    def power(self) -> Node:
        base = self.postfix()
        if self.take("^"):
            self.depth += 1
            if self.depth > _DEPTH:
                raise Unread("depth")
            # To the right: 2^3^2 is 2^9.
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
                raise Unread(token)
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
            raise Unread("depth")
        kind, token = self.head
        self.at += 1
        match kind:
            case "number":
                tree: Node = ("number", token)
            case "name":
                tree = ("name", _GREEK.get(token, token))
            case "begin":
                tree = self.matrix()
            case "command":
                tree = self.command(token)
            case "sign" | "escaped" if token in ("(", "[", "{", "\\{", "|"):
                tree = self.bracketed(token)
            case _:
                raise Unread(token)
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
        if name in ("lfloor", "lceil"):
            inner = self.sum()
            self.need("rfloor" if name == "lfloor" else "rceil")
            return ("call", name[1:], inner)
        if name == "langle":
            items = [self.relation()]
            while self.take(",", ";"):
                items.append(self.relation())
            self.need("rangle")
            if len(items) == 1:
                raise Unread(name)
            return ("bracket", "(", ")", *items)
        if name in ("emptyset", "varnothing"):
            return ("set",)
        if name in ("reals", "R", "Reals"):
            return ("reals",)
        if name == "overline":
            raise Unread(name)
        if name == "log":
            # As schools and calculators have it; ln is the natural one.
            base: Node = ("number", "10")
            if self.take("_"):
                base = self.group()
            return ("log", self.argument(), base)
        if name in _FUNCTIONS:
            if self.take("^"):
                power = self.group()
                inverse = power == ("negative", ("number", "1"))
                # sin^{-1} is the inverse function and not one over the sine.
                called = f"a{_FUNCTIONS[name]}" if inverse else _FUNCTIONS[name]
                applied = ("call", called, self.argument())
                return applied if inverse else ("^", applied, power)
            return ("call", _FUNCTIONS[name], self.argument())
        if name in ("cup", "in", "or", "and", "pm", "mp") or name in _RELATIONS:
            raise Unread(name)
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
        if opening in ("\\{", "{") and self.take("\\}", "}"):
            return ("set",)
        items = [self.relation()]
        if opening in ("\\{", "{") and self.take("mid", "|", ":"):
            # "{x | x > 3}" is what it asks of x.
            own = items[0][2] if items[0][:2] == ("relation", ("in",)) and items[0][3] == ("reals",) else items[0]
            if own[0] != "name":
                raise Unread(opening)
            condition = self.listed()
            self.need("}", "\\}")
            return condition
        while self.take(",", ";"):
            items.append(self.relation())
        # Any of them: [0, 1) is an interval, and only those that match are brackets of grouping.
        closing = self.need(")", "]", "}", "\\}")
        if opening == "\\{" or closing == "\\}":
            return ("set", *items) if opening in ("\\{", "{") else ("bracket", opening, "}", *items)
        # Grouping adds nothing to the tree: (x) is x.
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
                raise Unread(self.head[1])
