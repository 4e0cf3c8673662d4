"""Figures, pure: a frame becomes an Info (plain frozen data), an Info becomes a `go.Figure`; no Streamlit in sight.

Draw with `st.plotly_chart(figure, theme=None, config=CONFIG)`; `customdata` of a mark is [condition_id, budget].
"""

from dashboard.figures.axes import AXES
from dashboard.figures.curves import CurvesInfo, curves_caption, curves_info
from dashboard.figures.curves_plot import curves_figure
from dashboard.figures.frontier import FrontierInfo, frontier_info
from dashboard.figures.frontier_plot import frontier_figure
from dashboard.figures.ink import CONFIG, empty_figure
from dashboard.figures.panels import PanelsInfo, panels_figure, panels_info
from dashboard.figures.sentences import caption_sentence, title_sentence

__all__ = [
    "AXES",
    "CONFIG",
    "CurvesInfo",
    "FrontierInfo",
    "PanelsInfo",
    "caption_sentence",
    "curves_caption",
    "curves_figure",
    "curves_info",
    "empty_figure",
    "frontier_figure",
    "frontier_info",
    "panels_figure",
    "panels_info",
    "title_sentence",
]
