"""Where a strategy is tried: one question, scripted models, a pool and a ledger; no store, process or network.

Owns the scripts and the playing of a single trial. Judges nothing: that is `contract`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from engine.core.budget import position, weights
from engine.core.errors import UnknownName, UsageError
from engine.core.records import (
    Axis,
    Completion,
    Condition,
    ModelSetting,
    ModelSpend,
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
    said = rng.choice(("A", "B", "C", None))
    return " ".join([*filler, *(["Answer:", said] if said else ["well"])])


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
        return asyncio.run(self._played(axis, budget, script, width, slack))

    @property
    def question(self) -> Question:
        """What it is asked: the question alone, or with a document if documents are what it is about."""
        told = replace(QUESTION.problem, context=DOCUMENT)
        return replace(QUESTION, problem=told) if self.entry.family == "context" else QUESTION

    async def _played(self, axis: Axis, budget: int, script: Script, width: int, slack: float) -> Trial:
        models = {name: ScriptedModel(setting, script, slack, pauses=2) for name, setting in _SETTINGS.items()}
        pool = CompletionCache(_Till(models).buy)
        setting = Setting("contract", models, pool, width)
        trial = await solve(
            self._spec(axis, budget),
            self.instance,
            setting,
            lambda said, asked: said == asked.target,
            oracle=is_oracle(self.instance),
        )
        await pool.drain()
        return trial

    def _spec(self, axis: Axis, budget: int) -> TrialSpec:
        lineup = (("solver", SOLVER), *((role, OTHER) for role in self.entry.roles))
        condition = Condition(
            "k1-contract", QUESTION.task, lineup, self.entry.name, "{}", 1, self.anytime, axis, budget
        )
        return TrialSpec("t1-contract", condition, self.question, 0)

    def __str__(self) -> str:
        return repr(self.instance)


@dataclass(frozen=True, slots=True)
class _Till:
    """Buys for the pool; nothing is reserved or billed."""

    models: Mapping[str, ScriptedModel]

    async def buy(self, request: Request) -> Completion:
        return await self.models[request.model].complete(request)


def stages(strategy: str | Any, params: Mapping[str, object]) -> list[Stage]:
    """The instances to try: with these parameters, or with the defaults and with small numbers.

    Raises UnknownName and UsageError."""
    found = entry(strategy) if isinstance(strategy, str) else _entry_of(strategy)
    if not isinstance(strategy, str):
        return [Stage(found, strategy)]
    if params:
        return [Stage(found, build(strategy, params))]
    small = {knob: 3 for knob, value in found.knobs.items() if type(value) is int and not knob.endswith("_tokens")}
    made = [build(strategy, {}), *_made(strategy, small)]
    return [Stage(found, instance) for instance in dict.fromkeys(made)]


def _made(strategy: str, small: Mapping[str, object]) -> Iterable[Any]:
    """Small numbers are our idea; a strategy that refuses them has its own."""
    try:
        return [build(strategy, small)]
    except (UsageError, ValueError):
        return []


def _entry_of(instance: Any) -> Entry:
    found = next((known for known in entries().values() if known.make is type(instance)), None)
    if found is None:
        raise UnknownName("strategy", type(instance).__name__, entries())
    return found


def spent(spends: Sequence[ModelSpend], axis: Axis) -> int:
    """Where cumulative spends stand on an axis."""
    return sum(position(meter, weights(axis, _SETTINGS[meter.model])) for meter in spends)


def answer_at(trial: Trial, axis: Axis, budget: int) -> str | None:
    """The answer read off a larger trial: its last mark whose wall is within the budget."""
    within = [mark.answer for mark in trial.marks if spent(mark.spends, axis) <= budget]
    return within[-1] if within else None


def anonymous(trial: Trial) -> Trial:
    """The trial without what may differ between equal runs: times and who paid first."""
    calls = tuple(replace(call, replayed=False) for call in trial.calls)
    return replace(trial, calls=calls, started_at=_NEVER, finished_at=_NEVER)
