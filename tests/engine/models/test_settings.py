"""Settings of a model: read from the study, part of its identity, sent as litellm maps them, refused where they would
be dropped, and reserved where they let a call think beyond its cap."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard.data import studies
from dashboard.data.studies import Form
from dashboard.text.transcript import call_line
from engine.cli import main
from engine.core.errors import UsageError
from engine.core.records import Message, Request
from engine.models import open_model
from engine.models.declared import ModelSpec
from engine.models.model import Model
from engine.models.remote import RemoteModel, _maps
from engine.models.settings import Settings, efforts, shown, to_provider
from engine.store.store import Store
from engine.study import schema
from engine.study.plan import plan
from engine.study.upper_bound import upper_bound
from tests.support.listed import listed_model
from tests.support.provider import Provider, serving
from tests.support.trials_on_paper import fixed, model, play

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY", "MISTRAL_API_KEY")
STUDY = """
name = "s"
budgets = [64]
strategies = ["{strategy}"]
tasks = [{{ name = "gym:chain_sum", questions = 1 }}]
[ceiling]
usd = 1
[[models]]
{model}
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as one:
        yield one


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, "sk-never-sent-0123456789")


def parsed(model: str, strategy: str = "direct") -> schema.Study:
    return schema.parse(STUDY.format(model=model, strategy=strategy), "a study")


def opened(name: str, model: str | None = None, **settings: Any) -> Model:
    return open_model(name, {name: ModelSpec(name, model=model, settings=Settings(**settings))})


def sent(found: Model, asked: int = 64, temperature: float = 0.7, last: Message | None = None) -> dict[str, Any]:
    assert isinstance(found, RemoteModel)
    messages = (Message("user", "2 + 2?"), *([last] if last else []))
    return found._sent(Request(found.setting.identity, messages, (("temperature", temperature),), asked, 0, 0))


# In a study


def test_every_setting_is_a_key_of_the_models_table() -> None:
    told = (
        'name = "m"\napi_base = "http://h/v1"\nreasoning_effort = "low"\ntemperature = 1\ntop_p = 0.9\n'
        "top_k = 20\nmin_p = 0.05\nrepetition_penalty = 1.1\ncontinues = true"
    )
    (found,) = parsed(told).models
    assert found.settings == Settings("low", None, 1.0, 0.9, 20, 0.05, 1.1) and found.continues is True
    assert schema.as_json(parsed(told))["models"] == [
        {"name": "m", "api_base": "http://h/v1", "continues": True, **found.settings.given}
    ]


def test_a_model_without_settings_is_stored_and_named_as_ever() -> None:
    (found,) = parsed('name = "scripted/adder"').models
    assert found == ModelSpec("scripted/adder")
    assert schema.as_json(parsed('name = "scripted/adder"'))["models"] == [{"name": "scripted/adder"}]
    assert open_model("scripted/adder", {}).setting.identity == "scripted/adder@1"


