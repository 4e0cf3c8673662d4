"""A database, a plugin and links of the release of 28 November 2026, before its modules had rooms, still work."""

from __future__ import annotations

import gzip
import importlib
import sys
from pathlib import Path

import pytest

import engine
from dashboard.moved import PLACES, place
from engine.strategies import registry
from tests import ROOT
from tests.support.pages import run_page

KEPT = ROOT / "tests" / "support" / "earlier" / "kept.duckdb.gz"
"""Made by that release: three strategies, six sums, the scripted model, budgets of 64 and 256 output tokens."""
STUDY = """name = "kept"
budgets = [64, 256]
models = ["scripted/adder"]
tasks = [{ name = "gym:chain_sum", level = "easy", questions = 6 }]
strategies = ["direct", { name = "self_consistency", samples = 3 }, { name = "told_budget", told_tokens = 50 }]
"""
DIRECT, STATED, VOTES = (
    "k1-d38ec3955b000e8d0dd0fc0dde50542b",
    "k1-18ab066e1f704181fe58c6928af15ba1",
    "k1-565a03c155865072aae1821a0852b7e9",
)
CELLS = [
    (DIRECT, 64, 3, 2, 1, 89, 305, 0.989),
    (DIRECT, 256, 3, 2, 1, 89, 305, 0.989),
    (STATED, 64, 3, 3, 0, 147, 387, 0.5975),
    (STATED, 256, 3, 3, 0, 147, 387, 0.5975),
    (VOTES, 64, 1, 5, 0, 334, 964, 0.007),
    (VOTES, 256, 1, 5, 0, 357, 987, 0.007),
]
"""What that release read in it: condition, budget, right, wrong, no answer, output and all tokens of the six questions,
and the chance of being on the frontier of output tokens."""
PLUGIN = '''
from dataclasses import dataclass

from engine.answers import same
from engine.errors import UsageError
from engine.records import Problem
from engine.session import Session
from engine.strategies import strategy
from engine.strategies.chain import CHAIN_TOKENS, answer_in, chain_prompt
from engine.tokens import count
from engine.votes import Votes


@strategy("earlier_pair", anytime=True, family="voting", calls="2", version=1)
@dataclass(frozen=True)
class EarlierPair:
    """Two chains, the answer that both gave.

    Budget: two chains, one after the other."""

    calls = 2

    async def solve(self, problem: Problem, session: Session):
        if not count(problem.text, "gpt-4o"):
            raise UsageError("A question without a word.")
        answers = []
        async for chain in session.stream(chain_prompt(problem), 2, CHAIN_TOKENS, ahead=lambda: 2):
            answers.append(answer_in(chain))
        if None not in answers and same(*answers, problem.answer_kind):
            yield answers[0]
'''


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    db = tmp_path / "kept.duckdb"
    db.write_bytes(gzip.decompress(KEPT.read_bytes()))
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    return db


def test_its_cells_say_what_they_said(kept: Path) -> None:
    frontier = engine.open(kept).frontier(x="output_tokens")
    assert [
        (
            row["condition_id"],
            row["budget"],
            row["n_right"],
            row["n_wrong"],
            row["n_none"],
            round(6 * row["output_tokens"]),
            round(6 * row["total_tokens"]),
            row["p_frontier"],
        )
        for row in frontier.to_dicts()
    ] == CELLS


def test_the_same_study_finds_everything_there_and_pays_nothing(kept: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.toml"
    file.write_text(STUDY)
    bought = engine.open(kept).bill(None, by=())["attempts"].item()
    ended = engine.run(file, kept)
    assert (ended.state, ended.done, ended.total, ended.spent.calls) == ("finished", 18, 18, 0)
    assert {row["condition_id"] for row in engine.open(kept).conditions().to_dicts()} == {DIRECT, STATED, VOTES}
    assert engine.open(kept).bill(None, by=())["attempts"].item() == bought > 0
    assert engine.open(kept).older() == []


def test_a_plugin_of_it_is_imported_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "earlier_pair.py").write_text(PLUGIN)
    file = tmp_path / "study.toml"
    file.write_text(STUDY.replace('"direct", ', '"earlier_pair", '))
    monkeypatch.syspath_prepend(str(tmp_path))
    before = registry.registered()
    try:
        importlib.import_module("earlier_pair")
        ended = engine.run(file, tmp_path / "new.duckdb")
        assert (ended.state, ended.ends) == ("finished", {"finished": 18})
        assert "earlier_pair" in engine.open(tmp_path / "new.duckdb").conditions()["strategy"].to_list()
    finally:
        registry.restore(before)
        sys.modules.pop("earlier_pair", None)


LINKS: list[tuple[str, dict[str, str | list[str]]]] = [
    ("frontier", {"x": "total_tokens", "strategy": ["direct"], "budget": "64"}),
    ("frontier", {"prices": "today", "cell": f"{DIRECT}~64", "line": "hull"}),
    ("curves", {"axis": "output_tokens", "model": ["scripted/adder"]}),
    ("compare", {"a": f"{DIRECT}~64", "b": f"{VOTES}~256", "by": "category"}),
    ("told", {"strategy": ["told_budget"]}),
    ("advice", {"ask": "under", "budget": "64", "axis": "output_tokens"}),
    ("trials", {"condition": VOTES, "budget": "64", "show": "wrong"}),
    ("method", {"strategy": "told_budget"}),
]


@pytest.mark.parametrize(("page", "query"), LINKS, ids=[f"{page}-{'-'.join(query)}" for page, query in LINKS])
def test_a_link_of_it_opens_on_what_it_showed(kept: Path, page: str, query: dict[str, str | list[str]]) -> None:
    view, asked = (
        place(page, {name: [text] if isinstance(text, str) else text for name, text in query.items()})
        if (page in PLACES)
        else (page, query)
    )
    app = run_page(view, **asked)
    assert not app.exception
    said = [str(box.value) for box in (*app.warning, *app.info, *app.caption, *app.error)]
    assert not [text for text in said if "This link asks" in text or "Did it mean" in text]
    now = {name: app.session_state[f"{view}.{name}"] for name in asked}
    assert {name: [value] if isinstance(value, str) else value for name, value in now.items()} == {
        name: [value] if isinstance(value, str) else value for name, value in asked.items()
    }


def test_its_module_names_give_what_the_modules_of_today_give() -> None:
    from engine.former_names import FORMER

    for former, now in FORMER.items():
        old, new = importlib.import_module(former), importlib.import_module(now)
        assert all(getattr(old, name) is value for name, value in vars(new).items() if not name.startswith("__"))
