"""Every accident of a provider, staged by a real server, ends as the table in `faults` states; none breaks a run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from engine.core import ids, tokens
from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import BudgetscopeError, ProviderError
from engine.core.records import Attempt, Completion, Message, Price, Request
from engine.models import open_model
from engine.models.declared import ModelSpec
from engine.models.faults import ACCIDENTS, OUTCOMES
from engine.models.net import bounded
from engine.models.remote import RemoteModel
from engine.runs import journal, worker
from engine.runs.dispatcher import Dispatcher, Gate
from engine.runs.rate_limits import Retries
from engine.store.store import Store
from engine.study.schema import parse
from tests.support.faults import KINDS, Fault
from tests.support.provider import Provider, free_port, serving

KEY = "sk-planted-0123456789"
HURRY = Retries(attempts=2, limited_attempts=2, first_s=0)
STAGED = sorted(set(ACCIDENTS) - {"refused_connection"})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as one:
        # What the first call of a process loads would count towards the short time-outs below.
        asyncio.run(endpoint(one, timeout_s=120).complete(request()))
        yield one


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)


def endpoint(provider: Provider, timeout_s: float = 30, key: str | None = None) -> RemoteModel:
    declared = ModelSpec("m", provider.api_base, key, price=Price(3, 7), timeout_s=timeout_s)
    model = open_model("m", {"m": declared})
    assert isinstance(model, RemoteModel)
    return model


def patience(accident: str) -> float:
    """Seconds to wait for a reply."""
    return 0.3 if accident in ("hang", "drip") else 30


def request(text: str = "What is 2 + 3?", asked: int = 64) -> Request:
    bare = Request("m", (Message("user", text),), (("temperature", 0.7),), asked, 0, 0)
    return replace(bare, key=ids.request_key(bare), seed=7)


class Noted:
    """Outcomes in order."""

    def __init__(self) -> None:
        self.outcomes: list[Attempt] = []

    def intent(self, attempt: Attempt) -> None:
        """Not looked at here."""

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        self.outcomes.append(attempt)

    async def written(self) -> None:
        """Memory is written at once."""

    def sync(self) -> None:
        """Memory survives no machine."""


def bought(model: RemoteModel) -> tuple[Completion | BudgetscopeError, list[Attempt], Ceiling]:
    """One completion, with what was noted and booked."""
    notes, ceiling = Noted(), Ceiling(Limits())
    buyer = Dispatcher({"m": model}, Gate(ceiling), notes, HURRY)
    try:
        return asyncio.run(buyer.purchase(request())), notes.outcomes, ceiling
    except BudgetscopeError as error:
        return error, notes.outcomes, ceiling


def test_the_table_states_an_outcome_for_whatever_the_provider_can_stage() -> None:
    assert set(STAGED) == set(KINDS)
    # An outage is what we make of many accidents.
    assert {*ACCIDENTS.values(), "outage"} == set(OUTCOMES)


@pytest.mark.parametrize("accident", STAGED)
def test_every_accident_is_charged_and_tried_again_as_the_table_states(provider: Provider, accident: str) -> None:
    before, stated = len(provider.served), OUTCOMES[ACCIDENTS[accident]]
    provider.faults.append(Fault(accident))
    result, noted, ceiling = bought(endpoint(provider, patience(accident), "PLANTED_KEY"))
    first = noted[0]
    assert len(noted) == len(provider.served) - before == (2 if stated.retried else 1), "attempts, none of them hidden"
    assert isinstance(result, Completion) == (stated.retried or stated.end == "finished")
    outcomes = {"as told": "ok", "nothing": "failed", "by usage": "failed", "worst case": "in_doubt"}
    assert first.outcome == outcomes[stated.charged]
    assert ceiling.in_doubt.tokens == (first.reserved_tokens if stated.charged == "worst case" else 0)
    assert first.charged_tokens == _charge(stated.charged, first, result)
    assert (ceiling.overrun.tokens > 0) == (ACCIDENTS[accident] == "overrun")
    assert ceiling.in_flight == 0


UNBEGUN = {
    "429": "a rate is looked at before the work",
    "no_money": "so is an account",
    **dict.fromkeys(("400", "422", "413", "context", "policy"), "a request is looked at before the work"),
    **dict.fromkeys(("401", "403"), "so is a key"),
    **dict.fromkeys(("404", "redirect", "redirect_get"), "nobody is there to work"),
    "409": "a conflict says that this request was not taken up",
}
"""Accidents a provider bills nothing for, and why; after any other it may have sent its bill before it failed."""


def billed(accident: str) -> int:
    """Tokens a provider has billed for the request when it fails so: all that it generated, whatever it says."""
    extra = {"over_cap": 600}.get(accident, 0)
    return 0 if accident in UNBEGUN else 8 + 24 + extra


@pytest.mark.parametrize("accident", STAGED)
def test_a_provider_that_bills_before_it_fails_bills_no_more_than_is_booked(provider: Provider, accident: str) -> None:
    provider.faults.extend([Fault(accident)] * 2)
    _, noted, ceiling = bought(endpoint(provider, patience(accident)))
    provider.faults.clear()
    assert provider.served[-1].prompt_tokens + provider.served[-1].completion_tokens == 8 + 24
    assert ceiling.charged.tokens >= billed(accident) * len(noted)
    assert (ceiling.charged == Amount()) == (accident in UNBEGUN), "free is what was never begun, and nothing else"


@pytest.mark.parametrize("accident", ["500", "503", "529", "408", "cut", "page", "garbage", "unfinished"])
def test_half_the_replies_lost_after_they_were_billed_pass_no_ceiling(accident: str, provider: Provider) -> None:
    fault = Fault("finish", {"word": '"error"', "said": "half a"}) if accident == "unfinished" else Fault(accident)
    before = len(provider.served)
    provider.faults.extend([fault, None] * 40)
    ceiling = Ceiling(Limits(tokens=2_000))
    buyer = Dispatcher({"m": endpoint(provider)}, Gate(ceiling), Noted(), HURRY)

    async def all_of_them() -> None:
        await asyncio.gather(*(buyer.purchase(request(f"What is {n} + 3?")) for n in range(40)), return_exceptions=True)

    asyncio.run(all_of_them())
    provider.faults.clear()
    served = provider.served[before:]
    bill = sum(one.prompt_tokens + one.completion_tokens for one in served)
    assert len(served) > 10 and bill <= ceiling.charged.tokens <= 2_000


def _charge(charged: str, attempt: Attempt, result: object) -> int:
    if charged == "as told":
        assert isinstance(result, Completion)
        return result.usage.input_tokens + result.usage.output_tokens
    if charged == "by usage":
        return 8 + 24  # the prompt's words and four more, and what the provider said it had generated
    return 0 if charged == "nothing" else attempt.reserved_tokens


@pytest.mark.parametrize("accident", sorted(a for a, kind in ACCIDENTS.items() if OUTCOMES[kind].end != "finished"))
def test_every_error_is_one_printable_sentence_of_the_stated_kind_without_a_key(
    provider: Provider, accident: str
) -> None:
    if accident == "refused_connection":
        model = endpoint(Provider(url=f"http://127.0.0.1:{free_port()}"), key="PLANTED_KEY")
    else:
        provider.faults.append(Fault(accident, {"message": f"key {KEY} is bad", "to": f"/?key={KEY}"}))
        model = endpoint(provider, patience(accident), "PLANTED_KEY")
    with pytest.raises(ProviderError) as caught:
        asyncio.run(model.complete(request()))
    assert caught.value.kind == ACCIDENTS[accident]
    sentence = str(caught.value)
    assert sentence.isprintable() and sentence.endswith(".") and len(sentence) < 400
    assert KEY not in sentence and KEY[4:] not in sentence


@pytest.mark.parametrize("accident", sorted(a for a, kind in ACCIDENTS.items() if OUTCOMES[kind].end == "finished"))
def test_a_reply_that_is_kept_can_be_stored_and_says_what_was_estimated(provider: Provider, accident: str) -> None:
    provider.faults.append(Fault(accident))
    done = asyncio.run(endpoint(provider).complete(request()))
    for text in (done.text, done.model_reported or "", done.fingerprint or ""):
        assert text.encode("utf-8").decode("utf-8") == text
    if ACCIDENTS[accident] != "overrun":
        assert done.usage.estimated == (ACCIDENTS[accident] == "estimated")
    assert 0 < done.usage.output_tokens < 10**7


def test_a_whole_run_of_accidents_ends_every_trial_as_stated_and_hides_the_key(
    tmp_path: Path, provider: Provider
) -> None:
    good_first = sorted(STAGED, key=lambda accident: OUTCOMES[ACCIDENTS[accident]].end != "finished")
    # A good one after each, or so many doubtful outcomes in a row would be taken for an outage.
    rows = [
        {"question": f"What is {n} + {part}? {said}", "answer": f"{n + part}"}
        for n, a in enumerate(good_first)
        for part, said in ((3, f"[[fault:{a} size=1000000]]"), (4, ""))
    ]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = f"""
