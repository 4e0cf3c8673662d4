"""Reads an arithmetic expression written by a model, with exact fractions and without evaluating any code.

The generators' own verifiers hand the text to a parser built on `eval`; model output never gets there.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

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
        tree = ast.parse(text, mode="eval").body
        return _value(tree), sorted(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))  # type: ignore[misc]
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        return _value(node.operand) if isinstance(node.op, ast.UAdd) else -_value(node.operand)
    raise ValueError(f"not arithmetic: {type(node).__name__}")
