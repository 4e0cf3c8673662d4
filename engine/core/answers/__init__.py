"""Reads the answer in a model's text, decides when two answers are the same, and counts votes.

A map of the package: `reading` finds the answer of a reply with the help of `statements` (where it is stated), `asides`
finds what else strategies ask for (estimates, ratings, lists), `markup` (what of the text is meant for the reader),
`numbers`, `words` (numbers in words), `choices`, `picks`, `verdicts` and `expressions` (what stands there);
`comparison` says when two answers agree, `spelling` gives one form to texts, `votes` counts. It knows kinds of answers,
never tasks, targets or verdicts; no text is evaluated, every function ends in time and none raises.
"""

from engine.core.answers.asides import estimate_in, items, rating_of
from engine.core.answers.choices import MOST_OPTIONS, letter_of, lettered, written
from engine.core.answers.comparison import same, vote_key
from engine.core.answers.expressions import value_key
from engine.core.answers.markup import latin, plain, visible
from engine.core.answers.reading import bracketed_integer, extract, listed, stated
from engine.core.answers.spelling import MAX_ANSWER, normalise, number_value
from engine.core.answers.votes import FAR, Votes, beta_rule

READER_VERSION = 7
"""Version of everything in this package. It is raised when any reply is read, compared or counted differently, so that
answers read by different versions are never mixed. docs/answers.md says what each changed in the demo."""

__all__ = [
    "FAR",
    "MAX_ANSWER",
    "MOST_OPTIONS",
    "READER_VERSION",
    "Votes",
    "beta_rule",
    "bracketed_integer",
    "estimate_in",
    "extract",
    "items",
    "latin",
    "letter_of",
    "lettered",
    "listed",
    "normalise",
    "number_value",
    "plain",
    "rating_of",
    "same",
    "stated",
    "value_key",
    "visible",
    "vote_key",
    "written",
]
