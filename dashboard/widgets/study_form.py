"""The form of a study in three cards: what is asked, who answers, how much they may spend. The address says all of it.

Knobs, defaults, generators and levels come from the engine's registries. What an address does not say stands at its
start, and an untouched form has an empty one. Never in it: a key, and where somebody's own server is; an address fills
the form and starts nothing. An uploaded file is named by its folder of uploads, so only whoever can open that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dashboard.data import access, studies
from dashboard.text.tables import short_question
from dashboard.widgets import controls, model_list, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.records import PUSD_PER_USD, AnswerKind
from engine.models.bundled import BUNDLED
from engine.models.declared import ModelSpec
from engine.strategies import entries
from engine.study.schema import Study
from engine.tasks import columns, named
from engine.tasks.columns import Role
from engine.tasks.gym.catalogue import CATALOGUE, LEVELS
from engine.tasks.scorers import SAME, SCORERS, is_checker, is_scorer

AXES = {"output_tokens": "Output tokens", "total_tokens": "All tokens", "usd": "Cost", "calls": "Calls"}
BUDGETS = {
    "output_tokens": "32, 64, 128, 256, 512",
    "total_tokens": "128, 256, 512, 1024, 2048",
    "calls": "1, 2, 4, 8, 16",
    "usd": "0.0001, 0.0005, 0.001, 0.005",
}
OFFERED = BUDGETS | {"output_tokens": f"16, {BUDGETS['output_tokens']}, 1024", "calls": f"{BUDGETS['calls']}, 32"}
"""Budgets that are one click away; the others are typed."""
USUAL: dict[str, dict[str, str]] = {"self_consistency": {"samples": "12"}, "told_budget": {"told_tokens": "64"}}
"""What a knob starts with where the strategy's own default is long, or none, for a first try."""
LINES = {
    "direct": "the answer alone",
    "chain_of_thought": "reasons step by step, then answers",
    "self_consistency": "several chains, the most frequent answer wins",
    "chain_of_draft": "a few words per step",
    "self_refine": "answers, criticises itself, answers again",
    "told_budget": "is told how many tokens it may use",
}
"""The six to start with, and what they do; the first three are chosen."""
KINDS = get_args(AnswerKind)
GUESSED, NONE, LETTERED = "as its answers look", "no", "choices, options or A, B, C, …"
LEFT_OUT = "are left out and counted"
STATEMENTS = {"last": "the last counts", "first": "the first counts"}
FIRST = tuple(LINES)[:3]
TASK, OWN, FILE = "A task", "My file", "file"
"""Where questions come from; FILE is the task of an address whose study asks an uploaded file."""
COLUMNS: dict[str, tuple[str, str]] = {
    "messages": ("Chat", "messages_column"),
    "context": ("Document", "context_column"),
    "category": ("Group", "category_column"),
    "kinds": ("Kind of answer, row by row", "kind_column"),
    "ids": ("Name of the row", "id_column"),
    "stratify": ("Spread the sample over", "stratify_column"),
}
"""Columns a file may have besides: label, and field of a [[tasks]] table."""
ROLES: dict[str, Role] = {"messages": "messages", "context": "context", "category": "category", "kinds": "kind"}
"""Those that are chosen by what the columns are called; the others are somebody's own choice."""
FIELDS = ("question", "answer", "choices", "kind", "statement", "checker", "scorer", *COLUMNS, "bad")
"""What is said of a file: its columns, and how its answers are read; None: as they look."""
WITHOUT = "no column"
LONGEST = 44  # Letters of a question that is shown before the run.
MOST = 100  # Parts of one name that are used, and times a hundred the letters of one.
COUNTS = {"questions": (1, 10_000, 60), "shots": (0, 8, 0), "seed": (0, 10_000, 0), "repeats": (1, 100, 1)}
"""Least, most and start of the numbers."""
USUAL_AXIS = "output_tokens"
_KEEP: dict[str, Any] = {"persist_state": "session"}  # A run of the page that does not draw a field keeps it.
_SETTLED = "run.settled"
"""Session key of the address as the form last said it."""


