"""A view of Explore as one HTML file: finding, figure, table, answers, how the numbers were made; needs no network.

Every text of a model, a question or a study is escaped; the page's own policy lets nothing be loaded or connected to.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard import theme
from dashboard.text import exports
from dashboard.text.tables import said, short_questions
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "connect-src 'none'; form-action 'none'; base-uri 'none'"
)
"""What a saved page may do: run what it brings, load nothing, connect to nothing."""
WORDED = {"Setting", "Budget", "Verdict", "Notes"}
"""Columns of words; the others hold numbers."""
METHOD = (
    "A budget is a hard wall around one answer to one question; smaller budgets are read off the same answers.",
    "Accuracy counts right answers among all that were scored; no answer is not right, a failure is not wrong.",
    "Intervals are 95%, questions are the sampling unit; the frontier's band holds 80% of 1,000 resamplings.",
    "What is recommended is the cheapest setting within three points of the highest accuracy that the limits accept.",
)
_INKS = ("background", "secondary", "text", "muted", "border", "primary")
PAGE = """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
@font-face { font-family: "Source Sans"; src: url(FONT) format("woff2"); font-weight: 200 900; }
body { margin: 0; background: var(--secondary); color: var(--text); font: 15px/1.45 FAMILY; }
main { max-width: 1180px; margin: 20px auto; padding: 28px 36px; background: var(--background);
  border: 1px solid var(--border); border-radius: 10px; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 14px; color: var(--muted); font-size: 14px; }
header svg { height: 26px; width: auto; }
header nav { display: flex; gap: 8px; margin-left: auto; }
header nav a { border: 1px solid var(--border); border-radius: 7px; padding: 4px 12px; text-decoration: none; }
h1 { font-size: 27px; line-height: 34px; font-weight: 650; letter-spacing: -.35px; margin: 14px 0 4px; }
h2 { font-size: 18px; font-weight: 650; margin: 22px 0 6px; }
.lead { font-size: 16.5px; margin: 0 0 8px; } .lead b { color: var(--primary); }
a { color: var(--primary); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
.scrolled { overflow-x: auto; }
@media not (prefers-color-scheme: dark) { .dark { display: none; } }
@media (prefers-color-scheme: dark) { .light { display: none; } }
@media (min-width: 1101px) { .figure:not(.wide) { display: none; } }
@media (min-width: 761px) and (max-width: 1100px) { .figure:not(.narrow) { display: none; } }
@media (max-width: 760px) { .figure:not(.phone) { display: none; } }
th, td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--border); white-space: nowrap; }
th { color: var(--muted); font-weight: 500; }
:is(th, td).words, table.facts td { text-align: left; }
@media (max-width: 640px) { main { margin: 0; padding: 16px; border: 0; } h1 { font-size: 22px; line-height: 27px; } }
details { border-top: 1px solid var(--border); padding: 6px 0; } summary { cursor: pointer; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 "Source Code", ui-monospace, monospace;
  background: var(--secondary); border-radius: 6px; padding: 8px 10px; margin: 6px 0; }
.muted { color: var(--muted); }
button { font: inherit; font-size: 14px; color: inherit; background: var(--background); border: 1px solid var(--border);
  border-radius: 7px; padding: 4px 12px; cursor: pointer; }
