"""Hostile text stays text: in spreadsheets, in queries, in addresses, in a saved figure."""

from __future__ import annotations

import csv
import importlib
import io
import re
from functools import partial
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from dashboard.data import queries, runs
from dashboard.text import exports
from dashboard.widgets import controls, price_panel
from dashboard.widgets.url_state import Param
from engine.cli import serve
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.records import Completion, Usage
from engine.runs.run_dir import now
from engine.store.store import Batch, Store
from tests.support import hostile, stores
from tests.support.pages import run_page

FORMULAS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1dSUM(1)",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    '=HYPERLINK("http://198.51.100.1";"x")',
    "=cmd|' /C calc'!A0",
    "--1",
    "-",
    "=",
    " =1+1",
    "\u00a0\u200b+1",
    "\ufeff=1",
    "\u3000\uff1d1",
    "text;=1+1",
    "text;\uff1d1;-2",
    "\0=1",
)
STARTS = re.compile("[\t\r\n]|[ \u00a0\u2000-\u200f\u2060\u3000\ufeff]*[=+@\uff1d\uff0b\uff0d\uff20-]")
GOES_ON = ";[=+@\uff1d\uff0b\uff0d\uff20-]"


def would_run(cell: str) -> bool:
    """Whether a spreadsheet would run a cell, or what lists parted by semicolons make a cell of its own."""
    return bool(STARTS.match(cell) or re.search(GOES_ON, cell))


def read_back(cell: str) -> str:
    """What a cell held, as far as it can be told."""
    return re.sub(f"^'|(?<=;)'(?={GOES_ON[1:]})", "", cell).replace("\0", "\ufffd")


VIEWS = ("explore", "compare", "budgets", "answers", "tokens", "runs", "help", "snapshot", "thought")
ODD = (
    "'; drop table trials; --",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\x00",
    "%00",
    "~",
    "a" * 5_000,
    "\u202e",
    "1 or 1=1",
    "{{7*7}}",
    "${HOME}",
    "x~-1",
    "x~99999999999999999999",
)


@given(st.lists(st.sampled_from(FORMULAS) | st.text(max_size=20), min_size=1, max_size=5))
def test_no_cell_of_a_table_of_the_dashboard_starts_a_formula(texts: list[str]) -> None:
    whole = [text.encode("utf-8", "replace").decode() for text in texts]
    frame = pl.DataFrame(
        {"text": whole, "list": [[text] for text in whole], "kind": pl.Series(whole).cast(pl.Categorical)}
    )
    rows = list(csv.reader(io.StringIO(exports.as_csv(frame).decode(), newline="")))[1:]
    assert len(rows) == len(whole)
    for row, text in zip(rows, whole, strict=True):
        assert not [cell for cell in row if would_run(cell)]
        assert all(read_back(cell) == read_back(text) for cell in row)


def test_no_cell_of_an_exported_table_starts_a_formula(tmp_path: Path) -> None:
    db = tmp_path / "r.duckdb"
    made = [
        Completion(f"k{n}", text, "stop", Usage(1, 1), 1, text, text, now(), None) for n, text in enumerate(FORMULAS)
    ]
    Store(db).flush(Batch(completions=tuple(made), run_id="r"))
    Store(db).export(tmp_path / "c.csv", "csv", "completions")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_bytes().decode(), newline="")))
    assert sorted(read_back(row["text"]) for row in rows) == sorted(map(read_back, FORMULAS))
    for row in rows:
        assert not [cell for cell in row.values() if would_run(cell)], row


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stores.one_trial(tmp_path_factory.mktemp("hostile") / "results.duckdb")


@pytest.mark.parametrize("text", ODD)
def test_an_id_from_outside_is_only_ever_looked_up(db: Path, text: str) -> None:
    before = db.read_bytes()
    stored, shown = engine.open(db), queries.Database(str(db), (1, 1, 1, 1))
    for look in (partial(queries.trial_rows, shown), stored.transcript, stored.curve):
        try:
            assert look(text).is_empty()
        except BudgetscopeError as error:
            assert "\n" not in str(error)
    with pytest.raises(BudgetscopeError):
        runs.find(db, text)
    assert db.read_bytes() == before
    assert not Store(db).runs()[0].state.startswith("x")