PARAMS = (  # As the address names them; one that is not named stands at its start.
    Param("name"),
    Param("model", (), many=True),
    Param("strategy", (), tuple(entries()), many=True),
    Param("knob", (), many=True),
    Param("role", (), many=True),
    Param("task", choices=(*studies.generators(), FILE)),
    Param("level", choices=tuple(dict.fromkeys(level for name in CATALOGUE for level in studies.spans(name)))),
    Param("file"),
    *(Param(name) for name in FIELDS),
    *(Param(name, choices=tuple(map(str, range(least, most + 1)))) for name, (least, most, _) in COUNTS.items()),
    Param("axis", choices=tuple(AXES)),
    Param("budgets"),
    Param("system"),
    Param("tokens"),
    Param("usd"),
    Param("until"),
)


def what(uploads: Path) -> tuple[dict[str, Any], ...]:
    """The card of questions: [[tasks]] tables of a generator at a level, or of an uploaded file."""
    st.segmented_control(
        "Questions from", [TASK, OWN], required=True, key="form.source", **_KEEP, label_visibility="collapsed"
    )
    if st.session_state["form.source"] == OWN:
        task = _uploaded(uploads)
        if task is None:
            return ()
    else:
        chosen = str(st.selectbox("Task", studies.tasks(), key="form.task", **_KEEP, format_func=studies.task_name))
        generator, _, level = chosen.partition("/")
        # A plugin's task and a benchmark go by their own names and know no level.
        task = {"name": chosen} if studies.bare(chosen) else {"name": f"gym:{generator}", "level": level}
        if named.known(chosen) and studies.bare(chosen):
            made = named.benchmark(generator)
            controls.caption(f"{made.title}, {made.paper}. Licence: {made.licence}. Scored {made.scored}.")
        elif generator in CATALOGUE:
            controls.caption(
                f"{studies.ABOUT.get(generator, 'Generated questions.')} {CATALOGUE[generator].instructions}"
            )
    left, right = st.columns(2)
    with left:
        task["questions"] = _count("Questions", "questions")
    with right:
        task["shots"] = _count("Worked examples", "shots")
    task["seed"] = st.session_state["form.seed"]
    _preview(task)
    return (task,)


def _preview(task: Mapping[str, Any]) -> None:
    """The first questions with what is expected, and how answers are read."""
    try:
        asked = studies.preview(task)
    except BudgetscopeError as error:
        st.warning(controls.literal(studies.without_path(str(error), task)))
        return
    rows = "".join(
        f'<div class="bs-row"><span>{escape(short_question(text, LONGEST))}</span><b>{escape(target or "–")}</b></div>'
        for text, target in asked.rows
    )
    shown = "" if asked.count == len(asked.rows) else f"First {len(asked.rows)} of "
    head = f"{shown}{fmt.plural(asked.count, 'question')}"
    st.html(
        f'<div class="bs-rows"><div class="bs-row bs-head"><span>{head}</span><span>Expected</span></div>{rows}</div>'
    )
    controls.caption(asked.note)


def _count(label: str, name: str, **more: Any) -> int:
    least, most, _ = COUNTS[name]
    return int(st.number_input(label, least, most, key=f"form.{name}", **_KEEP, **more))


