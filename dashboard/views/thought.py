"""Inside one thought: how right the thoughts of a setting were when they were stopped early, and one of them in full.

From looks into them where there are some, else from their texts, which is an estimate and says so. The second view of
Answers; whoever may spend starts a look from here, under a ceiling and after its estimate.
"""

from __future__ import annotations

import shlex
from typing import Any

import streamlit as st

from dashboard import figures
from dashboard.data import queries, thoughts
from dashboard.data.access import closed
from dashboard.text import strips
from dashboard.text import thoughts as words
from dashboard.widgets import controls, setting, url_state
from dashboard.widgets.url_state import Param
from engine.analysis.thinking.thoughts import Inside
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.thoughts import Thought

VIEW = "thought"
SOURCES = {"probes": "Answers asked for", "text": "The text alone"}
PARAMS = (
    Param("study", pinned=True),
    Param("condition", pinned=True),
    Param("source", "probes", tuple(SOURCES)),
    Param("thought"),
)
REFRESH_S = 2.0
"""How often a look that works is asked how far it is."""


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    controls.wear(strips.style(controls.dark()), words.STYLE)
    controls.belongs("answers")
    conditions = setting.named(db)
    offered = {"study": controls.studies(db, "condition"), "condition": tuple(conditions)}
    params = controls.offering(PARAMS, offered)
    # Before any control is drawn: Streamlit refuses to set the state of a widget that stands already.
    problems = url_state.load(VIEW, params)
    controls.keep(VIEW, ("source", "thought"))
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        study, condition = setting.choose(db, VIEW, {param.name: param for param in params}, conditions)
        st.space("stretch")
        query = {"study": study, "condition": condition["condition_id"]}
        controls.link_to("answers", "Answers", query)
    inside = _inside(db, study, condition, problems)
    # A page all the same, with its controls: another setting may have thoughts to show.
    if inside is None or not inside.thoughts:
        controls.heading("No thought of this setting can be stopped")
        controls.warn(problems)
        controls.say(
            "A thought is a reply whose words are stored: of hidden reasoning, of failed calls and of most imported "
            "logs there is nothing to read. Choose another setting above."
        )
        url_state.save(VIEW, params)
        controls.copy_link(VIEW, params)
        return
    info, finding = _page(db, study, condition, inside, problems)
    url_state.save(VIEW, params)
    said = words.source_line(inside, names.model(str(condition["model"])))
    controls.downloads(
        VIEW, inside.curve, params, lambda: figures.thought_figure(info), finding, said, "thought.figure"
    )


def _inside(db: queries.Database, study: str, condition: dict[str, Any], problems: list[str]) -> Inside | None:
    """What the thoughts say, by the source that is asked for; None: nobody can judge them."""
    asked = (db, condition["condition_id"], study)
    try:
        probed = thoughts.inside(*asked, "probes")
        # A link may ask for looks that nobody made; then the text is read, and the page says so.
        if probed.thoughts and url_state.value(VIEW, "source") != "text":
            return probed
        return thoughts.inside(*asked, "text")
    except BudgetscopeError as error:
        problems.append(str(error))
        return None


def _page(
    db: queries.Database, study: str, condition: dict[str, Any], inside: Inside, problems: list[str]
) -> tuple[figures.ThoughtInfo, str]:
    """The figure, what it rests on, and the panel; the figure's info and the heading."""
    task = names.task(condition["task"])
    finding = f"On {task}, {inside.finding().rstrip('.')}"
    controls.heading(finding)
    controls.caption(words.source_line(inside, names.model(str(condition["model"]))))
    thought = _chosen(inside, problems)
    controls.warn(problems)
    with st.container(key="explore"):
        left, right = st.columns([1016, 320], gap="medium")
    info = figures.thought_info(inside, str(condition["strategy"]), room=controls.room(), dark=controls.dark())
    with left:
        controls.chart(figures.thought_figure(info), "thought.figure", VIEW, finding)
        repeats = "“Appears”: the value of the final answer stands in the text; it may repeat one of the question."
        missing = f"{fmt.plural(inside.left_out, 'thought')} of this setting are not in these numbers."
        controls.caption(
            repeats if inside.source == "text" else "",
            "" if inside.exact else "“About”: counted by the nearest tokenizer, in proportion to what is stored.",
            missing if inside.left_out else "",
            inside.older,
        )
        _source(db, study, condition, inside)
    with right, st.container(border=True, key="panel"):
        st.html(words.panel(inside))
        _one(db, study, condition, inside, thought)
    return info, finding


