"""A value of any kind at any place of a log is read as what it can be, or refused in one sentence; never more."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import UsageError
from engine.core.records import Spend
from engine.interop import IMPORTERS, ImportedAnswer, importing, load, logs
from engine.interop.derived import Wishes
from engine.store.store import Store
from tests.support import foreign_logs

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0.5,
    10**30,
    1e308,
    "",
    "5",
    "inf",
    [],
    {},
    [[]],
    [{}],
    {"a": None},
    [1, "a"],
    [{"type": []}],
    {"": ""},
)
KINDS = sorted(foreign_logs.LOGS.keys() - {"csv"})


def _places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside: Any = node.items() if isinstance(node, dict) else enumerate(node[:2]) if isinstance(node, list) else ()
    for key, value in inside:
        yield (*at, key)
        yield from _places(value, (*at, key))


def _with(node: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(node)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def _files(log: Path) -> list[Path]:
    """What a log is made of; results beside samples belong to them."""
    return sorted(log.iterdir()) if log.is_dir() else [each for each in sorted(log.parent.iterdir()) if each.is_file()]


def _parsed(file: Path) -> Any:
    text = file.read_text()
    # Two records of each are enough: one that is odd and one that is not.
    return [json.loads(line) for line in text.splitlines()[:2]] if file.suffix == ".jsonl" else json.loads(text)


def _written(file: Path, body: Any) -> None:
    text = "".join(f"{json.dumps(each)}\n" for each in body) if file.suffix == ".jsonl" else json.dumps(body)
    file.write_text(text)


def _held(answer: ImportedAnswer) -> None:
    texts = (answer.setting, answer.model, answer.question, answer.task, answer.log, answer.sample, *answer.options)
    assert all(isinstance(text, str) for text in texts)
    assert all(isinstance(text, str | None) for text in (answer.target, answer.answer, answer.scorer, answer.reply))
    assert answer.score is None or 0 <= answer.score <= 1
    assert all(isinstance(turn.content, str) for turn in answer.prompt)
    spend = answer.spend or Spend()
    assert all(0 <= getattr(spend, part.name) < 1 << 31 for part in fields(Spend))


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_value_at_any_place_is_an_answer_or_one_sentence(kind: str, tmp_path: Path) -> None:
    load()
    log, reader = foreign_logs.LOGS[kind](tmp_path), IMPORTERS.get(kind)()
    refused = read = 0
    for file in _files(log):
        whole = _parsed(file)
        for at, place in enumerate(_places(whole)):
            # Every place with some of the values, and every value at some places.
            for value in ODD[at % 6 :: 6]:
                _written(file, _with(whole, place, value))
                try:
                    for answer in reader.answers(log):
                        _held(answer)
                    read += 1
                except UsageError as error:
                    assert len(str(error)) < 500 and "\n" not in str(error) and str(tmp_path) not in str(error)
                    refused += 1
        _written(file, whole)
    assert refused and read


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_log_with_an_odd_record_the_others_come_in_where_that_is_asked(kind: str, tmp_path: Path) -> None:
    load()
    log, reader = foreign_logs.LOGS[kind](tmp_path), IMPORTERS.get(kind)()
    file = max(_files(log), key=lambda each: ("samples" in each.name, "state" in each.name, each.stat().st_size))
    body = json.loads(file.read_text()) if file.suffix == ".json" else _parsed(file)
    place = {"inspect": ("samples", 0), "helm": ("request_states", 0), "promptfoo": ("results", "results", 0)}
    _written(file, _with(body, place.get(kind, (0,)), {"odd": 1}))
    with pytest.raises(UsageError):
        list(reader.answers(log))
    with logs.skipping_bad() as faults:
        others = list(reader.answers(log))
    assert others and len(set(faults)) == 1


def test_what_no_table_could_hold_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "results.duckdb"), foreign_logs.inspect_json(tmp_path)
    whole = json.loads(log.read_text())
    for place, value, says in (
        (("samples", 1, "epoch"), 10**12, "sample s1, says repeat"),
        (("samples", 1, "input"), " ", "sample s1, has no question"),
        (("eval", "model"), "", "sample s0, names no model"),
    ):
        log.write_text(json.dumps(_with(whole, place, value)))
        with pytest.raises(UsageError, match=says):
            importing.survey(store, log)
    assert not store.path.exists()


class _Broken:
    def reads(self, path: Path) -> bool:
        return True

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        yield ImportedAnswer("own", "s", "m", "q", "t", "a", 1.0, None)
        raise KeyError("a slip\nof the plugin's author")


def test_a_reader_of_ones_own_that_breaks_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "importer_for", lambda _: _Broken())
    (tmp_path / "own.log").write_text("x")
    with pytest.raises(UsageError, match=r"'own.log' cannot be read by the importer _Broken: KeyError") as refusal:
        importing.survey(Store(tmp_path / "results.duckdb"), tmp_path / "own.log", None, replace(Wishes(), votes=True))
    assert "\n" not in str(refusal.value)
