"""What people read instead of identifiers: names of strategies, models, tasks and settings, distinct in what is shown.

A setting's name depends on what stands beside it: parameters appear only where two settings in view differ in them,
the model only where two are in view, never because of something else in the database. Identifiers stay in links,
exports and `label` columns. Names may hold anything an identifier does: a figure or a terminal still escapes them.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core import text

Row = Mapping[str, Any]
Variant = tuple[str, str, str, str]
"""What is the same along all budgets of a setting: task, strategy, model, parameters."""
ALL_STUDIES = "*"
"""As the name of a study, in a call or an address: all of them together, as far as they asked the same questions."""
IDLE = "did not do what its name says with this model"
"""Of a setting whose mechanism had nothing to work on; see `analysis.mechanisms`."""
ARROW = " → "
"""Stands between the models of a line-up, smallest first."""

STRATEGIES = {
    "best_of_n": "Best of n",
    "least_to_most": "Least-to-most",
    "multi_agent_debate": "Debate",
    "reflexion_oracle": "Reflexion with oracle",
    "tale_ep": "TALE",
    "told_budget": "Stated budget",
}
"""Where a strategy's name is not its identifier with spaces."""
ROLES = {
    "answer": "final answer",
    "compress": "shortening",
    "critique": "criticising",
    "debate": "debating",
    "detail": "reading details",
    "estimate": "estimating",
    "judge": "judging",
    "part": "answering parts",
    "plan": "planning",
    "propose": "proposing",
    "refine": "improving",
    "reflect": "reflecting",
    "rewrite": "rewriting",
    "solve": "answering",
    "summarise": "summing up",
    "value": "rating",
}
"""What a call is for, by its role."""
IMPORTED = "imported:"
"""Begins the strategy of every imported setting; no registered one has a colon."""
TOOLS = {
    "inspect": "Inspect",
    "lm_eval": "lm-eval",
    "helm": "HELM",
    "every_eval_ever": "Every Eval Ever",
    "promptfoo": "promptfoo",
    "chat": "chat log",
    "csv": "CSV",
}
"""What the tools are called whose logs are imported."""
_LONGEST = 80
TASKS = {
    "chain_sum": "Sums",
    "gcd": "Divisors",
    "gsm_symbolic": "Word problems",
    "letter_counting": "Letters",
    "syllogism": "Syllogisms",
}
READ_AGAIN = "Budgetscope"
"""Begins the scorer's name of an imported setting that was read a second time, by our rules: `Budgetscope (same)`."""
MAJORITY = "majority_at"
"""Parameter of a setting that is derived from an imported one: over how many of its draws it votes."""
ALWAYS = frozenset({"samples", "told_tokens", MAJORITY})
"""Parameters that are part of the name: how many votes, and which budget the prompt states."""


def imported(tool: str, setting: str) -> str:
    """The identifier of what another tool calls its solver: `imported:inspect/multiple_choice`."""
    return f"{IMPORTED}{tool}/{' '.join(setting.split())[:_LONGEST]}"


def is_imported(identifier: str) -> bool:
    """Whether a strategy is another tool's, read from its log."""
    return identifier.startswith(IMPORTED)


def is_derived(params: str) -> bool:
    """Whether a setting's parameters, in JSON, say that it is a vote over an imported setting's draws."""
    return MAJORITY in _parameters(params)


def strategy(identifier: str, params: Row | None = None) -> str:
    """`Self-consistency ×12`, `Stated budget, 64`, `Chain of thought`; plugins by their identifier; of an imported log
    what its tool calls it: `multiple_choice (imported, Inspect)`, and votes over its draws `multiple_choice, majority
    at 4 (derived, Inspect)`."""
    if is_imported(identifier):
        tool, _, setting = identifier.removeprefix(IMPORTED).partition("/")
        if votes := (params or {}).get(MAJORITY):
            return f"{setting or 'unnamed'}, majority at {votes} (derived, {TOOLS.get(tool, tool)})"
        return f"{setting or 'unnamed'} (imported, {TOOLS.get(tool, tool)})"
    words = identifier.replace("_", " ").strip()
    name = STRATEGIES.get(identifier) or re.sub("^self ", "self-", words[:1].upper() + words[1:], flags=re.I)
    name = "S" + name[1:] if name.startswith("self-") else name
    votes, stated = (params or {}).get("samples"), (params or {}).get("told_tokens")
    if isinstance(votes, int) and votes > 1:
        name += f" ×{text.count(votes)}"
    return f"{name}, {text.number(stated)}" if isinstance(stated, int | float) else name


