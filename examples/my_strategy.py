"""A strategy of your own; its test: `import my_strategy; engine.testing.check_strategy("two_agree")`."""

from dataclasses import dataclass

from engine.strategies.chain import CHAIN_TOKENS, answer_in, chain_prompt
from engine.strategies.registry import strategy


@strategy("two_agree", anytime=True, family="voting", calls="most", version=1)
@dataclass(frozen=True)
class TwoAgree:
    """Draw chains of thought until two state the same answer; without two, give none (own idea).

    Budget: up to `most` chains, one after the other; stops at the first answer that was stated before."""

    most: int = 5
    calls = property(lambda self: self.most)

    async def solve(self, problem, session):
        seen = set()
        async for chain in session.stream(chain_prompt(problem), self.most, CHAIN_TOKENS, ahead=lambda: 1):
            if (answer := answer_in(chain)) in seen:
                yield answer
                return
            seen |= {answer} - {None}
