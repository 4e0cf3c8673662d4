"""What each strategy does and how the numbers are made: the same source as `budgetscope strategies`."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.strategies import Entry, entries, plugins

VIEW = "help"
PARAMS = (Param("family", (), many=True), Param("strategy"))
STEPS = (
    "Explore: say what you would spend at most and reach at least; the line under the heading names what to use.",
    "Compare and Answers: see where it wins and loses against another setting, and read what it said.",
    "Runs: ask your own questions of your own models, under a ceiling that is never exceeded.",
)
RULES = (
    "A budget is a hard wall around one answer to one question. Each call is granted what the wall leaves after its "
    "prompt; the first call that does not fit ends it, and what was answered before counts.",
    "Most strategies know nothing of the budget, so one answer at the largest tells what it would have been at every "
    "smaller one. Those that plan with what is left are run once per budget.",
    "Strategies that ask the same thing see the same replies, so differences between them are paired; a stored reply "
    "is spent again in full by every answer that reads it, and billed once.",
    "Accuracy counts right answers among all but failed and stopped ones: no answer is not right, a "
    "provider's failure is not wrong. Intervals are 95%, questions are the sampling unit.",
    "The chance of being best for its spend is the share of bootstrap samples of the questions in which nothing "
    "cheaper is as good.",
)
WORDS = (
    ("Setting", "a strategy with its parameters and its model; a point is a setting at a budget."),
    ("Answer", "one question answered by one setting; a call is one request to a model, a thought one chain."),
    ("Budget", "what one answer may spend at most: output tokens, all tokens, calls or money."),
    ("Cut off by the budget", "the next call did not fit any more, or fitted in part; what was said before counts."),
    ("Stated budget", "a number of tokens the prompt asks the model to stay under; nothing enforces it."),
    ("Frontier", "the points that nothing cheaper equals; its band holds 80% of resampled frontiers."),
    ("Chance of being best", "the share of resamplings in which nothing cheaper is as good."),
    ("Stopped at n", "an adaptive study asked it no further: surely beaten at every budget; it has no interval."),
    (
        "Too close to call",
        "the 95% interval of the paired difference holds zero, or p, corrected for all that are compared, is not below "
        "0.05.",
    ),
    ("Area under the curve", "mean accuracy over the logarithm of the budget, one number for a setting."),
    ("Hypervolume", "area under a setting's own frontier, as a share of the box up to the dearest setting."),
    ("OckScore", "accuracy in percent less ten times log10(output tokens / 10,000), at the largest budget."),
    (
        "Tokens after the answer",
        "of a thought, those after its final answer was settled: from there on it is what the model says wherever the "
        "thought is stopped. First reached is the first such place; read from a text alone it is an estimate.",
    ),
    ("Mechanism", "what a strategy rests on, such as a readable estimate; rates stand beside the accuracy."),
)
DEPARTURES = (
    "Self-confident weighting (SC²): the paper names the idea and no formula; the weights here are our reading of it.",
    "Least-to-most splits without worked examples; the paper gives examples of each task.",
    "Reflexion keeps all its attempts and reflections in the prompt; without an oracle the model judges itself.",
    "A budget on output tokens counts hidden reasoning, as providers bill it.",
)
RESPONSIBLE = (
    "An accuracy holds for these questions and this model. For decisions about people, in medicine, science or "
    "finance, measure on questions of your own and look at who loses: Compare shows groups.",
    "Fewer tokens are less energy, and sometimes worse answers for the hardest questions: read both numbers.",
    "Questions and answers are sent to the models you choose, and stored in your database; keys are never stored.",
)
WIDTHS = {
    "Name": 165,
    "Family": 95,
    "What it does": 465,
    "Calls per question, at most": 300,
    "Strategy": 165,
}  # Pixels.


def render() -> None:
    """Draw the page."""
    every = entries()
    families = tuple(sorted({entry.family for entry in every.values()}))
    params = controls.offering(PARAMS, {"family": families})
    problems, key = url_state.load(VIEW, params), url_state.key(VIEW, "strategy")
    if (named := st.session_state.get(key)) and named not in every:
        problems.append(f"There is no strategy {url_state.quoted(named)}; the table has those there are.")
    controls.heading("Which way of asking a model buys most accuracy for what it spends")
    for number, step in enumerate(STEPS, 1):
        st.markdown(f"{number}. {controls.literal(step)}")
    many = fmt.plural(len(every), "strategy", "strategies")
    st.markdown("## Strategies")
    controls.caption(f"{many} in {len(families)} families: each asks in its own way, and all are metered alike.")
    # A plugin that cannot be loaded is named here too: its strategies are missing from the table.
    controls.warn([*problems, *map(str, plugins.faults())])
    chosen = controls.choose_many(VIEW, params[0], "Family", names.family)
    shown = [entry for entry in every.values() if entry.family in chosen]
    columns = ("Name", "Family", "What it does", "Calls per question, at most", "Paper", "Strategy")
    rows = []
    for each in sorted(shown, key=lambda each: (each.family, names.strategy(each.name))):
        # The idea without its remark in brackets, which the details below have room for.
        idea = each.idea.split(" (")[0].replace("`", "").rstrip(".")
        calls = each.calls.replace("*", "×").replace("-", "−")
        paper = f"https://arxiv.org/abs/{each.papers[0]}" if each.papers else ""
        rows.append((names.strategy(each.name), names.family(each.family), idea, calls, paper, each.name))
    formats = {name: st.column_config.TextColumn(width=width) for name, width in WIDTHS.items()}
    link = st.column_config.LinkColumn(display_text=r"abs/(.+)$", width=96)
    table = pl.DataFrame(rows, schema=columns, orient="row")
    controls.table(
        table,
        None,
        formats={**formats, "Paper": link},
        tallest=460,
        alt="Strategies with family, idea, calls and paper",
    )
    controls.downloads("strategies", table)
    options = [entry.name for entry in shown]
    if st.session_state.get(key) not in options:  # A filter above may have hidden it.
        st.session_state[key] = None
    st.selectbox(
        "How one works",
        options,
        key=key,
        index=None,
        placeholder="Choose a strategy",
        format_func=names.strategy,
    )
    if entry := every.get(str(st.session_state.get(key))):
        _how(entry)
    url_state.save(VIEW, params)
    st.markdown("## How the numbers are made")
    for rule in RULES:
        st.markdown(f"- {controls.literal(rule)}")
    st.markdown("## Words")
    for word, meaning in WORDS:
        st.markdown(f"- **{controls.literal(word)}**: {controls.literal(meaning)}")
    for title, sentences in (("Where a strategy departs from its paper", DEPARTURES), ("Responsible use", RESPONSIBLE)):
        st.markdown(f"## {title}")
        for sentence in sentences:
            st.markdown(f"- {controls.literal(sentence)}")
    controls.copy_link(VIEW, params)


def _how(entry: Entry) -> None:
    """How one strategy works, by its own words."""
    with st.container(border=True):
        promise = "With its defaults it plans with the budget, so it runs once per budget."
        if entry.oracle:
            promise = "It is told whether answers are right, so its results are a bound for study and no setting "
            promise += "to choose."
        elif entry.anytime(entry.make()):
            promise = "With its defaults it knows nothing of the budget: one answer gives its whole curve."
        st.markdown(f"### {controls.literal(names.strategy(entry.name))}")
        controls.caption(f"In files and addresses: {entry.name}")
        for sentence in (entry.idea, entry.text, promise):
            controls.say(sentence.replace("`", ""))
        if origin := plugins.origin(entry.name):
            controls.caption(f"From the plugin {origin.module}, which runs with the rights of this server.")
        knobs = [f"{name} = {'the budget' if value is None else value}" for name, value in entry.knobs.items()]
        controls.caption(f"Parameters: {', '.join(knobs)}")
        if entry.roles:
            roles = ", ".join(("solver", *entry.roles))
            controls.caption(f"Models, by role: {roles}. Runs asks for them; a study file has [[lineups]].")
        if entry.needs_prefix:
            controls.caption(
                "Needs a model that continues a prefix: one on this machine, a provider's that litellm "
                "knows to, or an endpoint declared with continues = true."
            )
        controls.link_to("explore", "Its results", {"strategy": entry.name})


render()
