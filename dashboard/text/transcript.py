"""What a transcript says in words: a call's line, why it was cut, where a budget cuts, an answer's verdict.

Pure: records in, plain text out, never escaped and never markup. Models write what is shown here, so `visible` spells
out the characters that would steer a screen or hide text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.text.tables import short_questions
from engine.core import answers, names, replay
from engine.core import text as fmt
from engine.core.records import Call, Cut, Problem, Prompt, Spend, Trial
from engine.core.replay import FATES, Reading
from engine.models.settings import shown

if TYPE_CHECKING:
    import polars as pl

LONGEST = 40_000
"""Characters of one text that are shown; the rest is in the export."""
SHORT = 600
"""Characters of a document that need not be folded away."""
LISTED = 48
"""Letters of a question in the list."""
ABOUT_CELLS = (
    "Cells are about right, cut by the nearest tokenizer at hand; the counts beside them are those that were billed."
)
"""Said over cells that are not the model's own tokens, one by one."""
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh")
CUTS: dict[Cut, str] = {
    Cut.OWN: "cut at its own cap: its text may be used, its answer does not count",
    Cut.BUDGET: "cut by the budget: the strategy never saw this reply",
    Cut.REFUSED: "refused: the budget left no token for it",
    Cut.CONTEXT: "refused: the prompt does not fit the model's context window",
    Cut.LIMIT: "not sent: an answer makes no more calls than this",
    Cut.FAILED: "failed: the provider gave no reply",
}

