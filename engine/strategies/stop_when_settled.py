"""Stop when settled: think in slices, and stop once two answers forced in a row agree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from engine.core import answers
from engine.core.records import Message, Problem, Prompt
from engine.strategies.chain import TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("stop_when_settled", anytime=True, family="thinking", calls="2 * slices", needs_prefix=True)
@dataclass(frozen=True)
class StopWhenSettled:
    """Think slice by slice and stop at the second forced answer that agrees (after Yang et al. 2025, arXiv 2504.15895).

    Budget: up to `slices` slices of at most `slice_tokens` of one thought, each begun where the last was cut. After a
    slice 'Answer:' is put behind the thought and the model has `answer_tokens` to finish that line; two such answers
    in a row that agree end it, and so does the thought's own end. Forced answers are paid like all else, and re-sent
    thoughts as input, so the frontier says whether stopping early pays.
    """

    slice_tokens: int = 48
    slices: int = 10
    answer_tokens: int = 24
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most a slice and a forced answer each time."""
        return 2 * self.slices

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Think a slice, be made to answer, compare."""
        asked, thought, last = chain_prompt(problem), "", None
        for _ in range(self.slices):
            said = await session.ask(_begun(asked, thought), self.slice_tokens, temperature=self.temperature)
            thought += said.text
            own = answer_in(replace(said, text=thought))
            if own is not None:
                yield own
                return
            forced = _begun(asked, thought.rstrip() + FORCED)
            # One line: what a model says after its answer would be paid for and not read.
            told = await session.ask(forced, self.answer_tokens, role="answer", temperature=0.0, stop=("\n",))
            answer = answer_in(replace(told, text=FORCED + told.text)) if told.text.strip() else None
            if answer is not None:
                yield answer
            agreed = None not in (answer, last) and answers.vote_key(answer or "") == answers.vote_key(last or "")
            session.acted("stopped early", agreed and said.truncated)
            if agreed or not said.truncated:
                return
            last = answer


def _begun(asked: Prompt, reply: str) -> Prompt:
    """The request with the beginning of its reply; nothing begun is the request alone."""
    return (*asked, Message("assistant", reply.lstrip("\n"))) if reply.strip() else asked


FORCED = "\nAnswer:"
