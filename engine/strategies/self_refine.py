"""Self-refine: answer, criticise, rewrite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt, moved
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("self_refine", anytime=True, family="refinement", calls="1 + 2 * rounds")
@dataclass(frozen=True)
class SelfRefine:
    """Draft, let the model criticise its draft, and rewrite it (Madaan et al. 2023, arXiv 2303.17651).

    Budget: a draft (draw 0 of the shared chain), then up to `rounds` pairs of a critique of at most `critique_tokens`
    and a rewrite of at most `chain_tokens`. Stops early when the critique finds nothing wrong.
    """

    rounds: int = 2
    chain_tokens: int = CHAIN_TOKENS
    critique_tokens: int = 128
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """1 + 2 * `rounds`."""
        return 1 + 2 * self.rounds

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the draft's answer, then each rewrite's; a rewrite without an answer changes nothing."""
        asked = chain_prompt(problem)
        draft = await session.ask(asked, self.chain_tokens, temperature=self.temperature)
        # Once more than there are rounds: the last draft is read, and not criticised.
        for again in range(self.rounds + 1):
            answer = answer_in(draft)
            if answer is not None:
                yield answer
            if again == self.rounds:
                return
            # From the question and not from the talk so far: it would hold the drafts that were put right already.
            talk = (*asked, Message("assistant", draft.text), Message("user", CRITICISE))
            critique = await session.ask(talk, self.critique_tokens, role="critique", temperature=self.temperature)
            # Anywhere in the reply: models like to wrap the words in a sentence.
            sound = SOUND in critique.text.upper()
            session.acted("a mistake found", not sound)
            if sound:
                return
            talk = (*talk, Message("assistant", critique.text), Message("user", REWRITE))
            before = draft
            draft = await session.ask(talk, self.chain_tokens, role="refine", temperature=self.temperature)
            session.acted("an answer changed", moved([before], [draft]))


SOUND = "NO ERRORS"
CRITICISE = (
    "Check the solution above step by step and point out every mistake in one or two sentences. "
    f"If it is right, reply only: {SOUND}."
)
REWRITE = "Write the solution again with these mistakes put right. End with a last line 'Answer: <answer>'."
