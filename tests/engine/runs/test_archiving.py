"""A study leaves the database for a folder of Parquet files, is read there as it was, and comes back."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

import engine
from engine.cli import main
from engine.cli.archives import part_of
from engine.core.errors import NewerDatabase, RunError, StoreError, UsageError
from engine.runs import archiving, run_dir
from engine.runs.archiving import archive_study, restore_study
from engine.store import archive, parquet
from engine.store.database import Database
from engine.store.identity import fingerprint
from engine.store.store import Store
from tests.support import stores

Rows = dict[str, list[tuple[object, ...]]]
KEPT = ("trials", "calls", "marks", "completions", "prompts", "attempts", "runs", "plans", "questions", "conditions")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return stores.two_studies(tmp_path / "results.duckdb")


def _rows(path: Path, tables: tuple[str, ...] = KEPT) -> Rows:
    with Store(path).reading() as connection:
        return {table: sorted(connection.execute(f"select * from {table}").fetchall(), key=repr) for table in tables}


def _cells(path: Path, study: str) -> list[dict[str, object]]:
    return engine.open(path).frontier(study=study).sort("condition_id", "budget").to_dicts()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, list[dict[str, object]]]:
    """What each `db` holds, and what its narrow study says, before anything is done to it."""
    path = stores.two_studies(tmp_path_factory.mktemp("calm") / "results.duckdb")
    return _rows(path), _cells(path, "narrow")


def test_an_archived_study_says_in_place_what_it_said_in_the_database(
    db: Path, calm: tuple[Rows, list[dict[str, object]]]
) -> None:
    other = _cells(db, "wide")
    done = archive_study(Store(db), part_of(db, "narrow"))
    assert _cells(done.folder, "narrow") == calm[1]
    assert _cells(db, "wide") == other
    assert engine.open(db).studies()["study"].unique().to_list() == ["wide"]
    (note,) = [each for each in engine.open(done.folder).notes(study="narrow") if "archived" in each]
    assert "restore" in note
    assert done.after_bytes <= done.before_bytes


def test_the_terminal_says_what_was_archived_and_where_it_lies(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = archive_study(Store(db), part_of(db, "narrow"))
    folder = done.folder
    assert main(["runs", "--db", str(db)]) == 0
    assert f"narrow, {done.manifest.trials} trials; `--db {folder}` reads it in place." in capsys.readouterr().out
    assert main(["report", "--db", str(db)]) == 0
    assert "narrow was archived on" in capsys.readouterr().out
    assert main(["report", "--db", str(db), "--study", "narrow"]) == 2
    assert f"`--db {folder}` reads it in place, and" in capsys.readouterr().err
    assert main(["report", "--db", str(db), "--study", "wide"]) == 0
    assert "archived" not in capsys.readouterr().out


def test_what_comes_back_is_what_left(db: Path, calm: tuple[Rows, list[dict[str, object]]]) -> None:
    before, cells = calm
    ids = [each.run_id for each in run_dir.list_runs(db)]
    done = archive_study(Store(db), part_of(db, "narrow"))
    assert len(run_dir.list_runs(db)) == 1 and len(run_dir.list_runs(done.folder)) == 1
    restore_study(Store(db), done.folder)
    assert _rows(db) == before and _cells(db, "narrow") == cells
    assert [each.run_id for each in run_dir.list_runs(db)] == ids
    assert not done.folder.exists()


def test_every_verb_that_reads_takes_an_archive_and_every_one_that_writes_says_why_not(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(archive_study(Store(db), part_of(db, "narrow")).folder)
    reads: list[list[str]] = [
        ["report"], ["runs"], ["bill"], ["advise", "--next-point"],
        ["export", "--table", "trials", "--format", "parquet", "--out", str(tmp_path / "t.parquet")],
        ["export", "--table", "answers", "--out", str(tmp_path / "a.csv")],
        ["export", "--format", "duckdb", "--out", str(tmp_path / "s.duckdb")],
    ]  # fmt: skip
    for words in reads:
        assert main([*words, "--db", folder]) == 0, capsys.readouterr().err
    assert _cells(tmp_path / "s.duckdb", "narrow") == _cells(Path(folder), "narrow")
    capsys.readouterr()
    for words in (["allowance", "--tokens", "5"], ["forget", "narrow", "--yes"], ["archive"]):
        assert main([*words, "--db", folder]) == 1
        assert "archive" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["moved", "removed", "written", "rewritten"])
def test_killed_between_two_steps_nothing_is_lost_and_a_second_archive_ends_it(
    db: Path, calm: tuple[Rows, list[dict[str, object]]], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    places: dict[str, tuple[object, str]] = {
        "written": (parquet, "write"),
        "moved": (archiving, "_move"),
        "removed": (archive, "remove"),
        "rewritten": (Database, "rewrite"),
    }
    before, cells = calm
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(*places[step], kill)
        archive_study(Store(db), part_of(db, "narrow"))
    folder = archive.folder_of(db, "narrow")
    if step != "rewritten":
        assert _rows(db) == before
        archive_study(Store(db), part_of(db, "narrow"))
    assert _cells(folder, "narrow") == cells
    # Killed before anything was taken out, the second archive is a first one, which comes back elsewhere.
    if step in ("removed", "rewritten"):
        restore_study(Store(db), folder)
        assert _rows(db) == before


def test_a_second_study_of_the_name_does_not_write_over_the_first_ones_archive(db: Path) -> None:
    kept = db.with_name("again.duckdb")
    shutil.copyfile(db, kept)
    folder = archive_study(Store(db), part_of(db, "narrow")).folder
    before = parquet.manifest(folder)
    # Another of that name, whose answers the archive lacks.
    with Store(kept).writing() as connection:
        connection.execute("update trials set attempt = attempt + 7")
        for table in ("calls", "marks", "mark_spends", "trial_spends", "facts"):
            connection.execute(f"update {table} set attempt = attempt + 7")
    shutil.copyfile(kept, db)
    with pytest.raises(StoreError, match="bring it back first"):
        archive_study(Store(db), part_of(db, "narrow"))
    assert parquet.manifest(folder) == before


def test_a_running_study_is_not_archived(db: Path) -> None:
    run = archiving.runs_of(Store(db), "narrow")[0]
    before = _rows(db)
    with run_dir.held(run), pytest.raises(RunError, match="is running"):
        archive_study(Store(db), part_of(db, "narrow"))
    assert _rows(db) == before and not archive.folder_of(db, "narrow").exists()


def _shorter(folder: Path) -> None:
    path = folder / "trials.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def _foreign(folder: Path) -> None:
    shutil.copyfile(folder / "marks.parquet", folder / "trials.parquet")


def _foreign_of_its_size(folder: Path) -> None:
    path, other = folder / "trials.parquet", (folder / "marks.parquet").read_bytes()
    said = json.loads((folder / parquet.MANIFEST).read_text())
    path.write_bytes(other)
    said["files"]["trials"]["bytes"] = len(other)
    (folder / parquet.MANIFEST).write_text(json.dumps(said))


def _zeroes(folder: Path) -> None:
    path = folder / "trials.parquet"
    path.write_bytes(bytes(path.stat().st_size))


def _no_json(folder: Path) -> None:
    (folder / parquet.MANIFEST).write_text("{")


def _of_lists(folder: Path) -> None:
    (folder / parquet.MANIFEST).write_text('{"files": [[[1]]]}')


def _of_another_folder(folder: Path) -> None:
    said = json.loads((folder / parquet.MANIFEST).read_text())
    said["files"]["../../secret"] = said["files"].pop("trials")
    (folder / parquet.MANIFEST).write_text(json.dumps(said))


def _missing(folder: Path) -> None:
    (folder / "calls.parquet").unlink()


def _a_link(folder: Path) -> None:
    path = folder / "trials.parquet"
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


BREAKS: list[Callable[[Path], None]] = [
    *(_shorter, _foreign, _foreign_of_its_size, _zeroes),
    *(_no_json, _of_lists, _of_another_folder, _missing, _a_link),
]


def test_a_damaged_or_foreign_archive_is_one_sentence_and_nothing_of_it_comes_back(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = archive_study(Store(db), part_of(db, "narrow")).folder
    before = _rows(db)
    for breaks in BREAKS:
        folder = Path(shutil.copytree(whole, tmp_path / f"broken{breaks.__name__}"))
        breaks(folder)
        for words in (["report", "--db", str(folder)], ["restore", str(folder), "--db", str(db)]):
            assert main(words) in (1, 2), (breaks.__name__, words)
            said = capsys.readouterr().err
            assert said.count("\n") == 1 and "archive" in said and "Traceback" not in said, (breaks.__name__, said)
    assert _rows(db) == before


def test_bytes_that_changed_anywhere_are_found_before_anything_comes_back(db: Path) -> None:
    folder = archive_study(Store(db), part_of(db, "narrow")).folder
    chance = random.Random(5)
    for _ in range(8):
        path = chance.choice(sorted(folder.glob("*.parquet")))
        whole = path.read_bytes()
        at = chance.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :])
        before = fingerprint(db)
        with pytest.raises(StoreError, match=path.name):
            restore_study(Store(db), folder)
        assert fingerprint(db) == before
        path.write_bytes(whole)
    restore_study(Store(db), folder)


def _edited(folder: Path, table: str, select: str) -> None:
    """Another hand's file in an archive, which says it is the one that was archived."""
    path, made = folder / f"{table}.parquet", folder / "made"
    with duckdb.connect() as connection:
        connection.execute(f"copy ({select.format(table=repr(str(path)))}) to '{made}' (format parquet)")
        kinds = connection.execute(f"describe from read_parquet('{made}')").fetchall()
        ((rows,),) = connection.execute(f"select count(*) from read_parquet('{made}')").fetchall()
    made.replace(path)
    said = json.loads((folder / parquet.MANIFEST).read_text())
    hashed = hashlib.sha256(path.read_bytes()).hexdigest()
    columns = [kind[:2] for kind in kinds]
    said["files"][table] |= {"rows": rows, "bytes": path.stat().st_size, "sha256": hashed, "columns": columns}
    (folder / parquet.MANIFEST).write_text(json.dumps(said))


