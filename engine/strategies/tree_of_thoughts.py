"""Tree of thoughts: propose steps, value them, keep the best, level by level."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import items, rating_of
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy(
    "tree_of_thoughts",
    anytime=True,
    family="search",
    calls="1 + (1 + (depth - 1) * min(breadth, thoughts)) * (1 + thoughts * valuations)",
    version=2,
)
@dataclass(frozen=True)
class TreeOfThoughts:
    """Search over partial solutions, breadth first: propose, value, keep the best (Yao et al. 2023, arXiv 2305.10601).

    Budget: on each of `depth` levels one proposal of at most `thought_tokens` per kept state, giving up to `thoughts`
    next steps, and `valuations` ratings of at most `value_tokens` per new step; the `breadth` best are kept. At the end
    the best path is finished by one chain of at most `chain_tokens`.
    """

    depth: int = 2
    breadth: int = 2
    thoughts: int = 3
    valuations: int = 1
    thought_tokens: int = 128
    value_tokens: int = 32
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most; fewer when proposals repeat each other or are too few."""
        states = 1 + (self.depth - 1) * min(self.breadth, self.thoughts)
        return 1 + states * (1 + self.thoughts * self.valuations)

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Search, then finish the best path."""
        kept = [""]
        for _ in range(self.depth):
            steps = [step for path in kept for step in await self._proposed(problem, session, path)]
            values = [await self._value(problem, session, path) for path in steps]
            session.could_work("values read and different", len({*values} - {None}) > 1)
            # Stable: of equal values the earlier step stays.
            ranked = sorted(range(len(steps)), key=lambda at: -(values[at] or 0))
            # Without a single proposal the search ends where it stands.
            kept = [steps[at] for at in ranked[: self.breadth]] or kept
        told = framed(problem, f"{SO_FAR}{kept[0]}\n\n{FINISH}")
        answer = answer_in(await session.ask(told, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer

    async def _proposed(self, problem: Problem, session: Session, path: str) -> list[str]:
        told = framed(problem, f"{SO_FAR}{path}\n\n{PROPOSE.format(thoughts=self.thoughts)}")
        said = await session.ask(told, self.thought_tokens, role="propose", temperature=self.temperature)
        # A step that is proposed twice would be rated twice, and could fill the beam alone.
        return [f"{path}\n{step}" for step in list(dict.fromkeys(items(said.text)))[: self.thoughts]]

    async def _value(self, problem: Problem, session: Session, path: str) -> int | None:
        """The sum of the ratings that can be read; None: none can."""
        # The same request several times is several draws of it.
        asked = [framed(problem, f"{SO_FAR}{path}\n\n{VALUE}")] * self.valuations
        said = await session.ask_many(asked, self.value_tokens, role="value", temperature=self.temperature)
        read = [value for reply in said if (value := rating_of(reply.text)) is not None]
        return sum(read) if read else None


SO_FAR = "Steps so far:"
PROPOSE = "Do not solve it yet. Propose {thoughts} different next steps, one per line and nothing else."
VALUE = (
    "How likely do these steps lead to the right answer? Reply with one whole number from 1 (surely not) to 10 "
    "(surely) in double square brackets, for example [[5]]."
)
FINISH = f"Go on from these steps and answer the question. {END}"
