"""Answers within markup, options by their text, quantities side by side, denials and points of lists: one row a class."""

from __future__ import annotations

import pytest

from engine.core.answers import extract, stated
from engine.core.records import AnswerKind

MARKUP = [
    *(
        "**{}**",
        "**{}.**",
        "***{}***",
        "_{}_",
        "__{}__",
        "`{}`",
        '"{}"',
        "\u201c{}\u201d",
        "\u300c{}\u300d",
        "\u00ab{}\u00bb",
        "=={}==",
    ),
    *(
        "${}$",
        "$${}$$",
        "\\({}\\)",
        "$\\mathbf{{{}}}$",
        "\\text{{{}}}",
        "\\textbf{{{}}}",
        "\\emph{{{}}}",
        "$\\text{{{}}}$",
    ),
    *("{{\\bf {}}}", "$\\bf{{{}}}$", "\\textcolor{{red}}{{{}}}", "\\boxed{{\\mathrm{{{}}}}}", "\\underline{{{}}}"),
    *(
        "<b>{}</b>",
        "<strong>{}</strong>",
        "<p>{}</p>",
        "<code>{}</code>",
        '<span style="color:red">{}</span>',
        "\u2705 {}",
    ),
]
SAID = ["{}", "Answer: {}", "The answer is {}.", "**Answer:**\n{}", "Let me think. There are several.\n\n{}"]
PICKED = [*SAID, "I'd go with {}", "I'd go with option {}.", "So it must be {}.", "I choose {}."]
CITIES = ("Oslo", "Rome", "New York", "Madrid")


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_around_an_answer_is_no_part_of_it(markup: str) -> None:
    answers: list[tuple[AnswerKind, str, str, list[str]]] = [
        ("choice", "B", "B", PICKED),
        ("number", "12", "12", SAID),
        ("yes_no", "No", "no", SAID),
        ("text", "New York", "New York", SAID[:-1]),
        ("word", "Paris", "Paris", SAID[:-1]),
    ]
    for kind, written, answer, forms in answers:
        for form in forms:
            text = form.format(markup.format(written))
            assert extract(text, kind) == answer, (kind, text)
    for form in PICKED:
        text = form.replace("option ", "").format(markup.format("Oslo"))
        assert extract(text, "choice", options=CITIES) == "A", text


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("I thought of Rome.\nOslo", "A"),
        ("Norway is in the north. So it must be Oslo.", "A"),
        ("I'd go with Oslo, because it is cold. Rome is not.", "A"),
        ("I thought of Rome. Therefore, the capital of Norway is Oslo.", "A"),
        ("Rome is warm. Oslo is the right answer.", "A"),
        ("Oslo\n\nIt is the capital of Norway.", "A"),
        ("Oslo, because it is cold.", "A"),
        ("Oslo rather than Rome.", "A"),
        ("Not Rome, but Oslo.", "A"),
        ("The capital is Oslo.", "A"),
        ("The answer is Oslo or Rome.", "B"),
        # What a thought goes through is no answer.
        ("Rome is warm. Oslo is cold.", None),
        ("Rome is in Italy and Madrid in Spain.", None),
        ("Let me think about Oslo.", None),
        ("Oslo is wrong.", None),
        ("So it can't be Oslo.", None),
        ("I would not choose Oslo.", None),
        ("- Oslo\n- Rome\n- New York\n- Madrid", None),
        ("Options:\nOslo\nRome\nNew York\nMadrid", None),
        ("The options are Oslo, Rome, New York and Madrid.", None),
    ],
)
def test_an_options_text_counts_where_it_is_chosen_and_not_where_it_is_mentioned(text: str, letter: str | None) -> None:
    assert extract(text, "choice", options=CITIES) == letter


