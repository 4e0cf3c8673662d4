"""Strategies of one request: they differ in what they ask for, and in nothing else.

Direct answering is the baseline every reasoning strategy has to beat; chain of thought is draw 0 of the shared chain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem, Prompt
from engine.strategies.chain import CHAIN_TOKENS, END, STEPS, TEMPERATURE, answer_in, chain_prompt, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


class OneRequest:
    """One call of at most `chain_tokens`; its answer, if it states one, is the answer."""

    chain_tokens: int
    temperature: float

    @property
    def calls(self) -> int:
        """One."""
        return 1

    def prompt(self, problem: Problem) -> Prompt:
        """What is asked."""
        raise NotImplementedError

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One reply, one answer."""
        reply = await session.ask(self.prompt(problem), self.chain_tokens, temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer


@strategy("direct", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class Direct(OneRequest):
    """Ask for the answer alone, without reasoning.

    Budget: one call of at most `answer_tokens`.
    """

    # Room for an answer and no room for reasoning: a chain would hide behind it otherwise.
    answer_tokens: int = 32
    temperature: float = TEMPERATURE

    @property
    def chain_tokens(self) -> int:  # type: ignore[override]
        """The cap of the one call, by the name it has in the others."""
        return self.answer_tokens

    def prompt(self, problem: Problem) -> Prompt:
        """The question, and the form of its answer; worked examples show their answers alone."""
        how = "Give only the answer, without any explanation, on one line of the form 'Answer: <answer>'."
        return framed(problem, how, reasoned=False)


@strategy("chain_of_thought", anytime=True, family="reasoning", calls="1")
@dataclass(frozen=True)
class ChainOfThought(OneRequest):
    """Reason step by step, then answer (Kojima et al. 2022, arXiv 2205.11916; Wei et al. 2022, arXiv 2201.11903).

    Budget: one chain of at most `chain_tokens`. At the default temperature it is draw 0 of self_consistency; with
    `temperature` 0 (greedy) it shares nothing.
    """

    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    def prompt(self, problem: Problem) -> Prompt:
        """The shared chain."""
        return chain_prompt(problem)


@strategy("concise", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class Concise(OneRequest):
    """Reason step by step and be concise (Renze and Guven 2024, arXiv 2401.05618).

    Budget: one chain of at most `chain_tokens`; brevity is asked for in words, not enforced.
    """

    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    def prompt(self, problem: Problem) -> Prompt:
        """Steps, briefly."""
        return framed(problem, f"{STEPS} Be concise.")


@strategy("constrained", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class Constrained(OneRequest):
    """Reason step by step within a limit on words (Nayab et al. 2024, arXiv 2407.19825).

    Budget: one chain of at most `chain_tokens`; the limit on words is told, not enforced.
    """

    words: int = 45
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    def prompt(self, problem: Problem) -> Prompt:
        """Steps, in so many words."""
        return framed(problem, f"{STEPS} Use at most {self.words} words.")


@strategy("chain_of_draft", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class ChainOfDraft(OneRequest):
    """Reason in drafts of a few words per step (Xu et al. 2025, arXiv 2502.18600).

    Budget: one chain of at most `chain_tokens`; each step is asked to keep to `words` words.
    """

    words: int = 5
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    def prompt(self, problem: Problem) -> Prompt:
        """Steps of a few words each."""
        how = f"Think step by step, but write only a draft of at most {self.words} words for each step. {END}"
        return framed(problem, how)


@strategy("plan_and_solve", anytime=True, family="decomposition", calls="1")
@dataclass(frozen=True)
class PlanAndSolve(OneRequest):
    """Write a plan, then carry it out, in one reply (Wang et al. 2023, arXiv 2305.04091).

    Budget: one chain of at most `chain_tokens`, plan and steps together.
    """

    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    def prompt(self, problem: Problem) -> Prompt:
        """A plan, then its steps."""
        how = (
            "First write a short plan for solving this. Then carry the plan out step by step, with attention to every "
            f"number and every condition. {END}"
        )
        return framed(problem, how)
