"""How much of a thought was needed: accuracy if every stored thought of a setting were stopped after k tokens.

From probes where a setting was probed, whose answers were forced at fixed places (`budgetscope probe`), else from the
text alone: what the reader of answers makes of a thought's beginning. The two are never mixed, and each is named.
Questions are the sampling unit: thoughts are averaged within a question, intervals are 95 % of a bootstrap over
questions. Compare: 41-52 % of reasoning tokens come after the answer (PUMA, arXiv 2605.17672); AnytimeReasoner (arXiv
2505.13438); s1 (arXiv 2501.19393).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.sql.chains import Chain, visible
from engine.analysis.stats import Bootstrap, Estimate, Sample, guarded_wilson, percentiles
from engine.core import text
from engine.core.answers import READER_VERSION
from engine.core.errors import UsageError
from engine.core.records import Probe
from engine.core.thoughts import Cut, Place, Thought, from_text, grid, places
from engine.models.tokens.tokenizers import WORDS, nearest
from engine.store.store import Store

MARGIN = 0.03
"""Points of accuracy below which the rest of a thought adds nothing that counts."""
PLACES, SENTENCES = 12, 4
"""Places all thoughts share, and ends of sentences each has besides, unless told otherwise."""
MOST = 2_000
"""Thoughts read from their text at most: reading one at each place takes milliseconds."""
CURVE_SCHEMA: dict[str, Any] = {
    "tokens": pl.Int64,
    **dict.fromkeys(("accuracy", "low", "high"), pl.Float64),
    "rest": pl.Float64,
    **dict.fromkeys(("rest_low", "rest_high"), pl.Float64),
    **dict.fromkeys(("spent_tokens", "forced_tokens"), pl.Float64),
    **dict.fromkeys(("n_thinking", "n_thoughts", "n_questions"), pl.Int64),
}
Source = Literal["probes", "text"]
Floats = NDArray[np.float64]
Value = Callable[[Thought], float | None]
Known = dict[tuple[str, str, bool, str, tuple[int, ...]], Thought]
"""Thoughts read from their text: by completion, question, whether it was cut, model and the places they share."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The first place of the curve after which the rest of the thoughts adds under `MARGIN`, by the upper end of the
    interval of the difference."""

    tokens: int
    accuracy: float
    change: Estimate
    """Accuracy stopped here less that of the whole thoughts, 0 to 1."""
    spent_tokens: float
    """Mean tokens of a thought stopped here."""


@dataclass(frozen=True, slots=True)
class Excess:
    """How much some thoughts go on past their answers; None: no thought tells."""

    redundant: Estimate
    """Share of all their tokens that come after the answer was settled (probes), or had first been stated (text), of
    thoughts with an answer of their own."""
    n_answered: int
    """Thoughts with an answer of their own."""
    first_right: Estimate
    """Mean tokens at the first right answer, of the thoughts that have one."""
    n_right: int
    """Thoughts that were right at some place."""
    thought_away: Estimate
    """Share of thoughts that were right at some place and are not at their end."""
    flips: Estimate
    """Right answers followed by one that is not, a thought."""
    n_thoughts: int
    n_questions: int


@dataclass(frozen=True, slots=True)
class Inside:
    """What the thoughts of a setting say about stopping them; None: no thought tells."""

    source: Source
    exact: bool
    """Tokens are counted by the model's own tokenizer; False: about."""
    how: str
    """How answers were forced: continued, asked, or read."""
    curve: pl.DataFrame
    """Columns CURVE_SCHEMA, by tokens; the last row is the whole thoughts. `rest`: what the rest of them adds to the
    accuracy; n_thinking: thoughts that are longer; forced_tokens: mean tokens of a forced answer, which are in no x."""
    stop: Stop | None
    """None: there is no place before the end from which on the rest adds nothing, or too few questions to tell."""
    thoughts: tuple[Thought, ...]
    left_out: int
    """Thoughts that were not looked at: hidden ones, and those not probed to their end."""
    mean_tokens: Estimate
    excess: Excess
    reached: float | None
    """Median tokens at the first place that says what the end says; of a text, where its answer first stands."""
    settled: float | None
    """Median tokens at the place from which on all say what the end says; None: read from texts, or no answer."""
    reader: int = READER_VERSION
    """Version of the reading of answers that read them."""

    @property
    def older(self) -> str:
        """What is to be said where an older version read the looks; empty: today's did."""
        if self.reader == READER_VERSION:
            return ""
        return (
            "Read by an older version; `budgetscope probe --read-again` reads these looks anew from the stored "
            "replies, unpaid."
        )

    @property
    def n_questions(self) -> int:
        """Questions they are about."""
        return len({thought.question_id for thought in self.thoughts})

    def finding(self) -> str:
        """What to take from it, in one sentence."""
        if not self.thoughts:
            return "no thought was looked into yet." if self.source == "probes" else "there is no thought to read."
        after = self.excess.redundant.mean
        share = text.accuracy(after, self.n_questions)
        rest = "no thought answers" if after is None else f"{share} of tokens come after the answer"
        if self.stop is None:
            return f"no place to stop early is found; {rest}."
        return f"thinking past {text.plural(self.stop.tokens, 'token')} gains nothing measurable; {rest}."

    def sentences(self) -> Iterator[str]:
        """Where the numbers come from, and what stands beside the curve."""
        if not self.thoughts:
            return
        n = f"{text.plural(len(self.thoughts), 'thought')} on {text.plural(self.n_questions, 'question')}"
        if self.source == "text":
            yield f"Estimated from the text alone, nobody was asked: {n}, each read again from its first tokens."
            yield "An answer is there once its value stands in the text; that may repeat a number of the question."
        else:
            yield f"Forced answers of {n}; their own tokens are not on the axis of thought."
            if self.older:
                yield self.older
        if not self.exact:
            yield "Tokens are about: counted by the nearest tokenizer, in proportion to what the provider reported."
        after = "first stands in the text" if self.source == "text" else "settled: from there on every place says it"
        yield (
            f"After the final answer {after}: {_said(self.excess.redundant)} of the tokens of "
            f"{text.plural(self.excess.n_answered, 'thought')} that answer; median "
            f"{text.count(_whole(self.reached))} tokens until it is "
            f"{'there' if self.source == 'text' else 'first reached'}, thoughts have "
            f"{text.count(_whole(self.mean_tokens.mean))} on average."
        )
        if self.stop is not None:
            yield (
                f"Stopped after {text.count(self.stop.tokens)} tokens: {text.count(_whole(self.stop.spent_tokens))} a "
                f"thought, and {text.points(self.stop.change.mean)} "
                f"{text.interval(self.stop.change.low, self.stop.change.high, text.points)} in right answers."
            )
        yield f"Right, and then thought away: {_said(self.excess.thought_away)} of thoughts."
        if self.excess.n_right:
            yield (
                f"First right after {_said(self.excess.first_right, text.number)} tokens, of the "
                f"{text.plural(self.excess.n_right, 'thought')} that ever are; a right answer is left again "
                f"{_said(self.excess.flips, text.number)} times a thought."
            )
        if self.left_out:
            yield f"{text.plural(self.left_out, 'thought')} of this setting are not in these numbers."


