"""The widgets that make a study: models, strategies with their knobs, task, budgets, repeats, ceilings.

Knobs, defaults, generators and levels come from the engine's registries; nothing about a strategy is repeated here.
Reads no database and starts nothing.

A prepared run as a link to the Run page: what the form says as parts of its address, and back into the form.

Says models, strategies and their knobs, line-up, task, budgets and repeats, never a ceiling, a key or an endpoint. A
link fills the form and starts nothing. Values equal to the form's own start are left out. The address stays as it was
opened until the form is changed; then it says nothing of the form, rather than something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.data import access, studies
from dashboard.data.studies import Form
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core.errors import BudgetscopeError, shortened
from engine.models.declared import ModelSpec
from engine.models.local import BUNDLED
from engine.strategies import entries
from engine.strategies.registry import Entry
from engine.tasks.gym import known_generators
from engine.tasks.gym.catalogue import LEVELS
from engine.tasks.scorers import SAME, SCORERS
from engine.tasks.task import TASKS

AXES = {"output_tokens": "Output tokens", "total_tokens": "Total tokens", "calls": "Calls", "usd": "US dollars"}
BUDGETS = {
    "output_tokens": "32, 64, 128, 256, 512",
    "total_tokens": "128, 256, 512, 1024, 2048",
    "calls": "1, 2, 4, 8, 16",
    "usd": "0.0001, 0.0005, 0.001, 0.005",
}
USUAL: dict[str, dict[str, str]] = {"self_consistency": {"samples": "5"}}
"""What a knob starts with where the strategy's own default is long for a first try."""
FIRST = ("direct", "chain_of_thought", "self_consistency")
_KEEP: dict[str, Any] = {"persist_state": "session"}


def study_form(declared: Mapping[str, ModelSpec], uploads: Path) -> Form:
    """Draw the form and return what it says now."""
    left, right = st.columns([1, 3], gap="medium")
    name = left.text_input("Name", "study", key="form.name", max_chars=80, **_KEEP)
    with right:
        models, tables = _models(declared)
    tasks = _tasks(uploads)
    strategies = _strategies()
    lineups = _lineups(tuple(name for name, _ in strategies), [*models, *tables])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = st.segmented_control(
            "Budget on",
            list(AXES),
            default="output_tokens",
            required=True,
            key="form.axis",
            format_func=AXES.__getitem__,
            **_KEEP,
        )
        repeats = st.number_input("Repeats", 1, 100, 1, key="form.repeats", width=140, **_KEEP)
    axis = str(axis or "output_tokens")
    left, right = st.columns(2)
    budgets = left.text_input(
        "Budgets per question",
        BUDGETS[axis],
        key=f"form.budgets.{axis}",
        **_KEEP,
        help="Numbers separated by commas; each is a hard wall around one attempt at one question.",
    )
    system = right.text_input("System prompt", "", key="form.system", placeholder="none", **_KEEP)
    tokens, usd = _ceiling()
    return Form(name, models, strategies, tasks, budgets, axis, int(repeats), system, tokens, usd, tables, lineups)


def _models(declared: Mapping[str, ModelSpec]) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    from engine.models.local import BUNDLED
    from engine.models.scripted import names

    tables = {name: studies.model_table(model) for name, model in declared.items()}
    above = st.container()
    own = _own_model()
    if own:
        tables[own["name"]] = own
    options = list(dict.fromkeys([*BUNDLED, *tables, *names()]))
    chosen = above.multiselect(
        "Models",
        options,
        default=options[:1],
        key="form.models",
        accept_new_options=True,
        **_KEEP,
        format_func=_told,
        placeholder="Choose, or type a name such as openai/gpt-4o-mini",
    )
    keys = studies.keys_present(access.run_environment())
    found = ", ".join(f"{name} ({provider}/…)" for provider, name in keys.items())
    controls.caption(
        f"Keys found in the environment or secrets.toml: {found}. Type a model's name as litellm has it."
        if keys
        else "No provider key is set in the environment or secrets.toml; bundled, own and simulated models need none."
    )
    return tuple(chosen), tables


