"""Answers by kind: choices, numbers, expressions, yes and no, thoughts and the languages of models, in tables of replies.

Every reply is written for this test in the manner of recorded ones.
"""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.core.answers import (
    extract,
    letter_of,
    normalise,
    number_value,
    same,
    stated,
    value_key,
    vote_key,
)
from engine.core.answers import statements as places
from engine.core.records import AnswerKind

KINDS: tuple[AnswerKind, ...] = ("number", "choice", "expression", "yes_no", "word", "text")

CHOICES = [
    ("Answer: E) Oslo", "E"),
    ("**C) Rome**", "C"),
    ("(D) apartment", "D"),
    ("The correct option is C.", "C"),
    ("\\boxed{B) x}", "B"),
    ("Answer: A - Paris", "A"),
    ("Answer: A", "A"),
    ("B", "B"),
    ("The answer is (b).", "B"),
    ("\\boxed{\\text{D}}", "D"),
    ("$\\boxed{\\textbf{(E)}}$", "E"),
    ("Therefore, the correct choice is \\boxed{(C) \\text{ solar system}}.", "C"),
    ("So the answer is option D: whales", "D"),
    ("The best option would be (B), as the rest are too far away.", "B"),
    ("Answer: **B**\n\nC is wrong, because it is not a city.", "B"),
    ("I think B is correct.", "B"),
    ("(F) is the most likely answer.", "F"),
    ("The answer is I", "I"),
    # A tag, a heading, emphasis of HTML, an object in JSON, an arrow.
    ("<final_answer>B</final_answer>", "B"),
    ("<choice>(D)</choice>", "D"),
    ("The answer is <b>C</b>.", "C"),
    ("### Final Answer\n\n**B**", "B"),
    ("The answer is:\n\n(C) Rome", "C"),
    ('{"reasoning": "it fits", "answer": "D"}', "D"),
    ("```\nB\n```", "B"),
    ("=> C", "C"),
    ("Ans: D", "D"),
    ("Solution: B", "B"),
    ("The answer's E.", "E"),
    ("Q: Which?\nA: C", "C"),
    # A letter before its explanation.
    ("B\n\nExplanation: the others are wrong.", "B"),
    ("B) Rome\n\nThis is because it fits.", "B"),
    ("A) Oslo is cold.\nB) Rome is warm.", None),
    ("I. This is true.\nII. This is false.", None),
    ("A: 8\nThat is how many.", None),
    # Options that are refuted, corrected and preferred.
    ("Option A is wrong. Option C is wrong. Option B is right.", "B"),
    ("A and C are incorrect. Therefore B is correct.", "B"),
    ("The answer can't be A, so it must be D.", "D"),
    ("The answer is A. Wait, no, it's B.", "B"),
    ("The answer is A. Actually B.", "B"),
    ("Among the options, C is the most suitable.", "C"),
    ("I am going with D.", "D"),
    ("Option B: not enough sleep", "B"),
    ("The answer is J. R. R. Tolkien.", None),
    # Of several in one statement the last, as of several statements.
    ("The answer is (A) or (C).", "C"),
    ("\\boxed{(A, B, D)}", "D"),
    ("The answer is B, (C) is wrong.", "B"),
    ("\\boxed{(C) \\text{Rome} \\text{ or } (E) \\text{New York}}", "E"),
    ("\\boxed{\\text{(C) Rome}, \\text{(D) Oslo}, \\text{(E) Athens}}", "C"),
    ("Option A is incorrect. Option B is incorrect.", None),
    ("Thus, A and B are out; hence C.", "C"),
    ("I'd go with `B`", "B"),
    ("It must be [B]", "B"),
    ("I'd go with B - Oslo", "B"),
    # In the languages of answers.
    ("La opci\u00f3n correcta es la C.", "C"),
    ("A resposta correta \u00e9 a letra B.", "B"),
    ("A alternativa correta \u00e9 D.", "D"),
    ("Die korrekte Option ist C.", "C"),
    ("Do\u011fru cevap B.", "B"),
    ("\u6545\u9009\uff1aC", "C"),
    ("\u56e0\u6b64\u9009\u62e9 B\u3002", "B"),
    ("\u6b63\u786e\u9009\u9879\u662fD\u3002", "D"),
    ("\u6b63\u786e\u7b54\u6848\u662f\uff1aA", "A"),
    ("\u3010\u7b54\u6848\u3011C", "C"),
    ("\u6b63\u89e3\u306fB\u3067\u3059\u3002", "B"),
    ('\u6b63\u89e3\u306f"B"\u3067\u3059\u3002', "B"),
    ("\u0938\u0939\u0940 \u0909\u0924\u094d\u0924\u0930 [C] \u0939\u0948", "C"),
    ("\u0938\u0939\u0940 \u0909\u0924\u094d\u0924\u0930 C: Rome \u0939\u0948", "C"),
    ("\u0938\u0939\u0940 \u0909\u0924\u094d\u0924\u0930 C \u0939\u0948\u0964", "C"),
    ("\u05d4\u05ea\u05e9\u05d5\u05d1\u05d4 \u05d4\u05d9\u05d0 B", "B"),
    ("I believe the answer is C", "C"),
    ("The answer is not B but C.", "C"),
    ("The answer is not (B).", None),
    ("I would go with C.", "C"),
    ("It's B.", "B"),
    ("选项B", "B"),
    # An article and a pronoun are no letters, and neither are Roman numerals.
    ("The answer is a dog.", None),
    ("Answer: A dog is an animal", None),
    ("The answer is II only.", None),
    ("The correct statements are (i) and (iii).", None),
    # A box with a formula or a number is no choice; what is stated after it is.
    ("\\boxed{42}. So the answer is B.", "B"),
    ("The mass is \\boxed{\\frac{1}{2}}.", None),
    ("The answer is \\boxed{7.84}, option (C).", "C"),
    # A list of the options is no answer.
    ("Given the options:\nA. one\nB. two\nI cannot say.", None),
    ("Let us look at the answer choices:\nA) one\nB) two\nThe answer is B.", "B"),
    ("The answer is none of these.", None),
]