def _source(db: queries.Database, study: str, condition: dict[str, Any], inside: Inside) -> None:
    """What the numbers rest on, and how to have the model asked."""
    asked = (db, condition["condition_id"], study)
    # There is a choice only where both sources are.
    if thoughts.inside(*asked, "probes").thoughts:
        key = url_state.key(VIEW, "source")
        st.segmented_control("From", list(SOURCES), key=key, required=True, format_func=SOURCES.__getitem__)
        return
    if inside.source == "text":
        with st.container(border=True, key="probe"):
            st.markdown("## Ask the model instead of the text")
            controls.say(
                "This is an estimate: nobody was asked. A look stops each thought at some places and lets the model "
                "answer at once; its calls are charged to a run of their own and stand in no setting's spend."
            )
            # Quoted: the name of a study is anybody's, and the line is to be pasted into a shell.
            named = "" if study == queries.ALL else f" --study {shlex.quote(study)}"
            st.code(f"budgetscope probe {condition['condition_id']}{named}", language=None, wrap_lines=True)
            if (why := closed()) is not None:
                controls.caption(why)
            else:
                _probe(db, study, condition["condition_id"])


def _probe(db: queries.Database, study: str, condition: str) -> None:
    """The button, its estimate and its ceiling; how far a look is that works."""
    # While one works a second estimate would count the same looks again.
    if (looking := thoughts.looking(db, condition)) is not None and looking.running:
        _live(db, condition)
        return
    if looking is not None and (said := looking.line()):
        controls.caption(said)
    kept = f"{VIEW}.estimate"
    if st.button("Work out what it takes"):
        try:
            st.session_state[kept] = condition, thoughts.estimate(db, condition, study)
        except BudgetscopeError as error:
            controls.fault(error)
            return
    found = st.session_state.get(kept)
    # Of another setting, which was looked at before on this page.
    if found is None or found[0] != condition:
        return
    worst = found[1]
    money = f", {fmt.money(worst.pusd / 1e12)}" if worst.pusd else ""
    controls.say(
        f"{fmt.plural(worst.looks, 'look')} into {fmt.plural(worst.thoughts, 'thought')}: at most "
        f"{fmt.plural(worst.calls, 'call')} and {fmt.plural(worst.tokens, 'token')}{money}. "
        + (f"{fmt.plural(worst.known, 'look')} were paid for before and cost nothing." if worst.known else "")
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # What is expected at most; less stops it early, and what it bought is kept.
        tokens = st.number_input("Ceiling, tokens", 1, 10**9, max(1, worst.tokens), width=200)
        usd = None
        if worst.pusd:
            usd = st.number_input("Ceiling, $", 0.0, 1e6, worst.pusd / 1e12, format="%.4f", width=160)
        if st.button("Look into these thoughts", type="primary"):
            try:
                thoughts.start(db, condition, study, tokens=int(tokens), usd=usd)
            except BudgetscopeError as error:
                controls.fault(error)
                return
            st.rerun()


@st.fragment(run_every=REFRESH_S)
def _live(db: queries.Database, condition: str) -> None:
    looking = thoughts.looking(db, condition)
    if looking is None or not looking.running:
        st.rerun()
    # A local model takes a while to be loaded, and says nothing until then.
    controls.caption(looking.line() or "The model is being started.")
    if st.button("Stop", help="What is paid for is kept"):
        thoughts.stop(db, condition)


def _chosen(inside: Inside, problems: list[str]) -> Thought:
    """The thought that the address names, else the first that is right and has tokens after its answer."""
    named = url_state.value(VIEW, "thought")
    found = next((thought for thought in inside.thoughts if thought.key == named), None)
    if named and found is None:
        problems.append(f"This link asks for thought {url_state.quoted(named)}, which is not among those read here.")
        st.session_state[url_state.key(VIEW, "thought")] = None
    if found is not None:
        return found
    # One of middling length, as the shortest shows nothing and the longest is no example.
    right = [each for each in inside.thoughts if each.final.verdict == "right"]
    telling = [each for each in right if _after(each, inside.source)] or right
    return next(iter(sorted(telling, key=lambda each: each.n_tokens)[len(telling) // 2 :]), inside.thoughts[0])


def _after(thought: Thought, source: str) -> int:
    """Tokens after its answer; 0: none, or no answer."""
    if source == "probes":
        return thought.redundant or 0
    return 0 if thought.stated is None else thought.n_tokens - thought.stated


def _one(db: queries.Database, study: str, condition: dict[str, Any], inside: Inside, thought: Thought) -> None:
    """One thought in full, and the ways to the next and to its answer."""
    chain = thoughts.chain(db, condition["condition_id"], study, thought.key)
    # Deleted, or read anew, between two questions to the database.
    if chain is None:
        return
    order = [each.key for each in inside.thoughts]
    at = order.index(thought.key)

    def turn(to: int) -> None:
        st.session_state[url_state.key(VIEW, "thought")] = order[to]

    st.html(
        words.one(thought, inside.source, str(chain.row["question"]), thoughts.cells(chain.model, chain.text))
        + words.key(inside.source)
    )
    with st.container(horizontal=True, gap="small"):
        st.button("Before", disabled=at == 0, on_click=turn, args=(at - 1,), shortcut="Left")
        st.button("Next", disabled=at + 1 == len(order), on_click=turn, args=(at + 1,), shortcut="Right")
    with st.container(key="ways", gap="small"):
        query = {"study": study, "condition": condition["condition_id"], "question": thought.question_id}
        controls.link_to("answers", "Read its answer", query)


render()
