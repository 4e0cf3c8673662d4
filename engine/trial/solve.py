"""Solving one planned trial: a strategy and a session in, exactly one `Trial` out.

Owns the ends (finished, exhausted, failed, stopped) and the scoring of marks. Whatever a strategy does, it ends here as
a record; only cancellation passes through.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from engine.core import ids, replay
from engine.core.answers import READER_VERSION
from engine.core.budget import Ledger, wall
from engine.core.errors import CeilingReached, ProviderError, RunStopped
from engine.core.records import Cut, End, Mark, Problem, Question, Trial, TrialSpec, verdict_of
from engine.models.model import Model
from engine.trial.session import Session, SessionClosed, Source, TrialContext

Score = Callable[[str, Question], float]
"""From 0, wrong, to 1, right; anything between is partly right."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all trials of a run share."""

    run_id: str
    models: Mapping[str, Model]
    """By identity."""
    source: Source
    width: int = 8
    """Most draws of one stream in flight."""


async def solve(
    spec: TrialSpec, strategy: Any, setting: Setting, score: Score | None, attempt: int = 1, *, oracle: bool = False
) -> Trial:
    """Run one trial to its end. Never raises for what a strategy, a scorer, a budget or a provider does.

    `score` None: nothing is scored here, a judge comes after. `oracle`: True where the strategy is registered as one
    that is told whether answers are right.
    """
    began = datetime.now(UTC)
    session = open_session(
        spec, setting, (lambda answer: score(answer, spec.question) >= 1) if oracle and score else None
    )
    end, error = await _drive(strategy, spec.question.problem, session)
    marks: tuple[Mark, ...] = ()
    try:
        # Scored once each: a scorer can be slow, and a strategy may return to an answer.
        distinct = dict.fromkeys(mark.answer for mark in session.marks)
        scores = {answer: within(score(answer, spec.question)) for answer in distinct} if score else {}
        marks = tuple(
            replace(mark, verdict=verdict_of(scores[mark.answer]), score=scores[mark.answer]) if score else mark
            for mark in session.marks
        )
    except Exception as cause:
        # A plugin's scorer may break on one answer; the other trials of the run are paid for and go on.
        end, error = "failed", f"the scorer broke: {type(cause).__name__}: {cause}"
    last = marks[-1] if marks else None
    return Trial(
        spec=spec,
        run_id=setting.run_id,
        attempt=attempt,
        end=end,
        verdict=last.verdict if last else "none",
        answer=last.answer if last else None,
        error=error,
        calls=tuple(session.calls),
        marks=marks,
        spends=session.spends,
        started_at=began,
        finished_at=datetime.now(UTC),
        reader=READER_VERSION,
        facts=tuple(session.facts),
        score=last.score if last else None,
    )


def within(score: float) -> float:
    """A scorer's number as it is kept: from 0 to 1, to nine places. Raises ValueError for one that is no number."""
    if not math.isfinite(score):
        raise ValueError(f"a score is a number from 0 to 1, not {score}")
    # The last digits of a mean are rounding, and would make what is right almost right.
    return round(min(1.0, max(0.0, float(score))), 9)


def open_session(spec: TrialSpec, setting: Setting, oracle: Callable[[str], bool] | None = None) -> Session:
    """A fresh session inside the walls of the trial's condition."""
    condition = spec.condition
    terms = TrialContext(
        lineup={role: setting.models[model.identity] for role, model in condition.lineup},
        kind=spec.question.problem.answer_kind,
        statement=spec.question.problem.statement,
        options=spec.question.problem.options,
        repeat=spec.repeat,
        system=_system(condition.prompting),
        rng_seed=partial(ids.rng_seed, spec),
        anytime=condition.anytime,
        oracle=oracle,
        width=setting.width,
    )
    side = wall(condition.axis, condition.budget, [model for _, model in condition.lineup])
    return Session(terms, Ledger([side], replay.prices(condition)), setting.source)


@lru_cache(maxsize=64)
def _system(prompting: str) -> str | None:
    system = json.loads(prompting).get("system")
    return system if isinstance(system, str) else None


async def _drive(strategy: Any, problem: Problem, session: Session) -> tuple[End, str | None]:
    """Consume the strategy's yields; no yield counts once the session is closed."""
    try:
        async with aclosing(strategy.solve(problem, session)) as answers:
            async for answer in answers:
                # It may have swallowed the exception that closed the session; what it yields since is no answer.
                if session.closed:
                    break
                if not isinstance(answer, str):
                    kind, way = type(answer).__name__, "where there is no answer it yields nothing"
                    return "failed", f"the strategy yielded {kind} instead of text; {way}"
                session.mark(answer)
    except SessionClosed:
        pass
    except ProviderError as error:
        return "failed", str(error)
    except (CeilingReached, RunStopped) as error:
        return "stopped", str(error)
    except Exception as error:
        # A strategy may break on what it made of the end itself; then the end came first and decides.
        if session.closed:
            return _ended(session)
        return "failed", f"the strategy broke: {type(error).__name__}: {error}"
    return _ended(session)


def _ended(session: Session) -> tuple[End, str | None]:
    if session.closed is None:
        return "finished", None
    if session.closed is Cut.FAILED:
        return "failed", "a call failed and the strategy went on"
    if session.closed == "stopped":
        return "stopped", "the run ended and the strategy went on"
    return "exhausted", Cut.BUDGET.value if session.closed.beyond else session.closed.value
