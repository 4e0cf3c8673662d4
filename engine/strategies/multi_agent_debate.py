"""Multi-agent debate: several answers, each revised in the light of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes
from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, chain_prompt, moved
from engine.strategies.registry import strategy
from engine.trial.session import Reply, Session


@strategy("multi_agent_debate", anytime=True, family="debate", calls="agents * rounds")
@dataclass(frozen=True)
class MultiAgentDebate:
    """Agents answer, read the others' answers and revise, round by round (Du et al. 2023, arXiv 2305.14325).

    Budget: `agents` chains of at most `chain_tokens` in each of `rounds` rounds; the first round are the first draws of
    self-consistency. Each agent keeps its history and reads all others, so input grows with the square of both knobs.
    The majority of the latest answers counts.
    """

    agents: int = 3
    rounds: int = 2
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """`agents` times `rounds`."""
        return self.agents * self.rounds

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the majority after every answer of the first round, then after every round."""
        votes, replies, asked = Votes(), list[Reply](), chain_prompt(problem)
        async for chain in session.stream(asked, self.agents, self.chain_tokens, temperature=self.temperature):
            replies.append(chain)
            votes.add(answer_in(chain))
            if votes.leader is not None:
                yield votes.leader
        talks = [(*asked, Message("assistant", reply.text)) for reply in replies]
        for _ in range(self.rounds - 1):
            heard = [(*talk, _others(replies, agent)) for agent, talk in enumerate(talks)]
            before = replies
            replies = await session.ask_many(heard, self.chain_tokens, role="debate", temperature=self.temperature)
            session.acted("an answer changed", moved(before, replies))
            talks = [(*talk, Message("assistant", reply.text)) for talk, reply in zip(heard, replies, strict=True)]
            # Of this round alone: who has changed their mind votes once.
            if (majority := _majority(replies)) is not None:
                yield majority


def _others(replies: list[Reply], agent: int) -> Message:
    """What the others said, with no names: their order is the same for everyone."""
    said = "\n\n".join(f"Another solution:\n{reply.text}" for at, reply in enumerate(replies) if at != agent)
    # A single agent hears nobody, and is asked to look over its own solution alone.
    return Message("user", f"{said}\n\n{REVISE}".strip())


def _majority(replies: list[Reply]) -> str | None:
    votes = Votes()
    for reply in replies:
        votes.add(answer_in(reply))
    return votes.leader


REVISE = f"Compare your solution with the others, look for mistakes in each, and answer again. {END}"
