"""Every example in Python that the README and the pages of docs/ print runs as it is written, over the demo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard import figures
from tests import ROOT

PAGES = (ROOT / "README.md", ROOT / "docs" / "choosing.md", ROOT / "docs" / "figures.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_examples_run_one_after_the_other(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results.duckdb").symlink_to(ROOT / "results.duckdb")
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)


def test_every_figure_has_an_example() -> None:
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    drawn = {name for name in figures.__all__ if name.endswith("_figure")} - {"empty_figure"}
    assert len(drawn) >= 6
    assert not {name for name in drawn if f"figures.{name}(" not in text}
