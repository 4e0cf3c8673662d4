"""The frozen records that cross doors between rooms; no behaviour beyond arithmetic and no imports from our rooms.

Units: tokens are model tokens, money is integer pico-dollars (1e-12 USD, field suffix `_pusd`), durations are
milliseconds, times are aware UTC datetimes. None always means "not reported / not known", 0 means zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta

Axis = Literal["output_tokens", "total_tokens", "calls", "usd"]
AXES: tuple[Axis, ...] = ("output_tokens", "total_tokens", "calls", "usd")
PUSD_PER_USD = 10**12

# A signed column of 64 bits: a provider may report any number, and a larger one is refused, not wrapped around.
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""A whole number as a database column holds it; checked where a record is read back, not where one is made."""
Moment = Annotated[datetime, Meta(tz=True)]
"""A time with its zone."""

AnswerKind = Literal["number", "choice", "expression", "yes_no", "word", "text"]
Which = Literal["last", "first"]
"""Which of several answers that a reply states is its answer; benchmarks differ."""
Verdict = Literal["right", "partly", "wrong", "none"]
"""A score in words: 1, between, 0, and no answer to score."""
FactKind = Literal["could_work", "acted"]
End = Literal["finished", "exhausted", "failed", "stopped"]
Finish = Literal["stop", "length", "filter", "unsaid", "other"]
"""How a reply ended by its provider's word. `unsaid`: kept as a stop though nobody said so; `other` stands in what
earlier versions stored of replies that had not finished, and is replayed no more."""


class Cut(StrEnum):
    """Why a call is not a whole reply that the strategy saw."""

    OWN = "own"
    """Stopped at the asked cap."""
    BUDGET = "budget"
    """Longer than granted; never shown to the strategy."""
    REFUSED = "refused"
    """No token was left for it."""
    CONTEXT = "context"
    """Does not fit the model's window; ends the trial at every budget."""
    LIMIT = "limit"
    """One call more than any trial makes; ends the trial at every budget."""
    FAILED = "failed"
    """The provider gave up."""

    @property
    def closes(self) -> bool:
        """Whether the session makes no further call."""
        return self is not Cut.OWN

    @property
    def beyond(self) -> bool:
        """Whether a larger budget would have gone on where the data end, so that they are censored beyond it."""
        # A full window and the most calls of a trial stop it at every budget, so beyond them it is known and not
        # censored.
        return self in (Cut.BUDGET, Cut.REFUSED, Cut.FAILED)


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example (few-shot) of a task."""

    question: str
    answer: str
    reasoning: str | None = None
    """Written-out steps; None: none were given, so reasoning prompts show the answer alone."""


Cluster = tuple[str, str | None, tuple[Message, ...]]
"""Text, document and what was said before."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a strategy may see of a question: never the target."""

    text: str
    answer_kind: AnswerKind = "text"
    """How answers of this task look, so that extraction knows what to look for."""
    instructions: str = ""
    """One sentence on the form of the answer; empty: none."""
    examples: tuple[Example, ...] = ()
    context: str | None = None
    """A document the question is about; None: the question stands alone."""
    options: tuple[str, ...] = ()
    """Texts of the options of a choice, A first; empty: none are known. The text shows them already."""
    statement: Which = "last"
    """Which of several answers that a reply states is its answer."""
    turns: tuple[Message, ...] = ()
    """What was said in the chat before, a system message first if there is one; empty: the question opens it."""

    @property
    def cluster(self) -> Cluster:
        """All that is asked. Questions alike in it count once in all statistics, however many targets they have; one
        instruction over many documents, or behind many chats, is as many questions."""
        return self.text, self.context, self.turns


