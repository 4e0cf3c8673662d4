"""What goes out: a study as a database that says the same elsewhere, long tables, Markdown, and records of others."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import engine
from engine.core.errors import StoreError
from engine.store.store import Store
from tests import ROOT
from tests.engine.cli.test_cli import Command, inside, sentence
from tests.support import stores

__all__ = ["inside"]

STRATEGIES = ("direct", "told_budget", "self_refine")
"""No votes: their draws would be read from texts that an anonymous copy does not have."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, three strategies, one of which runs once a budget."""
    return stores.studied(
        tmp_path_factory.mktemp("out") / "r.duckdb",
        questions=9,
        models=stores.PRICED,
        strategies=STRATEGIES,
        budgets=[32, 512],
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stores.two_studies(tmp_path_factory.mktemp("two") / "r.duckdb")


def same(path: Path, other: Path, study: str) -> None:
    """What two databases say of a study: all but labels, which depend on what else is there."""
    theirs, ours = (
        engine.open(each).frontier(study=study).drop("label").sort("condition_id", "axis", "budget")
        for each in (path, other)
    )
    assert ours.height and theirs.equals(ours)


@pytest.mark.parametrize("anonymous", [(), ("--anonymous",)], ids=["whole", "anonymous"])
def test_a_study_written_as_a_database_has_the_same_frontier_elsewhere(
    made: Path, tmp_path: Path, anonymous: tuple[str, ...], inside: Command
) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = inside(
        tmp_path, "export", "--db", str(made), "--format", "duckdb", "--out", "elsewhere/s.duckdb", *anonymous
    )
    assert done.code == 0, done
    same(made, tmp_path / "elsewhere" / "s.duckdb", "made")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["s.duckdb"]


@pytest.mark.parametrize("study", ["wide", "narrow"])
def test_one_study_of_several_goes_out_alone_with_what_another_paid_for(
    two: Path, tmp_path: Path, study: str, inside: Command
) -> None:
    done = inside(tmp_path, "export", "--db", str(two), "--format", "duckdb", "--study", study, "--out", "s.duckdb")
    assert done.code == 0, done
    same(two, tmp_path / "s.duckdb", study)
    assert engine.open(tmp_path / "s.duckdb").studies()["study"].unique().to_list() == [study]


def test_what_went_out_comes_in_elsewhere_with_the_same_frontier(made: Path, tmp_path: Path, inside: Command) -> None:
    inside(tmp_path, "export", "--db", str(made), "--format", "duckdb", "--out", "s.duckdb")
    done = inside(tmp_path, "import", "s.duckdb", "--db", "team.duckdb")
    assert done.code == 0, done
    same(made, tmp_path / "team.duckdb", "made")


def texts(path: Path) -> set[str]:
    """Every text a database holds, in any table."""
    found: set[str] = set()
    with Store(path).reading() as connection:
        columns = connection.execute(
            "select table_name, column_name from duckdb_columns() where data_type = 'VARCHAR' and not internal"
        ).fetchall()
        for table, column in columns:
            found |= {str(v) for (v,) in connection.execute(f'select distinct "{column}" from "{table}"').fetchall()}
    return found


def test_an_anonymous_copy_holds_no_prompt_answer_or_completion_not_even_in_its_bytes(
    made: Path, tmp_path: Path, inside: Command
) -> None:
    inside(tmp_path, "export", "--db", str(made), "--format", "duckdb", "--anonymous", "--out", "s.duckdb")
    kept, raw = texts(tmp_path / "s.duckdb"), (tmp_path / "s.duckdb").read_bytes()
    for secret in ("What is", "Answer:", "so so so", "sums.csv", str(made.parent)):
        assert any(secret in each for each in texts(made)), secret
        assert not any(secret in each for each in kept), secret
        assert secret.encode() not in raw, secret
    with Store(made).reading() as connection:
        answers = {
            a for (a,) in connection.execute("select distinct answer from marks where length(answer) > 1").fetchall()
        }
    assert answers and not answers & kept


def test_equal_texts_and_answers_stay_equal_in_an_anonymous_copy(made: Path, tmp_path: Path, inside: Command) -> None:
    inside(tmp_path, "export", "--db", str(made), "--format", "duckdb", "--anonymous", "--out", "s.duckdb")
    sql = (
        """select question_id, count(distinct answer), count(*) from trials group by question_id order by question_id"""
    )
    counts = []
    for path in (made, tmp_path / "s.duckdb"):
        with Store(path).reading() as connection:
            counts.append(connection.execute(sql).fetchall())
    assert counts[0] == counts[1]


def test_a_copy_serves_as_the_baseline_of_a_gate(made: Path, tmp_path: Path, inside: Command) -> None:
    inside(tmp_path, "export", "--db", str(made), "--format", "duckdb", "--anonymous", "--out", "base.duckdb")
    done = inside(
        tmp_path, "check", "made", "--db", str(made), "--no-worse-than", "base.duckdb", "--margin", "60", "--json"
    )
    rows = json.loads(done.out)
    assert rows and all(row["value"] == 0 and row["n"] == 9 for row in rows)


def test_a_copy_that_fails_leaves_nothing(made: Path, tmp_path: Path, inside: Command) -> None:
    (tmp_path / "s.duckdb").write_text("mine")
    told = sentence(inside(tmp_path, "export", "--db", str(made), "--format", "duckdb", "--out", "s.duckdb"))
    assert "there already" in told and (tmp_path / "s.duckdb").read_text() == "mine"


def read(path: Path) -> pl.DataFrame:
    """A table as R or pandas would read it."""
    if path.suffix == ".csv":
        return pl.read_csv(path)
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_a_long_table_has_a_row_for_each_answer_with_its_setting_and_score(
    made: Path, tmp_path: Path, form: str, inside: Command
) -> None:
    out = tmp_path / f"a.{form}"
    done = inside(tmp_path, "export", "--db", str(made), "--table", "answers", "--format", form, "--out", str(out))
    assert done.code == 0, done
    table, results = read(out), engine.open(made)
    assert table.height == len(results.conditions()) * 9 and table["trial_id"].is_unique().all()
    # At the largest budget the mean score of a setting's answers is its accuracy.
    means = table.group_by("condition_id").agg(pl.col("score").mean(), pl.col("output_tokens").mean())
    cells = results.cells(study="made").sort("budget").group_by("condition_id").last()
    both = means.join(cells, on="condition_id", suffix="_cell")
    assert both.height == means.height
    assert (both["score"] - both["accuracy"]).abs().max() < 1e-9  # type: ignore[operator]
    assert (both["output_tokens"] - both["output_tokens_cell"]).abs().max() < 1e-9  # type: ignore[operator]


def test_an_anonymous_long_table_has_scores_and_no_texts(made: Path, tmp_path: Path, inside: Command) -> None:
    done = inside(tmp_path, "export", "--db", str(made), "--table", "answers", "--anonymous", "--out", "a.csv")
    assert done.code == 0, done
    assert "What is" not in (tmp_path / "a.csv").read_text()
    assert {"score", "question_id"} <= set(read(tmp_path / "a.csv").columns)


def test_a_failed_trial_has_no_score_in_a_long_table(tmp_path: Path, inside: Command) -> None:
    stores.all_failed(tmp_path / "r.duckdb")
    done = inside(
        tmp_path, "export", "--db", "r.duckdb", "--table", "answers", "--format", "parquet", "--out", "a.parquet"
    )
    assert done.code == 0, done
    table = read(tmp_path / "a.parquet")
    assert table["end"].to_list() == ["failed"] * 3 and table["score"].null_count() == 3


def test_what_was_asked_for_and_never_begun_keeps_no_answer_from_a_long_table(
    made: Path, tmp_path: Path, inside: Command
) -> None:
    stopped = Path(shutil.copyfile(made, tmp_path / "stopped.duckdb"))
    with Store(stopped).writing() as connection:
        connection.execute(
            "insert into plans select distinct run_id, task, 'condition', 'c1-of-no-trial-yet' from plans"
        )
    rows = []
    for db in (made, stopped):
        done = inside(tmp_path, "export", "--table", "answers", "--db", str(db), "--out", "answers.csv")
        assert done.code == 0, done
        rows.append(read(tmp_path / "answers.csv").height)
    assert rows[0] == rows[1] > 0


def test_a_formula_in_a_long_table_is_defused_for_spreadsheets(made: Path, tmp_path: Path) -> None:
    frame = pl.DataFrame({"answer": ["=1+1", "-3.5", "@x", None], "n": [1, 2, 3, 4]})
    Store(made).export_frame(tmp_path / "a.csv", "csv", frame)
    assert (tmp_path / "a.csv").read_text().splitlines() == ["answer,n", "'=1+1,1", "-3.5,2", "'@x,3", ",4"]


def test_markdown_has_a_row_for_each_point_with_n_and_interval(made: Path, tmp_path: Path, inside: Command) -> None:
    done = inside(tmp_path, "export", "--db", str(made), "--out", "s.md")
    assert done.code == 0, done
    written = (tmp_path / "s.md").read_text()
    rows = [line for line in written.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + engine.open(made).cells(study="made").height and "simulated" in written
    assert len({row.count(" | ") for row in rows}) == 1


def test_the_commands_of_the_document_run_as_they_are_printed(made: Path, tmp_path: Path, inside: Command) -> None:
    commands = re.findall(r"`budgetscope (export [^`]*)`", (ROOT / "docs" / "export.md").read_text(encoding="utf-8"))
    assert len(commands) == 7
    for command in commands:
        done = inside(tmp_path, *shlex.split(command), "--db", str(made))
        assert done.code == 0, (command, done)
        assert (tmp_path / command.rsplit(" ", 1)[1]).exists()


REQUIRED = {
    "": {"schema_version", "evaluation_id", "model_id", "evaluation_name", "sample_id", "interaction_type", "input"},
    "input": {"raw", "reference"},
    "evaluation": {"score", "is_correct"},
    "token_usage": {"input_tokens", "output_tokens", "total_tokens"},
}
"""What schema 0.3.0 asks of a record, by part."""


@pytest.fixture(scope="module")
def records(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from engine.interop import records_out

    folder = tmp_path_factory.mktemp("records")
    done = records_out.write(Store(made), folder)
    assert done.records == len(engine.open(made).conditions()) * 9 and done.left_out == 0
    return folder


def read_records(folder: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each setting's file with its answers."""
    found = []
    for path in sorted(folder.glob("data/*/*/*/*.json")):
        lines = path.with_name(f"{path.stem}_samples.jsonl").read_text().splitlines()
        found.append((json.loads(path.read_text()), [json.loads(line) for line in lines]))
    return found


def test_every_record_has_what_the_schema_asks_for_and_points_to_its_setting(records: Path) -> None:
    found = read_records(records)
    assert len(found) == 8
    kinds = set()
    for whole, answers in found:
        details = whole["detailed_evaluation_results"]
        assert details["total_rows"] == len(answers) == 9
        samples = records / details["file_path"]
        assert hashlib.sha256(samples.read_bytes()).hexdigest() == details["checksum"]
        (result,) = whole["evaluation_results"]
        mean = sum(each["evaluation"]["score"] for each in answers) / len(answers)
        assert result["score_details"]["score"] == pytest.approx(mean)
        ends = result["score_details"]["uncertainty"]["confidence_interval"]
        assert ends["lower"] <= mean <= ends["upper"]
        for each in answers:
            assert all(keys <= (each[part] if part else each).keys() for part, keys in REQUIRED.items())
            assert each["evaluation_id"] == whole["evaluation_id"] and each["model_id"] == whole["model_info"]["id"]
            assert each["evaluation_result_id"] == result["evaluation_result_id"]
            # A single turn has its output and no messages, several have messages and no output.
            single = each["interaction_type"] == "single_turn"
            assert (each["output"] is not None, each["messages"] is None) == (single, single)
            kinds.add(single)
    assert kinds == {True, False}


def test_the_same_question_has_one_hash_whoever_answered_it(records: Path) -> None:
    hashes: dict[str, set[str]] = {}
    for _, answers in read_records(records):
        for each in answers:
            hashes.setdefault(each["sample_id"], set()).add(each["sample_hash"])
    assert len(hashes) == 9 and all(len(each) == 1 for each in hashes.values())


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    from engine.interop import records_out

    store, found = Store(stores.one_trial(tmp_path / "r.duckdb")), []
    for _ in range(2):
        records_out.write(store, tmp_path / "out")
        found.append(sorted(path.name for path in tmp_path.joinpath("out").rglob("*.json*")))
    assert found[0] == found[1] and len(found[0]) == 2


def test_records_come_in_elsewhere_with_the_same_scores(
    made: Path, records: Path, tmp_path: Path, inside: Command
) -> None:
    done = inside(tmp_path, "import", str(records / "data"), "--db", "team.duckdb", "--study", "back")
    assert done.code == 0, done
    theirs, ours = (
        engine.open(path).cells(study=study).sort("budget").group_by("condition_id").last()["accuracy"].sort().to_list()
        for path, study in ((made, "made"), (tmp_path / "team.duckdb", "back"))
    )
    assert theirs == pytest.approx(ours)


@pytest.mark.skipif(shutil.which("every_eval_ever") is None, reason="needs every-eval-ever, on Python 3.12, on PATH")
def test_the_records_pass_the_validator_of_the_format(records: Path) -> None:
    command = ["every_eval_ever", "validate", "--format", "json", "data/*/*/*/*.json*"]
    done = subprocess.run(command, cwd=records, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0, done.stdout
    assert len(json.loads(done.stdout)) == 16


@pytest.mark.parametrize("name", ["a/b c", "openai/gpt-4o", "con", "../../x", "nul.txt", "data", "é:?", ""])
def test_names_of_models_and_studies_are_folders_and_lead_nowhere_else(name: str) -> None:
    from engine.interop.records_out import _portable

    for part in name.split("/"):
        folder = _portable(part)
        assert folder and "/" not in folder and folder not in ("..", ".", "data")
        assert folder.split(".")[0].upper() not in {"CON", "NUL"} and not folder.endswith((".", " "))


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (["--format", "duckbd"], "duckdb"),
        (["--format", "duckdb", "--table", "trials"], "--table"),
        (["--format", "every-eval-ever", "--anonymous"], "duckdb"),
        (["--table", "trials", "--anonymous"], "--anonymous"),
        (["--table", "answer"], "answers"),
        (["--table", "answers", "--study", "mad"], "made"),
    ],
)
def test_bad_input_is_one_sentence(made: Path, tmp_path: Path, asked: list[str], word: str, inside: Command) -> None:
    assert word in sentence(inside(tmp_path, "export", "--db", str(made), *asked, "--out", "o"))
    assert not (tmp_path / "o").exists()


def test_several_studies_have_to_be_told_apart(two: Path, tmp_path: Path, inside: Command) -> None:
    told = sentence(inside(tmp_path, "export", "--db", str(two), "--format", "duckdb", "--out", "s.duckdb"))
    assert "--study" in told and "wide" in told


def test_an_export_that_stops_half_way_leaves_what_was_there(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.store import deltas
    from engine.store.extract import Part, extract

    monkeypatch.setattr(deltas, "fill", lambda connection: connection.execute("select no_such_thing"))
    results = engine.open(made)
    part = Part("made", tuple(results.conditions()["condition_id"]), tuple(results.questions()["question_id"]))
    with pytest.raises(StoreError):
        extract(Store(made), tmp_path / "s.duckdb", part)
    assert list(tmp_path.iterdir()) == []