@pytest.mark.parametrize(
    ("text", "options", "letter"),
    [
        ("Answer: both A and B", ("cats", "dogs", "both A and B", "neither A nor B"), "C"),
        ("The answer is neither A nor B.", ("cats", "dogs", "both A and B", "neither A nor B"), "D"),
        ("So none of the above is correct.", ("cats", "dogs", "None of the above"), "C"),
        ("Answer: Not enough information", ("cats", "Not enough information", "dogs"), "B"),
        ("The answer is unknown.", ("cats", "Cannot be determined", "dogs"), "B"),
        ("The answer is not cats.", ("cats", "dogs"), None),
        ("Answer: 25 percent", ("10%", "25%"), "B"),
        ("Let me see.\n\nB) No", ("Yes", "No"), "B"),
        ("Answer: D, I, II and III", ("I", "II", "I and II", "I, II and III"), "D"),
        ("Ответ: В", ("x", "y", "z"), "B"),
        ("Ответ: В", ("А", "Б", "В"), "C"),
    ],
)
def test_an_option_may_deny_or_name_other_letters(text: str, options: tuple[str, ...], letter: str | None) -> None:
    assert extract(text, "choice", options=options) == letter


def test_an_option_that_is_a_number_is_no_part_of_a_longer_one() -> None:
    options = ("4", "8", "4.5", "1,000")
    for said, letter in (("4", "A"), ("4.5", "C"), ("1000", "D"), ("4.57", None)):
        assert extract(f"Answer: {said}", "choice", options=options) == letter
    assert extract("So it must be 4.5.", "choice", options=options) == "C"
    assert extract("So it must be 4.57.", "choice", options=options) is None
    assert extract("Answer: 1000.0", "choice", options=options) == "D"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("I would not go with B.", None),
        ("Definitely not (B).", None),
        ("This leaves (D), which is not in Africa. Therefore, there is no correct choice among the options.", None),
        ("The options given are (A) grass, (B) Texas and (C) a tree.", None),
        ("Let $A$ be a matrix. Thus $A$ has an inverse.", None),
        ("B, since it is warm.", "B"),
        # Options that are each called right or wrong, or seem so on the way.
        ("A) incorrect\nB) incorrect\nC) correct\nD) incorrect", "C"),
        ("A: no. B: no. C: yes. D: no.", "C"),
        ("Which is not true? A: true. B: true. C: false. So C.", "C"),
        ("A) Yes\nB) No", None),
        ("A) \u274c\nB) \u2705\nC) \u274c", "B"),
        ("A is tempting, but B is the answer.", "B"),
        ("Options A and B can be ruled out, C is too vague; thus D.", "D"),
        ("The answer is neither A nor B but C.", "C"),
        ("Answer: N/A", None),
        ("Let me see.\n\noption B", "B"),
        ("Let me see.\n\n\uff08B\uff09", "B"),
        ("I would go with (b).", "B"),
        ("The value is 7, which is choice B.", "B"),
        ("| Answer | **B** |", "B"),
        ("A? No. B.", "B"),
        ("Only B remains.", "B"),
        ("The right one is B.", "B"),
        ("It could be A, but B is better.", "B"),
        ("Either A or B.", "B"),
        ("Answer: A/B", "B"),
        ("Answer: 42, option B", "B"),
        ("Answer: ~~A~~ B", "B"),
        ("My pick: B", "B"),
        ("Answer - B: Oslo", "B"),
        ("Ans. B", "B"),
        ("Also ist die Antwort $C$.", "C"),
        ("\u7b54\u6848\u4e0d\u662fB\u3002", None),
        ("The answer is A. The answer is unknown.", None),
        ("A: x? C.\n\nIch wähle B.", "B"),
        ("La opción B es correcta, no la A.", "B"),
        ("A? C?\n\nBが正解です。", "B"),
        ("Quindi D) Oslo.", "D"),
        ("A resposta correta é a B.", "B"),
        ("Is it A? No. Is it C? No. Is it B? Yes!", "B"),
        ("| Option | |\n|---|---|\n| A | wrong |\n| B | right |", "B"),
        ("D would be right if it were warm, but it is cold, so C.", "C"),
        ("I rule out A and D. Between B and C, C fits better.", "C"),
        ("C; A, B and D are wrong.", "C"),
        ("Options A, B and D are all wrong.", None),
        (r"\boxed{A \cap B}", None),
        ("This makes C the correct answer.", "C"),
        ("I change my answer to C.", "C"),
        ("Jibu ni B.", "B"),
        ("సమాధానం: B", "B"),
        ("সঠিক উত্তর B।", "B"),
    ],
)
def test_a_letter_is_read_as_it_is_meant(text: str, letter: str | None) -> None:
    assert extract(text, "choice") == letter