@dataclass(frozen=True, slots=True)
class Question:
    """A problem with its target; the sampling unit of all statistics."""

    question_id: str
    """Hash of task, text, target and context: equal content, equal id, whatever the order or the file name."""
    task: str
    problem: Problem
    target: str
    category: str | None = None
    """Group for breakdowns (difficulty, topic); None: the task has none."""
    # Text and no mapping: a frozen record is hashed, and what was stored is compared as it was written.
    data: str = "{}"
    """Canonical JSON the scorer needs beyond the target; never shown to a strategy."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a provider reported for one completion."""

    input_tokens: Count
    """All prompt tokens, cached ones included."""
    output_tokens: Count
    """All generated tokens, reasoning and the end token included."""
    cached_tokens: Count | None = None
    """Part of the input read from a prompt cache; None: not reported."""
    cache_write_tokens: Count | None = None
    """Part of the input written to a prompt cache; None: not reported."""
    reasoning_tokens: Count | None = None
    """Part of the output that was hidden reasoning; None: not reported."""
    estimated: bool = False
    """True: the provider sent no usage; input is our upper bound, output our own count."""


@dataclass(frozen=True, slots=True)
class Spend:
    """The spend vector; every axis, price and energy figure is linear in it."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    latency_ms: int = 0
    """Sum of measured call latencies; depends on load, never used to cut a curve."""

    def __add__(self, other: Spend) -> Spend:
        # Written out, as it runs for every call of every trial that is read.
        return Spend(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.latency_ms + other.latency_ms,
        )

    @property
    def total_tokens(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Tier:
    """What every token of a call costs whose own input is longer than a threshold; pico-dollars as in `Price`."""

    above_input_tokens: int
    """Calls with more input than this; 0 for the base, where calls without input belong too."""
    input_pusd: int
    output_pusd: int
    cached_pusd: int | None = None
    """Cached input; None: billed as plain input."""
    cache_write_pusd: int | None = None
    """Cache writes; None: billed as plain input."""
    reasoning_pusd: int | None = None
    """Hidden reasoning; None: billed as plain output."""

    def cost_pusd(self, spend: Spend, cache_discount: bool) -> int:
        """What the tokens of calls in this tier cost."""
        # Without the discount, because caching depends on what ran before: the same calls would cost another sum.
        plain = spend.input_tokens * self.input_pusd + spend.output_tokens * self.output_pusd
        if self.reasoning_pusd is not None:
            # Hidden reasoning is part of the output, which is counted whole above: only what it costs more, or less, is
            # added.
            plain += spend.reasoning_tokens * (self.reasoning_pusd - self.output_pusd)
        if not cache_discount:
            return plain
        # The same for input: cached tokens are counted among it, so these are differences and may be below zero.
        read = (self.input_pusd if self.cached_pusd is None else self.cached_pusd) - self.input_pusd
        write = (self.input_pusd if self.cache_write_pusd is None else self.cache_write_pusd) - self.input_pusd
        return plain + spend.cached_tokens * read + spend.cache_write_tokens * write


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one model in integer pico-dollars per token (USD per million tokens x 1e6).

    The rates of its own fields are those of the base: calls no longer than the first threshold of `tiers`.
    """

    input_pusd: int
    output_pusd: int
    cached_pusd: int | None = None
    """Cached input; None: billed as plain input."""
    cache_write_pusd: int | None = None
    """Cache writes; None: billed as plain input."""
    source: str = "user"
    """Where the figure is from: 'litellm <version>', a URL, 'study', ..."""
    as_of: str | None = None
    """ISO date the figure was valid; None: unknown."""
    assumed: bool = False
    """True: a stand-in for a model nobody bills (a local one); shown as 'assumed' wherever money is."""
    reasoning_pusd: int | None = None
    """Hidden reasoning; None: billed as plain output."""
    request_pusd: int = 0
    """What every call costs besides its tokens, in pico-dollars a call."""
    tiers: tuple[Tier, ...] = ()
    """Other rates above thresholds, in rising order; empty: one rate for calls of any length."""

    @property
    def flat(self) -> bool:
        """Whether it is rates for input and output tokens alone, whatever the call."""
        return not self.tiers and not self.request_pusd and self.reasoning_pusd in (None, self.output_pusd)

    @property
    def rates(self) -> tuple[Tier, ...]:
        """The base and the tiers above it; a call's tier is its place here."""
        return _rates(self)

    def tier(self, input_tokens: int) -> int:
        """The tier of a call with so much input of its own, cached input included; 0: the base."""
        # Thresholds rise, so those that are passed are the first ones, and their number is the place in `rates`.
        return sum(input_tokens > each.above_input_tokens for each in self.tiers)

    def cost_pusd(self, spend: Spend, *, cache_discount: bool = False, tier: int | None = None) -> int:
        """List price of `spend`; with `cache_discount` cached and cache-write tokens at their own rates.

        `tier`: where all its calls lie; None: it is one call, whose own input decides.
        """
        # A sum of calls must name its tier: ten short calls are no long one, whatever their input adds up to.
        rates = self.rates[self.tier(spend.input_tokens) if tier is None else tier]
        return spend.calls * self.request_pusd + rates.cost_pusd(spend, cache_discount)


