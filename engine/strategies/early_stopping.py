"""Early-stopping self-consistency: draw chains in windows until one window agrees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes, normalise
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("early_stopping", anytime=True, family="sampling", calls="samples")
@dataclass(frozen=True)
class EarlyStopping:
    """Sample chains in windows and stop at the first unanimous one (Li et al. 2024, arXiv 2401.10480).

    Budget: at most `samples` chains of up to `chain_tokens`, in windows of `window`; the same draws as
    self-consistency. A chain without an answer breaks a window's unanimity.
    """

    samples: int = 16
    window: int = 4
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most `samples`."""
        return self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every chain; a unanimous window decides at once."""
        votes, answers = Votes(), list[str | None]()
        chains = session.stream(
            chain_prompt(problem),
            self.samples,
            self.chain_tokens,
            # To the end of the window: it is judged whole, so none of its chains is bought in vain.
            ahead=lambda: self.window - len(answers) % self.window,
            temperature=self.temperature,
        )
        async for chain in chains:
            answers.append(answer_in(chain))
            votes.add(answers[-1])
            if votes.leader is not None:
                yield votes.leader
            agreed = _agreed(answers[-self.window :]) if len(answers) % self.window == 0 else None
            session.acted("stopped early", agreed is not None and len(answers) < self.samples)
            if agreed is not None:
                yield agreed
                return


def _agreed(answers: list[str | None]) -> str | None:
    """The answer all of them give; None: they differ, or one gives none."""
    first = answers[0]
    # In the form votes are counted in, so that two spellings of one answer agree.
    known = {None if answer is None else normalise(answer) for answer in answers}
    return first if len(known) == 1 else None