def family(identifier: str) -> str:
    """A family of strategies: the identifier, but for the budget a prompt states, which has one word everywhere."""
    return _said(identifier)


def role(identifier: str) -> str:
    """What a call in this role is for: `answering`, `criticising`; a plugin's by its identifier with spaces."""
    return ROLES.get(identifier) or identifier.replace("_", " ")


def fact(identifier: str) -> str:
    """What a trial states of its mechanism, in the same words."""
    return _said(identifier)


def _said(identifier: str) -> str:
    return identifier.replace("told budget", "stated budget")


def task(identifier: str) -> str:
    """`Sums (easy)` for gym:chain_sum/easy; tasks from files are called as the file is."""
    source, colon, rest = identifier.partition(":")
    if source != "gym":
        own = rest if colon and source == "file" and rest else identifier
        # A file whose answers another scorer reads is another task.
        name, _, scorer = own.partition("+")
        return f"{name} ({scorer.replace('_', ' ')})" if name and scorer else own
    generator, _, level = rest.partition("/")
    name = TASKS.get(generator) or generator.replace("_", " ").capitalize()
    return f"{name} ({level})" if level else name


def study(identifier: str) -> str:
    """`Token economies` for token_economies."""
    words = identifier.replace("_", " ")
    return words[:1].upper() + words[1:]


def model(identifier: str) -> str:
    """`SmolLM2 135M` for local/smollm2-135m, `gpt-4o-mini` for openai/gpt-4o-mini; of a line-up `a → b`, of one family
    `Qwen2.5 Coder 0.5B → 1.5B`."""
    players, before = list[str](), list[str]()
    for player in identifier.split(ARROW):
        # Settings stand behind a brace, an endpoint's host behind an @; neither is part of the name.
        path, brace, settings = player.partition(" {")
        name = path.partition("@")[0].rstrip("/").rpartition("/")[2] or player
        name = re.sub(r"^smollm2-(\d[\d.]*[mb])\b.*", lambda size: f"SmolLM2 {size[1].upper()}", name, flags=re.I)
        if qwen := re.fullmatch(r"qwen([\d.]+)(-coder)?-(\d[\d.]*b)", name, flags=re.I):
            name = f"Qwen{qwen[1]}{' Coder' if qwen[2] else ''} {qwen[3].upper()}"
        words = name.split(" ")
        # What begins as the one before it is said once; the last word tells the two apart.
        same = next((at for at, pair in enumerate(zip(words[:-1], before, strict=False)) if len(set(pair)) > 1), None)
        shared = min(len(words) - 1, len(before)) if same is None else same
        players.append(" ".join(words[0 if brace else shared :]) + brace + settings)
        before = [] if brace else words
    return ARROW.join(players)


def unpriced(row: Row) -> str:
    """What a setting without a price costs: nothing where its models, all of them, are `local`, and if any is
    `simulated` that is said."""
    if not row["local"]:
        return "price unknown"
    return text.SIMULATED if row["simulated"] else text.FREE


def tasks(identifiers: Iterable[str]) -> dict[str, str]:
    """By identifier its name, or the identifier itself where two would be called the same."""
    return _distinct({each: task(each) for each in identifiers})


def models(identifiers: Iterable[str]) -> dict[str, str]:
    """By identifier its name, or the identifier itself where two would be called the same."""
    return _distinct({each: model(each) for each in identifiers})


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's name in parts; `model` and `task` are empty where all settings in view share them."""

    strategy: str
    model: str
    task: str

    def __str__(self) -> str:
        """`Self-consistency ×12 · SmolLM2 135M`."""
        return " · ".join(part for part in (self.strategy, self.model, self.task) if part)


