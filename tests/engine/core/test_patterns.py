"""Expressions that are compiled when they are needed: all of them can be, and they answer as any other."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from engine.core import answers
from engine.core.answers.patterns import _Late, late


def test_every_expression_that_answers_are_read_by_compiles() -> None:
    patterns = [
        each for module in pkgutil.iter_modules(answers.__path__, "engine.core.answers.") for each in _of(module)
    ]
    assert len(patterns) > 200
    assert all(each.groups >= 0 for each in patterns)


def test_it_answers_as_a_compiled_one_and_keeps_what_it_was_asked_for() -> None:
    pattern, compiled = late(r"(?P<word>[a-z]+)", re.I), re.compile(r"(?P<word>[a-z]+)", re.I)
    assert pattern.findall("Two words") == compiled.findall("Two words")
    assert pattern.sub("x", "Two words") == "x x"
    assert (pattern.pattern, pattern.flags, pattern.groupindex) == (compiled.pattern, compiled.flags, {"word": 1})
    assert pattern.search is pattern.search


def test_a_mistake_is_said_where_it_is_used_first() -> None:
    wrong = late("(")
    with pytest.raises(re.error, match="missing"):
        wrong.search("text")


def _of(module: pkgutil.ModuleInfo) -> Iterator[re.Pattern[str]]:
    """The late expressions at the top of a module, in containers too."""
    todo = list(vars(import_module(module.name)).values())
    while todo:
        each = todo.pop()
        if isinstance(each, _Late):
            yield each  # type: ignore[misc]
        elif isinstance(each, tuple | list):
            todo += each
        elif isinstance(each, dict):
            todo += each.values()