@dataclass(frozen=True, slots=True)
class Probed:
    """Thoughts that were probed to their end, all of one probing and read by one version."""

    thoughts: tuple[Thought, ...] = ()
    how: str = ""
    exact: bool = True
    reader: int = READER_VERSION


def probed(every: Sequence[Chain], probes: Sequence[Probe]) -> Probed:
    """Thoughts that were probed to their end, as the newest version read that read any; of several probings the one
    that looked into most of them, then the finer one."""
    reader = max((probe.reader for probe in probes), default=READER_VERSION)
    probes = [probe for probe in probes if probe.reader == reader]
    found = Counter((probe.how, probe.grid) for probe in probes if probe.key is None)
    if not found:
        return Probed()
    how, shared = max(found, key=lambda each: (found[each], len(each[1]), each))
    kinds = {(chain.key, chain.question_id): chain.kind for chain in every}
    looks: dict[tuple[str, str], list[Probe]] = {}
    for probe in probes:
        if (probe.how, probe.grid) == (how, shared) and (probe.chain_key, probe.question_id) in kinds:
            looks.setdefault((probe.chain_key, probe.question_id), []).append(probe)
    thoughts, exact = [], True
    for (key, question), own in looks.items():
        own.sort(key=lambda probe: probe.place_tokens)
        if own[-1].key is not None:
            continue
        at = [Place(p.place_tokens, p.answer, p.score, p.spend.output_tokens, p.on_grid) for p in own]
        thoughts.append(Thought(key, question, own[-1].chain_tokens, kinds[key, question], tuple(at)))
        exact = exact and own[-1].exact
    return Probed(tuple(thoughts), how, exact, reader)


