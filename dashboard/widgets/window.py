"""What a page hears from the browser it is drawn in: how much room there is and which theme, and what to load ahead.

And how the Tab key goes through what a popover shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import streamlit as st

_WATCH = """
// Streamlit calls the function below again whenever it draws, a click included, often with what the server knew a run
// ago: what was said is remembered here and not said twice.
let narrow = null, ink = null, clicked = -Infinity;
document.addEventListener("click", () => { clicked = performance.now(); }, true);
// What a popover shows stands at the end of the document: by itself Tab would come to it after all of the page.
const stops = (root) => [...root.querySelectorAll("*")].flatMap((each) => each.shadowRoot ? stops(each.shadowRoot)
  : each.matches("a[href], button, input, textarea, summary, [tabindex]") && each.tabIndex >= 0 && !each.disabled
    && each.checkVisibility() ? [each] : []);
document.addEventListener("keydown", (event) => {
  const body = [...document.querySelectorAll("[data-testid=stPopoverBody]")].pop();
  const opener = [...document.querySelectorAll("[data-testid=stPopoverButton][aria-expanded=true]")].pop();
  if (event.key !== "Tab" || !body || !opener) return;
  let at = document.activeElement;
  while (at && at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement;
  const inside = stops(body), to = event.shiftKey ? at === inside[0] && opener : at === opener && inside[0];
  if (to) {
    event.preventDefault();
    to.focus();
  } else if (!event.shiftKey && at === inside.at(-1)) {
    opener.focus();  // And from there to what comes next.
  }
}, true);
// A narrow window's menu takes the place of the button that opened it, and the focus would be left with neither.
const focus = (place, left = 90) => {
  const at = document.querySelector(`[data-testid=${place}]`);
  at?.focus();
  if (document.activeElement !== at && left) requestAnimationFrame(() => focus(place, left - 1));
};
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-testid=stExpandSidebarButton]")) focus("stSidebarNavLink");
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.("[data-testid=stSidebar]");
  if (!menu) return;
  menu.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
  focus("stExpandSidebarButton");
});
// The menu leads to bare addresses. Who chose a study and a task on one page means the same ones on the next: their
// address is opened in its place, as by Back, which Streamlit follows with its query.
const takes = Object.fromEntries(["", "compare", "budgets", "tokens"].map((page) => [page, ["study", "task"]]));
takes.answers = ["study"];
let scope = {};
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-testid=stTopNavLink], [data-testid=stSidebarNavLink]");
  if (!link) return;
  // On a phone the menu lies over the page that was chosen.
  const close = "[data-testid=stSidebarCollapseButton] button";
  if (innerWidth < 768) setTimeout(() => document.querySelector(close)?.click(), 100);
  const [from, to] = [location, link].map((place) => takes[place.pathname.split("/").pop()]);
  const asked = new URLSearchParams(location.search);
  if (from && asked.get("study") !== (scope.study ?? null)) scope = {};
  // Several of one kind are no choice that another page could show.
  for (const part of from ?? []) scope[part] = asked.getAll(part).length === 1 ? asked.get(part) : undefined;
  if (!to) return;
  const query = new URLSearchParams(to.filter((part) => scope[part]).map((part) => [part, scope[part]]));
  link.search = query;
  if (!query.size || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  history.pushState(null, "", link.href);
  window.dispatchEvent(new PopStateEvent("popstate"));
}, true);
export default function ({ data, setStateValue }) {
  const program = document.querySelector('script[type="module"][src*="/static/js/"]');
  const start = (name) => import(new URL(name, program.src).href).catch(() => {});
  // What draws figures at once, the rest when there is nothing else to do: no figure waits for it.
  const [first, ...others] = program && data.ahead ? data.ahead.split(" ") : [];
  if (first) start(first).then(() => (window.requestIdleCallback ?? setTimeout)(() => others.forEach(start)));
  const look = () => {
    // Streamlit has it read out with the signs that colour it.
    for (const body of document.querySelectorAll('[data-testid=stPopoverBody][aria-label*="-badge["]')) {
      body.setAttribute("aria-label", body.getAttribute("aria-label").replace(/ *:\\w+-badge\\[(.*?)\\]/g, " $1"));
    }
    const app = document.querySelector(".stApp"), busy = app.dataset.testScriptState !== "notRunning";
    // Whoever speaks up while another page is on its way asks for the old one again, and the click is lost. Between
    // a click and the server's word that it runs nothing tells so. When this loads no page is on its way.
    if (narrow !== null && (busy || performance.now() - clicked < 1000)) return;
    const width = window.innerWidth, now = width < 560 ? 2 : width < 1100 ? 1 : 0;
    const paper = getComputedStyle(app).backgroundColor;
    if (now !== (narrow ?? data.narrow)) setStateValue("narrow", now);
    if (ink !== null && paper !== ink) setStateValue("paper", paper);
    narrow = now;
    ink = paper;
  };
  look();
  const timer = setInterval(look, 400);
  return () => clearInterval(timer);
}
"""


def watch(*, charts: bool = False) -> None:
    """Draw again when the window becomes narrow or wide or the theme changes; Streamlit does not rerun for either.

    Figures carry their own inks. The browser looks for itself and speaks up only then: a quiet page costs nothing.
    With `charts` it starts the programs that draw them and their tables while the page is still being computed: only
    to run them takes a second, in which the browser has nothing else to do."""
    mount = st.components.v2.component("budgetscope_watch", js=_WATCH)
    heard: Callable[[], None] = lambda: None  # noqa: E731
    seen = mount(
        key="browser",
        data={"narrow": int(st.session_state.get("narrow", 0)), "ahead": _programs() if charts else ""},
        default={"narrow": int(st.session_state.get("narrow", 0)), "paper": ""},
        on_narrow_change=heard,
        on_paper_change=heard,
    )
    st.session_state["narrow"] = int(seen.narrow or 0)


@lru_cache(maxsize=1)  # Looked up once: every run of every page with figures would list the folder else.
def _programs() -> str:
    """File names of the parts of Streamlit's browser program that draw figures, 4.7 MB, and tables.

    One text: of a list Streamlit would ask pandas whether it is a table, and figures do not wait for pandas."""
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    return " ".join(path.name for part in ("PlotlyChart", "DataFrame") for path in folder.glob(f"{part}.*.js"))
