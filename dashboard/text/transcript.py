"""What a transcript says in words: a call's line, why it was cut, where a budget closes, a trial's verdict.

Pure: records in, plain text out, never escaped and never markup. Models write what is shown here, so `visible` spells
out the characters that would steer a screen or hide text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.core import names, replay
from engine.core import text as fmt
from engine.core.records import Call, Cut, Prompt, Spend, Trial
from engine.core.replay import FATES, Reading
from engine.models.settings import shown

if TYPE_CHECKING:
    import polars as pl

LONGEST = 40_000
"""Characters of one text that are shown; the rest is in the export."""
SHORT = 600
"""Characters of a document that need not be folded away."""
CUTS: dict[Cut, str] = {
    Cut.OWN: "cut at its own cap: its text may be used, its answer does not count",
    Cut.BUDGET: "cut by the budget: the strategy never saw this reply",
    Cut.REFUSED: "refused: the budget left no token for it",
    Cut.CONTEXT: "refused: the prompt does not fit the model's context window",
    Cut.LIMIT: "not sent: a trial makes no more calls than this",
    Cut.FAILED: "failed: the provider gave no reply",
}

__all__ = [
    "CUTS",
    "SHORT",
    "Entry",
    "call_line",
    "closing_line",
    "counts_line",
    "cut_line",
    "document_title",
    "facts_line",
    "list_mark",
    "mechanism_line",
    "prompt_title",
    "table",
    "title",
    "tokens",
    "verdict_line",
    "visible",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial and how it stands at the chosen budget."""

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
        code = ord(letter)
        # Category C: controls, bidi marks, lone surrogates and what has no letter; line and tab steer nothing.
        if letter not in "\n\t" and unicodedata.category(letter)[0] == "C":
            letter = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}"
        letters.append(letter)
    more = len(text) - longest
    return "".join(letters) + (f"\n… {more:,} more characters" if more > 0 else "")


def tokens(spend: Spend) -> str:
    """Input and output apart: `56 (40+16)`."""
    return f"{fmt.count(spend.total_tokens)} ({fmt.count(spend.input_tokens)}+{fmt.count(spend.output_tokens)})"


def call_line(call: Call) -> str:
    """Model, what the call asked for and what the budget of the run granted, and what it spent."""
    spend = call.spend
    granted = f", granted {fmt.count(call.granted_tokens)}" if call.granted_tokens < call.asked_tokens else ""
    parts = [shown(call.model), f"asked for up to {fmt.count(call.asked_tokens)} tokens{granted}"]
    if not spend.calls:
        return " · ".join([*parts, "nothing spent"])
    # Input and output are always said; other parts of the spend only where there is some.
    parts += [f"{fmt.count(spend.input_tokens)} in", f"{fmt.count(spend.output_tokens)} out"]
    parts += [f"{fmt.count(spend.cached_tokens)} of the input cached"] if spend.cached_tokens else []
    parts += [f"{fmt.count(spend.cache_write_tokens)} written to the cache"] if spend.cache_write_tokens else []
    parts += [f"{fmt.count(spend.reasoning_tokens)} hidden reasoning"] if spend.reasoning_tokens else []
    parts += [fmt.duration(spend.latency_ms)] if spend.latency_ms else []
    return " · ".join([*parts, "replayed: already paid for"] if call.replayed else parts)


def cut_line(call: Call) -> str | None:
    """Why a reply is not whole, or is missing; None: it is whole."""
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


def closing_line(trial: Trial, reading: Reading, budget: str) -> str | None:
    """Where a budget closes a trial; None: it does not."""
    # The call after those a budget covers is where it closes, if there is one.
    if reading.granted is None or reading.covered >= len(trial.calls):
        return None
    call = trial.calls[reading.covered]
    number = reading.covered + 1
    if reading.granted < 1:
        how = f"before call {number}, which is refused"
    else:
        seen = "" if call.seen_output_tokens is None else f" of {fmt.count(call.seen_output_tokens)}"
        how = f"in call {number}, after {fmt.count(reading.granted)}{seen} output tokens"
    if reading.answer is None:
        return f"{budget} closes {how}. No answer had been given by then."
    return (
        f"{budget} closes {how}. The answer that counts is {_quoted(reading.answer)}, which is {FATES[reading.fate]}."
    )


