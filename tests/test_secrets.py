"""A key goes into requests and nowhere else: not into files, tables, exports, logs, addresses or pages."""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as texts
from streamlit import config
from streamlit.runtime.secrets import Secrets
from streamlit.testing.v1 import AppTest

from dashboard.data import access, queries, runs, studies
from dashboard.text import exports
from engine.cli import main
from engine.models.net.keys import at_hand, redacted
from engine.models.reach import Endpoint, Reach
from engine.store import schema
from engine.store.store import Store
from engine.study import schema as study
from tests import ROOT
from tests.dashboard.data.test_runs import ended, gone
from tests.support.faults import Fault
from tests.support.pages import run_page, shown_bytes
from tests.support.provider import Provider, serving

IN_ENVIRONMENT, IN_SECRETS = "Zq7planted9in4environment", "Wx3planted8in5secrets"
"""No pattern gives them away: only their value does."""
ECHOES = ("400", "500", "429", "404", "401")
STUDY = """name = "remote"
budgets = [24, 96]
tasks = [{{ name = "gym:chain_sum", questions = 6 }}]
strategies = ["direct", "chain_of_thought"]
[ceiling]
tokens = 200_000
usd = 1.0
[[models]]
name = "mine"
api_base = "{base}"
api_key_env = "{variable}"
prices = {{ input = 0.1, output = 0.2 }}
"""


@dataclass
class Scene:
    """What a study with planted keys left behind."""

    db: Path
    run: str
    folder: Path

    def page(self, view: str, **query: str) -> AppTest:
        app = run_page(view, **query)
        assert not app.exception, app.exception[0].value
        return app


def echoing(provider: Provider, key: str) -> None:
    """A server that repeats the key wherever a reply has room for it."""
    told = {"message": f"not for {key} said twice {key}", "retry_after": "0"}
    provider.faults.extend([*(Fault(kind, told) for kind in ECHOES), None, None])
    answer = provider.answer

    def repeating(served: Any) -> tuple[Fault | None, dict[str, Any]]:
        fault, reply = answer(served)
        reply["model"] = f"model of {key}"
        reply["system_fingerprint"] = key
        reply["choices"][0]["message"]["content"] += f" You sent Bearer {key}." + "".join(
            f" {told}" for told in told_as(key)
        )
        reply["usage"][key] = 1
        return fault, reply

    provider.__dict__["answer"] = repeating


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A run started by the dashboard with a key from secrets.toml, at a server that repeats it."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "secrets.toml").write_text(f'PLANTED_SECRET = "{IN_SECRETS}"\n[nested]\npassword = "{IN_SECRETS}"\n')
    with pytest.MonkeyPatch.context() as patch, serving(key=IN_SECRETS) as provider:
        patch.setenv("PLANTED_KEY", IN_ENVIRONMENT)
        patch.setenv("BUDGETSCOPE_DB", str(folder / "results.duckdb"))
        patch.delenv("BUDGETSCOPE_LAUNCH_TOKEN", raising=False)
        patch.setattr(st, "secrets", Secrets())
        files = config.get_option("secrets.files")
        config.set_option("secrets.files", [str(folder / "secrets.toml")])
        echoing(provider, IN_SECRETS)
        listed = Reach(True, (Endpoint("mine", provider.api_base, "PLANTED_SECRET"),))
        patch.setattr(access, "limits", lambda: listed)
        yield Scene(folder / "results.duckdb", _run(folder / "results.duckdb", provider), folder)
        st.secrets._reset()
        config.set_option("secrets.files", files)


def _run(db: Path, provider: Provider) -> str:
    asked = study.parse(STUDY.format(base=provider.api_base, variable="PLANTED_SECRET"), "remote.toml")
    run = runs.start(asked, db)
    now = ended(run)
    gone(run)
    assert now.ends.get("failed") and now.ends.get("finished"), (now, runs.log_tail(run))
    return run.run_id


def told_as(key: str) -> tuple[str, ...]:
    """A key, and some codes of it."""
    raw = key.encode()
    return key, key[::-1], raw.hex(), base64.b64encode(raw).decode(), base64.b85encode(raw).decode(), "\n".join(key)


def clean(content: bytes | str) -> bool:
    """Whether neither key is in it."""
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return not any(told.encode() in raw for key in (IN_ENVIRONMENT, IN_SECRETS) for told in told_as(key))


