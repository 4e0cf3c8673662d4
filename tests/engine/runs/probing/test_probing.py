"""Looks into stored thoughts: what they cost, what they leave, and that nothing of it depends on the order of arrival."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

import engine
from engine.analysis.thinking.overthinking import glance
from engine.analysis.thinking.thoughts import of
from engine.cli import main
from engine.core.answers import READER_VERSION, removed
from engine.core.budget import Amount, Limits
from engine.core.thoughts import Cut, grid, places
from engine.models import open_model
from engine.runs import probing, run_dir
from engine.runs.probing import Probed, Probing
from engine.store.extract import Part, extract
from engine.store.merging import merge
from engine.store.store import Store
from tests.support.stores import made_once, studied


@made_once
def chained(path: Path) -> Path:
    return studied(path, questions=8, models='"scripted/adder"', strategies=["chain_of_thought"], budgets=[512])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return chained(tmp_path / "r.duckdb")


@made_once
def looked_into(path: Path) -> Path:
    looked(chained(path))
    return path


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """The same, with a look into every thought."""
    return looked_into(tmp_path / "r.duckdb")


def condition(db: Path) -> str:
    return str(engine.open(db).conditions()["condition_id"][0])


def planned(db: Path) -> Probing:
    chains = engine.open(db).chains(condition(db))
    return asyncio.run(probing.plan(open_model("scripted/adder", {}), chains, Store(db)))


def purchases(db: Path) -> int:
    with duckdb.connect(db, read_only=True) as connection:
        ((count,),) = connection.execute("select count(*) from attempts").fetchall()
    return int(count)


def aged(db: Path, where: str = "", reader: int | None = None) -> None:
    """Looks as an older version would have left them; no reader: one that kept none."""
    with duckdb.connect(db) as connection:
        misread = "answer = 'misread', verdict = 'wrong', score = 0"
        connection.execute(f"update probes set reader = ?, {misread} {where}", [reader])


def looked(db: Path, ceiling: Limits | None = None, width: int = 8) -> tuple[Probing, Probed]:
    plan = planned(db)
    limits = Limits(plan.worst.calls, plan.worst.tokens) if ceiling is None else ceiling
    return plan, asyncio.run(probing.probe(plan, Store(db), limits, width=width))


def test_the_last_point_of_the_curve_is_the_accuracy_of_the_thoughts_themselves(seen: Path) -> None:
    results = engine.open(seen)
    found = of(results, condition(seen))
    (cell,) = results.cells(budgets=[512]).to_dicts()
    assert found.source == "probes" and len(found.thoughts) == 8
    assert found.curve["accuracy"][-1] == pytest.approx(cell["accuracy"])
    text = of(results, condition(seen), source="text")
    assert text.source == "text" and text.curve["accuracy"][-1] == pytest.approx(cell["accuracy"])


def test_looks_are_the_same_at_width_one_and_eight(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy.duckdb"
    Store(made).copy_to(other)
    _, one = looked(made, width=1)
    _, eight = looked(other, width=8)
    plain = [
        [replace(p, run_id=None, key=p.key and p.key.partition("@")[0]) for p in each.probes] for each in (one, eight)
    ]
    assert plain[0] and plain[0] == plain[1]


def test_what_looks_spend_stays_under_what_was_said_and_they_replay_for_nothing(made: Path) -> None:
    plan, first = looked(made)
    assert 0 < first.spent.tokens <= plan.worst.tokens and first.spent.calls <= plan.worst.calls
    again, second = looked(made)
    assert again.worst == Amount() and second.spent == Amount() and second.replayed == plan.looks
    assert [p.answer for p in second.probes] == [p.answer for p in first.probes]


def test_a_ceiling_that_is_too_low_is_never_passed_and_thoughts_are_stored_whole_or_not_at_all(made: Path) -> None:
    plan = planned(made)
    limit = plan.worst.tokens // 3
    _, probed = looked(made, Limits(tokens=limit))
    assert probed.reached and probed.unfinished and probed.spent.tokens <= limit
    stored = Store(made).probes({p.chain.key for p in plan.planned})
    ends = {p.chain_key for p in stored if p.key is None}
    assert {p.chain_key for p in stored} == ends


def test_a_look_is_in_no_spend_of_the_setting(made: Path) -> None:
    before = engine.open(made).cells(budgets=[512]).to_dicts()
    looked(made)
    assert engine.open(made).cells(budgets=[512]).to_dicts() == before


def test_deleting_another_run_keeps_the_looks_and_deleting_their_own_takes_them(seen: Path) -> None:
    store = Store(seen)
    keys = {chain.key for chain in engine.open(seen).chains(condition(seen))}
    store.delete_run("no-such-run")
    assert store.probes(keys) and planned(seen).worst == Amount()
    store.delete_run(run_dir.list_runs(seen)[0].run_id)
    assert not store.probes(keys)


def test_looks_of_an_older_version_are_kept_apart_and_read_again_for_nothing(seen: Path) -> None:
    store, keys, bought = (
        Store(seen),
        {chain.key for chain in engine.open(seen).chains(condition(seen))},
        purchases(seen),
    )
    stored = store.probes(keys)
    assert {probe.reader for probe in stored} == {READER_VERSION}
    before, glanced = of(engine.open(seen), condition(seen)), glance(engine.open(seen), condition(seen))
    verb = ["--db", str(seen), "probe"]
    ways = {
        "of all": lambda: main([*verb, "--read-again"]),
        "of one": lambda: main([*verb, "--read-again", "chain_of_thought"]),
        "with a probe": lambda: main([*verb, "chain_of_thought"]),
        "with its study": lambda: chained(seen),
    }
    aged(seen, "where question_id in (select question_id from questions order by 1 limit 3)", READER_VERSION - 1)
    assert len(of(engine.open(seen), condition(seen)).thoughts) == 5
    aged(seen)
    old = of(engine.open(seen), condition(seen))
    assert old.reader == 1 and len(old.thoughts) == 8 and any("older version" in line for line in old.sentences())
    apart = glance(engine.open(seen), condition(seen))
    assert apart is not None and apart.older and apart.source == "text"
    for way, read_again in ways.items():
        aged(seen)
        read_again()
        assert store.probes(keys) == stored and purchases(seen) == bought, way
        assert of(engine.open(seen), condition(seen)).curve.equals(before.curve)
        assert glance(engine.open(seen), condition(seen)) == glanced and probing.read_again(store) == (0, 0)


def test_a_look_whose_text_was_removed_stays_as_an_older_version_read_it(seen: Path) -> None:
    chain, *_ = engine.open(seen).chains(condition(seen))
    aged(seen)
    with duckdb.connect(seen) as connection:
        note = removed.note(date(2026, 1, 1))
        keys = "select key from probes where chain_key = $1 and key is not null order by place_tokens limit 1"
        connection.execute(f"update completions set text = $2 where key in ({keys})", [chain.key, note])
    store = Store(seen)
    mine = store.probes([chain.key])
    assert probing.read_again(store)[1] == len(mine) and store.probes([chain.key]) == mine
    found = of(engine.open(seen), condition(seen))
    assert len(found.thoughts) == 7 and found.left_out == 1 and not found.older


def test_the_verb_says_the_most_it_can_take_before_it_starts(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--db", str(made), "probe", "chain_of_thought", "--plan"]) == 0
    assert "At most" in capsys.readouterr().err
    assert main(["--db", str(made), "probe", "chain_of_thought", "--text"]) == 0
    assert "nobody was asked" in capsys.readouterr().out


def test_a_model_whose_study_did_not_come_along_is_asked_for_by_the_option_that_brings_it(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = Path(shutil.copy(made, tmp_path / "alone.duckdb"))
    with duckdb.connect(alone) as connection:
        connection.execute("update conditions set model = 'of-a-colleague'")
    assert main(["--db", str(alone), "probe", "chain_of_thought", "--plan"]) == 2
    said = capsys.readouterr().err
    assert "'of-a-colleague'" in said and "--models STUDY.toml" in said and "did you mean" not in said


def test_a_cut_splits_no_character_and_counts_what_it_is_told() -> None:
    cut = Cut([b"a", "é".encode()[:1], "é".encode()[1:], b". b"])
    assert [cut.before(n) for n in range(5)] == ["", "a", "a", "aé", "aé. b"]
    assert Cut([b"one", b" two"], stored_tokens=4).before(2) == "one"


def test_places_are_fixed_by_lengths_alone_and_leave_the_end_out() -> None:
    shared = grid(200, 12)
    assert shared[0] == 4 and shared[-1] == 256 and list(shared) == sorted(set(shared))
    cut = Cut([b"so "] * 20)
    assert all(at < 20 for at, _ in places(cut, shared, 4))


def test_looks_go_along_in_a_copy_and_a_merge_and_say_no_answer_where_it_is_anonymous(
    seen: Path, tmp_path: Path
) -> None:
    chains = engine.open(seen).chains(condition(seen))
    keys = {chain.key for chain in chains}
    study = str(engine.open(seen).studies()["study"][0])
    part = Part(study, (condition(seen),), tuple(chain.question_id for chain in chains))
    extract(Store(seen), tmp_path / "whole.duckdb", part)
    extract(Store(seen), tmp_path / "bare.duckdb", part, anonymous=True)
    stored = Store(seen).probes(keys)
    assert stored and Store(tmp_path / "whole.duckdb").probes(keys) == stored
    assert {probe.answer for probe in Store(tmp_path / "bare.duckdb").probes(keys)} <= {None, ""}
    merge(Store(tmp_path / "new.duckdb"), tmp_path / "whole.duckdb")
    assert Store(tmp_path / "new.duckdb").probes(keys) == stored
    aged(tmp_path / "new.duckdb")
    shutil.copy(tmp_path / "new.duckdb", tmp_path / "old.duckdb")
    # Whichever comes into the other, what the newer version read counts, and neither is a conflict.
    for here, other in (("new", "whole"), ("whole", "old")):
        assert not merge(Store(tmp_path / f"{here}.duckdb"), tmp_path / f"{other}.duckdb").conflicts
        assert Store(tmp_path / f"{here}.duckdb").probes(keys) == stored


def test_a_setting_is_named_as_people_call_it_and_an_unclear_name_says_which_it_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = '"scripted/adder", "scripted/sure-adder"'
    db = studied(
        tmp_path / "r.duckdb",
        questions=2,
        models=models,
        strategies=["chain_of_thought"],
        budgets=[64],
        tasks=("sums",),
    )
    assert main(["--db", str(db), "probe", "chain of thought · ADDER", "--text"]) == 0
    assert capsys.readouterr().out.startswith("Chain of thought on ")
    assert main(["--db", str(db), "probe", "Chain of thought", "--text"]) == 2
    said = capsys.readouterr().err
    assert "fits 2 conditions (Chain of thought · adder and Chain of thought · sure-adder)" in said
    assert main(["--db", str(db), "probe", "Chain of thought", "--task", "smus", "--text"]) == 2
    assert "Unknown task 'smus'" in capsys.readouterr().err


def test_a_model_file_by_another_name_is_the_same_model() -> None:
    assert probing.is_same_model("local/before@0123456789abcdef", "local/after@0123456789abcdef")
    assert not probing.is_same_model("local/before@0123456789abcdef", "local/before@fedcba9876543210")
    assert not probing.is_same_model("openai/m@0123456789abcdef", "local/m@0123456789abcdef")
    assert not probing.is_same_model("local/m", "local/n")