MEANT = [
    ("<answer>B</answer>", "B"),
    ("<answer>\n(C) Rome\n</answer>", "C"),
    ("\u7b54\u6848\uff1a\uff22", "B"),
    ("My answer is C!", "C"),
    ("It can't be A, so B.", "B"),
    ("I think D", "D"),
    ("So A, B and C are out, and nothing is left of the rest of them to be named.", None),
]


@pytest.mark.parametrize(("text", "letter"), MEANT)
def test_a_choice_that_is_meant_is_read_however_it_is_closed(text: str, letter: str | None) -> None:
    assert extract(text, "choice") == letter


@pytest.mark.parametrize(("kind", "said", "answer"), [("number", "12", "12"), ("text", "Paris", "Paris")])
def test_what_stands_between_tags_is_the_answer(kind: AnswerKind, said: str, answer: str) -> None:
    assert extract(f"Of 3 and 4. <answer>{said}</answer> I used 7 steps.", kind) == answer
    assert extract(f"Answer: {said}. That is a line of the form 'Answer: <answer>', as told.", kind) != "as told"


@pytest.mark.parametrize(("text", "letter"), CHOICES)
def test_a_choice_is_read_as_its_letter(text: str, letter: str | None) -> None:
    assert extract(text, "choice") == letter


def test_of_several_stated_choices_the_task_says_which_counts() -> None:
    text = "The answer is (A).\nWait, that is wrong.\nThe answer is (C)."
    assert (extract(text, "choice"), extract(text, "choice", statement="first")) == ("C", "A")
    assert stated(text, "choice") == ("A", "C")
    assert stated("The answer is (A) or (C).", "choice") == ("A", "C")


