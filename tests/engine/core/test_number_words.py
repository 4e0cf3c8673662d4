"""Numbers in words: what is one, what is none, and that one is equal to its digits."""

from __future__ import annotations

import pytest

from engine.core.answers import extract, number_value, same, vote_key

WORDS = [
    ("seven", "7"),
    ("Forty-two", "42"),
    ("TWENTY FIVE", "25"),
    ("one hundred and five", "105"),
    ("two thousand three hundred", "2300"),
    ("one thousand, two hundred and thirty-four", "1234"),
    ("nineteen hundred", "1900"),
    ("a million", "1000000"),
    ("two and a half million", "2500000"),
    ("three point one four", "3.14"),
    ("minus three", "-3"),
    ("zero", "0"),
    ("half", "1/2"),
    ("two-thirds of the cake", "2/3"),
    ("one and a half", "1.5"),
    ("a dozen", "12"),
    ("half a dozen", "6"),
    ("twice a day", "2"),
    ("fifty per cent", "50%"),
    ("seven (7)", "7"),
    ("seven, not 8", "7"),
    ("seven apples, since two of the three were red", "7"),
    ("one apple", "1"),
    ("that the two friends have seven apples", "7"),
    # Where digits would be none, and what only looks like one.
    ("two or three", None),
    ("6 or seven", None),
    ("between two and three", None),
    ("more than seven", None),
    ("twenty twenty-four", None),
    ("fifty-fifty", None),
    ("one of them", None),
    ("no one", None),
    ("one that fits", None),
    ("the third", None),
    ("twenty first", None),
    ("several hundred", None),
    ("twice as many", None),
    ("half past three", None),
    ("not seven", None),
    ("the sum of two numbers", None),
]


@pytest.mark.parametrize(("written", "number"), WORDS)
@pytest.mark.parametrize("form", ["The answer is {}.", "**Answer:** {}", "\\boxed{{\\text{{{}}}}}"])
def test_a_number_in_words_is_read_as_in_digits(form: str, written: str, number: str | None) -> None:
    assert extract(form.format(written), "number") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Seven.", "7"),
        ("**Forty-two**", "42"),
        ("3 and 4.\n\n**Seven apples**", "7"),
        ("So seven is the answer.", "7"),
        ("The answer is six. Wait, seven.", "7"),
        ("The answer is not six but seven.", "7"),
        # Nothing is stated in running prose.
        ("Seven dwarfs live in the forest.", None),
        ("One of them is wrong.", None),
        ("The two friends have 7 apples.", "7"),
        # In the languages of answers, where nothing else is said.
        ("Antwort: sieben", "7"),
        ("La r\u00e9ponse est dix-sept.", "17"),
        ("Respuesta: treinta", "30"),
        ("\u041e\u0442\u0432\u0435\u0442: \u0441\u0435\u043c\u044c", "7"),
        ("\u7b54\u6848\u662f\u4e8c\u5341\u4e94\u3002", "25"),
        ("\u7b54\u3048\u306f\u4e03\u3067\u3059\u3002", "7"),
        ("Cevap: on iki", "12"),
        ('{"answer": null}', None),
        ("x\nTotal: seven", "7"),
        ("3 + 4\nThe number of apples is seven.", "7"),
        ("x\nErgebnis: sieben", "7"),
        ("x\nStep: one more", None),
    ],
)
def test_words_count_where_a_number_is_stated_or_is_the_whole_reply(text: str, number: str | None) -> None:
    assert extract(text, "number") == number


def test_a_number_in_words_is_equal_to_its_digits() -> None:
    for kind in ("number", "text", "word", "expression"):
        assert same("7", "seven", kind) and same("Twenty-five", "25", kind) and not same("7", "six", kind)
    assert number_value("a dozen") == 12 and vote_key("forty-two") == vote_key("42")
    assert number_value("Seven Samurai") is None and not same("11", "elf", "text")
    assert extract("Answer: eight", "choice", options=("7", "8", "9")) == "B"
