"""The clauses of the contract, each a function that raises AssertionError with a sentence that can be acted on.

Every random choice comes from a fixed seed, so a clause that breaks breaks again.
"""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Callable, Iterator, Sequence

from engine.core.records import AXES, Axis, Cut, Trial
from engine.models.scripted import Script, noise
from engine.testing.stage import QUESTION, Stage, anonymous, answer_at, fixed, salted, spent

CASES = 40
"""Random cases for each instance and clause."""
# Nothing, less than a prompt, less than a reply, some calls, and no limit.
BUDGETS = (0, 1, 2, 30, 700, 10**9)
PLENTY = 10**6
LISTING = "1. first\n2. second\n3. third\n4. fourth\nAnswer: A"


def _endless(request: object, rng: random.Random) -> str:
    return "Answer: A " + "so " * getattr(request, "asked_tokens", 0)


RUDE: dict[str, Script] = {
    "rubbish": noise,
    "nothing": fixed(""),
    "blanks": fixed(" \n\t "),
    "replies that are always cut": _endless,
    "a huge number": fixed(f"[[{10**400}]] Answer: {10**400}"),
    "broken characters": fixed("Answer: \ud800\x00\u202e"),
    "templates": fixed("{question} {tokens} %s {0} Answer: {x}"),
}
DEMANDING: tuple[Script, ...] = (
    fixed("Answer: A"),
    fixed("Answer: B"),
    fixed("Answer: A", "Answer: B"),
    fixed("There is an error here. Answer: A"),
    fixed(LISTING),
    lambda request, rng: f"Answer: {len(request.messages[-1].content)}",
    lambda request, rng: f"Answer: {request.draw}x{len(request.messages[-1].content)}",
    fixed("I cannot say"),
    # One that never stops thinking by itself: every call fills its cap.
    fixed(" ".join(["so"] * 5_000)),
)
"""Whole replies; one of them makes a strategy go all the way: it agrees, wavers, is wrong, finds fault, lists, never
says the same again, or nothing at all."""


def ends_within_any_budget(stages: Sequence[Stage]) -> None:
    """It ends by itself or by its budget, at a budget of nothing too, and has spent no more than that."""
    for stage, axis, budget in ((s, a, b) for s in stages for a in AXES for b in BUDGETS):
        trial = stage.play(axis, budget, salted(1))
        _ended(stage, trial, f"at a budget of {budget:,} {axis}")
        _within(stage, trial, axis, budget)


def never_overspends_and_repeats(stages: Sequence[Stage]) -> None:
    """At random budgets against loose prompt bounds; the same seed gives the same trial, whatever is prefetched."""
    for stage, axis, budget, salt in _cases(stages):
        first, second = (stage.play(axis, budget, salted(salt), width=width, slack=1.5) for width in (1, 7))
        _within(stage, first, axis, budget)
        where = f"{stage} does two things for one seed, at a budget of {budget:,} {axis}"
        way = "it must take its random numbers from session.rng, keep no state and wait for nothing else"
        _holds(anonymous(first) == anonymous(second), f"{where}: {way}")


def survives_any_model(stages: Sequence[Stage]) -> None:
    """No reply breaks it, and what it yields is text."""
    for stage in stages:
        for what, script in RUDE.items():
            # Too little for a second call, and enough for all of them.
            for budget in (40, BUDGETS[-1]):
                _ended(stage, stage.play("output_tokens", budget, script), f"when the model says {what}")


def cut_replies_give_no_answer(stages: Sequence[Stage]) -> None:
    """A reply cut at its own cap may be read, but its answer never counts."""
    for stage in stages:
        answer = stage.play("output_tokens", BUDGETS[-1], _endless).answer
        way = "`answer_in` gives None there"
        _holds(answer is None, f"{stage} took the answer {answer!r} from a reply that was cut; {way}")


def calls_is_a_bound_and_attained(stages: Sequence[Stage]) -> None:
    """`calls` is the most calls of a trial: never passed, and reached by some model when nothing is cut."""
    for stage in stages:
        bound = stage.instance.calls
        made = [len(_ended(stage, stage.play("calls", PLENTY, script), "unhindered").calls) for script in DEMANDING]
        _holds(max(made) <= bound, f"{stage} made {max(made)} calls and promised at most {bound}")
        why = "a bound that is never reached makes estimates too high"
        _holds(max(made) == bound, f"{stage} promised up to {bound} calls and made at most {max(made)}: {why}")


def formula_is_true(stages: Sequence[Stage]) -> None:
    """The formula it was registered with says what its property `calls` says."""
    for stage in stages:
        knobs = {knob: getattr(stage.instance, knob) for knob in stage.entry.knobs}
        # Code of whoever registered the strategy, which runs here anyway; never text of a model or a file.
        calls, result = stage.instance.calls, eval(stage.entry.calls, {}, knobs)
        _holds(result == calls, f"{stage} has calls = {calls}, and its formula {stage.entry.calls!r} gives {result}")


def asks_within_its_parameters(stages: Sequence[Stage]) -> None:
    """No call asks for more than the largest of its parameters in _tokens; one without such parameters may."""
    for stage in stages:
        allowed = [v for k, v in vars(stage.instance).items() if k.endswith("_tokens") and v is not None]
        most = max((call.asked_tokens for call in stage.play("calls", PLENTY, salted(2)).calls), default=0)
        why = "more than any of its parameters in _tokens says"
        _holds(not allowed or most <= max(allowed), f"{stage} asked for {most} tokens at once, {why}")