def verdict_line(trial: Trial, reading: Reading) -> str:
    """How a trial stands at the chosen budget, in one sentence."""
    target = _quoted(trial.spec.question.target)
    # In this order: what was not scored has no answer to speak of.
    if reading.fate in ("failed", "stopped"):
        return f"The trial {reading.fate} and is not scored: {visible(trial.error or 'no reason given', 400)}"
    if reading.fate == "censored":
        return "The run closed before this budget, so the trial says nothing about it and is not scored here."
    if reading.answer is None:
        return f"No answer; the target is {target}."
    ending = ", though the budget ended it" if reading.exhausted and reading.fate == "right" else ""
    return f"The answer {_quoted(reading.answer)} is {reading.fate}{ending}; the target is {target}."


def title(label: str, fates: Mapping[str, int], at: str) -> str:
    """What came out, in one sentence; `fates`: trials by fate, `at` names the budget."""
    # Failed, stopped and censored trials are no evidence, so they are not in n.
    scored = sum(fates.get(fate, 0) for fate in ("right", "wrong", "none"))
    return f"{label}: {fmt.count(fates.get('right', 0))} of {fmt.plural(scored, 'trial')} right{at}"


def counts_line(condition: Mapping[str, Any], fates: Mapping[str, int], ended: int) -> str:
    """Task, model, the budget the condition ran at, and its trials by fate, with how many the budget ended."""
    # Shares of all trials here, unlike in the title, so that they add up.
    total = sum(fates.values())
    most_first = sorted(fates.items(), key=lambda each: -each[1])
    counts = [f"{fmt.count(n)} {FATES[fate]} ({fmt.percent(n / total)})" for fate, n in most_first]
    if ended:
        counts.append(f"{fmt.count(ended)} ended by the budget ({fmt.percent(ended / total)})")
    simulated = ["simulated: no real model"] if condition["simulated"] else []
    run_at = f"run at {fmt.budget(condition['budget'], condition['axis'])}"
    return " · ".join([names.task(condition["task"]), names.model(condition["model"]), *simulated, run_at, *counts])


def facts_line(entry: Entry) -> str:
    """Calls, tokens, and which execution it was."""
    trial, spend = entry.trial, entry.reading.spend
    parts = [fmt.plural(spend.calls, "call"), f"{tokens(spend)} tokens", f"run {trial.run_id}"]
    # A first attempt and the first repeat are what one expects, and not said.
    parts += [f"attempt {trial.attempt}"] if trial.attempt > 1 else []
    return " · ".join([*parts, f"repeat {trial.spec.repeat}"] if trial.spec.repeat else parts)


def mechanism_line(trial: Trial, reading: Reading) -> str:
    """What the strategy stated of its mechanism by the calls this budget covers; empty: nothing."""
    stated = replay.stated(trial, reading.covered)
    return " · ".join(f"{visible(name, 80)}: {'yes' if holds else 'no'}" for (_, name), holds in stated.items())


def table(shown: Sequence[Entry]) -> pl.DataFrame:
    """One row per trial; text only."""
    import polars as pl

    repeats = any(entry.trial.spec.repeat for entry in shown)
    texts = [" ".join(entry.trial.spec.question.problem.text.split()) for entry in shown]
    # A long opening, in whole words, that all questions share is left out; the first and last of a sorted list tell it.
    first, last = min(texts, default=""), max(texts, default="")
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), 0)
    words = first.rfind(" ", 0, same) + 1
    rows = []
    for entry, text in zip(shown, texts, strict=True):
        row: dict[str, Any] = {
            "Verdict": list_mark(entry.reading),
            "Question": visible(text[words if words > 20 else 0 :], 160),
            "Answer": visible(entry.reading.answer or "", 60),
            "Target": visible(entry.trial.spec.question.target, 60),
            "Tokens (in+out)": tokens(entry.reading.spend),
        }
        rows.append(row | ({"Repeat": entry.trial.spec.repeat} if repeats else {}))
    return pl.DataFrame(rows)


def list_mark(reading: Reading) -> str:
    """Verdict for a list: a sign and a word, so that it needs no colour."""
    sign = {"right": "✓", "wrong": "✗", "none": "○"}.get(reading.fate, "!")
    return f"{sign} {FATES[reading.fate]}"


def _quoted(text: str) -> str:
    return f"“{visible(' '.join(text.split()), 200)}”"
