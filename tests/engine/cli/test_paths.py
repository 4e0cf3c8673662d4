"""Names and places that the command line is given: each works, or is refused in one sentence with nothing touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.errors import UsageError
from engine.runs import run_dir, worker
from engine.runs.run_dir import RunDir
from engine.store.store import Store
from engine.study.plan import plan
from engine.study.schema import parse
from tests.support import stores

STUDY = """name = "s"
budgets = [64]
models = ["scripted/adder"]
tasks = [{ name = "gym:chain_sum", questions = 1 }]
strategies = ["direct"]
"""


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was printed on standard error."""
    lines = capsys.readouterr().err.splitlines()
    assert lines and "should not have happened" not in lines[-1], lines
    return lines[-1]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a#b%20c d'e;{f}ü", 'a"b', "md:a", "http:a", "-a", "a\nb"])
def test_a_database_of_an_odd_name_works(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(STUDY)
    db = f"{name}.duckdb"
    assert main(["run", "s.toml", f"--db={db}"]) == 0
    assert len(Store(db).runs()) == 1 and (tmp_path / db).is_file() and (tmp_path / f"{name}.runs").is_dir()
    assert main(["export", "--out", "out.csv", f"--db={db}"]) == 0


@pytest.mark.parametrize(
    "name",
    ["a?b.duckdb", "a?access_mode=READ_ONLY.duckdb", "a\\b.duckdb", "in?/a.duckdb", "a\udcff.duckdb", "a.duckdb.wal"],
)
@pytest.mark.parametrize(
    "verb", [["run", "s.toml"], ["runs"], ["report"], ["doctor"], ["allowance", "--tokens", "5"]], ids=str
)
def test_a_name_the_database_would_misread_is_refused_by_name(
    tmp_path: Path, name: str, verb: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(STUDY)
    (tmp_path / "in?").mkdir()
    assert main([*verb, "--db", name]) == 1
    assert "in its path, which the database cannot keep; choose another name" in said(capsys)
    assert content(tmp_path).keys() == {"s.toml"}


@pytest.mark.parametrize("length", [201, 250, 255, 256, 5_000])
def test_a_name_that_is_too_long_is_one_sentence(
    tmp_path: Path, length: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text(STUDY)
    for verb in (["run", str(tmp_path / "s.toml")], ["runs"], ["report"], ["doctor"]):
        assert main([*verb, "--db", str(tmp_path / ("x" * length))]) == 1
        assert "the most is 200" in said(capsys)
        assert main([*verb, "--db", str(tmp_path / ("x" * max(length, 256)) / "r.duckdb")]) == 1
        assert "too long" in said(capsys)
    assert content(tmp_path).keys() == {"s.toml"}


def test_the_longest_name_works(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(STUDY)
    assert main(["run", str(tmp_path / "s.toml"), "--db", str(tmp_path / ("x" * 200))]) == 0


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run of a database of its own."""
    db = tmp_path_factory.mktemp("ours") / "results.duckdb"
    run = worker.prepare(parse(STUDY, "s.toml"), db)
    worker.run(run, lambda _: None)
    (db.parent / "link.csv").symlink_to(db)
    (db.parent / "hard.csv").hardlink_to(db)
    (db.parent / "results.uploads").mkdir()
    (db.parent / "runs").symlink_to(run.path.parent)
    (db.parent / "s.toml").write_text(STUDY)
    (db.parent / "other").mkdir()
    stores.empty(db.parent / "other" / "kept.duckdb")
    other = worker.prepare(parse(STUDY, "s.toml"), db.parent / "other" / "kept.duckdb")
    (db.parent / "other" / "last").symlink_to(other.path)
    return run


PLACES = (
    *("results.duckdb", "results.duckdb.wal", "other/../results.duckdb", "link.csv", "hard.csv"),
    *(
        "results.runs/RUN/journal.jsonl",
        "results.runs/RUN/study.toml",
        "results.runs/RUN/new.csv",
        "results.runs/x.csv",
    ),
    *(
        "results.runs",
        "runs/RUN/lock",
        "results.uploads/x.csv",
        "other/kept.duckdb",
        "other/last/study.toml",
        "s.toml",
        "x\udcff.csv",
        "/dev/null",
    ),
)


@pytest.mark.parametrize("place", PLACES)
def test_no_export_replaces_a_file_of_ours(
    ours: RunDir, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ours.db.parent
    monkeypatch.chdir(folder)
    before = content(folder)
    place = place.replace("RUN", ours.run_id)
    for out in (place, str(folder / place)):
        for db in ("results.duckdb", "link.csv"):
            assert main(["export", "--out", out, "--db", db]) == 2
            assert out.replace("\udcff", " ") in said(capsys)
    assert content(folder) == before


def test_no_calibration_replaces_a_file_of_ours(ours: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(ours.db.parent)
    argv = ["calibrate", "--task", "gym:chain_sum", "--model", "scripted/adder", "--db", str(ours.db)]
    assert main([*argv, "--out", str(ours.journal)]) == 2
    assert "journal.jsonl" in said(capsys)
    assert content(ours.db.parent) == before


def test_an_export_beside_the_database_is_no_file_of_ours(ours: RunDir) -> None:
    assert main(["export", "--out", str(ours.db.parent / "trials.csv"), "--db", str(ours.db)]) == 0
    assert not run_dir.is_ours(ours.db, ours.db.parent / "trials.csv")
    os.unlink(ours.db.parent / "trials.csv")


MANY = "[" + ", ".join(str(n) for n in range(1, 200_001)) + "]"
LISTS = {
    "budgets": STUDY.replace("[64]", MANY),
    "models": STUDY.replace('["scripted/adder"]', str([f"scripted/{n}" for n in range(60_000)])),
    "strategies": STUDY.replace('["direct"]', str(["direct"] * 60_000)),
    "tasks": STUDY.replace('[{ name = "gym:chain_sum", questions = 1 }]', str([f"gym:{n}" for n in range(60_000)])),
    "samples": STUDY.replace('["direct"]', f'[{{ name = "self_consistency", samples = {MANY} }}]'),
    "lineups": STUDY + "\n".join(f'[[lineups]]\nname = "{n}"\nsolver = "a"\ndrafter = "b"' for n in range(20_000)),
    "examples": STUDY + '\n[[examples]]\nquestion = "q"\nanswer = "a"' * 30_000,
}


@pytest.mark.parametrize("key", LISTS)
def test_a_list_that_multiplies_is_refused_at_once(key: str) -> None:
    began = time.process_time()
    with pytest.raises(UsageError, match=f"^{key} in .* has [0-9,]+ entries and the most is 1,000; leave some out"):
        parse(LISTS[key], "s.toml")
    assert time.process_time() - began < 5


def test_lists_that_are_each_short_and_multiply_to_too_many_are_refused_before_they_are_planned() -> None:
    sweeps = [
        f'{{ name = "{name}", chain_tokens = {list(range(1, 602))} }}' for name in ("told_budget", "chain_of_thought")
    ]
    with pytest.raises(UsageError, match="more than 1,000 combinations"):
        parse(STUDY.replace('["direct"]', f"[{', '.join(sweeps)}]"), "s.toml")
    budgets, few = str(list(range(1, 1001))), sweeps[0].replace(str(list(range(1, 602))), str(list(range(1, 31))))
    wide = parse(STUDY.replace("[64]", budgets).replace('["direct"]', f"[{few}]"), "s.toml")
    began = time.process_time()
    with pytest.raises(UsageError, match="30,000 conditions .* at most 20,000"):
        plan(wide)
    assert time.process_time() - began < 3