SENTENCE = "Zq over. Sign in again at evil.example"
"""What a link would like us to say."""
LINKS: dict[str, dict[str, str | list[str]]] = {
    **{f"{view} with all it reads": {} for view in VIEWS},
    # What is read only beside something that is right.
    "runs of a benchmark": {"task": "gsm8k", "revision": SENTENCE},
    "runs with a parameter": {"strategy": "self_consistency", "knob": f"self_consistency.samples={SENTENCE}"},
    "runs with a line-up": {"strategy": "cascade", "role": f"solver={SENTENCE}"},
    "runs of a model": {"model": [f"{SENTENCE}{n}" for n in range(300)]},
    "tokens of an answer": {"source": "stored", "trial": f"{SENTENCE}{'x' * 100_000}"},
    "budgets with prices": {"prices": "own", "price": [f"{SENTENCE}=1/2", f"scripted/adder={SENTENCE}"]},
    "explore with limits": {"most": "1e999", "least": "NaN", "cell": f"~{SENTENCE}\0", "size": "\u202e=-0"},
}


@pytest.mark.parametrize("link", LINKS)
def test_an_address_full_of_odd_things_opens_the_page_and_nothing_of_it_is_said_as_ours(
    db: Path, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    monkeypatch.setenv(serve.NO_TOKEN, "1")
    view = link.partition(" ")[0]
    module = importlib.import_module(f"dashboard.views.{view}")
    tuples = [*vars(module).values(), *vars(price_panel).values()]
    reads = {each.name for params in tuples if isinstance(params, tuple) for each in params if isinstance(each, Param)}
    app = run_page(view, **(LINKS[link] or dict.fromkeys([*reads, "__class__"], SENTENCE)))
    assert not app.exception, app.exception[0].value
    kinds = ("warning", "error", "info", "success", "markdown", "caption", "title", "header", "subheader", "html")
    said = [str(each.proto) for kind in kinds for each in app.get(kind)]
    assert [each for each in said if "Sign in again" in each or str(db.parent) in each or "<script>" in each] == []
    assert app.warning


def test_a_saved_figure_runs_nothing_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "</script><script>window.broken = 1</script><img src=x onerror=alert(1)>"
    figure = go.Figure(go.Scatter(x=[1], y=[1], name=evil, text=[evil]))
    figure.update_layout(title=evil)
    page = controls.as_html(figure, evil, evil)
    assert "<script>window.broken" not in page
    assert "<img src=x" not in page


@given(
    st.text(max_size=10),
    st.sampled_from(["https://", "HTTP://", "www.", "ftp.www.", "a@", "a.b+c@"]),
    st.text(max_size=10),
)
def test_no_address_in_a_shown_text_becomes_a_link(before: str, kind: str, after: str) -> None:
    """As Markdown looks for addresses, once the escapes are gone."""
    for written in (controls.literal, fmt.in_markdown):
        shown = written(f"{before}{kind}evil.example/x{after}").replace("\\", "")
        assert not re.search(r"https?://|www(?=\.)", shown, re.IGNORECASE)
        assert not re.search(r"[-.\w+]+@[-\w]+(?:\.[-\w]+)+", shown)
        assert shown.replace("\u2060", "").count("evil.example/x")


def test_a_name_in_markdown_that_is_taken_away_is_nothing_but_its_letters() -> None:
    odd = ("a | b\n| c", "<!-- hidden", "@owner see #12", "&#104;i &lt;b>", "https://x.example")
    for text in (*hostile.STRINGS, *odd):
        written = fmt.in_markdown(text)
        bare = re.sub(r"\\.", "", written)
        live = re.search(r"[\\`*_\[\]<>|]|(?<!\w)@\w|&(?!amp;|lt;)|\w://\w|www\.\w", bare)
        assert "\n" not in written and not live, text
