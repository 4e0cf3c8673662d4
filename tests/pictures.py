"""Pictures of every page for the README, taken in a real browser from the demo study.

    python -m tests.pictures [FOLDER] [--width 1440] [--scheme light dark]

Writes `<page>-<scheme>.png`, into docs/ unless told: in the dark Explore alone, which the README shows both ways. Works
on a copy of results.duckdb.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from tests import ROOT
from tests.browser.conftest import NAMES
from tests.browser.stage import Stage, staged

HEIGHTS = {"explore": 900, "budgets": 1000, "compare": 1200, "answers": 1000, "tokens": 900, "help": 1000, "runs": 900}
FREQUENT = 200
"""Of the 256 colours of a picture, those that are there because they are frequent."""
EXPLORE = f"/?task={quote('gym:chain_sum/easy', safe='')}"
COMPARE = EXPLORE.replace("/?", "/compare?")


def main() -> None:
    """Take them all."""
    from playwright.sync_api import sync_playwright

    asked = _arguments()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), None)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for scheme in asked.scheme:
            db = Path(folder) / scheme / "results.duckdb"
            db.parent.mkdir()
            shutil.copyfile(ROOT / "results.duckdb", db)
            with staged(db, browser) as stage:
                for name, page in _pages(stage, asked.width, scheme):
                    _small(page.screenshot()).save(asked.folder / f"{name}-{scheme}.png", optimize=True)
                    page.close()


def _small(png: bytes) -> Image.Image:
    """A picture in its most frequent colours, with some of the others: a third of the bytes, grounds and marks exact."""
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    counted = sorted(whole.getcolors(whole.width * whole.height) or [], reverse=True)[:FREQUENT]
    rest = whole.quantize(256 - len(counted), Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(part for _, colour in counted for part in colour), *rest][:768])  # type: ignore[attr-defined]
    return whole.quantize(palette=palette, dither=Image.Dither.NONE)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--scheme", nargs="+", default=["light", "dark"], choices=["light", "dark"])
    return parser.parse_args()


def _pages(stage: Stage, width: int, scheme: str) -> Iterator[tuple[str, Any]]:
    """Each page by name, drawn to the end."""
    read = [("explore", EXPLORE), ("budgets", "/budgets"), ("compare", COMPARE), ("answers", _trial(stage))]
    every = [*read, ("tokens", "/tokens"), ("help", "/help"), ("runs", "/runs")]
    for name, path in every if scheme == "light" else every[:1]:
        yield name, _opened(stage, path, name, width, scheme)


def _opened(stage: Stage, path: str, name: str, width: int, scheme: str) -> Any:
    page = stage.open(path, width=width, height=HEIGHTS[name], scheme=scheme)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    if name in ("explore", "budgets"):
        page.wait_for_selector(".js-plotly-plot .main-svg")
    _rested(page)
    return page


def _rested(page: Any) -> None:
    """Nothing is loading, nothing is under the mouse."""
    page.mouse.move(0, 0)
    page.wait_for_function("!document.querySelector('[data-stale=true], [data-testid=stSkeleton]')")
    page.wait_for_load_state("networkidle")


def _trial(stage: Stage) -> str:
    """A question that self-consistency got right after votes went both ways, as the trials page links it."""
    import engine

    known = engine.open(stage.db).conditions()
    chosen = known.filter(strategy="self_consistency", task="gym:chain_sum/easy").row(0, named=True)["condition_id"]
    rows = engine.open(stage.db).trial_rows(chosen).filter(verdict="right").sort("calls", descending=True)
    return f"/answers?condition={quote(chosen)}&trial={quote(rows.row(0, named=True)['trial_id'])}"


if __name__ == "__main__":
    main()