def test_an_options_own_text_stands_for_its_letter() -> None:
    options = ("a museum", "an old barn", "7.84 %")
    assert extract("\\boxed{old\\ barn}", "choice", options=options) == "B"
    assert extract("The answer is an old barn.", "choice", options=options) == "B"
    assert extract("Answer: \\boxed{7.84\\%}", "choice", options=options) == "C"
    assert extract("The answer is D.", "choice", options=options) is None
    assert extract("Answer: \\boxed{7.84\\%}. The answer is A.", "choice", options=options) == "A"


NUMBERS = [
    ("1 000", "1000"),
    ("1\u202f000", "1000"),
    ("12\u00a0345\u00a0678", "12345678"),
    ("1{,}234", "1234"),
    ("1,\\!234", "1234"),
    ("1'234", "1234"),
    ("1\u2019234.5", "1234.5"),
    ("1.234,56", "1234.56"),
    ("12,34,567", "1234567"),
    ("12,5", "12.5"),
    ("2 1/2", "2.5"),
    ("2\\frac12", "2.5"),
    ("2\u00bd", "2.5"),
    ("3 \\times 10^4", "30000"),
    ("3 \u00d7 10\u2074", "30000"),
    ("1.5e-3", "0.0015"),
    ("10^3", "1000"),
    ("2**10", "1024"),
    ("2.5 million", "2500000"),
    ("2.5 Million", "2500000"),
    ("2,5 Millionen Euro", "2500000"),
    ("3 milliards", "3000000000"),
    ("12 \u043c\u0438\u043b\u043b\u0438\u043e\u043d\u043e\u0432", "12000000"),
    ("3\u4e07", "30000"),
    ("3.5\u5104\u5186", "350000000"),
    ("1 \u00bd", "1.5"),
    ("\\frac{1}{-2}", "-1/2"),
    ("{1 \\over 2}", "1/2"),
    ("50 Prozent", "50%"),
    ("50 por ciento", "50%"),
    ("50\u30d1\u30fc\u30bb\u30f3\u30c8", "50%"),
    ("\u066a50", "50%"),
    ("5\u2030", "0.5%"),
    ("1e3\u3067\u3059", "1000"),
    ("2.5 million\u3067\u3059", "2500000"),
    ("2 + 3\u3067\u3059", "5"),
    ("42 m^2", "42"),
    ("<b>42</b>", "42"),
    ("10<sup>3</sup>", "1000"),
    ("$5k", "5000"),
    ("- 7", "-7"),
    ("\u22127", "-7"),
    ("-$5", "-5"),
    ("\uff14\uff12", "42"),
    ("\u0664\u0662", "42"),
    ("\u096a\u0968", "42"),
    ("\u0663\u066b\u0665", "3.5"),
    ("4\u200b2", "42"),
    ("50%", "50%"),
    ("\\frac{6}{8}", "6/8"),
    ("x = 5", "5"),
    ("6 * 7", "42"),
    ("007", "7"),
    ("42 apples, not 43", "42"),
    # The whole number or none.
    ("between 3 and 5", None),
    ("10-12", None),
    ("10\u201312", None),
    ("3 to 5", None),
    ("3:45", None),
    ("12/25/2024", None),
    ("2024-01-05", None),
    ("1, 2, 3", None),
    ("1.2.3", None),
    ("1,234,56", None),
    ("1350 + X", None),
    ("3\\sqrt{2}", None),
    ("not 41", None),
    ("x=3, y=4", None),
    ("3 and 4", None),
    ("3 & 4", None),
    ("3 \u00b1 1", None),
    ("\\pm 3", None),
    ("x > 3", None),
    ("3 < x < 5", None),
    ("2x + 1", None),
    ("n + 1", None),
    ("3n", None),
    ("3%-5%", None),
    ("3 km to 5 km", None),
    ("at least 3", None),
    ("up to 3", None),
    ("\\frac{22}{7} \\approx 3.14", "3.14"),
    ("3i", None),
    ("1e999999999", None),
]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Answer: minus 5", "-5"),
        ("The answer is negative 5.", "-5"),
        ("Answer: 10 minus 5 = 5", "5"),
        ("Answer: sqrt(16)", "4"),
        ("Answer: sqrt(15)", None),
        ("Answer: 1 million 200 thousand", None),
        ("Answer: 6 feet 2 inches", None),
        ("The answer is 2 hours and 30 minutes.", None),
        ("Answer: 12 hours for 3 people", "12"),
        ("Answer: 2 hours", "2"),
    ],
)
def test_a_sign_in_words_belongs_to_its_number_and_of_two_units_neither_is_the_whole(
    text: str, number: str | None
) -> None:
    assert extract(text, "number") == number


