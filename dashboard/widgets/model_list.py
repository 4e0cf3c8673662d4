"""Who is asked: a row for each model with what it costs and whether it is ready, and ways to add one.

A model is known by its name; a price and a context come from the map that litellm ships, read without importing it. Of
a key only the name of its variable is known.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from dashboard.data import runs, studies
from dashboard.widgets import controls
from engine.cli.serve import is_loopback
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.models.bundled import BUNDLED
from engine.models.prices import bundled_price, priced_names, usd_per_million
from engine.models.reach import KEYS

MOST = 6  # Models that a search shows.
ADDED = "form.added"
"""Session key of the models that were found by a search, chosen or not."""
NEEDS, UNKNOWN = "needs ", "price unknown"


def models(tables: dict[str, dict[str, Any]], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Draw the models and return those that are chosen; a model of one's own is added to `tables`."""
    st.html('<span class="bs-label">Models</span>')
    rows = st.container(gap="small")
    with st.container(horizontal=True, vertical_alignment="center", key="add-model"):
        with st.popover("Add a model", icon=":material/add:", type="tertiary"):
            _search(environment)
        with st.popover("Your own server or file", icon=":material/dns:", type="tertiary"):
            if own := _own_model():
                tables[own["name"]] = own
    chosen: list[str] = st.session_state["form.models"]
    with rows:
        for name in dict.fromkeys([*BUNDLED, *tables, *st.session_state.get(ADDED, ()), *chosen]):
            _row(name, tables.get(name), chosen, environment)
    return tuple(st.session_state["form.models"])


def _row(name: str, table: Mapping[str, Any] | None, chosen: list[str], environment: Mapping[str, str]) -> None:
    """One model: a box to choose it, what it costs, and whether it is ready."""
    key = f"pick.model.{name}"

    def picked() -> None:
        now = [each for each in st.session_state["form.models"] if each != name]
        st.session_state["form.models"] = [*now, name] if st.session_state[key] else now

    st.session_state[key] = name in chosen
    price, ready, good = about(name, table, environment)
    with st.container(horizontal=True, vertical_alignment="center", key=f"model-{re.sub(r'[^a-zA-Z0-9]', '-', name)}"):
        called = names.model(name) if name in BUNDLED else name
        st.checkbox(controls.literal(called), key=key, on_change=picked, help=None if called == name else name)
        st.html(f'<span class="bs-muted">{escape(price)}</span>')
        state = f'<span class="bs-{"good" if good else "muted"}">{"✓ " if good else ""}{escape(ready)}</span>'
        if runs.missing([name]):
            _fetch(name)
        elif ready:
            st.html(state)
        if name not in BUNDLED and not name.startswith("scripted/"):
            with st.popover("Test", key=f"test.{name}"):
                _test(name, table)


def _test(name: str, table: Mapping[str, Any] | None) -> None:
    """Ask a model once, and show what came back."""
    from dashboard.data import queries

    controls.caption("One call. It bills, under a ceiling of $0.10 of its own, and counts in the day's allowance.")
    if st.button(f"Ask {name} once", key=f"ask.{name}"):
        asking = studies.Form("test", (name,), (("direct", {}),), ({"name": "gym:chain_sum"},), "32", tables={})
        if table:
            asking = replace(asking, tables={name: table})
        with st.spinner("Asking …"):
            try:
                replied, said = runs.ask_once(name, studies.text(asking), queries.path())
            except (BudgetscopeError, OSError) as error:
                replied, said = False, str(error)
        (st.code if replied else st.warning)(said if replied else controls.literal(said))


