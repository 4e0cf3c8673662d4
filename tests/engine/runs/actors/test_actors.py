"""A run whose trials are tried by actors: the same rows as without, and the same books, also when actors die."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import main
from engine.core.errors import (
    ActorLost,
    CeilingReached,
    ContextOverflow,
    InDoubt,
    ProviderError,
    RunError,
    RunStopped,
    UsageError,
)
from engine.core.records import Completion, Request, Usage
from engine.models import faults
from engine.runs import journal, run_dir, worker
from engine.runs.actors import places, wire
from engine.runs.actors.actor import Lent
from engine.runs.actors.crew import HOPELESS
from engine.runs.completion_cache import CompletionCache
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir, Status
from engine.store.store import Store
from engine.study.plan import plan
from engine.study.schema import Study, load, parse
from tests.engine.core.test_ceiling import ask
from tests.engine.runs.test_completion_cache import Shop
from tests.engine.runs.test_journal import completion
from tests.support import adaptive_runs, killer
from tests.support.adaptive_runs import quiet
from tests.support.effort import cases
from tests.support.in_process import InProcess, InProcessSeat, Way
from tests.support.in_process import killer as ending
from tests.support.killer import CEILING, PARALLEL, Stage
from tests.support.provider import serving
from tests.support.trials_on_paper import in_loop


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with killer.staged(tmp_path_factory.mktemp("actors")) as made:
        yield made


def on(place: InProcess | None, study: Study, db: Path, run: RunDir | None = None) -> Status:
    """The study run in a place to its end; None: as any run is."""
    run = run or worker.prepare(study, db)
    return worker.run(run, quiet, Retries(first_s=0), planned=plan(study), place=place)


@pytest.mark.parametrize("actors", [1, 3])
def test_rows_are_those_of_a_run_without_actors(tmp_path: Path, stage: Stage, actors: int) -> None:
    before = len(stage.provider.served)
    ended = on(InProcess(actors), load(stage.study), tmp_path / "r.duckdb")
    assert (ended.state, ended.in_doubt.calls, ended.message) == ("finished", 0, None)
    assert killer.findings(tmp_path / "r.duckdb") == stage.calm
    assert len(stage.provider.served) - before == stage.calls


def test_all_trials_of_a_question_are_tried_by_one_actor_and_no_actor_is_idle(tmp_path: Path, stage: Stage) -> None:
    tried: dict[str, set[InProcessSeat]] = defaultdict(set)

    def tap(seat: InProcessSeat, way: Way, batch: list[wire.Message]) -> None:
        for message in batch:
            if isinstance(message, wire.Solve):
                tried[message.spec.question.question_id].add(seat)

    place = InProcess(2, tap=tap)
    on(place, load(stage.study), tmp_path / "r.duckdb")
    assert len(tried) == 4 and all(len(seats) == 1 for seats in tried.values())
    assert set.union(*tried.values()) == set(place.seats)


def test_an_actor_keeps_the_replies_it_read_last_and_asks_the_run_for_older_ones_which_nobody_pays_again() -> None:
    async def read() -> None:
        shop = Shop()
        run = CompletionCache(shop.buy)
        asked: list[int] = []

        async def wanted(request: Request) -> tuple[Completion, bool]:
            asked.append(request.draw)
            return await run.get(request)

        lent = Lent(wanted, kept=2)
        paid = [(await lent.get(ask(draw)))[1] for draw in (0, 1, 0, 2, 0, 1)]
        # 1 was read longest ago when 2 came; it was paid for and is so still.
        assert (asked, shop.sold) == ([0, 1, 2, 1], [0, 1, 2])
        assert paid == [False, False, True, False, True, True]

    in_loop(read())


def test_a_call_is_sent_once_it_is_noted_and_a_strategy_sees_no_reply_before_it_is(
    tmp_path: Path, stage: Stage
) -> None:
    run = worker.prepare(load(stage.study), tmp_path / "r.duckdb")
    leased, shown = [], []

    def tap(seat: InProcessSeat, way: Way, batch: list[wire.Message]) -> None:
        for message in batch:
            if isinstance(message, wire.Lease):
                noted = journal.read(run.journal)
                leased.append(any(each.key == message.request.key for each in noted.attempts))
            elif isinstance(message, wire.Bought) and message.completion:
                shown.append(message.completion.key in journal.read(run.journal).completions)

    on(InProcess(2, tap=tap), load(stage.study), run.db, run)
    assert leased == shown == [True] * stage.calls


@pytest.mark.parametrize("seed", range(3))
def test_actors_that_die_lose_nothing_and_nothing_is_paid_twice_but_what_was_in_flight(
    tmp_path: Path, stage: Stage, seed: int
) -> None:
    db, before = tmp_path / "r.duckdb", len(stage.provider.served)
    place = InProcess(1 + seed % 3, tap=ending(seed, one_in=3, most=5))
    ended = on(place, load(stage.study), db)
    died = len(place.seats) - place.actors
    assert ended.state == "finished" and 1 <= died <= 5
    book = killer.account(killer.run_of(db), stage.provider.served[before:])
    assert (book.lost, book.needless) == (0, 0) and book.asked_twice <= book.in_flight == ended.in_doubt.calls
    assert book.served_tokens <= book.charged_tokens <= CEILING
    assert killer.findings(db) == stage.calm
    said = "1 actor" if died == 1 else f"{died} actors"
    assert ended.message == f"{said} died and others took their questions; what they had in flight is in doubt."


def test_the_ceiling_holds_though_actors_die_with_what_they_were_leased(tmp_path: Path, stage: Stage) -> None:
    study = replace(load(stage.study), text=load(stage.study).text.replace(f"{CEILING}", "600"))
    study = parse(study.text, "study")
    db, before = tmp_path / "r.duckdb", len(stage.provider.served)
    ended = on(InProcess(2, tap=ending(1, one_in=5, most=4)), study, db)
    book = killer.account(killer.run_of(db), stage.provider.served[before:])
    assert ended.state == "ceiling" and book.served_tokens <= book.charged_tokens <= 600
    # Under a larger one it goes on, with or without actors.
    run = killer.run_of(db)
    run.study.write_text(study.text.replace("tokens = 600", f"tokens = {CEILING}"), encoding="utf-8")
    assert on(None, load(run.study), db, run).state == "finished"
    assert killer.findings(db) == stage.calm


def test_a_run_of_actors_is_gone_on_with_by_actors_after_its_own_process_was_stopped(
    tmp_path: Path, stage: Stage
) -> None:
    study, db = load(stage.study), tmp_path / "r.duckdb"
    run, seen = worker.prepare(study, db), [0]

    def stop(seat: InProcessSeat, way: Way, batch: list[wire.Message]) -> None:
        seen[0] += sum(isinstance(message, wire.Sent) for message in batch)
        if seen[0] >= 4 and not run_dir.stop_requested(run):
            run_dir.request_stop(run, now=True)

    before = len(stage.provider.served)
    stage.provider.latency_s = 0.2
    try:
        assert on(InProcess(2, tap=stop), study, db, run).state == "stopped"
    finally:
        stage.provider.latency_s = 0.0
    assert on(InProcess(2), study, db, run).state == "finished"
    book = killer.account(run, stage.provider.served[before:])
    assert (book.lost, book.needless) == (0, 0) and book.asked_twice <= book.in_flight
    assert killer.findings(db) == stage.calm


def test_no_more_calls_are_at_once_than_without_actors(tmp_path: Path, stage: Stage) -> None:
    out = [0]

    def tap(seat: InProcessSeat, way: Way, batch: list[wire.Message]) -> None:
        for message in batch:
            out.append(out[-1] + isinstance(message, wire.Lease) - isinstance(message, wire.Sent))

    on(InProcess(4, tap=tap), load(stage.study), tmp_path / "r.duckdb")
    assert (min(out), max(out), out[-1]) == (0, PARALLEL, 0)


def test_one_draw_that_two_actors_want_is_bought_once(tmp_path: Path, stage: Stage) -> None:
    data = tmp_path / "twins.jsonl"
    # One text with two targets: two questions, and the same requests.
    data.write_text("\n".join(f'{{"question": "What is 2 + 3?", "answer": "{n}"}}' for n in (5, 6)), encoding="utf-8")
    study = parse(
        load(stage.study).text.replace("sums.jsonl", str(data)).replace(f"{stage.study.parent}/", ""), "twins"
    )
    for seed in (None, 1):
        before = len(stage.provider.served)
        db = tmp_path / f"{seed}.duckdb"
        ended = on(InProcess(2, tap=None if seed is None else ending(seed, 4, 3)), study, db)
        assert (ended.state, ended.done) == ("finished", 4)
        book = killer.account(killer.run_of(db), stage.provider.served[before:])
        assert book.served - book.asked_twice == 3 and book.asked_twice <= book.in_flight == ended.in_doubt.calls


def test_actors_hold_all_addresses_of_a_model_to_the_one_that_answered_first(tmp_path: Path) -> None:
    def said(name: str) -> Callable[[dict[str, Any], int], None]:
        return lambda reply, _: reply.update(model=name)

    with serving(bends=said("a"), latency_s=0.01) as one, serving(bends=said("b"), latency_s=0.01) as other:
        text = killer.STUDY.format(
            api_base=one.api_base,
            parallel=PARALLEL,
            data=killer.sums(tmp_path / "sums.jsonl", 8),
            ceiling=CEILING,
        )
        text = text.replace(f'"{one.api_base}"', f'["{one.api_base}", "{other.api_base}"]')
        known: list[tuple[str, str | None, str | None] | None] = []

        def tap(seat: InProcessSeat, way: Way, batch: list[wire.Message]) -> None:
            known.extend(message.known for message in batch if isinstance(message, wire.Lease))

        ended = on(InProcess(3, tap=tap), parse(text, "study"), tmp_path / "r.duckdb")
        served = sorted((len(one.served), len(other.served)))
    assert ended.state == "finished", ended.message
    with Store(tmp_path / "r.duckdb").reading() as connection:
        ((models, addresses),) = connection.execute(
            "select count(distinct model_reported), count(distinct answered_by) from completions"
        ).fetchall()
    assert (models, addresses) == (1, 1)
    # Whoever answered first is told with every call from then on, and nobody is told another.
    told = {each for each in known if each}
    assert known[-1] in told and len(told) == 1
    # Each actor finds out once, with what it has in flight at that moment.
    assert served[0] <= PARALLEL < served[1]


def test_an_adaptive_study_decides_the_same(tmp_path: Path) -> None:
    with adaptive_runs.models():
        study = parse(adaptive_runs.STUDY.replace("questions = 60", "questions = 30"), "which")
        alone, among = on(None, study, tmp_path / "a.duckdb"), on(InProcess(3), study, tmp_path / "b.duckdb")
    assert (alone.state, alone.done, alone.message) == (among.state, among.done, among.message)
    assert killer.findings(tmp_path / "a.duckdb") == killer.findings(tmp_path / "b.duckdb")


def test_a_judge_grades_what_actors_were_answered(tmp_path: Path, stage: Stage) -> None:
    text = load(stage.study).text
    table = text[text.index("tasks = [") : text.index("\n", text.index("tasks = ["))]
    path = table.split('"file:')[1].split('"')[0]
    judged = f'tasks = [{{name = "file:{path}", judge = "scripted/noise", rubric = "Is it right?"}}]'
    study = parse(text.replace(table, judged), "judged")
    for name, place in (("a", None), ("b", InProcess(2))):
        on(place, study, tmp_path / f"{name}.duckdb")
    assert killer.findings(tmp_path / "a.duckdb") == killer.findings(tmp_path / "b.duckdb")


def test_actors_that_die_at_once_again_and_again_end_the_run_with_a_sentence(tmp_path: Path, stage: Stage) -> None:
    db, place = tmp_path / "r.duckdb", InProcess(2, tap=ending(0, one_in=1, most=1000))
    ended = on(place, load(stage.study), db)
    assert ended.state == "failed" and ended.message
    assert ended.message.startswith(f"{HOPELESS} actors died before any trial ended, so the run gave up: ")
    assert on(InProcess(2), load(stage.study), db, killer.run_of(db)).state == "finished"
    assert killer.findings(db) == stage.calm


def test_an_actor_without_what_it_needs_says_what_that_is_before_anything_is_sent(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_A_TEST", "secret-of-a-test")
    text = load(stage.study).text.replace("parallel = 3", 'parallel = 3, api_key_env = "KEY_OF_A_TEST"')
    study, before = parse(text, "study"), len(stage.provider.served)
    planned = plan(study)
    # As on a machine that has no key.
    monkeypatch.delenv("KEY_OF_A_TEST")
    run = worker.prepare(study, tmp_path / "r.duckdb")
    with pytest.raises(RunError, match=r"^An actor on this process cannot work: .*KEY_OF_A_TEST"):
        worker.run(run, quiet, planned=planned, place=InProcess(2))
    assert len(stage.provider.served) == before and not run.journal.exists()


def test_an_actor_of_another_version_is_refused(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = worker.prepare(load(stage.study), tmp_path / "r.duckdb")
    monkeypatch.setattr("engine.runs.actors.actor.metadata", SimpleNamespace(version=lambda name: "0.0.9"))
    with pytest.raises(RunError, match=r"cannot work: Budgetscope 0\.0\.9 is installed there, and the run is of "):
        worker.run(run, quiet, planned=plan(load(stage.study)), place=InProcess(1))


def test_no_key_is_in_what_is_said_to_actors(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_A_TEST", "secret-of-a-test")
    text = load(stage.study).text.replace("parallel = 3", 'parallel = 3, api_key_env = "KEY_OF_A_TEST"')
    said: list[bytes] = []

    def tap(seat: InProcessSeat, way: Way, batch: list[wire.Message]) -> None:
        said.append(wire.encoded(batch))

    assert on(InProcess(2, tap=tap), parse(text, "study"), tmp_path / "r.duckdb").state == "finished"
    assert said and not any(b"secret-of-a-test" in each for each in said)


_ERRORS = st.builds(
    lambda made, sentence, wait, kind, usage, begun, free: _error(made, sentence, wait, kind, usage, begun, free),
    st.sampled_from([ProviderError, InDoubt, ContextOverflow, CeilingReached, RunStopped]),
    st.text(),
    st.none() | st.floats(0, 1e6),
    st.sampled_from([*faults.OUTCOMES, "error", "refused", "outage", "in_doubt"]),
    st.none() | st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6), st.none() | st.integers(0, 99)),
    st.booleans(),
    st.booleans(),
)


def _error(made: Any, sentence: str, wait: float | None, kind: str, usage: Usage | None, *flags: bool) -> Exception:
    error: Exception = made(sentence)
    if isinstance(error, ProviderError):
        error.kind, error.retry_after_s, error.usage = kind, wait, usage
        error.begun, error.not_charged = flags
    if isinstance(error, ContextOverflow):
        error.room_tokens, error.window_tokens = len(sentence), 4096
    return error


@given(error=_ERRORS)
@cases(60)
def test_an_error_crosses_with_all_that_decides_over_it(error: Exception) -> None:
    said = wire.decoded(wire.encoded([wire.Sent(1, failure=wire.failure(error))]), list[wire.FromActor])
    (message,) = said
    assert isinstance(message, wire.Sent) and message.failure
    again = wire.raised(message.failure)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert faults.charge(again) == faults.charge(error)


def test_an_error_that_is_none_of_ours_crosses_as_one_that_names_it() -> None:
    again = wire.raised(wire.failure(ZeroDivisionError("by zero")))
    assert type(again) is RuntimeError and str(again) == "ZeroDivisionError: by zero"
    assert faults.charge(again) == "worst case"


@given(text=st.text(alphabet=st.characters(exclude_categories=())))
@cases(60)
def test_a_reply_crosses_whatever_characters_it_has(text: str) -> None:
    reply = replace(completion("key", text), model_reported=text)
    said = wire.decoded(wire.encoded([wire.Bought(1, reply, True)]), list[wire.ToActor])
    assert said == [wire.Bought(1, reply, True)]


@pytest.mark.parametrize(
    "word", ["", "Ray", "rays", "ray:", "ray://", "ray://host", "ray://h:1/x", "http://h:1", "ray://a b:1"]
)
def test_a_place_nobody_knows_is_refused_with_the_two_there_are(word: str) -> None:
    with pytest.raises(UsageError, match=r"^--on takes ray, or the address of a cluster as ray://HOST:PORT, not '"):
        places.place(word)


def test_without_ray_the_command_says_what_brings_it(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    db = str(tmp_path / "r.duckdb")
    assert main(["run", str(stage.study), "--db", db, "--on", "ray"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        'budgetscope: Ray is not installed; `pip install "budgetscope[ray]"` brings it.'
    )
    assert main(["run", str(stage.study), "--db", db, "--actors", "2"]) == 2
    assert "--actors says how many actors --on has; add --on ray." in capsys.readouterr().err
    assert main(["run", str(stage.study), "--db", db, "--on", "ray", "--actors", "2000"]) == 2
    assert "--actors takes 1 to 1,024, not 2,000." in capsys.readouterr().err


def test_what_is_lost_with_an_actor_is_in_doubt_by_the_table_of_faults() -> None:
    assert faults.charge(ActorLost("gone")) == "worst case"
