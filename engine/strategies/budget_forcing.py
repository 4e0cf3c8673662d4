"""Budget forcing: think within a cap, think on where the model stopped by itself, then be made to answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from engine.core.records import Message, Problem, Prompt
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("budget_forcing", anytime=True, family="thinking", calls="2 + waits", needs_prefix=True)
@dataclass(frozen=True)
class BudgetForcing:
    """Make a model think on, or stop thinking, and then answer (Muennighoff et al. 2025, arXiv 2501.19393).

    Budget: a chain of at most `chain_tokens`, the first draw of chain of thought. Where it ended by itself, 'Wait' is
    put after it and the model goes on for at most as long again, up to `waits` times; a chain that was cut off ends
    thinking. Then 'Answer:' is put after everything, and the model has `answer_tokens` to finish that line.
    """

    waits: int = field(default=1, metadata={"least": 0})
    chain_tokens: int = CHAIN_TOKENS
    answer_tokens: int = 32
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 2 + `waits`."""
        return 2 + self.waits

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Think, go on thinking, answer."""
        asked, thought = chain_prompt(problem), ""
        for cue in ("", *[WAIT] * self.waits):
            said = await session.ask(_begun(asked, thought + cue), self.chain_tokens, temperature=self.temperature)
            session.acted("made to think on", bool(cue))
            thought = f"{thought}{cue}{said.text}".rstrip()
            if (answer := answer_in(said)) is not None:
                yield answer
            # A cap or the budget ended it, so there is no stop of its own to think beyond.
            if said.truncated:
                break
        forced = _begun(asked, thought + FORCED)
        # One line: what a model says after its answer would be paid for and not read.
        said = await session.ask(forced, self.answer_tokens, role="answer", temperature=self.temperature, stop=("\n",))
        if said.text.strip() and (answer := answer_in(replace(said, text=FORCED + said.text))) is not None:
            yield answer


def _begun(asked: Prompt, reply: str) -> Prompt:
    """The request with the beginning of its reply; nothing begun is the request alone."""
    return (*asked, Message("assistant", reply.lstrip("\n"))) if reply else asked


# Of the words that the paper tried, the one that helped most.
WAIT = "\nWait"
FORCED = "\nAnswer:"
