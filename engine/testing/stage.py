"""Where a strategy is tried: one question, scripted models, a pool and a ledger; no store, process or network.

Plays a single trial and judges nothing: that is `contract`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from engine.core import replay
from engine.core.budget import wall
from engine.core.errors import UnknownName, UsageError
from engine.core.records import (
    Axis,
    Call,
    Condition,
    ModelSetting,
    Price,
    Problem,
    Question,
    Request,
    Trial,
    TrialSpec,
)
from engine.models.scripted import Script, ScriptedModel
from engine.runs.completion_cache import CompletionCache
from engine.strategies import build, entries, entry, is_oracle
from engine.strategies.registry import Entry
from engine.trial.solve import Setting, solve

SOLVER = ModelSetting("scripted/solver", "scripted/solver@1", Price(input_pusd=3, output_pusd=7))
OTHER = ModelSetting("scripted/other", "scripted/other@1", Price(input_pusd=11, output_pusd=2))
"""Plays every role besides the solver's."""
QUESTION = Question("q1-contract", "contract", Problem("What is it ?", "word"), "A")
DOCUMENT = "\n".join(f"Of thing {number} the record says that it was seen once and is not it ." for number in range(40))
"""What QUESTION is about when a strategy of the family 'context' is tried; longer than any of ours leaves alone."""
_SETTINGS = {setting.identity: setting for setting in (SOLVER, OTHER)}
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def babble(request: Request, rng: random.Random) -> str:
    """A reply of 1 to 24 words that states one of three answers, none, or is cut before it can."""
    filler = ["so"] * rng.choice((0, 1, 2, 5, 12, 22))
    answer = rng.choice(("A", "B", "C", None))
    return " ".join([*filler, *(["Answer:", answer] if answer else ["well"])])


def salted(salt: int) -> Script:
    """Another babble for every salt."""
    return lambda request, rng: babble(request, random.Random(f"{salt}{rng.random()}"))


def fixed(*replies: str) -> Script:
    """Draw k says the k-th reply."""
    return lambda request, rng: replies[request.draw % len(replies)]


@dataclass(frozen=True, slots=True)
class Stage:
    """One instance of a strategy, ready to be played."""

    entry: Entry
    instance: Any

    @property
    def anytime(self) -> bool:
        """What it promises."""
        return self.entry.anytime(self.instance)

    def play(self, axis: Axis, budget: int, script: Script, *, width: int = 4, slack: float = 1.0) -> Trial:
        """One trial inside one wall, with every prefetched draw landed."""
        name, lineup = self.entry.name, (("solver", SOLVER), *((role, OTHER) for role in self.entry.roles))
        condition = Condition("k1-contract", QUESTION.task, lineup, name, "{}", 1, self.anytime, axis, budget)
        # The question alone, or with a document if documents are what the strategy is about.
        problem = replace(QUESTION.problem, context=DOCUMENT if self.entry.family == "context" else None)
        spec = TrialSpec("t1-contract", condition, replace(QUESTION, problem=problem), 0)

        async def played() -> Trial:
            models = {name: ScriptedModel(setting, script, slack, pauses=2) for name, setting in _SETTINGS.items()}
            # Bought from the script itself; nothing is reserved or billed.
            pool = CompletionCache(lambda request: models[request.model].complete(request))
            trial = await solve(
                spec,
                self.instance,
                Setting("contract", models, pool, width),
                lambda answer, question: answer == question.target,
                oracle=is_oracle(self.instance),
            )
            # Draws fetched ahead of need may still be on their way.
            await pool.drain()
            return trial

        return asyncio.run(played())

    def __str__(self) -> str:
        return repr(self.instance)


def stages(strategy: str | Any, params: Mapping[str, object]) -> list[Stage]:
    """The instances to try: with these parameters, or with the defaults and with small numbers.

    Raises UnknownName and UsageError, and AssertionError for one without calls, which nothing here could count."""
    if not isinstance(strategy, str):
        registered = next((known for known in entries().values() if known.make is type(strategy)), None)
        if registered is None:
            raise UnknownName("strategy", type(strategy).__name__, entries())
        return [Stage(registered, strategy)]
    registered = entry(strategy)
    if not hasattr(registered.make, "calls"):
        raise AssertionError(f"{strategy!r} has no calls: the most a trial makes, a number or a property.")
    if params:
        return [Stage(registered, build(strategy, params))]
    small = {knob: 3 for knob, value in registered.knobs.items() if type(value) is int and not knob.endswith("_tokens")}
    instances = [build(strategy, {})]
    # Small numbers are our idea; a strategy that refuses them has its own.
    with suppress(UsageError, ValueError):
        instances.append(build(strategy, small))
    return [Stage(registered, instance) for instance in dict.fromkeys(instances)]


def spent(calls: Sequence[Call], axis: Axis) -> int:
    """Where a trial stands on an axis once it has made these calls."""
    # Each model by its own prices, where the axis is money.
    return replay.standing(calls, wall(axis, 0, _SETTINGS.values()))


def answer_at(trial: Trial, axis: Axis, budget: int) -> str | None:
    """The answer read off a larger trial: its last mark whose wall is within the budget."""
    within = [mark.answer for mark in trial.marks if spent(trial.calls[: mark.after_calls], axis) <= budget]
    return within[-1] if within else None


def anonymous(trial: Trial) -> Trial:
    """The trial without what may differ between equal runs: times and who paid first."""
    # Of two that ask for the same at once, either may be the one who pays.
    calls = tuple(replace(call, replayed=False) for call in trial.calls)
    return replace(trial, calls=calls, started_at=_NEVER, finished_at=_NEVER)
