"""What a run was charged survives its journal: a damaged one is said, and no resume spends the ceiling again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.core.allowance import day_of
from engine.core.budget import Amount, Limits
from engine.core.errors import RunError
from engine.runs import allowance, journal, run_dir, worker
from engine.runs.account import account
from engine.runs.run_dir import RunDir, Status
from engine.store.store import Batch, Store
from tests.engine.runs.test_journal import attempt
from tests.engine.runs.test_worker import prepared, quiet, remote, study_text
from tests.support import killer
from tests.support.provider import Provider, serving

CEILING = 800


def _halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garbage(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 4 : 3 * len(whole) // 4] = b"\xff\x00 garbage" * (len(whole) // 20)
    path.write_bytes(whole)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "halved": _halved,
    "halved at a line": lambda path: path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:20])),
    "garbage in the middle": _garbage,
    "digits changed": lambda path: path.write_bytes(
        re.sub(rb'"charged_tokens":[0-9]+', b'"charged_tokens":1', path.read_bytes())
    ),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-40]),
}


def billed(provider: Provider) -> int:
    return sum(one.prompt_tokens + one.completion_tokens for one in provider.served)


def bounded(folder: Path, provider: Provider, more: str = f"tokens = {CEILING}") -> RunDir:
    return prepared(folder, study_text(folder, remote(provider), count=20, more=f"[ceiling]\nusd = 1.0\n{more}"))


def damaged(run: RunDir, kind: str) -> None:
    if run.journal.exists():
        DAMAGE[kind](run.journal)


class Ended(NamedTuple):
    """A run that came to its end, of which every damage gets a copy."""

    run: RunDir
    status: Status
    billed: int = 0
    """Tokens that its provider sold it."""

    def copied(self, folder: Path) -> RunDir:
        db = folder / self.run.db.name
        shutil.copyfile(self.run.db, db)
        shutil.copytree(run_dir.folder(self.run.db), run_dir.folder(db))
        return run_dir.find(db, self.run.run_id)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture(scope="module")
def at_ceiling(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    run, before = bounded(tmp_path_factory.mktemp("ceiling"), provider), billed(provider)
    return Ended(run, worker.run(run, quiet), billed(provider) - before)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("finished")
    run = prepared(folder, study_text(folder, '"scripted/adder"'))
    return Ended(run, worker.run(run, quiet))


@pytest.mark.parametrize("kind", DAMAGE)
def test_no_damage_to_the_journal_lets_a_resume_spend_the_ceiling_again(
    provider: Provider, at_ceiling: Ended, tmp_path: Path, kind: str
) -> None:
    run, ended, before = at_ceiling.copied(tmp_path), at_ceiling.status, billed(provider)
    charged = ended.spent + ended.in_doubt
    assert ended.state == "ceiling" and charged.tokens > CEILING // 2
    for _ in range(2):
        damaged(run, kind)
        again = worker.run(run, quiet)
        assert (again.spent + again.in_doubt).least(charged) == charged, "what was charged never falls"
        charged = again.spent + again.in_doubt
        assert at_ceiling.billed + billed(provider) - before <= min(charged.tokens, CEILING)
        assert Store(run.db).read_book().of_run(run.run_id)[0].charged == charged


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "torn"])
def test_a_damaged_journal_is_said_in_one_sentence_and_once(finished: Ended, tmp_path: Path, kind: str) -> None:
    run, whole = finished.copied(tmp_path), finished.status
    damaged(run, kind)
    said = worker.run(run, quiet)
    assert said.state == "finished" and said.message is not None and said.message.count(". ") == 0
    assert said.message.startswith("The run's journal is damaged (")
    assert (said.spent + said.in_doubt).least(whole.spent) == whole.spent
    assert worker.run(run, quiet).message is None, "what it lacked was noted again"
    history = journal.read(run.journal)
    assert history.spent + history.in_doubt == said.spent + said.in_doubt


@pytest.mark.parametrize("kind", ["deleted", "zeroed", "halved"])
def test_a_killed_run_whose_journal_is_damaged_stays_within_its_ceiling(tmp_path: Path, kind: str) -> None:
    with serving(latency_s=0.02, sends=20) as provider:
        run = bounded(tmp_path, provider, "tokens = 3000")
        child = killer.start(["--db", str(run.db), "resume", run.run_id], tmp_path / "out")
        killer.until(lambda: provider.held and run_dir.read(run).noted_bytes == run.journal_bytes)
        child.kill()
        killer.ended(child)
        provider.release()
        damaged(run, kind)
        ended = worker.run(run, quiet)
        assert ended.state == "ceiling" and ended.message is not None and "as in doubt" in ended.message
        assert billed(provider) <= 3_000 <= ended.spent.tokens + ended.in_doubt.tokens
        (lease,) = Store(run.db).read_book().of_run(run.run_id)
        assert lease.charged == ended.spent + ended.in_doubt


@pytest.mark.parametrize("kind", ["deleted", "halved", "garbage in the middle"])
def test_the_days_allowance_is_not_spent_again_either(tmp_path: Path, kind: str) -> None:
    with serving() as provider:
        run = bounded(tmp_path, provider, "")
        store = Store(run.db)
        store.set_allowance(Limits(tokens=CEILING))
        worker.run(run, quiet)
        before = Amount()
        for _ in range(2):
            damaged(run, kind)
            try:
                worker.run(run, quiet)
            except RunError as error:
                assert "Nothing is left of today's allowance" in str(error)
            (lease,) = allowance.settled(store).of_run(run.run_id)
            assert before.above(lease.charged) == Amount() and lease.day == day_of(run_dir.now())
            before = lease.charged
            assert billed(provider) <= min(lease.charged.tokens, CEILING)


def test_an_attempt_is_charged_the_larger_figure_of_journal_and_database(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    store = Store(run.db)
    store.create()
    cheap, dear = (attempt("both", outcome="ok", charged_tokens=n, charged_pusd=n) for n in (4, 9))
    store.flush(Batch(attempts=(dear, attempt("stored", outcome="ok", charged_tokens=5)), run_id=run.run_id))
    notes = journal.Journal(run.journal)
    notes.outcome(cheap, None)
    notes.outcome(attempt("noted"), None)
    notes.close()
    known = account(run)
    assert (known.spent, known.in_doubt) == (Amount(2, 14, 79), Amount(1, 10, 70))
    assert (known.missing, [one.attempt_id for one in known.lacking]) == (1, ["stored"])


def test_a_charge_below_zero_in_the_database_takes_nothing_away(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    ended = worker.run(run, quiet)
    with Store(run.db).writing() as connection:
        connection.execute("update attempts set charged_tokens = -1000000, charged_pusd = -5")
    run.journal.unlink()
    assert account(run).history.spent.tokens == 0 < account(run).in_doubt.tokens
    again = worker.run(run, quiet)
    assert again.spent.tokens + again.in_doubt.tokens == ended.spent.tokens