def _own_model() -> dict[str, Any]:
    """A model of one's own as a [[models]] table; empty until it has a name and a place."""
    with st.expander("Your own endpoint or GGUF file"):
        controls.caption(
            "Any OpenAI-compatible server (vLLM, llama.cpp, Ollama), or a model file on this machine. It "
            "appears among the models above once it has a name and an address or a file; a known model at "
            "other settings, once it has a name of its own and settings."
        )
        left, right = st.columns(2)
        name = left.text_input("Name of the model", "", key="form.own.name", placeholder="mine", **_KEEP)
        served = right.text_input(
            "Name the server knows it by", "", key="form.own.model", placeholder="the same", **_KEEP
        )
        base = left.text_input("Address", "", key="form.own.base", placeholder="http://localhost:8000/v1", **_KEEP)
        gguf = right.text_input("GGUF file", "", key="form.own.gguf", placeholder="models/some-model.gguf", **_KEEP)
        key = left.text_input(
            "Variable that holds its key",
            "",
            key="form.own.key",
            placeholder="none",
            **_KEEP,
            help="The name of an environment variable, never the key itself.",
        )
        prices = right.text_input(
            "Price: input, output",
            "",
            key="form.own.prices",
            placeholder="unknown",
            **_KEEP,
            help="US dollars per million tokens, such as 0.15, 0.60; 0, 0 if nobody bills it.",
        )
        settings = left.text_input(
            "Settings",
            "",
            key="form.own.settings",
            placeholder="none",
            **_KEEP,
            help="Sent with every request, such as: reasoning_effort = low, or temperature = 0, top_k = 1. Others: "
            "thinking_tokens, top_p, min_p, repetition_penalty; continues = true for an endpoint that goes on "
            "with a begun reply.",
        )
    if not name.strip() or not (base.strip() or gguf.strip() or (served.strip() and settings.strip())):
        return {}
    table = {"name": name, "model": served, "api_base": base, "gguf": gguf, "api_key_env": key}
    given = {k: v.strip() for k, v in table.items() if v.strip()}
    return {**given, **studies.settings(settings), **_prices(prices)}


def _prices(typed: str) -> dict[str, Any]:
    try:
        rates = [float(part) for part in typed.split(",") if part.strip()]
    except ValueError:
        rates = []
    if typed.strip() and len(rates) != 2:
        st.warning("A price is two numbers, such as 0.15, 0.60: US dollars per million input and output tokens.")
    return {"prices": {"input": rates[0], "output": rates[1]}} if len(rates) == 2 else {}


def _tasks(uploads: Path) -> tuple[dict[str, Any], ...]:
    source = st.segmented_control(
        "Task", ["Generated", "Your file"], default="Generated", required=True, key="form.source", **_KEEP
    )
    named = _generated() if source != "Your file" else _uploaded(uploads)
    with st.container(horizontal=True):
        questions = st.number_input("Questions", 1, 10_000, 12, key="form.questions", width=140, **_KEEP)
        shots = st.number_input("Worked examples", 0, 8, 0, key="form.shots", width=140, **_KEEP)
        seed = st.number_input(
            "Seed",
            0,
            10_000,
            0,
            key="form.seed",
            width=140,
            **_KEEP,
            help="Which questions: seeds share none as long as they ask for equally many.",
        )
    return tuple({**task, "questions": int(questions), "shots": int(shots), "seed": int(seed)} for task in named)


def _generated() -> list[dict[str, Any]]:
    from engine.tasks.gym.catalogue import LEVELS

    left, right = st.columns([3, 2], vertical_alignment="bottom")
    chosen = left.multiselect(
        "Generators",
        generators(),
        default=["chain_sum"],
        key="form.generators",
        placeholder="Choose at least one",
        **_KEEP,
    )
    level = right.segmented_control("Level", list(LEVELS), default="easy", required=True, key="form.level", **_KEEP)
    return [{"name": name} if name in TASKS else {"name": f"gym:{name}", "level": level} for name in chosen]


def generators() -> tuple[str, ...]:
    """What makes questions without a file: ours, and the tasks plugins registered."""
    return (*known_generators(), *TASKS.names())


def _uploaded(uploads: Path) -> list[dict[str, Any]]:
    """The uploaded file as a task, with the columns that hold question and answer."""
    most = f"at most {studies.MOST_BYTES // 10**6} MB (unpacked too) and {studies.MOST_ROWS:,} rows"
    file = st.file_uploader(
        f"Questions with answers: CSV, JSONL or Parquet, {most}",
        type=list(studies.ENDINGS),
        max_upload_size=studies.MOST_BYTES // 10**6,
        key="form.file",
    )
    path = st.session_state.get("form.path")
    if file is not None:
        try:
            access.require()
            path = studies.save_upload(uploads, file.name, file.getvalue())
        except BudgetscopeError as error:
            st.error(controls.literal(str(error)))
            path = None
    elif path is not None:
        controls.caption(f"Using {path.name}, uploaded before.")
    st.session_state["form.path"] = path
    if path is None:
        return []
    task = {"name": f"file:{path}", **_columns(studies.columns(path))}
    if len(SCORERS.names()) > 1:  # Only a plugin brings a choice.
        chosen = st.selectbox("Scorer", SCORERS.names(), index=SCORERS.names().index(SAME), key="form.scorer")
        task |= {"scorer": chosen} if chosen != SAME else {}
    return [task]