def stopped(row: Row) -> str:
    """`stopped at 44`: a setting that an adaptive study asked no further; empty: it was not."""
    at = row.get("stopped_at")
    return f"stopped at {at:,}" if at else ""


def variant(row: Row) -> Variant:
    """What tells a row's setting from others, whatever its budget."""
    return str(row["task"]), str(row["strategy"]), str(row["model"]), str(row.get("params") or "{}")


def settings(rows: Sequence[Row]) -> list[Setting]:
    """The settings of rows with task, strategy, model and params (JSON), named over exactly these rows."""
    variants = [variant(row) for row in rows]
    by_model, by_task = models(key[2] for key in variants), tasks(key[0] for key in variants)
    kin: dict[str, set[str]] = defaultdict(set)
    for _, name, _, params in variants:
        kin[name].add(params)
    # Parameters that take more than one value in view and are not part of the name already.
    varying: dict[str, list[str]] = {}
    for name, several in kin.items():
        every = [_parameters(params) for params in several]
        keys = {key for params in every for key in params} - ALWAYS
        # As JSON: true and 1 are equal to Python, and one without the parameter is another than any that has it.
        values = {key: {json.dumps(params.get(key), default=str) for params in every} for key in keys}
        varying[name] = sorted(key for key, seen in values.items() if len(seen) > 1)
    called: dict[Variant, Setting] = {}
    for key in dict.fromkeys(variants):
        own = _parameters(key[3])
        more: list[str] = []
        for name in (name for name in varying[key[1]] if name in own):
            value, plain = own[name], isinstance(own[name], int | float) and not isinstance(own[name], bool)
            more.append(f"{name.replace('_', ' ')} {text.number(value) if plain else value}")
        called[key] = Setting(
            ", ".join((strategy(key[1], own), *more)),
            by_model[key[2]] if len(by_model) > 1 else "",
            by_task[key[0]] if len(by_task) > 1 else "",
        )
    return [called[key] for key in variants]


def over(rows: Sequence[Row]) -> Callable[[Row], str]:
    """How to call any of these rows, budget left out; others are called as if they stood alone.

    Two conditions that only their version or prompting tells apart are told apart by the start of their id."""
    called = dict(zip(map(variant, rows), map(str, settings(rows)), strict=True))
    twins: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for row in rows:
        twins[variant(row), row.get("axis"), row.get("budget")].add(str(row.get("condition_id")))
    # At one axis and budget only: the same setting at two budgets is one setting.
    doubled = {key[0] for key, ids in twins.items() if len(ids) > 1}

    def name(row: Row) -> str:
        key = variant(row)
        own = called.get(key) or str(settings([row])[0])
        return f"{own} · {_tag(row)}" if key in doubled else own

    return name


def conditions(rows: Sequence[Row]) -> dict[str, str]:
    """By condition_id a name that no other of these rows has: the setting, with the budget where it ran under several,
    and the start of the id where even that is the same."""
    # Each only once: the same condition twice would be its own twin.
    rows = list({row["condition_id"]: row for row in rows}.values())
    names = [str(each) for each in settings(rows)]
    for more in (
        [f", {text.up_to(row['budget'], row['axis'])}" for row in rows],
        [f" · {_tag(row)}" for row in rows],
    ):
        times = Counter(names)
        names = [name + tell if times[name] > 1 else name for name, tell in zip(names, more, strict=True)]
    return {row["condition_id"]: name for row, name in zip(rows, names, strict=True)}


def _tag(row: Row) -> str:
    return str(row["condition_id"]).rpartition("-")[2][:6]


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    times = Counter(names.values())
    return {each: each if times[name] > 1 else name for each, name in names.items()}


def _parameters(params: str) -> dict[str, Any]:
    try:
        read = json.loads(params)
    except ValueError:
        # Of a database by other hands; it still needs a name.
        return {"parameters": params}
    return read if isinstance(read, dict) else {"parameters": read}