def test_what_no_row_of_ours_holds_does_not_come_back_however_whole_the_archive_says_it_is(
    db: Path, tmp_path: Path
) -> None:
    whole = archive_study(Store(db), part_of(db, "narrow")).folder
    before = _rows(db)
    edits = [
        (
            "trials",
            "select * replace ('maybe' as verdict) from {table}",
            UsageError,
            "none of our words under 'verdict'",
        ),
        ("calls", "select * replace (-7::bigint as output_tokens) from {table}", UsageError, "no count under"),
        ("attempts", "select * replace (-7::bigint as charged_tokens) from {table}", UsageError, "no count under"),
        ("marks", "select * replace ('5' as after_calls) from {table}", UsageError, "it has it as VARCHAR"),
        ("questions", "from {table} limit 0", UsageError, "is not whole"),
        ("migrations", "select * replace (number + 1 as number) from {table}", NewerDatabase, "upgrade it with"),
    ]
    for table, select, error, says in edits:
        folder = Path(shutil.copytree(whole, tmp_path / table))
        _edited(folder, table, select)
        with pytest.raises(error, match=says):
            restore_study(Store(db), folder)
        assert _rows(db) == before and folder.exists(), table


def test_what_was_answered_anew_meanwhile_is_mixed_with_nothing_and_the_archive_stays(
    db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archived = db.with_name("other.duckdb")
    shutil.copyfile(db, archived)
    folder = archive_study(Store(archived), part_of(archived, "narrow")).folder
    # As another run left it: one answer of another verdict with one call fewer, and one that came less far.
    with Store(db).writing() as connection:
        ((anew, _), (shorter, _)) = connection.execute(
            "select trial_id, count(*) n from calls join trials using (trial_id, attempt) join runs using (run_id) "
            "where study like '%\"narrow\"%' group by all order by n desc, trial_id limit 2"
        ).fetchall()
        connection.execute(
            "update trials set verdict = if(verdict = 'right', 'wrong', 'right'), score = 1 - score where trial_id = ?",
            [anew],
        )
        connection.execute("update trials set budget = budget // 2, answer = 'x' where trial_id = ?", [shorter])
        for table in ("calls", "marks"):
            connection.execute(f"delete from {table} where trial_id = ? and ordinal > 0", [anew])
    before = _rows(db)
    assert main(["restore", str(folder), "--db", str(db)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 trial brought back" in said and "others instead of 1 answer or reply" in said and folder.exists()
    after = _rows(db)
    for table in ("trials", "calls", "marks"):
        mine = [[row for row in rows[table] if row[0] == anew] for rows in (before, after)]
        assert mine[0] == mine[1], table
    # The one that came further is the next attempt here.
    with Store(db).reading() as connection:
        sql = "select attempt, answer = 'x' from trials where trial_id = ? order by attempt"
        assert connection.execute(sql, [shorter]).fetchall() == [(1, True), (2, False)]
        sql = "select attempt from calls where trial_id = ? group by all order by all"
        assert connection.execute(sql, [shorter]).fetchall() == [(1,), (2,)]
