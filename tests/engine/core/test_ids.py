"""Ids depend on exactly what the rules list, on every machine and in every process alike."""

from __future__ import annotations

import ast
import gc
import hashlib
import inspect
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.core import ids as identity
from engine.core.records import Condition, Example, Message, ModelSetting, Price, Problem, Question, Request, TrialSpec
from engine.strategies import build, chain, entries
from engine.strategies.registry import parameters
from tests import ROOT

PRICE = Price(3, 7, cached_pusd=1, source="user", as_of="2026-01-01")
MODEL = ModelSetting("m", "local/m@abc", PRICE)
OTHER = ModelSetting("n", "local/n@def", PRICE)
REQUEST = Request(
    "m@1", (Message("system", "s"), Message("user", "u")), (("stop", "x"), ("temperature", 0.7)), 10, 0, 0
)
PROBLEM = Problem("text", "number", "Be brief.", (Example("1+1", "2"),), "a document")
CONDITION = Condition("k", "task", (("solver", MODEL),), "s", '{"a":1}', 1, False, "calls", 5, '{"system":"be brief"}')
MONEY = replace(CONDITION, axis="usd")
ANYTIME = replace(CONDITION, anytime=True)
VERSIONS = Path(__file__).with_name("strategy_versions.json")

_COMPLETION: list[tuple[str, dict[str, Any], bool, bool, bool]] = [
    # what changes, new fields, and whether completion, stream and provider seed change with it
    ("model", {"model": "m@2"}, True, True, True),
    ("a word", {"messages": (Message("system", "s"), Message("user", "U"))}, True, True, True),
    ("a role", {"messages": (Message("user", "s"), Message("user", "u"))}, True, True, True),
    ("order of turns", {"messages": REQUEST.messages[::-1]}, True, True, True),
    ("where a turn ends", {"messages": (Message("system", "su"), Message("user", ""))}, True, True, True),
    ("temperature", {"params": (("stop", "x"), ("temperature", 0.8))}, True, True, True),
    ("a parameter more", {"params": (*REQUEST.params, ("top_p", 0.9))}, True, True, True),
    ("repeat", {"repeat": 1}, True, True, True),
    ("draw", {"draw": 1}, True, False, True),
    ("asked cap", {"asked_tokens": 11}, True, False, False),
    ("seed", {"seed": 9}, False, False, False),
    ("key", {"key": "c1-x"}, False, False, False),
]


@pytest.mark.parametrize(
    ("fields", "key", "stream", "seed"), [row[1:] for row in _COMPLETION], ids=[r[0] for r in _COMPLETION]
)
def test_a_completion_is_identified_by_what_is_sent(
    fields: dict[str, Any], key: bool, stream: bool, seed: bool
) -> None:
    other = replace(REQUEST, **fields)
    assert (identity.request_key(other) != identity.request_key(REQUEST)) == key
    assert (identity.stream_key(other) != identity.stream_key(REQUEST)) == stream
    assert (identity.provider_seed(other) != identity.provider_seed(REQUEST)) == seed


def _lined(*lineup: tuple[str, ModelSetting]) -> dict[str, Any]:
    return {"lineup": lineup}


def _priced(**fields: Any) -> dict[str, Any]:
    return _lined(("solver", replace(MODEL, price=replace(PRICE, **fields))))


_TRIAL: list[tuple[str, Condition, dict[str, Any], bool]] = [
    ("model", CONDITION, _lined(("solver", OTHER)), True),
    ("role", CONDITION, _lined(("critic", MODEL)), True),
    ("a second model", CONDITION, _lined(("solver", MODEL), ("critic", OTHER)), True),
    ("display name of a model", CONDITION, _lined(("solver", replace(MODEL, name="nick"))), False),
    ("strategy", CONDITION, {"strategy": "t"}, True),
    ("parameters", CONDITION, {"params": '{"a":2}'}, True),
    ("version", CONDITION, {"version": 2}, True),
    ("axis", CONDITION, {"axis": "output_tokens"}, True),
    ("prompting", CONDITION, {"prompting": "{}"}, True),
    ("id of the condition", CONDITION, {"condition_id": "z"}, False),
    ("budget", CONDITION, {"budget": 6}, True),
    ("budget, anytime", ANYTIME, {"budget": 6}, False),
    ("budget, anytime, money", replace(MONEY, anytime=True), {"budget": 6}, False),
    ("input price, money", MONEY, _priced(input_pusd=4), True),
    ("output price, money", MONEY, _priced(output_pusd=8), True),
    ("price unknown, calls", CONDITION, _lined(("solver", replace(MODEL, price=None))), False),
    ("input price, calls", CONDITION, _priced(input_pusd=4), False),
    ("source of a price", MONEY, _priced(source="litellm"), False),
    ("date of a price", MONEY, _priced(as_of="2027-01-01"), False),
]


