"""What can be read off a log beyond what it says: its replies by our own rules, and votes over its draws.

Both are settings of their own beside the log's, under names that say so. A second reading needs a reply and a target;
its score is that of one of our scorers, and the log's own stays what it is. Draws are answers of one setting to one
prompt (epochs); *majority at k* is the mean over every choice of k of them (`analysis.majority_at_k`), at k times their
mean spend. Answers vote by the form our own votes are counted in, a reply that was cut at its cap has no vote, and a
leader scores what its draws scored. Memory holds some numbers an answer: what votes need of it waits in a file.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import takewhile
from operator import attrgetter
from tempfile import SpooledTemporaryFile
from typing import Any

from engine.core import answers, ids, names
from engine.core.errors import UsageError
from engine.core.records import AnswerKind, Problem, Question, Spend
from engine.interop import ImportedAnswer
from engine.interop.kept import Kept
from engine.interop.tally import Tally
from engine.tasks import kinds
from engine.tasks.scorers import SAME, Scorer, is_checker, is_scorer, open_scorer

LONGEST_VOTE = 120
"""Characters of an answer that can agree with another; a log whose answers are whole texts has no votes to count."""
SHORT = 0.9
"""Share of a setting's answers that must be that short."""
SHARED = 0.95
"""Share of a setting's questions that must have k draws, as of the questions of a cell that is not partial."""
MOST_BYTES = 4 << 20
"""Of what votes need, in memory."""
Source = Callable[[], Iterator[ImportedAnswer]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is wanted beside what the log says."""

    read_again: str | None = None
    """Scorer by which replies are read a second time, as a setting of its own; None: they are not."""
    votes: bool = False
    """Whether votes over draws become settings too."""


@dataclass(frozen=True, slots=True)
class _Draw:
    """One answer as far as a vote needs it."""

    vote: str | None
    """None: it has none."""
    score: float | None
    spend: Spend | None
    unreported: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The draws of one setting on one prompt."""

    first: ImportedAnswer
    """Without what a vote has of its own."""
    draws: tuple[_Draw, ...]
    forms: dict[str, str]
    """By vote the answer as it was first written."""


_OWN = ("answer", "score", "repeat", "spend", "error", "unreported", "prompt", "reply", "cut", "votes")
"""What a vote has of its own, or has not."""
_OF_FIRST = tuple(each.name for each in fields(ImportedAnswer) if each.name not in _OWN)
# As plain values, which are put away in a quarter of the time.
_FIRST, _SPEND = attrgetter(*_OF_FIRST), attrgetter(*(each.name for each in fields(Spend)))


class _Prompts:
    """What waits in a file of the answers of one setting: each record is a draw, if it is one, behind the place of the
    one before it to the same prompt; the first has in place of that the answer without what a vote has of its own."""

    def __init__(self, kept: Kept) -> None:
        self._kept, self._numbers = kept, Tally()
        self._last = array("q")
        self.draws = array("i")
        """How many each prompt has."""

    def add(self, prompt: int, answer: ImportedAnswer) -> None:
        """One more, to the prompt of this hash."""
        said = None
        # Failed, which is no vote and no draw.
        if answer.error is None:
            spend = None if answer.spend is None else _SPEND(answer.spend)
            said = None if answer.cut else answer.answer, answer.score, spend, answer.unreported
        number = self._numbers.get(prompt, -1)
        if number < 0:
            self._numbers[prompt] = len(self._last)
            self._last.append(self._kept.put((_FIRST(answer), said)))
            self.draws.append(int(said is not None))
        elif said is not None:
            self._last[number] = self._kept.put((self._last[number], said))
            self.draws[number] += 1

    def drawn(self) -> Iterator[_Drawn]:
        """The draws of each prompt, in the order in which they came."""
        for at in self._last:
            told: list[Any] = []
            before: Any = at
            while isinstance(before, int):
                before, said = self._kept.get(before)
                told += [] if said is None else [said]
            yield _drawn(before, told[::-1])


def readings(source: Source, wishes: Wishes) -> Iterator[ImportedAnswer]:
    """All answers of a log, then of each the second reading right behind it, and at last the votes, where wanted.

    `source` is called once for the answers, and once before for the kinds of their targets. Raises UsageError for a
    scorer that needs what an import has not."""
    scorer = None if wishes.read_again is None else _scorer(wishes.read_again)
    kind_of = {} if scorer is None else _kinds(source)
    drawn: dict[tuple[str, ...], _Prompts] = {}
    # Without a name, so that it ends with the process, and in memory while it is small.
    with SpooledTemporaryFile(MOST_BYTES) as file:
        kept = Kept(file)
        for answer in source():
            yield answer
            _draw(drawn, kept, answer, wishes)
            if scorer is not None and (again := _again(answer, scorer, wishes.read_again or SAME, kind_of)) is not None:
                yield again
                _draw(drawn, kept, again, wishes)
        for prompts in drawn.values():
            yield from _votes(prompts, kept)


def _scorer(name: str) -> Scorer:
    if is_scorer(name) and is_checker(name.partition("(")[0]):
        raise UsageError(f"The scorer {name!r} checks questions of its own kind; a log's replies are read by another.")
    return open_scorer(name)


def _target_key(answer: ImportedAnswer) -> str:
    return ids.digest("i2", [answer.task, answer.question, answer.target or ""])


def _kinds(source: Source) -> dict[str, AnswerKind]:
    """Of each question how its answer looks, in the light of all targets of its task."""
    tasks: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {}
    for answer in source():
        if answer.target is not None:
            tasks.setdefault(answer.task, {})[_target_key(answer)] = (answer.target, answer.options)
    found: dict[str, AnswerKind] = {}
    for own in tasks.values():
        guessed = kinds.guess([target for target, _ in own.values()], (), [options for _, options in own.values()])
        found |= dict(zip(own, guessed.kinds, strict=True))
    return found


def _again(
    answer: ImportedAnswer, scorer: Scorer, called: str, kind_of: dict[str, AnswerKind]
) -> ImportedAnswer | None:
    """The same reply as one of ours would be read; None where there is no reply, or nothing it could be held to."""
    named = f"{names.READ_AGAIN} ({called})"
    if answer.error is not None:
        return replace(answer, scorer=named)
    if answer.target is None or answer.reply is None:
        return None
    kind: AnswerKind = "choice" if answer.options else kind_of.get(_target_key(answer), "text")
    # As one of our own strategies: what was cut at its cap has no answer.
    said = None if answer.cut else answers.extract(answer.reply, kind, options=answer.options)
    score = 0.0
    if said is not None:
        judge = open_scorer("choice") if answer.options and called == SAME else scorer
        problem = Problem(answer.question, kind, options=answer.options)
        # Of several right answers, which tools write with bars between them, the best counts.
        targets = dict.fromkeys((answer.target, *answer.target.split(" | ")))
        score = max(judge.score(said, Question("", answer.task, problem, target)) for target in targets)
    return replace(answer, answer=said, score=min(1.0, max(0.0, float(score))), scorer=named)


def _draw(drawn: dict[tuple[str, ...], _Prompts], kept: Kept, answer: ImportedAnswer, wishes: Wishes) -> None:
    if not wishes.votes:
        return
    # By its words: 0, 0.0 and no are equal, and not the same parameter.
    asked = repr(answer.parameters)
    setting = (answer.log, answer.task, answer.model, answer.setting, answer.scorer or "", asked)
    # Of one prompt: worked examples that change from epoch to epoch make another of it.
    told = tuple(turn.content for turn in takewhile(lambda turn: turn.role != "assistant", answer.prompt))
    # By hash: what is told of the prompts of a log may be larger than the memory.
    prompt = hash((answer.question, answer.target or "", told))
    if setting not in drawn:
        drawn[setting] = _Prompts(kept)
    drawn[setting].add(prompt, answer)


def _votes(prompts: _Prompts, kept: Kept) -> Iterator[ImportedAnswer]:
    """Majority at 2, 4, 8, ... and at all draws, for the numbers of draws that this setting's questions have."""
    sizes = sorted(prompts.draws, reverse=True)
    most = sizes[math.ceil(SHARED * len(sizes)) - 1]
    if most < 2:
        return
    read, forms, short = array("q"), 0, 0
    for drawn in prompts.drawn():
        forms += len(drawn.forms)
        short += sum(len(form) <= LONGEST_VOTE for form in drawn.forms.values())
        read.append(kept.put(drawn))
    if short < SHORT * forms:
        return
    for k in sorted({most, *(1 << power for power in range(1, most.bit_length()))}):
        for at in read:
            drawn = kept.get(at)
            if len(drawn.draws) >= k and (voted := _majority(drawn, k)) is not None:
                yield voted


def _drawn(first: tuple[Any, ...], answered: list[Any]) -> _Drawn:
    draws: list[_Draw] = []
    forms: dict[str, str] = {}
    for said, score, spend, unreported in answered:
        vote = None if said is None else answers.vote_key(said)
        if vote is not None:
            forms.setdefault(vote, said)
        draws.append(_Draw(vote, score, None if spend is None else Spend(*spend), unreported))
    told = dict(zip(_OF_FIRST, first, strict=True))
    return _Drawn(ImportedAnswer(answer=None, score=None, **told), tuple(draws), forms)


def _majority(drawn: _Drawn, k: int) -> ImportedAnswer | None:
    """The mean over every choice of k draws; None where an answer that leads some was scored by nobody."""
    from engine.analysis.majority_at_k import majority

    counts: dict[str, int] = {}
    scores: dict[str, list[float]] = {}
    for draw in drawn.draws:
        if draw.vote is not None:
            counts[draw.vote] = counts.get(draw.vote, 0) + 1
            scores.setdefault(draw.vote, []).extend([] if draw.score is None else [draw.score])
    if not all(scores.values()) or not any(draw.score is not None for draw in drawn.draws):
        return None
    chances = majority(list(counts.values()), sum(draw.vote is None for draw in drawn.draws), k)
    means = [sum(own) / len(own) for own in scores.values()]
    likeliest = max(zip(chances, counts, strict=True), key=lambda pair: pair[0], default=(0.0, None))[1]
    spend, unreported = _spent(drawn.draws, k)
    return replace(
        drawn.first,
        answer=None if likeliest is None else drawn.forms[likeliest],
        score=min(1.0, sum(chance * mean for chance, mean in zip(chances, means, strict=True))),
        spend=spend,
        unreported=unreported,
        sample=f"votes/{drawn.first.sample}",
        votes=k,
    )


def _spent(draws: tuple[_Draw, ...], k: int) -> tuple[Spend | None, tuple[str, ...]]:
    """k times their mean; what one of them does not report is unknown of all."""
    unreported = {part for draw in draws for part in draw.unreported}
    spends = [draw.spend for draw in draws if draw.spend is not None]
    if len(spends) < len(draws):
        return None, tuple(each.name for each in fields(Spend))
    total = sum(spends, Spend())
    parts = {each.name: round(k * getattr(total, each.name) / len(draws)) for each in fields(Spend)}
    return Spend(**parts), tuple(each.name for each in fields(Spend) if each.name in unreported)
