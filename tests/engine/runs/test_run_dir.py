"""Runs on disk: whose folder is whose, what counts as a run, and a status file that holds anything at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.core.budget import Amount, Limits
from engine.core.errors import UnknownName
from engine.runs import run_dir
from engine.runs.run_dir import RunDir, Status

WHOLE = Status(
    "r1",
    "Größe",
    "finished",
    False,
    7,
    3,
    8,
    {"finished": 3},
    Amount(3, 40, 5),
    seconds_left=1.5,
    ceiling=Limits(calls=9),
    started_at=run_dir.now(),
    heartbeat_at=run_dir.now(),
    message="Done.",
)


def made(folder: Path, name: str = "r1", db: str = "results.duckdb") -> RunDir:
    """A run's directory with a study in it."""
    home = run_dir.folder(folder / db) / name
    home.mkdir(parents=True)
    (home / "study.toml").write_text("", encoding="utf-8")
    return RunDir(home, name, folder / db)


def body(**changed: Any) -> dict[str, Any]:
    """WHOLE as its file holds it, with changes."""
    return {
        "run_id": "r1",
        "name": "n",
        "state": "finished",
        "alive": False,
        "pid": 7,
        "done": 3,
        "total": 8,
        "ends": {"finished": 3},
        "spent": {"calls": 1, "tokens": 2, "pusd": 3},
        "seconds_left": None,
        "ceiling": {"calls": None, "tokens": 9, "pusd": None},
        "started_at": "2026-01-31T10:00:00+00:00",
        **changed,
    }


def put(run: RunDir, content: object) -> Status:
    """The status after the file holds this; text is put as it is."""
    text = content if isinstance(content, str) else json.dumps(content)
    (run.path / "status.json").write_text(text, encoding="utf-8")
    return run_dir.read(run)


def test_a_status_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    run = made(tmp_path)
    run_dir.write(run, WHOLE)
    assert run_dir.read(run) == WHOLE
    assert put(run, body()).spent == Amount(1, 2, 3)


RUBBISH: list[object] = [
    body(ends=None),
    body(ends={"finished": "x"}),
    body(done="x"),
    body(done=-1),
    body(done=True),
    body(total=10**400),
    body(name=7),
    body(state="fine"),
    body(spent={"calls": "1", "tokens": 2, "pusd": 3}),
    body(spent=None),
    body(ceiling={"calls": 1.5}),
    body(started_at="yesterday"),
    body(started_at="2026-01-31T10:00:00"),
    body(more=1),
    body(seconds_left=float("nan")),
    body(seconds_left=float("inf")),
    body(seconds_left="1"),
    body(message=[]),
    body(alive=None),
    [],
    None,
    7,
    "",
    "{",
    "[" * 100_000,
    json.dumps(body()).replace("null", "1e999", 1),
]


@pytest.mark.parametrize("content", RUBBISH, ids=lambda content: str(content)[-40:])
def test_a_status_file_full_of_rubbish_is_unreadable_and_hides_no_other_run(tmp_path: Path, content: object) -> None:
    run, good = made(tmp_path), made(tmp_path, "r2")
    run_dir.write(good, WHOLE)
    assert put(run, content).message == "Its status file is unreadable."
    found = run_dir.list_runs(run.db)
    assert [(each.run_id, each.state) for each in found] == [("r1", "dead"), ("r2", "finished")]
    json.dumps([each.seconds_left for each in found], allow_nan=False)


@given(
    key=st.sampled_from(sorted(body())),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    ),
)
def test_no_value_of_any_field_breaks_the_list(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    run = made(tmp_path_factory.mktemp("any"))
    assert put(run, body(**{key: value})).run_id == "r1"


def test_a_status_that_is_no_file_is_unreadable(tmp_path: Path) -> None:
    run, pipe = made(tmp_path), made(tmp_path, "r2")
    (run.path / "status.json").mkdir()
    os.mkfifo(pipe.path / "status.json")
    assert {each.message for each in run_dir.list_runs(run.db)} == {"Its status file is unreadable."}


NAMES = st.text("adbuck.-runs", min_size=1, max_size=8).filter(lambda name: set(name) != {"."})
ENDINGS = st.sampled_from(["", ".duckdb", ".db", ".runs", "-runs", ".duckdb.duckdb", ".db.duckdb", ".", "..duckdb"])


@given(one=st.builds(str.__add__, NAMES, ENDINGS), other=st.builds(str.__add__, NAMES, ENDINGS))
@example("x.db", "x.db.duckdb")
@example("r", "r..duckdb")
@example("r.db", "r.db-runs")
def test_two_databases_never_share_a_folder(one: str, other: str) -> None:
    assert (run_dir.folder(Path("d") / one) == run_dir.folder(Path("d") / other)) == (one == other)


def test_a_database_has_its_runs_beside_it() -> None:
    assert run_dir.folder(Path("d/results.duckdb")) == Path("d/results.runs")
    assert run_dir.folder(Path("d/results.local.duckdb")) == Path("d/results.local.runs")
    assert run_dir.folder(Path("d/stem.db")) == Path("d/stem.db-runs")


def test_a_worker_that_is_silent_for_long_is_alive_and_not_responding(tmp_path: Path) -> None:
    run = made(tmp_path)
    run_dir.write(
        run, replace(WHOLE, state="running", message=None, heartbeat_at=run_dir.now() - timedelta(seconds=31))
    )
    assert (run_dir.read(run).state, run_dir.read(run).message) == ("dead", None)
    with run_dir.held(run):
        now = run_dir.read(run)
        assert (now.state, now.alive, now.seconds_left) == ("running", True, None)
        assert now.message is not None and "Not responding since" in now.message
        run_dir.write(run, replace(now, message=None, seconds_left=4.0, heartbeat_at=run_dir.now()))
        assert (run_dir.read(run).message, run_dir.read(run).seconds_left) == (None, 4.0)


def test_a_run_that_ends_while_it_is_looked_at_has_ended_and_is_not_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path)
    run_dir.write(run, replace(WHOLE, state="running"))

    def ends(looked: RunDir) -> bool:
        run_dir.write(looked, WHOLE)
        return False

    monkeypatch.setattr(run_dir, "is_alive", ends)
    assert run_dir.read(run).state == "finished"


def test_a_folder_without_a_study_and_a_link_are_no_runs(tmp_path: Path) -> None:
    run = made(tmp_path)
    (run.path.parent / "zzz-my-notes").mkdir()
    (run.path.parent / "zzz-file").write_text("notes", encoding="utf-8")
    elsewhere = made(tmp_path / "elsewhere")
    (run.path.parent / "zzz-link").symlink_to(elsewhere.path)
    assert [each.run_id for each in run_dir.list_runs(run.db)] == ["r1"]
    assert run_dir.find(run.db, "last").run_id == "r1"
    for name in ("zzz-my-notes", "zzz-link", "zzz-file"):
        with pytest.raises(UnknownName):
            run_dir.find(run.db, name)


def test_a_link_to_a_database_has_the_runs_of_what_it_leads_to(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "r.duckdb", tmp_path / "elsewhere.duckdb"
    real.parent.mkdir()
    real.touch()
    link.symlink_to(real)
    assert run_dir.folder(link) == run_dir.folder(real)
