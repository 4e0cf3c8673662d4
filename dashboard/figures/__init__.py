"""Figures, pure: a frame becomes an Info (plain frozen data), an Info becomes a `go.Figure`. Nothing here knows Streamlit.

Draw with `st.plotly_chart(figure, theme=None, config=CONFIG)`; `customdata` of a mark is [condition_id, budget].
"""

from dashboard.figures.axes import AXES
from dashboard.figures.frontier import FrontierInfo, frontier_info
from dashboard.figures.frontier_plot import frontier_figure
from dashboard.figures.ink import CONFIG, empty_figure
from dashboard.figures.sentences import caption_sentence, title_sentence

__all__ = [
    "AXES",
    "CONFIG",
    "FrontierInfo",
    "caption_sentence",
    "empty_figure",
    "frontier_figure",
    "frontier_info",
    "title_sentence",
]