def about(name: str, table: Mapping[str, Any] | None, environment: Mapping[str, str]) -> tuple[str, str, bool]:
    """What a model costs, whether it is ready, and whether that is good news; in the words of every page."""
    if name in BUNDLED:
        return fmt.FREE, "ready", True
    if name.startswith("scripted/"):
        return fmt.SIMULATED, "no language model answers", True
    table = table or {}
    if table.get("api_base") or table.get("gguf"):
        bases = table.get("api_base") or "a file on this machine"
        place = fmt.joined(list(map(str, bases))) if isinstance(bases, list) else str(bases)
        prices = table.get("prices") or {}
        if not prices.get("input") and not prices.get("output"):
            # Nobody bills what runs on this machine; of a server elsewhere that is not known until it is said.
            first = bases[0] if isinstance(bases, list) else bases
            host = urlsplit(str(first) if table.get("api_base") else "").hostname or ""
            here = prices or table.get("gguf") or is_loopback(host)
            return fmt.FREE if here else UNKNOWN, place, False
        assumed = " assumed price" if prices.get("assumed") else ""
        return f"{_rates(prices)}{assumed}", place, False
    price = bundled_price(str(table.get("model") or name))
    rates = None if price is None else usd_per_million(price)
    cost = UNKNOWN if rates is None else _rates(rates)
    provider = str(table.get("model") or name).partition("/")[0]
    variable = table.get("api_key_env") or studies.KEYS.get(provider)
    if variable is None:
        return cost, "", False
    # Some providers' keys go by several names.
    fitting = [variable] if table.get("api_key_env") else [variable, *KEYS.get(provider, ())]
    there = any(environment.get(str(each), "").strip() for each in fitting)
    return cost, "key found" if there else f"{NEEDS}{variable}", there


def lacking(models: Iterable[str], tables: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str]) -> str:
    """The first of the models whose key is not there, without which a run does not begin; empty: there is none."""
    for name in models:
        _, ready, good = about(name, tables.get(name), environment)
        if not good and ready.startswith(NEEDS):
            variable = ready.removeprefix(NEEDS)
            return f"{name} needs a key: set {variable} and start the dashboard again, or choose another model."
    return ""


