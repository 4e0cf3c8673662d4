"""Which one should I use: a question, the answer in one sentence with n and interval, what it was read off."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import polars as pl
import streamlit as st

from dashboard import figures
from dashboard.data import advice, queries
from dashboard.data.advice import QUESTIONS, UNITS, Ask
from dashboard.text import tables
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.analysis import Advice
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError, UsageError
from engine.core.names import ARROW
from engine.strategies import entries
from engine.strategies.lineups import roster

VIEW = "advice"
SPENDS = controls.SPENDS | {"usd": "Cost"}
TAKES = {  # The inputs of each question.
    "reach": ("accuracy",),
    "under": ("budget",),
    "beats": ("b", "a"),
    "next": ("spend",),
    "right": (),
    "without": ("model",),
    "price": ("model", "factor"),
}
PARAMS = (
    Param("study", pinned=True),
    Param("task", pinned=True),
    Param("axis", "output_tokens", tuple(SPENDS)),
    Param("ask", "reach", tuple(QUESTIONS)),
    Param("accuracy", "50"),
    Param("budget"),
    Param("spend"),
    Param("a"),
    Param("b"),
    Param("model", pinned=True),
    Param("factor", "2"),
)
LONGEST = 40  # Letters of an input.


def _typed(name: str, label: str, empty: str = "") -> str:
    """A short text; `empty` is what an empty one stands for."""
    key = url_state.key(VIEW, name)
    st.text_input(controls.literal(label), key=key, max_chars=LONGEST, placeholder=empty, width=280)
    return str(st.session_state.get(key) or "")


@dataclass(frozen=True)
class Wish:
    """What the controls ask for, and the cells of its study and task."""

    study: str
    task: str
    axis: str
    question: str
    cells: pl.DataFrame

    @property
    def money(self) -> bool:
        """Whether the answer goes by prices."""
        return self.axis == "usd" or self.question == "price"

    @property
    def honest(self) -> tuple[str, ...]:
        """The strategies that see no targets, where some do; else empty: all take part."""
        known, every = entries(), sorted(set(self.cells["strategy"]))
        fair = tuple(name for name in every if not (name in known and known[name].oracle))
        return fair if fair and len(fair) < len(every) else ()

    def ask(self, models: Param) -> Ask:
        """The question with what was typed; draws its inputs. Raises UsageError for what cannot be meant."""
        cells, axis = self.cells, self.axis
        ask = Ask(self.question, self.task, axis, strategies=self.honest, study=self.study)
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            match self.question:
                case "reach":
                    return replace(ask, number=advice.accuracy(_typed("accuracy", "Accuracy to reach, %")))
                case "under":
                    # Halfway on a log scale between least and most mean spend is a budget worth asking about.
                    known = [float(value) for value in cells[axis].drop_nulls() if value > 0]
                    if not known:
                        raise UsageError("There is nothing to go by: no setting of this task has a scored question.")
                    middle = float(f"{math.sqrt(min(known) * max(known)):.2g}")
                    dollars = f"{middle:.12f}".rstrip("0").rstrip(".")
                    usual = dollars if axis == "usd" else str(max(1, round(middle)))
                    typed = _typed("budget", f"Budget, {UNITS[axis]}", usual)
                    return replace(ask, axis=axis, number=advice.wall(typed or usual, axis))
                case "beats":
                    return self.pair()
                case "next":
                    typed = _typed("spend", f"At a spend of, {UNITS[axis]}", "the last step")
                    return replace(ask, number=advice.spend(typed, axis))
                case "without":
                    return replace(ask, model=str(controls.choose(VIEW, models, "Model", controls.short)))
                case "price":
                    model = str(controls.choose(VIEW, models, "Model", controls.short))
                    typed = _typed("factor", f"Price of {controls.short(model)} times")
                    return replace(ask, x="usd", number=advice.factor(typed), model=model)
        return ask

    def pair(self) -> Ask:
        """Whether B beats A, by default the most accurate condition of the task and the cheapest other one."""
        cells, settings = self.cells, advice.names(self.cells)
        if len(settings) < 2:
            raise UsageError("There is one setting only, so there is nothing it could beat.")

        def chosen(name: str, label: str, usual: str) -> str:
            key = url_state.key(VIEW, name)
            chosen_before = st.session_state.get(key)
            if chosen_before and chosen_before not in settings:
                st.session_state[key] = None
                gone = "which is not a setting of this task (any more)."
                controls.warn([f"This link asks for {name} = {url_state.quoted(chosen_before)}, {gone}"])
            form, hint = settings.__getitem__, settings[usual]
            st.selectbox(label, list(settings), index=None, key=key, format_func=form, placeholder=hint, width=350)
            return str(st.session_state.get(key) or usual)

        ranked = cells.sort("accuracy", "budget", "condition_id", descending=[True, False, False], nulls_last=True)
        b = chosen("b", "Does B …", str(ranked["condition_id"][0]))
        rest = cells.filter(cells["condition_id"] != b).group_by("condition_id").agg(pl.col("output_tokens").max())
        rest = rest.sort("output_tokens", "condition_id", nulls_last=True)
        a = chosen("a", "… beat A?", str(rest["condition_id"][0]))
        if a == b:
            raise UsageError("A setting cannot beat itself: choose two.")
        # On the axis asked for where either can be read at any budget of it, else on the one that most were run under.
        free = cells.filter(cells["condition_id"].is_in([a, b]))["anytime"].all()
        axis = self.axis if free else str(cells["axis"].mode().sort()[0])
        return Ask("beats", self.task, self.axis, axis, a=a, b=b, study=self.study)

    def say(self, answer: Advice) -> None:
        """The answer, how sure it is, and every reservation about it."""
        cells, question = self.cells, self.question
        fair = self.honest if question != "beats" else ()
        oracles = ", ".join(sorted(set(cells["strategy"]) - set(fair))) if fair else ""
        lone = cells["condition_id"].n_unique() < 2
        judged = question != "next" and answer.value is not None and not lone
        verdict = "decided with 95% confidence" if answer.decided else "not decided with 95% confidence"
        controls.heading(answer.sentence)
        controls.caption(
            names.task(self.task),
            verdict if judged else "",
            fmt.plural(answer.n, "question") if answer.n else "",
            "one setting, so no choice" if lone else "",
            "simulated answers" if cells["simulated"].any() else "",
            "some prices are assumed" if self.money and cells["usd_assumed"].any() else "",
            "weighed in dollars" if question == "price" and self.axis != "usd" else "",
            f"left out, as oracles that see targets: {oracles}" if oracles else "",
        )


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    every = queries.every(db)
    # A line-up is no one model: its players are, each of which may be left out or cost something else.
    models = dict.fromkeys(name for model in roster(every["model"]) for name in model.split(ARROW))
    offered = {"study": controls.studies(db, "a", "b"), "task": queries.tasks(every), "model": tuple(models)}
    params = controls.offering(PARAMS, offered)
    problems = url_state.load(VIEW, params)
    head, by = st.container(), {param.name: param for param in params}
    with st.container(horizontal=True, gap="medium"):
        study = controls.study(VIEW, by["study"])
        cells = queries.cells(db, study=study)
        tasks = controls.narrowed(VIEW, by["task"], queries.tasks(cells))
        task = str(controls.choose(VIEW, tasks, "Task", controls.task_form(tasks)))
        axis = str(controls.choose(VIEW, by["axis"], "Spend counted in", SPENDS.__getitem__))
    question = str(controls.choose(VIEW, by["ask"], "Question", QUESTIONS.__getitem__))
    controls.keep(VIEW, [name for name in by if name not in ("study", "task", "axis", "ask", *TAKES[question])])
    wish = Wish(study, task, axis, question, cells.filter(task=task))
    if wish.money and wish.cells["usd"].null_count() == wish.cells.height:
        url_state.save(VIEW, params)
        controls.warn(problems)
        controls.empty(
            "No price is known for these models, so there is no cost to go by",
            "Give prices in the study file and run it; until then count spend in tokens or calls.",
            controls.PRICES,
        )
        return
    answer: Advice | None = None
    try:
        answer = advice.advice(db, ask := wish.ask(by["model"]))
    except BudgetscopeError as error:
        why = str(error)
    url_state.save(VIEW, params)
    with head:  # The sentence stands above the controls and needs what these chose.
        if answer is None:
            controls.heading(why)
            controls.say("Choose another question, task or spend, or run more on the Run page.")
        else:
            wish.say(answer)
        for sentence in (*advice.shared(db, study, task), *queries.notes(db, study)):
            controls.caption(sentence)
        controls.warn(problems)
    if answer is None:
        return
    look = (controls.dark(), controls.narrow())
    if question == "beats":
        crossing = advice.crossing(db, ask, *look)
        figure, text = figures.crossing_figure(crossing), figures.crossing_caption(crossing)
    else:
        advised = advice.advised(db, ask, *look)
        figure, text = figures.advised_figure(advised), figures.advised_caption(advised)
    controls.chart(figure, "advice.figure", VIEW, answer.sentence)
    controls.caption(text, capital=True)
    rows = {row["condition_id"]: row for row in cells.to_dicts()}
    called = names.over([*rows.values()])
    ways = [(rows[name], called(rows[name])) for name in (ask.b, ask.a) if name]
    if answer.cell is not None and question != "next":  # A step to the next point is no setting to look at.
        row = rows[answer.cell.condition_id]
        ways = [(row, called(row))]
        if answer.cell.budget is not None:
            row = row | {"budget": answer.cell.budget, "axis": answer.cell.axis}
            ways = [(row, tables.cell_name(row, called))]
    with st.container(horizontal=True, gap="medium"):
        for row, name in ways:
            place = {"condition": row["condition_id"], "budget": str(row["budget"]), "axis": str(row["axis"])}
            query = {"study": study, **place}
            controls.link_to("trials", f"Open the trials of {name}", query)
    evidence = None if answer.evidence.is_empty() else answer.evidence
    if evidence is not None:
        table = tables.evidence_table(answer.asked, evidence, ask.x, ask.axis)
        controls.table(table, "advice.table")
    controls.downloads(VIEW, evidence, params, lambda: figure, answer.sentence, text)


render()