def _columns(known: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, side in zip(("question", "answer"), st.columns(2), strict=True):
        at = known.index(name) if name in known else min(len(found), max(0, len(known) - 1))
        chosen = side.selectbox(f"Column of the {name}", known, index=at if known else None, key=f"form.{name}")
        found[f"{name}_column"] = chosen or name
    return found


def _strategies() -> tuple[tuple[str, dict[str, str]], ...]:
    known = entries()
    chosen = st.pills(
        "Strategies",
        list(known),
        selection_mode="multi",
        default=[n for n in FIRST if n in known],
        key="form.strategies",
        **_KEEP,
    )
    return tuple((name, _knob_fields(known[name])) for name in chosen)


def _knob_fields(entry: Entry) -> dict[str, str]:
    """One field per parameter; empty means its default, commas sweep."""
    typed = {}
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            st.markdown(f"**{controls.literal(entry.name)}**")
            needs = " Needs a model that continues a prefix." if entry.needs_prefix else ""
            controls.caption(f"{entry.idea} Calls per question: {entry.calls}.{needs}")
        with right, st.container(horizontal=True):
            for knob, default in entry.knobs.items():
                typed[knob] = st.text_input(
                    knob,
                    USUAL.get(entry.name, {}).get(knob, ""),
                    key=f"form.{entry.name}.{knob}",
                    width=140,
                    **_KEEP,
                    placeholder="the budget" if default is None else str(default),
                    help="One value, or several separated by commas; empty: the default.",
                )
    return typed


def _lineups(strategies: tuple[str, ...], models: list[str]) -> tuple[dict[str, str | None], ...]:
    """One line-up for the chosen strategies that ask several models; several of them take a study file."""
    from engine.models.local import BUNDLED
    from engine.models.scripted import names
    from engine.strategies.lineups import called

    known = entries()
    askers = [name for name in strategies if known[name].roles]
    if not askers:
        return ()
    roles = ("solver", *dict.fromkeys(role for name in askers for role in known[name].roles))
    options = list(dict.fromkeys([*models, *BUNDLED, *names()]))
    with st.container(border=True):
        controls.caption(
            f"Line-up for {', '.join(askers)}: which model plays which role. The models above are run "
            "alone, by the other strategies."
        )
        with st.container(horizontal=True):
            players = {
                role: st.selectbox(
                    role.capitalize(),
                    options,
                    index=0 if role == "solver" else None,
                    key=f"form.lineup.{role}",
                    accept_new_options=True,
                    placeholder="Choose, or type a name",
                    format_func=_told,
                    **_KEEP,
                )
                for role in roles
            }
    return ({"name": called(controls.short(model) for model in dict.fromkeys(players.values()) if model), **players},)


def _told(name: str) -> str:
    return f"{name} (simulated)" if name.startswith("scripted/") else name


def _ceiling() -> tuple[int | None, float | None]:
    with st.container(horizontal=True):
        tokens = st.number_input(
            "Ceiling of the run, tokens", 1, 10**12, 1_000_000, step=100_000, key="form.tokens", width=260, **_KEEP
        )
        usd = st.number_input(
            "Ceiling of the run, US dollars",
            0.0,
            1e6,
            None,
            step=0.5,
            key="form.usd",
            width=260,
            placeholder="needed for billed models",
            **_KEEP,
        )
    return int(tokens), usd


FILE = "file"
"""Task of a link whose run asks an uploaded file, which does not travel."""
MOST = 100
"""Parts of one name that are used, and times a hundred the letters of one."""
COUNTS = {"questions": (1, 10_000, 12), "shots": (0, 8, 0), "seed": (0, 10_000, 0), "repeats": (1, 100, 1)}
"""Least, most and start of the numbers."""
USUAL_AXIS = "output_tokens"
_APPLIED, _FORM = "run.prepared", "run.form"
"""Session keys: the address the form was filled from, and what the form said when it was drawn last."""


def _count(name: str) -> Param:
    least, most, _ = COUNTS[name]
    return Param(name, choices=tuple(map(str, range(least, most + 1))))


PARAMS = (
    Param("model", (), many=True),
    Param("strategy", (), tuple(entries()), many=True),
    Param("knob", (), many=True),
    Param("role", (), many=True),
    Param("task", (), (*generators(), FILE), many=True),
    Param("level", choices=tuple(LEVELS)),
    *map(_count, COUNTS),
    Param("axis", choices=tuple(AXES)),
    Param("budgets"),
    Param("system"),
)
"""As the address names them; one that is not named stands at its start."""


def fill(view: str) -> list[str]:
    """Put what a new address says into the form, before it is drawn; one sentence for each part it cannot use."""
    said = asked(view)
    if not any(said.values()) or said == st.session_state.get(_APPLIED):
        return []
    fields, problems = into(said)
    for key, value in fields.items():
        if value is None:
            st.session_state.pop(key, None)
        else:
            st.session_state[key] = value
    st.session_state[_APPLIED], st.session_state[_FORM] = said, None
    return problems


def asked(view: str) -> dict[str, Any]:
    """What the address says of the form."""
    return {param.name: st.session_state.get(url_state.key(view, param.name)) for param in PARAMS}


def settle(view: str) -> dict[str, Any]:
    """What the drawn form says, for a link; an address that it was filled from and no longer follows is emptied."""
    now = out({str(key): value for key, value in st.session_state.items()})
    if st.session_state.get(_FORM) is None:
        st.session_state[_FORM] = now
    elif now != st.session_state[_FORM]:
        st.session_state[_APPLIED], st.session_state[_FORM] = None, now
        for param in PARAMS:
            st.session_state[url_state.key(view, param.name)] = [] if param.many else None
    return now


def into(said: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The form's fields by session key, and what no field takes. What is not said is at its start."""
    fields, problems = start(str(said.get("axis") or USUAL_AXIS)), list[str]()
    tasks = [each for each in said.get("task") or () if each != FILE]
    told = {
        "form.models": _some(said.get("model")),
        "form.strategies": said.get("strategy"),
        "form.generators": tasks,
        "form.source": "Your file" if said.get("task") and not tasks else None,
        "form.level": said.get("level"),
        "form.axis": said.get("axis"),
        f"form.budgets.{fields['form.axis']}": said.get("budgets"),
        "form.system": said.get("system"),
    }
    told |= {f"form.{name}": int(said[name]) for name in COUNTS if said.get(name)}
    fields |= {key: value for key, value in told.items() if value}
    known = {"knob": {f"{name}.{knob}": key for name, knob, key in _knobs()}, "role": dict(_roles())}
    for part, keys in known.items():
        for text in _some(said.get(part)):
            name, _, value = text.partition("=")
            if name in keys and value:
                fields[keys[name]] = value
            else:
                problems.append(f"This link asks for {part} = {shortened(text)!r}, which is not there (any more).")
    return fields, problems[: url_state.MOST_SAID]


def out(session: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields say, as the address names it; what is at its start is left out."""
    usual = start(str(session.get("form.axis") or USUAL_AXIS)) | {"form.axis": USUAL_AXIS}
    new = {key: session[key] for key in usual if key in session and session[key] != usual[key]}
    chosen = session.get("form.strategies") or ()
    knobs = [f"{name}.{knob}={new[key]}" for name, knob, key in _knobs() if key in new and name in chosen]
    several = any(entries()[name].roles for name in chosen)
    roles = [f"{role}={new[key]}" for role, key in _roles() if several and new.get(key)]
    tasks = [FILE] if session.get("form.source") == "Your file" else list(new.get("form.generators", []))
    plain = {name: new.get(f"form.{name}") for name in ("level", "axis", "system", *COUNTS)}
    budgets = next((value for key, value in new.items() if key.startswith("form.budgets.")), None)
    lists = {
        "model": new.get("form.models"),
        "strategy": new.get("form.strategies"),
        "task": tasks,
        "knob": knobs,
        "role": roles,
    }
    texts = {name: str(value) for name, value in {**plain, "budgets": budgets}.items() if value not in (None, "")}
    return texts | {name: list(map(str, values)) for name, values in lists.items() if values}


def start(axis: str) -> dict[str, Any]:
    """Every field a link can set, at what an untouched form says; None: what the form chooses by itself."""
    fields: dict[str, Any] = {
        "form.models": list(BUNDLED)[:1],
        "form.strategies": [name for name in FIRST if name in entries()],
        "form.generators": ["chain_sum"],
        "form.source": "Generated",
        "form.level": "easy",
        "form.axis": axis,
        f"form.budgets.{axis}": BUDGETS[axis],
        "form.system": "",
    }
    fields |= {f"form.{name}": usual for name, (_, _, usual) in COUNTS.items()}
    fields |= {key: USUAL.get(name, {}).get(knob, "") for name, knob, key in _knobs()}
    return fields | {key: None for _, key in _roles()}


def _knobs() -> Iterable[tuple[str, str, str]]:
    """Strategy, knob and session key."""
    return [(name, knob, f"form.{name}.{knob}") for name, entry in entries().items() for knob in entry.knobs]


def _roles() -> Iterable[tuple[str, str]]:
    """Role and session key."""
    roles = ("solver", *dict.fromkeys(role for entry in entries().values() for role in entry.roles))
    return [(role, f"form.lineup.{role}") for role in roles]


def _some(texts: Any) -> list[str]:
    """As many texts as a form can take, none of them endless."""
    return [text[: 100 * MOST] for text in list(texts or ())[:MOST]]