def _uploaded(uploads: Path) -> dict[str, Any] | None:
    """The uploaded file as a task, with the columns that hold question and answer; None: there is none yet."""
    most = f"At most {studies.MOST_BYTES // 10**6} MB (unpacked too) and {fmt.count(studies.MOST_ROWS)} rows."
    file = st.file_uploader(
        "CSV, Excel, JSONL or Parquet, one question per row",
        type=list(studies.ENDINGS),
        max_upload_size=studies.MOST_BYTES // 10**6,
        key="form.file",
        help=most,
    )
    path: Path | None = st.session_state.get("form.path")
    if file is not None and file.file_id != st.session_state.get("form.upload"):
        try:
            access.require()
            path = studies.save_upload(uploads, file.name, file.getvalue())
            # A file's own number of questions, its own columns: what was said of another file is not kept.
            st.session_state["form.questions"] = min(COUNTS["questions"][1], studies.rows(path))
            for name in FIELDS:
                st.session_state[f"form.{name}"] = None
        except BudgetscopeError as error:
            st.error(controls.literal(str(error)))
            path = None
        st.session_state["form.upload"] = file.file_id
    st.session_state["form.path"] = path
    if path is None:
        controls.caption("A file of 7 rows gives 7 questions, shown here before the run.")
        return None
    if file is None:
        # Streamlit forgets an uploaded file with its widget; ours lies in the folder still.
        controls.caption(f"Using {path.name}.")
    known, task = studies.columns(path), dict[str, Any](name=f"file:{path}")
    guess = columns.guessed(known)
    checkers = [name for name in SCORERS.names() if is_checker(name)]
    checked = st.session_state.get("form.checker") not in (None, NONE)
    wanted: tuple[Role, ...] = ("question",) if checked else ("question", "answer")
    for name, side in zip(wanted, st.columns(len(wanted)), strict=True):
        key = f"form.{name}"
        if known and st.session_state.get(key) not in known:
            # A chat has its question in itself, and maybe its answer.
            st.session_state[key] = guess.get(name, known[0] if name == "question" else known[-1])
        chosen = side.selectbox(f"Column of the {name}", known, index=None, key=key, **_KEEP)
        task[f"{name}_column"] = chosen or name
    task |= _more_columns(known, guess)
    if "messages_column" in task and "answer" not in guess:
        task.pop("answer_column", None)
    with st.popover("How answers are read", icon=":material/tune:", type="tertiary"):
        kind = _choice("Kind of answer", "kind", KINDS, GUESSED, disabled=checked)
        statement = _choice("Of several stated answers", "statement", ("first",), "last")
        checker = _choice("Checked without answers", "checker", checkers, NONE)
        options = _choice("Column of the options", "choices", known, LETTERED) if kind == "choice" else None
        scorers = [name for name in SCORERS.names() if not is_checker(name) and name != SAME]
        typed = st.session_state.get("form.scorer")
        # One with options is no name of the list, and is typed: number(tolerance=1%).
        own = [str(typed)] if typed and typed not in scorers and is_scorer(str(typed)) else []
        scorer = _choice("Scorer", "scorer", [*scorers, *own], SAME, accept_new_options=True, disabled=checked)
    task |= {"statement": statement} if statement else {}
    if checker:
        return task | {"checker": checker}
    parts = {"choices_column": options, "kind": kind, "scorer": scorer}
    return task | {name: value for name, value in parts.items() if value}


def _more_columns(known: Sequence[str], guess: Mapping[Role, str]) -> dict[str, Any]:
    """What else the columns of a file hold, as fields of a task; those whose names say it are chosen already."""
    fields: dict[str, Any] = {}
    found = sum(name in guess for name in ROLES.values())
    with st.popover(f"Other columns{f' ({found} found)' if found else ''}", icon=":material/table:", type="tertiary"):
        for name, (label, field) in COLUMNS.items():
            key = f"form.{name}"
            if st.session_state.get(key) not in (WITHOUT, *known):
                st.session_state[key] = guess.get(ROLES[name], WITHOUT) if name in ROLES else WITHOUT
            chosen = st.selectbox(label, [WITHOUT, *known], key=key, **_KEEP)
            fields |= {field: str(chosen)} if chosen != WITHOUT else {}
        bad = _choice("Rows that cannot be used", "bad", (LEFT_OUT,), "are an error")
    return fields | ({"skip_bad": True} if bad else {})


