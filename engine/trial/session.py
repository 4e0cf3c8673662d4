"""The only door to a model during a trial: ask, ask_many, stream, spent, rng (and remaining, for strategies that plan).

A session consumes its calls one after another in program order; concurrency is only prefetch into the pool and decides
nothing: accounting, draw numbers and marks follow the order of consumption. The first call the budget cuts or refuses
closes the session. Strategies contain no token arithmetic; it all happens here and in the ledger.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NoReturn, Protocol

from engine.core import ids
from engine.core.budget import Ledger, Planned, clipped, spend_of
from engine.core.errors import CeilingReached, ContextOverflow, ProviderError, RunStopped
from engine.core.records import (
    AnswerKind,
    Call,
    Completion,
    Cut,
    Fact,
    FactKind,
    Mark,
    Message,
    ModelSpend,
    Prompt,
    Request,
    Spend,
    Which,
)
from engine.models.model import Bound, Model


class Source(Protocol):
    """Where completions come from: the pool, as a session sees it."""

    async def get(self, request: Request) -> tuple[Completion, bool]:
        """The completion, and whether it was already paid for."""

    def prefetch(self, request: Request) -> None:
        """Start buying a completion that will surely be taken, if nobody has."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a strategy sees of a completion."""

    text: str
    truncated: bool
    """Stopped at the asked cap or by a content filter: its text may be used, its answer never votes."""
    output_tokens: int
    kind: AnswerKind
    """How the task's answers look, for extraction."""
    statement: Which = "last"
    """Which of several answers it states counts."""
    options: tuple[str, ...] = ()
    """Texts of the options of a choice; empty: none are known."""


@dataclass(frozen=True, slots=True)
class CallDraft:
    """A call before it has a draw number."""

    model: str
    role: str
    messages: Prompt
    asked_tokens: int
    params: tuple[tuple[str, str | int | float | bool], ...]


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call about to be made, with what the walls grant it."""

    draft: CallDraft
    request: Request
    call: Planned
    granted: int


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What a session needs to know of its trial, budget apart."""

    lineup: Mapping[str, Model]
    kind: AnswerKind = "text"
    statement: Which = "last"
    options: tuple[str, ...] = ()
    repeat: int = 0
    system: str | None = None
    """System prompt of the study, put before every call; None: none."""
    rng_seed: Callable[[], int] = int
    """Asked by the few strategies that use random numbers of their own."""
    anytime: bool = True
    oracle: Callable[[str], bool] | None = None
    """Whether an answer is right; None: the strategy may not know, which is the rule."""
    width: int = 8
    """Most draws of one stream in flight; decides speed, never a result."""


MAX_CALLS = 1000
"""No trial makes more calls than this, so that a price of zero cannot keep one alive for ever."""


class SessionClosed(Exception):
    """The budget (or the context window) closed the session; unwinds the strategy and counts as no failure."""


class NotAnytime(Exception):
    """A strategy that declares itself anytime looked at what remains."""


class NotAnOracle(Exception):
    """A strategy that is no oracle asked whether an answer is right."""


