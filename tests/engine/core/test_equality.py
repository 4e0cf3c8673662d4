"""Answers that are one: expressions, units, codes and votes by their value, however each is spelled."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.answers import Votes, extract, same, value_key, vote_key
from engine.core.records import AnswerKind

TARGETS = [
    "\\frac{14}{3}",
    "\\text{Evelyn}",
    "p - q",
    "\\left( 3, \\frac{\\pi}{2} \\right)",
    "\\begin{pmatrix} -1/3 \\\\ 2/3 \\\\ 5/3 \\end{pmatrix}",
    "(-\\infty, 2) \\cup (3, \\infty)",
    "\\left(\\frac{3}{5},\\frac{8}{3}\\right]",
    "x \\in [-2,7]",
    "3 \\pm 2 \\sqrt{2}",
    "\\{1\\pm\\sqrt{5},-2\\}",
    "5x - 7y + 11z + 4 = 0",
    "52_8",
    "\\$32,\\!348",
    "864 \\mbox{ inches}^2",
    "90^\\circ",
    "\\text{(C)}",
    "1,-2",
    "9**9**9**9",
]


@pytest.mark.parametrize(
    "form", ["{}", "Answer: {}", "\\boxed{{{}}}", "The answer is ${}$.", "Thus\n\\[\\boxed{{{}}}\\]"]
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_equal_to_itself_however_it_is_given(target: str, form: str) -> None:
    given_answer = target if form == "{}" else extract(form.format(target), "expression")
    assert given_answer is not None and same(given_answer, target, "expression")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt 3}"),
        ("(x+1)^2", "x^2 + 2x + 1"),
        ("\\dfrac12", "0.5"),
        ("\\frac{270}7\\text{ degrees}", "270/7"),
        ("x = 5", "5"),
        ("y = 2x + 3", "3 + 2x"),
        ("2x + 4 = 0", "x + 2 = 0"),
        ("(3, pi/2)", "\\left( 3, \\frac{\\pi}{2} \\right)"),
        ("-2, 1", "1,-2"),
        ("1 \\pm \\sqrt{19}", "1+\\sqrt{19}, 1-\\sqrt{19}"),
        ("(0,9)\u222a(9,36)", "(0,9) \\cup (9,36)"),
        ("\\sin^2 x + \\cos^2 x", "1"),
        ("\\log_2 8", "3"),
        ("\\binom{5}{2}", "10"),
        ("5!", "120"),
        ("x < 3", "3 > x"),
        ("6+9i", "9i + 6"),
        ("2\\sqrt{5} \\text{ cm}", "\\sqrt{20}"),
        ("0.2", "20\\%"),
        ("1\\frac{4}{5}", "9/5"),
        ("x = (1, 2)", "(1, 2)"),
        ("x = [0, 1)", "[0, 1)"),
        ("x = \\pm 2", "-2, 2"),
        ("x = 52_8", "52_8"),
        ("(a, b) = (1, 2)", "(1, 2)"),
        ("{1 \\over 2}", "0.5"),
        ("{5 \\choose 2}", "10"),
        ("0.\\overline{3}", "\\frac13"),
        ("1.2e-3", "0.0012"),
        ("\\lfloor 3.5 \\rfloor", "3"),
        ("10\\text{ m/s}^2", "10"),
        ("[[1,2],[3,4]]", "\\begin{pmatrix}1 & 2 \\\\ 3 & 4\\end{pmatrix}"),
        ("\\varnothing", "\\emptyset"),
        ("\\mathbb R \\setminus \\{0\\}", "\\mathbb{R}\\setminus\\{0\\}"),
        ("x \\equiv 3 \\pmod 5", "x\\equiv3\\pmod5"),
        ("\\text{Yes}", "yes"),
        ("No solution", "\\text{no solution}"),
        ("\\theta + \u03b1", "\\alpha + \u03b8"),
        ("\\lvert x \\rvert", "|x|"),
        ("\u2205", "\\{\\}"),
        ("6\\pi\\text{ cm}^2", "6\\pi"),
        ("\\angle ABC = 30^\\circ", "30"),
        ("\\text{Area} = 12", "12"),
        ("f^{-1}(x) = x - 1", "x - 1"),
        ("\\langle 1, 2\\rangle", "(1, 2)"),
        ("\\frac{1}{3} \\approx 0.333", "1/3"),
        ("x = \\frac12 = 0.5", "0.5"),
        ("x \u2208 (0, 1)", "(0, 1)"),
        ("x ≥ 2", r"[2, \infty)"),
        ("x > -1 and x <= 4", "-1 < x ≤ 4"),
        (r"x \in [0,1)", "0 ≤ x < 1"),
        ("ℝ", r"(-\infty, \infty)"),
        ("All real numbers.", r"x \in \mathbb{R}"),
        (r"x < -1 \lor x > 3", r"(3,\infty)\cup(-\infty,-1)"),
        ("x<-1, x>3", "x < -1 or x > 3"),
        (r"\{x \mid x \ge 2\}", "x>=2"),
        ("all real numbers except 2", r"x \ne 2"),
        (r"\mathbb{R} \setminus \{2\}", "(-∞,2)∪(2,∞)"),
        ("There is no solution", r"\emptyset"),
    ],
)
def test_expressions_are_equal_by_value(one: str, other: str) -> None:
    assert same(one, other, "expression") and same(other, one, "expression")


def test_expressions_of_one_value_vote_together() -> None:
    votes = Votes()
    for answer in ("p + q", "\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt 3}", "0.5"):
        votes.add(answer)
    assert votes.leader == "\\frac{\\sqrt{3}}{3}" and votes.agreement == 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(3,4]", "(3,4)"),
        ("(1,2)", "(2,1)"),
        ("x^2", "x^3"),
        ("0.333", "\\frac13"),
        ("9**9**9**9", "9999"),
        ("2\\pi", "6.283185"),
        ("52_8", "42"),
        ("p - q", "q - p"),
        ("x = 1, y = 2", "x = 2, y = 1"),
        ("x = (1, 2)", "(2, 1)"),
        ("0.\\overline{3}", "0.3"),
        ("5", "5.4 \\text{ cents}"),
        ("x > 2", "x ≥ 2"),
        ("x < -1 or x > 3", "-1 < x < 3"),
        (r"\mathbb{R}^2", r"\mathbb{R}"),
        ("no solution", "0"),
        ("x > 3 or y > 2", "x > 3"),
        ("x > 2", "2"),
    ],
)
def test_expressions_of_other_values_are_not_equal(one: str, other: str) -> None:
    assert not same(one, other, "expression")


@pytest.mark.parametrize(
    ("answer", "target", "kind", "equal"),
    [
        ("50%", "0.5", "number", True),
        ("0.5", "50%", "number", True),
        ("50", "50%", "number", True),
        ("0.5%", "50%", "number", False),
        ("5", "$5", "number", True),
        ("15", "15 cm", "number", True),
        ("30,000", "3 \\times 10^4", "number", True),
        ("12/25", "0.48", "number", True),
        ("12/25", "0.48", "text", False),
        ("1234", "01234", "word", False),
        ("01234", "01234", "text", True),
        ("1,000", "1000", "text", True),
        ("b", "(B) Oslo", "choice", True),
        ("A", "B", "choice", False),
        ("yes", "True", "yes_no", True),
        ("no", "N", "yes_no", True),
        ("yes", "False", "yes_no", False),
        ("no", "Nein", "yes_no", True),
        # A target that says there is none.
        ("N/A", "Not Applicable", "text", True),
        ("not enough information", "Cannot be determined", "text", True),
        ("None of these", "none", "word", True),
        ("N/A", "Unknown", "text", False),
        ("0", "no solution", "expression", False),
    ],
)
def test_units_per_cent_and_codes_are_compared_as_the_target_has_them(
    answer: str, target: str, kind: AnswerKind, equal: bool
) -> None:
    assert same(answer, target, kind) == equal


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("\\frac{1}{2}", "0.5", True),
        ("1/2", "2/4", True),
        ("p - q", "-q + p", True),
        ("2\\sqrt{5}", "\\sqrt{20}", True),
        ("1 000", "1,000", True),
        ("New York", "new york", True),
        # Two ways to 24 are two answers.
        ("(4 + 4) * 3", "3 * 8", False),
        ("10-12", "-2", False),
        ("01234", "1234", False),
    ],
)
def test_votes_are_counted_by_value(one: str, other: str, together: bool) -> None:
    assert (vote_key(one) == vote_key(other)) == together


def test_hostile_mathematics_has_no_value_and_costs_nothing() -> None:
    start = time.process_time()
    for text in (
        "9**9**9**9",
        "9^{9^{9^{9}}}",
        "99999!",
        "((((((((((" * 50,
        "\\frac{" * 80,
        "\\sqrt{" * 90,
        "e^{10^{10}}",
        "\\binom{99999999}{9999}",
        "1" * 500 + "^" + "9" * 90,
        "\\tan(\\pi/2)^{999999}",
        "__import__('os').system('x')",
        "x" * 600,
        "+".join(["\\sin(x)^{99}"] * 40),
    ):
        value_key(text)
        same(text, text + " ", "expression")
        vote_key(text)
    # The import of the numbers' library is part of it.
    assert time.process_time() - start < 5


@settings(deadline=None)
@given(st.integers(-99, 99), st.integers(1, 99), st.integers(1, 9))
def test_a_fraction_is_equal_in_every_spelling(top: int, below: int, times: int) -> None:
    value = Fraction(top, below)
    for written in (
        f"\\frac{{{top * times}}}{{{below * times}}}",
        f"{top * times}/{below * times}",
        f"({top})/({below})",
    ):
        assert same(written, f"{value.numerator}/{value.denominator}", "expression")
        if "(" not in written:
            # Arithmetic may be an answer for its own sake, as in the game of 24.
            assert vote_key(written) == vote_key(f"\\dfrac{{{value.numerator}}}{{{value.denominator}}}")
