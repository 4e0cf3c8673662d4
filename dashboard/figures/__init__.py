"""Figures, pure: a frame becomes an Info (plain frozen data), an Info becomes a `go.Figure`; no Streamlit in sight.

Draw with `st.plotly_chart(figure, theme=None, config=CONFIG)`; `customdata` of a mark is [condition_id, budget].
"""

from dashboard.figures.axes import AXES
from dashboard.figures.crossing import CrossingInfo, crossing_caption, crossing_figure, crossing_info
from dashboard.figures.curves import CurvesInfo, curves_caption, curves_figure, curves_info
from dashboard.figures.forest import ForestInfo, Said, differences_info, forest_figure, forest_info
from dashboard.figures.frontier import FrontierInfo, Handles, caption_sentence, frontier_figure, frontier_info, select
from dashboard.figures.ink import CONFIG, empty_figure
from dashboard.figures.stated_budgets import ToldInfo, obeyed_figure, told_caption, told_figure, told_info
from dashboard.figures.thought import ThoughtInfo, thought_figure, thought_info
from dashboard.figures.where_tokens import WhereInfo, where_figure, where_info

__all__ = [
    "AXES",
    "CONFIG",
    "CrossingInfo",
    "CurvesInfo",
    "ForestInfo",
    "FrontierInfo",
    "Handles",
    "Said",
    "ThoughtInfo",
    "ToldInfo",
    "WhereInfo",
    "caption_sentence",
    "crossing_caption",
    "crossing_figure",
    "crossing_info",
    "curves_caption",
    "curves_figure",
    "curves_info",
    "differences_info",
    "empty_figure",
    "forest_figure",
    "forest_info",
    "frontier_figure",
    "frontier_info",
    "obeyed_figure",
    "select",
    "thought_figure",
    "thought_info",
    "told_caption",
    "told_figure",
    "told_info",
    "where_figure",
    "where_info",
]
