"""What a visitor takes away: figures as pictures, tables as files, and both from a saved page without a network."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dashboard import theme
from dashboard.text.exports import as_csv
from engine.core.text import FORMULA
from tests.browser.conftest import PATIENCE_MS, Site, settled, visit

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
FIGURES = {"/": "explore", "/compare": "compare", "/budgets": "budgets"}
"""Pages by address, and what the files of each are called."""


def taken(page: Any, button: Any, folder: Path) -> Path:
    """The file a button brings; the button is there and drawn before it is clicked."""
    expect(button).to_be_visible()
    with page.expect_download() as coming:
        button.click()
    path = folder / str(coming.value.suggested_filename)
    coming.value.save_as(path)
    return path


def open_menu(page: Any) -> None:
    """The menu of Explore, whether a download closed it or not."""
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Table (CSV)")).to_be_hidden()
    page.get_by_role("button", name="Share").click()


def check_picture(path: Path) -> None:
    if path.suffix == ".svg":
        drawn = ET.parse(path).getroot()
        assert drawn.tag.endswith("svg")
        assert len(list(drawn.iter("{http://www.w3.org/2000/svg}path"))) > 4
    else:
        head = path.read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        assert int.from_bytes(head[16:20]) > 600


def test_a_figure_is_taken_away_as_png_and_svg_and_its_table_as_csv_and_parquet(site: Site, tmp_path: Path) -> None:
    page = site.open("/", width=1440)
    for address, name in FIGURES.items():
        if address != "/":
            visit(page, address)
        for kind in ("PNG", "SVG"):
            if address == "/":
                open_menu(page)
            path = taken(page, page.get_by_role("button", name=f"Figure ({kind})").last, tmp_path)
            assert path.name == f"budgetscope-{name}.{kind.lower()}"
            check_picture(path)
        for kind in ("CSV", "Parquet"):
            if address == "/":
                open_menu(page)
            label = f"Table ({kind})" if address == "/" else kind
            path = taken(page, page.get_by_role("button", name=label, exact=address != "/").last, tmp_path)
            assert path.name == f"{name}.{kind.lower()}"
        check_table(tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet")
        page.keyboard.press("Escape")
    explored = pl.read_parquet(tmp_path / "explore.parquet").columns
    assert explored[:3] == ["condition_id", "label", "task"]


def check_table(written: Path, parquet: Path) -> None:
    """Both files say the same, and no text of the first is a formula to a spreadsheet."""
    told = pl.read_parquet(parquet)
    rows = list(csv.reader(io.StringIO(written.read_text("utf-8"))))
    assert rows[0] == told.columns
    assert len(rows) - 1 == told.height > 0
    texts = [told.columns.index(column) for column, kind in told.schema.items() if kind == pl.String]
    assert not [row[at] for row in rows[1:] for at in texts if re.match(FORMULA, row[at])]
    assert as_csv(told).decode() == written.read_text("utf-8")


def test_a_saved_page_gives_its_figure_as_a_picture_without_a_network(site: Site, tmp_path: Path) -> None:
    page = site.open("/", width=1440)
    page.get_by_role("button", name="Share").click()
    saved = taken(page, page.get_by_role("button", name="Save as one page"), tmp_path)
    text = saved.read_text("utf-8")
    assert "How the numbers were made" in text
    assert "<script src" not in text
    context = site.browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    requests: list[str] = []
    alone = context.new_page()
    alone.set_default_timeout(PATIENCE_MS)
    alone.on("request", lambda request: requests.append(request.url))
    alone.on("console", lambda message: site.wrong.append(message.text) if message.type == "error" else None)
    alone.goto(saved.as_uri())
    alone.wait_for_selector(".js-plotly-plot .main-svg")
    for kind in ("PNG", "SVG"):
        check_picture(taken(alone, alone.get_by_role("button", name=f"Figure ({kind})"), tmp_path))
    for width in (390, 800):
        alone.set_viewport_size({"width": width, "height": 800})
        (drawn,) = (box for each in alone.locator(".js-plotly-plot").all() if (box := each.bounding_box()))
        assert drawn["x"] >= 0 and drawn["x"] + drawn["width"] <= width, "the whole figure, without scrolling"
    for scheme, inks in (("light", theme.LIGHT), ("dark", theme.DARK)):
        alone.emulate_media(color_scheme=scheme)
        paper = alone.locator(".js-plotly-plot .main-svg").locator("visible=true").first
        grounds = {
            seen.evaluate("each => getComputedStyle(each).backgroundColor") for seen in (alone.locator("main"), paper)
        }
        assert grounds == {"rgb" + str(tuple(bytes.fromhex(inks.background[1:])))}
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}
    context.close()


def test_one_number_for_each_setting_opens_under_the_table_and_stays_in_the_address(site: Site, tmp_path: Path) -> None:
    page = site.open("/?open=areas", width=1440)
    settled(page)
    expect(page.get_by_text("Area: mean accuracy over the logarithm of the budget", exact=False)).to_be_visible()
    path = taken(page, page.get_by_role("button", name="Parquet", exact=True), tmp_path)
    assert {"area", "hypervolume_low", "ockscore_high", "n"} <= set(pl.read_parquet(path).columns)