def anytime_is_true(stages: Sequence[Stage]) -> None:
    """If it says so: what one trial says of every smaller budget is what a trial at that budget does."""
    for stage, axis, budget, salt in _cases([stage for stage in stages if stage.anytime]):
        # The same salt: both trials meet the same model, word for word.
        large = stage.play(axis, 3 * budget, salted(salt))
        small = stage.play(axis, budget, salted(salt))
        where = f"{stage} is not anytime: at {budget:,} {axis}, read off a trial with three times as much,"
        asks = ([call.key for call in trial.calls] for trial in (small, large))
        yields = ([mark.answer for mark in trial.marks] for trial in (small, large))
        states = ([(fact.kind, fact.name, fact.holds, fact.after_calls) for fact in t.facts] for t in (small, large))
        for what, (less, more) in (("asks", asks), ("yields", yields), ("states", states)):
            # A trial cut short is the beginning of a longer one.
            begins = less == more[: len(less)]
            _holds(begins, f"{where} it {what} something else, so what it {what} depends on the budget")
        read = answer_at(large, axis, budget)
        _holds(read == small.answer, f"{where} its answer is {read!r} and should be {small.answer!r}")


def asks_the_question(stages: Sequence[Stage]) -> None:
    """Some request holds the question."""
    for stage in stages:
        contents = (m.content for call in stage.play("calls", PLENTY, salted(3)).calls for m in call.messages)
        shown = any(QUESTION.problem.text in content for content in contents)
        _holds(shown, f"{stage} never shows the model the question; `chain_prompt` or `framed` does")


def is_frozen(stages: Sequence[Stage]) -> None:
    """Its parameters are plain values that cannot be changed, so that equal ones are one condition."""
    for stage in stages:
        for knob in stage.entry.knobs:
            try:
                setattr(stage.instance, knob, getattr(stage.instance, knob))
            except AttributeError:
                continue
            _holds(False, f"{stage} lets {knob} be changed; write @dataclass(frozen=True)")
        _holds(isinstance(hash(stage.instance), int), f"{stage} has no hash")
    # What a study file can hold.
    plain = (int, float, str, bool, type(None))
    odd = [knob for knob, value in stages[0].entry.knobs.items() if not isinstance(value, plain)]
    _holds(not odd, f"{stages[0]} has parameters that a study cannot write: {', '.join(odd)}")


def docstring_says_it_all(stages: Sequence[Stage]) -> None:
    """The idea in one sentence with its source, an empty line, then how it divides its budget."""
    text = inspect.getdoc(stages[0].entry.make) or ""
    idea, _, rest = text.partition("\n\n")
    _holds(len(idea) > 20 and idea.rstrip().endswith("."), "its docstring must open with the idea in one sentence")
    budget = "'Budget: ' and how it divides its budget and when it stops"
    _holds(rest.startswith("Budget: "), f"its docstring must go on, after an empty line, with {budget}")
    # A page of one mechanism may name its source in its module.
    places = f"{idea} {getattr(inspect.getmodule(stages[0].entry.make), '__doc__', None)}"
    named = re.search(r"arXiv \d{4}\.\d{4,5}|https?://|\bdoi\b|\bown idea\b|\bbaseline\b", places, re.I)
    sources = "'arXiv 1234.56789', an address, 'own idea' or 'baseline'"
    _holds(bool(named), f"its first sentence must name its source: {sources}")


CLAUSES: tuple[Callable[[Sequence[Stage]], None], ...] = (
    ends_within_any_budget,
    never_overspends_and_repeats,
    survives_any_model,
    cut_replies_give_no_answer,
    calls_is_a_bound_and_attained,
    formula_is_true,
    asks_within_its_parameters,
    anytime_is_true,
    asks_the_question,
    is_frozen,
    docstring_says_it_all,
)


def _holds(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(f"{otherwise}.")


def _ended(stage: Stage, trial: Trial, when: str) -> Trial:
    _holds(trial.end in ("finished", "exhausted"), f"{stage} {trial.end} {when}: {trial.error}")
    text = all(isinstance(mark.answer, str) for mark in trial.marks)
    _holds(text, f"{stage} yielded something else than text {when}")
    return trial


def _within(stage: Stage, trial: Trial, axis: Axis, budget: int) -> None:
    used = spent(trial.calls, axis)
    _holds(used <= budget, f"{stage} spent {used:,} {axis} of a budget of {budget:,}")
    # A call the budget refused was asked for, but never made.
    made = sum(call.cut is not Cut.REFUSED for call in trial.calls)
    _holds(made <= stage.instance.calls, f"{stage} made {made} calls and promised at most {stage.instance.calls}")


def _cases(stages: Sequence[Stage]) -> Iterator[tuple[Stage, Axis, int, int]]:
    """Random axes, budgets and models for each instance, small budgets as often as large ones."""
    rng = random.Random(20240614)
    for stage in stages:
        for _ in range(CASES):
            # Up to about 3,000, by size and not by number, for budgets bite when they are small.
            yield stage, rng.choice(AXES), int(10 ** rng.uniform(0, 3.5)), rng.randrange(10**6)
