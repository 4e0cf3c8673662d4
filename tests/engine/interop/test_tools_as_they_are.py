"""What logs made by the tools themselves had that their formats' descriptions leave out; the files here are our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import UsageError
from engine.interop import ImportedAnswer, importer_for, importing, logs
from engine.interop.every_eval_ever import calls_in
from engine.store.store import Store
from tests.support import foreign_logs


def _read(path: Path) -> list[ImportedAnswer]:
    return list(importer_for(path).answers(path))


def _rewritten(path: Path, change: dict[str, Any], sample: int | None = None) -> Path:
    body = json.loads(path.read_text())
    target = body if sample is None else body["samples"][sample]
    target |= change
    path.write_text(json.dumps(body))
    return path


def _model(name: str, spent: int, error: str | None = None) -> dict[str, Any]:
    usage = {"input_tokens": spent, "output_tokens": 1}
    return {"event": "model", "model": name, "error": error, "output": {"choices": [], "usage": usage}}


def test_inspect_packs_archives_with_zstandard(tmp_path: Path) -> None:
    plain = foreign_logs.inspect_eval(tmp_path)
    assert _read(foreign_logs.zstandard(plain)) == _read(plain)


def test_a_score_that_is_no_number_is_none_and_a_text_that_says_so_stays(tmp_path: Path) -> None:
    log = foreign_logs.inspect_json(tmp_path)
    body = json.loads(log.read_text())
    body["samples"][0]["scores"]["match"] |= {"value": float("nan"), "answer": 'NaN, "Infinity\\\\'}
    log.write_text(json.dumps(body))
    first, *others = _read(log)
    assert (first.score, first.answer) == (None, 'NaN, "Infinity\\\\')
    assert [each.score for each in others] == [1, 1, 1, 1, 0]


def test_requests_of_inspects_solvers_are_calls_and_those_of_scorers_are_not(tmp_path: Path) -> None:
    events = [
        {"event": "span_begin", "type": "solvers"},
        _model(foreign_logs.MODEL, 10),
        _model(foreign_logs.MODEL, 10, "429"),
        _model(foreign_logs.MODEL, 14),
        {"event": "tool", "output": "a text"},
        {"event": "span_begin", "type": "scorers"},
        _model(foreign_logs.MODEL, 6),
        _model("openai/grader", 99),
    ]
    answer = _read(_rewritten(foreign_logs.inspect_json(tmp_path), {"events": events}, 0))[0]
    assert answer.spend is not None and (answer.spend.calls, answer.spend.input_tokens) == (2, 30 - 6)


@pytest.mark.parametrize(
    ("usage", "spent"), [({"input_tokens": 14, "output_tokens": 1}, (2, 24, 2)), (None, (2, 0, 0))]
)
def test_inspects_releases_of_2024_name_no_evaluation_and_count_by_call(
    usage: dict[str, int] | None, spent: tuple[int, ...], tmp_path: Path
) -> None:
    log = foreign_logs.inspect_json(tmp_path)
    body = json.loads(log.read_text())
    del body["eval"]["eval_id"]
    sample = body["samples"][0]
    calls = [_model(foreign_logs.MODEL, 10), _model(foreign_logs.MODEL, 14)]
    calls[-1]["output"]["usage"] = usage
    sample |= {"transcript": {"events": calls, "content": sample["attachments"]}, "score": sample["scores"]["match"]}
    for later in ("events", "attachments", "scores", "model_usage"):
        del sample[later]
    log.write_text(json.dumps(body))
    answer = _read(log)[0]
    assert answer.spend is not None and ("input_tokens" in answer.unreported) == (usage is None)
    assert (answer.spend.calls, answer.spend.input_tokens, answer.spend.output_tokens) == spent
    assert answer.score == 1 and answer.scorer is None and answer.prompt[0].content == "Be brief. What is 0 plus 0?"


def test_a_sample_that_failed_belongs_to_the_setting_of_the_others(tmp_path: Path) -> None:
    log = _rewritten(foreign_logs.inspect_json(tmp_path), {"scores": None, "error": {"message": "429"}}, 0)
    body = json.loads(log.read_text())
    body["eval"]["scorers"] = [{"name": "inspect_ai/match"}]
    log.write_text(json.dumps(body))
    assert {(each.scorer, each.error is None) for each in _read(log)} == {("match", True), ("match", False)}


def test_a_log_without_samples_is_said_to_hold_none(tmp_path: Path) -> None:
    assert _read(_rewritten(foreign_logs.inspect_json(tmp_path), {"samples": []})) == []


def test_a_bad_sample_is_one_sentence_although_the_file_is_mapped(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sample 2, is no such record"):
        _read(_rewritten(foreign_logs.inspect_json(tmp_path), {"epoch": "one"}, 1))


def test_a_chat_may_lie_in_the_bodies_of_a_batch_and_count_as_the_later_interface_does(tmp_path: Path) -> None:
    asked = {"model": foreign_logs.MODEL, "messages": [{"role": "user", "content": "\ud83d?"}]}
    usage = {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 5}}
    choices = [{"message": {"role": "assistant", "content": "2"}, "finish_reason": "stop"}]
    response = {"status_code": 200, "body": {"choices": choices, "usage": usage, "created": 1_711_652_795}}
    failed = {"status_code": 400, "body": {"error": {"message": "too long"}}}
    log = tmp_path / "batch.jsonl"
    rows = [{"request": {"body": asked}, "response": told, "answer": 2} for told in (response, failed)]
    log.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    answer, other = _read(log)
    assert answer.spend is not None and answer.answered_at is not None and answer.answered_at.year == 2024
    assert (answer.model, answer.answer, answer.reply) == (foreign_logs.MODEL, "2", "2")
    assert (answer.spend.input_tokens, answer.spend.cached_tokens, answer.spend.output_tokens) == (9, 5, 4)
    assert (other.error, other.reply) == ("too long", None)
    log.write_text(json.dumps({"custom_id": "a", "response": response, "error": None}))
    with pytest.raises(UsageError, match="line 1, has a reply and not what was asked; add `messages`"):
        _read(log)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_that_nobody_reads_says_what_its_first_line_lacks(encoding: str, tmp_path: Path) -> None:
    log = foreign_logs.chat(tmp_path)
    log.write_bytes(log.read_text().replace("plus", "\u00e9").encode(encoding))
    with pytest.raises(UsageError, match="its first line is no such record: it is no text in UTF-8; save it so"):
        _read(log)
    table = tmp_path / "answers.csv"
    table.write_bytes("question,model,answer\n\u00e9,m,2\n".encode("latin-1"))
    with pytest.raises(UsageError, match="is no text in UTF-8 or UTF-16; save it so"):
        _read(table)


def _lm_eval(folder: Path, *lines: dict[str, Any]) -> list[ImportedAnswer]:
    path = foreign_logs.lm_eval(folder)
    first = json.loads(path.read_text().splitlines()[0])
    path.write_text("".join(f"{json.dumps(first | line)}\n" for line in lines))
    return _read(path)


def test_lm_evals_chats_are_told_turn_by_turn_and_ask_what_the_document_asks(tmp_path: Path) -> None:
    turns = [
        *({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 9 plus 9?"}),
        *({"role": "assistant", "content": "18"}, {"role": "user", "content": "Q: What is 0 plus 0?"}),
    ]
    arguments = {"gen_args_0": {"arg_0": [json.dumps(turns)], "arg_1": {"temperature": 0.5}}}
    (answer,) = _lm_eval(tmp_path, {"arguments": arguments})
    assert answer.question == "What is 0 plus 0?" and [turn.role for turn in answer.prompt][-1] == "user"
    assert len(answer.prompt) == 4 and dict(answer.parameters) == {"temperature": 0.5}


def test_lm_evals_further_draws_are_repeats_that_nobody_scored(tmp_path: Path) -> None:
    drawn = _lm_eval(tmp_path, {"resps": [["It is 0", "It is 1", "0"]], "filtered_resps": ["0"]})
    assert [(each.repeat, each.answer, each.score) for each in drawn] == [
        (0, "0", 1),
        (1, "It is 1", None),
        (2, "0", None),
    ]


def test_lm_evals_likelihoods_are_choices_of_options_and_no_replies(tmp_path: Path) -> None:
    arguments = {f"gen_args_{at}": {"arg_0": "Pick", "arg_1": f" {text}"} for at, text in enumerate(("red", "blue"))}
    chances = [["-2.5", "False"], ["-0.5", "True"]]
    (answer,) = _lm_eval(
        tmp_path,
        {"doc": {}, "target": "1", "arguments": arguments, "metrics": ["acc"], "acc": 1.0}
        | {"resps": [[chance] for chance in chances], "filtered_resps": chances},
    )
    assert (answer.options, answer.target, answer.answer, answer.reply) == (("red", "blue"), "B", "B", None)
    assert "calls" in answer.unreported


@pytest.mark.parametrize(("greedy", "said"), [("True", "mat"), ("False", "another text")])
def test_lm_evals_likelihood_of_one_text_is_scored_by_its_accuracy(greedy: str, said: str, tmp_path: Path) -> None:
    arguments = {"gen_args_0": {"arg_0": "The cat sat on the", "arg_1": " mat"}}
    told = {"target": " mat", "arguments": arguments, "metrics": ["perplexity", "acc"], "perplexity": -3.1, "acc": 1.0}
    chance = ["-3.1", greedy]
    (answer,) = _lm_eval(tmp_path, told | {"resps": [[chance]], "filtered_resps": [chance], "filter": "none"})
    assert (answer.scorer, answer.score, answer.answer, answer.options) == ("acc", 1.0, said, ())


def test_what_helm_holds_a_generation_to_are_no_options_of_its_question(tmp_path: Path) -> None:
    run = foreign_logs.helm(tmp_path)
    state = json.loads((run / "scenario_state.json").read_text())
    for each in state["request_states"]:
        each["instance"]["references"].append({"output": {"text": "-1"}, "tags": []})
    (run / "scenario_state.json").write_text(json.dumps(state))
    assert {each.options for each in _read(run)} == {()}


def test_promptfoos_tests_with_assertions_of_their_own_are_one_setting(tmp_path: Path) -> None:
    log = foreign_logs.promptfoo(tmp_path)
    body = json.loads(log.read_text())
    rows = body["results"]["results"]
    rows[1]["testCase"]["assert"].append({"type": "latency", "threshold": 9})
    rows[2]["response"]["finishReason"] = "length"
    # Of one variable the value is the question, whatever kind it is of: in another prompt it is the same.
    rows[3] |= {"vars": {"n": 3}, "prompt": {"raw": "Twice 3?", "label": "twice"}}
    log.write_text(json.dumps(body))
    answers = _read(log)
    assert {each.scorer for each in answers} == {"equals, latency"} and [each.cut for each in answers[1:4]] == [0, 1, 0]
    assert (answers[3].question, answers[3].setting) == ("3", "twice")
    lines = tmp_path / "results.jsonl"
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert [(each.question, each.score) for each in _read(lines)] == [(each.question, each.score) for each in answers]


def _turns(*said: str) -> list[dict[str, Any]]:
    return [{"role": {"u": "user", "a": "assistant", "s": "system"}[each[0]], "content": each} for each in said]


@pytest.mark.parametrize(
    ("said", "calls"),
    [
        (("u1", "a1"), 1),
        (("s", "u1", "a1", "u2", "a2"), 2),
        (("u1", "a1", "u1", "a1", "u1", "a2"), 3),
        (("u1", "a1", "u1", "a1", "u2", "a2"), 2),
        (("s", "u1", "a1", "s", "u1", "a1", "u2", "a2", "s", "u1", "a1", "u2", "a2", "u3", "a3"), 3),
        (("u1",), 0),
    ],
)
def test_turns_that_a_record_repeats_are_no_calls(said: tuple[str, ...], calls: int) -> None:
    assert calls_in(_turns(*said)) == calls


def test_records_that_say_their_calls_are_believed(tmp_path: Path) -> None:
    log = foreign_logs.every_eval_ever(tmp_path)
    records = [json.loads(line) | {"metadata": {"calls": "4"}} for line in log.read_text().splitlines()]
    log.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    assert {each.spend.calls for each in _read(log) if each.spend} == {4}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_table_is_read_as_spreadsheets_save_it(encoding: str, separator: str, tmp_path: Path) -> None:
    rows = (("Question", " MODEL ", "answer", "score"), ("è = ?", "m", "1", "1"))
    path = tmp_path / "t.csv"
    path.write_text("\r\n".join(map(separator.join, rows)), encoding=encoding, newline="")
    assert [(each.question, each.model, each.score) for each in _read(path)] == [("è = ?", "m", 1)]


@pytest.mark.parametrize("repeat", ["-1", "1.5", "99999999"])
def test_a_repeat_that_is_none_is_refused_with_its_row(repeat: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"question,model,answer,repeat\nq,m,a,{repeat}\n")
    with pytest.raises(UsageError, match=r"row 2, has .* under 'repeat'; repeats are counted from 0"):
        _read(tmp_path / "t.csv")


def test_counts_that_are_something_else_are_unknown_and_no_fault_of_the_program(tmp_path: Path) -> None:
    line = {"model": "m", "messages": [{"role": "user", "content": "q"}], "choices": [{"message": {"content": "x"}}]}
    usage = {"prompt_tokens": -5, "completion_tokens": "3", "prompt_tokens_details": "x"}
    (tmp_path / "c.jsonl").write_text(json.dumps(line | {"usage": usage}))
    (answer,) = _read(tmp_path / "c.jsonl")
    assert answer.spend is not None and {"input_tokens", "output_tokens"} <= {*answer.unreported}


def test_a_log_of_nothing_but_bad_records_says_how_many(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("question,model,answer,score\nq,m,a,7\nq,m,a,8\n")
    with logs.skipping_bad(), pytest.raises(UsageError, match="no answer that can be read; 2 records cannot"):
        importing.survey(Store(tmp_path / "r.duckdb"), tmp_path / "t.csv")


def test_bad_documents_and_bad_numbers_are_left_out_where_that_is_asked(tmp_path: Path) -> None:
    with logs.skipping_bad() as faults:
        assert len(_lm_eval(tmp_path, {}, {"resps": None})) == 1
        run = foreign_logs.helm(tmp_path)
        stats = json.loads((run / "per_instance_stats.json").read_text())
        stats[0]["stats"] = "none"
        (run / "per_instance_stats.json").write_text(json.dumps(stats))
        assert [each.score is None for each in _read(run)] == [True, *[False] * 5]
    assert len(faults) == 2


def test_a_damaged_record_costs_no_more_than_itself(tmp_path: Path) -> None:
    log = _rewritten(foreign_logs.inspect_json(tmp_path), {"epoch": "one"}, 1)
    with logs.skipping_bad() as faults:
        assert len(_read(log)) == 5
    assert len(faults) == 1 and "sample 2" in faults[0]


def test_a_setting_that_only_its_prompt_makes_has_no_word_of_it_in_its_name(tmp_path: Path) -> None:
    log = foreign_logs.chat(tmp_path)
    first = json.loads(log.read_text().splitlines()[0])
    user = first["request"]["messages"]
    told = "You are a careful assistant of the Example Company. "
    lines = [
        first | {"request": first["request"] | {"messages": [{"role": "system", "content": told + more}, *user]}}
        for more in ("Be brief.", "Be long.")
    ]
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    one, other = (answer.setting for answer in _read(log))
    assert one != other and "careful" not in one + other
    log = foreign_logs.promptfoo(tmp_path)
    body = json.loads(log.read_text())
    for result in body["results"]["results"]:
        result["prompt"]["label"] = "Answer as the Example Company would: {{question}}"
    log.write_text(json.dumps(body))
    (setting,) = {answer.setting for answer in _read(log)}
    assert setting.startswith("prompt ") and "Example" not in setting