def test_a_key_from_secrets_reaches_the_run_and_the_form_knows_its_name_alone(scene: Scene) -> None:
    assert "needs a key" not in runs.log_tail(runs.find(scene.db, scene.run))
    assert access.run_environment()["PLANTED_SECRET"] == IN_SECRETS
    assert "password" not in access.run_environment()
    assert clean(repr(studies.keys_present(access.run_environment())))


def test_no_file_of_the_run_or_the_database_holds_a_key(scene: Scene) -> None:
    files = [path for path in scene.folder.rglob("*") if path.is_file() and path.name != "secrets.toml"]
    assert {"results.duckdb", "journal.jsonl", "log.txt", "status.json", "study.toml"} <= {path.name for path in files}
    assert [str(path) for path in files if not clean(path.read_bytes())] == []


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_no_export_of_any_table_holds_a_key(scene: Scene, form: str, tmp_path: Path) -> None:
    # A key in a table would be in every form of it; what providers said is looked for in all three.
    for table in schema.TABLES if form == "csv" else ("attempts", "completions", "runs", "trials"):
        path = tmp_path / f"{table}.{form}"
        Store(scene.db).export(path, form, table)  # type: ignore[arg-type]
        raw = pl.read_parquet(path).write_ndjson() if form == "parquet" else path.read_text()
        assert clean(raw), table
    told = pl.read_csv(tmp_path / "attempts.csv")["error"].drop_nulls().to_list() if form == "csv" else ["[key]"]
    assert any("[key]" in error for error in told), "the providers' own words were kept, without the key"


@pytest.mark.parametrize("view", ["explore", "budgets", "answers", "runs"])
def test_no_page_or_address_holds_a_key(scene: Scene, view: str) -> None:
    condition = queries.conditions(queries.state())["condition_id"].to_list()[0]
    asked = {"answers": {"condition": condition, "budget": "96"}, "runs": {"run": scene.run}}
    for query in ({}, asked.get(view, {})):
        sent = shown_bytes(scene.page(view, **query))
        assert clean(sent)
        assert len(sent) > 2_000


def test_no_transcript_or_table_of_the_dashboard_holds_a_key(scene: Scene) -> None:
    trials = pl.read_ndjson(_exported(scene, "trials"))
    for trial in trials["trial_id"].to_list()[:6]:
        frame = queries.results(queries.state().path).transcript(trial)
        assert clean(exports.as_csv(frame.drop(*[n for n, k in frame.schema.items() if k.is_nested()])))
        assert clean(frame.write_json())


def _exported(scene: Scene, table: str) -> Path:
    path = scene.folder / f"{table}.export.jsonl"
    Store(scene.db).export(path, "jsonl", table)
    return path


@pytest.mark.parametrize(
    "verb", [["runs", "--json"], ["report"], ["report", "--json"], ["doctor", "--json"], ["models"]]
)
def test_no_report_holds_a_key(scene: Scene, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*verb, "--db", str(scene.db)])
    told = capsys.readouterr()
    assert clean(told.out + told.err)
    assert told.out


def test_the_terminal_never_shows_a_key(tmp_path: Path) -> None:
    """Also when every call is refused by a provider that repeats what it was sent, and tracebacks are asked for."""
    with serving(key="another") as provider:
        (tmp_path / "s.toml").write_text(STUDY.format(base=provider.api_base, variable="PLANTED_KEY"))
        environment = {**os.environ, "PLANTED_KEY": IN_ENVIRONMENT, "LITELLM_LOG": "ERROR"}
        command = [sys.executable, "-m", "engine", "run", "s.toml", "--db", "r.duckdb", "--debug"]
        environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 4), done.stderr
    assert clean(done.stdout + done.stderr)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and not clean(path.read_bytes())] == []


@pytest.mark.parametrize("content", [None, "broken = ", 'ODD = "\\u0000"\n'], ids=["missing", "broken", "odd"])
def test_missing_or_odd_secrets_neither_warn_nor_stop_anything(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "secrets.toml").write_text(content)
    files = config.get_option("secrets.files")
    monkeypatch.setattr(st, "secrets", Secrets())
    config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    try:
        given = access.run_environment()
    finally:
        config.set_option("secrets.files", files)
    assert "ODD" not in given
    assert "".join(capsys.readouterr()) == ""