@pytest.mark.parametrize(("written", "number"), NUMBERS)
@pytest.mark.parametrize("form", ["Answer: {}", "\\boxed{{{}}}", "So the answer is {}."])
def test_a_number_is_read_whole_or_not_at_all(form: str, written: str, number: str | None) -> None:
    assert extract(form.format(written), "number") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 42. Check: 6*7=42, 7*7=49.", "42"),
        ("The answer is 41. Wait, no. The answer is 42. That took 3 steps.", "42"),
        ("\\boxed{41} was too small, so \\boxed{42}.", "42"),
        ("The answer is not 41.", None),
        ("The answer isn't 41, it took me 3 tries.", None),
        ("The answer is not 41 but 42.", "42"),
        ("41 is not the answer.", None),
        ("The answer can't be 41.", None),
        ("The answer cannot be 41, so it must be 42.", "42"),
        ("<answer>not 42</answer>", None),
        ("So 42 is our answer. It took 3 steps.", "42"),
        ("The value is 0.00752, which is the correct answer to 3 digits.", "0.00752"),
        ("The answer is 41. Wait, it's 42.", "42"),
        ("The answer is 41. Correction: 42.", "42"),
        ("Answer: 41\nSorry, that's wrong. It should be 42.", "42"),
        ("### Final Answer\n\n42 m\u00b2", "42"),
        ("**Final Answer**\n3:45", None),
        ('{"answer": 42, "steps": 3}', "42"),
        ("If the answer is 41, something is wrong.\nAnswer: 42", "42"),
        ("To answer this, note that 5 is prime. The answer is 7.", "7"),
        ("Therefore, Patrick earned $42 from selling lemonade for 6 hours.", "42"),
        ("Therefore, there are 1120 pieces of laundry in 80 rooms.", "1120"),
        ("The meeting is at 3:45.", None),
        ("The answer is 200 (=2*100).", "200"),
        ("The total is 21 dollars (3 hours at 7 dollars).", "21"),
        ("So 7 out of 10 remain.", "7"),
        ("So the area is 25 cm\u00b2.", "25"),
        ("Step 2: there are 7\nStep 3: done", "7"),
        ("The answer is 4; 3.5 would be too small.", "4"),
        ("76 + 14", None),
        ("\u00bd", "1/2"),
        ("boxed{7} took 3 steps", "7"),
        ('{"final_answer": 7, "steps": 3}', "7"),
        ("<answer>x < 3</answer>", None),
        ("A: 7 (3 steps)", "7"),
        ("The answer: 3x", None),
        ("Cevap 1 000", "1000"),
        ("\u0909\u0924\u094d\u0924\u0930 2 1/2 \u0939\u0948\u0964", "2.5"),
        ("\u0909\u0924\u094d\u0924\u0930 - 7 \u0939\u0948\u0964", "-7"),
        ("Final Answer: The final answer is $12$. I hope it is correct.", "12"),
    ],
)
def test_what_is_stated_last_is_the_number_and_not_what_stands_last(text: str, number: str | None) -> None:
    assert extract(text, "number") == number


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 42, after 3 steps.",
        "Die Antwort ist 42. Das waren 3 Schritte.",
        "La r\u00e9ponse est 42. (3 lignes)",
        "La respuesta es 42. (3 pasos)",
        "La risposta \u00e8 42. (3 passi)",
        "A resposta \u00e9 42. (3 passos)",
        "Het antwoord is 42. (3 stappen)",
        "Odpowied\u017a: 42. (3 kroki)",
        "\u041e\u0442\u0432\u0435\u0442: 42. (3 \u0448\u0430\u0433\u0430)",
        "\u7b54\u6848\u662f42\u3002\u4e00\u51713\u6b65",
        "\u7b54\u3048\u306f42\u3067\u3059\u30023\u56de",
        "\uc815\ub2f5\uc740 42\uc785\ub2c8\ub2e4. 3\ubc88",
        "Cevap: 42. (3 ad\u0131m)",
        "\u0627\u0644\u0625\u062c\u0627\u0628\u0629 \u0647\u064a 42. 3",
        "\u0909\u0924\u094d\u0924\u0930: 42. 3",
    ],
)
def test_an_answer_is_stated_in_many_languages(text: str) -> None:
    assert extract(text, "number") == "42"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("<think>Maybe the answer is 5.", None),
        ("First, 2 + 5. So 7.</think>Answer: 8", "8"),
        ("<think>Answer: 5</think>\nAnswer: 7", "7"),
        ("Answer: 7 <think>Answer: 5</think>", "7"),
        ("<thinking>Answer: 5</thinking>Answer: 7", "7"),
        ("<|channel|>analysis<|message|>Answer: 5<|end|><|channel|>final<|message|>Answer: 7<|return|>", "7"),
        ("Answer: 42</s>", "42"),
        ("Answer: 42<|im_end|>\n<|im_start|>user\nAnswer: 43", "42"),
        ("<|im_start|>assistant\nAnswer: 42<|im_end|>", "42"),
        ("</s>Answer: 42", "42"),
        ("<|channel|>analysis<|message|>maybe 41", None),
        # Marks of newer models, and those whose own were lost.
        ("<seed:think>Answer: 5</seed:think>So 7", "7"),
        ("<|START_THINKING|>Answer: 5<|END_THINKING|><|START_RESPONSE|>So 7<|END_RESPONSE|>", "7"),
        ("<|channel>thought\nAnswer: 5<channel|>So 7<turn|>", "7"),
        ("<thought_process>Answer: 5</thought_process>So 7", "7"),
        ("analysisThe answer is 5.assistantfinalSo 7", "7"),
        ("<think>Answer: 5<think>no</think>", None),
        ("<|begin_of_box|>7<|end_of_box|> took 3 steps", "7"),
        ("Answer: 42<|observation|>\nAnswer: 43", "42"),
        ("Answer: 42<|im_start|>user\nAnswer: 43", "42"),
        ("<rationale>The answer is 5.</rationale>7", "7"),
        ("&lt;think&gt;The answer is 5.&lt;/think&gt;7", "7"),
        ("<analysis>The answer is 5.", None),
        ("<think>a</think>3<think>b</think>7", "7"),
        ("<s>7</s>", "7"),
        ("7\n\nHuman: what is 5?", "7"),
    ],
)
def test_thoughts_and_end_tokens_are_no_answers(text: str, number: str | None) -> None:
    assert extract(text, "number") == number


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("Antwort: Ja", "Antwort: Nein"),
        ("R\u00e9ponse : oui", "R\u00e9ponse : non"),
        ("Respuesta: s\u00ed, claro", "Respuesta: no"),
        ("Risposta: s\u00ec.", "Risposta: no."),
        ("Resposta: sim", "Resposta: n\u00e3o"),
        ("Odpowied\u017a: tak", "Odpowied\u017a: nie"),
        ("Antwoord: ja", "Antwoord: nee"),
        ("\u041e\u0442\u0432\u0435\u0442: \u0434\u0430", "\u041e\u0442\u0432\u0435\u0442: \u043d\u0435\u0442"),
        ("\u7b54\u6848\uff1a\u662f", "\u7b54\u6848\uff1a\u5426"),
        ("\u7b54\u3048\uff1a\u306f\u3044", "\u7b54\u3048\uff1a\u3044\u3044\u3048"),
        ("\uc815\ub2f5: \uc608", "\uc815\ub2f5: \uc544\ub2c8\uc694"),
        (
            "\u0627\u0644\u0625\u062c\u0627\u0628\u0629: \u0646\u0639\u0645",
            "\u0627\u0644\u0625\u062c\u0627\u0628\u0629: \u0644\u0627",
        ),
        (
            "\u0909\u0924\u094d\u0924\u0930: \u0939\u093e\u0901",
            "\u0909\u0924\u094d\u0924\u0930: \u0928\u0939\u0940\u0902",
        ),
    ],
)
def test_yes_and_no_are_read_in_the_languages_that_state_an_answer(yes: str, no: str) -> None:
    assert (extract(yes, "yes_no"), extract(no, "yes_no")) == ("yes", "no")
    assert extract("Si on veut, c'est possible.", "yes_no") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"answer": "Paris"}', "Paris"),
        ("{'final_answer': 'Paris', 'steps': 3}", "Paris"),
        ('{"answer": null}', None),
        ("| Answer | Paris |\n| Steps | 3 |", "Paris"),
        ("Answer => Paris", "Paris"),
        ("Q: Which?\nA: Paris", "Paris"),
        # What follows a text explains it.
        ("The answer is Paris. It is the capital.", "Paris"),
        ("The answer is Paris, not London.", "Paris"),
        ("Answer: Paris because it is large", "Paris"),
        ("The answer is St. Louis.", "St. Louis"),
        ("1. Paris", "1. Paris"),
        # A label may deny, and a target may say that there is none.
        ("Answer: not guilty", "not guilty"),
        ("Answer: Not applicable", "Not applicable"),
        ("The answer is not applicable.", "not applicable"),
        ("The answer cannot be determined.", "cannot be determined"),
        ("Answer: <b>Paris</b>", "Paris"),
        ("### Answer\nParis", "Paris"),
        ("The answer is not Paris.", None),
        ("Answer:", None),
        ("\u7b54\u6848\u662f\u5317\u4eac\u3002", "\u5317\u4eac"),
        ("\u7b54\u3048\u306f\u6771\u4eac\u3067\u3059\u3002", "\u6771\u4eac"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"),
        ("The answer is Paris. Wait, no, London.", "London"),
        ("Paris. No, wait, New York.", "New York"),
        ("Answer: Paris\nCorrection: London", "London"),
        ("The answer is Paris. Actually, yes.", "Paris"),
        ("The answer is Paris. Wait, let me check.", "Paris"),
        ("Answer: No, thank you", "No, thank you"),
    ],
)
def test_a_text_is_read_without_what_stands_around_it(text: str, said: str | None) -> None:
    assert extract(text, "text") == said