def _choice(label: str, name: str, choices: Sequence[str], usual: str, **more: Any) -> str | None:
    """One of the choices; None: as usual."""
    key = f"form.{name}"
    if st.session_state.get(key) not in choices:
        st.session_state[key] = usual
    chosen = st.selectbox(
        label, [usual, *choices], key=key, **_KEEP, format_func=lambda each: STATEMENTS.get(each, str(each)), **more
    )
    return None if chosen == usual else str(chosen)


def who(declared: Mapping[str, ModelSpec], environment: Mapping[str, str]) -> tuple[Any, ...]:
    """The card of models and strategies: models, their [[models]] tables, strategies with knobs, line-ups."""
    tables = {name: studies.model_table(model) for name, model in declared.items()}
    models = model_list.models(tables, environment)
    known = entries()
    chosen: list[str] = st.session_state["form.strategies"]
    with st.container(horizontal=True, vertical_alignment="center", key="strategies-head"):
        st.html('<span class="bs-label">Strategies: six to start with</span>')
        with st.popover(f"All {len(known)} by family", type="tertiary"):
            families = dict.fromkeys(entry.family for entry in known.values())
            for family in families:
                st.markdown(f"**{controls.literal(names.family(family).capitalize())}**")
                for name in (each for each, entry in known.items() if entry.family == family):
                    _pick("all", name, chosen)
                    needs = " Needs a model that continues a prefix." if known[name].needs_prefix else ""
                    controls.caption(f"{known[name].idea}{needs}")
    for name in dict.fromkeys(
        [*(name for name in LINES if name in known), *(each for each in chosen if each in known)]
    ):
        with st.container(key=f"setting-{name}", gap=None):
            _pick("row", name, chosen)
            calls = studies.calls(name, _typed(name))
            many = f"{calls} {'call' if calls == '1' else 'calls'}"
            line = LINES.get(name) or known[name].idea.split(" (")[0]
            st.html(f'<div class="bs-line-of"><span>{escape(line)}</span><span>{escape(many)}</span></div>')
    with st.popover("Parameters", icon=":material/tune:", type="tertiary"):
        strategies = tuple((name, _knobs(name)) for name in chosen if name in known)
        if not strategies:
            controls.caption("No strategy is chosen.")
    lineups = _lineups(tuple(name for name, _ in strategies), [*models, *tables])
    return models, tables, strategies, lineups


def _typed(name: str) -> dict[str, str]:
    """What is typed for a strategy's parameters, whether its fields are drawn or not."""
    return {knob: str(st.session_state.get(f"form.{name}.{knob}") or "") for knob in entries()[name].knobs}


def _pick(where: str, name: str, chosen: list[str]) -> None:
    """A box to choose a strategy by; the list of the session is what counts, for a strategy may have two boxes."""
    key = f"pick.{where}.{name}"

    def picked() -> None:
        now = [each for each in st.session_state["form.strategies"] if each != name]
        st.session_state["form.strategies"] = [*now, name] if st.session_state[key] else now

    st.session_state[key] = name in chosen
    params = {"samples": int(text)} if (text := _typed(name).get("samples", "")).isdigit() else {}
    st.checkbox(f"**{controls.literal(names.strategy(name, params))}**", key=key, on_change=picked)


def _knobs(name: str) -> dict[str, str]:
    """One field per parameter of a strategy; empty means its default, commas sweep."""
    typed = {}
    st.markdown(f"**{controls.literal(names.strategy(name))}**")
    with st.container(horizontal=True):
        for knob, default in entries()[name].knobs.items():
            typed[knob] = st.text_input(
                knob,
                key=f"form.{name}.{knob}",
                **_KEEP,
                width=130,
                placeholder="the budget" if default is None else str(default),
                help="One value, or several separated by commas; empty: the default.",
            )
    return typed


