"""What a scorer is, the registry of scorers by name, and how a name says its options.

    @scorer("close_enough")
    @dataclass(frozen=True)
    class CloseEnough:
        \"\"\"Right within a share of the target.\"\"\"

        within: float = 0.01

        def score(self, answer: str, question: Question) -> float: ...

A study then says `scorer = "close_enough"`, or `scorer = "close_enough(within=5%)"`. A scorer is pure: equal arguments,
equal score; it reads text and runs none of it. `engine.testing.ScorerContract` holds it to that.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

from engine.core.errors import BudgetscopeError, UnknownName, UsageError, shortened
from engine.core.records import AnswerKind, Question
from engine.core.registry import Registry

LONGEST = 10_000
"""Characters of an answer that are scored; longer ones are no answer to anything that is asked here."""
SAME = "same"
"""The scorer of tasks that name none."""


class Scorer(Protocol):
    """Made without arguments, or with the options its fields declare; one instance scores all answers of a task.

    One with `form`, a sentence on the form of the answer, has it put behind each question of a file that asks for
    texts; one with `reads`, a kind of answer, has answers read as that where the study does not say how.
    """

    def score(self, answer: str, question: Question) -> float:
        """From 0, wrong, to 1, right, with anything between partly right; never raises for what a model said."""


class Checker(Scorer, Protocol):
    """A scorer that decides by the question alone: with these three a file is asked that has no column of answers."""

    target: str
    """What stands for a target where one is shown."""
    kind: AnswerKind
    instructions: str
    """What is asked of each question, and the form of the answer, in words for the model."""


SCORERS: Registry[type[Scorer]] = Registry("scorer")
scorer = SCORERS.register
_NAMED = re.compile(r"([a-z0-9_]+)(?:\((.*)\))?", re.S)


def open_scorer(name: str) -> Scorer:
    """A scorer by name, with options in brackets: `number(tolerance=1%, unit=km)`.

    Raises UnknownName with the nearest, UsageError for an option it does not have or cannot take.
    """
    named = _NAMED.fullmatch(name.strip())
    # A name that is none is unknown as it stands.
    made = SCORERS.get(named[1] if named else name)
    options = _options(named[1], named[2]) if named and named[2] else {}
    try:
        own = made(**options)
    except BudgetscopeError:
        raise
    except Exception as error:
        # One of a plugin, which is to be made without arguments.
        raise UsageError(f"The scorer {name!r} cannot be made: {shortened(repr(error))}.") from error
    if not callable(getattr(own, "score", None)):
        raise UsageError(f"The scorer {name!r} has no score; write `def score(self, answer, question)` in its class.")
    return own


def is_scorer(name: str) -> bool:
    """Whether a name, with whatever options, is that of a scorer."""
    named = _NAMED.fullmatch(name)
    return named is not None and named[1] in SCORERS


def named_as_scorer(name: str) -> bool:
    """Whether a name has the form of a scorer's, be it known here or not."""
    return _NAMED.fullmatch(name) is not None


def options_of(name: str) -> dict[str, Any]:
    """The options of a scorer and what each is unless told otherwise; raises UnknownName."""
    made: Any = SCORERS.get(name)
    return {field.name: field.default for field in fields(made) if field.init} if is_dataclass(made) else {}


def _options(name: str, written: str) -> dict[str, Any]:
    known = options_of(name)
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in written.split(","))):
        option, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise UsageError(f"The scorer {name!r} cannot read the option {part!r}; write it as name=value.")
        if option not in known:
            if not known:
                raise UsageError(f"The scorer {name!r} has no options, so take {part!r} out.")
            raise UnknownName(f"option of the scorer {name!r}", option, known)
        found[option] = _value(name, option, value, known[option])
    return found


def _value(name: str, option: str, written: str, default: Any) -> Any:
    """An option as its default is: a number, per cent as hundredths; yes or no; or a text."""
    if isinstance(default, bool):
        if written.lower() in ("yes", "true", "no", "false"):
            return written.lower() in ("yes", "true")
        raise UsageError(f"The scorer {name!r} takes yes or no for {option!r}, not {written!r}.")
    if isinstance(default, int | float):
        number = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})\s?(%?)", written)
        if number is None:
            raise UsageError(f"The scorer {name!r} takes a number, or per cent, for {option!r}, not {written!r}.")
        value = float(number[1]) / (100 if number[2] else 1)
        return value if isinstance(default, float) else int(value)
    return written
