"""The shared chain request: one wording, one temperature, one cap, so that all sampling strategies read the same draws.

Draw 0 of a chain is chain of thought, draws 0 to n-1 are self-consistency, a draft to refine is draw 0 again. Changing
a word here changes what all of them send: bump their versions.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core import answers
from engine.core.records import Example, Message, Problem, Prompt
from engine.trial.session import Reply, Session

CHAIN_TOKENS = 512
"""Asked cap of a chain; study-wide, so that streams are shared."""
# Votes live on draws that differ; a study sets another where a model takes one alone.
TEMPERATURE = 0.7
END = "End with a last line of the form 'Answer: <answer>'."
STEPS = f"Think step by step. {END}"
STATED = "Use fewer than {tokens} tokens."
"""How a budget is stated in a prompt (Han et al. 2024, arXiv 2412.18547)."""
RATE = (
    "How likely is it that this answer is right? Reply with one whole number from 1 (surely wrong) to 10 (surely "
    "right) in double square brackets, for example [[5]]."
)
HARD = (
    "Do not solve it yet. How hard is this question? Reply with one whole number from 1 (trivial) to 10 (very hard) in "
    "double square brackets, for example [[5]]."
)
HARDEST = 10
RATING_TOKENS = 16
"""Asked cap of a rating; study-wide, so that ratings are shared like the chains they are about."""


def chain_prompt(problem: Problem) -> Prompt:
    """The chain-of-thought request (Kojima et al. 2022, arXiv 2205.11916, in our words)."""
    return framed(problem, STEPS)


def framed(problem: Problem, how: str, *, reasoned: bool = True) -> Prompt:
    """The worked examples as turns, then what was said before, then the question, each followed by the same request
    `how`."""
    # As turns and not as text: chat models take what they see themselves say for their manner.
    turns = [turn for turn in problem.turns if turn.role == "system"]
    for example in problem.examples:
        turns.append(Message("user", _asked(example.question, None, problem.instructions, how)))
        turns.append(Message("assistant", _shown(example, reasoned)))
    asked = _asked(problem.text, problem.context, problem.instructions, how)
    return (*turns, *(turn for turn in problem.turns if turn.role != "system"), Message("user", asked))


def rating_prompt(asked: Prompt, reply: Reply) -> Prompt:
    """Ask the model how sure it is of its own reply (verbal confidence; Taubenfeld et al. 2025, arXiv 2502.06233)."""
    return (*asked, Message("assistant", reply.text), Message("user", RATE))


def rating_in(reply: Reply) -> int:
    """The stated number from 1 to 10; 1 when none can be read, so that a muddled rating never lifts an answer."""
    return answers.rating_of(reply.text) or 1


async def difficulty(problem: Problem, session: Session, cap: int, temperature: float) -> int:
    """How hard the solver calls a question before it solves it, from 1 to 10; 10 where it says no number."""
    asked = chain_prompt(problem)
    # In the last turn: two turns of the user in a row are refused by some providers.
    told = (*asked[:-1], Message("user", f"{asked[-1].content}\n\n{HARD}"))
    said = await session.ask(told, cap, role="judge", temperature=temperature)
    rated = answers.rating_of(said.text)
    session.could_work("difficulty read", rated is not None)
    # Without a number nobody knows that it is easy.
    return rated or HARDEST


def answer_in(reply: Reply) -> str | None:
    """The answer a reply states; None when it states none or was cut off, so that a cut reply never votes."""
    if reply.truncated:
        return None
    return answers.extract(reply.text, reply.kind, statement=reply.statement, options=reply.options)


def moved(before: Sequence[Reply], after: Sequence[Reply]) -> bool:
    """Whether any of the replies states another answer than the one in its place before."""
    return any(_key(one) != _key(other) for one, other in zip(before, after, strict=True))


def _key(reply: Reply) -> str | None:
    answer = answer_in(reply)
    # In the form votes are counted in, so that two spellings of one answer agree.
    return None if answer is None else answers.vote_key(answer)


def _asked(question: str, context: str | None, instructions: str, how: str) -> str:
    return "\n\n".join(part for part in (context, question, instructions, how) if part)


def _shown(example: Example, reasoned: bool) -> str:
    # An example shows its steps only where steps are asked for, or it would ask for them itself.
    steps = f"{example.reasoning}\n" if reasoned and example.reasoning else ""
    return f"{steps}Answer: {example.answer}"