def _lineups(strategies: tuple[str, ...], models: list[str]) -> tuple[dict[str, str | None], ...]:
    """One line-up for the chosen strategies that ask several models; several of them take a study file."""
    from engine.models.scripted import names as scripted
    from engine.strategies.lineups import called

    known = entries()
    askers = [name for name in strategies if known[name].roles]
    if not askers:
        return ()
    roles = ("solver", *dict.fromkeys(role for name in askers for role in known[name].roles))
    options = list(dict.fromkeys([*models, *BUNDLED, *scripted()]))
    players: dict[str, str | None] = {}
    with st.container(border=True):
        controls.caption(
            f"Line-up for {', '.join(map(names.strategy, askers))}: which model plays which role. The models above are "
            "run alone, by the other strategies."
        )
        for role in roles:
            players[role] = st.selectbox(
                role.capitalize(),
                options,
                index=0 if role == "solver" else None,
                key=f"form.lineup.{role}",
                **_KEEP,
                accept_new_options=True,
                placeholder="Choose, or type a name",
            )
    return ({"name": called(controls.short(model) for model in dict.fromkeys(players.values()) if model), **players},)


def how_much() -> tuple[str, str]:
    """The card of budgets: what they count, and the budgets as typed."""
    st.segmented_control(
        "Budget counts", list(AXES), required=True, key="form.axis", **_KEEP, format_func=lambda each: AXES[str(each)]
    )
    axis = str(st.session_state["form.axis"])
    key = f"form.budgets.{axis}"
    st.session_state.setdefault(key, BUDGETS[axis])
    chosen = studies.listed(st.session_state[key])
    offered = sorted({*studies.listed(OFFERED[axis]), *(each for each in chosen if isinstance(each, (int, float)))})

    def picked() -> None:
        st.session_state[key] = ", ".join(f"{each:.12g}" for each in sorted(st.session_state["form.pills"]))

    def add() -> None:
        if other := st.session_state.get("form.other"):
            now = {*(each for each in chosen if isinstance(each, (int, float))), other}
            st.session_state[key] = ", ".join(f"{each:.12g}" for each in sorted(now))
        st.session_state["form.other"] = None

    st.session_state["form.pills"] = [each for each in offered if each in chosen]
    st.pills(
        "Budgets per question, up to",
        offered,
        selection_mode="multi",
        key="form.pills",
        on_change=picked,
        format_func=lambda each: f"${each:g}" if axis == "usd" else fmt.count(int(each)),
    )
    with st.popover("other", icon=":material/add:", type="tertiary"):
        step: Any = {"format": "%.6f", "min_value": 0.0} if axis == "usd" else {"step": 1, "min_value": 1}
        st.number_input("Another budget", value=None, key="form.other", on_change=add, **step)
    if bad := [each for each in chosen if not isinstance(each, (int, float))]:
        controls.caption(f"Not a number: {', '.join(map(str, bad))}.")
    controls.caption("One run serves all budgets: smaller ones are read off the largest.")
    return axis, str(st.session_state[key])


def more() -> tuple[int, str, float | None]:
    """What is seldom changed: repeats, system prompt, and the regret in points at which an adaptive run stops."""
    until = st.number_input(
        "Adaptive: stop once surely so near the best, points",
        0.1,
        50.0,
        None,
        step=1.0,
        format="%g",
        key="form.until",
        **_KEEP,
        placeholder="ask every question",
        help="Then settings that are surely beaten at every budget are asked no further. Empty: all are asked all.",
    )
    with st.popover("Repeats, seed, system prompt", icon=":material/tune:", type="tertiary"):
        repeats = _count("Repeats", "repeats")
        _count("Seed", "seed", help="Which questions: seeds share none as long as they ask for equally many.")
        system = st.text_input("System prompt", key="form.system", **_KEEP, placeholder="none")
    return repeats, system, until


def fill(view: str, uploads: Path) -> list[str]:
    """Put what the address says into the form where it says something else, before it is drawn; one sentence for each
    part it cannot use."""
    address = asked(view)
    if address == st.session_state.get(_SETTLED):  # Then the form was changed since, and is about to say so.
        return []
    fields, problems = into(address, uploads)
    for key in [key for key in st.session_state if str(key).startswith("form.budgets.")]:
        del st.session_state[key]
    for key, value in fields.items():
        st.session_state[key] = value
    return problems


