"""The form of a study: models, strategies with their knobs, task, budgets, repeats, ceilings; and a link that fills it.

Knobs, defaults, generators and levels come from the engine's registries; nothing about a strategy is repeated here.

A link says models, strategies and their knobs, line-up, task, budgets and repeats, never a ceiling, a key or an
endpoint. It fills the form and starts nothing. Values equal to the form's own start are left out. The address stays as
it was opened until the form is changed; then it says nothing of the form, rather than something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dashboard.data import access, studies
from dashboard.data.studies import Form
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core.errors import BudgetscopeError
from engine.core.records import AnswerKind
from engine.models.bundled import BUNDLED
from engine.models.declared import ModelSpec
from engine.strategies import entries
from engine.tasks.gym import known_generators
from engine.tasks.gym.catalogue import LEVELS
from engine.tasks.scorers import SAME, SCORERS, is_checker
from engine.tasks.task import TASKS

AXES = controls.SPENDS | {"usd": "US dollars"}
BUDGETS = {
    "output_tokens": "32, 64, 128, 256, 512",
    "total_tokens": "128, 256, 512, 1024, 2048",
    "calls": "1, 2, 4, 8, 16",
    "usd": "0.0001, 0.0005, 0.001, 0.005",
}
USUAL: dict[str, dict[str, str]] = {"self_consistency": {"samples": "5"}}
"""What a knob starts with where the strategy's own default is long for a first try."""
KINDS = get_args(AnswerKind)
GUESSED, NONE, LETTERED = "as its answers look", "no", "choices, options or A, B, C, …"
STATEMENTS: dict[str, dict[str, str]] = {"the last counts": {}, "the first counts": {"statement": "first"}}
FIRST = ("direct", "chain_of_thought", "self_consistency")
FILE = "file"  # Task of a link whose run asks an uploaded file, which does not travel.
MOST = 100  # Parts of one name that are used, and times a hundred the letters of one.
COUNTS = {"questions": (1, 10_000, 12), "shots": (0, 8, 0), "seed": (0, 10_000, 0), "repeats": (1, 100, 1)}
"""Least, most and start of the numbers."""
USUAL_AXIS = "output_tokens"
_APPLIED, _FORM = "run.prepared", "run.form"  # The address the form was filled from, and what the form said last.
_KEEP: dict[str, Any] = {"persist_state": "session"}  # What was typed outlives a look at another page.


def generators() -> tuple[str, ...]:
    """What makes questions without a file: ours, and the tasks plugins registered."""
    return (*known_generators(), *TASKS.names())


PARAMS = (  # As the address names them; one that is not named stands at its start.
    Param("model", (), many=True),
    Param("strategy", (), tuple(entries()), many=True),
    Param("knob", (), many=True),
    Param("role", (), many=True),
    Param("task", (), (*generators(), FILE), many=True),
    Param("level", choices=tuple(LEVELS)),
    *(Param(name, choices=tuple(map(str, range(least, most + 1)))) for name, (least, most, _) in COUNTS.items()),
    Param("axis", choices=tuple(AXES)),
    Param("budgets"),
    Param("system"),
)