def test_a_formula_among_words_is_read_without_them() -> None:
    assert extract("So \\(42\\)", "expression") == "42"


@pytest.mark.parametrize("token", ["</s>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<end_of_turn>"])
def test_an_end_token_is_no_part_of_a_text(token: str) -> None:
    assert extract(f"Answer: New York{token}", "text") == "New York"
    assert extract(f"Paris{token}", "word") == "Paris"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Yes, because no one else did", "yes"),
        ("Yes. There is no other way.", "yes"),
        ("No. Yes would be wrong.", "no"),
        ("No it is not.", "no"),
        ("The answer is yes, not no.", "yes"),
        ("At first yes. But looking again, no.", "no"),
        ("**Yes**", "yes"),
        ("Yes; nobody said no.", "yes"),
        ("No, yes-men are not needed.", "no"),
        ("A typical person would say no.", "no"),
        ("The answer is neither yes nor no.", None),
        ("True", "yes"),
        ("The statement is false.", "no"),
        ("The claim is not true.", "no"),
        ("No fish can fly. Therefore, the statement is false.", "no"),
        ("Statement 1 is false. Statement 2 is true.", None),
        ("The statement is true. What follows from it is unclear.", None),
        ("Answer: Y", "yes"),
        ('{"answer": false}', "no"),
        ('{"answer": "Nope"}', "no"),
        ("Answer: not true", "no"),
        ("Let me see.\nFalse", "no"),
        ("Affirmative.", "yes"),
        ("Incorrect.", "no"),
        ("Answer: No. This answer is correct.", "no"),
        ("\u7b54\u6848\u662f\uff1a\u5426", "no"),
        ("\u7b54\u3048\u306f\u300c\u306f\u3044\u300d\u3067\u3059\u3002", "yes"),
        ('\uc815\ub2f5\uc740 "\uc544\ub2c8\uc694"\uc785\ub2c8\ub2e4.', "no"),
        ("There is no evidence either way.", None),
        ('The answer to the question "Is it true that all teachers are humans?" is no.', "no"),
        ("The answer to the question \u201cIs 5 > 3?\u201d is yes.", "yes"),
        ("The answer to whether it is true that cats fly is no.", "no"),
    ],
)
def test_the_stated_yes_or_no_counts_and_not_the_last_word(text: str, word: str | None) -> None:
    assert extract(text, "yes_no") == word