name = "accidents"
budgets = [100000000]
tasks = ["file:{tmp_path / "sums.jsonl"}"]
strategies = ["direct"]
[[models]]
name = "m"
api_base = "{provider.api_base}"
api_key_env = "PLANTED_KEY"
parallel = 16
timeout_s = 2
prices = {{input = 0.1, output = 0.1}}
[ceiling]
tokens = 1000000000
usd = 1000.0
"""
    run = worker.prepare(parse(text, "test"), tmp_path / "results.duckdb")
    ended = worker.run(run, lambda _: None, Retries(attempts=1, limited_attempts=1))
    assert ended.state == "finished"
    ends = stored_ends(tmp_path / "results.duckdb")
    assert ends == {accident: OUTCOMES[ACCIDENTS[accident]].end for accident in STAGED}
    kept = sum(OUTCOMES[ACCIDENTS[accident]].end == "finished" for accident in STAGED)
    assert len(journal.read(run.journal).completions) == kept + len(STAGED)
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert KEY.encode() not in path.read_bytes(), path


def stored_ends(db: Path) -> dict[str, str]:
    """How the trial of every accident ended."""
    store = Store(db)
    with store.reading() as connection:
        (condition,) = connection.execute("select distinct condition_id from trials").fetchone() or ("",)
    asked = ((trial.spec.question.problem.text, trial.end) for trial in store.trials(condition))
    return {text.split("[[fault:")[1].split()[0]: end for text, end in asked if "[[fault:" in text}


@pytest.mark.parametrize("accident", ["redirect", "redirect_get"])
def test_nothing_follows_a_redirect(provider: Provider, accident: str) -> None:
    with serving() as elsewhere:
        provider.faults.append(Fault(accident, {"to": f"{elsewhere.api_base}/chat/completions"}))
        with pytest.raises(ProviderError, match="api_base"):
            asyncio.run(endpoint(provider, key="PLANTED_KEY").complete(request()))
        assert elsewhere.served == []


@pytest.mark.parametrize("accident", ["redirect", "redirect_get"])
@pytest.mark.parametrize(
    ("name", "variable", "base"),
    [
        ("openai/gpt-4o-mini", "OPENAI", "/v1"),
        ("deepseek/deepseek-chat", "DEEPSEEK", "/v1"),
        ("groq/llama-3.1-8b-instant", "GROQ", "/v1"),
        ("anthropic/claude-3-haiku-20240307", "ANTHROPIC", ""),
    ],
)
def test_a_providers_own_route_follows_no_redirect(
    provider: Provider, accident: str, name: str, variable: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{variable}_API_KEY", KEY)
    monkeypatch.setenv(f"{variable}_API_BASE", f"{provider.url}{base}")
    before = len(provider.served)
    with serving() as elsewhere:
        provider.faults.append(Fault(accident, {"to": f"{elsewhere.api_base}/chat/completions"}))
        with pytest.raises(ProviderError, match="no prompt or key follows a redirect"):
            asyncio.run(open_model(name, {}).complete(request()))
        assert elsewhere.served == [] and len(provider.served) == before + 1
    provider.faults.clear()


def test_a_retry_after_that_is_a_date_is_read(provider: Provider) -> None:
    provider.faults.append(Fault("429", {"retry_after": formatdate(time.time() + 30, usegmt=True)}))
    with pytest.raises(ProviderError) as caught:
        asyncio.run(endpoint(provider).complete(request()))
    assert caught.value.retry_after_s is not None and 20 < caught.value.retry_after_s <= 30


def test_a_refusal_is_told_in_the_models_own_words(provider: Provider) -> None:
    provider.faults.append(Fault("refusal"))
    done = asyncio.run(endpoint(provider).complete(request()))
    assert (done.text, done.finish) == ("I cannot help with that.", "filter")


@pytest.mark.parametrize(
    ("name", "variable", "base"),
    [("openai/gpt-4o-mini", "OPENAI", "/v1"), ("deepseek/deepseek-chat", "DEEPSEEK", "/v1")],
)
def test_a_providers_own_route_hands_on_how_a_reply_ended(
    provider: Provider, name: str, variable: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{variable}_API_KEY", KEY)
    monkeypatch.setenv(f"{variable}_API_BASE", f"{provider.url}{base}")

    def ended(fault: Fault) -> tuple[str, str]:
        provider.faults.append(fault)
        done = asyncio.run(open_model(name, {}).complete(request()))
        return done.text, done.finish

    for word, finish in {'"stop"': "stop", '"content_filter"': "filter"}.items():
        assert ended(Fault("finish", {"word": word})) == ("", finish), word
    for word in ("null", '"abort"'):
        with pytest.raises(ProviderError) as caught:
            ended(Fault("finish", {"word": word}))
        assert caught.value.kind == "unfinished", word
    assert ended(Fault("refusal")) == ("I cannot help with that.", "filter")


@pytest.mark.parametrize("accident", ["long_text", "gzip_bomb"])
def test_no_reply_is_read_beyond_the_largest_size(
    provider: Provider, accident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 100_000)
    provider.faults.append(Fault(accident, {"size": "200000"}))
    with pytest.raises(ProviderError) as caught:
        asyncio.run(endpoint(provider).complete(request()))
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize("character", [" ", "\n", "a", "é", "\u0000"])
def test_a_text_of_one_character_a_hundred_thousand_times_is_counted(character: str) -> None:
    assert 0 < tokens.count(character * 100_000, "m") <= 200_000