def read(every: Sequence[Chain], name: str, count: int = PLACES, known: Known | None = None) -> list[Thought]:
    """Thoughts as their texts say, counted by the nearest tokenizer at hand in proportion to what is stored.

    `name`: of the model; `known`: thoughts that were read before, which are not read again, and are added to. Raises
    LookupError where nobody here knows the task."""
    shown, known = visible(every)[:MOST], {} if known is None else known
    # What is stored says how long they are; only words, which are their own count, are cut for it.
    length = (lambda chain: stored(chain, name).n_tokens) if name.startswith(WORDS) else own_tokens
    shared = grid(max(map(length, shown), default=1), count)
    thoughts = []
    for chain in shown:
        place = chain.key, chain.question_id, chain.cut, name, shared
        if place not in known:
            cut = stored(chain, name)
            told = [(at, chain.read(cut.before(at))) for at, _ in places(cut, shared, 0)]
            told.append((cut.n_tokens, chain.answer))
            score = {answer: chain.score(answer) for answer in {answer for _, answer in told}}
            said = [(at, answer, score[answer]) for at, answer in told]
            known[place] = from_text(chain.key, chain.question_id, cut, chain.kind, said)
        thoughts.append(known[place])
    return thoughts


def own_tokens(chain: Chain) -> int:
    """Tokens of its text as its provider counted them, without the one that ends a reply."""
    return max(1, chain.output_tokens - (not chain.cut))


def stored(chain: Chain, name: str) -> Cut:
    """A thought as tokens without its model: by the nearest tokenizer, in proportion to the count that is stored."""
    return Cut(nearest(chain.text, name), None if name.startswith(WORDS) else own_tokens(chain))


class Stored(Protocol):
    """What is asked of the results of a database."""

    @property
    def path(self) -> Path: ...
    def chains(
        self,
        condition_id: str,
        study: str | None = None,
        *,
        most: int | None = None,
        keys: Collection[str] | None = None,
    ) -> list[Chain]: ...
    def n_chains(self, condition_id: str, study: str | None = None) -> tuple[int, int]: ...
    def conditions(self) -> pl.DataFrame: ...


def of(results: Stored, condition_id: str, study: str | None = None, source: Source | None = None) -> Inside:
    """What the thoughts of a condition say; `source`: probes or text; None: probes where there are some.

    Raises UnknownName for an id that is not there, UsageError where nobody knows the task, so that a text read up to a
    place cannot be judged."""
    n_stored, _ = results.n_chains(condition_id, study)
    if source != "text":
        store = Store(results.path)
        looked_into = store.looked_into()
        every = results.chains(condition_id, study, keys=looked_into) if looked_into else []
        looked = probed(every, store.probes({chain.key for chain in every}))
        if (told := looked.thoughts) or source == "probes":
            found = inside(told, "probes", looked.how, looked.exact, n_stored - len(told))
            return replace(found, reader=looked.reader)
    name = dict(results.conditions().select("condition_id", "model").iter_rows())[condition_id]
    try:
        from_texts = read(results.chains(condition_id, study, most=MOST), name)
    except LookupError as error:
        raise UsageError(f"Nobody here knows the task {error}, so its thoughts cannot be judged.") from None
    return inside(from_texts, "text", "read", name.startswith(WORDS), n_stored - len(from_texts))


