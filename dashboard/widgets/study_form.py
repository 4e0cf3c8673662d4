"""The form of a study in three cards: what is asked, who answers, how much they may spend.

Knobs, defaults, generators and levels come from the engine's registries; `study_address` says it all in the address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dashboard.data import access, studies
from dashboard.text.tables import short_question
from dashboard.widgets import controls, model_list
from dashboard.widgets.study_address import (
    AXES,
    BUDGETS,
    COLUMNS,
    COUNTS,
    FIELDS,
    GUESSED,
    LEFT_OUT,
    LETTERED,
    LINES,
    NONE,
    OWN,
    TASK,
    WITHOUT,
)
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.records import AnswerKind
from engine.models.bundled import BUNDLED
from engine.models.declared import ModelSpec
from engine.strategies import entries
from engine.tasks import columns, named
from engine.tasks.columns import Role
from engine.tasks.gym.catalogue import CATALOGUE
from engine.tasks.scorers import SAME, SCORERS, is_checker, is_scorer

OFFERED = BUDGETS | {"output_tokens": f"16, {BUDGETS['output_tokens']}, 1024", "calls": f"{BUDGETS['calls']}, 32"}
"""Budgets that are one click away; the others are typed."""
KINDS = get_args(AnswerKind)
STATEMENTS = {"last": "the last counts", "first": "the first counts"}
ROLES: dict[str, Role] = {"messages": "messages", "context": "context", "category": "category", "kinds": "kind"}
"""Those that are chosen by what the columns are called; the others are somebody's own choice."""
LONGEST_RUBRIC = 4_000
LONGEST = 44  # Letters of a question that is shown before the run.
REFUSED = "form.refused"
"""Session key: why the file that stands in the form was not taken, said for as long as it stands there."""
_KEEP: dict[str, Any] = {"persist_state": "session"}  # A run of the page that does not draw a field keeps it.


def what(uploads: Path) -> tuple[tuple[dict[str, Any], ...], str]:
    """The card of questions: [[tasks]] tables of a generator at a level, or of an uploaded file, and the fault that the
    card says of them; empty: there is none."""
    st.segmented_control(
        "Questions from", [TASK, OWN], required=True, key="form.source", **_KEEP, label_visibility="collapsed"
    )
    if st.session_state["form.source"] == OWN:
        task = _uploaded(uploads)
        if task is None:
            return (), str(st.session_state.get(REFUSED) or "")
    else:
        chosen = str(st.selectbox("Task", studies.tasks(), key="form.task", **_KEEP, format_func=studies.task_name))
        generator, _, level = chosen.partition("/")
        # A plugin's task and a benchmark go by their own names and know no level.
        task = {"name": chosen} if studies.bare(chosen) else {"name": f"gym:{generator}", "level": level}
        if named.known(chosen) and studies.bare(chosen):
            task |= _revision(chosen)
        elif generator in CATALOGUE:
            controls.caption(
                f"{studies.ABOUT.get(generator, 'Generated questions.')} {CATALOGUE[generator].instructions}"
            )
    left, right = st.columns(2)
    with left:
        # Said even at its start: a task's own number of questions may be another.
        task["questions"] = _count("Questions", "questions")
    with right:
        task["shots"] = _count("Worked examples", "shots")
    task["seed"] = st.session_state["form.seed"]
    return (task,), _preview(task)


def _revision(chosen: str) -> dict[str, Any]:
    """What a benchmark is and where its questions come from, and another commit of them, if one is wanted."""
    made = named.benchmark(chosen.partition("/")[0])
    source = made.sources[chosen.partition("/")[2] or next(iter(made.sources))].address
    controls.caption(f"{made.title}, {made.paper}. Licence: {made.licence}. Scored {made.scored}.")
    controls.caption(f"Questions from {source}")
    asked = st.text_input(
        "Revision",
        key="form.revision",
        **_KEEP,
        placeholder="the commit above",
        help="Another commit of the publisher's repository, in 40 digits; a branch moves, and is refused.",
    )
    return {"revision": str(asked).strip()} if asked else {}


