"""A table says its numbers as sentences do, and keeps them as numbers."""

from __future__ import annotations

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import theme
from dashboard.text import tables
from dashboard.widgets.controls import MOST_WORDED, literal, spoken
from tests.dashboard.figures.test_figures import contrast

PAGE = """
import polars as pl
from dashboard.widgets import controls
columns = {"Setting": ["a", "b"], "Tokens": [98765.4, 0.0000123], "Accuracy, %": [67.44, None], "Cost, $": [0.5, 1230.2]}
controls.table(pl.DataFrame(columns), "told")
"""
LARGE = f"""
import polars as pl
from dashboard.widgets import controls
controls.table(pl.DataFrame({{"Tokens": [98765.4] * {MOST_WORDED + 1}}}), "large")
"""


@pytest.mark.parametrize(
    ("title", "value", "text"),
    [
        ("Accuracy, %", 67.44, "67.4"),
        ("Failed, %", 0.0, "0.0"),
        ("Lost, points", -12.04, "\u221212.0"),
        ("Behind, points", 3.0, "+3.0"),
        ("Cost per 1,000 questions, $", 0.5, "0.50"),
        ("Cost per 1,000 questions, $", 1230.2, "1,230"),
        ("p", 0.0004, "< 0.001"),
        ("p, Holm", 0.6, "0.60"),
        ("Output tokens per question", 98765.4, "98,765"),
        ("Questions", 60, "60"),
    ],
)
def test_a_number_is_said_by_the_unit_in_its_title(title: str, value: float, text: str) -> None:
    assert spoken(title)(value) == text


@pytest.mark.parametrize(("n", "text"), [(60, "67"), (500, "67.4")])
def test_a_share_of_few_questions_is_told_in_whole_percent(n: int, text: str) -> None:
    assert spoken("Accuracy, %", n)(67.44) == text


def test_what_is_shown_are_words_and_what_is_sorted_are_numbers() -> None:
    shown = AppTest.from_string(PAGE, default_timeout=30).run().dataframe[0]
    assert shown.value["Tokens"].to_list() == [98765.4, 0.0000123]
    words = pa.ipc.open_stream(shown.proto.arrow_data.styler.display_values).read_all().to_pydict()
    assert words["Tokens"] == ["98,765", "0.0000123"]
    assert words["Accuracy, %"] == ["67.4", "unknown"]
    assert words["Cost, $"] == ["0.50", "1,230"]


def test_a_large_table_is_not_worded_cell_by_cell() -> None:
    shown = AppTest.from_string(LARGE, default_timeout=60).run().dataframe[0]
    assert not shown.proto.arrow_data.styler.display_values


UNSCORED = """
import polars as pl
from dashboard.widgets import controls
controls.table(pl.DataFrame({"Setting": ["a"], "Accuracy, %": [None]}, schema_overrides={"Accuracy, %": pl.Float64}), "none")
"""


def test_names_that_stay_in_view_are_told_from_their_ground_though_they_are_drawn_paler() -> None:
    narrow = AppTest.from_string(PAGE, default_timeout=30)
    narrow.session_state["narrow"] = 1
    styles = narrow.run().dataframe[0].proto.arrow_data.styler.styles
    assert "_col0 { color: #000000 }" in styles and "_col1" not in styles
    wide = AppTest.from_string(PAGE, default_timeout=30).run().dataframe[0]
    assert "color" not in wide.proto.arrow_data.styler.styles
    for inks in (theme.LIGHT, theme.DARK):
        pale = theme.blend(theme.ink_on(inks.background), inks.background, 0.6)
        assert contrast(pale, inks.background) >= 4.5


def test_a_column_of_which_nothing_is_known_says_so_in_the_ink_of_the_others() -> None:
    shown = AppTest.from_string(UNSCORED, default_timeout=30).run().dataframe[0]
    assert shown.value["Accuracy, %"].to_list() == ["unknown"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("What is 1 + 2?", "What is 1 + 2?"),
        ("State the answer to the following arithmetic problem: 8 + 7 =\n\nGive a whole number.", "8 + 7 ="),
        ("A question\nof two lines", "A question of two lines"),
        ("a " * 40 + "and what is asked at its end", "…a a a a and what is asked at its end"),
        ("x" * 60, "…" + "x" * 39),
        ("", ""),
    ],
)
def test_a_long_question_is_shown_by_what_is_asked_at_its_end(text: str, shown: str) -> None:
    found = tables.short_question(text, 40)
    assert len(found) <= 40
    assert found.endswith(shown[-20:]) and ("…" in found) == ("…" in shown)


DAYS = ("early", "late")


def test_one_instruction_over_several_documents_is_shown_by_how_each_document_begins() -> None:
    asked = [
        ("Who wrote it?", "Note 1:\n  Ann, about the invoice of May"),
        ("Who wrote it?", "Note 2"),
        ("Who?", "Note 2"),
    ]
    assert tables.short_questions(asked, 20) == ["Note 1: Ann, about…", "Note 2", "Note 2"]
    one = [("Who wrote it?", "Note 1"), ("When?", "Note 1"), ("Where?", None)]
    assert tables.short_questions(one, 20) == ["Who wrote it?", "When?", "Where?"]


def test_long_questions_that_begin_and_end_alike_are_shown_from_where_they_differ() -> None:
    asked = [(f"Read the note of the {day} shift and say in one word what the nurse on duty did", None) for day in DAYS]
    assert tables.short_questions(asked, 24) == ["…early shift and say in…", "…late shift and say in…"]
    # Documents with one heading, and a text that is another's beginning.
    notes = [("Who?", f"Ward 3, hand-over of the week, entry {i}") for i in range(2)]
    assert tables.short_questions(notes, 20) == ["…0", "…1"]
    assert tables.short_questions([("a b c d e f g", None), ("z b c d e f g", None)], 8) == ["a b c d…", "z b c d…"]


def test_a_name_written_from_the_right_leaves_the_numbers_after_it_in_their_order() -> None:
    shown = literal("מבחן חשבון 100% (74–100), sums 3 %")
    assert shown.replace("\\", "") == "\u2068מבחן חשבון\u2069 100% (74–100), sums 3 %"
