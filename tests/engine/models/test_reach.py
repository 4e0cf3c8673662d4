"""Where a page's session may send a request, and with which key: the server's owner decides, at every door."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data import access, runs
from engine.cli import main, serve
from engine.core.errors import ProviderError, UsageError
from engine.core.records import Message, Request
from engine.models import ModelSpec, open_model, reach
from engine.models.reach import Endpoint, Reach
from engine.runs.worker import prepare
from engine.study import schema
from tests.dashboard.data.test_runs import ended, gone
from tests.support.effort import cases
from tests.support.faults import Fault
from tests.support.provider import Provider, serving

SECRET = "the-value-that-must-stay-here"
AT_HOME, OUTSIDE = Reach(loopback=True), Reach(loopback=False)
STUDY = """name = "remote"
budgets = [24]
tasks = [{{ name = "gym:chain_sum", questions = 2 }}]
strategies = ["direct"]
[ceiling]
tokens = 20_000
[[models]]
name = "mine"
api_base = "{base}"
prices = {{ input = 0, output = 0 }}
{more}
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}-of-openai")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_BASE", raising=False)
    monkeypatch.delenv(reach.VARIABLE, raising=False)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


def held_to(limits: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in reach.variable(limits).items():
        monkeypatch.setenv(name, value)


def asked(spec: ModelSpec) -> Any:
    """What one call to a model comes to."""
    model = open_model(spec.name, {spec.name: spec})
    request = Request(model.setting.identity, (Message("user", "1 + 1"),), (), 16, 0, 0, "k1")

    async def once() -> Any:
        try:
            return await model.complete(request)
        finally:
            await model.close()

    return asyncio.run(once())


ADDRESSES = (
    "169.254.169.254",
    "10.0.0.5:8000",
    "192.168.1.4",
    "172.16.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "0",
    "2130706433",
    "2852039166",
    "0x7f.1",
    "0xA9FEA9FE",
    "017700000001",
    "0251.0376.0251.0376",
    "127.1",
    "[fd00::1]",
    "[fe80::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[fec0::1]",
    "[::7f00:1]",
    "[2002:a9fe:a9fe::1]",
    "[::]",
    "224.0.0.1",
    "255.255.255.255",
)


@pytest.mark.parametrize("at", ADDRESSES)
def test_no_page_asks_an_address_inside_a_network_in_any_spelling(at: str) -> None:
    spec = ModelSpec("mine", f"http://{at}/v1")
    with pytest.raises(UsageError, match="inside a network: the server's owner would have to .*--allow-endpoint"):
        reach.check_endpoint(spec, AT_HOME)
    listed = Reach(False, (Endpoint("lab", f"http://{at}/v1"),))
    assert not reach.check_endpoint(spec, listed), "unless the owner named it"


@pytest.mark.parametrize(
    "at",
    [
        "8.8.8.8.",
        "169.254.169.254.",
        "0000000010.0.0.1",
        "1.1",
        "127.\U0001f100\U0001f1001",
        "\u2113ocalhost",
        "mod\u00e8les.example",
        "127%2e0.0.1",
        "example..org",
    ],
)
def test_a_host_that_two_readers_may_read_in_two_ways_is_not_asked_from_a_page(at: str) -> None:
    """Where a look-up sees a name and a client an address, what was checked is not what is asked."""
    with pytest.raises(UsageError, match="no usual way to write a host"):
        reach.check_endpoint(ModelSpec("mine", f"http://{at}/v1"), AT_HOME)
    listed = Reach(False, (Endpoint("lab", f"http://{at}/v1"),))
    assert not reach.check_endpoint(ModelSpec("mine", f"http://{at}/v1"), listed), "unless the owner named it"


@cases(200)
@given(
    st.ip_addresses(v=4).filter(lambda ip: not ip.is_global), st.sampled_from(["{}", "{:d}", "0x{:x}", "[::ffff:{}]"])
)
def test_no_spelling_of_a_private_address_is_taken_for_a_public_one(ip: Any, spelling: str) -> None:
    written = spelling.format(ip if "{}" in spelling else int(ip))
    if written.startswith("127."):
        return
    with pytest.raises(UsageError):
        reach.check_endpoint(ModelSpec("mine", f"http://{written}:8000/v1"), AT_HOME)


@pytest.mark.parametrize("at", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "8.8.8.8", "Models.example.org."])
def test_a_server_on_loopback_asks_its_own_machine_and_the_public_without_a_key_alone(at: str) -> None:
    bare, keyed = ModelSpec("mine", f"http://{at}/v1"), ModelSpec("mine", f"http://{at}/v1", "MY_SECRET")
    assert reach.check_endpoint(bare, AT_HOME)
    with pytest.raises(UsageError, match=r"may not send MY_SECRET to .*--allow-endpoint 'mine=http://.*,MY_SECRET'"):
        reach.check_endpoint(keyed, AT_HOME)
    with pytest.raises(UsageError, match="by a dashboard that others can reach"):
        reach.check_endpoint(bare, OUTSIDE)