def unpriced(models: Iterable[str], tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The first model of somebody's own server that says no price, where its owner may send a bill; or empty."""
    served = (name for name in models if tables.get(name, {}).get("api_base"))
    return next((name for name in served if about(name, tables[name], {})[0] == UNKNOWN), "")


def _rates(usd: Mapping[str, Any]) -> str:
    return f"{fmt.rates(usd['input'], usd['output'])} per million tokens"


def _fetch(name: str) -> None:
    """Bring a bundled model that did not come with the installation."""
    controls.caption(
        "Its file is not here: fetch it, or run `budgetscope models fetch` in a terminal.".replace("`", "")
    )
    if st.button(f"Fetch ({BUNDLED[name].megabytes} MB)", key=f"fetch.{name}", icon=":material/download:"):
        try:
            with st.spinner("Fetching the model …"):
                runs.fetch(name)
        except BudgetscopeError as error:
            controls.fault(error, grave=True)
        else:
            st.rerun()


def _search(environment: Mapping[str, str]) -> None:
    """Find a model by its name among those litellm knows, or take the name as it is typed."""
    from engine.models.scripted import names as scripted

    keys = studies.keys_present(environment)
    found = ", ".join(f"{variable} ({provider}/…)" for provider, variable in keys.items())
    controls.caption(
        f"Keys found in the environment or secrets.toml: {found}."
        if keys
        else "No provider key is set in the environment or secrets.toml; bundled, own and simulated models need none."
    )
    typed = st.text_input(
        "Name of the model", key="form.search", placeholder="gpt-4o-mini, claude, qwen …", max_chars=200
    )
    wanted = (typed or "").strip()

    def add(name: str) -> None:
        st.session_state[ADDED] = [*dict.fromkeys([*st.session_state.get(ADDED, ()), name])]
        st.session_state["form.models"] = [*dict.fromkeys([*st.session_state["form.models"], name])]

    if not wanted:
        return
    parts = wanted.lower().split()
    every = [*scripted(), *priced_names()]
    known = [name for name in every if all(part in name.lower() for part in parts)]
    if not known and "/" not in wanted:
        # Without their providers, which nobody types first.
        bare = {name.rpartition("/")[2] for name in every}
        near = difflib.get_close_matches(wanted.lower(), sorted(bare), n=1, cutoff=0.75)
        known = [name for name in every if name.rpartition("/")[2] in near]
        controls.caption(f"Nothing is called so; the nearest is {near[0]}." if near else "")

    def place(name: str) -> tuple[bool, bool, bool, int, str]:
        # With a key first, then those whose key is known by name, then what is named as typed, then the shortest.
        provider = name.partition("/")[0]
        return provider not in keys, provider not in studies.KEYS, not name.endswith(f"/{wanted}"), len(name), name

    known.sort(key=place)
    shown = [*dict.fromkeys([*known[:MOST], *([wanted] if "/" in wanted else [])])]
    for name in shown:
        price, ready, _ = about(name, None, environment)
        said = ", ".join(part for part in (price, ready) if part) if name in known else "not in litellm's list"
        st.button(f"Add {name}", key=f"add.{name}", on_click=add, args=(name,), width="stretch", icon=":material/add:")
        controls.caption(said)
    if len(known) > MOST:
        controls.caption(f"{len(known) - MOST:,} more; type more of the name.")
    if not shown:
        controls.caption(
            "Nothing is called so; a name with its provider, such as openai/gpt-4o-mini, is taken as typed."
        )


def _own_model() -> dict[str, Any]:
    """A model of one's own as a [[models]] table; empty until it has a name and a place."""

    def field(side: Any, label: str, name: str, placeholder: str, text: str | None = None) -> str:
        return str(side.text_input(label, "", key=f"own.{name}", placeholder=placeholder, help=text, **_KEEP))

    controls.caption(
        "Any OpenAI-compatible server (vLLM, llama.cpp, Ollama), or a model file on this machine. It appears among the "
        "models once it has a name and an address or a file; a known model at other settings, once it has its own "
        "name and settings."
    )
    left, right = st.columns(2)
    name = field(left, "Name of the model", "name", "mine")
    served = field(right, "Name the server knows it by", "model", "the same")
    base = field(left, "Address", "base", "http://localhost:8000/v1")
    gguf = field(right, "GGUF file", "gguf", "models/some-model.gguf")
    key = field(
        left, "Variable that holds its key", "key", "none", "An environment variable's name, never the key itself."
    )
    text = "US dollars per million tokens, such as 0.15, 0.60; 0, 0 if nobody bills it, as on this machine unless said."
    prices = field(right, "Price: input, output", "prices", "unknown", text)
    text = (
        "Sent with every request, such as: reasoning_effort = low, or temperature = 0, top_k = 1. Others: "
        "thinking_tokens, top_p, min_p, repetition_penalty; continues = true for an endpoint that goes on "
        "with a begun reply."
    )
    settings = field(left, "Settings", "settings", "none", text)
    if not name.strip() or not (base.strip() or gguf.strip() or (served.strip() and settings.strip())):
        return {}
    table = {"name": name, "model": served, "api_base": base, "gguf": gguf, "api_key_env": key}
    given: dict[str, Any] = {k: v.strip() for k, v in table.items() if v.strip()} | studies.settings(settings)
    try:
        rates = [float(part) for part in prices.split(",") if part.strip()]
    except ValueError:
        rates = []
    if len(rates) == 2:
        given["prices"] = {"input": rates[0], "output": rates[1]}
    elif prices.strip():
        st.warning("A price is two numbers, such as 0.15, 0.60: US dollars per million input and output tokens.")
    elif is_loopback(urlsplit(base.strip()).hostname or ""):
        # As its row says; a run whose money has a ceiling takes no price that is unknown.
        given["prices"] = {"input": 0, "output": 0}
    return given


_KEEP: dict[str, Any] = {"persist_state": "session"}  # It is not in the address, so it outlives a look elsewhere.