def start_missing() -> None:
    """Put what Streamlit dropped, of fields that were not drawn for a while, at its start again."""
    for key, value in start(str(st.session_state.get("form.axis") or USUAL_AXIS)).items():
        if key not in st.session_state:
            st.session_state[key] = value


def asked(view: str) -> dict[str, Any]:
    """What the address says of the form; nothing of what it leaves out."""
    values = {param.name: url_state.value(view, param.name) for param in PARAMS}
    return {name: list(value) if isinstance(value, (list, tuple)) else value for name, value in values.items() if value}


def said_by_form() -> dict[str, Any]:
    """What the form says, as the address names it and in its order."""
    now = out({str(key): value for key, value in st.session_state.items()})
    strategies = [name for name in entries() if name in now.get("strategy", ())]
    return now | ({"strategy": strategies} if strategies else {})


def settle(view: str) -> None:
    """Make the form's address that of the page; `url_state.save` writes it."""
    st.session_state[_SETTLED] = now = said_by_form()
    for param in PARAMS:
        st.session_state[url_state.key(view, param.name)] = now.get(param.name, [] if param.many else None)


def into(said: Mapping[str, Any], uploads: Path | None = None) -> tuple[dict[str, Any], list[str]]:
    """The form's fields by session key, and what no field takes. What is not said is at its start."""
    fields, problems = start(str(said.get("axis") or USUAL_AXIS)), list[str]()
    task, level = said.get("task"), said.get("level") or "easy"
    if task == FILE:
        fields["form.source"] = OWN
        if path := studies.uploaded(uploads, str(said.get("file") or "")):
            fields["form.path"] = path
            fields |= {f"form.{name}": said[name] for name in FIELDS if said.get(name)}
        elif said.get("file"):
            problems.append("The uploaded file of this link is not here (any more); upload it again.")
    elif task:
        fields["form.task"] = str(task) if studies.bare(str(task)) else f"{task}/{level}"
    elif level != "easy":
        fields["form.task"] = f"chain_sum/{level}"
    values = {
        "form.name": said.get("name"),
        "form.models": _some(said.get("model")),
        "form.strategies": list(said.get("strategy") or ()),
        "form.axis": said.get("axis"),
        f"form.budgets.{fields['form.axis']}": said.get("budgets"),
        "form.system": said.get("system"),
    }
    values |= {f"form.{name}": int(said[name]) for name in COUNTS if said.get(name)}
    fields |= {key: value for key, value in values.items() if value}
    for name, most in (("tokens", 10**12), ("usd", 10**6), ("until", 50)):
        typed = str(said.get(name) or "")
        if (
            re.fullmatch(r"\d{1,13}" if name == "tokens" else r"\d{1,7}(\.\d{1,9})?", typed)
            and 0 < float(typed) <= most
        ):
            fields[f"form.{name}"] = int(typed) if name == "tokens" else float(typed)
        elif typed:
            what = "regret to stop at" if name == "until" else "ceiling"
            problems.append(f"This link asks for {name} = {url_state.quoted(typed)}, which is no {what}.")
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
    knobs = [f"{n}={new[key]}" for n, key in _knob_keys().items() if new.get(key) and n.partition(".")[0] in chosen]
    several = any(entries()[name].roles for name in chosen if name in entries())
    roles = [f"{role}={new[key]}" for role, key in _role_keys().items() if several and new.get(key)]
    texts = {name: new.get(f"form.{name}") for name in ("name", "axis", "system", "tokens", "usd", "until", *COUNTS)}
    texts["usd"] = None if texts["usd"] is None else f"{texts['usd']:.9f}".rstrip("0").rstrip(".")
    texts["until"] = None if texts["until"] is None else f"{texts['until']:g}"
    texts["budgets"] = next((value for key, value in new.items() if key.startswith("form.budgets.")), None)
    if session.get("form.source") == OWN:
        path = session.get("form.path")
        texts |= {"task": FILE, "file": path and f"{path.parent.name}/{path.name}"}
        said = {name: session.get(f"form.{name}") for name in FIELDS} if path else {}
        texts |= {
            name: each
            for name, each in said.items()
            if each not in (GUESSED, NONE, LETTERED, SAME, "last", "are an error")
        }
    elif "form.task" in new:
        chosen = str(new["form.task"])
        generator, _, level = (chosen, "", "") if studies.bare(chosen) else chosen.partition("/")
        level = level or LEVELS[0]
        texts |= {"task": generator if generator != "chain_sum" else None, "level": level if level != "easy" else None}
    lists = {"model": new.get("form.models"), "strategy": new.get("form.strategies"), "knob": knobs, "role": roles}
    query: dict[str, Any] = {name: str(value) for name, value in texts.items() if value not in (None, "")}
    return query | {name: list(map(str, values)) for name, values in lists.items() if values}