KEY = "Zq7/J+w9=PLANTed-KeyPart"


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        "Zq7%2FJ%2Bw9%3DPLANTed-KeyPart",
        "Zq7%2fJ%2bw9%3dPLANTed-KeyPart",
        "".join(f"%{ord(letter):02x}" for letter in KEY),
        "".join(f"%{ord(letter):02X}" for letter in KEY),
        r"Zq7\/J+w9=PLANTed-KeyPart",
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"Bearer {KEY}".encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"ab{KEY} and more".encode()).decode(),
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
        KEY[::-1],
        # Some letters escaped and others not, in either case, once or twice.
        "Zq7%2fJ%2Bw9%3dPLANTed%2DKeyPart",
        "Zq7%252FJ%252Bw9%253DPLANTed-KeyPart",
        r"Zq7\u002fJ\u002Bw9=PLANTed\x2dKeyPart",
        "Zq7&#47;J&#x2B;w9&#061;PLANTed-KeyPart",
        "".join(f"{ord(letter):02x}" if at % 3 else f"{ord(letter):02X}" for at, letter in enumerate(KEY)),
        ":".join(f"{ord(letter):02x}" for letter in KEY),
        ", ".join(f"0x{ord(letter):02X}" for letter in KEY),
        "Zq7&sol;J&plus;w9&equals;PLANTed-KeyPart",
        # In pieces, as lines are wrapped.
        *(
            KEY[:9] + between + KEY[9:]
            for between in ("\n", "\r\n    ", "=\n", "\\\n", r"\n", r"\r\n", "<br>", "\u200b")
        ),
        # In codes that few servers have a use for.
        base64.b32encode(f"Bearer {KEY}".encode()).decode(),
        base64.b32encode(KEY.encode()).decode().lower().rstrip("="),
        *(
            code(f"{'x' * n}{KEY} and".encode()).decode()
            for code in (base64.b85encode, base64.a85encode)
            for n in range(4)
        ),
        base64.b64encode(base64.b64encode(f"Bearer {KEY}".encode())).decode(),
        base64.b64encode(KEY.encode())[::-1].decode(),
        base64.b64encode(KEY.lower().encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode("utf-16-le")).decode().rstrip("="),
        KEY.encode().hex()[::-1],
        base64.b64encode(KEY.encode().hex().upper().encode()).decode(),
        codecs.encode(KEY, "rot13"),
        KEY.upper(),
        KEY.lower(),
        # Letter by letter.
        "".join(f"\\{ord(letter):03o}" for letter in KEY),
        "".join(f"\\x{ord(letter):02x}" for letter in KEY),
        "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        "".join(f"\\U{ord(letter):08x}" for letter in KEY),
        "".join(f"\\u{{{ord(letter):x}}}" for letter in KEY),
        "".join(f"&#{ord(letter)};" for letter in KEY),
        "".join(f"&#x{ord(letter):x};" for letter in KEY),
        "".join(f"={ord(letter):02X}" if at % 3 else letter for at, letter in enumerate(KEY)),
        "Zq7\\57J\\053w9\\u{3d}PLANTed-KeyPart",
        str([ord(letter) for letter in KEY]),
        " ".join(f"{ord(letter):08b}" for letter in KEY),
        "\0".join(KEY),
        "\\u0000".join(KEY),
        "', '".join(KEY),
        "".join(chr(ord(letter) + 0xFEE0) for letter in KEY),
        "\n".join(KEY),
        "Zq7%2FJ%2B\nw9%3DPLANTed-KeyPart",
        "\n".join(re.findall(".{1,20}", base64.b64encode(f"Bearer {KEY}".encode()).decode())),
    ],
)
def test_a_key_is_blotted_out_in_every_form_it_travels_in(said: str) -> None:
    shown = redacted(f"bad key {said} given", KEY)
    assert shown.startswith("bad key") and "[key]" in shown
    # At most the few letters at either end that base64 mixes with the text beside the key are left.
    left = shown.removeprefix("bad key ").removesuffix(" given").replace("[key]", " ").split()
    assert all(said.startswith(part) or said.endswith(part) for part in left)
    assert all(len(part) <= 14 for part in left)
    assert redacted("%41 &#65; 00:11:22:33:44:55:66:77 stays", KEY) == "%41 &#65; 00:11:22:33:44:55:66:77 stays"
    for as_ascii in (False, True):
        assert_a_glance_misses_nothing(json.dumps({"id": 7, "said": [f"a {said} b", "%"]}, ensure_ascii=as_ascii))