def study_form(declared: Mapping[str, ModelSpec], uploads: Path) -> Form:
    """Draw the form and return what it says now."""
    known = entries()
    left, right = st.columns([1, 3], gap="medium")
    name = left.text_input("Name", "study", key="form.name", max_chars=80, **_KEEP)
    with right:
        models, tables = _models(declared)
    tasks = _tasks(uploads)
    usual = [name for name in FIRST if name in known]
    chosen = st.pills("Strategies", list(known), selection_mode="multi", default=usual, key="form.strategies", **_KEEP)
    strategies = tuple((name, _knobs(name)) for name in chosen)
    lineups = _lineups(tuple(chosen), [*models, *tables])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = st.segmented_control(
            "Budget on",
            list(AXES),
            default=USUAL_AXIS,
            required=True,
            key="form.axis",
            format_func=AXES.__getitem__,
            **_KEEP,
        )
        repeats = _count("Repeats", "repeats")
    axis = str(axis or USUAL_AXIS)
    left, right = st.columns(2)
    budgets = left.text_input(
        "Budgets per question",
        BUDGETS[axis],
        key=f"form.budgets.{axis}",
        **_KEEP,
        help="Numbers separated by commas; each is a hard wall around one attempt at one question.",
    )
    system = right.text_input("System prompt", "", key="form.system", placeholder="none", **_KEEP)
    with st.container(horizontal=True):
        usd: float | None
        tokens = st.number_input(
            "Ceiling of the run, tokens", 1, 10**12, 1_000_000, step=100_000, key="form.tokens", width=260, **_KEEP
        )
        # Empty at first: only billed models need a ceiling in money, and the engine says so where they do.
        label, placeholder = "Ceiling of the run, US dollars", "needed for billed models"
        usd = st.number_input(
            label, 0.0, 1e6, None, step=0.5, key="form.usd", width=260, placeholder=placeholder, **_KEEP
        )
    return Form(name, models, strategies, tasks, budgets, axis, repeats, system, int(tokens), usd, tables, lineups)


def _count(label: str, name: str, **more: Any) -> int:
    least, most, usual = COUNTS[name]
    return int(st.number_input(label, least, most, usual, key=f"form.{name}", width=140, **_KEEP, **more))


def _name(model: str) -> str:
    return f"{model} (simulated)" if model.startswith("scripted/") else model


def _models(declared: Mapping[str, ModelSpec]) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """The chosen models, and the [[models]] tables of those that are more than a name."""
    from engine.models.scripted import names

    tables = {name: studies.model_table(model) for name, model in declared.items()}
    above = st.container()
    if own := _own_model():  # It stands below the list it appears in.
        tables[own["name"]] = own
    options = list(dict.fromkeys([*BUNDLED, *tables, *names()]))
    chosen = above.multiselect(
        "Models",
        options,
        default=options[:1],
        key="form.models",
        accept_new_options=True,
        **_KEEP,
        format_func=_name,
        placeholder="Choose, or type a name such as openai/gpt-4o-mini",
    )
    keys = studies.keys_present(access.run_environment())
    present = ", ".join(f"{name} ({provider}/…)" for provider, name in keys.items())
    controls.caption(
        f"Keys found in the environment or secrets.toml: {present}. Type a model's name as litellm has it."
        if keys
        else "No provider key is set in the environment or secrets.toml; bundled, own and simulated models need none."
    )
    return tuple(chosen), tables


def _own_model() -> dict[str, Any]:
    """A model of one's own as a [[models]] table; empty until it has a name and a place."""

    def field(side: Any, label: str, name: str, placeholder: str, text: str | None = None) -> str:
        key = f"form.own.{name}"
        return str(side.text_input(label, "", key=key, placeholder=placeholder, help=text, **_KEEP))

    with st.expander("Your own endpoint or GGUF file"):
        controls.caption(
            "Any OpenAI-compatible server (vLLM, llama.cpp, Ollama), or a model file on this machine. It "
            "appears among the models above once it has a name and an address or a file; a known model at "
            "other settings, once it has a name of its own and settings."
        )
        left, right = st.columns(2)
        name = field(left, "Name of the model", "name", "mine")
        served = field(right, "Name the server knows it by", "model", "the same")
        base = field(left, "Address", "base", "http://localhost:8000/v1")
        gguf = field(right, "GGUF file", "gguf", "models/some-model.gguf")
        text = "The name of an environment variable, never the key itself."
        key = field(left, "Variable that holds its key", "key", "none", text)
        text = "US dollars per million tokens, such as 0.15, 0.60; 0, 0 if nobody bills it."
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
    return given


