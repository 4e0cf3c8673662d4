"""A prepared run as a link to the Run page: what the form says as parts of its address, and back into the form.

Says models, strategies and their knobs, line-up, task, budgets and repeats, never a ceiling, a key or an endpoint. A
link fills the form and starts nothing. Values equal to the form's own start are left out. The address stays as it was
opened until the form is changed; then it says nothing of the form, rather than something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from dashboard import form, links
from dashboard.links import Param
from engine.errors import shortened
from engine.models.local import BUNDLED
from engine.strategies import entries
from engine.tasks.gym import known_generators
from engine.tasks.gym.catalogue import LEVELS

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
    Param("task", (), (*known_generators(), FILE), many=True),
    Param("level", choices=tuple(LEVELS)),
    *map(_count, COUNTS),
    Param("axis", choices=tuple(form.AXES)),
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
    return {param.name: st.session_state.get(links.key(view, param.name)) for param in PARAMS}


def settle(view: str) -> dict[str, Any]:
    """What the drawn form says, for a link; an address that it was filled from and no longer follows is emptied."""
    now = out({str(key): value for key, value in st.session_state.items()})
    if st.session_state.get(_FORM) is None:
        st.session_state[_FORM] = now
    elif now != st.session_state[_FORM]:
        st.session_state[_APPLIED], st.session_state[_FORM] = None, now
        for param in PARAMS:
            st.session_state[links.key(view, param.name)] = [] if param.many else None
    return now


def into(said: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The form's fields by session key, and what no field takes. What is not said is at its start."""
    fields, problems = start(str(said.get("axis") or USUAL_AXIS)), list[str]()
    tasks = [each for each in said.get("task") or () if each != FILE]
    told = {"form.models": _some(said.get("model")), "form.strategies": said.get("strategy"), "form.generators": tasks,
            "form.source": "Your file" if said.get("task") and not tasks else None, "form.level": said.get("level"),
            "form.axis": said.get("axis"), f"form.budgets.{fields['form.axis']}": said.get("budgets"),
            "form.system": said.get("system")}  # fmt: skip
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
    return fields, problems[: links.MOST_SAID]


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
    lists = {"model": new.get("form.models"), "strategy": new.get("form.strategies"), "task": tasks, "knob": knobs,
             "role": roles}  # fmt: skip
    texts = {name: str(value) for name, value in {**plain, "budgets": budgets}.items() if value not in (None, "")}
    return texts | {name: list(map(str, values)) for name, values in lists.items() if values}


def start(axis: str) -> dict[str, Any]:
    """Every field a link can set, at what an untouched form says; None: what the form chooses by itself."""
    fields: dict[str, Any] = {
        "form.models": list(BUNDLED)[:1], "form.strategies": [name for name in form.FIRST if name in entries()],
        "form.generators": ["chain_sum"], "form.source": "Generated", "form.level": "easy", "form.axis": axis,
        f"form.budgets.{axis}": form.BUDGETS[axis], "form.system": "",
    }  # fmt: skip
    fields |= {f"form.{name}": usual for name, (_, _, usual) in COUNTS.items()}
    fields |= {key: form.USUAL.get(name, {}).get(knob, "") for name, knob, key in _knobs()}
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