def assert_a_glance_misses_nothing(body: str) -> None:
    keys = at_hand(KEY)
    sent = json.loads(body)
    assert keys.within(sent) == sent or keys.may_lie_in(body)


@given(
    texts.recursive(
        texts.text()
        | texts.text('Zq7/J+w9=PLANTed-KyP"\\\n%&#x;<br> 025FB3D', max_size=60)
        | texts.just(KEY)
        | texts.none(),
        lambda inner: (
            texts.lists(inner, max_size=4) | texts.dictionaries(texts.just(KEY) | texts.text(), inner, max_size=4)
        ),
    ),
    texts.booleans(),
)
def test_a_body_is_left_as_it_is_only_where_no_key_lies_in_it(sent: object, as_ascii: bool) -> None:
    assert_a_glance_misses_nothing(json.dumps(sent, ensure_ascii=as_ascii))


def test_most_bodies_are_seen_at_a_glance_to_hold_no_key() -> None:
    body = json.dumps({"choices": [{"message": {"content": 'So 3 + 4 = 7.\nAnswer: "7", 20%'}}], "model": "a/b"})
    assert not at_hand(KEY).may_lie_in(body)
    assert at_hand(KEY).may_lie_in(body.replace("So", KEY))


@given(
    texts.binary(max_size=7),
    texts.text("abcXYZ019+/=-_", min_size=16, max_size=40).filter(lambda key: len(set(key)) > 5),
    texts.binary(max_size=7),
    texts.sampled_from((base64.b64encode, base64.b32encode, base64.b85encode, base64.a85encode)),
)
def test_no_code_hides_a_key_whatever_stands_around_it(
    before: bytes, key: str, after: bytes, code: Callable[[bytes], bytes]
) -> None:
    assert "[key]" in redacted(code(before + key.encode() + after).decode(), key)


def test_what_is_no_key_stays_in_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of words or of few letters, and short ones, are what people set where no key is needed."""
    for name, value in {
        "A_KEY": "ollama",
        "B_KEY": "0000000000000000",
        "C_KEY": "sk-xxxxxxxxxxxxxxxxxxxx",
        "D_KEY": "your-openai-api-key",
        "SOME_TOKEN": "not-needed",
    }.items():
        monkeypatch.setenv(name, value)
    keys = at_hand(KEY)
    answer = (
        "Ask ollama, set your OpenAI API key, not-needed; 0000000000000000 is zero, sk-xxxxxxxxxxxxxxxxxxxx a dummy. "
        "\\frac{1}{2} &amp; 100%25 = 3D; Zq7 J w9 is a part of one; 5a 71 37 2f are four bytes."
    )
    assert keys.without(answer) == answer
    assert keys.without("I was given your-openai-api-key.") == "I was given [key]."
    # Of a sentence of ours the doubtful goes, but no word that only begins as keys do.
    assert redacted("at ollama, or-greater, greater-than-or-equal-to, hf-transfer", None) == (
        "at [key], or-greater, greater-than-or-equal-to, hf-transfer"
    )
    assert "[key]" in redacted("Incorrect API key: sk-proj-****abcd", None)


def test_a_long_answer_is_looked_through_in_no_time() -> None:
    """However many keys there are, and whatever is in it: by windows of it, and not form by form."""
    with pytest.MonkeyPatch.context() as patch:
        for at in range(8):
            patch.setenv(f"N{at}_API_KEY", "sk-proj-" + base64.b64encode(hashlib.sha256(bytes([at])).digest()).decode())
        keys = at_hand(KEY)
    prose = "The shop has 17 boxes of \\frac{3}{4} dozen eggs & sells 20% of them. " * 1500
    keys.without(prose)
    began = time.process_time()
    assert keys.without(prose) == prose
    assert time.process_time() - began < 0.1
    assert keys.without(f"{prose}{KEY}{prose}") == f"{prose}[key]{prose}"