def of_study(study: Study, uploads: Path) -> dict[str, Any]:
    """The address that fills the form with a study, as far as the form can say it: one task, one line-up."""
    knobs: dict[str, list[str]] = {}
    for choice in study.strategies:
        for knob, value in choice.params:
            knobs.setdefault(f"{choice.name}.{knob}", []).append(str(value))
    task, axis = study.tasks[0], str(study.budget_axis)
    source, _, rest = task.name.partition(":")
    budgets = [each / PUSD_PER_USD if axis == "usd" else each for each in study.budgets]
    session = start(axis) | {
        "form.name": re.sub(r" \(pilot\)$", "", study.name),
        "form.models": [model.name for model in study.models if model.alone],
        "form.strategies": list(dict.fromkeys(choice.name for choice in study.strategies)),
        "form.axis": axis,
        f"form.budgets.{axis}": ", ".join(f"{each:.12g}" for each in budgets),
        "form.system": study.system or "",
        "form.repeats": study.repeats,
        "form.shots": task.shots,
        "form.seed": task.seed,
        "form.questions": task.questions or COUNTS["questions"][2],
        "form.tokens": study.ceiling.tokens,
        "form.usd": None if study.ceiling.pusd is None else study.ceiling.pusd / PUSD_PER_USD,
        "form.until": None if study.until is None else round(100 * study.until, 4),
    }
    # A knob that the study leaves alone stands at the strategy's own default, not at the form's start.
    for name, key in _knob_keys().items():
        default = entries()[name.partition(".")[0]].knobs[name.partition(".")[2]]
        own = list(dict.fromkeys(knobs.get(name, ())))
        session[key] = ", ".join(own) if own else session[key] and str(default)
    if source == "file":
        columns = {"question": task.question_column, "answer": task.answer_column, "choices": task.choices_column}
        session |= {"form.source": OWN, "form.path": Path(rest)} | {f"form.{name}": of for name, of in columns.items()}
        session |= {"form.kind": task.kind, "form.checker": task.checker, "form.scorer": task.scorer}
        session["form.statement"] = "first" if task.statement == "first" else None
        session |= {f"form.{name}": getattr(task, field) or WITHOUT for name, (_, field) in COLUMNS.items()}
        session["form.bad"] = LEFT_OUT if task.skip_bad else None
    else:
        session["form.task"] = studies.named_as(task)
    return out(session)


def start(axis: str) -> dict[str, Any]:
    """Every field an address can set, at what an untouched form says; None: what the form chooses by itself."""
    fields: dict[str, Any] = {
        "form.name": "",
        "form.models": list(BUNDLED)[:1],
        "form.strategies": [name for name in FIRST if name in entries()],
        "form.source": TASK,
        "form.task": "chain_sum/easy",
        "form.path": None,
        **{f"form.{name}": None for name in FIELDS},
        "form.axis": axis,
        f"form.budgets.{axis}": BUDGETS[axis],
        "form.system": "",
        "form.tokens": None,
        "form.usd": None,
        "form.until": None,
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
