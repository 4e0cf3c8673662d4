"""Study files: what they mean, and one clear sentence for whatever is wrong with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.budget import Limits
from engine.core.errors import BudgetscopeError, UnknownName, UsageError
from engine.core.records import Example, Price, Tier
from engine.study.schema import CEILING_TOKENS, Study, as_json, load, parse, with_ceiling

SMALL = """
name = "small"
budgets = [512, 32]
tasks = ["gym:chain_sum"]
models = ["scripted/adder"]
strategies = ["direct"]
"""


def changed(**values: str) -> str:
    """SMALL with top-level keys replaced by TOML source; an empty text takes the key away."""
    lines = [line for line in SMALL.strip().splitlines() if line.split(" ")[0] not in values]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in values.items() if value)])


def read(text: str) -> Study:
    return parse(text, "s.toml")


def complaint(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(text)
    return str(caught.value)


def test_a_small_study_gets_the_documented_defaults() -> None:
    study = read(SMALL)
    assert study.budget_axis == "output_tokens"
    assert study.budgets == (32, 512)
    assert study.repeats == 1
    assert study.ceiling == Limits(tokens=CEILING_TOKENS)
    assert study.tasks[0].questions is None
    assert study.models[0].price is None


def test_dollars_become_whole_pico_dollars() -> None:
    study = read(changed(budget_axis='"usd"', budgets="[0.1, 0.000000003, 2]"))
    assert study.budgets == (3_000, 100_000_000_000, 2_000_000_000_000)


def test_a_list_sweeps_over_every_combination() -> None:
    study = read(
        changed(strategies="") + '\n[[strategies]]\nname="self_consistency"\nsamples=[2,4]\nchain_tokens=[8,16,32]'
    )
    assert len(study.strategies) == 6
    assert {dict(choice.params)["samples"] for choice in study.strategies} == {2, 4}


def test_prices_are_pico_dollars_per_token() -> None:
    table = '[{name = "openai/x", prices = {input = 0.15, output = 0.6, cached = 0.075, as_of = 2026-01-31}}]'
    price = read(changed(models=table)).models[0].price
    assert price == Price(150_000, 600_000, 75_000, source="study", as_of="2026-01-31")


def test_a_price_may_have_thresholds_a_fee_and_dearer_reasoning() -> None:
    text = """
