"""The form of a study as an address: what stands in it, what a link puts into it, and what it says of itself.

The address says all of the form. What it does not say stands at its start, and an untouched form has an empty one.
Never in it: a key, and where somebody's own server is; an address fills the form and starts nothing. An uploaded file
is named by its folder of uploads, so only whoever can open that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.data import studies
from dashboard.widgets import url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core.records import PUSD_PER_USD
from engine.models.bundled import BUNDLED
from engine.strategies import entries
from engine.study.schema import Study
from engine.tasks import named
from engine.tasks.gym.catalogue import CATALOGUE, LEVELS
from engine.tasks.scorers import SAME

AXES = {"output_tokens": "Output tokens", "total_tokens": "All tokens", "usd": "Cost", "calls": "Calls"}
BUDGETS = {
    "output_tokens": "32, 64, 128, 256, 512",
    "total_tokens": "128, 256, 512, 1024, 2048",
    "calls": "1, 2, 4, 8, 16",
    "usd": "0.0001, 0.0005, 0.001, 0.005",
}
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
GUESSED, NONE, LETTERED = "as its answers look", "no", "choices, options or A, B, C, …"
LEFT_OUT = "are left out and counted"
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
FIELDS = ("question", "answer", "choices", "kind", "statement", "checker", "scorer", "judge", "rubric", *COLUMNS, "bad")
"""What is said of a file: its columns, and how its answers are read; None: as they look."""
WITHOUT = "no column"
MOST = 100  # Parts of one name that are used, and times a hundred the letters of one.
COUNTS = {"questions": (1, 10_000, 60), "shots": (0, 8, 0), "seed": (0, 10_000, 0), "repeats": (1, 100, 1)}
"""Least, most and start of the numbers."""
USUAL_AXIS = "output_tokens"
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
    *(Param(name) for name in (*FIELDS, "revision")),
    *(Param(name, choices=tuple(map(str, range(least, most + 1)))) for name, (least, most, _) in COUNTS.items()),
    Param("axis", choices=tuple(AXES)),
    Param("budgets"),
    Param("system"),
    Param("tokens"),
    Param("usd"),
    Param("until"),
)


def fill(view: str, uploads: Path) -> list[str]:
    """Put what the address says into the form where it says something else, before it is drawn; one sentence for each
    part it cannot use."""
    address = asked(view)
    if address == st.session_state.get(_SETTLED):  # Then the form was changed since, and is about to say so.
        return []
    fields, problems = into(address, uploads)
    # Those of other axes too, or an old one would come back when the axis is changed.
    for key in [key for key in st.session_state if str(key).startswith("form.budgets.")]:
        del st.session_state[key]
    for key, value in fields.items():
        st.session_state[key] = value
    # A page is drawn anew when its width is known, and this once is over then.
    url_state.also(view, problems)
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
        "form.models": list(dict.fromkeys(filter(None, _some(said.get("model"))))),
        "form.strategies": list(said.get("strategy") or ()),
        "form.axis": said.get("axis"),
        f"form.budgets.{fields['form.axis']}": said.get("budgets"),
        "form.system": said.get("system"),
        "form.revision": said.get("revision"),
    }
    # They are numbers in range: `PARAMS` names every one that an address may hold.
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
            problems.append(
                f"This link asks for {name} = {url_state.quoted(typed)}, which is no {what}: a number above 0, at most "
                f"{most:,}."
            )
    for part, keys in {"knob": _knob_keys(), "role": _role_keys()}.items():
        for text in _some(said.get(part)):
            name, _, value = text.partition("=")
            strategy, _, knob = name.partition(".")
            if name in keys:
                fields |= {keys[name]: value} if value else {}
            elif part == "knob" and strategy in entries():
                there = ", ".join(entries()[strategy].knobs) or "none"
                which = f"no parameter {url_state.quoted(knob)} (it has: {there})"
                problems.append(f"{names.strategy(strategy)} has {which}, which this link sets.")
            else:
                problems.append(f"This link asks for {part} = {url_state.quoted(name)}, which is not there (any more).")
    # A hostile address may name thousands.
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
    public = session.get("form.source") != OWN and named.known(str(session.get("form.task")))
    texts["revision"] = new.get("form.revision") if public else None
    # Nine decimals and no exponent, which `into` would not read.
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
        session |= {f"form.{name}": getattr(task, name) for name in ("kind", "checker", "scorer", "judge", "rubric")}
        session["form.statement"] = "first" if task.statement == "first" else None
        session |= {f"form.{name}": getattr(task, field) or WITHOUT for name, (_, field) in COLUMNS.items()}
        session["form.bad"] = LEFT_OUT if task.skip_bad else None
    else:
        session |= {"form.task": studies.named_as(task), "form.revision": task.revision or ""}
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
        "form.revision": "",
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