@pytest.mark.parametrize(
    ("url", "key", "allowed"),
    [
        ("https://api.openai.com/v1", "OPENAI_API_KEY", True),
        ("https://api.openai.com:443/v1", "OPENAI_API_KEY", True),
        ("http://api.openai.com/v1", "OPENAI_API_KEY", False),
        ("https://api.openai.com:8443/v1", "OPENAI_API_KEY", False),
        ("https://api.openai.com.example.org/v1", "OPENAI_API_KEY", False),
        ("https://api.groq.com/openai/v1", "OPENAI_API_KEY", False),
        ("https://api.groq.com/openai/v1", "GROQ_API_KEY", True),
        ("https://api.openai.com/v1", "MY_SECRET", False),
        ("https://api.openai.com/v1", "BUDGETSCOPE_LAUNCH_TOKEN", False),
        ("https://api.openai.com/v1", "PATH", False),
    ],
)
def test_a_providers_key_goes_to_its_own_hosts_alone(url: str, key: str, allowed: bool) -> None:
    spec = ModelSpec("mine", url, key)
    if allowed:
        assert not reach.check_endpoint(spec, OUTSIDE)
    else:
        with pytest.raises(UsageError, match=f"may not send {key}"):
            reach.check_endpoint(spec, AT_HOME)


def test_a_providers_key_follows_the_address_its_owner_gave_it_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://10.0.0.9:4000/v1")
    assert not reach.check_endpoint(ModelSpec("m", "http://10.0.0.9:4000/v1", "OPENAI_API_KEY"), OUTSIDE)
    with pytest.raises(UsageError):
        reach.check_endpoint(ModelSpec("m", "https://api.openai.com/v1", "OPENAI_API_KEY"), OUTSIDE)


