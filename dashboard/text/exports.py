"""What is taken away: frames as CSV that runs nothing in a spreadsheet and as Parquet with its types, and the figure of
a saved page as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.core.text import FORMULA, NEXT_CELL, csv_cell

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

PICTURES = """<p><button type="button" value="png">Figure (PNG)</button>
<button type="button" value="svg">Figure (SVG)</button></p>
<script>
for (const button of document.querySelectorAll("button[value]")) button.onclick = async () => {
  // Of one figure drawn for several widths and themes, the one on screen.
  const figure = [...document.querySelectorAll(".js-plotly-plot")].find((each) => each.offsetWidth);
  const link = document.createElement("a");
  const size = { width: figure.offsetWidth, height: figure.offsetHeight };
  link.href = await Plotly.toImage(figure, { format: "svg", ...size });
  if (button.value === "png") {
    // By way of a data address: the page's policy lets no other image in.
    const image = new Image(), canvas = document.createElement("canvas");
    image.src = link.href;
    await image.decode();
    Object.assign(canvas, { width: 2 * size.width, height: 2 * size.height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    link.href = canvas.toDataURL("image/png");
  }
  link.download = `budgetscope.${button.value}`;
  link.click();
};
</script>"""
"""Two buttons under the figure of a page that brings plotly: the browser makes the picture, without a network."""

__all__ = ["PICTURES", "as_csv", "as_parquet", "with_plotly"]


def with_plotly(drawings: Mapping[tuple[str, str], go.Figure]) -> str:
    """One figure of a page as it was drawn for several themes and rooms, as HTML that brings plotly's whole program,
    5 MB; the same each time. Each in a block whose classes are its theme and room; the page's style shows one."""
    config, blocks = {"displayModeBar": False, "responsive": True}, list[str]()
    for (theme, room), figure in drawings.items():
        # Without a name plotly gives it a random one, and the same view would be another file whenever it is saved.
        named, first = f"{theme}-{room}", not blocks
        drawn = figure.to_html(full_html=False, include_plotlyjs=first, config=config, div_id=named)
        blocks.append(f'<div class="figure {theme} {room}">{drawn}</div>')
    return "".join(blocks)


def as_csv(frame: pl.DataFrame) -> bytes:
    """The frame as CSV; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    import polars as pl

    kinds = frame.schema.items()
    # CSV has neither lists nor enums; as text they can be armed too.
    lists = [pl.col(name).list.join(" ") for name, kind in kinds if kind == pl.List(pl.String)]
    named = [pl.col(name).cast(pl.String) for name, kind in kinds if kind in (pl.Categorical, pl.Enum)]
    whole = frame.with_columns(*lists, *named)
    names = [name for name, kind in whole.schema.items() if kind == pl.String]
    texts = []
    for name in names:
        text = pl.col(name).str.replace_all("\0", "\ufffd", literal=True).str.replace_all(NEXT_CELL, ";'${1}")
        # The apostrophe is what spreadsheets themselves write before text that looks like a formula.
        armed = pl.when(text.str.contains(FORMULA)).then(pl.concat_str(pl.lit("'"), text)).otherwise(text)
        texts.append(armed.alias(name))
    heads = {name: csv_cell(name) for name in whole.columns}
    return whole.with_columns(*texts).rename(heads).write_csv().encode()


def as_parquet(frame: pl.DataFrame) -> bytes:
    """The frame as Parquet, types kept."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