@pytest.mark.parametrize(
    "wrong",
    [
        'reasoning_effort = "hgih"',
        "thinking_tokens = 0",
        "temperature = 3",
        "temperature = -1",
        "top_p = 0",
        "top_p = 1.5",
        "top_k = 0",
        "top_k = 1.5",
        "min_p = 2",
        "repetition_penalty = 0",
        "top_p = true",
        'reasoning_effort = "low"\nthinking_tokens = 2000',
        'continues = "yes"',
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_name(wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong.split()[0]) as caught:
        parsed(f'name = "m"\napi_base = "http://h/v1"\n{wrong}')
    assert "\n" not in str(caught.value)


def test_one_model_at_two_settings_is_two_models() -> None:
    two = parsed(
        'name = "local/smollm2-135m"\n[[models]]\nname = "local/smollm2-135m greedy"\n'
        'model = "local/smollm2-135m"\ntemperature = 0'
    )
    plain, greedy = (condition.solver for condition in plan(two).conditions)
    assert greedy.identity == f"{plain.identity}{{temperature=0.0}}"
    assert shown(plain.identity) == "local/smollm2-135m" and shown(greedy.identity).endswith(" {temperature=0.0}")


def test_the_same_settings_twice_are_the_same_model() -> None:
    twins = parsed(
        'name = "a"\nmodel = "local/smollm2-135m"\ntop_p = 1\n[[models]]\nname = "b"\n'
        'model = "local/smollm2-135m"\ntop_p = 1.0'
    )
    with pytest.raises(UsageError, match="are the same model"):
        plan(twins)


def test_a_scripted_model_has_no_settings_and_a_local_one_does_not_reason() -> None:
    with pytest.raises(UsageError, match="top_k of model 'scripted/adder'"):
        opened("scripted/adder", top_k=1)
    with pytest.raises(UsageError, match="repetition_penalty, so reasoning_effort"):
        opened("local/smollm2-135m", reasoning_effort="low")


# What an OpenAI-compatible endpoint gets


def endpoint(provider: Provider, continues: bool | None = None, **settings: Any) -> RemoteModel:
    told = ModelSpec("m", provider.api_base, continues=continues, settings=Settings(**settings))
    found = open_model("m", {"m": told})
    assert isinstance(found, RemoteModel)
    return found


def test_an_endpoint_gets_its_settings_with_every_request(provider: Provider) -> None:
    wanted: dict[str, Any] = {
        "reasoning_effort": "low",
        "top_p": 0.9,
        "top_k": 20,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
    }
    found = endpoint(provider, **wanted)
    for seed in (1, 2):
        messages = (Message("user", "2 + 2?"),)
        one = Request(found.setting.identity, messages, (("temperature", 0.7),), 64, 0, 0, key="k", seed=seed)
        asyncio.run(found.complete(one))
        body = provider.served[-1].body
        assert {name: body.get(name) for name in wanted} == wanted
        assert (body["max_tokens"], body["temperature"], body["seed"]) == (64, 0.7, seed)
    assert found.setting.identity.endswith(
        "{reasoning_effort=low,top_p=0.9,top_k=20,min_p=0.05,repetition_penalty=1.1}"
    )


def test_an_endpoint_without_settings_gets_none(provider: Provider) -> None:
    found = endpoint(provider)
    assert set(sent(found)) == {
        "model",
        "messages",
        "max_tokens",
        "timeout",
        "max_retries",
        "num_retries",
        "temperature",
        "seed",
        "api_base",
        "api_key",
    }
    assert "{" not in found.setting.identity


def test_an_endpoint_has_no_word_for_a_thinking_budget(provider: Provider) -> None:
    with pytest.raises(UsageError, match=r"'m' takes no budget of thinking_tokens; it takes reasoning_effort none, "):
        endpoint(provider, thinking_tokens=2000)


def test_a_temperature_of_the_model_stands_in_for_the_strategy_s() -> None:
    solver = model(fixed("Answer: A"))
    solver.temperature = 1.0
    trial = play(_strategy("self_consistency"), "calls", 9, solver)
    assert {dict(one.params)["temperature"] for one in solver.served} == {1.0}
    assert trial.answer == "A"


def test_at_a_temperature_of_zero_a_deterministic_model_has_one_draw() -> None:
    solver = model(fixed("Answer: A", "Answer: B"), one_draw_at_zero=True)
    solver.temperature = 0.0
    play(_strategy("self_consistency"), "calls", 9, solver)
    assert len(solver.served) == 1


# What providers make of them, by litellm's own mapping; nothing is sent


def mapped(found: Model, **more: Any) -> dict[str, Any]:
    """The body litellm would make of what we hand it."""
    assert isinstance(found, RemoteModel)
    name, _, bare = found.route.partition("/")
    body = _maps(name, bare)({**found.sends, **more})
    assert body is not None
    return dict(body)


def test_openai_s_reasoning_models_get_the_word_itself() -> None:
    found = opened("o3 low", "openai/o3-mini", reasoning_effort="low", temperature=1.0)
    assert found.setting.identity == "openai/o3-mini{reasoning_effort=low,temperature=1.0}"
    assert mapped(found, temperature=1.0)["reasoning_effort"] == "low" and found.thinking_tokens == 0
    assert sent(found)["reasoning_effort"] == "low"
    assert found.setting.price == opened("o3", "openai/o3-mini", temperature=1.0).setting.price is not None


def test_claude_gets_a_budget_that_comes_on_top_of_each_cap() -> None:
    by_effort = opened("c", "anthropic/claude-sonnet-4-5", reasoning_effort="low", temperature=1.0)
    by_tokens = opened("c", "anthropic/claude-sonnet-4-5", thinking_tokens=1500, temperature=1.0)
    assert mapped(by_effort)["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert mapped(by_tokens)["thinking"] == {"type": "enabled", "budget_tokens": 1500}
    assert (by_effort.thinking_tokens, by_tokens.thinking_tokens) == (1024, 1500)


def test_gemini_gets_a_thinking_budget() -> None:
    found = opened("g", "gemini/gemini-2.5-flash", thinking_tokens=600)
    assert mapped(found)["thinkingConfig"]["thinkingBudget"] == 600 == found.thinking_tokens


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("openai/gpt-4o-mini", {"reasoning_effort": "low"}, "'x' takes no reasoning_effort"),
        ("openai/gpt-4o-mini", {"thinking_tokens": 2000}, "takes no budget of thinking_tokens; it has no thinking"),
        ("openai/o3-mini", {"thinking_tokens": 2000}, "thinking_tokens; it takes reasoning_effort .*low.* instead"),
        ("openai/o3-mini", {"reasoning_effort": "low"}, "takes temperature 1 alone .*set temperature = 1"),
        ("openai/o3-mini", {"temperature": 1.0, "top_p": 0.5}, "takes no top_p"),
        ("openai/gpt-5-mini", {"reasoning_effort": "xhigh", "temperature": 1.0}, "low, medium and high, not xhigh"),
        ("anthropic/claude-sonnet-4-5", {"reasoning_effort": "low"}, "thinks at temperature 1 alone"),
        ("anthropic/claude-sonnet-4-5", {"thinking_tokens": 100, "temperature": 1.0}, "from 1,024, not 100"),
        ("anthropic/claude-sonnet-4-5", {"thinking_tokens": 2000, "temperature": 1.0, "top_p": 0.9}, "no top_p while"),
        ("deepseek/deepseek-reasoner", {"thinking_tokens": 2000}, "takes no budget of thinking_tokens"),
        ("gemini/gemini-3-pro-preview", {"thinking_tokens": 2000}, "takes no budget of thinking_tokens"),
        ("gemini/gemini-2.5-flash", {"top_k": 5}, "top_k of model 'x' is taken by OpenAI-compatible endpoints"),
    ],
)
def test_what_would_be_dropped_changed_or_rejected_is_refused(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        opened("x", name, **settings)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def on_or_off(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """A provider that thinks or does not, and drops whatever else it is told of thinking."""
    effort = params.get("reasoning_effort")
    return {} if effort is None else {"thinking": {"type": "disabled" if effort == "none" else "enabled"}}


def test_levels_a_provider_does_not_tell_apart_count_once() -> None:
    assert efforts(on_or_off) == ("none", "high")
    with pytest.raises(UsageError, match="none and high .*apart.*, not low"):
        to_provider("x", "m", Settings("low"), on_or_off)
    assert efforts(_maps("openai", "gpt-4o-mini")) == ()
    assert set(efforts(_maps("hosted_vllm", "m"))) == {"none", "minimal", "low", "medium", "high", "xhigh"}


def test_a_listed_model_that_does_not_reason_takes_no_effort() -> None:
    name = listed_model("mistral/", reasons=False)
    with pytest.raises(UsageError, match="takes no reasoning_effort"):
        opened("x", name, reasoning_effort="high")


# Thinking on top of a cap, within walls and ceilings


def thinker(tokens: int) -> Any:
    solver = model(fixed(" ".join(["so"] * 20) + " Answer: A"))
    solver.thinking_tokens = tokens
    return solver


def test_the_thinking_budget_is_sent_reserved_and_walled_with_the_cap() -> None:
    found = opened("c", "anthropic/claude-sonnet-4-5", thinking_tokens=1500, temperature=1.0)
    short = replace(_strategy("direct"), answer_tokens=3)
    cut, whole = (play(short, "output_tokens", 99, thinker(tokens)) for tokens in (0, 30))
    assert [cut.calls[0].asked_tokens, cut.calls[0].cut, cut.answer] == [3, "own", None]
    assert [whole.calls[0].asked_tokens, whole.calls[0].cut, whole.answer] == [33, None, "A"]
    walled = play(short, "output_tokens", 10, thinker(30))
    assert walled.end == "exhausted" and sum(call.spend.output_tokens for call in walled.calls) == 10
    assert sent(found, asked=3 + found.thinking_tokens)["max_tokens"] == 1503


def test_the_estimate_knows_what_a_model_may_think() -> None:
    plain = plan(parsed('name = "x"\nmodel = "anthropic/claude-sonnet-4-5"\ntemperature = 1'), sends=False)
    deep = plan(
        parsed('name = "x"\nmodel = "anthropic/claude-sonnet-4-5"\ntemperature = 1\nthinking_tokens = 2000'),
        sends=False,
    )
    few, many = (upper_bound(each).total.output_tokens for each in (plain, deep))
    assert many == few + 2000


def test_reported_reasoning_is_stored_with_each_call_and_shown(provider: Provider, tmp_path: Path) -> None:
    """Hidden reasoning is part of the output that walls and bills count, and kept apart beside it."""
    (tmp_path / "q.csv").write_text("question,answer\nWhat is 2 + 3? [[fault:details]],5\n", encoding="utf-8")
    text = STUDY.format(
        strategy="direct",
        model=f'name = "m"\napi_base = "{provider.api_base}"\n'
        'reasoning_effort = "low"\nprices = { input = 1, output = 1 }',
    )
    text = text.replace('"gym:chain_sum", questions = 1', f'"file:{tmp_path / "q.csv"}"')
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    db = tmp_path / "r.duckdb"
    assert main(["run", str(tmp_path / "s.toml"), "--db", str(db)]) == 0
    (condition,) = plan(schema.load(tmp_path / "s.toml")).conditions
    (trial,) = Store(db).trials(condition.condition_id)
    assert provider.served[-1].body["reasoning_effort"] == "low"
    assert trial.calls[0].spend.reasoning_tokens == 2 == trial.spends[0].spend.reasoning_tokens
    assert trial.calls[0].spend.output_tokens == provider.served[-1].completion_tokens
    assert "2 hidden reasoning" in call_line(trial.calls[0])
    assert call_line(trial.calls[0]).startswith("openai/m {reasoning_effort=low} · ")


def _strategy(name: str) -> Any:
    from engine.strategies import build

    return build(name, {})


def test_the_form_takes_settings_as_they_are_typed_and_gives_them_back() -> None:
    table = {"name": "greedy", "model": "local/smollm2-135m", **studies.settings("temperature = 0, top_k=1")}
    asked = Form("s", ("greedy",), (("direct", {}),), ({"name": "gym:chain_sum"},), "64", tables={"greedy": table})
    (found,) = studies.checked(asked).models
    assert found.settings == Settings(temperature=0.0, top_k=1) and studies.model_table(found) == table
    assert studies.settings("reasoning_effort = 'low', continues = true") == {
        "reasoning_effort": "low",
        "continues": True,
    }


@pytest.mark.parametrize("typed", ["colour = red", 'a" = 1\n[x]', "top_k", "= 3"])
def test_settings_nobody_knows_end_in_the_engine_s_own_sentence(typed: str) -> None:
    table = {"name": "m", "model": "local/smollm2-135m", **studies.settings(typed)}
    with pytest.raises(UsageError, match="this study"):
        studies.checked(Form("s", ("m",), (("direct", {}),), ({"name": "gym:chain_sum"},), "64", tables={"m": table}))