class Session:
    """One trial's door to its models; see the module docstring."""

    def __init__(self, context: TrialContext, ledger: Ledger, source: Source) -> None:
        self.closed: Cut | Literal["stopped"] | None = None
        """Why no further call is made; None: open."""
        self.calls: list[Call] = []
        self.marks: list[Mark] = []
        self.facts: list[Fact] = []
        self._context = context
        self._ledger = ledger
        self._source = source
        self._draws: Counter[str] = Counter()
        # Learned by this trial alone: another trial's count would make results depend on the order of trials.
        self._counted: dict[tuple[str, Prompt], int] = {}
        self._bounds: dict[tuple[str, Prompt], Bound] = {}
        self._beyond: set[tuple[str, Prompt]] = set()

    @cached_property
    def rng(self) -> random.Random:
        """The trial's own random numbers; the same at every budget."""
        return random.Random(self._context.rng_seed())

    async def ask(
        self,
        prompt: str | Prompt,
        cap: int,
        *,
        role: str = "solve",
        model: str = "solver",
        temperature: float = 0.7,
        stop: tuple[str, ...] = (),
    ) -> Reply:
        """One call of at most `cap` output tokens. Unwinds the strategy when the budget cuts or refuses it."""
        return await self._consume(self._draft(prompt, cap, role, model, temperature, stop))

    async def ask_many(
        self,
        prompts: Sequence[str | Prompt],
        cap: int,
        *,
        role: str = "solve",
        model: str = "solver",
        temperature: float = 0.7,
    ) -> list[Reply]:
        """Independent calls, consumed in the order given and prefetched together."""
        drafts = [self._draft(prompt, cap, role, model, temperature, ()) for prompt in prompts]
        replies = []
        for at, draft in enumerate(drafts):
            await self._prefetch(drafts[at : at + self._context.width])
            replies.append(await self._consume(draft))
        return replies

    def stream(
        self,
        prompt: str | Prompt,
        n: int,
        cap: int,
        *,
        ahead: Callable[[], int] | None = None,
        role: str = "solve",
        model: str = "solver",
        temperature: float = 0.7,
    ) -> Stream:
        """Up to `n` draws of one prompt. `ahead` says how many are certain to be consumed; None: all of them."""
        return Stream(self, self._draft(prompt, cap, role, model, temperature, ()), n, ahead)

    @property
    def spent(self) -> Spend:
        """Cumulative spend of this trial over all models."""
        return self._ledger.spent

    @property
    def spends(self) -> tuple[ModelSpend, ...]:
        """Cumulative spend per model, with the input's high-water mark."""
        return self._ledger.spends

    @property
    def remaining(self) -> int | None:
        """Output tokens the walls leave the solver; None: no wall counts them. Raises in anytime strategies."""
        if self._context.anytime:
            raise NotAnytime("an anytime strategy must not look at what remains of the budget")
        return self._ledger.remaining(self._context.lineup["solver"].setting.identity)

    def oracle(self, answer: str) -> bool:
        """Whether an answer is right; raises in strategies that are not registered as oracles."""
        if self._context.oracle is None:
            raise NotAnOracle("only a strategy registered with oracle=True may be told what is right")
        return self._context.oracle(answer)

    def mark(self, answer: str) -> None:
        """Leave a mark, if the answer changed: "if the budget closed now, this is my answer"."""
        # Equal answers leave one mark: the same curve from a third of the rows.
        if not self.marks or self.marks[-1].answer != answer:
            self.marks.append(Mark(len(self.marks), answer, len(self.calls), self.spends))

    def could_work(self, name: str, holds: bool) -> None:
        """State whether what the strategy's mechanism rests on was there: 'estimate read', 'values differ'.

        May be stated again and again; of a trial it holds once it held at any call. Changes no answer and no id."""
        self._state("could_work", name, holds)

    def acted(self, name: str, holds: bool) -> None:
        """State whether the mechanism changed what was done: 'escalated', 'stopped early'; else as `could_work`."""
        self._state("acted", name, holds)

    def _state(self, kind: FactKind, name: str, holds: bool) -> None:
        # The first word on it, and the call from which on it holds: the others say nothing new.
        before = [fact.holds for fact in self.facts if (fact.kind, fact.name) == (kind, name)]
        if not before or (holds and not any(before)):
            self.facts.append(Fact(len(self.facts), kind, name, bool(holds), len(self.calls)))

    def _draft(
        self, prompt: str | Prompt, cap: int, role: str, model: str, temperature: float, stop: tuple[str, ...]
    ) -> CallDraft:
        if cap < 1:
            raise ValueError(f"a call must ask for at least 1 token, not {cap}")
        messages = (Message("user", prompt),) if isinstance(prompt, str) else prompt
        if self._context.system:
            messages = (Message("system", self._context.system), *messages)
        solver = self._context.lineup[model]
        params: list[tuple[str, str | int | float | bool]] = [("stop", ids.canonical(stop))] if stop else []
        params.append(("temperature", float(temperature if solver.temperature is None else solver.temperature)))
        # Hidden reasoning counts as output, so a thinking model gets room for it on top of what its answer may take.
        return CallDraft(model, role, messages, cap + solver.thinking_tokens, tuple(params))

    def _numbered(self, draft: CallDraft, later: Counter[str], room: int | None = None) -> tuple[Request, str]:
        """The request this draft becomes after `later` further draws of its stream, sent with `room` as its cap; and
        that stream."""
        model = self._context.lineup[draft.model]
        bare = Request(
            model.setting.identity, draft.messages, draft.params, draft.asked_tokens, self._context.repeat, 0
        )
        stem = ids.stem(bare)
        stream = ids.stream_key(bare, stem)
        draw = self._draws[stream] + later[stream]
        later[stream] += 1
        # A property of the model: where a provider varies at 0, one draw for all would make repeats agree falsely.
        if model.one_draw_at_zero and dict(draft.params)["temperature"] == 0:
            draw = 0
        # Part of no identity: a reply is known by the cap that was asked.
        drawn = replace(bare, draw=draw) if draw else bare
        key, seed = ids.request_key(drawn, stem), ids.provider_seed(drawn, stem)
        return replace(drawn, key=key, seed=seed, sent_tokens=room), stream

    async def _bound(self, draft: CallDraft) -> Bound:
        """The model's own bound, replaced by its count once it has answered these very messages in this trial."""
        where = (draft.model, draft.messages)
        if where in self._counted:
            return Bound(self._counted[where], exact=True)
        if where not in self._bounds:
            self._bounds[where] = await self._context.lineup[draft.model].bound(draft.messages)
        return self._bounds[where]

    async def _planned(self, draft: CallDraft) -> Planned:
        bound = await self._bound(draft)
        return Planned(self._context.lineup[draft.model].setting.identity, bound.tokens, draft.asked_tokens)

    async def _prefetch(self, drafts: Sequence[CallDraft]) -> None:
        """Prefetch what is certain to be consumed and covered at its worst case."""
        if self.closed or len(drafts) < 2 or await self._room(drafts[0]) == 0:
            return
        later: Counter[str] = Counter()
        planned: list[Planned] = []
        for draft in drafts:
            planned.append(await self._planned(draft))
            room = await self._room(draft)
            request, _ = self._numbered(draft, later, room)
            # All of them together at their worst: each alone would fit where the last is never consumed.
            affordable = len(self.calls) + len(planned) <= MAX_CALLS and self._ledger.fits(planned)
            if not affordable or room == 0:
                return
            self._source.prefetch(request)

    async def _room(self, draft: CallDraft) -> int | None:
        """Largest cap the model's window leaves after the prompt; 0: the prompt fills it; None: the asked cap is sent.

        By an exact count alone: a bound proves no want of room, so what may fit is sent as asked, and a refusal tells.
        """
        model = self._context.lineup[draft.model]
        if model.context_tokens is None:
            return None
        bound = await self._bound(draft)
        if not bound.exact:
            return 0 if model.least(draft.messages) >= model.context_tokens else None
        room = max(0, model.context_tokens - bound.tokens)
        if room < draft.asked_tokens and (draft.model, draft.messages) in self._beyond:
            return None
        return room if room < draft.asked_tokens else None

    async def _consume(self, draft: CallDraft) -> Reply:
        if self.closed:
            raise SessionClosed(self.closed)
        room = await self._room(draft)
        request, stream = self._numbered(draft, Counter(), room)
        call = await self._planned(draft)
        pending = PendingCall(draft, request, call, self._ledger.granted(call))
        if len(self.calls) >= MAX_CALLS:
            self._close(pending, Cut.LIMIT)
        # The window first: a prompt that cannot be sent at any budget is not told from one this budget refuses else.
        if room == 0:
            self._close(pending, Cut.CONTEXT)
        if pending.granted < 1:
            self._close(pending, Cut.REFUSED)
        try:
            # With the asked cap, whatever is granted: the budget is a view of a reply that larger budgets share.
            completion, replayed = await self._source.get(pending.request)
        except ContextOverflow:
            self._close(pending, Cut.CONTEXT)
        except ProviderError:
            self._append(pending, Cut.FAILED, False, None, Spend())
            self.closed = Cut.FAILED
            raise
        except (CeilingReached, RunStopped):
            self.closed = "stopped"
            raise
        # Numbered when consumed, never when prefetched: a draw left in the pool did not happen for this trial.
        self._draws[stream] += 1
        pending = PendingCall(draft, replace(request, key=completion.key), call, pending.granted)
        usage = completion.usage
        whole = spend_of(usage, completion.latency_ms)
        # Our own count of a reply without usage is no better than the bound it would replace.
        if not usage.estimated:
            self._counted[(draft.model, draft.messages)] = usage.input_tokens
            window = self._context.lineup[draft.model].context_tokens or usage.input_tokens + draft.asked_tokens
            # A provider that took more than its window is said to hold is not held to it.
            if completion.sent_tokens is None and usage.input_tokens + draft.asked_tokens > window:
                self._beyond.add((draft.model, draft.messages))
        if not self._ledger.covers(pending.call, whole):
            self._cut(pending, whole, replayed)
        self._ledger.charge(pending.call, whole)
        if self._cut_by_window(completion, draft):
            # Cut by the window, short of what every budget asks: no strategy sees what a larger window would have.
            self._append(pending, Cut.CONTEXT, replayed, usage.output_tokens, whole)
            self.closed = Cut.CONTEXT
            raise SessionClosed(Cut.CONTEXT)
        # A provider that ignores its cap sends a reply no obedient one would: it is as cut as if it had stopped there.
        own = completion.finish == "length" or usage.output_tokens > pending.draft.asked_tokens
        filtered = completion.finish == "filter"
        self._append(pending, Cut.OWN if own else None, replayed, usage.output_tokens, whole)
        terms = self._context
        text, cut = completion.text, own or filtered
        return Reply(text, cut, usage.output_tokens, terms.kind, terms.statement, terms.options)

    def _cut_by_window(self, completion: Completion, draft: CallDraft) -> bool:
        """Whether the model's window ended a reply before its asked cap did."""
        usage, sent = completion.usage, completion.sent_tokens
        if sent is not None:
            return completion.finish == "length" or usage.output_tokens > sent
        window = self._context.lineup[draft.model].context_tokens
        # Some servers take any cap and stop where their window is full.
        full = window is not None and usage.input_tokens + usage.output_tokens >= window
        return full and completion.finish == "length" and usage.output_tokens < draft.asked_tokens

    def _cut(self, pending: PendingCall, whole: Spend, replayed: bool) -> NoReturn:
        """The budget ends inside this reply: charge the prefix it covers, show nothing, close."""
        # A provider may count a longer prompt than its bound; what it counted leaves less of this reply.
        call = replace(pending.call, bound_tokens=max(pending.call.bound_tokens, whole.input_tokens))
        granted = self._ledger.granted(call)
        part = clipped(whole, granted) if granted else Spend()
        if granted:
            self._ledger.charge(call, part)
        self._append(replace(pending, call=call, granted=granted), Cut.BUDGET, replayed, whole.output_tokens, part)
        self.closed = Cut.BUDGET
        raise SessionClosed(Cut.BUDGET)

    def _close(self, pending: PendingCall, cut: Cut) -> NoReturn:
        self._append(pending, cut, False, None, Spend())
        self.closed = cut
        raise SessionClosed(cut)

    def _append(self, pending: PendingCall, cut: Cut | None, replayed: bool, seen: int | None, spend: Spend) -> None:
        draft, call = pending.draft, pending.call
        self.calls.append(
            Call(
                ordinal=len(self.calls),
                role=draft.role,
                model=call.model,
                key=pending.request.key,
                messages=draft.messages,
                asked_tokens=draft.asked_tokens,
                granted_tokens=pending.granted,
                bound_tokens=call.bound_tokens,
                cut=cut,
                replayed=replayed,
                spend=spend,
                seen_output_tokens=seen,
                # Of a call that spent nothing, what the mark would be: the horizon of the trial starts there.
                metered_input_tokens=self._ledger.metered(call.model) if spend.calls else self._ledger.high_water(call),
            )
        )


class Stream:
    """Draws of one prompt as a plain asynchronous iterator; leaving it early leaks nothing.

    A draw that was prefetched and not consumed never happened for the trial: no spend, no number, no failure.
    """

    def __init__(self, session: Session, draft: CallDraft, n: int, ahead: Callable[[], int] | None) -> None:
        self._session = session
        self._draft = draft
        self._left = n
        self._ahead = ahead

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Reply:
        if self._left < 1:
            raise StopAsyncIteration
        certain = self._left if self._ahead is None else max(1, self._ahead())
        count = min(certain, self._left, self._session._context.width)
        await self._session._prefetch([self._draft] * count)
        self._left -= 1
        return await self._session._consume(self._draft)