[[models]]
name = "m"
[models.prices]
input = 2.5
output = 15
reasoning = 20
request = 0.005
[[models.prices.tiers]]
above_input_tokens = 272000
input = 5
output = 22.5
cached = 0.5
"""
    (model,) = read(changed(models="") + text).models
    assert model.price == Price(
        2_500_000,
        15_000_000,
        source="study",
        reasoning_pusd=20_000_000,
        request_pusd=5 * 10**9,
        tiers=(Tier(272_000, 5_000_000, 22_500_000, 500_000),),
    )


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        ("[]", ("tiers", "at least one")),
        ("[{input=1, output=1}]", ("[[prices.tiers]] number 1", "above_input_tokens")),
        ("[{above_input_tokens=5, input=1}]", ("[[prices.tiers]] number 1", "output")),
        ("[{above_input_tokens=0, input=1, output=1}]", ("above_input_tokens", "from 1 to", "not 0")),
        ("[{above_input_tokens=5, input=1, outputs=1}]", ("outputs", "output")),
        (
            "[{above_input_tokens=9, input=1, output=1}, {above_input_tokens=9, input=2, output=2}]",
            ("[[prices.tiers]] number 2", "more than the 9 of the tier before", "not 9"),
        ),
    ],
)
def test_a_tier_of_a_price_that_cannot_be_is_said_with_its_place(tiers: str, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        read(changed(models=f'[{{name="m", prices={{input=1, output=1, tiers={tiers}}}}}]'))
    assert not [word for word in words if word not in str(caught.value)], str(caught.value)


def test_examples_of_the_study_go_to_tasks_without_their_own() -> None:
    tasks = '[{name="gym:gcd", examples=[{question="a", answer="b"}]}, "gym:lcm", {name="gym:products", shots=2}]'
    study = read(changed(tasks=tasks) + '\n[[examples]]\nquestion="1+1"\nreasoning="one and one"\nanswer="2"')
    assert study.tasks[0].examples == (Example("a", "b"),)
    assert study.tasks[1].examples == (Example("1+1", "2", "one and one"),)
    assert study.tasks[2].examples == ()


def test_relative_paths_start_at_the_study_and_survive_a_move(tmp_path: Path) -> None:
    (tmp_path / "here.toml").write_text(changed(tasks='["file:data/q.csv"]', models='[{name="mine", gguf="m.gguf"}]'))
    study = load(tmp_path / "here.toml")
    assert study.tasks[0].name == f"file:{tmp_path / 'data' / 'q.csv'}"
    assert study.models[0].gguf == str(tmp_path / "m.gguf")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "study.toml").write_text(study.text)
    assert load(elsewhere / "study.toml").tasks == study.tasks


def test_the_kept_text_reads_back_as_the_same_study(tmp_path: Path) -> None:
    (tmp_path / "here.toml").write_text(SMALL)
    study = load(tmp_path / "here.toml")
    assert parse(study.text, "copy.toml") == study


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed(budgets="[0]"), ("budgets", "s.toml", "from 1 to", "not 0")),
        (changed(budgets="[-5]"), ("budgets", "not -5")),
        (changed(budgets="[]"), ("budgets", "at least one entry; it is empty.")),
        (changed(models="[]"), ("models", "[[models]] tables); it is empty.")),
        (changed(name='" "'), ("name", "a text that is not empty; it is empty.")),
        (changed(budgets="[true]"), ("budgets", "whole number")),
        (changed(budgets="[1.5]"), ("budgets", "whole number")),
        (changed(budgets="[32, 32]"), ("budgets", "twice")),
        (changed(budgets="32"), ("budgets", "a list")),
        (changed(budgets=""), ("budgets", "missing")),
        (changed(budgets="[99999999999999999999]"), ("budgets", "from 1 to")),
        (changed(budgets="[" + "9" * 5000 + "]"), ("s.toml",)),
        (changed(budget_axis='"usd"', budgets="[nan]"), ("budgets", "not nan")),
        (changed(budget_axis='"usd"', budgets="[inf]"), ("budgets", "not inf")),
        (changed(budget_axis='"output_token"'), ("output_tokens",)),
        (changed(repeats="true"), ("repeats", "whole number")),
        (changed(repeats="0"), ("repeats", "from 1")),
        (changed(name='""'), ("name", "not empty")),
        (changed(name=""), ("no name",)),
        (changed(tasks="[]"), ("tasks", "at least one")),
        (changed(tasks='["gym:gcd", "gym:gcd"]'), ("gym:gcd", "2 times")),
        (changed(models='["a", "a"]'), ("model a", "2 times")),
        (changed(models="[3]"), ("Entry 1 of models",)),
        (changed(strategies='["direct", {name="direct", answer_tokens=32}]'), ("direct", "2 times")),
        (changed(strategies='["directt"]'), ("'direct'",)),
        (changed(strategies='[{name="self_consistency", sample=3}]'), ("'samples'", "self_consistency")),
        (changed(strategies='[{name="self_consistency", samples="3"}]'), ("samples", "int")),
        (changed(strategies='[{name="self_consistency", samples=[]}]'), ("samples", "at least one")),
        (changed(ceiling="{usd = -1}"), ("usd in [ceiling]", "not -1")),
        (changed(ceiling="{dollars = 1}"), ("[ceiling]", "dollars")),
        (changed(ceiling="5"), ("ceiling", "a table")),
        (changed(models='[{name="m", prices={input=1}}]'), ("prices", "input and output")),
        (changed(models='[{name="m", api_base="ftp://x"}]'), ("api_base", "http")),
        (changed(models='[{name="m", api_base="http://[::1"}]'), ("api_base", "http")),
        (
            changed(tasks='[{name="gym:gcd", shots=1, examples=[{question="q", answer="a"}]}]'),
            ("both shots and examples",),
        ),
        (changed(tasks='["file:~nobody-here/q.csv"]'), ("home folder",)),
        ("name = \nrepeats = 1", ("s.toml", "line 1, column 8")),
        ("a = [" * 5000, ("s.toml",)),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(text: str, words: tuple[str, ...]) -> None:
    sentence = complaint(text)
    assert "\n" not in sentence
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[[models]]\nname = "x"', "models is written both as models = ... (line 4) and as [[models]] (line 6)"),
        (
            '[[strategies]]\nname = "cot"',
            "strategies is written both as strategies = ... (line 5) and as [[strategies]]",
        ),
        ("[[tasks]]", "tasks is written both as tasks = ... (line 3) and as [[tasks]] (line 6)"),
        (
            "[models.prices]\ninput = 1",
            "models is written both as models = ... (line 4) and as [models.prices] (line 6)",
        ),
        (
            "ceiling = {usd = 1}\n[ceiling]",
            "ceiling is written both as ceiling = ... (line 6) and as [ceiling] (line 7)",
        ),
        (
            "ceiling.usd = 1\n[ceiling]",
            "ceiling is written both as ceiling.usd = ... (line 6) and as [ceiling] (line 7)",
        ),
        (
            "[ceiling]\ntokens = 1\n[[ceiling]]",
            "ceiling is written both as [ceiling] (line 6) and as [[ceiling]] (line 8)",
        ),
        ("[ceiling]\ntokens = 1\n[ceiling]", "[ceiling] stands twice, in lines 6 and 8; once is enough"),
        ("[ceiling]\nusd = 1\nusd = 2", "usd = ... stands twice, in lines 7 and 8; once is enough"),
        ('"name" = "b"', "name = ... stands twice, in lines 1 and 6; once is enough"),
        ("system = abc", "a text stands without quotes (at line 6, column 10)"),
        ("[ceiling", "the head of a table is not closed with ] (at end of document)"),
        ("[models", "models is written both as models = ... (line 4) and as [models] (line 6)"),
    ],
)
def test_what_is_written_twice_is_shown_in_both_its_forms_with_their_lines(more: str, says: str) -> None:
    sentence = complaint(SMALL.strip() + f"\n{more}")
    assert says in sentence and "s.toml" in sentence and "namespace" not in sentence


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        (changed(budget="[1]"), "budgets"),
        (changed(ceiling="{token = 5}"), "tokens"),
        (changed(tasks='[{name="gym:gcd", question=5}]'), "questions"),
        (changed(models='[{name="m", api_bse="x"}]'), "api_base"),
        (changed(models='[{name="m", prices={inputs=1, output=1}}]'), "input"),
    ],
)
def test_an_unknown_key_brings_its_table_and_the_nearest_key(text: str, nearest: str) -> None:
    with pytest.raises(UnknownName) as caught:
        read(text)
    assert caught.value.nearest == nearest
    assert "s.toml" in str(caught.value)


@pytest.mark.parametrize(
    "table",
    [
        '[{name="m", api_key="sk-SECRET"}]',
        '[{name="m", api_key_env="sk-SECRET"}]',
        '[{name="m", api_base="https://user:SECRET@host/v1"}]',
        '[{name="m", api_base="https://host/v1?key=SECRET"}]',
        '[{name="m", timeout_s="SECRET"}]',
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_never_shown(table: str) -> None:
    assert "SECRET" not in complaint(changed(models=table))


def test_a_missing_file_a_folder_and_bad_bytes_are_one_sentence_each(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b'name = "\xff"')
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "bad.toml"):
        with pytest.raises(UsageError) as caught:
            load(path)
        assert path.name in str(caught.value)


LONG = "9" * 400


@pytest.mark.parametrize("number", [LONG, f"-{LONG}", f"0x{'f' * 6_000}", "inf", "nan", "1e400"], ids=lambda n: n[:12])
@pytest.mark.parametrize(
    "text",
    [
        "budgets = [{}]",
        'budget_axis = "usd"\nbudgets = [{}]',
        "pool_max_age_days = {}",
        "repeats = {}",
        "ceiling = {{usd = {}}}",
        "ceiling = {{tokens = {}}}",
        'models = [{{name = "m", timeout_s = {}}}]',
        'models = [{{name = "m", prices = {{input = {}, output = 1}}}}]',
        'models = [{{name = "m", prices = {{input = 1, output = 1, as_of = {}}}}}]',
        'tasks = [{{name = "gym:gcd", seed = {}}}]',
        'strategies = [{{name = "self_consistency", samples = {}}}]',
        'strategies = [{{name = "self_consistency", temperature = {}}}]',
        "name = {}",
    ],
)
def test_a_number_beyond_all_bounds_is_one_short_sentence(text: str, number: str) -> None:
    keys = {line.split(" ")[0]: line.split(" = ", 1)[1] for line in text.format(number).splitlines()}
    sentence = complaint(changed(**keys))
    assert "\n" not in sentence and len(sentence) < 300


def test_a_study_may_open_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SMALL.lstrip(), encoding="utf-8-sig")
    assert load(tmp_path / "s.toml").name == "small"


def test_what_is_no_ordinary_file_is_never_read_as_a_study(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", Path("/dev/zero")):
        with pytest.raises(UsageError, match="cannot be read: it is not an ordinary file"):
            load(path)


def test_an_unknown_key_of_a_megabyte_is_a_short_sentence() -> None:
    assert len(complaint(f"{SMALL}{'k' * 1_000_000} = 1")) < 340
    assert len(complaint(changed(models=f'[{{name = "{"m" * 1_000_000}", api_bse = "x"}}]'))) < 300


def test_zero_and_minus_zero_are_one_condition() -> None:
    assert "stands 2 times" in complaint(changed(strategies='[{name = "self_consistency", temperature = [0.0, -0.0]}]'))


def test_the_stored_plan_is_json_and_says_what_was_asked() -> None:
    plan = json.loads(json.dumps(as_json(read(SMALL))))
    assert plan["budgets"] == [32, 512]
    assert plan["strategies"] == [{"name": "direct"}]
    assert plan["ceiling"]["tokens"] == CEILING_TOKENS


@pytest.mark.parametrize(
    "written",
    [
        "",
        "\n[ceiling]\ntokens = 7\nusd = 1.5",
        "\nceiling = {tokens = 7, usd = 1.5}",
        "\nceiling.tokens = 7\nceiling.usd = 1.5",
    ],
)
def test_a_new_ceiling_keeps_the_rest_of_the_study(written: str) -> None:
    before = read(SMALL + written)
    after = read(with_ceiling(SMALL + written, Limits(pusd=2 * 10**12)))
    assert after.ceiling == Limits(None, before.ceiling.tokens, 2 * 10**12)
    assert (after.tasks, after.models, after.strategies) == (before.tasks, before.models, before.strategies)


def test_a_ceiling_is_never_written_into_a_text_that_only_looks_like_one() -> None:
    text = f'system = """\n[ceiling]\ntokens = 5\n"""\n{SMALL}'
    try:
        after = read(with_ceiling(text, Limits(calls=3)))
    except UsageError:
        return
    assert after.system == read(text).system


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    key=st.sampled_from(["budgets", "tasks", "models", "strategies", "ceiling", "examples", "repeats", "system"]),
    value=values,
)
def test_no_value_of_any_key_breaks_the_reader(key: str, value: Any) -> None:
    try:
        study = read(changed(**{key: toml_of(value)}))
    except BudgetscopeError as error:
        assert "\n" not in str(error)
    else:
        json.dumps(as_json(study), allow_nan=False)


def toml_of(value: Any) -> str:
    """TOML source of a value; JSON's escapes are TOML's but for surrogates and DEL."""
    if value is None:
        return '"none"'
    if isinstance(value, list):
        return "[" + ", ".join(toml_of(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_of(key)} = {toml_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return json.dumps("".join(c for c in value if not "\ud800" <= c <= "\udfff"), ensure_ascii=False).replace(
            "\x7f", ""
        )
    return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")
