"""Several addresses of one model: evenly loaded, failing over, one identity, and held to be one model."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.core.errors import ProviderError, UsageError
from engine.models import open_model
from engine.models.net.replicas import REST_S, Replicas
from engine.models.remote import RemoteModel
from engine.runs import worker
from engine.runs.rate_limits import Retries
from engine.store.store import Store
from engine.study.schema import load, parse
from tests import ROOT
from tests.engine.models.test_endpoints import declared
from tests.engine.models.test_faults import request
from tests.engine.runs.test_journal import completion
from tests.support.provider import Provider, serving


@pytest.fixture
def two() -> Iterator[tuple[Provider, Provider]]:
    with serving(latency_s=0.01) as one, serving(latency_s=0.01) as other:
        yield one, other


def nobody() -> str:
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def opened(*bases: str) -> RemoteModel:
    listed = ", ".join(f'"{base}"' for base in bases)
    model = open_model("m", {"m": declared(f"api_base = [{listed}]")})
    assert isinstance(model, RemoteModel)
    return model


def renamed(name: str) -> Any:
    def bends(reply: dict[str, Any], _: int) -> None:
        reply["model"] = name

    return bends


async def asked(model: RemoteModel, times: int) -> list[object]:
    calls = (model.complete(request(f"What is {n} + 3?")) for n in range(times))
    replies = await asyncio.gather(*calls, return_exceptions=True)
    await model.close()
    return list(replies)


def test_calls_are_spread_evenly_and_each_reply_says_who_gave_it(two: tuple[Provider, Provider]) -> None:
    replies = asyncio.run(asked(opened(two[0].api_base, two[1].api_base), 20))
    assert [len(each.served) for each in two] == [10, 10]
    by = [getattr(reply, "answered_by") for reply in replies]  # noqa: B009
    assert sorted(set(by)) == sorted(each.api_base.removeprefix("http://") for each in two)


def test_the_identity_is_that_of_the_first_address_alone(two: tuple[Provider, Provider]) -> None:
    alone = open_model("m", {"m": declared(f'api_base = "{two[0].api_base}"')})
    assert opened(two[0].api_base, two[1].api_base).setting.identity == alone.setting.identity


def test_a_run_goes_on_while_one_of_the_addresses_is_down_and_stores_who_answered(
    two: tuple[Provider, Provider], tmp_path: Path
) -> None:
    text = f"""
name = "cluster"
budgets = [200]
strategies = ["direct"]
[[models]]
name = "m"
api_base = ["{nobody()}", "{two[0].api_base}"]
prices = {{ input = 0, output = 0 }}
[[tasks]]
name = "gym:chain_sum"
questions = 8
"""
    db = tmp_path / "results.duckdb"
    status = worker.run(worker.prepare(parse(text, "test"), db), lambda _: None, Retries(first_s=0))
    assert (status.state, status.done) == ("finished", 8)
    with Store(db).reading() as connection:
        by = connection.execute("select distinct answered_by from completions").fetchall()
    assert by == [(two[0].api_base.removeprefix("http://"),)]


def test_an_address_that_reports_another_model_is_refused_and_asked_no_more(two: tuple[Provider, Provider]) -> None:
    two[0].bends, two[1].bends = renamed("a"), renamed("b")
    model = opened(two[0].api_base, two[1].api_base)

    async def one_by_one() -> list[object]:
        said: list[object] = []
        for n in range(6):
            try:
                said.append((await model.complete(request(f"What is {n} + 3?"))).model_reported)
            except ProviderError as error:
                said.append(error)
        await model.close()
        return said

    said = asyncio.run(one_by_one())
    errors = [each for each in said if isinstance(each, ProviderError)]
    assert [each for each in said if isinstance(each, str)] == ["a"] * 5
    assert len(errors) == 1
    assert "reports the model 'b'" in str(errors[0])
    # It answered, so what it took is charged.
    assert errors[0].usage is not None
    assert len(two[1].served) == 1


def test_an_address_that_could_not_be_reached_rests_and_then_is_tried_again() -> None:
    now = [0.0]
    replicas = Replicas(("http://a/v1", "http://b/v1"), lambda: now[0])
    with pytest.raises(aiohttp.ClientConnectionError), replicas.taken() as first:
        raise aiohttp.ClientConnectionError("refused")
    taken = []
    for _ in range(3):
        with replicas.taken() as url:
            taken.append(url)
    assert first == "http://a/v1"
    assert taken == ["http://b/v1"] * 3
    now[0] = REST_S
    with replicas.taken() as url:
        assert url == "http://a/v1"


def test_who_answered_first_elsewhere_is_the_measure_and_what_was_refused_by_another_is_asked_again() -> None:
    replicas = Replicas(("http://a/v1", "http://b/v1"))
    answer = completion("k", "4")
    of_b = replace(answer, model_reported="b")
    assert replicas.checked("http://b/v1", of_b).answered_by == "b/v1"
    with pytest.raises(ProviderError, match="a/v1 reports the model 'a' and b/v1 'b'"):
        replicas.checked("http://a/v1", replace(answer, model_reported="a"))
    # Another machine of the same run heard from the first address before.
    replicas.adopt(("a/v1", "a", None))
    assert replicas.checked("http://a/v1", replace(answer, model_reported="a", fingerprint=None)).text == "4"
    with replicas.taken() as first, replicas.taken() as second:
        assert {first, second} == {"http://a/v1", "http://b/v1"}
    with pytest.raises(ProviderError, match="b/v1 reports the model 'b' and a/v1 'a'"):
        replicas.held(replace(of_b, answered_by="b/v1"))


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        # The one that was the measure becomes another while a second one goes on as it was.
        (("a:m", "b:m", "a:x", "b:m", "b:m"), "ab-bb"),
        (("a:m", "a:x", "b:m", "a:x", "b:m"), "aab-b"),
        # All of them are started anew, one behind the other.
        (("a:m", "b:m", "a:x", "b:x", "a:x", "b:x"), "ab-bab"),
        # One alone says what it likes.
        (("a:m", "a:x", "a:y"), "aaa"),
        (("a:m", "b:x", "a:m", "b:x"), "a-a-"),
    ],
)
def test_an_address_that_becomes_another_is_the_odd_one_whoever_answered_first(
    said: tuple[str, ...], taken: str
) -> None:
    replicas = Replicas(("http://a/v1", "http://b/v1"))
    got = ""
    for who, model in (each.split(":") for each in said):
        try:
            replicas.checked(f"http://{who}/v1", replace(completion("k", "4"), model_reported=model))
            got += who
        except ProviderError:
            got += "-"
    assert got == taken


def test_of_several_calls_at_once_each_goes_where_fewest_are() -> None:
    replicas = Replicas(("http://a/v1", "http://b/v1", "http://c/v1"))
    with replicas.taken() as one, replicas.taken() as two, replicas.taken() as three:
        assert {one, two, three} == {"http://a/v1", "http://b/v1", "http://c/v1"}


def test_the_example_of_a_cluster_names_two_addresses() -> None:
    (model,) = load(ROOT / "examples" / "cluster.toml").models
    assert (model.api_base, len(model.replicas)) == ("http://127.0.0.1:8001/v1", 1)


def test_an_address_named_twice_or_none_at_all_is_one_sentence() -> None:
    for bases, why in (('["http://a/v1", "http://a/v1/"]', "twice"), ("[]", "at least one"), ("[1]", "api_base")):
        with pytest.raises(UsageError, match=why):
            declared(f"api_base = {bases}")