@pytest.mark.parametrize(
    ("text", "number"),
    [
        # Two quantities side by side are two answers, and one said in two ways is one.
        ("Answer: 12 apples and 3 pears", None),
        ("So there are 12 apples and 3 pears.", None),
        ("Answer: 12 apples, 3 pears", None),
        ("3 and 4", None),
        ("Answer: either 3 apples or 4", None),
        ("Answer: 3 \u0438\u043b\u0438 4", None),
        ("Answer: 3\u30684", None),
        ("Answer: x = 3 or x = 4", None),
        ("Answer: 3 4", None),
        ("The answer is 2 hours, or 120 minutes.", "2"),
        ("The answer is 1/2 or 0.5.", "1/2"),
        ("Answer: 12 apples, that is 24 halves", "12"),
        ("12 apples, that is 24 halves", "24"),
        ("Answer: 42 and it took 3 steps.", "42"),
        # What something is asked of is no answer.
        ("12 is the greatest common divisor of 12 and 8.", "12"),
        ("We need the sum of 3 and 4.", None),
        ("So the total is 10 (5 apples and 5 pears).", "10"),
        # A hyphen at the beginning of a line below another is a bullet.
        ("**Answer:**\n- 7", "7"),
        ("### Answer\n* 7", "7"),
        ("**Answer:**\n-7", "-7"),
        ("- 7", "-7"),
        ("Answer:\n- 7\n- 8", None),
        ("Answer:\n7. I used 3 steps.", "7"),
        # Points of a list are counted by numbers that answer nothing.
        ("It comes to 42.\n\n1. I added.\n2. I checked.", "42"),
        ("Answer:\n1. Add 3 and 4, which is 7.\n2. Double it: 14", "14"),
        # Denied, unknown, taken back, corrected.
        ("41 is wrong.", None),
        ("It is not 41.", None),
        ("Die Antwort ist nicht 41.", None),
        ("\u7b54\u3048\u306f41\u3067\u306f\u3042\u308a\u307e\u305b\u3093\u3002", None),
        ("Cevap 41 de\u011fil.", None),
        ("The answer is neither 41 nor 42.", None),
        ("There are 7 of them. The answer is unknown.", None),
        ("The answer is 41. Wait, that's wrong.", None),
        ("The answer is 41. Sorry, 42.", "42"),
        ("The answer is 41, no wait, 42.", "42"),
        ("The answer isn't 3.5, it's -2.", "-2"),
        ("The answer is greater than 41.", None),
        ("Answer: >= 41", None),
        ("Answer: n/2", None),
        ("Answer: 41~43", None),
        ("Answer: 5 May 2024", None),
        ("Answer: (10-12)", None),
        ("Answer: (12 apples)", "12"),
        ("Reply 3 of 9\nResult: 42", "42"),
        ("Cevap $1,234.50 olur.", "1234.5"),
        ("\\textbf{Answer:} 42", "42"),
        ("Answer: 5 or more", None),
        ("The answer is at least 5.", None),
        ("5+ apples", None),
        ("Let me see.\n\n**≥ 5**", None),
        ("Antwort: mindestens 5", None),
        ("答案：5人以上", None),
        ("정답은 5개 이상입니다.", None),
        ("Answer: five or fewer", None),
        ("So she needs at least 5 boxes to hold them all.", "5"),
        ("The answer is 5, or more precisely 5.2.", "5"),
        ("Answer: 2 pi", None),
        ("정답은 (12.5%)입니다.", "12.5%"),
        ("There is no answer. Adding them results in 0.", None),
        ("Tom has 3. The answer cannot be determined from 3 and 5.", None),
        ("There is no answer. Still, assume 3 each, so there are 7.", "7"),
        ("The problem has no solution: 3 and 5.\nAnswer: 7", "7"),
        ("Hence the answer equals 10:30.", None),
        ("So.\nconfidence: 90", "90"),
        ("value: 7\nconfidence: 90", "7"),
        ("finalAnswer: 7\nsteps: 3", "7"),
        ('<answer type="number">7</answer><n>3</n>', "7"),
    ],
)
def test_a_quantity_is_the_answer_or_it_is_none(text: str, number: str | None) -> None:
    assert extract(text, "number") == number


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Answer: No cats are dogs.", None),
        ("The answer is neither true nor false.", None),
        ("The answer is no. Actually, yes.", "yes"),
        ("No. Although many say yes.", "no"),
        ("It isn't true.", "no"),
        ("no (since it follows)", "no"),
        ("\u7b54\u3048\u306fyes\u3067\u3059\u3002", "yes"),
        ("\u5df2\u77e5\u3002\n\u7b54\u6848\uff1a\u5bf9", "yes"),
        ("Vastaus: kyll\u00e4", "yes"),
        ("Svar: nej", "no"),
        ("\u03a0\u03b1\u03bd\u03c4\u03b1. \u0391\u03c0\u03ac\u03bd\u03c4\u03b7\u03c3\u03b7: \u03cc\u03c7\u03b9", "no"),
        ("Jibu: Hapana", "no"),
        ("অবশ্যই।\n\nহ্যাঁ", "yes"),
        ("కాదు", "no"),
        ("No.1 is right", None),
    ],
)
def test_a_verdict_is_the_replys_own(text: str, word: str | None) -> None:
    assert extract(text, "yes_no") == word


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("So the answer is **x = 5**.", "x = 5"),
        ("\\textbf{Answer:} p - q", "p - q"),
        ("\\textbf{Answer: \\frac{1}{2}}", "\\frac{1}{2}"),
        ("Answer: \u201c(1, 2)\u201d", "(1, 2)"),
        ('{"answer": "\\frac{14}{3}"}', "\\frac{14}{3}"),
        ("\u7b54\u3048\u306f2\\sqrt{3}\u3067\u3059\u3002", "2\\sqrt{3}"),
        ("\u0909\u0924\u094d\u0924\u0930 e^{x} \u0939\u0948\u0964", "e^{x}"),
        ("Answer: it is n!", "n!"),
        ("The answer is not \\frac{1}{2}.", None),
        ("So it is $x < -1$ or $x > 3$.", r"x < -1 \text{ or } x > 3"),
        ("The answer is $x = 1$ or $x = 2$.", r"x = 1 \text{ or } x = 2"),
        ("Hence it is $2x+3y=6$.", "2x+3y=6"),
        ("So $x = 2+3 = 5$.", "5"),
        ("Therefore, the solution set is all real numbers.", "all real numbers"),
        ("The equation has no solution, as $0 = 1$.", "no solution"),
    ],
)
def test_a_formula_is_read_without_what_labels_or_closes_it(text: str, formula: str | None) -> None:
    assert extract(text, "expression") == formula


def test_what_was_taken_back_is_still_stated_and_counts_where_the_first_statement_does() -> None:
    text = "The answer is 41. Wait, that's wrong."
    assert extract(text, "number", statement="first") == "41" and stated(text, "number") == ("41",)