def _preview(task: Mapping[str, Any]) -> str:
    """The first questions with what is expected, and how answers are read; the fault that is said in their place."""
    try:
        asked = studies.preview(task)
    except BudgetscopeError as error:
        fault = studies.without_path(str(error), task)
        controls.fault(fault)
        return fault
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
    return ""


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
    # Streamlit hands over the same file in every run of the page; it is saved once.
    if file is None:
        st.session_state[REFUSED] = None
    elif file.file_id != st.session_state.get("form.upload"):
        st.session_state[REFUSED] = None
        try:
            # Here too, and not only where a run starts: an upload writes to the server's disk.
            access.require()
            path = studies.save_upload(uploads, file.name, file.getvalue())
            # A file's own number of questions, its own columns: what was said of another file is not kept.
            st.session_state["form.questions"] = min(COUNTS["questions"][1], studies.rows(path))
            for name in FIELDS:
                st.session_state[f"form.{name}"] = None
        except BudgetscopeError as error:
            st.session_state[REFUSED], path = str(error), None
        st.session_state["form.upload"] = file.file_id
    st.session_state["form.path"] = path
    if path is None:
        if refused := st.session_state[REFUSED]:
            controls.fault(refused, grave=True)
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
    # Labels before their fields, as in the row of controls: beside one another the names of columns were cut.
    side = st.container(key="bar-columns", gap="xsmall")
    for name in wanted:
        key = f"form.{name}"
        # What was chosen for another file may name no column of this one.
        if known and st.session_state.get(key) not in known:
            # A chat has its question in itself, and maybe its answer.
            st.session_state[key] = guess.get(name, known[0] if name == "question" else known[-1])
        chosen = side.selectbox(f"{name.capitalize()} column", known, index=None, key=key, **_KEEP)
        task[f"{name}_column"] = chosen or name
    task |= _more_columns(known, guess)
    # The last turn of a chat may be its answer; a column stands for it only where a name says so.
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
        judge = None if checked else _judge()
        unscored = checked or judge is not None
        scorer = _choice("Scorer", "scorer", [*scorers, *own], SAME, accept_new_options=True, disabled=unscored)
    task |= {"statement": statement} if statement else {}
    if checker:
        return task | {"checker": checker}
    parts = {"choices_column": options, "kind": kind, **(judge or {"scorer": scorer})}
    return task | {name: value for name, value in parts.items() if value}


def _judge() -> dict[str, Any] | None:
    """A model that grades the answers, and by what; None: a scorer does."""
    known = [*BUNDLED, *st.session_state.get(model_list.ADDED, ()), *st.session_state["form.models"]]
    typed = st.session_state.get("form.judge")
    own = [str(typed)] if typed not in (None, "", NONE) else []
    judge = _choice("Judge model", "judge", list(dict.fromkeys([*known, *own])), NONE, accept_new_options=True)
    if judge is None:
        return None
    rubric = st.text_area(
        "Rubric",
        key="form.rubric",
        **_KEEP,
        max_chars=LONGEST_RUBRIC,
        placeholder="Right if it names the cause and the remedy; half if it names one of them.",
    )
    controls.caption(
        "It grades each distinct answer to a question once. That is charged to the run, under its ceiling, and to no "
        "setting; answers it has not graded are not scored."
    )
    return {"judge": judge, "rubric": rubric or ""}


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
    # A choice that is gone (another kind of answer, another file) would make Streamlit raise.
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
        # Last chosen stands last: the order is that of the run's settings.
        now = [each for each in st.session_state["form.strategies"] if each != name]
        st.session_state["form.strategies"] = [*now, name] if st.session_state[key] else now

    st.session_state[key] = name in chosen
    params = {"samples": int(text)} if (text := _typed(name).get("samples", "")).isdigit() else {}
    st.checkbox(controls.literal(names.strategy(name, params)), key=key, on_change=picked)


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
    # A field of its own per axis: 512 tokens are no 512 dollars.
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

    # The typed text is what counts; the pills are set from it before they are drawn.
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
    controls.caption("One run serves all budgets: smaller ones are read off the largest.")
    # A link may name one twice, which the pills cannot show.
    return axis, ", ".join(dict.fromkeys(part.strip() for part in str(st.session_state[key]).split(",")))


def more() -> tuple[int, str, float | None]:
    """What is seldom changed: repeats, system prompt, and the regret in points at which an adaptive run stops."""
    until = st.number_input(
        "Adaptive: stop this close to the best, points",
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
