"""Sketch-of-thought: choose a terse notation, then reason in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("sketch_of_thought", anytime=True, family="brevity", calls="2")
@dataclass(frozen=True)
class SketchOfThought:
    """Choose one of three terse notations and reason in it (Aytes et al. 2025, arXiv 2503.05179).

    Budget: the choice, a metered call of at most `choice_tokens` in place of the paper's trained router, then one chain
    of at most `chain_tokens`. An unreadable choice takes the first notation.
    """

    choice_tokens: int = 8
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """Two."""
        return 2

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Choose, then reason."""
        told = framed(problem, CHOOSE)
        choice = await session.ask(told, self.choice_tokens, role="plan", temperature=self.temperature)
        # 'B.', '(B)' and 'b' are one choice; of a sentence the first word decides.
        letter = next((word.strip(".,:;()\"'*") for word in choice.text.upper().split()), "A")
        session.could_work("choice read", letter in NOTATIONS)
        told = framed(problem, f"{NOTATIONS.get(letter, NOTATIONS['A'])} {END}")
        answer = answer_in(await session.ask(told, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


CHOOSE = (
    "Do not answer yet. Which notation suits this question best: A, a chain of linked ideas; B, numbers and symbols; "
    "C, the shorthand of an expert in the field? Reply with the letter alone."
)
NOTATIONS = {
    "A": "Reason in a chain of key words joined by arrows, with no full sentences.",
    "B": "Reason in equations and symbols only, with no words where a symbol does.",
    "C": "Reason in the abbreviations and notes an expert would jot down, with no full sentences.",
}