__all__ = [
    "ABOUT_CELLS",
    "CUTS",
    "SHORT",
    "Entry",
    "beyond_line",
    "call_line",
    "closing_call",
    "cut_line",
    "document_title",
    "example_texts",
    "facts_line",
    "finding",
    "imported_line",
    "is_derived",
    "is_imported",
    "list_mark",
    "mechanism_line",
    "prompt_title",
    "read_line",
    "stated_answer",
    "table",
    "verdict_line",
    "visible",
    "votes",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer and how it stands at the chosen budget."""

    trial: Trial
    reading: Reading

    @property
    def trial_id(self) -> str:
        """What a link calls the trial."""
        return self.trial.spec.trial_id

    @property
    def question_id(self) -> str:
        """What a link calls its question."""
        return self.trial.spec.question.question_id


def visible(text: str, longest: int = LONGEST) -> str:
    """The text with control and direction-changing characters written as `\\u202e`, cut to `longest` with a note."""
    letters = []
    for letter in text[:longest]:
        # Up to the bound alone: a reply may have megabytes, and the loop is slow.
        code = ord(letter)
        # Category C: controls, bidi marks, lone surrogates and what has no letter; line and tab steer nothing.
        if letter not in "\n\t" and unicodedata.category(letter)[0] == "C":
            letter = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}"
        letters.append(letter)
    more = len(text) - longest
    return "".join(letters) + (f"\n… {more:,} more characters" if more > 0 else "")


def imported_line(trial: Trial) -> str:
    """What the log of an imported answer reports that it spent: `its log reports 362 input · 4 output · 7.5 s`."""
    spend = sum((part.spend for part in trial.spends), Spend())
    called = {
        "calls": fmt.plural(spend.calls, "call"),
        "input_tokens": f"{fmt.count(spend.input_tokens)} input",
        "cached_tokens": f"{fmt.count(spend.cached_tokens)} cached" if spend.cached_tokens else "",
        "output_tokens": f"{fmt.count(spend.output_tokens)} output",
        "reasoning_tokens": f"{fmt.count(spend.reasoning_tokens)} hidden reasoning" if spend.reasoning_tokens else "",
        "latency_ms": fmt.duration(spend.latency_ms),
    }
    known = [said for name, said in called.items() if said and name not in trial.unreported]
    return f"its log reports {' · '.join(known)}" if known else "its log reports nothing of what it spent"


def is_imported(trial: Trial) -> bool:
    """Whether another tool's log is all that is known of an answer."""
    return names.is_imported(trial.spec.condition.strategy)


def is_derived(trial: Trial) -> bool:
    """Whether it is a majority vote over the draws of an imported setting, and no answer that anybody gave."""
    return names.is_derived(trial.spec.condition.params)


def call_line(call: Call, *, several: bool = False) -> str:
    """`78 in (24 cached), 14 out`, with what else was spent where there is some, and how fast it came.

    The model is named where `several` answer, or where it was asked at settings of its own."""
    spend = call.spend
    if not spend.calls:
        return f"{shown(call.model)} · nothing spent"
    who = [shown(call.model)] if several or "{" in call.model else []
    cached = [f"{fmt.count(spend.cached_tokens)} cached"] if spend.cached_tokens else []
    cached += [f"{fmt.count(spend.cache_write_tokens)} written to the cache"] if spend.cache_write_tokens else []
    aside = f" ({', '.join(cached)})" if cached else ""
    # The whole reply, also where the budget charged only a part of it: this is what the model wrote.
    out = spend.output_tokens if call.seen_output_tokens is None else call.seen_output_tokens
    parts = [f"{fmt.count(spend.input_tokens)} in{aside}, {fmt.count(out)} out"]
    parts += [f"{fmt.count(spend.reasoning_tokens)} hidden reasoning"] if spend.reasoning_tokens else []
    parts += [fmt.duration(spend.latency_ms)] if spend.latency_ms else []
    return " · ".join([*who, *parts, *(["reused, paid for before"] if call.replayed else [])])


def cut_line(call: Call) -> str | None:
    """Why a reply is not whole, or is missing; None: it is whole."""
    # Sent and paid for: the server stopped in the middle, which is not a refusal.
    if call.cut is Cut.CONTEXT and call.spend.calls:
        return "cut where the model's context window was full: the strategy never saw this reply"
    return None if call.cut is None else CUTS[call.cut]


def document_title(text: str) -> str:
    """`Document the question is about: 12 lines, 3,400 characters`."""
    lines = fmt.plural(len(text.splitlines()), "line")
    return f"Document the question is about: {lines}, {fmt.count(len(text))} characters"


def prompt_title(messages: Prompt) -> str:
    """`Prompt: 2 messages, 340 characters`."""
    size = sum(len(message.content) for message in messages)
    return f"Prompt: {fmt.plural(len(messages), 'message')}, {fmt.count(size)} characters"


def finding(trial: Trial, reading: Reading, budget: str) -> str:
    """What became of an answer in at most 18 words: `Right after eight calls; the budget of 128 tokens cut the ninth`.

    `budget`: the budget it is read at, `128 tokens`."""
    if is_derived(trial):
        score = f"{fmt.percent(trial.score)} right" if trial.score is not None else "Not scored"
        spent = imported_line(trial).replace(" · ", ", ").replace("its log reports", "on average its draws spent")
        return f"{score} over every choice of that many draws, derived; {spent}"
    if is_imported(trial):
        fate = "Not scored by its log" if reading.fate == "stopped" else FATES[reading.fate].capitalize()
        return f"{fate}, imported; {imported_line(trial).replace(' · ', ', ')}"
    if reading.fate in ("failed", "stopped"):
        after = f"after {_calls(reading.covered)}" if reading.covered else "without a whole reply"
        return f"{FATES[reading.fate].capitalize()} {after}, and not scored"
    if reading.fate == "censored":
        return f"Not known at {budget}: the run closed before it"
    fate = FATES[reading.fate].capitalize()
    outcome = f"{fate} after {_calls(reading.covered)}" if reading.covered else fate
    if cut := closing_call(trial, reading):
        # People count from one.
        number = cut.ordinal + 1
        which = f"the {ORDINALS[number - 1]}" if number <= len(ORDINALS) else f"call {fmt.count(number)}"
        # Of a local model; it closes a trial at every budget.
        wall = "the context window" if cut.cut is Cut.CONTEXT else f"the budget of {budget}"
        verb = "cut" if reading.granted else "left no token for"
        return f"{outcome}; {wall} {verb} {which}" if reading.covered else f"{fate}: {wall} {verb} the first call"
    if reading.exhausted:
        return f"{outcome}; the context window was full"
    return f"{outcome} and {fmt.plural(reading.spend.output_tokens, 'output token')}"


def closing_call(trial: Trial, reading: Reading) -> Call | None:
    """The call at which the budget closes a trial; None: it covers all calls that are known."""
    # The call after those a budget covers is where it closes, if there is one.
    if reading.granted is None or reading.covered >= len(trial.calls):
        return None
    return trial.calls[reading.covered]


def read_line(reading: Reading) -> str:
    """`Read up to the budget: 702 input (of them 428 cached) · 128 output · 0 hidden reasoning`."""
    spend = reading.spend
    cached = f" (of them {fmt.count(spend.cached_tokens)} cached)" if spend.cached_tokens else ""
    hidden = f"{fmt.count(spend.reasoning_tokens)} hidden reasoning"
    return (
        f"Read up to the budget: {fmt.count(spend.input_tokens)} input{cached} · "
        f"{fmt.count(spend.output_tokens)} output · {hidden}"
    )


def beyond_line(trial: Trial, reading: Reading) -> str:
    """What the calls after the cut are; empty: there are none."""
    closing = closing_call(trial, reading)
    # The first behind the closing call, counted from one.
    first, last = (closing.ordinal + 2 if closing else 0), len(trial.calls)
    if closing is None or first > last:
        return ""
    which = f"Call {first} was" if first == last else f"Calls {first} to {last} were"
    return f"{which} made when the study ran, with a larger budget; not counted here. Raise the budget to read them."


def stated_answer(text: str, problem: Problem) -> str | None:
    """The answer that a whole reply states by the rules of its question; None: none."""
    return answers.extract(text, problem.answer_kind, statement=problem.statement, options=problem.options)


def votes(stated: Sequence[str | None]) -> str:
    """`15 ×4, 10 ×2, 18`: stated answers with their counts, most first; None: no vote."""
    tally: dict[str, tuple[str, int]] = {}
    for answer in stated:
        if answer is not None:
            # Spelled differently they are one vote; shown as the first of them was spelled.
            key = answers.vote_key(answer)
            spelled, n = tally.get(key, (answer, 0))
            tally[key] = spelled, n + 1
    # Stable: of equal counts the one that was said first stands first.
    most_first = sorted(tally.values(), key=lambda pair: -pair[1])
    return ", ".join(f"{visible(spelled, 40)} ×{n}" if n > 1 else visible(spelled, 40) for spelled, n in most_first)


def example_texts(problem: Problem) -> tuple[str, ...]:
    """The texts of a question's worked examples, to be found again in its prompt."""
    return tuple(text for each in problem.examples for text in (each.question, each.reasoning, each.answer) if text)


def verdict_line(trial: Trial, reading: Reading) -> str:
    """How a trial stands at the chosen budget, in one sentence."""
    target = _quoted(trial.spec.question.target)
    # In this order: what was not scored has no answer to speak of.
    if reading.fate in ("failed", "stopped"):
        return f"It {reading.fate} and is not scored: {visible(trial.error or 'no reason given', 400)}"
    if reading.fate == "censored":
        return "The run closed before this budget, so nothing is known of it here and it is not scored."
    if reading.answer is None:
        return f"No answer, which counts 0; right is {target}."
    if reading.fate == "right":
        return f"It said {_quoted(reading.answer)}, which is right."
    part = f" ({fmt.percent(reading.score)} of a point)" if reading.fate == "partly" else ""
    return f"It said {_quoted(reading.answer)}, which is {FATES[reading.fate]}{part}; right is {target}."


def facts_line(entry: Entry) -> str:
    """Which execution it was, and of an imported answer what its log says of its spend."""
    trial = entry.trial
    parts = [*([imported_line(trial)] if is_imported(trial) else []), f"run {trial.run_id}"]
    # A first time and the first repeat are what one expects, and not said.
    parts += [f"made anew {fmt.plural(trial.attempt - 1, 'time')}"] if trial.attempt > 1 else []
    return " · ".join([*parts, f"repeat {trial.spec.repeat}"] if trial.spec.repeat else parts)


def mechanism_line(trial: Trial, reading: Reading) -> str:
    """What the strategy stated of its mechanism by the calls this budget covers; empty: nothing."""
    stated = replay.stated(trial, reading.covered)
    facts = ((visible(names.fact(name), 80), "yes" if holds else "no") for (_, name), holds in stated.items())
    line = " · ".join(f"{fact}: {answer}" for fact, answer in facts)
    return line[:1].upper() + line[1:]


def table(shown: Sequence[Entry]) -> pl.DataFrame:
    """One row per answer, text only but for its output tokens."""
    import polars as pl

    repeats = any(entry.trial.spec.repeat for entry in shown)
    problems = [entry.trial.spec.question.problem for entry in shown]
    questions = short_questions([(problem.text, problem.context) for problem in problems], LISTED)
    rows = []
    for entry, question in zip(shown, questions, strict=True):
        row: dict[str, Any] = {
            "": list_mark(entry.reading),
            "Question": visible(question, 160),
            "It said": visible(" ".join((entry.reading.answer or FATES[entry.reading.fate]).split()), 60),
            "Output": None if "output_tokens" in entry.trial.unreported else entry.reading.spend.output_tokens,
        }
        rows.append(row | ({"Repeat": entry.trial.spec.repeat} if repeats else {}))
    return pl.DataFrame(rows, infer_schema_length=None)


def list_mark(reading: Reading) -> str:
    """A sign for a list, so that it needs no colour; only right and wrong answers have a tick or a cross."""
    return {"right": "✓", "partly": "◐", "wrong": "✕", "none": "–"}.get(reading.fate, "!")


def _calls(n: int) -> str:
    if n < len(NUMBERS):
        return f"{NUMBERS[n]} call{'' if n == 1 else 's'}"
    return fmt.plural(n, "call")


def _quoted(text: str) -> str:
    return f"“{visible(' '.join(text.split()), 200)}”"
