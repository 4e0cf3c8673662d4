"""What each strategy does and how the numbers are made: the same source as `budgetscope strategies`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core import text as fmt
from engine.strategies import plugins

if TYPE_CHECKING:
    from engine.strategies.registry import Entry

VIEW = "method"
PARAMS = (Param("family", (), many=True), Param("strategy"))
RULES = (
    "A budget is a hard wall around one attempt at one question. Each call is granted what the wall leaves after its "
    "prompt; the first call that does not fit ends the attempt, and the last answer given before counts.",
    "Most strategies know nothing of the budget, so one attempt at the largest tells what the answer would have been "
    "at every smaller one. Those that plan with what is left are run once per budget.",
    "Strategies that ask the same thing see the same replies, so differences between them are paired; a stored reply "
    "is spent again in full by every attempt that reads it, and billed once.",
    "Accuracy counts right answers among all attempts but failed and stopped ones: no answer is not right, a "
    "provider's failure is not wrong. Intervals are 95%, questions are the sampling unit.",
    "The chance of being on the frontier is the share of bootstrap samples of the questions in which nothing cheaper "
    "is as good.",
)


def render() -> None:
    """Draw the page."""
    from engine.strategies import entries

    every = entries()
    families = tuple(sorted({entry.family for entry in every.values()}))
    params = controls.offering(PARAMS, {"family": families})
    problems = [*url_state.load(VIEW, params), *_unknown(every), *map(str, plugins.faults())]
    controls.heading(f"{fmt.plural(len(every), 'strategy', 'strategies')} in {len(families)} families, metered alike")
    controls.caption("A strategy asks a model in its own way; tokens, calls and money are counted around it.")
    controls.warn(problems)
    by = {param.name: param for param in params}
    chosen = controls.choose_many(VIEW, by["family"], "Family")
    shown = [entry for entry in every.values() if entry.family in chosen]
    _table(shown)
    _details(by["strategy"], every, shown)
    url_state.save(VIEW, params)
    _rules()
    controls.copy_link(VIEW, params)


def _unknown(every: dict[str, Entry]) -> list[str]:
    """A strategy the address names and nobody registered."""
    asked = st.session_state.get(url_state.key(VIEW, "strategy"))
    if not asked or asked in every:
        return []
    return [f"There is no strategy {asked!r}; the table has those there are."]


def _table(shown: list[Entry]) -> None:
    import polars as pl

    ordered = sorted(shown, key=lambda entry: (entry.family, entry.name))
    table = pl.DataFrame(
        {
            "Strategy": [entry.name for entry in ordered],
            "Family": [entry.family for entry in ordered],
            "What it does": [entry.idea.split(" (")[0].replace("`", "") for entry in ordered],
            "Calls per question, at most": [entry.calls for entry in ordered],
            "Paper": [_paper(entry) for entry in ordered],
        }
    )
    link = st.column_config.LinkColumn(display_text=r"abs/(.+)$", width=96)
    widths = {"Strategy": 170, "Family": 110, "What it does": 420, "Calls per question, at most": 190}
    columns = {name: st.column_config.TextColumn(width=width) for name, width in widths.items()}
    st.dataframe(
        table,
        hide_index=True,
        column_config={**columns, "Paper": link},
        height=min(38 + 35 * len(ordered), 460),
        alt="Strategies with family, idea, calls and paper",
    )


def _paper(entry: Entry) -> str:
    return f"https://arxiv.org/abs/{entry.papers[0]}" if entry.papers else ""


def _details(param: Param, every: dict[str, Entry], shown: list[Entry]) -> None:
    """One strategy: how it divides its budget, its parameters, and the way to its results."""
    key = url_state.key(VIEW, param.name)
    options = [entry.name for entry in shown]
    if st.session_state.get(key) not in options:
        st.session_state[key] = None
    st.selectbox("Strategy", options, key=key, index=None, placeholder="Choose a strategy to read how it works")
    entry = every.get(str(st.session_state.get(key)))
    if entry is None:
        return
    with st.container(border=True):
        st.markdown(f"##### {controls.literal(entry.name)}")
        for sentence in (entry.idea, entry.text, _promise(entry)):
            controls.say(sentence.replace("`", ""))
        if found := plugins.origin(entry.name):
            controls.caption(f"From the plugin {found.module}, which runs with the rights of this server.")
        controls.caption(f"Parameters: {', '.join(f'{name} = {_value(value)}' for name, value in entry.knobs.items())}")
        if entry.roles:
            roles = ", ".join(("solver", *entry.roles))
            controls.caption(f"Models, by role: {roles}. The Run page asks for them; a study file has [[lineups]].")
        if entry.needs_prefix:
            controls.caption(
                "Needs a model that continues a prefix: one on this machine, a provider's that litellm "
                "knows to, or an endpoint declared with continues = true."
            )
        controls.link_to("frontier", "Its results on the frontier", {"strategy": entry.name})


def _promise(entry: Entry) -> str:
    if entry.oracle:
        return "It is told whether answers are right, so its results are a bound for study and no setting to choose."
    if entry.anytime(entry.make()):
        return "With its defaults it knows nothing of the budget: one attempt gives its whole curve."
    return "With its defaults it plans with the budget, so it runs once per budget."


def _value(value: object) -> str:
    return "the budget" if value is None else str(value)


def _rules() -> None:
    st.markdown("##### How the numbers are made")
    for rule in RULES:
        st.markdown(f"- {controls.literal(rule)}")


render()