"""


def saved_page(
    drawings: Mapping[tuple[str, str], go.Figure],
    caption: str,
    table: pl.DataFrame,
    data: pl.DataFrame,
    sentences: tuple[str, str, str],
    facts: Iterable[tuple[str, str]],
    answers: tuple[str, Sequence[tuple[str, str, str, str, str, tuple[str, ...], int]]],
    notes: Iterable[str],
    link: str,
) -> str:
    """The page. `drawings`: the figure by the theme ("light" or "dark") and the room it was drawn for; `sentences`:
    heading, lead and rest; `caption` stands under the figure; `facts`: what and value, of model, study, date, version.

    `answers`: whose they are, and of each question, document, expected, fate, what was said, replies and number of
    calls; `data`: what the link to the data holds; `link`: address of the live view, empty: none."""
    heading, lead, rest = (escape(sentence) for sentence in sentences)
    # In the page itself: a link out would not work offline, and the policy forbids it.
    csv = base64.b64encode(exports.as_csv(data)).decode()
    # Nothing but http: a link may come from an address bar.
    live = f'<a href="{escape(link)}">Open in Budgetscope</a>' if link.startswith(("http://", "https://")) else ""
    advice = f'<p class="lead"><b>{lead}{":" if rest else ""}</b> {rest}</p>' if lead or rest else ""
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in (*METHOD, *notes))
    known = "".join(f"<tr><td>{escape(what)}</td><td>{escape(value)}</td></tr>" for what, value in facts if value)
    folder, marks = Path(__file__).parents[1], {"light": "wordmark.svg", "dark": "wordmark-dark.svg"}
    wordmark = "".join(
        f'<span class="{theme}">{folder.joinpath(mark).read_text("utf-8")}</span>' for theme, mark in marks.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f"<title>{heading}</title><style>{_style()}</style></head><body><main>"
        f"<header>{wordmark}<span>one file, works offline</span>"
        f'<nav><a download="budgetscope.csv" href="data:text/csv;base64,{csv}">Data (CSV)</a>{live}</nav></header>'
        f'<h1>{heading}</h1>{advice}<div class="scrolled">{exports.with_plotly(drawings)}</div>'
        f'<p class="muted">{escape(caption)}</p>{exports.PICTURES}'
        f'<h2>All settings</h2><div class="scrolled">{_table(table)}</div>'
        f"{_answers(*answers)}"
        f"<h2>How the numbers were made</h2><ul>{told}</ul><table class='facts'>{known}</table></main></body></html>"
    )


@lru_cache(maxsize=1)
def _style() -> str:
    # The font ships with Streamlit, which is looked for and not loaded.
    home = find_spec("streamlit")
    folder = Path(home.origin if home and home.origin else ".").parent / "static" / "static" / "media"
    files = sorted(folder.glob("SourceSansVF-Upright*.woff2"))
    font = "data:font/woff2;base64," + base64.b64encode(files[0].read_bytes()).decode() if files else "data:,"
    css = PAGE
    for name, inks in {"LIGHT": theme.LIGHT, "DARK": theme.DARK}.items():
        css = css.replace(name, " ".join(f"--{ink}: {getattr(inks, ink)};" for ink in _INKS))
    # The font last, whose letters may spell anything.
    return css.replace("FAMILY", theme.FONT).replace("FONT", font)


def _table(table: pl.DataFrame) -> str:
    def cell(value: object) -> str:
        return fmt.UNKNOWN if value is None else fmt.number(value) if isinstance(value, float) else str(value)

    looks = [' class="words"' * (name in WORDED) for name in table.columns]
    head = "".join(f"<th{look}>{escape(name)}</th>" for name, look in zip(table.columns, looks, strict=True))
    rows = (
        "".join(f"<td{look}>{escape(cell(value))}</td>" for value, look in zip(row, looks, strict=True))
        for row in table.iter_rows()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def _answers(whose: str, answers: Sequence[tuple[str, str, str, str, str, tuple[str, ...], int]]) -> str:
    parts = []
    called = short_questions([(question, document or None) for question, document, *_ in answers], 60)
    for name, (question, document, expected, fate, answer, replies, calls) in zip(called, answers, strict=True):
        mark, words = said(fate, answer, expected)
        about = f'<pre class="muted">{escape(document)}</pre>' if document else ""
        texts = "".join(f"<pre>{escape(text)}</pre>" for text in replies)
        more = (
            f'<p class="muted">{len(replies)} of {fmt.plural(calls, "call")} shown</p>' if calls > len(replies) else ""
        )
        body = f"{about}<pre><b>{escape(question)}</b></pre>{texts}{more}"
        parts.append(f"<details><summary>{escape(f'{mark} {name} · {words}')}</summary>{body}</details>")
    return f"<h2>Some answers of {escape(whose)}</h2>{''.join(parts)}" if parts else ""


def markdown(table: pl.DataFrame, sentences: tuple[str, str, str], facts: Iterable[tuple[str, str]]) -> str:
    """The finding and the table for a README or a comment; names are written letter by letter."""
    heading, lead, rest = sentences
    cost = next(name for name in table.columns if name.startswith("Cost per 1,000"))
    names = ["Setting", "Budget", "Accuracy", "95%", "Output tokens", cost, "Verdict"]
    lines = [f"**{fmt.in_markdown(heading)}**", "", fmt.in_markdown(f"{lead}: {rest}" if rest else lead), ""]
    lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in table.select(names).iter_rows():
        cells = (fmt.UNKNOWN if v is None else fmt.number(v) if isinstance(v, float) else str(v) for v in row)
        lines.append("| " + " | ".join(map(fmt.in_markdown, cells)) + " |")
    lines += ["", " · ".join(fmt.in_markdown(f"{what} {value}") for what, value in facts if value)]
    return "\n".join(lines) + "\n"