@lru_cache(maxsize=1024)
def _rates(price: Price) -> tuple[Tier, ...]:
    # Kept: every call asks for those of its model several times.
    base = Tier(0, price.input_pusd, price.output_pusd, price.cached_pusd, price.cache_write_pusd, price.reasoning_pusd)
    return (base, *price.tiers)


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that identifies a completion in the pool (arXiv 2203.11171's "sample", made nameable)."""

    model: str
    """Model identity: provider/name@host/path, or local/<name>@<hash of the GGUF>."""
    messages: Prompt
    params: tuple[tuple[str, str | int | float | bool], ...]
    """Sampling parameters that are sent, sorted by name; never timeout or seed."""
    asked_tokens: int
    """The cap that is asked; the trial's budget only views a prefix of the reply."""
    repeat: int
    draw: int
    """The k-th time this trial makes this request, whatever the cap; from 0."""
    # Derived from the rest, so two requests are equal without them, and whoever changes a field sets both again.
    key: str = field(default="", compare=False)
    """Content hash of the above (`pool.request_key`)."""
    seed: int = field(default=0, compare=False)
    """Provider seed: hash of model, messages, params, repeat and draw; the cap left out."""
    sent_tokens: int | None = field(default=None, compare=False)
    """The cap that is sent where the model's window leaves less than the asked one; None: the asked one."""

    @property
    def cap_tokens(self) -> int:
        """The cap that is sent."""
        return self.asked_tokens if self.sent_tokens is None else self.sent_tokens


@dataclass(frozen=True, slots=True)
class Completion:
    """One reply of a model, stored once and referenced by every call that used it."""

    key: str
    text: str
    finish: Finish
    usage: Usage
    latency_ms: Count
    model_reported: str | None
    """Model name in the reply; None: the provider did not say."""
    fingerprint: str | None
    """`system_fingerprint`; None: the provider did not say."""
    created_at: Moment
    provider_cost_pusd: Count | None = None
    """Cost the provider itself reported; None: it did not."""
    run_id: str | None = None
    """The run that paid for it; None until it is stored."""
    sent_tokens: Count | None = None
    """The cap it was sent with where that was less than the asked one, for want of room in the window; None: asked."""
    answered_by: str | None = None
    """Host and path of the address that answered, where the model has several; None: it has one."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One dispatch to a provider, whatever became of it."""

    attempt_id: str
    key: str
    """Completion key it was made for."""
    model: str
    ordinal: Count
    """0 for the first try, 1 for the first retry, ..."""
    outcome: Literal["ok", "retried", "failed", "in_doubt"]
    error: str | None
    reserved_tokens: Count
    """Worst case held back before dispatch: prompt bound plus asked cap."""
    reserved_pusd: Count | None
    """Worst case in money; None: the price is unknown."""
    charged_tokens: Count
    """What was charged to the run; the reservation itself when in doubt, 0 when the provider refused."""
    charged_pusd: Count | None
    """The same in money, by our price; the ceiling counts the cost a provider itself reported where that is more."""
    started_at: Moment
    latency_ms: Count


@dataclass(frozen=True, slots=True)
class ModelSpend:
    """The part of a spend that went to one model."""

    model: str
    spend: Spend
    metered_input_tokens: int
    """High-water mark H of the input: what walls read instead of the reported input. Of several tiers of a model each
    holds what its own calls added to it."""
    tier: int = 0
    """Of the price the trial was planned with (`Price.tier`), where the calls of this spend lie."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a trial in program order; the closing call included, even a refused one."""

    ordinal: int
    role: str
    """solve, estimate, critique, refine, judge, ..."""
    model: str
    key: str
    """Completion it viewed; the completion may be missing when `cut` is refused, context or failed."""
    messages: Prompt
    """The prompt as sent; stored once per distinct prompt."""
    asked_tokens: int
    granted_tokens: int
    """Largest reply the walls would have let through; 0 when refused."""
    bound_tokens: int
    """Upper bound of the prompt that was reserved."""
    cut: Cut | None
    """None: whole."""
    replayed: bool
    """True: the completion was already paid for."""
    spend: Spend
    """What the trial was charged: for a budget cut the granted prefix, for a refused call nothing."""
    seen_output_tokens: int | None
    """Length of the whole reply; None: there was none."""
    metered_input_tokens: int
    """This model's high-water mark H after the call (what it would be, for a refused one)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """ "If the budget closed now, this is my answer": left when a yield changes the answer."""

    ordinal: int
    answer: str
    after_calls: int
    """Consumed calls when the mark was left; 0: before any."""
    spends: tuple[ModelSpend, ...]
    """Cumulative, one per model called so far and tier of its price."""
    verdict: Verdict = "none"
    score: float | None = None
    """From 0, wrong, to 1, right; None: there was nothing to score. What is right or wrong need not say it."""

    def __post_init__(self) -> None:
        _say_score(self)


@dataclass(frozen=True, slots=True)
class Fact:
    """What a strategy states of its own mechanism in one trial; at a budget it counts where its call is covered.

    A trial on which nothing was stated says nothing: that is unknown and not False.
    """

    ordinal: int
    kind: FactKind
    """could_work: whether what the mechanism rests on was there; acted: whether it changed what was done."""
    name: str
    """In words: 'estimate read', 'escalated'."""
    holds: bool
    after_calls: int
    """Consumed calls when it was stated; 0: before any."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A look into a stored reply: what the model answers when its thought is stopped at a place.

    No call of any trial: it is in no mark, no spend and no frontier; the run that made it pays.
    """

    chain_key: str
    """The completion that is looked into."""
    question_id: str
    how: Literal["continued", "asked"]
    """continued: the model went on from the place with the beginning of its answer; asked: it was told to answer."""
    grid: str
    """JSON list of the places that all thoughts of this probing share, fixed before it; numbers of tokens."""
    place_tokens: int
    """Tokens of the thought before the place; its length at its end, where nothing is asked."""
    on_grid: bool
    """False: an end of a sentence, which this thought has for itself."""
    chain_tokens: int
    """Length of the thought."""
    exact: bool
    """Counted by the model's own tokenizer; False: by the nearest one, in proportion to the count that is stored."""
    answer: str | None
    """None: none was given."""
    verdict: Verdict
    key: str | None
    """The completion that gave the answer; None at the thought's end."""
    spend: Spend = Spend()
    """What the forced answer takes, paid or replayed; nothing at the thought's end."""
    run_id: str | None = None
    score: float | None = None
    """From 0, wrong, to 1, right; None: there was no answer to score. What is right or wrong need not say it."""
    reader: int = 1
    """As `Trial.reader`."""

    def __post_init__(self) -> None:
        _say_score(self)


@dataclass(frozen=True, slots=True)
class Weights:
    """Prices of one axis for one model: wall = calls*c + metered input*i + output*o, all integers."""

    calls: int = 0
    input: int = 0
    output: int = 0
    tiers: tuple[tuple[int, int, int], ...] = ()
    """Input and output of calls with more input than a threshold, which comes first; rising, and never cheaper than
    what is below."""

    def at(self, input_tokens: int) -> tuple[int, int]:
        """What an input and an output token weigh in a call that may have so much input."""
        pair = (self.input, self.output)
        # The last one passed holds, as they rise.
        for above, *higher in self.tiers:
            if input_tokens > above:
                pair = (higher[0], higher[1])
        return pair


@dataclass(frozen=True, slots=True)
class Wall:
    """One side of a trial's budget box."""

    axis: Axis
    limit: int
    """In the axis' unit; pico-dollars on `usd`."""
    weights: tuple[tuple[str, Weights], ...] = ()
    """Per model identity; needed on `usd`, derived from the axis elsewhere."""


@dataclass(frozen=True, slots=True)
class ModelSetting:
    """A model as a line-up names it."""

    name: str
    """As written in the study: 'local/smollm2-135m', 'openai/gpt-4o-mini', or a [[models]] name."""
    identity: str
    """What completions and trials are identified by."""
    price: Price | None = None
    """None: unknown, which is not zero."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Task, line-up, strategy with parameters, and budget."""

    condition_id: str
    task: str
    lineup: tuple[tuple[str, ModelSetting], ...]
    """Role to model; a single model is (("solver", m),)."""
    strategy: str
    params: str
    """Canonical JSON of all parameters, defaults included."""
    version: int
    """The strategy's version; bumped with its prompts or logic."""
    anytime: bool
    axis: Axis
    budget: int
    """Wall of the budget axis: the largest one for an anytime condition. Pico-dollars on `usd`."""
    prompting: str = "{}"
    """Canonical JSON of system prompt and worked examples: the study's part of every prompt."""

    @property
    def solver(self) -> ModelSetting:
        """The model that answers."""
        # Every line-up has one; further roles are what its strategy asks for.
        return dict(self.lineup)["solver"]


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """A planned trial: one condition on one question, once."""

    trial_id: str
    """Hash of question content, line-up, strategy, parameters, version, repeat, axis; budget unless anytime."""
    condition: Condition
    question: Question
    repeat: int


@dataclass(frozen=True, slots=True)
class Trial:
    """How a planned trial ended."""

    spec: TrialSpec
    run_id: str
    attempt: int
    """1 for the first time; a resumed failure or a larger anytime budget is n + 1."""
    end: End
    verdict: Verdict
    answer: str | None
    """Of the last mark; None: the trial left none."""
    error: str | None
    """The sentence of a failure, 'context' for a full window, 'budget' for a wall; None: finished."""
    calls: tuple[Call, ...]
    marks: tuple[Mark, ...]
    spends: tuple[ModelSpend, ...]
    """Cumulative at the end, the closing call's charged prefix included; one per model and tier of its price."""
    started_at: datetime
    finished_at: datetime
    reader: int = 1
    """Version of the reading that left answers, votes and verdicts (`core.answers.READER_VERSION`); 1 also for trials
    stored before it was kept."""
    facts: tuple[Fact, ...] = ()
    """What the strategy stated of its mechanism, in order; empty also for trials stored before it was kept."""
    score: float | None = None
    """Of the last mark, as there."""
    unreported: tuple[str, ...] = ()
    """Parts of the spend vector that the log it was imported from does not report: null where they are stored, and
    nothing but a place holder in the spends here; empty for every trial that was run."""

    def __post_init__(self) -> None:
        _say_score(self)


def verdict_of(score: float) -> Verdict:
    """What a score from 0 to 1 is called."""
    return "right" if score >= 1 else "partly" if score > 0 else "wrong"


def _say_score(scored: Mark | Trial | Probe) -> None:
    # Frozen, so that it is set the long way: records with one meaning are to be equal.
    if scored.score is None and scored.verdict in ("right", "wrong"):
        object.__setattr__(scored, "score", float(scored.verdict == "right"))