PIECES = [
    *("\\frac", "\\sqrt", "\\boxed{", "answer is ", "Answer: ", "<think>", "</think>", "\u00bd", "\u0664", "\u200b"),
    *("\u2212", "not ", "(A)", "yes", "no", *"0123456789.,'/-+*^%$=()[]{}|!_&<> \n\\xyieABC"),
]
MESS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@settings(deadline=None)
@given(MESS, st.sampled_from(KINDS), st.sampled_from(["last", "first"]))
@example("\\(", "expression", "last")
def test_reading_never_raises_and_an_answer_is_equal_to_itself(text: str, kind: AnswerKind, which: str) -> None:
    answer = extract(text, kind, statement=which, options=("x", "yes"))  # type: ignore[arg-type]
    assert answer is None or 0 < len(answer) <= 400
    assert answer is None or not normalise(answer) or same(answer, answer, kind)
    if normalise(text):
        assert same(text, text, "text") and same(text, text, "expression") and same(text, text, "number")
    assert normalise(normalise(text)) == normalise(text)
    assert isinstance(vote_key(text), str)
    letter_of(text)
    value_key(text)
    stated(text, kind)


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.sampled_from([",", "\u202f", "\u00a0", "'", "{,}", ",\\!", "_"]))
def test_a_number_keeps_its_value_in_every_grouping(value: int, mark: str) -> None:
    written = f"{value:,}".replace(",", mark)
    assert extract(f"Answer: {written}", "number") == str(value)
    assert number_value(f"{value:,}") == Fraction(value)


MARKERS = "|".join((places._WORDS, places._NOUNS, places._UNSPACED, places._HAN_NOUNS)).split("|")


@given(
    st.lists(st.sampled_from([*MARKERS, *(word.upper() for word in MARKERS), "####", "[[", "<answer>", " ", "\n", "x"]))
)
def test_no_marker_is_missed_for_the_letter_it_begins_with(parts: list[str]) -> None:
    text = "".join(parts).replace("?", "")
    gate, _, rest = places._MARKER.pattern.partition("])")
    plain = re.compile(rest, re.I)
    assert gate.startswith("(?=[")
    assert [m.span() for m in places._MARKER.finditer(text)] == [m.span() for m in plain.finditer(text)]
