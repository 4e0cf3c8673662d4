"""A provider that ignores its caps is reserved at its worst from the first offence on, also after a resume."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.core.budget import Amount, Limits
from engine.core.records import Attempt, Completion, Request, Usage
from engine.models.scripted import ScriptedModel
from engine.runs import journal, run_dir, worker
from engine.runs.dispatcher import Dispatcher, Overruns
from engine.runs.rate_limits import Retries
from engine.study.schema import with_ceiling
from tests.engine.core.test_ceiling import Ledgered, Watched, Watching, ask
from tests.engine.runs.test_worker import prepared, quiet, remote, study_text
from tests.support.effort import cases
from tests.support.faults import KINDS, MODES, Fault
from tests.support.provider import serving
from tests.support.trials_on_paper import SOLVER, fixed, in_loop

WORST = Amount(1, 13, 3 * 3 + 10 * 7)
"""What the dispatcher reserves for `ask`, by the cap it gives."""


@dataclass
class Liar(ScriptedModel):
    """Replies with `times` the tokens it was asked for, after it has kept to them `honest` times; counts flights."""

    times: int = 5
    honest: int = 0
    together: int = 0
    """Most calls in flight until the first offence was known."""

    async def complete(self, request: Request) -> Completion:
        at = len(self.served)
        said = await super().complete(request)
        for _ in range(at % 3):
            await asyncio.sleep(0)
        if at < self.honest:
            return said
        return replace(said, usage=Usage(3 * self.times, 10 * self.times))


def bought(model: Liar, ceiling: Watched, count: int, overruns: Overruns | None = None) -> Ledgered:
    notes = Ledgered()
    gate = Watching(ceiling)
    buyer = Dispatcher({SOLVER.identity: model}, gate, notes, Retries(first_s=0), overruns=overruns)

    async def run() -> Sequence[object]:
        return await asyncio.gather(*(buyer.purchase(ask(k)) for k in range(count)), return_exceptions=True)

    in_loop(run())
    assert ceiling.broken == []
    return notes


def liar(times: int, parallel: int = 4, honest: int = 0) -> Liar:
    return Liar(SOLVER, fixed("so"), local=False, parallel=parallel, times=times, honest=honest)


@given(times=st.integers(2, 9), parallel=st.integers(1, 8), honest=st.integers(0, 9), limit=st.integers(40, 2_000))
@cases(60)
def test_all_that_is_overshot_is_what_was_in_flight_at_the_first_offence(
    times: int, parallel: int, honest: int, limit: int
) -> None:
    ceiling = Watched(Limits(tokens=limit))
    notes = bought(liar(times, parallel, honest), ceiling, 60)
    one = WORST.tokens * (times - 1)
    assert ceiling.overrun.tokens <= parallel * one
    assert ceiling.spent.tokens <= limit + parallel * one
    offence = next((n for n, line in enumerate(notes.lines) if _offends(line)), len(notes.lines))
    later = [attempt for kind, attempt, _ in notes.lines[offence:] if kind == "intent"]
    assert all(attempt.reserved_tokens == WORST.tokens * times for attempt in later)


def _offends(line: tuple[str, Attempt, Completion | None]) -> bool:
    kind, attempt, _ = line
    return kind == "outcome" and attempt.charged_tokens > attempt.reserved_tokens


def test_money_is_widened_by_what_it_was_overrun_by() -> None:
    ceiling = Watched(Limits())
    (first, second) = bought(liar(4, parallel=1), ceiling, 2).outcomes
    assert (first.reserved_pusd, first.charged_pusd) == (WORST.pusd, 4 * WORST.pusd)
    assert (second.reserved_tokens, second.reserved_pusd) == (4 * WORST.tokens, 4 * WORST.pusd)
    assert ceiling.overrun == Amount(0, 3 * WORST.tokens, 3 * WORST.pusd)


def test_a_model_that_keeps_its_caps_is_reserved_at_them() -> None:
    notes = bought(liar(1), Watched(Limits()), 20)
    assert {a.reserved_tokens for a in notes.outcomes} == {WORST.tokens}


def test_a_factor_rounds_up_and_is_of_one_model_alone() -> None:
    overruns = Overruns()
    overruns.saw("a", Amount(1, 3, 0), Amount(1, 4, 0))
    assert overruns.widened("a", Amount(1, 10, 7)) == Amount(1, 14, 7)
    assert overruns.widened("b", Amount(1, 10, 7)) == Amount(1, 10, 7)
    overruns.saw("a", Amount(1, 10, 0), Amount(1, 2, 0))
    assert overruns.widened("a", Amount(1, 3, 0)).tokens == 4


@given(times=st.lists(st.integers(1, 6), min_size=1, max_size=6))
@cases(60)
def test_what_was_learned_is_known_again_from_the_attempts(times: list[int]) -> None:
    now, factor, past = run_dir.now(), Fraction(1), []
    (blank,) = bought(liar(1), Watched(Limits()), 1).outcomes
    for at, many in enumerate(times):
        begun = now + timedelta(seconds=at)
        past.append(
            replace(
                blank,
                attempt_id=str(at),
                started_at=begun,
                latency_ms=at % 3 * 300,
                reserved_tokens=int(12 * factor),
                charged_tokens=12 * many,
            )
        )
        factor = max(factor, Fraction(many))
    assert Overruns(past).widened(blank.model, Amount(1, 12, 0)).tokens == 12 * max(times)


def test_a_rude_provider_overshoots_once_and_a_resume_remembers_it(tmp_path: Path) -> None:
    with serving(latency_s=0.02) as provider:
        provider.faults.extend([Fault("over_cap")] * 500)
        text = study_text(tmp_path, remote(provider), count=30, more="[ceiling]\nusd = 1.0\ntokens = 12000")
        run = prepared(tmp_path, text)
        ended = worker.run(run, quiet)
        before = len(provider.served)
        assert ended.state == "ceiling" and before > 8
        per_call = 600 + 64
        assert 0 < ended.overrun.tokens <= 4 * per_call + before * 64
        assert ended.spent.tokens <= 12_000 + 4 * per_call
        run.study.write_text(with_ceiling(run.study.read_text(), Limits(tokens=14_000)))
        again = worker.run(run, quiet)
        resumed = journal.read(run.journal).attempts[before:]
    assert resumed and all(a.reserved_tokens > per_call for a in resumed)
    assert again.overrun.tokens <= len(resumed) * 64
    assert again.spent.tokens <= 14_000 + 64


def test_there_are_at_least_two_dozen_modes_each_once_and_known_to_the_provider() -> None:
    assert len({mode.name for mode in MODES}) == len(MODES) >= 24
    assert {mode.fault.kind for mode in MODES} <= set(KINDS)