def inside(
    thoughts: Sequence[Thought], source: Source, how: str, exact: bool, left_out: int = 0, sample: Sample = Sample()
) -> Inside:
    """What they say; an empty list says nothing. Raises nothing."""
    groups, bootstrap = _by_question(thoughts, sample)
    curve = _curve(groups, bootstrap)
    answered = [thought for thought in thoughts if thought.final.answer is not None]
    reached = [each for t in answered if (each := t.stated if source == "text" else t.first_reached) is not None]
    settled = [each for t in answered if (each := t.settled) is not None] if source == "probes" else []
    return Inside(
        source=source,
        exact=exact,
        how=how,
        curve=curve,
        stop=_stop(curve),
        thoughts=tuple(thoughts),
        left_out=left_out,
        mean_tokens=_mean(groups, bootstrap, lambda thought: thought.n_tokens),
        excess=excess(thoughts, source, sample),
        reached=median(reached) if reached else None,
        settled=median(settled) if settled else None,
    )


def excess(thoughts: Sequence[Thought], source: Source, sample: Sample = Sample()) -> Excess:
    """How much these go on past their answers. Raises nothing."""
    groups, bootstrap = _by_question(thoughts, sample)
    after = _after_stated if source == "text" else _after_settled
    return Excess(
        redundant=_ratio(groups, bootstrap, after, lambda thought: thought.n_tokens),
        n_answered=sum(thought.final.answer is not None for thought in thoughts),
        first_right=_ratio(groups, bootstrap, lambda thought: thought.first_right, lambda _: 1.0),
        n_right=sum(thought.first_right is not None for thought in thoughts),
        thought_away=_of_share(_mean(groups, bootstrap, lambda thought: thought.thought_away), len(groups)),
        flips=_unseen(_mean(groups, bootstrap, lambda thought: thought.flips), len(groups)),
        n_thoughts=len(thoughts),
        n_questions=len(groups),
    )


def _by_question(thoughts: Sequence[Thought], sample: Sample) -> tuple[list[list[Thought]], Bootstrap]:
    """Thoughts question by question, and resamples of the questions."""
    groups: dict[str, list[Thought]] = {}
    for thought in sorted(thoughts, key=lambda each: (each.question_id, each.key)):
        groups.setdefault(thought.question_id, []).append(thought)
    return list(groups.values()), Bootstrap(len(groups), sample.replicates, sample.seed)


def _said(estimate: Estimate, form: Callable[[float | None], str] = text.percent) -> str:
    return f"{form(estimate.mean)} {text.interval(estimate.low, estimate.high, form)}".strip()


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def record(found: Inside) -> dict[str, Any]:
    """Everything but the single thoughts, as plain data; shares from 0 to 1, tokens whole or mean."""
    own = ("source", "how", "exact", "left_out", "reached", "settled", "reader")
    return {
        **{name: getattr(found, name) for name in own},
        **asdict(found.excess),
        "mean_tokens": asdict(found.mean_tokens),
        "stop": None if found.stop is None else asdict(found.stop),
        "curve": found.curve.to_dicts(),
    }


def _after_settled(thought: Thought) -> float | None:
    return thought.redundant


def _after_stated(thought: Thought) -> float | None:
    return None if thought.stated is None else thought.n_tokens - thought.stated