@pytest.mark.parametrize(("base", "fields", "changes"), [row[1:] for row in _TRIAL], ids=[row[0] for row in _TRIAL])
def test_a_trial_is_identified_by_what_decides_its_result(
    base: Condition, fields: dict[str, Any], changes: bool
) -> None:
    other = replace(base, **fields)
    assert (identity.trial_id(other, "q", 0) != identity.trial_id(base, "q", 0)) == changes
    assert (identity.condition_id(other) != identity.condition_id(base)) == changes


def test_question_and_repeat_make_another_trial_of_one_condition() -> None:
    ids = {identity.trial_id(CONDITION, question, repeat) for question in "qr" for repeat in (0, 1)}
    assert len(ids) == 4


def test_the_task_makes_another_condition() -> None:
    assert identity.condition_id(replace(CONDITION, task="other")) != identity.condition_id(CONDITION)


def test_the_order_of_roles_in_a_line_up_changes_no_id() -> None:
    both = (("solver", MODEL), ("critic", OTHER))
    one, two = (replace(CONDITION, lineup=lineup) for lineup in (both, both[::-1]))
    assert identity.trial_id(one, "q", 0) == identity.trial_id(two, "q", 0)


_QUESTION: list[tuple[str, dict[str, Any], bool]] = [
    ("text", {"text": "other"}, True),
    ("context", {"context": None}, True),
    ("answer kind", {"answer_kind": "text"}, True),
    ("instructions", {"instructions": ""}, False),
    ("worked examples", {"examples": ()}, False),
]


@pytest.mark.parametrize(("fields", "changes"), [row[1:] for row in _QUESTION], ids=[row[0] for row in _QUESTION])
def test_a_question_is_identified_by_its_own_content(fields: dict[str, Any], changes: bool) -> None:
    """The study's part of the prompt (instructions, worked examples) belongs to the condition."""
    base = identity.question_id("task", PROBLEM, "2")
    assert (identity.question_id("task", replace(PROBLEM, **fields), "2") != base) == changes


def test_task_and_target_make_another_question() -> None:
    assert len({identity.question_id(task, PROBLEM, target) for task in "ab" for target in "12"}) == 4


_RNG: list[tuple[str, dict[str, Any], bool]] = [
    ("budget", {"budget": 99}, False),
    ("axis", {"axis": "usd"}, False),
    ("anytime", {"anytime": True}, False),
    ("task", {"task": "other"}, True),
    ("model", _lined(("solver", OTHER)), True),
    ("strategy", {"strategy": "t"}, True),
    ("parameters", {"params": "{}"}, True),
]


@pytest.mark.parametrize(("fields", "changes"), [row[1:] for row in _RNG], ids=[row[0] for row in _RNG])
def test_random_numbers_never_depend_on_the_budget(fields: dict[str, Any], changes: bool) -> None:
    planned = TrialSpec("t", CONDITION, Question("q", "task", PROBLEM, "2"), 0)
    other = replace(planned, condition=replace(CONDITION, **fields))
    assert (identity.rng_seed(other) != identity.rng_seed(planned)) == changes


def test_question_and_repeat_have_their_own_random_numbers() -> None:
    questions = [Question(name, "task", PROBLEM, "2") for name in "qr"]
    seeds = {identity.rng_seed(TrialSpec("t", CONDITION, q, repeat)) for q in questions for repeat in (0, 1)}
    assert len(seeds) == 4


def test_the_order_in_which_parameters_are_written_changes_no_id() -> None:
    one = build("self_consistency", {"samples": 3, "chain_tokens": 9})
    two = build("self_consistency", {"chain_tokens": 9, "samples": 3})
    assert parameters(one) == parameters(two)
    assert identity.canonical({"a": 1, "b": [2]}) == identity.canonical({"b": [2], "a": 1})


def test_a_default_written_out_changes_no_id() -> None:
    assert parameters(build("self_consistency", {"samples": 16})) == parameters(build("self_consistency", {}))


def test_a_temperature_of_1_and_of_1_point_0_are_the_same() -> None:
    whole, decimal = (parameters(build("chain_of_thought", {"temperature": value})) for value in (1, 1.0))
    assert whole == decimal


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "e\u0301", "\u00e9", "💥", '"\\\n\u2028\x7f'])
def test_any_text_has_an_id_of_its_own(text: str) -> None:
    # A list of texts is written piece by piece; it is the same text as that of any other list.
    written = json.dumps([text, "b"], ensure_ascii=False, separators=(",", ":"))
    assert identity.canonical([text, "b"]) == identity.canonical((text, "b")) == written
    told = f"[{written}]".encode("utf-8", "surrogatepass")
    key = f"p1-{hashlib.blake2b(told, digest_size=16).hexdigest()}"
    assert identity.prompt_and_key((Message(text, "b"),)) == (f"[{written}]", key)  # type: ignore[arg-type]
    assert identity.digest("t", text) != identity.digest("t", text + " ")
    assert identity.digest("t", "\u00e9") != identity.digest("t", "e\u0301")