def test_a_listed_endpoint_takes_its_own_key_at_its_own_path() -> None:
    limits = Reach(False, (Endpoint("lab", "http://10.0.0.5:8000/v1", "LAB_KEY"),))
    for url in ("http://10.0.0.5:8000/v1", "http://10.0.0.5:8000/v1/"):
        assert not reach.check_endpoint(ModelSpec("m", url, "LAB_KEY"), limits)
        assert not reach.check_endpoint(ModelSpec("m", url), limits)
    for url, key in (
        ("http://10.0.0.5:8000/v1", "MY_SECRET"),
        ("http://10.0.0.5:8001/v1", "LAB_KEY"),
        ("http://10.0.0.5:8000/admin", "LAB_KEY"),
        ("https://10.0.0.5:8000/v1", "LAB_KEY"),
    ):
        with pytest.raises(UsageError):
            reach.check_endpoint(ModelSpec("m", url, key), limits)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("huggingface/https://evil.example", None),
        ("baseten/x.evil.example/y", None),
        ("openai/gpt-4o-mini", "MY_SECRET"),
        ("openai/gpt-4o-mini", "GROQ_API_KEY"),
        ("groq/llama-3.1-8b-instant", "OPENAI_API_KEY"),
    ],
)
def test_no_name_of_a_model_leads_a_key_elsewhere(name: str, key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    held_to(AT_HOME, monkeypatch)
    with pytest.raises(UsageError, match="from the dashboard"):
        open_model("mine", {"mine": ModelSpec("mine", model=name, api_key_env=key)}, sends=False)


def test_the_owners_own_command_goes_anywhere(provider: Provider) -> None:
    done = asked(ModelSpec("mine", provider.api_base, "MY_SECRET"))
    assert done.text
    assert provider.served[0].headers["authorization"] == f"Bearer {SECRET}"


def test_a_process_of_a_page_is_held_to_what_its_owner_allows(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_to(AT_HOME, monkeypatch)
    with pytest.raises(UsageError, match="may not send MY_SECRET"):
        asked(ModelSpec("mine", provider.api_base, "MY_SECRET"))
    assert not provider.served
    assert asked(ModelSpec("mine", provider.api_base)).text
    assert SECRET not in json.dumps(provider.served[0].headers)
    held_to(Reach(True, (Endpoint("lab", provider.api_base, "MY_SECRET"),)), monkeypatch)
    assert asked(ModelSpec("mine", provider.api_base, "MY_SECRET")).text
    assert provider.served[1].headers["authorization"] == f"Bearer {SECRET}"


def test_limits_nobody_can_read_allow_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(reach.VARIABLE, "{")
    with pytest.raises(UsageError, match="unreadable"):
        open_model("m", {"m": ModelSpec("m", "http://localhost:1/v1")}, sends=False)


def test_no_redirect_is_followed(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    held_to(AT_HOME, monkeypatch)
    with serving() as other:
        for kind in ("redirect_get", "redirect"):
            provider.faults.append(Fault(kind, {"to": f"{other.api_base}/chat/completions"}))
            with pytest.raises(ProviderError):
                asked(ModelSpec("mine", provider.api_base))
        assert len(provider.served) == 2
        assert not other.served


def test_a_name_is_looked_up_once_and_asked_where_it_was_checked(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the second time (DNS rebinding) is not asked a second time."""
    held_to(AT_HOME, monkeypatch)
    looked_up, real = [], socket.getaddrinfo
    port = int(provider.url.rpartition(":")[2])

    def answers(name: Any, *args: Any, **more: Any) -> Any:
        if name not in ("model.example", b"model.example"):
            return real(name, *args, **more)
        if more.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        looked_up.append(name)
        return real("127.0.0.1" if len(looked_up) == 1 else "127.0.0.2", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    with pytest.raises(UsageError, match="inside a network"):
        asked(ModelSpec("mine", f"http://model.example:{port}/v1"))
    looked_up.clear()
    monkeypatch.setattr(reach, "_is_public", lambda address: address == "127.0.0.1")
    assert asked(ModelSpec("mine", f"http://model.example:{port}/v1")).text
    assert looked_up == ["model.example"]
    assert provider.served[0].headers["host"] == f"model.example:{port}"


def test_of_several_addresses_the_one_that_answers_is_asked(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where localhost is ::1 first, and the server listens on 127.0.0.1 alone."""
    held_to(AT_HOME, monkeypatch)
    real = socket.getaddrinfo

    def both(name: Any, port: Any, *args: Any, **more: Any) -> Any:
        names = ("127.0.0.9", "127.0.0.1") if name == "localhost" else (name,)
        return [found for each in names for found in real(each, port, *args, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    spec = ModelSpec("mine", provider.api_base.replace("127.0.0.1", "localhost"))
    model: Any = open_model("mine", {"mine": spec})
    assert model.addresses == ("127.0.0.9", "127.0.0.1")
    assert asyncio.run(model.probe()) is None
    assert asked(spec).text


@pytest.mark.parametrize(
    "key",
    [
        "sk_live_51HxxyABCD",
        "AKIAIOSFODNN7EXAMPLE",
        "a3f9b2c4d5e6f7a8b9c0d1e2f3a4b5c6",
        "QWxhZGRpbjpvcGVuIHNlc2Ft",
        "sk-x",
    ],
)
def test_a_key_in_the_place_of_its_variables_name_is_refused_and_not_repeated(key: str) -> None:
    study = STUDY.format(base="http://localhost:1/v1", more=f'api_key_env = "{key}"')
    with pytest.raises(UsageError, match="never a key") as refused:
        schema.parse(study, "s.toml")
    assert key not in str(refused.value)
    with pytest.raises(UsageError) as refused:
        reach.listed(f"lab=http://h/v1,{key}")
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["MY_KEY", "LAB_KEY_2026", "AZURE_OPENAI_KEY_EASTUS2_PROD", "GoogleGenerativeLanguageKey", "token"]
)
def test_what_people_call_their_variables_is_no_key(name: str) -> None:
    assert reach.listed(f"lab=http://h/v1,{name}").key == name


def page_study(provider: Provider, more: str = 'api_key_env = "MY_SECRET"') -> schema.Study:
    return schema.parse(STUDY.format(base=provider.api_base, more=more), "remote.toml")


DOORS = {
    "start": lambda study, db: runs.start(study, db),
    "pilot": lambda study, db: runs.pilot(study, db),
    "resume": lambda study, db: runs.resume(prepare(study, db)),
    "test a model": lambda study, db: runs.ask_once("mine", study.text, db),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_from_a_page_refuses_what_the_owner_did_not_list(
    door: str, provider: Provider, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="may not send MY_SECRET"):
        DOORS[door](page_study(provider), tmp_path / "r.duckdb")
    assert not provider.served
    assert not runs._children


def test_a_run_started_from_a_page_is_refused_by_its_own_process_too(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study whose file says something else once it was checked."""
    db = tmp_path / "r.duckdb"
    run = runs.start(page_study(provider, ""), db)
    ended(run)
    gone(run)
    assert provider.served, "without a key it goes"
    before = len(provider.served)
    monkeypatch.setattr(runs, "check_study", lambda *_: None)
    keyed = runs.start(page_study(provider, 'api_key_env = "MY_SECRET"\ntemperature = 0.5'), db)
    assert ended(keyed).state in ("new", "failed", "dead")
    gone(keyed)
    assert "may not send MY_SECRET" in runs.log_tail(keyed)
    assert len(provider.served) == before


def test_the_owner_lists_endpoints_on_the_command_line_and_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(serve, "serve", lambda db, host, port, wishes: given.update(wishes=wishes) or 0)
    (tmp_path / "e.toml").write_text('[[endpoints]]\nname = "gpu"\nurl = "http://10.0.0.6/v1"\n')
    listed = ["--allow-endpoint", "lab=http://10.0.0.5:8000/v1,LAB_KEY", "--allow-endpoints", str(tmp_path / "e.toml")]
    assert main(listed) == 0
    wanted = [Endpoint("lab", "http://10.0.0.5:8000/v1", "LAB_KEY"), Endpoint("gpu", "http://10.0.0.6/v1")]
    assert [*given["wishes"].endpoints] == wanted
    for wrong in ("lab", "=http://h", "lab=ftp://h", "lab=http://h/v1,", "lab=http://u:secretpass@h/v1"):
        assert main(["--allow-endpoint", wrong]) == 2
        assert "secretpass" not in capsys.readouterr().err
    passed = serve.environment(tmp_path / "r.duckdb", "0.0.0.0", serve.Wishes(endpoints=tuple(wanted)))
    monkeypatch.setenv(reach.VARIABLE, passed[reach.VARIABLE])
    assert access.limits() == Reach(False, tuple(wanted))
