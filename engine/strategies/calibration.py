"""Calibration: the smallest token budget under which a model still answers a question right, found by halving.

TALE's search (Han et al. 2024, arXiv 2412.18547, algorithms 1 and 2) over the vanilla chain and the told-budget prompt.
It looks at the targets, so it is no strategy to choose: nothing lists it, no study names it, and whatever it spends or
stores carries `LABEL`. It is run by the same machinery as a strategy, for the ceilings, the journal and the pool. Opens
no model and no database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from engine.core import answers
from engine.core.records import Completion, Problem, Question, Trial
from engine.strategies.chain import CHAIN_TOKENS, STATED, STEPS, TEMPERATURE, answer_in, chain_prompt, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session

LABEL = "calibration (uses targets)"
"""Name of its conditions, role of its calls, and part of the name of its runs."""
FEASIBILITIES = ("plain", "greedy")
"""When a budget is feasible. plain: the answer is right. greedy: and it took fewer tokens than the budget before."""


@strategy(LABEL, anytime=True, family="calibration", calls="chain_tokens.bit_length()", oracle=True, listed=False)
@dataclass(frozen=True)
class BudgetSearch:
    """Halve the told budget as long as the answer stays right (Han et al. 2024, arXiv 2412.18547, algorithm 1).

    Budget: a vanilla chain of at most `chain_tokens`, then one told-budget chain for each budget that is tried, the
    first of half the vanilla chain's output tokens. Stops at a wrong vanilla answer, at the first budget that is not
    feasible, and at 1. The last yield is the answer under the found budget.
    """

    feasibility: str = FEASIBILITIES[0]
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One, and as many as `chain_tokens` can be halved."""
        return self.chain_tokens.bit_length()

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the answer under each feasible budget."""
        told, before, asked = None, self.chain_tokens + 1, chain_prompt(problem)
        while told != 0:
            reply = await session.ask(asked, self.chain_tokens, role=LABEL, temperature=self.temperature)
            answer = answer_in(reply)
            if answer is None or not session.oracle(answer):
                return
            if told is not None and not _fewer(self.feasibility, reply.output_tokens, before):
                return
            yield answer
            before = reply.output_tokens
            told = (before if told is None else told) // 2
            asked = framed(problem, f"{STEPS} {STATED.format(tokens=told)}")


def _fewer(feasibility: str, tokens: int, before: int) -> bool:
    return feasibility == "plain" or tokens < before


@dataclass(frozen=True, slots=True)
class Tried:
    """A budget that was tried."""

    budget: int
    """What the model was told."""
    tokens: int
    """Output tokens it took."""
    right: bool
    feasible: bool


@dataclass(frozen=True, slots=True)
class Search:
    """What the search found on one question. Tokens are output tokens."""

    vanilla_tokens: int | None
    """Of the vanilla chain; None: it had no reply (the provider failed, the window was full, the run stopped)."""
    vanilla_right: bool
    tried: tuple[Tried, ...]
    """In order, each half of the one before."""

    @property
    def found_budget(self) -> int | None:
        """The last feasible budget, the vanilla chain's own tokens where no smaller one was; None: it was wrong."""
        return self._last[0] if self.vanilla_right else None

    @property
    def found_tokens(self) -> int | None:
        """What was used under the found budget; None: there is none."""
        return self._last[1] if self.vanilla_right else None

    @property
    def ideal_range(self) -> tuple[int, int] | None:
        """The least and largest of the third of the tried budgets, one after another and all feasible, which took the
        fewest tokens in all (the paper's ideal budget range); None: no such third."""
        width = max(1, len(self.tried) // 3)
        windows = [self.tried[at : at + width] for at in range(len(self.tried) - width + 1)]
        whole = [window for window in windows if window and all(each.feasible for each in window)]
        if not whole:
            return None
        best = min(whole, key=lambda window: sum(each.tokens for each in window))
        return best[-1].budget, best[0].budget

    @property
    def _last(self) -> tuple[int, int]:
        feasible = [(each.budget, each.tokens) for each in self.tried if each.feasible]
        vanilla = self.vanilla_tokens or 0
        return feasible[-1] if feasible else (vanilla, vanilla)


Score = Callable[[str, Question], float]


def search_of(trial: Trial, feasibility: str, replies: Mapping[str, Completion], score: Score) -> Search:
    """What a stored trial of `BudgetSearch` found, read off its calls; `replies` are completions by key."""
    whole: list[tuple[int, bool]] = []
    question = trial.spec.question
    for call in trial.calls:
        if call.seen_output_tokens is None:
            continue
        # Whether the reply was whole and its answer right: judged again, from what is stored.
        reply, answer = replies.get(call.key), None
        if reply and not call.cut and reply.finish != "filter":
            asked = question.problem
            answer = answers.extract(reply.text, asked.answer_kind, statement=asked.statement, options=asked.options)
        whole.append((call.seen_output_tokens, answer is not None and score(answer, question) >= 1))
    if not whole:
        return Search(None, False, ())
    (vanilla, vanilla_right), *rest = whole
    tried: list[Tried] = []
    budget = before = vanilla
    for tokens, right in rest:
        # The search tells budgets by halves, so what was told need not be stored.
        budget //= 2
        tried.append(Tried(budget, tokens, right, right and _fewer(feasibility, tokens, before)))
        before = tokens
    return Search(vanilla, vanilla_right, tuple(tried))
