"""Where logs of other tools are dropped: what would come in and what is missing is said before anything is stored."""

from __future__ import annotations

import streamlit as st

from dashboard.data import imports, queries
from dashboard.widgets import controls
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.interop.derived import Wishes
from engine.tasks.scorers import SAME, SCORERS, is_checker

ENDINGS = ("json", "jsonl", "eval", "csv", "tsv")
TOOLS = "Inspect, lm-eval, HELM, Every Eval Ever, promptfoo, OpenAI-style chats or a CSV"


def render() -> None:
    """The drop zone, its preview, and the button that imports."""
    with st.expander("Bring in logs of other tools", icon=":material/upload_file:"):
        dropped = st.file_uploader(
            TOOLS,
            type=list(ENDINGS),
            accept_multiple_files=True,
            max_upload_size=imports.MOST_BYTES // 10**6,
            key="import.files",
            help="Drop the files of one run together: lm-eval's results with its samples, all of HELM's folder.",
        )
        if not dropped:
            _brought()
            controls.caption("Nothing is stored before you have seen what comes in and what is missing.")
            return
        db, wishes = queries.path(), _wishes()
        # Streamlit runs the page at every click; a log is surveyed once for each set of files and wishes.
        asked = (str(db), *(file.file_id for file in dropped), wishes)
        if st.session_state.get("import.asked") != asked:
            try:
                with st.spinner("Reading"):
                    st.session_state["import.preview"] = imports.look(dropped, db, wishes)
                st.session_state["import.fault"] = None
            except BudgetscopeError as error:
                st.session_state["import.preview"] = None
                st.session_state["import.fault"] = str(error)
            st.session_state["import.asked"] = asked
            st.session_state["import.done"] = None
        if fault := st.session_state.get("import.fault"):
            st.warning(controls.literal(fault))
            return
        _brought()
        preview: imports.Preview = st.session_state["import.preview"]
        # After the import the survey is of before.
        if st.session_state.get("import.done") is not None:
            return
        for line in preview.lines:
            controls.caption(line)
        if not preview.fresh:
            controls.caption("All of it is here already; importing again would change nothing.")
            return
        if st.button(f"Import {fmt.plural(preview.fresh, 'answer')}", icon=":material/download:", type="primary"):
            try:
                with st.spinner("Importing"):
                    st.session_state["import.done"] = imports.take(dropped, db, wishes)
            except BudgetscopeError as error:
                controls.fault(error, grave=True)
                return
            # The rest of the page was drawn before the new answers were there.
            st.rerun()


def _wishes() -> Wishes:
    """What is wanted beside what the logs say, as settings of their own."""
    votes = st.checkbox(
        "Derive majority votes from several answers to one prompt",
        True,
        key="import.votes",
        help="Majority at k, for k of 2, 4, 8, ... and all draws: the mean over every choice of k.",
    )
    again = st.checkbox(
        "Read the replies again by our rules",
        key="import.again",
        help="A second reading with a score of its own, beside the log's; it needs a reply and a right answer.",
    )
    if not again:
        return Wishes(None, votes)
    scorers = [SAME, *(name for name in SCORERS.names() if name != SAME and not is_checker(name))]
    return Wishes(str(st.selectbox("Scored by", scorers, key="import.scorer")), votes)


def _brought() -> None:
    """What the last import brought, with the way to it."""
    done: imports.Imported | None = st.session_state.get("import.done")
    if done is None:
        return
    st.success(controls.literal(f"{fmt.plural(done.answers, 'answer')} imported into {done.db.name}."))
    for study in done.studies:
        controls.link_to("explore", f"See {study}", {"study": study})
