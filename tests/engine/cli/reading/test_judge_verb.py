"""`budgetscope judge`: a sample of judged answers, and how far the judge agrees with whoever scored it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import engine
from engine.analysis.agreement import agreement, sample
from engine.analysis.stats import Sample
from engine.cli import main
from engine.store.store import Store
from tests.engine.trial.test_judge import by_distance, grading, write
from tests.support.provider import serving


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    with serving() as provider:
        grading(provider, by_distance)
        assert engine.run(write(folder, provider), folder / "results.duckdb").state == "finished"
    return folder / "results.duckdb"


@pytest.fixture
def say(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)

    def act(*argv: str) -> tuple[int, str, str]:
        code = main(("--db", str(judged), "judge", *argv))
        done = capsys.readouterr()
        return code, done.out, done.err

    return act


def scored(path: Path, score) -> None:
    """Fill the sample in as a person would."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "score": score(at, row)} for at, row in enumerate(rows))


def test_a_sample_is_written_scored_and_compared(say, tmp_path: Path) -> None:
    code, out, _ = say("--write", "labels.csv", "--sample", "10")
    assert code == 0 and "10 answers of" in out
    assert "labels.csv is there already" in say("--write", "labels.csv")[2]
    assert "Nothing to compare: 10 rows without a score." in say("labels.csv")[1]
    scored(tmp_path / "labels.csv", lambda at, row: by_distance(row["target"], row["answer"].lstrip("'")).split()[-1])
    code, out, _ = say("labels.csv")
    assert code == 0 and "judge and person say the same (right, partly right, wrong) of 100.0% (61.4–100.0)" in out
    scored(tmp_path / "labels.csv", lambda at, row: "1" if at else "")
    told = json.loads(say("labels.csv", "--json")[1])
    assert told["n"] == 9 and told["without_score"] == 1
    assert told["same_low"] <= told["same"] <= told["same_high"] and told["above"] <= 0


def test_what_is_wrong_with_labels_is_one_sentence_with_its_row(say, tmp_path: Path) -> None:
    say("--write", "labels.csv", "--sample", "3")
    for bad, sentence in (("2", "Row 1 of 'labels.csv' has the score '2'"), ("good", "a number from 0 to 1")):
        scored(tmp_path / "labels.csv", lambda at, row, bad=bad: bad)
        code, _, err = say("labels.csv")
        assert code == 2 and sentence in err and err.count("\n") == 1
    (tmp_path / "other.csv").write_text("id,score\nnone,1\n")
    assert "Row 1 of 'other.csv' has the id 'none', which is no answer that was judged here" in say("other.csv")[2]
    assert "Say --write LABELS.csv" in say()[2]
    assert "Unknown judged task" in say("other.csv", "--task", "gym:chain_sum")[2]


def test_a_sample_is_of_the_answers_that_a_study_asked_for(say, tmp_path: Path) -> None:
    of = say("--write", "all.csv", "--sample", "3")[1].partition(" stand in ")[0]
    assert of in say("--write", "graded.csv", "--sample", "3", "--study", "graded")[1]
    code, _, err = say("--write", "other.csv", "--study", "grade")
    assert code == 2 and "did you mean 'graded'" in err and not (tmp_path / "other.csv").exists()


def test_where_nothing_was_judged_it_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Store(tmp_path / "new.duckdb").create()
    assert main(("--db", "new.duckdb", "judge", "--write", "labels.csv")) == 2
    assert "No answer here was judged" in capsys.readouterr().err


def test_the_interval_of_an_agreement_holds_the_truth() -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(200):
        questions = rng.integers(0, 40, 60)
        agrees = rng.random(60) < 0.8
        person = rng.integers(0, 2, 60).astype(float)
        ids = [f"a{at}" for at in range(60)]
        frame = pl.DataFrame(
            {
                "id": ids,
                "question_id": [f"q{n}" for n in questions],
                "score": np.where(agrees, person, 1 - person),
            }
        )
        found = agreement(frame, dict(zip(ids, person.tolist(), strict=True)), Sample(300, 0))
        assert found.same.low is not None and found.same.high is not None
        held += found.same.low <= 0.8 <= found.same.high
    assert held / 200 >= 0.91
    assert sample(frame, 10).height == 10 and sample(frame, 10).equals(sample(frame, 10))