def _curve(groups: Sequence[Sequence[Thought]], bootstrap: Bootstrap) -> pl.DataFrame:
    """Accuracy stopped at each shared place, and at the end of all."""
    every = [thought for group in groups for thought in group]
    if not every:
        return pl.DataFrame(schema=CURVE_SCHEMA)
    shared = {place.tokens for thought in every for place in thought.places[:-1] if place.on_grid}
    whole = max(thought.n_tokens for thought in every)
    final = _question_means(groups, lambda thought: thought.final.score or 0.0)
    rows = []
    for at in sorted({*shared, whole}):
        stopped = _question_means(groups, partial(_score_at, at))
        value, rest = _of_share(_interval(stopped, bootstrap), len(groups)), _interval(final - stopped, bootstrap)
        if not np.any(final - stopped):
            # No question changed, which a bootstrap takes for certainty: as many may change as may go unseen in n.
            unseen = guarded_wilson(0, len(groups))[1]
            rest = Estimate(0.0, -unseen, unseen)
        thinking = [thought.at(at).forced_tokens for thought in every if thought.n_tokens > at]
        row = {"tokens": at, "accuracy": value.mean, "low": value.low, "high": value.high}
        row |= {"rest": rest.mean, "rest_low": rest.low, "rest_high": rest.high}
        spent = _question_means(groups, partial(_length_at, at))
        row |= {"spent_tokens": float(spent.mean()), "n_thinking": len(thinking)}
        row |= {"forced_tokens": float(np.mean(thinking)) if any(thinking) else None}
        rows.append({**row, "n_thoughts": len(every), "n_questions": len(groups)})
    return pl.DataFrame(rows, schema=CURVE_SCHEMA)


def _score_at(tokens: int, thought: Thought) -> float:
    return thought.at(tokens).score or 0.0


def _length_at(tokens: int, thought: Thought) -> float:
    return min(tokens, thought.n_tokens)


def _stop(curve: pl.DataFrame) -> Stop | None:
    for row in curve.head(-1).iter_rows(named=True):
        if row["rest_high"] is not None and row["rest_high"] < MARGIN:
            change = Estimate(-row["rest"], -row["rest_high"], -row["rest_low"])
            return Stop(row["tokens"], row["accuracy"], change, row["spent_tokens"])
    return None


def _question_means(groups: Sequence[Sequence[Thought]], value: Callable[[Thought], float]) -> Floats:
    return np.array([fmean(value(thought) for thought in group) for group in groups], dtype=np.float64)


def _interval(by_question: Floats, bootstrap: Bootstrap) -> Estimate:
    if not len(by_question):
        return Estimate(None)
    means = bootstrap.sums(by_question) / len(by_question)
    return Estimate.of(float(by_question.mean()), percentiles(means, len(by_question)))


def _mean(groups: Sequence[Sequence[Thought]], bootstrap: Bootstrap, value: Value) -> Estimate:
    return _interval(_question_means(groups, lambda thought: value(thought) or 0.0), bootstrap)


def _of_share(estimate: Estimate, n: int) -> Estimate:
    """One of a share that is 0 or 1 on every question, where a bootstrap has no width, gets Wilson's interval."""
    if estimate.mean in (0.0, 1.0) and n > 1:
        return Estimate.of(estimate.mean, guarded_wilson(estimate.mean * n, n))
    return estimate


def _unseen(estimate: Estimate, n: int) -> Estimate:
    """Of what is on no question, where a bootstrap has no width: as many may have it as may go unseen in n."""
    return Estimate.of(0.0, guarded_wilson(0, n)) if estimate.mean == 0 and n > 1 else estimate


def _ratio(groups: Sequence[Sequence[Thought]], bootstrap: Bootstrap, part: Value, whole: Value) -> Estimate:
    """Sum of parts over sum of wholes, of thoughts whose part is known."""
    pairs = [[(p, whole(t) or 0.0) for t in group if (p := part(t)) is not None] for group in groups]
    sums = np.array([[sum(p for p, _ in own), sum(w for _, w in own)] for own in pairs], dtype=np.float64)
    if not len(sums) or not sums[:, 1].sum():
        return Estimate(None)
    parts, wholes = bootstrap.sums(sums).T
    known = wholes > 0
    clusters = int((sums[:, 1] > 0).sum())
    ratio = float(sums[:, 0].sum() / sums[:, 1].sum())
    return _unseen(Estimate.of(ratio, percentiles(parts[known] / wholes[known], clusters)), clusters)
