"""An imported log stands beside what was run here, says what it does not know, and comes in once."""

from __future__ import annotations

import gc
import json
import shlex
import sys
import tracemalloc
from pathlib import Path

import duckdb
import pytest

import engine
from engine.analysis.pairs.compare import Cell
from engine.cli import main
from engine.core import ids
from engine.core.errors import UsageError
from engine.interop import importing, kept
from engine.interop.derived import Wishes
from engine.interop.meeting import Repeats
from engine.store.store import Store
from tests import ROOT
from tests.support import foreign_logs, stores


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results.duckdb")


def _imported(store: Store, log: Path, study: str | None = None) -> int:
    return importing.bring_in(store, importing.survey(store, log, study))


def _rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(store.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("kind", sorted(foreign_logs.LOGS))
def test_every_kind_of_log_becomes_a_study_with_the_logs_own_scores(kind: str, store: Store, tmp_path: Path) -> None:
    log = foreign_logs.LOGS[kind](tmp_path)
    assert _imported(store, log) == 6
    (cell,) = engine.open(store.path).cells().to_dicts()
    right = {"promptfoo": 4 / 5, "chat": 1.0, "csv": 5.5 / 6}.get(kind, 5 / 6)
    assert cell["accuracy"] == pytest.approx(right)
    assert (cell["n_failed"], cell["n_stopped"]) == (int(kind == "promptfoo"), int(kind == "chat"))
    assert cell["strategy"].startswith(f"imported:{kind}/") and not cell["anytime"] and cell["budget"] == 0


def test_a_second_import_changes_nothing(store: Store, tmp_path: Path) -> None:
    log = foreign_logs.inspect_json(tmp_path)
    _imported(store, log)
    before = {
        table: _rows(store, f"from {table} order by all") for table in ("trials", "runs", "plans", "steps", "calls")
    }
    assert _imported(store, log) == 0
    assert before == {table: _rows(store, f"from {table} order by all") for table in before}


@pytest.mark.parametrize("kind", ["chat", "inspect"])
def test_a_log_that_is_too_long_to_keep_what_was_read_of_it_is_read_anew(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, stored = foreign_logs.LOGS[kind](tmp_path), []
    for most in (kept.MOST_KEPT_BYTES, 2_000):
        monkeypatch.setattr(kept, "MOST_KEPT_BYTES", most)
        # Its folder is made later: what waits finds another.
        store = Store(tmp_path / str(most) / "results.duckdb")
        found = importing.survey(store, log, wishes=Wishes("same", True))
        assert found.kept.whole == (most > 2_000)
        store.path.parent.mkdir()
        importing.bring_in(store, found)
        stored.append([_rows(store, f"from {table} order by all") for table in ("trials", "calls", "marks", "steps")])
    assert stored[0] == stored[1]
    if kind == "chat":
        log.write_text("".join(f'{line[:-1]}, "task": "another"}}\n' for line in log.read_text().splitlines()))
        with pytest.raises(UsageError, match="was changed while it was read; import it again"):
            importing.bring_in(store, found)


def test_what_is_here_is_held_to_a_log_without_all_texts_in_memory(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = foreign_logs.table(tmp_path)
    head, row = log.read_text(encoding="utf-8-sig").splitlines()[:2]
    rows = (row.replace("What is 0", f"{n}{'?' * 50_000}").replace(";0;", f";{'x' * 50_000};", 1) for n in range(60))
    log.write_text("\n".join((head, *rows)))
    assert _imported(store, log) == 60
    monkeypatch.setattr(importing, "BATCH_LETTERS", 200_000)
    tracemalloc.start()
    try:
        assert importing.survey(store, log).fresh == 0 and tracemalloc.get_traced_memory()[1] < 3_500_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", sorted(foreign_logs.LOGS))
def test_a_log_leaves_no_object_in_memory_for_each_of_its_answers(
    kind: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks: dict[int, int] = {}
    for size in (200, 1_000):
        log = _log(kind, size, tmp_path / str(size))
        # At the last answer, when all of them have been read.
        monkeypatch.setattr(importing, "TOLD", size)
        importing.survey(store, log, wishes=Wishes(votes=True), progress=lambda n: blocks.update({n: _blocks()}))
    # A file that is one JSON object keeps where in it each answer stands, which is an object.
    most = 2 if kind in ("helm", "inspect", "promptfoo") else 0.5
    assert (blocks[1_000] - blocks[200]) / 800 < most


def test_an_import_leaves_no_object_in_memory_for_each_answer_it_stores(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With less memory for the database than its keys take, it is tried again with more.
    for name, value in {"TOLD": 400, "BATCH": 100, "MEMORY_MB": 1}.items():
        monkeypatch.setattr(importing, name, value)
    log, blocks = _log("chat", 800, tmp_path / "log"), dict[int, int]()
    importing.bring_in(store, importing.survey(store, log), lambda n: blocks.update({n: blocks.get(n) or _blocks()}))
    assert (blocks[800] - blocks[400]) / 400 < 0.5
    # And again, where all of it is here already.
    before = _blocks()
    assert importing.survey(store, log, progress=lambda n: blocks.update({n: _blocks()})).fresh == 0
    assert (blocks[800] - before) / 800 < 0.5


def _log(kind: str, size: int, folder: Path) -> Path:
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreign_logs, "QUESTIONS", tuple((f"What is {n} plus {n}?", str(2 * n)) for n in range(size)))
        return foreign_logs.LOGS[kind](folder)


def _blocks() -> int:
    # What it holds is bounded, by more than these logs have.
    ids._written.cache_clear()
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize("asked", [[0, 1, 2], [1, 0, 1], [3, 3, 0, 3], [0, 0, 5, 5, 1]])
def test_a_repeat_that_is_taken_goes_behind_all(asked: list[int]) -> None:
    repeats, there = Repeats(), set[int]()
    for wanted in asked:
        free = repeats.free(1, wanted)
        assert free == (wanted if wanted not in there else max(there) + 1) and repeats.free(2, wanted) == wanted
        there.add(free)
        repeats.add(1, free)


def test_the_same_log_in_another_form_is_the_same_log(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.inspect_json(tmp_path))
    found = importing.survey(store, foreign_logs.inspect_eval(tmp_path))
    assert found.fresh == 0 and [part.conflicts for part in found.parts.values()] == [0]


def test_a_log_scored_anew_is_told_and_what_is_here_stays(store: Store, tmp_path: Path) -> None:
    log = foreign_logs.inspect_json(tmp_path)
    _imported(store, log)
    body = json.loads(log.read_text())
    body["samples"][0]["scores"]["match"]["value"] = "I"
    log.write_text(json.dumps(body))
    found = importing.survey(store, log)
    (part,) = found.parts.values()
    assert (part.conflicts, found.fresh) == (1, 0) and "1 of them with another answer or score" in part.lines()[0]
    importing.bring_in(store, found)
    assert engine.open(store.path).cells()["n_right"].to_list() == [5]


def test_epochs_and_a_second_log_of_a_setting_are_repeats(store: Store, tmp_path: Path) -> None:
    assert _imported(store, foreign_logs.inspect_json(tmp_path, epochs=2)) == 12
    assert _imported(store, foreign_logs.inspect_json(tmp_path, eval_id="run-2")) == 6
    assert _rows(store, "select repeat, count(*)::int from trials group by 1 order by 1") == [(0, 6), (1, 6), (2, 6)]
    (cell,) = engine.open(store.path).cells().to_dicts()
    assert (cell["n_questions"], cell["n_trials"]) == (6, 18)


@pytest.mark.parametrize("kind", ["chat", "csv"])
def test_of_a_log_that_grew_only_the_new_answers_come_in(kind: str, store: Store, tmp_path: Path) -> None:
    log = foreign_logs.LOGS[kind](tmp_path)
    assert _imported(store, log) == 6
    lines = log.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    for n, size in enumerate((7, 8), 1):
        lines.append(lines[1].replace("What is", f"{n}. What is"))
        log.write_text("".join(lines))
        found = importing.survey(store, log)
        assert (found.fresh, [part.conflicts for part in found.parts.values()]) == (1, [0])
        assert importing.bring_in(store, found) == 1 and _imported(store, log) == 0
        assert _rows(store, "select count(*)::int, max(repeat)::int from trials") == [(size, 0)]
    # Another log of the same questions is more repeats of them.
    log.write_text("".join((lines[0], *lines[2:])) if kind == "csv" else "".join(lines[1:]))
    assert _imported(store, log) == 7
    assert _rows(store, "select count(*)::int, max(repeat)::int from trials") == [(15, 1)]


def test_what_a_merged_database_says_of_its_logs_may_be_anything(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.chat(tmp_path))
    for study in ("5", '{"log": 5}', '{"log": {"answers": [], "digest": {}, "origin": 1}}', "[]"):
        with duckdb.connect(str(store.path)) as connection:
            connection.execute("update runs set study = ?", [study])
        assert importing.survey(store, tmp_path / "chats.jsonl").fresh == 0


def test_answers_that_a_log_tells_apart_by_nothing_are_repeats(store: Store, tmp_path: Path) -> None:
    log = foreign_logs.every_eval_ever(tmp_path)
    log.write_text(log.read_text() * 2)
    assert _imported(store, log) == 12 and _imported(store, log) == 0
    assert _rows(store, "select repeat, count(*)::int from trials group by 1 order by 1") == [(0, 6), (1, 6)]


def test_questions_meet_by_content_whatever_their_ids_and_spaces(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.inspect_json(tmp_path))
    log = foreign_logs.inspect_json(tmp_path, model="openai/gpt-4o", task="renamed", eval_id="run-2")
    body = json.loads(log.read_text())
    for place, sample in enumerate(body["samples"]):
        sample |= {"id": f"other{place}", "input": f"  {sample['input'].replace(' ', chr(160))}\n"}
    log.write_text(json.dumps(body))
    _imported(store, log)
    assert _rows(store, "select count(*)::int, count(distinct task)::int from questions") == [(6, 1)]
    results = engine.open(store.path)
    a, b = results.cells(study="*").to_dicts()
    assert a["task"] == b["task"] == "sums"
    difference = results.comparisons([(_cell(a), _cell(b))]).to_dicts()[0]
    assert difference["n"] == 6


def _cell(row: dict[str, object]) -> Cell:
    return Cell(str(row["condition_id"]), int(str(row["budget"])), str(row["axis"]))


def test_a_sample_id_alone_makes_no_two_questions_one(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.inspect_json(tmp_path))
    log = foreign_logs.inspect_json(tmp_path, eval_id="run-2")
    body = json.loads(log.read_text())
    for sample in body["samples"]:
        sample["input"] = f"Another: {sample['input']}"
    log.write_text(json.dumps(body))
    _imported(store, log)
    assert _rows(store, "select count(*)::int from questions") == [(12,)]


def test_a_question_of_our_own_meets_its_import(store: Store, tmp_path: Path) -> None:
    stores.small(store.path)
    ours = _rows(
        store, "select text, target, task, question_id from questions where task = (select min(task) from questions)"
    )
    head = "question,model,answer,target,score\n"
    table = tmp_path / "theirs.csv"
    import csv

    with table.open("w", newline="") as file:
        file.write(head)
        csv.writer(file).writerows((text, "openai/gpt-4o", target, target, 1) for text, target, _, _ in ours)
    (part,) = importing.survey(store, table).parts.values()
    assert part.met == len(part.questions) == len({text for text, *_ in ours}) and part.home == ours[0][2]
    _imported(store, table)
    assert {id for (id,) in _rows(store, "select question_id from questions")} >= {id for *_, id in ours}
    assert len(engine.open(store.path).cells(task=str(ours[0][2]), study="*")) > 1


def test_what_a_log_does_not_report_is_null_where_stored_and_unknown_where_shown(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.lm_eval(tmp_path))
    for table in ("trial_spends", "mark_spends", "calls"):
        spent = _rows(store, f"select distinct input_tokens, output_tokens, latency_ms, calls from {table}")
        assert spent == [(None, None, None, 1)]
    assert _rows(store, "select distinct input_tokens, output_tokens from completions") == [(None, None)]
    (cell,) = engine.open(store.path).cells().to_dicts()
    assert [cell[name] for name in ("input_tokens", "output_tokens", "total_tokens", "usd", "latency_ms")] == [None] * 5
    assert cell["calls"] == 1 and cell["accuracy"] == pytest.approx(5 / 6)


def test_one_silent_row_makes_the_mean_unknown(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.table(tmp_path))
    (cell,) = engine.open(store.path).cells().to_dicts()
    assert (cell["input_tokens"], cell["output_tokens"], cell["usd"]) == (None, 6, None)


def test_a_curve_of_an_imported_setting_has_one_point_and_no_spend_it_does_not_know(
    store: Store, tmp_path: Path
) -> None:
    _imported(store, foreign_logs.table(tmp_path))
    results = engine.open(store.path)
    condition = results.conditions()["condition_id"][0]
    (point,) = results.curve(condition).to_dicts()
    assert (point["n"], point["spend"]) == (6, None)


def test_a_trial_reads_back_as_it_was_stored(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.table(tmp_path))
    condition = engine.open(store.path).conditions()["condition_id"][0]
    unreported = {trial.unreported for trial in store.trials(condition)}
    assert {"input_tokens" in parts for parts in unreported} == {True, False}


def test_money_is_that_of_the_model_the_log_names(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.inspect_json(tmp_path, model="openai/azure/gpt-4o-mini"))
    (cell,) = engine.open(store.path).cells().to_dicts()
    assert cell["usd"] == pytest.approx((30 * 0.15 + 12.5 * 0.6) / 1e6)


def test_settings_scored_by_unlike_scorers_stand_together_with_a_note(store: Store, tmp_path: Path) -> None:
    _imported(store, foreign_logs.inspect_json(tmp_path))
    _imported(store, foreign_logs.every_eval_ever(tmp_path))
    notes = engine.open(store.path).notes(study="*")
    assert any("scored by different scorers (match, regex)" in note for note in notes)


def test_the_preview_says_what_comes_and_what_is_missing_in_one_line_each(store: Store, tmp_path: Path) -> None:
    (part,) = importing.survey(store, foreign_logs.promptfoo(tmp_path)).parts.values()
    comes, missing = part.lines()
    assert comes == (
        "sums (imported, promptfoo): 6 questions, 1 setting of openai/gpt-4o-mini, scored by equals; 6 new."
    )
    assert "reasoning tokens" in missing and "1 answer that failed (counted, never scored)" in missing
    assert not store.path.exists()


def test_hostile_text_is_stored_as_text(store: Store, tmp_path: Path) -> None:
    log = foreign_logs.inspect_json(tmp_path, task="x'; drop table trials; --")
    body = json.loads(log.read_text())
    body["samples"][0] |= {"input": "<script>\ud800\u202e'", "target": "=cmd|x"}
    log.write_text(json.dumps(body))
    assert _imported(store, log) == 6 and len(_rows(store, "from trials")) == 6


def test_a_path_that_is_not_there_is_one_sentence(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no"):
        importing.survey(store, tmp_path / "none.json")


def test_the_verb_imports_reports_and_previews(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, db = foreign_logs.inspect_json(tmp_path), str(tmp_path / "r.duckdb")
    assert main(["import", str(log), "--db", db, "--preview"]) == 0 and not Path(db).exists()
    assert main(["import", str(log), "--db", db, "--study", "Mine"]) == 0
    assert "6 answers new from run-1.json, in the study Mine." in capsys.readouterr().out
    assert main(["report", "--db", db, "--study", "Mine"]) == 0
    report = capsys.readouterr().out
    assert "generate (imported, Inspect)" in report and "as run" in report and "83.3%" in report
    assert main(["import", str(tmp_path / "missing"), "--db", db]) == 2
    assert main(["import", str(tmp_path / "missing"), str(log), "--db", db]) == 1


def test_the_commands_of_the_readme_run_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BUDGETSCOPE_DB", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    foreign_logs.inspect_json(tmp_path / "logs")
    # A database of its own, or the report would be that of the demo that comes along.
    stores.empty(tmp_path / "results.duckdb")
    part = (ROOT / "README.md").read_text().partition("## Your logs")[2]
    commands = part.split("```")[1].strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    assert "generate (imported, Inspect)" in capsys.readouterr().out


def test_a_bad_record_stops_the_verb_or_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, db = foreign_logs.chat(tmp_path), str(tmp_path / "r.duckdb")
    log.write_text(log.read_text() + "{broken\n")
    assert main(["import", str(log), "--db", db]) == 2 and not Path(db).exists()
    capsys.readouterr()
    assert main(["import", str(log), "--db", db, "--skip-bad"]) == 0
    said = capsys.readouterr()
    assert "Left out as unreadable: 1 record of chats.jsonl." in said.out and "line 7" in said.err


def test_a_broken_log_of_a_folder_keeps_none_of_the_others_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    foreign_logs.chat(tmp_path / "logs")
    whole = foreign_logs.promptfoo(tmp_path / "logs").read_text()
    (tmp_path / "logs" / "broken.json").write_text(whole[: len(whole) // 2])
    store = Store(tmp_path / "results.duckdb")
    assert main(["import", str(tmp_path / "logs"), "--db", str(store.path), "--study", "all"]) == 1
    assert "'broken.json' is no such record" in capsys.readouterr().err
    assert _rows(store, "select count(*)::int from trials") == [(12,)]


def test_settings_that_differ_in_how_a_number_is_written_are_two(store: Store, tmp_path: Path) -> None:
    log = foreign_logs.chat(tmp_path)
    whole = log.read_text()
    for written in ("0", "0.0", "false"):
        log.write_text(whole.replace('"temperature": 0', f'"temperature": {written}'))
        assert _imported(store, log) == 6
    stored = {params for (params,) in _rows(store, "select params from conditions")}
    assert stored == {f'{{"temperature":{written}}}' for written in ("0", "0.0", "false")}
