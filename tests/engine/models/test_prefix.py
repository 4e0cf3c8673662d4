"""Replies that are begun for the model: who goes on with them, what is sent, what is stored, and who needs it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from dashboard.data import queries, studies
from dashboard.data.studies import Form
from engine.cli import main
from engine.core.errors import UsageError
from engine.core.records import Call, Message, Prompt, Request, Trial
from engine.models import open_model
from engine.models.declared import ModelSpec
from engine.models.llama import running
from engine.models.local import LocalModel
from engine.models.remote import RemoteModel
from engine.models.replies import Expected, read
from engine.models.scripted import Script
from engine.models.settings import Settings
from engine.strategies import build, entries
from engine.strategies.budget_forcing import FORCED, WAIT
from engine.strategies.chain import CHAIN_TOKENS, chain_prompt
from engine.strategies.no_thinking import THOUGHT
from engine.study import schema
from engine.study.plan import plan
from tests import ROOT
from tests.dashboard.views.test_help import opened, words
from tests.support import stores
from tests.support.listed import listed_model
from tests.support.trials_on_paper import QUESTION, fixed, model, play

ASKED = Message("user", "What is 2 + 3? Think step by step.")
BEGUN = (
    "The answer",
    "Let me think. 2 + 3 is 5.\nWait",
    "trailing  ",
    "\n\nleading",
    "日本語 é 🙂",
    "so " * 40 + "and",
    "<think>\nOkay.\n</think>\n\nAnswer:",
)
"""Beginnings with white space at their ends, other scripts, marks, and some length."""
PREFIXED = {name for name, each in entries().items() if each.needs_prefix}


def begun(reply: str) -> Prompt:
    return (ASKED, Message("assistant", reply))


def request(messages: Prompt, asked: int = 8, seed: int = 1) -> Request:
    return Request("m", messages, (("temperature", 0.7),), asked, 0, 0, key="k", seed=seed)


# The bundled model


@pytest.fixture(scope="module")
def bundled() -> LocalModel:
    found = open_model("local/smollm2-135m", {})
    assert isinstance(found, LocalModel)
    return found


def test_the_bundled_model_goes_on_and_says_the_rest_alone(bundled: LocalModel) -> None:
    async def go() -> list[tuple[str, str, int, int, int]]:
        done = await asyncio.gather(*(bundled.complete(request(begun(text), asked=3)) for text in BEGUN))
        bounds = [await bundled.bound(begun(text)) for text in BEGUN]
        await bundled.close()
        return [
            (text, one.text, one.usage.output_tokens, one.usage.input_tokens, bound.tokens)
            for text, one, bound in zip(BEGUN, done, bounds, strict=True)
        ]

    for text, said, output, billed, bound in asyncio.run(go()):
        assert said and not said.startswith(text)
        assert output <= 3 and len(said) < 40
        assert billed == bound


def test_a_counting_goes_on_where_it_was_begun(bundled: LocalModel) -> None:
    counting = (Message("user", "Count from 1 to 9."), Message("assistant", "1, 2, 3, 4,"))

    async def go() -> str:
        done = await bundled.complete(request(counting, asked=4))
        await bundled.close()
        return done.text

    assert asyncio.run(go()).strip().startswith("5")


def test_a_llama_server_of_one_s_own_takes_the_words_and_its_echo_is_cut_off(bundled: LocalModel) -> None:
    server = running(bundled.path, bundled.served)
    os.environ["LLAMA_OF_ONES_OWN"] = server.key
    declared = ModelSpec("own", f"{server.url}/v1", "LLAMA_OF_ONES_OWN", bundled.served, continues=True)
    own = open_model("own", {"own": declared})

    async def go() -> tuple[str, str]:
        mine, theirs = await own.complete(request(begun(BEGUN[1]))), await bundled.complete(request(begun(BEGUN[1])))
        await own.close()
        await bundled.close()
        return mine.text, theirs.text

    mine, theirs = asyncio.run(go())
    assert mine == theirs and not mine.startswith(BEGUN[1])


def test_two_settings_of_the_bundled_model_run_side_by_side_on_one_server(bundled: LocalModel) -> None:
    told = ModelSpec("greedy", model="local/smollm2-135m", settings=Settings(top_k=1, repetition_penalty=1.3))
    greedy = open_model("greedy", {"greedy": told})
    assert isinstance(greedy, LocalModel)

    async def go() -> tuple[set[str], set[str]]:
        texts = []
        for each in (bundled, greedy):
            done = await asyncio.gather(*(each.complete(request((ASKED,), 12, seed)) for seed in range(4)))
            texts.append({one.text for one in done})
            await each.close()
        return texts[0], texts[1]

    sampled, same = asyncio.run(go())
    assert len(sampled) > 1 and len(same) == 1
    assert greedy._running is bundled._running


# What is sent, and what is stored


def sent(found: Any, messages: Prompt) -> dict[str, Any]:
    assert isinstance(found, RemoteModel)
    return found._sent(request(messages))


def test_an_endpoint_is_told_to_go_on_when_it_was_declared_to() -> None:
    for continues in (True, False, None):
        found = open_model("m", {"m": ModelSpec("m", "http://h/v1", continues=continues)})
        told = sent(found, begun("so"))
        assert found.continues is bool(continues)
        assert (told.get("continue_final_message"), told.get("add_generation_prompt")) == (
            (True, False) if continues else (None, None)
        )
        assert "continue_final_message" not in sent(found, (ASKED,))


def test_a_provider_gets_its_mark_where_litellm_knows_it_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "MISTRAL_API_KEY"):
        monkeypatch.setenv(name, "sk-never-sent-0123456789")
    claude, gpt = open_model("anthropic/claude-sonnet-4-5", {}), open_model("gpt-4o-mini", {})
    assert claude.continues and open_model(listed_model("mistral/", continues=True), {}).continues and not gpt.continues
    assert sent(claude, begun("so"))["messages"][-1] == {"role": "assistant", "content": "so", "prefix": True}
    assert "prefix" not in sent(gpt, begun("so"))["messages"][-1]
    assert all("prefix" not in turn for turn in sent(claude, (ASKED,))["messages"])


def test_claude_does_not_go_on_while_it_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-never-sent-0123456789")
    settings = Settings(thinking_tokens=2000, temperature=1.0)
    told = ModelSpec("c", model="anthropic/claude-sonnet-4-5", settings=settings, continues=True)
    assert not open_model("c", {"c": told}).continues


@pytest.mark.parametrize(
    ("messages", "said", "kept"),
    [
        (begun("one two"), "one two three", " three"),
        (begun("one two"), " three", " three"),
        (begun("one two"), "one two", ""),
        ((ASKED,), ASKED.content, ASKED.content),
    ],
)
def test_a_reply_is_stored_without_what_was_begun(messages: Prompt, said: str, kept: str) -> None:
    choice = {"message": {"content": said}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
    done = read({"choices": [choice], "usage": usage}, Expected(request(messages), 60, "m at h"))
    assert (done.text, done.usage.output_tokens) == (kept, 2)


def test_a_long_beginning_that_is_repeated_is_no_rubbish() -> None:
    """The size of what the server repeats must not be held against the few tokens it billed."""
    choice = {"message": {"content": "so " * 3000 + "A"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3050, "completion_tokens": 1, "total_tokens": 3051}
    expected = Expected(request(begun("so " * 3000)), 9100, "m at h")
    assert read({"choices": [choice], "usage": usage}, expected).text == "A"


# Who needs it


def planned(strategy: str, models: str) -> Any:
    text = (
        f'name = "s"\nbudgets = [64]\ntasks = [{{ name = "gym:chain_sum", questions = 1 }}]\n'
        f'strategies = ["{strategy}"]\n{models}'
    )
    return plan(schema.parse(text, "a study"), sends=False)


def test_strategies_that_begin_replies_say_so() -> None:
    assert {"budget_forcing", "no_thinking", "stop_when_settled"} == PREFIXED


@pytest.mark.parametrize("name", sorted(PREFIXED))
def test_a_plan_refuses_a_model_that_does_not_go_on(name: str) -> None:
    deaf = '[[models]]\nname = "scripted/adder"\n[[models]]\nname = "deaf"\nmodel = "scripted/noise"\ncontinues = false'
    with pytest.raises(UsageError, match=f"'{name}' begins replies .* 'deaf' does not .*continues = true") as caught:
        planned(name, deaf)
    assert "\n" not in str(caught.value)
    assert planned(name, '[[models]]\nname = "scripted/adder"').conditions
    assert planned("direct", deaf).conditions


# Budget forcing


def forcing(script: Script, waits: int = 1, budget: int = 99) -> Trial:
    return play(build("budget_forcing", {"waits": waits}), "calls", budget, model(script))


def by_turn(*replies: str) -> Script:
    """What the model says when its reply was begun with nothing, a wait, or the call for an answer."""

    def say(one: Request, rng: Any) -> str:
        last = one.messages[-1]
        if last.role == "user":
            return replies[0]
        return replies[2] if last.content.endswith(FORCED) else replies[1]

    return say


def prefix(call: Call) -> str | None:
    return call.messages[-1].content if call.messages[-1].role == "assistant" else None


def test_budget_forcing_shares_its_first_call_with_chain_of_thought() -> None:
    script = fixed("so Answer: A")
    first = forcing(script).calls[0]
    chain = play(build("chain_of_thought", {}), "calls", 9, model(script)).calls[0]
    assert (first.key, first.messages) == (chain.key, chain_prompt(QUESTION.problem))


def test_budget_forcing_waits_and_then_forces_an_answer() -> None:
    trial = forcing(by_turn("one Answer: A", ", no. Answer: B", " C"), waits=2)
    assert [prefix(call) for call in trial.calls] == [
        None,
        f"one Answer: A{WAIT}",
        f"one Answer: A{WAIT}, no. Answer: B{WAIT}",
        f"one Answer: A{WAIT}, no. Answer: B{WAIT}, no. Answer: B{FORCED}",
    ]
    assert [call.asked_tokens for call in trial.calls] == [CHAIN_TOKENS] * 3 + [32]
    assert [call.role for call in trial.calls] == ["solve"] * 3 + ["answer"]
    assert [mark.answer for mark in trial.marks] == ["A", "B", "C"]


def test_budget_forcing_stops_thinking_at_the_cap_and_answers() -> None:
    cut = " ".join(["so"] * 600)
    trial = forcing(by_turn(cut, "never", " C"), waits=3)
    assert [call.cut for call in trial.calls] == ["own", None] and trial.answer == "C"
    assert prefix(trial.calls[1]) == " ".join(["so"] * CHAIN_TOKENS) + FORCED


def test_budget_forcing_without_waits_only_forces() -> None:
    assert len(forcing(by_turn("one", "never", " C"), waits=0).calls) == 2
    with pytest.raises(UsageError, match="waits from 0 to"):
        build("budget_forcing", {"waits": -1})


def test_budget_forcing_keeps_an_earlier_answer_where_the_forced_line_has_none() -> None:
    assert forcing(by_turn("one Answer: A", "hm\nhm", "")).answer == "A"


def test_budget_forcing_reads_the_forced_line_as_an_answer() -> None:
    said = play(build("budget_forcing", {"waits": 0}), "calls", 9, model(by_turn("hm", "", " B for sure, not A")))
    assert said.answer == "B"


def test_an_empty_thought_is_begun_with_the_cue_alone() -> None:
    assert [prefix(call) for call in forcing(by_turn("", "", " C")).calls] == [None, "Wait", "Wait\nAnswer:"]


# NoThinking


def test_no_thinking_begins_every_sample_with_a_thought_that_is_over_and_votes() -> None:
    script = fixed("Answer: B", "Answer: A", "Answer: A")
    trial = play(build("no_thinking", {"samples": 3}), "calls", 9, model(script))
    assert {prefix(call) for call in trial.calls} == {THOUGHT} and len({call.key for call in trial.calls}) == 3
    assert [mark.answer for mark in trial.marks] == ["B", "A"]
    assert "step by step" not in trial.calls[0].messages[0].content


def test_no_thinking_draws_one_sample_unless_told_otherwise() -> None:
    assert len(play(build("no_thinking", {}), "calls", 9, model(fixed("Answer: A"))).calls) == 1


# Where it is said


def test_the_list_of_strategies_says_what_a_model_must_be_able_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strategies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [at for at, line in enumerate(lines) if "needs a model that continues a prefix" in line]
    assert {lines[at - 1].partition(":")[0] for at in told} == PREFIXED


def test_the_method_page_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.small(tmp_path / "results.duckdb")))
    assert "Needs a model that continues a prefix" in words(opened("help", strategy="budget_forcing"))
    assert "Needs a model that continues a prefix" not in words(opened("help", strategy="direct"))


def test_the_run_page_says_why_a_combination_is_refused() -> None:
    deaf = {"name": "deaf", "model": "scripted/noise", "continues": False}
    asked = Form("s", ("deaf",), (("no_thinking", {}),), ({"name": "gym:chain_sum"},), "64", tables={"deaf": deaf})
    assert "begins replies for the model, and 'deaf' does not" in (
        queries.expected(queries.state(), studies.text(asked)).fault or ""
    )


def test_the_example_study_of_thinking_runs_two_settings_of_one_model() -> None:
    found = plan(schema.load(ROOT / "examples" / "thinking.toml"))
    assert len(found.models) == 2 and len(found.conditions) == 2 * 2 * 7
    assert {condition.strategy for condition in found.conditions} >= PREFIXED