@pytest.mark.parametrize("bits", [1, 31, 64])
def test_numbers_stay_below_their_bits_and_spread(bits: int) -> None:
    drawn = [identity.number(k, bits) for k in range(400)]
    assert max(drawn) < 2**bits
    assert max(drawn) >= 2 ** (bits - 1)


_PROBE = """
from dataclasses import replace
from engine.core import ids as identity
from tests.engine.core.test_ids import CONDITION, MONEY, PROBLEM, REQUEST
from engine.core.records import Question, TrialSpec
from engine.strategies import build, entries, parameters
print(identity.request_key(REQUEST), identity.stream_key(REQUEST), identity.provider_seed(REQUEST))
print(identity.prompt_key(REQUEST.messages), identity.question_id("task", PROBLEM, "2"))
print(identity.condition_id(MONEY), identity.trial_id(CONDITION, "q", 1))
print(identity.rng_seed(TrialSpec("t", CONDITION, Question("q", "task", PROBLEM, "2"), 0)))
print([parameters(build(name, {})) for name in entries()])
"""


def test_ids_are_equal_in_every_process() -> None:
    said = {_probed(seed) for seed in ("0", "1", "4242")}
    assert len(said) == 1


def _probed(hash_seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    root = ROOT
    done = subprocess.run([sys.executable, "-c", _PROBE], env=env, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def test_ids_are_what_they_were() -> None:
    """Stored results are found again by these; a change here orphans every database there is."""
    assert identity.request_key(REQUEST) == "c1-b30139481f46fc3866a7bc8452675e84"
    assert identity.trial_id(CONDITION, "q", 1) == "t1-0495fe111fb00817363466e7c57041b6"


# Versions


def source_hash(make: Any) -> str:
    """Hash of what a class does, with all of its module that it names, its bases included: neighbours in the same file,
    layout, comments, docstrings and imports do not count."""
    tree = _bare(inspect.getmodule(make))
    parts = {name: part for part in tree.body for name in _defines(part)}
    wanted, todo = set(), [make.__name__]
    while todo:
        name = todo.pop()
        if name in parts and name not in wanted:
            wanted.add(name)
            todo += [node.id for node in ast.walk(parts[name]) if isinstance(node, ast.Name)]
    return hashlib.sha256("\n".join(ast.unparse(parts[name]) for name in sorted(wanted)).encode()).hexdigest()[:16]


class _Unquoted(ast.NodeTransformer):
    """An f-string as the tuple of its parts: Python 3.12 and later print the quotes of one otherwise than 3.11."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Tuple:
        return ast.Tuple([self.visit(part) for part in node.values], ast.Load())

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.Tuple:
        shown = self.visit(node.format_spec) if node.format_spec else ast.Constant(None)
        return ast.Tuple([self.visit(node.value), ast.Constant(node.conversion), shown], ast.Load())


def _bare(module: Any) -> ast.Module:
    tree: ast.Module = _Unquoted().visit(ast.parse(inspect.getsource(module)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _says_nothing(part)]  # type: ignore[attr-defined]
    return tree


def _defines(part: ast.stmt) -> list[str]:
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [part.name]
    targets = part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _says_nothing(part: ast.stmt) -> bool:
    documents = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    # What a strategy states of its mechanism is told of a trial and decides nothing of it.
    said = part.value.func if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call) else None
    states = isinstance(said, ast.Attribute) and said.attr in ("could_work", "acted")
    return documents or states or isinstance(part, (ast.Import, ast.ImportFrom))


def versions_now() -> dict[str, list[Any]]:
    """Version and source hash of every strategy, and of the shared chain."""
    chained = hashlib.sha256(ast.unparse(_bare(chain)).encode()).hexdigest()[:16]
    versions: dict[str, list[Any]] = {"chain": [None, chained]}
    return versions | {name: [entry.version, source_hash(entry.make)] for name, entry in entries().items()}


def test_a_tree_is_made_whole_though_garbage_is_found_meanwhile() -> None:
    """Errors that are logged make trees too; see `tests.support.parsing`."""
    source, threshold = inspect.getsource(ast), gc.get_threshold()

    def another(phase: str, _: object) -> None:
        if phase == "stop":
            ast.parse("1 + 1")

    gc.callbacks.append(another)
    gc.set_threshold(20)
    try:
        assert all(ast.parse(source).body for _ in range(20))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(another)


def test_a_changed_prompt_comes_with_a_new_version() -> None:
    """A trial's id holds its strategy's version and not its source, so a change of prompt or logic must bump it.

    After bumping `version=` in the strategy (of all that use `chain`, when that changed), or when the change moved no
    prompt and no decision, store the new hashes with: python -m tests.engine.core.test_ids
    """
    stored = json.loads(VERSIONS.read_text())
    assert versions_now() == stored, "bump the version and run: python -m tests.engine.core.test_ids"


if __name__ == "__main__":
    VERSIONS.write_text(json.dumps(versions_now(), indent=1) + "\n")
