"""Remote models against a real HTTP server that misbehaves in every way we know."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from engine.core.errors import ContextOverflow, InDoubt, ProviderError, UnknownName, UsageError
from engine.core.records import Completion, Message, Price, Request
from engine.models import open_model
from engine.models.declared import ModelSpec
from engine.models.faults import retry_after_s
from engine.models.net.keys import redacted
from engine.models.remote import RemoteModel
from tests.support.children import spawned
from tests.support.faults import Fault
from tests.support.provider import Provider, free_port, serving

KEY = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as one:
        yield one


def endpoint(provider: Provider, **more: object) -> RemoteModel:
    declared = ModelSpec("m1", api_base=provider.api_base, model="m", **more)  # type: ignore[arg-type]
    model = open_model("m1", {"m1": declared})
    assert isinstance(model, RemoteModel)
    return model


def request(text: str = "What is 2 + 3?", asked: int = 64, seed: int = 7, stop: str | None = None) -> Request:
    params: list[tuple[str, str | int | float | bool]] = [("temperature", 0.7)]
    if stop:
        params.insert(0, ("stop", stop))
    return Request("openai/m", (Message("user", text),), tuple(params), asked, 0, 0, key="k", seed=seed)


def asked(model: RemoteModel, one: Request) -> Completion:
    return asyncio.run(model.complete(one))


def failure(provider: Provider, fault: str, **more: object) -> ProviderError:
    before = len(provider.served)
    with pytest.raises(ProviderError) as caught:
        asked(endpoint(provider, **more), request(f"2 + 2? [[fault:{fault}]]"))
    assert len(provider.served) == before + 1, "a hidden retry"
    assert "\n" not in str(caught.value) and "/site-packages/" not in str(caught.value)
    return caught.value


def test_a_good_reply_becomes_a_completion(provider: Provider) -> None:
    done = asked(endpoint(provider), request())
    assert done.finish == "stop" and "answer is" in done.text and done.key == "k"
    assert done.usage.output_tokens == len(done.text.split(" ")) + 1
    assert (done.usage.cached_tokens, done.usage.reasoning_tokens, done.usage.cache_write_tokens) == (None, None, None)
    assert not done.usage.estimated and done.provider_cost_pusd is None
    assert done.model_reported == "m" and done.fingerprint == "fp_provider"


def test_what_is_sent_is_exactly_what_was_asked(provider: Provider) -> None:
    asked(endpoint(provider), request(stop='["\\n\\n","END"]'))
    body = provider.served[-1].body
    assert body["max_tokens"] == 64 and body["seed"] == 7 and body["temperature"] == 0.7
    assert body["stop"] == ["\n\n", "END"] and "n" not in body
    assert provider.served[-1].headers["authorization"] == "Bearer none"


def test_the_same_seed_gives_the_same_text_and_another_seed_another(provider: Provider) -> None:
    model = endpoint(provider)
    assert asked(model, request()).text == asked(model, request()).text
    assert asked(model, request()).text != asked(model, request(seed=8)).text


def test_a_reply_cut_at_the_cap_says_length(provider: Provider) -> None:
    done = asked(endpoint(provider), request(asked=3))
    assert done.finish == "length" and done.usage.output_tokens == 3


def test_cached_written_and_reasoning_tokens_are_kept_apart(provider: Provider) -> None:
    usage = asked(endpoint(provider), request("1 + 1 [[fault:details]]")).usage
    assert (usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (3, 2, 2)


@pytest.mark.parametrize("fault", ["no_usage", "null_usage"])
def test_a_silent_provider_is_estimated_from_the_bound_and_our_own_count(provider: Provider, fault: str) -> None:
    model, one = endpoint(provider), request(f"1 + 1 [[fault:{fault}]]")
    done = asked(model, one)
    assert done.usage.estimated and done.usage.output_tokens >= 1
    assert done.usage.input_tokens == asyncio.run(model.bound(one.messages)).tokens


def test_no_content_is_an_empty_text(provider: Provider) -> None:
    assert asked(endpoint(provider), request("1 + 1 [[fault:null_content]]")).text == ""


def test_more_tokens_than_the_cap_are_recorded_as_they_are(provider: Provider) -> None:
    assert asked(endpoint(provider), request("1 + 1 [[fault:over_cap]]")).usage.output_tokens > 600


def test_another_model_name_in_the_reply_is_told(provider: Provider) -> None:
    assert asked(endpoint(provider), request("1 + 1 [[fault:other_model]]")).model_reported == "somebody-else"


def test_a_cost_in_the_reply_is_kept_to_the_pico_dollar(provider: Provider) -> None:
    assert asked(endpoint(provider), request("1 [[fault:cost cost=0.00012345]]")).provider_cost_pusd == 123_450_000


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", "rate_limit"),
        ("500", "server"),
        ("502", "server"),
        ("503", "server"),
        ("400", "refused"),
        ("401", "refused"),
        ("404", "refused"),
        ("policy", "refused"),
        ("bad_json", "malformed"),
        ("not_object", "malformed"),
        ("empty_choices", "malformed"),
        ("number_content", "malformed"),
        ("finish", "unfinished"),
        ("text_usage", "malformed"),
        ("negative_usage", "malformed"),
        ("huge_usage", "malformed"),
        ("context", "context"),
    ],
)
def test_each_accident_has_one_kind(provider: Provider, fault: str, kind: str) -> None:
    error = failure(provider, fault)
    assert error.kind == kind
    assert not isinstance(error, InDoubt)
    assert str(error).endswith(".") and "m at 127.0.0.1" in str(error)
    assert isinstance(error, ContextOverflow) == (kind == "context")


@pytest.mark.parametrize("fault", ["cut", "cut_body"])
def test_a_connection_cut_after_sending_is_in_doubt(provider: Provider, fault: str) -> None:
    error = failure(provider, fault)
    assert isinstance(error, InDoubt) and error.kind == "in_doubt"


def test_a_reply_that_never_comes_is_in_doubt(provider: Provider) -> None:
    error = failure(provider, "hang", timeout_s=0.3)
    assert isinstance(error, InDoubt) and "timed out" in str(error)


def test_a_refused_connection_was_never_sent() -> None:
    gone = Provider(url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ProviderError, match="is the server running") as caught:
        asked(endpoint(gone), request())
    assert caught.value.kind == "connection" and not isinstance(caught.value, InDoubt)


def test_an_unknown_host_was_never_sent() -> None:
    with pytest.raises(ProviderError) as caught:
        asked(endpoint(Provider(url="http://no-such-host.invalid")), request())
    assert caught.value.kind == "connection"


def test_retry_after_is_handed_on_in_seconds(provider: Provider) -> None:
    assert [failure(provider, f).retry_after_s for f in ("429 retry_after=7", "429")] == [7.0, None]


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    now = time.time()
    assert retry_after_s({"Retry-After": "2.5"}) == 2.5
    assert retry_after_s({"retry-after": formatdate(int(now) + 30, usegmt=True)}, now=int(now)) == 30
    assert retry_after_s({"retry-after": formatdate(0, usegmt=True)}) == 0
    assert retry_after_s({"retry-after": "soon"}) is None and retry_after_s({}) is None


def test_an_empty_purse_is_not_worth_a_retry(provider: Provider) -> None:
    provider.faults.append(Fault("429", {"message": "insufficient_quota"}))
    with pytest.raises(ProviderError) as caught:
        asked(endpoint(provider), request())
    assert caught.value.kind == "refused"


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_ENDPOINT_KEY", KEY)
    with serving(key=KEY) as strict:
        assert asked(endpoint(strict, api_key_env="MY_ENDPOINT_KEY"), request()).text
    with serving(key="another") as strict, pytest.raises(ProviderError) as caught:
        asked(endpoint(strict, api_key_env="MY_ENDPOINT_KEY"), request())
    assert caught.value.kind == "refused" and KEY not in str(caught.value) and "secret" not in str(caught.value)
    assert KEY not in repr(endpoint(Provider(url="http://h"), api_key_env="MY_ENDPOINT_KEY"))


def test_what_looks_like_a_key_is_blotted_out() -> None:
    shown = redacted("bad key sk-abcdef123456 for Bearer abcdefgh, api_key=hunter2x", None)
    assert not re.search("abcdef|hunter", shown)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(UsageError, match="NO_SUCH_KEY"):
        endpoint(Provider(url="http://h"), api_key_env="NO_SUCH_KEY")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        open_model("openai/gpt-4o-mini", {})


def test_a_name_no_provider_knows_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="gpt-4o-mini"):
        open_model("gpt-4o-mimi", {})
    with pytest.raises(UnknownName, match="local/smollm2-135m"):
        open_model("local/smollm", {})


def test_a_provider_model_has_its_price_and_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    model, claude = open_model("gpt-4o-mini", {}), open_model("anthropic/claude-sonnet-4-5", {})
    assert model.setting.identity == "openai/gpt-4o-mini" and model.context_tokens == 128_000
    assert model.setting.price is not None and model.setting.price.input_pusd == 150_000
    assert isinstance(claude, RemoteModel) and not claude.seeded
    assert "seed" not in claude._sent(request())


def test_a_provider_that_wants_a_login_is_refused() -> None:
    with pytest.raises(UsageError, match="login"):
        open_model("github_copilot/gpt-4o", {})


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("http://LocalHost:8000/v1/", "openai/m@localhost:8000/v1"),
        ("https://api.example.org:443/v1", "openai/m@api.example.org/v1"),
        ("http://[::1]:8080", "openai/m@[::1]:8080"),
    ],
)
def test_identity_is_name_host_and_path(url: str, identity: str) -> None:
    declared = ModelSpec("x", api_base=url, model="m", price=Price(1, 2))
    model = open_model("x", {"x": declared})
    assert model.setting.identity == identity and model.setting.price == Price(1, 2)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:pw@host/v1",
        "http://host/v1?key=1",
        "http://host/v1#x",
        "ftp://host/v1",
        "host:8000",
        "file:///etc",
        "http://",
        "http://host:99999/v1",
    ],
)
def test_an_endpoint_that_could_carry_a_secret_or_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="api_base") as caught:
        open_model("x", {"x": ModelSpec("x", api_base=url)})
    assert "pw" not in str(caught.value)


def test_a_report_above_the_bound_raises_the_allowance_for_good(provider: Provider) -> None:
    model, messages = endpoint(provider), request().messages
    before = asyncio.run(model.bound(messages)).tokens
    model.learn(messages, before + 10)
    assert asyncio.run(model.bound(messages)).tokens == before + 10
    model.learn(messages, 1)
    assert asyncio.run(model.bound(messages)).tokens == before + 10


def test_many_calls_run_at_once(provider: Provider) -> None:
    with serving(latency_s=0.2) as slow:
        model = endpoint(slow)

        async def flood() -> list[Completion]:
            return list(await asyncio.gather(*(model.complete(request(seed=seed)) for seed in range(8))))

        assert len({done.text for done in asyncio.run(flood())}) > 1
        assert slow.most_in_flight == 8


def test_a_model_that_reuses_no_connection_says_so(provider: Provider) -> None:
    model = endpoint(provider)
    model.reuse = False
    asked(model, request())
    assert provider.served[-1].headers["connection"] == "close"


def test_probing_names_an_unreachable_endpoint_and_says_nothing_of_a_good_one(provider: Provider) -> None:
    before = len(provider.served)
    assert asyncio.run(endpoint(provider).probe()) is None
    gone = asyncio.run(endpoint(Provider(url=f"http://127.0.0.1:{free_port()}")).probe())
    assert gone is not None and "cannot be reached" in gone and "m at 127.0.0.1" in gone
    assert len(provider.served) == before


def test_the_provider_runs_as_a_process_of_its_own_and_keeps_a_log(tmp_path: Path) -> None:
    log = tmp_path / "served.jsonl"
    command = [sys.executable, "-m", "tests.support.provider", "--port", "0", "--log", str(log)]
    with spawned(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        model = open_model("x", {"x": ModelSpec("x", api_base=base, model="m")})
        done = asyncio.run(model.complete(request()))
        process.terminate()
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["completion_tokens"] for row in rows] == [done.usage.output_tokens]
