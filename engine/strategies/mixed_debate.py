"""Mixed debate: agents of two models answer, and revise in the light of each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes
from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, chain_prompt, moved
from engine.strategies.registry import strategy
from engine.trial.session import Reply, Session


@strategy("mixed_debate", anytime=True, family="debate", calls="2 * agents * rounds", roles=("second",))
@dataclass(frozen=True)
class MixedDebate:
    """Agents of two models answer, read each other and revise, round by round (Du et al. 2023, arXiv 2305.14325).

    Budget: `agents` of the solver and as many of `second`, each with a chain of at most `chain_tokens` in each of
    `rounds` rounds; the first round are the first draws of each model's self-consistency. Every agent keeps its history
    and reads all others. The majority of the latest answers counts, of equals the solver's. The mixing is ours.
    """

    agents: int = 2
    rounds: int = 2
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """Twice `agents`, times `rounds`."""
        return 2 * self.agents * self.rounds

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the majority after every answer of the first round, then after every round."""
        n, cap, heat, asked = self.agents, self.chain_tokens, self.temperature, chain_prompt(problem)
        votes, replies = Votes(), list[Reply]()
        # The solver first: of equals the one that led before stays the leader.
        for model in ("solver", "second"):
            async for chain in session.stream(asked, n, cap, model=model, temperature=heat):
                replies.append(chain)
                votes.add(answer_in(chain))
                if votes.leader is not None:
                    yield votes.leader
        talks = [asked] * len(replies)
        for _ in range(self.rounds - 1):
            said = [(*talk, Message("assistant", reply.text)) for talk, reply in zip(talks, replies, strict=True)]
            talks = [(*talk, _others(replies, agent)) for agent, talk in enumerate(said)]
            # One batch for each model; together they stand in the order of the talks.
            before = replies
            replies = await session.ask_many(talks[:n], cap, role="debate", temperature=heat)
            replies += await session.ask_many(talks[n:], cap, role="debate", model="second", temperature=heat)
            session.acted("an answer changed", moved(before, replies))
            votes = Votes()
            for reply in replies:
                votes.add(answer_in(reply))
            if votes.leader is not None:
                yield votes.leader


def _others(replies: list[Reply], agent: int) -> Message:
    """What the others said, with no names: their order is the same for everyone."""
    said = "\n\n".join(f"Another solution:\n{reply.text}" for at, reply in enumerate(replies) if at != agent)
    return Message("user", f"{said}\n\n{REVISE}")


REVISE = f"Compare your solution with the others, look for mistakes in each, and answer again. {END}"