def _tasks(uploads: Path) -> tuple[dict[str, Any], ...]:
    """[[tasks]] tables: of generators at a level, or of an uploaded file."""
    source = st.segmented_control(
        "Task", ["Generated", "Your file"], default="Generated", required=True, key="form.source", **_KEEP
    )
    if source == "Your file":
        tasks = _uploaded(uploads)
    else:
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
        # A plugin's task goes by its bare name and knows no level.
        tasks = [{"name": name} if name in TASKS else {"name": f"gym:{name}", "level": level} for name in chosen]
    with st.container(horizontal=True):
        questions = _count("Questions", "questions")
        shots = _count("Worked examples", "shots")
        seed = _count("Seed", "seed", help="Which questions: seeds share none as long as they ask for equally many.")
    return tuple({**task, "questions": questions, "shots": shots, "seed": seed} for task in tasks)


def _uploaded(uploads: Path) -> list[dict[str, Any]]:
    """The uploaded file as a task, with the columns that hold question and answer and how answers are read."""
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
        # Streamlit forgets an uploaded file with its widget; ours lies in the folder still.
        controls.caption(f"Using {path.name}, uploaded before.")
    st.session_state["form.path"] = path
    if path is None:
        return []
    known, task = studies.columns(path), {"name": f"file:{path}"}
    checkers = [name for name in SCORERS.names() if is_checker(name)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox("Kind of answer", [GUESSED, *KINDS], key="form.kind", width=220)
        which = st.selectbox("Of several stated answers", list(STATEMENTS), key="form.statement", width=220)
        checker = st.selectbox("Checked without answers", [NONE, *checkers], key="form.checker", width=220)
    wanted = ("question",) if checker != NONE else ("question", "answer")
    for number, (name, side) in enumerate(zip(wanted, st.columns(len(wanted)), strict=True)):
        at = known.index(name) if name in known else min(number, max(0, len(known) - 1))
        chosen = side.selectbox(f"Column of the {name}", known, index=at if known else None, key=f"form.{name}")
        task[f"{name}_column"] = chosen or name
    if checker != NONE:
        return [task | {"checker": checker} | STATEMENTS[which]]
    if kind == "choice":
        options = st.selectbox("Column of the options", [LETTERED, *known], key="form.choices")
        task |= {"choices_column": options} if options != LETTERED else {}
    task |= {"kind": kind} if kind != GUESSED else {}
    scorers = [name for name in SCORERS.names() if not is_checker(name)]
    if len(scorers) > 1:  # Only a plugin brings a choice.
        scorer = st.selectbox("Scorer", scorers, index=scorers.index(SAME), key="form.scorer")
        task |= {"scorer": scorer} if scorer != SAME else {}
    return [task | STATEMENTS[which]]


def _knobs(name: str) -> dict[str, str]:
    """One field per parameter of a strategy; empty means its default, commas sweep."""
    entry, typed = entries()[name], {}
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            st.markdown(f"**{controls.literal(name)}**")
            needs = " Needs a model that continues a prefix." if entry.needs_prefix else ""
            controls.caption(f"{entry.idea} Calls per question: {entry.calls}.{needs}")
        with right, st.container(horizontal=True):
            for knob, default in entry.knobs.items():
                typed[knob] = st.text_input(
                    knob,
                    USUAL.get(name, {}).get(knob, ""),
                    key=f"form.{name}.{knob}",
                    width=140,
                    **_KEEP,
                    placeholder="the budget" if default is None else str(default),
                    help="One value, or several separated by commas; empty: the default.",
                )
    return typed


def _lineups(strategies: tuple[str, ...], models: list[str]) -> tuple[dict[str, str | None], ...]:
    """One line-up for the chosen strategies that ask several models; several of them take a study file."""
    from engine.models.scripted import names
    from engine.strategies.lineups import called

    known = entries()
    askers = [name for name in strategies if known[name].roles]
    if not askers:
        return ()
    roles = ("solver", *dict.fromkeys(role for name in askers for role in known[name].roles))
    options = list(dict.fromkeys([*models, *BUNDLED, *names()]))
    players: dict[str, str | None] = {}
    with st.container(border=True):
        controls.caption(
            f"Line-up for {', '.join(askers)}: which model plays which role. The models above are run "
            "alone, by the other strategies."
        )
        with st.container(horizontal=True):
            for role in roles:
                players[role] = st.selectbox(
                    role.capitalize(),
                    options,
                    index=0 if role == "solver" else None,
                    key=f"form.lineup.{role}",
                    accept_new_options=True,
                    placeholder="Choose, or type a name",
                    format_func=_name,
                    **_KEEP,
                )
    return ({"name": called(controls.short(model) for model in dict.fromkeys(players.values()) if model), **players},)


def fill(view: str) -> list[str]:
    """Put what a new address says into the form, before it is drawn; one sentence for each part it cannot use."""
    address = asked(view)
    if not any(address.values()) or address == st.session_state.get(_APPLIED):
        return []
    fields, problems = into(address)
    for key, value in fields.items():
        if value is None:
            st.session_state.pop(key, None)
        else:
            st.session_state[key] = value
    st.session_state[_APPLIED], st.session_state[_FORM] = address, None
    return problems


def asked(view: str) -> dict[str, Any]:
    """What the address says of the form."""
    return {param.name: url_state.value(view, param.name) for param in PARAMS}


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
    values = {
        "form.models": _some(said.get("model")),
        "form.strategies": said.get("strategy"),
        "form.generators": tasks,
        "form.source": "Your file" if said.get("task") and not tasks else None,
        "form.level": said.get("level"),
        "form.axis": said.get("axis"),
        f"form.budgets.{fields['form.axis']}": said.get("budgets"),
        "form.system": said.get("system"),
    }
    values |= {f"form.{name}": int(said[name]) for name in COUNTS if said.get(name)}
    fields |= {key: value for key, value in values.items() if value}
    for part, keys in {"knob": _knob_keys(), "role": _role_keys()}.items():
        for text in _some(said.get(part)):
            name, _, value = text.partition("=")
            if name in keys and value:
                fields[keys[name]] = value
            else:
                problems.append(f"This link asks for {part} = {url_state.quoted(text)}, which is not there (any more).")
    return fields, problems[: url_state.MOST_SAID]


def out(session: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields say, as the address names it; what is at its start is left out."""
    usual = start(str(session.get("form.axis") or USUAL_AXIS)) | {"form.axis": USUAL_AXIS}
    new = {key: session[key] for key in usual if key in session and session[key] != usual[key]}
    chosen = session.get("form.strategies") or ()
    # A field of a strategy that is no longer chosen keeps what was typed, and says nothing.
    knobs = [f"{n}={new[key]}" for n, key in _knob_keys().items() if key in new and n.partition(".")[0] in chosen]
    several = any(entries()[name].roles for name in chosen)
    roles = [f"{role}={new[key]}" for role, key in _role_keys().items() if several and new.get(key)]
    tasks = [FILE] if session.get("form.source") == "Your file" else list(new.get("form.generators", []))
    texts = {name: new.get(f"form.{name}") for name in ("level", "axis", "system", *COUNTS)}
    texts["budgets"] = next((value for key, value in new.items() if key.startswith("form.budgets.")), None)
    lists = {"model": new.get("form.models"), "strategy": new.get("form.strategies")}
    lists |= {"task": tasks, "knob": knobs, "role": roles}
    query: dict[str, Any] = {name: str(value) for name, value in texts.items() if value not in (None, "")}
    return query | {name: list(map(str, values)) for name, values in lists.items() if values}


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
    for name, key in _knob_keys().items():
        strategy, _, knob = name.partition(".")
        fields[key] = USUAL.get(strategy, {}).get(knob, "")
    return fields | dict.fromkeys(_role_keys().values())


def _knob_keys() -> dict[str, str]:
    """Session keys by STRATEGY.KNOB."""
    named = [f"{name}.{knob}" for name, entry in entries().items() for knob in entry.knobs]
    return {name: f"form.{name}" for name in named}


def _role_keys() -> dict[str, str]:
    """Session keys by role."""
    roles = ("solver", *(role for entry in entries().values() for role in entry.roles))
    return {role: f"form.lineup.{role}" for role in roles}


def _some(texts: Any) -> list[str]:
    """As many texts as a form can take, none of them endless."""
    return [text[: 100 * MOST] for text in list(texts or ())[:MOST]]
