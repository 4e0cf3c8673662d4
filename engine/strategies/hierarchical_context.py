"""Hierarchical context: rough summaries of all sections, a closer reading of those that matter, then the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from engine.core.records import Problem
from engine.strategies import retrieval
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy(
    "hierarchical_context",
    anytime=True,
    family="context",
    calls="1 + sections + (levels - 1) * min(chosen, sections)",
    version=2,
)
@dataclass(frozen=True)
class HierarchicalContext:
    """Summarise all sections, reread those that matter, answer from the notes (Sarthi et al. 2024, arXiv 2401.18059).

    Budget: summaries of up to `sections` sections that share `summary_tokens`; on each further one of `levels`, notes
    on the `chosen` ones whose text and summary match the question best (BM25), whole on the second level and on each
    deeper one the best of `sections` parts of what was read before, all sharing `detail_tokens` (ReadAgent's gists, its
    look-ups: Lee et al. 2024, arXiv 2402.09727); one chain of at most `chain_tokens` that reads notes and remaining
    summaries in order. A document of at most `summary_tokens` is read whole: then, or without one, this is chain of
    thought.
    """

    sections: int = 4
    chosen: int = 1
    levels: int = 2
    summary_tokens: int = 128
    detail_tokens: int = 128
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 1 + `sections`, and `chosen` on every level below the first."""
        return 1 + self.sections + (self.levels - 1) * min(self.chosen, self.sections)

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Summaries, notes, chain."""
        document = problem.context or ""
        long = not retrieval.fits(document, self.summary_tokens)
        if long:
            problem = replace(problem, context=await self._notes(problem, document, session))
        reply = await session.ask(chain_prompt(problem), self.chain_tokens, temperature=self.temperature)
        session.could_work("a document longer than its summaries", long)
        answer = answer_in(reply)
        if answer is not None:
            yield answer

    async def _notes(self, problem: Problem, context: str, session: Session) -> str:
        texts = retrieval.sections(context, self.sections)
        share = retrieval.share(self.summary_tokens, len(texts))
        notes = await self._said(session, share, "summarise", [SUMMARISE.format(text=t, tokens=share) for t in texts])
        told = {"outline": "\n\n".join(notes), "question": problem.text}
        # By both: a summary may have lost the word that matches, and a section may never name what it is about.
        order = retrieval.rank([f"{text}\n{note}" for text, note in zip(texts, notes, strict=True)], problem.text)
        # In the document's order again: the notes are read as one text.
        chosen = sorted(order[: self.chosen])
        share = retrieval.share(self.detail_tokens, len(chosen) * (self.levels - 1))
        looked = {at: texts[at] for at in chosen}
        for level in range(1, self.levels):
            asked = [DETAIL.format(text=part, tokens=share, **told) for part in looked.values()]
            for at, note in zip(looked, await self._said(session, share, "detail", asked), strict=True):
                # An empty reading leaves the rough summary in its place; a closer one stands below the one before.
                notes[at] = (note or notes[at]) if level == 1 else "\n".join(filter(None, (notes[at], note)))
            # Of each part that was read, the part of it that matches best; what cannot be divided was read whole.
            finer = {at: retrieval.sections(part, self.sections) for at, part in looked.items()}
            looked = {
                at: parts[retrieval.rank(parts, problem.text)[0]] for at, parts in finer.items() if len(parts) > 1
            }
        # Where all summaries are empty the document itself is better than nothing.
        return "\n\n".join(filter(None, notes)) or context

    async def _said(self, session: Session, cap: int, role: str, asked: list[str]) -> list[str]:
        # At once: no section sees another.
        replies = await session.ask_many(asked, cap, role=role, temperature=self.temperature)
        return [reply.text.strip() for reply in replies]


SUMMARISE = "{text}\n\nSummarise this part of a document in fewer than {tokens} tokens. Keep names, numbers and facts."
DETAIL = (
    "Summaries of all parts of a document:\n{outline}\n\nOne part in full:\n{text}\n\nA question about the document: "
    "{question}\n\nDo not answer it yet. In fewer than {tokens} tokens, write down all that this part says about it."
)
