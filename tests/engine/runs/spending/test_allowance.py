"""The day's allowance in the life of runs: at once, killed, over midnight, refused, and as the command line shows it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.cli import doctor, main
from engine.cli.show import line
from engine.core.allowance import Book, Lease, day_of
from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import RunError
from engine.runs import allowance, journal, run_dir, worker
from engine.runs.dispatcher import Gate
from engine.runs.process import Heartbeat
from engine.runs.run_dir import RunDir, Status
from engine.store.store import Store
from engine.study.schema import parse
from tests.engine.runs.test_worker import prepared, quiet, remote, study_text
from tests.support import killer
from tests.support.provider import Provider, serving

NIGHT = datetime(2031, 5, 4, 23, 59, 59, tzinfo=UTC)
Show = Callable[..., dict[str, object]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Show:
    """What `allowance --json` says."""

    def show(db: Path, *argv: str) -> dict[str, object]:
        capsys.readouterr()
        assert main(["--db", str(db), "allowance", "--json", *argv]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return show


def allowing(db: Path, **limits: int) -> Store:
    store = Store(db)
    store.set_allowance(Limits(**limits))
    return store


def charged(run: RunDir) -> Amount:
    history = journal.read(run.journal)
    return history.spent + history.in_doubt


def leases(db: Path) -> list[Lease]:
    book = Store(db).read_book()
    return [lease for run in run_dir.list_runs(db) for lease in book.of_run(run.run_id)]


def studies(folder: Path, count: int, more: str) -> list[Path]:
    """Studies that share no question, each long enough for its ceiling."""
    found = []
    for at in range(count):
        home = folder / f"study{at}"
        home.mkdir()
        text = study_text(home, '"scripted/adder"', count=60, more=more)
        rows = [{"question": f"What is {n} + {n + 3 + at}?", "answer": "1"} for n in range(60)]
        (home / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (home / "study.toml").write_text(text)
        found.append(home / "study.toml")
    return found


def test_four_processes_at_once_spend_no_more_than_the_day_allows(tmp_path: Path) -> None:
    db = tmp_path / "results.duckdb"
    store = allowing(db, tokens=8_000)
    files = studies(tmp_path, 4, "[ceiling]\ntokens = 3000")
    told = [path.with_suffix(".txt") for path in files]
    started = [killer.start(["--db", str(db), "run", str(path)], out) for path, out in zip(files, told, strict=True)]
    codes = [killer.ended(child) for child in started]
    said = [out.read_text() for out in told]
    assert set(codes) <= {1, 3} and codes.count(3) >= 2, said
    assert all("Nothing is left of today's allowance" in e for e, code in zip(said, codes, strict=True) if code == 1)
    directories = [run_dir.find(db, each.run_id) for each in run_dir.list_runs(db)]
    assert len(directories) == 4
    spent = {run.run_id: charged(run) for run in directories}
    book = store.read_book()
    assert 5_000 < sum(amount.tokens for amount in spent.values()) <= 8_000
    assert not book.held
    for run_id, amount in spent.items():
        assert sum((lease.charged for lease in book.of_run(run_id)), Amount()) == amount


def test_what_a_killed_run_held_is_settled_from_its_journal(tmp_path: Path, shown: Show) -> None:
    with serving(latency_s=0.02) as provider:
        text = study_text(tmp_path, remote(provider), more="[ceiling]\nusd = 1.0\ntokens = 4000")
        run = prepared(tmp_path, text)
        store = allowing(run.db, tokens=5_000)
        child = killer.start(["--db", str(run.db), "resume", run.run_id], tmp_path / "out")
        killer.until(lambda: provider.good >= 8)
        provider.held = True
        killer.until(lambda: bool(provider.waiting))
        alive = store.read_book()
        assert [lease.lent.tokens for lease in alive.held] == [4_000]
        assert allowance.settled(store).held, "a living run is not settled by others"
        child.kill()
        killer.ended(child)
        assert store.read_book().held
        now = shown(run.db)
        history = journal.read(run.journal)
        assert history.in_doubt.calls > 0
        assert now["spent"] == vars_of(history.spent) and now["in_doubt"] == vars_of(history.in_doubt)
        assert now["held"] == vars_of(Amount()) and now["holders"] == []
        assert now["free"] == {"calls": None, "tokens": 5_000 - charged(run).tokens, "pusd": None}
        provider.release()
        before = charged(run).tokens
        ended = worker.run(run, quiet)
        assert ended.lease is not None and ended.lease.tokens == 4_000 - before
    (lease,) = leases(run.db)
    assert not lease.held and lease.charged == charged(run) and lease.charged.tokens <= 4_000


def vars_of(amount: Amount) -> dict[str, int]:
    return {"calls": amount.calls, "tokens": amount.tokens, "pusd": amount.pusd}


def over_midnight(provider: Provider) -> allowance.Clock:
    """Midnight comes once some calls were answered."""
    return lambda: NIGHT if provider.good < 6 else NIGHT + timedelta(seconds=2)


def test_a_run_that_lives_past_midnight_is_charged_to_both_days(tmp_path: Path) -> None:
    with serving(latency_s=0.1) as provider:
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=20, more="[ceiling]\nusd = 1.0"))
        allowing(run.db, tokens=20_000)
        ended = worker.run(run, quiet, clock=over_midnight(provider))
    assert ended.state == "finished"
    first, second = sorted(leases(run.db), key=lambda lease: lease.day)
    assert (first.day, second.day) == ("2031-05-04", "2031-05-05")
    assert not first.held and not second.held
    assert first.charged.calls >= 6 and second.charged.calls > 0
    assert first.charged + second.charged == charged(run)
    assert ended.lease is not None and ended.lease.tokens == 20_000


def test_a_lease_is_returned_with_a_heartbeat_while_others_hold_the_database_and_none_is_taken_after(
    tmp_path: Path,
) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    store = allowing(run.db, tokens=900)
    late = [False]
    tenant = allowance.RunAllowance(run, lambda: NIGHT + timedelta(seconds=2) if late[0] else NIGHT)
    gate = Gate(Ceiling(Limits()))
    gate.ceiling.lend(tenant.take(gate.ceiling))
    beats = []

    def beat() -> None:
        late[0] = True
        tenant.watch(gate)
        beats.append(run_dir.now())
        if len(beats) == 2:
            others.close()

    with ExitStack() as others:
        others.enter_context(killer.held_open(run.db))
        asyncio.run(Heartbeat(run, beat, lambda wish: None).attend(tenant.give_back(gate.ceiling)))
    assert len(beats) >= 2
    assert [(lease.day, lease.held) for lease in store.read_book().of_run(run.run_id)] == [("2031-05-04", False)]


def test_a_run_to_which_the_new_day_has_nothing_to_lend_ends_and_says_so(tmp_path: Path) -> None:
    with serving(latency_s=0.1) as provider:
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=20, more="[ceiling]\nusd = 1.0"))
        store = allowing(run.db, tokens=20_000)
        with store.book() as book:
            book.remember("somebody", "2031-05-05", Amount(9, 20_000, 0), Amount(), NIGHT)
        ended = worker.run(run, quiet, clock=over_midnight(provider))
    assert ended.state == "ceiling" and ended.message is not None
    assert "20,000 tokens spent" in ended.message and "2031-05-06 00:00 UTC" in ended.message
    assert [(lease.day, lease.held) for lease in leases(run.db)] == [("2031-05-04", False)]


@pytest.mark.parametrize("others", [False, True])
def test_a_lowered_allowance_reaches_a_running_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    monkeypatch.setattr(allowance, "LOOK_S", 0.0)
    with serving(sends=12) as provider:
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=40, more="[ceiling]\nusd = 1.0"))
        store = allowing(run.db, tokens=40_000)
        seen: list[tuple[Amount, Amount, Limits | None]] = []

        def watch(now: Status) -> None:
            if now.state != "running" or not provider.waiting:
                return
            (lease,) = leases(run.db)
            if lease.held and lease.charged == now.spent + now.in_doubt:
                seen.append((lease.charged, now.reserved, now.lease))
            if len(seen) == 1 and store.read_book().allowance.tokens == 40_000:
                if others:
                    with store.book() as book:
                        book.remember("other", lease.day, Amount(1, 900), Amount(), run_dir.now())
                store.set_allowance(Limits(tokens=1_500))
            if len(seen) > 1 and now.lease is not None and now.lease.tokens != 40_000:
                provider.release()

        ended = worker.run(run, watch)
    spent, flying, _ = seen[0]
    assert spent.calls == 12, "what is spent shows while it is spent"
    most = max(1_500 - 900 * others, (spent + flying).tokens)
    assert ended.state == "ceiling" and spent.tokens <= ended.spent.tokens <= most
    assert ended.message is not None and "allowance" in ended.message
    assert [(lease.held, lease.charged) for lease in leases(run.db)] == [(False, ended.spent)]


def test_a_raised_allowance_lets_a_running_run_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "LOOK_S", 0.0)
    with serving(sends=6) as provider:
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=6, more="[ceiling]\nusd = 1.0"))
        store = allowing(run.db, tokens=1_200)

        def watch(now: Status) -> None:
            store.set_allowance(Limits(tokens=100_000))
            if now.lease is not None and now.lease.tokens == 100_000:
                provider.release()

        ended = worker.run(run, watch)
    assert ended.state == "finished" and ended.spent.tokens > 1_200


def test_a_run_looks_at_the_allowance_every_two_seconds(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    store, seconds = allowing(run.db, tokens=900), [0.0]
    tenant = allowance.RunAllowance(run, steady=lambda: seconds[0])
    gate = Gate(Ceiling(Limits()))
    gate.ceiling.lend(tenant.take(gate.ceiling))
    store.set_allowance(Limits(tokens=500))

    async def after(now: float) -> int | None:
        seconds[0] = now
        tenant.watch(gate)
        if tenant._dealing is not None:
            await tenant._dealing
        return gate.ceiling.free.tokens

    async def looks() -> list[int | None]:
        return [await after(now) for now in (1.9, 2.0, 3.0)]

    assert asyncio.run(looks()) == [900, 500, 500]


def test_what_is_reserved_while_a_lease_is_made_smaller_is_within_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    store, look = allowing(run.db, tokens=900), Book.look
    monkeypatch.setattr(allowance, "LOOK_S", 0.0)
    tenant = allowance.RunAllowance(run)
    gate = Gate(Ceiling(Limits()))
    gate.ceiling.lend(tenant.take(gate.ceiling))
    store.set_allowance(Limits(tokens=500))

    def reserving(book: Book, *what: Any) -> Lease | None:
        # The run goes on in another thread while the book is looked at.
        lease = look(book, *what)
        gate.ceiling.try_reserve(Amount(1, 400))
        return lease

    async def looked() -> None:
        tenant.watch(gate)
        assert tenant._dealing is not None
        await tenant._dealing

    gate.ceiling.try_reserve(Amount(1, 300))
    monkeypatch.setattr(Book, "look", reserving)
    asyncio.run(looked())
    (lease,) = leases(run.db)
    assert gate.ceiling.reserved.tokens == lease.lent.tokens == 700 and not gate.ceiling.paused


def test_a_run_stopped_by_the_days_allowance_says_it_was_that(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"', count=40))
    allowing(run.db, tokens=500)
    ended = worker.run(run, quiet)
    assert ended.state == "ceiling" and ended.message is not None and "allowance" in ended.message
    assert ended.lease == Limits(None, 500, None)
    assert ended.spent.tokens <= 500 and ended.free.tokens == 500 - ended.spent.tokens
    with pytest.raises(RunError, match="Nothing is left|leaves no room"):
        if worker.run(run, quiet).state == "ceiling":
            raise RunError("leaves no room")
    allowing(run.db)
    assert worker.run(run, quiet).state == "finished"


def test_a_run_is_refused_in_one_sentence_while_another_holds_the_day(tmp_path: Path) -> None:
    holder, late = (prepared(tmp_path, study_text(tmp_path, '"scripted/adder"')) for _ in range(2))
    store = allowing(holder.db, tokens=900)
    holder.journal.touch()
    with run_dir.held(holder):
        with store.book() as book:
            assert book.lend(holder.run_id, Limits(), run_dir.now()) is not None
        with pytest.raises(RunError, match=f"900 tokens held by run {holder.run_id}"):
            worker.run(late, quiet)
        assert run_dir.read(late).state == "failed" and not journal.read(late.journal).attempts
    assert worker.run(late, quiet).state in ("finished", "ceiling")
    assert not store.read_book().held


def test_a_run_that_nobody_bills_takes_no_money_of_the_day(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    store = allowing(run.db, pusd=10)
    with store.book() as book:
        book.remember("rich", day_of(run_dir.now()), Amount(1, 5, 10), Amount(), run_dir.now())
    assert worker.run(run, quiet).state == "finished"


def test_a_run_that_fails_returns_its_lease(tmp_path: Path) -> None:
    with serving() as rude:
        run = prepared(tmp_path, study_text(tmp_path, remote(rude), count=40, more="[ceiling]\nusd = 1.0"))
        rows = [{"question": f"[[fault:401]] {n}", "answer": "1"} for n in range(40)]
        (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
        store = allowing(run.db, tokens=9_000)
        assert worker.run(run, quiet).state == "failed"
    assert not store.read_book().held and leases(run.db)[0].charged == Amount()


def test_what_was_spent_before_leases_were_kept_counts_on_its_own_day(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    worker.run(run, quiet)
    spent = charged(run)
    run.db.unlink()
    allowing(run.db, tokens=10**6)
    worker.run(run, quiet)
    assert [lease.charged for lease in leases(run.db)] == [spent]


def test_the_allowance_is_set_shown_changed_and_taken_away(tmp_path: Path, shown: Show) -> None:
    db = tmp_path / "results.duckdb"
    assert shown(db)["allowed"] == {"calls": None, "tokens": None, "pusd": None} and not db.exists()
    assert shown(db, "--usd", "2.5", "--tokens", "1000")["allowed"] == {
        "calls": None,
        "tokens": 1000,
        "pusd": 25 * 10**11,
    }
    assert shown(db, "--calls", "7")["allowed"] == {"calls": 7, "tokens": 1000, "pusd": 25 * 10**11}
    assert shown(db)["free"] == {"calls": 7, "tokens": 1000, "pusd": 25 * 10**11}
    assert shown(db, "--none")["free"] == {"calls": None, "tokens": None, "pusd": None}


def test_the_table_names_money_tokens_calls_and_who_holds_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    store = allowing(run.db, tokens=900, pusd=10**12)
    with run_dir.held(run):
        with store.book() as book:
            book.lend(run.run_id, Limits(tokens=600), run_dir.now())
        assert main(["--db", str(run.db), "allowance"]) == 0
    said = capsys.readouterr().out
    for part in ("900", "600", "300", "$1.00", "no limit", f"run {run.run_id} was lent"):
        assert part in said
    assert main(["--db", str(run.db), "allowance", "--none", "--usd", "1"]) == 2


def test_a_demo_is_never_written(tmp_path: Path, shown: Show) -> None:
    demo = tmp_path / "demo.duckdb"
    Store(demo).set_allowance(Limits(tokens=5))
    Store(demo).set_demo(True)
    before = hashlib.sha256(demo.read_bytes()).hexdigest()
    assert shown(demo)["allowed"] == {"calls": None, "tokens": 5, "pusd": None}
    assert shown(demo, "--tokens", "77")["allowed"] == {"calls": None, "tokens": 77, "pusd": None}
    assert hashlib.sha256(demo.read_bytes()).hexdigest() == before
    assert Store(tmp_path / "demo.local.duckdb").read_book().allowance == Limits(tokens=77)


def holding(tmp_path: Path, *, ended: bool) -> tuple[RunDir, Amount]:
    """A run with stored attempts whose lease, which has no limit, is still held, and what it was charged."""
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    worker.run(run, quiet)
    with Store(run.db).writing() as connection:
        connection.execute("delete from leases")
        connection.execute("update runs set finished_at = null" if not ended else "select 1")
    with Store(run.db).book() as book:
        book.lend(run.run_id, Limits(), run_dir.now())
    return run, charged(run)


def test_a_dead_run_whose_journal_is_gone_is_charged_what_the_database_holds(tmp_path: Path, shown: Show) -> None:
    run, spent = holding(tmp_path, ended=False)
    run.journal.unlink()
    now = shown(run.db)
    assert spent.calls and now["in_doubt"] == vars_of(spent) and now["holders"] == []


@pytest.mark.parametrize("lost", ["folder", "lock"])
@pytest.mark.parametrize("ended", [True, False])
def test_a_missing_lock_proves_a_run_dead_only_if_it_stored_its_end(
    tmp_path: Path, shown: Show, lost: str, ended: bool
) -> None:
    run, spent = holding(tmp_path, ended=ended)
    if lost == "lock":
        (run.path / "lock").unlink()
    else:
        shutil.rmtree(run.path)
    now, holders = shown(run.db), [] if ended else [run.run_id]
    assert [each["run_id"] for each in now["holders"]] == holders  # type: ignore[attr-defined]
    if ended:
        total = [now["spent"][kind] + now["in_doubt"][kind] for kind in ("calls", "tokens")]  # type: ignore[index]
        assert total == [spent.calls, spent.tokens]
    elif lost == "folder":
        assert any("may still be running" in found.says for found in doctor.findings(run.db))


def test_deleting_a_dead_run_keeps_what_it_was_charged(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    store = allowing(run.db, tokens=10**6)
    worker.run(run, quiet)
    spent = charged(run)
    assert spent.calls and main(["--db", str(run.db), "delete", run.run_id, "--yes"]) == 0
    assert [lease.charged for lease in store.read_book().of_run(run.run_id)] == [spent]


def test_a_study_needs_no_allowance(tmp_path: Path) -> None:
    run = worker.prepare(parse(study_text(tmp_path, '"scripted/adder"'), "test"), tmp_path / "r.duckdb")
    ended = worker.run(run, quiet)
    assert ended.state == "finished" and ended.lease is not None and ended.free == ended.ceiling.left(ended.spent)


def test_the_progress_line_says_what_is_in_doubt_and_free() -> None:
    now = Status(
        "r",
        "s",
        "running",
        True,
        1,
        5,
        9,
        spent=Amount(3, 40),
        reserved=Amount(1, 9),
        in_doubt=Amount(1, 13),
        ceiling=Limits(tokens=900),
        lease=Limits(tokens=500),
        free=Limits(tokens=438),
    )
    for part in ("reserved 9 tokens", "in doubt 13 tokens", "free 438 tokens", "ceiling 900 tokens"):
        assert part in line(now)


def test_an_allowance_too_small_to_count_allows_nothing_rather_than_everything(tmp_path: Path) -> None:
    from engine.cli import main
    from engine.store.store import Store

    db = tmp_path / "r.duckdb"
    assert main(["allowance", "--usd", "1e-13", "--db", str(db)]) == 0
    assert Store(db).read_book().allowance.pusd == 0


def test_a_resume_that_the_day_refuses_keeps_the_last_known_figures(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"', count=40))
    allowing(run.db, tokens=500)
    first = worker.run(run, quiet)
    assert 0 < first.done < first.total == 80
    allowing(run.db, tokens=1)
    with pytest.raises(RunError, match="Nothing is left"):
        worker.run(run, quiet)
    now = run_dir.read(run)
    assert (now.state, now.done, now.total, now.ends) == ("failed", first.done, 80, first.ends)
    assert now.spent == first.spent


def test_a_run_that_costs_nothing_by_its_declared_price_needs_no_ceiling_and_no_money_of_the_day(
    tmp_path: Path,
) -> None:
    with serving() as provider:
        model = f'{{name = "m", api_base = "{provider.api_base}", prices = {{input = 0, output = 0}}}}'
        run = prepared(tmp_path, study_text(tmp_path, model))
        store = allowing(run.db, pusd=10)
        with store.book() as book:
            book.remember("rich", day_of(run_dir.now()), Amount(1, 5, 10), Amount(), run_dir.now())
        ended = worker.run(run, quiet)
    assert ended.state == "finished" and ended.spent.pusd == 0 and ended.spent.tokens > 0
