"""Texts go for good, and nothing else: counts, scores, spends, votes and ids stay, and nobody is answered by a note."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.cli import main
from engine.cli.archives import part_of
from engine.core import answers
from engine.core.answers import removed
from engine.core.errors import RunError
from engine.runs import archiving, run_dir, worker
from engine.runs.retention import remove_texts
from engine.runs.run_dir import Status
from engine.store import forgetting
from engine.store.store import Store
from engine.study.schema import parse
from tests.support import stores

DAY = date(2026, 11, 29)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return stores.small(tmp_path / "results.duckdb", questions=4)


def _texts(path: Path) -> list[str]:
    with Store(path).reading() as connection:
        return [text for (text,) in connection.execute("select text from completions order by key").fetchall()]


def test_every_number_stays_when_the_texts_go(db: Path) -> None:
    def seen() -> list[object]:
        results = engine.open(db)
        # Votes are counted from stored replies, so these are the numbers that texts could take with them.
        return [results.cells(study="made").to_dicts(), results.frontier(study="made").to_dicts()]

    before, said = seen(), _texts(db)
    done = remove_texts(Store(db), part_of(db, "made"), None)
    assert done.forgotten.replies == len(said) and done.journals == 1
    assert seen() == before
    assert all(removed.is_note(text) for text in _texts(db))
    # Not in the file, its log or a journal either; short replies may stand there as answers.
    files = [db, *run_dir.folder(db).glob("*/journal.jsonl")]
    assert not [text for text in said if len(text) > 40 for file in files if text.encode() in file.read_bytes()]


def test_what_replayed_is_bought_again_and_said(db: Path, tmp_path: Path) -> None:
    study = 'name="later"\nbudgets=[600]\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\nstrategies=["direct"]'

    def again(samples: int) -> Status:
        text = study.replace('"direct"', f'{{name="self_consistency", samples={samples}}}')
        return worker.run(worker.prepare(parse(text, "s.toml", tmp_path), db), lambda _: None)

    # The study before drew more of the same, so this costs nothing.
    assert not again(3).spent.calls
    remove_texts(Store(db), None, datetime.now(UTC))
    bought = again(4)
    assert bought.spent.calls == 4 * 4
    assert "16 replies were bought again, as their texts were removed" in (bought.message or "")


def test_only_what_is_old_goes_and_a_second_time_there_is_nothing(db: Path) -> None:
    now = datetime.now(UTC)
    assert remove_texts(Store(db), None, now - timedelta(days=1)).forgotten.replies == 0
    assert remove_texts(Store(db), None, now + timedelta(days=1)).forgotten.replies == len(_texts(db))
    once = _texts(db)
    assert remove_texts(Store(db), None, now + timedelta(days=1)).forgotten.replies == 0
    assert _texts(db) == once


def test_what_runs_is_never_touched(db: Path) -> None:
    (run,) = archiving.runs_of(Store(db), "made")
    before = _texts(db)
    with run_dir.held(run):
        with pytest.raises(RunError, match="is running"):
            remove_texts(Store(db), part_of(db, "made"), None)
        done = remove_texts(Store(db), None, datetime.now(UTC) + timedelta(days=1))
    assert done.forgotten.replies == 0 and done.forgotten.running == len(before)
    assert _texts(db) == before


def test_what_another_study_reads_too_stays(tmp_path: Path) -> None:
    db = stores.two_studies(tmp_path / "results.duckdb")
    done = remove_texts(Store(db), part_of(db, "narrow"), None)
    assert done.forgotten.shared and done.forgotten.replies
    kept = [text for text in _texts(db) if not removed.is_note(text)]
    remove_texts(Store(db), part_of(db, "wide"), None)
    assert len(kept) > len([text for text in _texts(db) if not removed.is_note(text)])


def test_looks_into_thoughts_say_that_there_is_none_left(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", "--db", str(db), "made"]) == 2
    assert "add --yes" in capsys.readouterr().err
    assert main(["forget", "--db", str(db), "made", "--yes"]) == 0
    results = engine.open(db)
    chains = results.chains(results.conditions()["condition_id"][0])
    assert chains and all(chain.hidden for chain in chains)
    assert main(["forget", "--db", str(db)]) == 2


def test_a_transcript_says_when_its_texts_went(db: Path) -> None:
    remove_texts(Store(db), part_of(db, "made"), None)
    with Store(db).reading() as connection:
        ((trial,),) = connection.execute("select trial_id from calls order by all limit 1").fetchall()
    (row, *_) = engine.open(db).transcript(trial).to_dicts()
    today = datetime.now(UTC).date().isoformat()
    assert f"texts were removed on {today}" in row["reply"] and f"texts were removed on {today}" in row["messages"]


@given(st.one_of(st.none(), st.text()))
def test_a_note_gives_back_the_answer_it_keeps(answer: str | None) -> None:
    note = removed.note(DAY, answer)
    assert removed.is_note(note)
    for kind in ("number", "text", "choice", "expression"):
        assert answers.extract(note, kind) == answer


@given(st.text())
def test_no_other_text_is_taken_for_a_note(text: str) -> None:
    assert not removed.is_note(text) and removed.kept(text) is None


def test_looking_changes_nothing(db: Path) -> None:
    before = _texts(db)
    found = forgetting.forget(Store(db), DAY, part=part_of(db, "made"), before=None, alive=(), look=True)
    assert found.replies == len(before) and _texts(db) == before
