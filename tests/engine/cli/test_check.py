"""`budgetscope check` as a pipeline meets it: an exit code, sentences, a JUnit file, a summary, a smoke test."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.analysis.gate import Judged
from engine.cli import check
from tests import ROOT
from tests.engine.cli.test_cli import Command, inside, sentence

__all__ = ["inside"]

STUDY = """
name = "sums"
budgets = [16, 64]
models = ["scripted/{model}"]
tasks = ["file:sums.csv"]
strategies = ["direct"]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study that was run with a good model, and with a bad one."""
    from engine.runs import worker
    from engine.study.schema import load

    folder = tmp_path_factory.mktemp("gate")
    rows = "\n".join(f"What is {a} + {a * 7} ?,{a * 8}" for a in range(1, 101))
    (folder / "sums.csv").write_text(f"question,answer\n{rows}\n")
    for file, model in (("study", "sure-adder"), ("bad", "adder")):
        (folder / f"{file}.toml").write_text(STUDY.format(model=model))
        final = worker.run(worker.prepare(load(folder / f"{file}.toml"), folder / f"{file}.duckdb"), lambda _: None)
        assert final.state == "finished"
    shutil.copy(folder / "study.duckdb", folder / "baseline.duckdb")
    return folder


GATE = ("--max-tokens", "300", "--min-accuracy", "60%", "--no-worse-than", "baseline.duckdb", "--margin", "3")


def test_a_study_that_keeps_its_demands_leaves_with_0(made: Path, inside: Command) -> None:
    done = inside(made, "check", "sums", "--db", "study.duckdb", *GATE)
    assert done.code == 0, done
    assert [line.split()[0] for line in done.out.splitlines()[:3]] == ["pass"] * 3
    assert "simulated" in done.out and "The gate passes" in done.out


def test_a_study_that_got_worse_leaves_with_1_and_writes_what_failed(
    made: Path, tmp_path: Path, inside: Command
) -> None:
    junit, summary = tmp_path / "gate.xml", tmp_path / "summary.md"
    summary.write_text("# Before\n")
    done = inside(
        made, "check", "bad.toml", "--db", "bad.duckdb", *GATE, "--junit", str(junit), "--markdown", str(summary)
    )
    assert done.code == 1, done
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    failed = [case for case in suite if case.find("failure") is not None]
    assert [case.get("name", "").partition(":")[0] for case in failed] == ["accuracy", "no_worse"]
    assert failed[0].get("classname") == "file:sums"
    written = summary.read_text()
    assert written.startswith("# Before\n## Budgetscope check") and "| fail |" in written


@pytest.mark.parametrize(("counts", "code"), [((), 3), (("--undecided", "pass"), 0), (("--undecided", "fail"), 1)])
def test_what_is_undecided_leaves_with_3_or_counts_as_was_said(
    made: Path, tmp_path: Path, counts: tuple[str, ...], code: int, inside: Command
) -> None:
    junit = tmp_path / "gate.xml"
    asked = ("--min-accuracy", "36%", "--junit", str(junit), *counts)
    done = inside(made, "check", "sums", "--db", "bad.duckdb", *asked)
    assert done.code == code, done
    assert re.search(r"about [\d,]+ more questions would decide it", done.out)
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("failures"), suite.get("skipped")) == {3: ("0", "1"), 0: ("0", "0"), 1: ("1", "0")}[code]


def test_an_unknown_price_is_undecided_and_never_free(made: Path, inside: Command) -> None:
    done = inside(made, "check", "sums", "--db", "study.duckdb", "--max-cost", "1")
    assert done.code == 3 and "the price is unknown" in done.out


def test_json_has_every_number(made: Path, inside: Command) -> None:
    done = inside(made, "check", "sums", "--db", "study.duckdb", *GATE, "--json")
    rows = json.loads(done.out)
    assert {row["demand"] for row in rows} == {"output_tokens", "accuracy", "no_worse"}
    assert all(row["low"] <= row["value"] <= row["high"] and row["n"] == 100 for row in rows)


def test_a_smoke_test_asks_a_script_for_any_model_and_leaves_nothing_behind(made: Path, inside: Command) -> None:
    text = STUDY.format(model="adder").replace("scripted/adder", "openai/gpt-4o-mini")
    (made / "paid.toml").write_text(text)
    before = sorted(made.iterdir())
    done = inside(made, "check", "paid.toml", "--smoke")
    assert done.code == 0, done
    assert "5 of 5 questions are scored; simulated" in done.out and "from end to end" in done.out
    assert sorted(made.iterdir()) == before


def test_a_smoke_test_of_a_broken_study_says_what_is_wrong(made: Path, tmp_path: Path, inside: Command) -> None:
    (tmp_path / "broken.toml").write_text(STUDY.format(model="adder").replace("sums.csv", "gone.csv"))
    assert "gone.csv" in sentence(inside(tmp_path, "check", "broken.toml", "--smoke"))


def test_a_line_up_is_played_by_a_script_for_each_of_its_models(tmp_path: Path) -> None:
    from engine.study.schema import parse

    text = """
name = "two"
budgets = [256]
tasks = ["file:sums.csv"]
strategies = ["cascade"]
models = [{name = "openai/gpt-4o-mini", temperature = 0.5}, "openai/gpt-4o"]
lineups = [{name = "both", solver = "openai/gpt-4o-mini", strong = "openai/gpt-4o"}]
"""
    (tmp_path / "sums.csv").write_text("question,answer\n1 + 1,2\n")
    played = parse(check.scripted(parse(text, "two.toml", tmp_path)), "two.toml")
    assert [model.name for model in played.models] == ["scripted/sure-adder", "scripted/adder"]
    assert dict(played.lineups[0].roles) == {"solver": "scripted/sure-adder", "strong": "scripted/adder"}


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (["sums"], "Demand something"),
        (["summs", "--max-tokens", "3"], "sums"),
        (["sums", "--max-tokens", "3", "--margin", "2"], "--no-worse-than"),
        (["sums", "--no-worse-than", "gone.duckdb"], "gone.duckdb"),
        (["sums", "--max-tokens", "3", "--undecided", "pas"], "pass"),
        (["sums", "--max-tokens", "3", "--x", "tokens"], "total_tokens"),
        (["sums", "--max-tokens", "3", "--model", "scripted/sure-ader"], "scripted/sure-adder"),
        (["sums", "--min-accuracy", "60", "--junit", "x.xml"], "60"),
        (["sums", "--max-tokens", "3", "--junit", "study.duckdb"], "choose another name"),
    ],
)
def test_bad_input_is_one_sentence(made: Path, asked: list[str], word: str, inside: Command) -> None:
    assert word in sentence(inside(made, "check", *asked, "--db", "study.duckdb"))


def test_names_of_others_are_no_markup_in_the_files() -> None:
    hostile = "a | b](http://x) <script>\x1b[31m\x00`"
    judged = [Judged("accuracy", hostile, hostile, "k", "fail", 0.5, 10, 0.4, 0.2, 0.6)]
    (case,) = ElementTree.fromstring(check.as_junit(judged).encode())[0]
    assert "<script>" in case.get("name", "") and "\x1b" not in case.get("name", "")
    (row,) = [line for line in check.as_markdown(judged, 1).splitlines() if line.startswith("| fail")]
    assert "<script>" not in row and not re.search(r"(?<!\\)\]\(", row) and len(re.findall(r"(?<!\\)\|", row)) == 5


def printed(file: str, start: str) -> list[list[str]]:
    """The commands of a document's block after a line, as printed."""
    text = (ROOT / file).read_text(encoding="utf-8").partition(start)[2]
    block = re.search(r"```\w*\n(.*?)```", text, re.S)
    assert block is not None
    commands = re.findall(r"^\s*(?:- run: )?(budgetscope .*)$", block[1], re.M)
    return [shlex.split(command)[1:] for command in commands]


@pytest.mark.parametrize(("file", "start"), [("README.md", "### In CI"), ("docs/ci.md", "## A workflow")])
def test_the_commands_of_the_recipe_run_as_they_are_printed(
    made: Path, tmp_path: Path, file: str, start: str, inside: Command
) -> None:
    for name in ("study.toml", "sums.csv", "baseline.duckdb"):
        shutil.copy(made / name, tmp_path / name)
    commands = printed(file, start)
    assert len(commands) == 3
    for argv in commands:
        done = inside(tmp_path, *argv)
        assert done.code == 0, (argv, done)


def test_money_is_held_to_the_prices_that_are_asked_for(made: Path, inside: Command) -> None:
    gate = ("check", "sums", "--db", "study.duckdb", "--max-cost", "0.001")
    assert "unknown" in inside(made, *gate).out, "a script has no price"
    cheap = inside(made, *gate, "--prices", "scripted/sure-adder=0.01/0.01")
    dear = inside(made, *gate, "--prices", "scripted/sure-adder=100/100")
    assert (cheap.code, dear.code) == (0, 1), (cheap, dear)
    assert "mean spend of at most $0.001; measured $" in dear.out and "$100" in dear.out.splitlines()[1]
    assert inside(made, *gate, "--prices", "nobody=1/1").code == 2
    assert inside(made, "check", "sums", "--db", "study.duckdb", "--min-accuracy", "1%", "--prices", "today").code == 2
