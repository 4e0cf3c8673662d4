"""Stopping stored thoughts at places and letting the model answer at once: what that will cost, and doing it.

A look is no call of the trial it looks into: it has its own role, rows and run, is charged to that run under a ceiling,
and enters no mark, spend or frontier. Places and draws are fixed before anything is sent; each request is one of the
completion pool, so the same look is never paid twice. A run of looks has a folder with a lock and a journal and no
study: what a killed one had paid for is stored by the next.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from engine.analysis.sql.chains import Chain, visible
from engine.analysis.thinking.thoughts import PLACES, SENTENCES, stored
from engine.core import ids
from engine.core.answers import READER_VERSION, removed
from engine.core.budget import Amount, Ceiling, Limits, spend_of
from engine.core.errors import CeilingReached, ProviderError, RunStopped, UsageError
from engine.core.records import Attempt, Completion, Message, Probe, Prompt, Request, Spend, Verdict, verdict_of
from engine.core.thoughts import Cut, grid, places
from engine.models import charges
from engine.models.model import Model
from engine.runs import journal, run_dir
from engine.runs.allowance import RunAllowance, settled
from engine.runs.completion_cache import CompletionCache, StoredCompletions
from engine.runs.dispatcher import Dispatcher, Gate
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir
from engine.store.reply_keys import ReplyKeys
from engine.store.retry import LockRetry
from engine.store.store import Batch, Store

THOUGHTS = 60
"""Thoughts that are looked into unless told otherwise."""
ANSWER_TOKENS = 24
"""Most a forced answer may take."""
FORCED = "\nAnswer:"
"""What is put after a stopped thought where the model goes on with it."""
ASKED = (
    "Stop thinking here. Give the answer that follows from your thought so far, in one last line of the form "
    "'Answer: <answer>'."
)
"""What a model is told that does not go on with a reply that was begun for it."""
BEGINS = "probe-"
"""Of the ids of its runs."""
KEPT_DAYS = 30
How = Literal["continued", "asked"]


@dataclass(frozen=True, slots=True)
class Look:
    """One place of one thought."""

    tokens: int
    on_grid: bool
    request: Request
    bound_tokens: int
    """Upper bound of its prompt."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One thought with its looks; none for one that is shorter than the first place."""

    chain: Chain
    cut: Cut
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True)
class Probing:
    """What is to be looked into, fixed before anything is sent."""

    model: Model
    how: How
    grid: tuple[int, ...]
    planned: tuple[Planned, ...]
    left_out: int
    """Thoughts of the setting that have no visible text."""
    known: int
    """Looks that were paid for before, and cost nothing now."""
    worst: Amount
    """What the others can be charged at most."""

    @property
    def looks(self) -> int:
        """How many there are in all."""
        return sum(len(each.looks) for each in self.planned)


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of it."""

    run_id: str
    probes: tuple[Probe, ...]
    """Of thoughts that were looked into to their end; the others are bought on by the next probing."""
    unfinished: int
    """Thoughts with a look that was not answered."""
    replayed: int
    """Looks that cost nothing."""
    spent: Amount
    in_doubt: Amount
    reached: bool
    """The ceiling left no room for the next look."""
    error: str | None
    """Why a look was not answered, if it was not the ceiling."""


async def plan(
    model: Model,
    every: Sequence[Chain],
    store: Store,
    *,
    thoughts: int = THOUGHTS,
    count: int = PLACES,
    sentences: int = SENTENCES,
    left_out: int = 0,
) -> Probing:
    """Fix thoughts, places and requests, and say what they cost at most; sends nothing that is billed.

    `every`: at least the first `thoughts` visible ones; `left_out`: how many of the setting have no visible text.
    Raises UsageError where there is no thought to look into, or its model is not the one that is opened."""
    chosen = visible(every)[:thoughts]
    if not chosen:
        raise UsageError("This setting has no stored thought whose text is visible, so there is nothing to look into.")
    if other := next((chain.model for chain in chosen if not is_same_model(chain.model, model.setting.identity)), None):
        raise UsageError(f"These thoughts are of {other}, and {model.setting.identity} is what there is now.")
    cuts = [await pieces(model, chain) for chain in chosen]
    # Up to the longest of them: a shorter thought has fewer of these places, and its end stands for the others.
    shared = grid(max(cut.n_tokens for cut in cuts), count)
    how: How = "continued" if model.continues else "asked"
    planned, requests = [], []
    keys = _known(store, model)
    for chain, cut in zip(chosen, cuts, strict=True):
        looks = []
        for at, on_grid in places(cut, shared, sentences):
            request = _request(model, chain, cut.before(at), how)
            # What is paid for is not counted again, which takes a request of its own on this machine.
            bound = 0 if request.key in keys else (await model.bound(request.messages)).tokens
            looks.append(Look(at, on_grid, request, bound))
        planned.append(Planned(chain, cut, tuple(looks)))
        requests += looks
    known = [look for look in requests if look.request.key in keys]
    # By key: two thoughts that begin alike ask the same, and it is bought once.
    unpaid = {look.request.key: look for look in requests if look.request.key not in keys}
    costs = (charges.worst(model, look.bound_tokens, look.request.asked_tokens) for look in unpaid.values())
    return Probing(model, how, shared, tuple(planned), left_out, len(known), sum(costs, Amount()))


def is_same_model(one: str, other: str) -> bool:
    """Whether two identities are of one model: of files on this machine what is in them counts, and not their name."""
    local = one.startswith("local/") and other.startswith("local/") and "@" in one
    return one == other or (local and one.partition("@")[2] == other.partition("@")[2])


async def pieces(model: Model, chain: Chain) -> Cut:
    """A thought as tokens: by the model's own tokenizer where it is at hand, else by the nearest one."""
    own = getattr(model, "pieces", None)
    found = None if own is None else await own(chain.text)
    return Cut(found) if found else stored(chain, model.setting.name)


def _known(store: Store, model: Model) -> ReplyKeys:
    if not store.path.exists():
        return ReplyKeys()
    now = datetime.now(UTC)
    # A file on this machine answers for ever as it did; a provider may have changed what a name means.
    since = datetime(1970, 1, 1, tzinfo=UTC) if model.local else now - timedelta(days=KEPT_DAYS)
    return store.completion_keys([model.setting.identity], since)


def _request(model: Model, chain: Chain, thought: str, how: How) -> Request:
    """The look after this beginning of a thought: without chance where the model has none at temperature 0."""
    turns: Prompt
    params: tuple[tuple[str, str | int | float | bool], ...]
    temperature = 0.0 if model.temperature is None else float(model.temperature)
    params = (("temperature", temperature),)
    if how == "continued":
        turns = (*chain.messages, Message("assistant", thought.strip() + FORCED))
        # Sorted by name, as in every request, or the same look would have two keys.
        params = (("stop", ids.canonical(("\n",))), *params)
    else:
        # Providers refuse an empty turn.
        turns = (*chain.messages, Message("assistant", thought.strip() or "..."), Message("user", ASKED))
    asked = ANSWER_TOKENS + model.thinking_tokens
    bare = Request(model.setting.identity, turns, params, asked, 0, 0)
    return replace(bare, key=ids.request_key(bare), seed=ids.provider_seed(bare))


async def probe(
    probing: Probing,
    store: Store,
    ceiling: Limits,
    *,
    width: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Probed:
    """Buy the looks under a ceiling and store them; results do not depend on `width`, the looks at once.

    Raises UsageError where somebody bills the model and the ceiling has no money, RunError where today's allowance has
    nothing left. What was bought when it ends early is kept."""
    model = probing.model
    billed = charges.costs(model)
    if billed and (ceiling.pusd is None or model.setting.price is None):
        raise UsageError(f"{model.setting.name!r} is billed, so looking needs its price and a money ceiling: --usd.")
    store.create()
    recover(store)
    run = run_dir.at(store.path, f"{BEGINS}{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}")
    run.path.mkdir(parents=True)
    # The lock says that somebody is alive here, so that no other probing takes this one for killed.
    with run_dir.held(run):
        # Before it is opened: it will hold replies, which are their owner's alone.
        run.journal.touch(mode=0o600)
        budget = Ceiling(ceiling)
        gate, lease = Gate(budget), RunAllowance(run, billed=billed)
        # On a thread: it waits for the database, where another process may be writing.
        budget.lend(await asyncio.to_thread(lease.take, budget))
        notes = journal.Journal(run.journal)
        looking = _Looking(probing, store, gate, notes, run, width or model.parallel, on_progress)
        try:
            probed = await looking.work()
        finally:
            notes.close()
            await lease.give_back(budget)
            await model.close()
    # All it says is in the database.
    shutil.rmtree(run.path, ignore_errors=True)
    return probed


def recover(store: Store) -> None:
    """Store what probings that were killed had paid for, and return what they held of the day's allowance."""
    folder = run_dir.folder(store.path)
    for path in sorted(folder.glob(f"{BEGINS}*")) if folder.is_dir() else ():
        run = RunDir(path, path.name, store.path)
        if not run_dir.is_dead(run):
            continue
        past = journal.read(run.journal)
        store.flush(Batch((), tuple(past.completions.values()), tuple(past.attempts), run.run_id))
        # Only now, when what it paid for is stored: the lease is read against that.
        settled(store)
        shutil.rmtree(path, ignore_errors=True)


class _Looking:
    """One run of looks."""

    def __init__(
        self,
        probing: Probing,
        store: Store,
        gate: Gate,
        notes: journal.Journal,
        run: RunDir,
        width: int,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._probing, self._gate, self._run_id = probing, gate, run.run_id
        self._on_progress = on_progress
        self._retry = LockRetry(store.path)
        self._attempts: list[Attempt] = []
        self._bought: list[Completion] = []
        self._replayed = self._done = 0
        self._error: str | None = None
        model = probing.model
        self._archive = StoredCompletions(store, [model], timedelta(days=KEPT_DAYS), self._retry, gate.stop)
        buyer = Dispatcher({model.setting.identity: model}, gate, notes, Retries(), self._paid, run.run_id)
        self._pool = CompletionCache(buyer.purchase, self._archive)
        self._turn = asyncio.Semaphore(width)

    async def work(self) -> Probed:
        """Thought after thought, several looks at once; each thought is stored whole."""
        probes: list[Probe] = []
        unfinished = 0
        tasks = [asyncio.create_task(self._thought(each)) for each in self._probing.planned]
        try:
            for task in asyncio.as_completed(tasks):
                # Whoever is ready first, so a killed run has stored what it could; they are sorted at the end.
                rows = await task
                unfinished += rows is None
                if rows is not None:
                    probes += rows
                    await self._flush(rows)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # A purchase whose thought was given up is under way still, and is paid for.
            await self._pool.drain()
            await self._flush(())
        ceiling = self._gate.ceiling
        probes.sort(key=lambda probe: (probe.chain_key, probe.question_id, probe.place_tokens))
        return Probed(
            self._run_id,
            tuple(probes),
            unfinished,
            self._replayed,
            ceiling.spent,
            ceiling.in_doubt,
            self._gate.reached,
            self._error,
        )

    async def _thought(self, planned: Planned) -> list[Probe] | None:
        """All its looks, and its end, which asks nothing; None where one was not answered."""
        chain, cut = planned.chain, planned.cut
        replies = await asyncio.gather(*(self._look(look) for look in planned.looks))
        shared = json.dumps(self._probing.grid)

        def row(at: int, on_grid: bool, answer: str | None, reply: Completion | None) -> Probe:
            spend = Spend() if reply is None else spend_of(reply.usage, reply.latency_ms)
            head = (chain.key, chain.question_id, self._probing.how, shared, at, on_grid, cut.n_tokens, cut.exact)
            score = chain.score(answer)
            paid = (reply.key if reply else None, spend, self._run_id)
            return Probe(*head, answer, _verdict(score), *paid, score, READER_VERSION)

        rows = []
        for look, reply in zip(planned.looks, replies, strict=True):
            if reply is None:
                return None
            rows.append(row(look.tokens, look.on_grid, _answer(chain, reply, self._probing.how), reply))
        try:
            return [*rows, row(cut.n_tokens, True, chain.answer, None)]
        except LookupError as error:
            raise UsageError(f"Nobody here knows the task {error}, so answers cannot be judged.") from error

    async def _look(self, look: Look) -> Completion | None:
        window = self._probing.model.context_tokens
        # Known before it is sent; a server would cut the thought silently and answer all the same.
        if window is not None and look.bound_tokens + look.request.asked_tokens > window:
            self._error = "the window of the model has no room for a forced answer"
            return None
        # The window was looked at before, so what cannot be asked takes nobody's turn.
        async with self._turn:
            try:
                reply, replayed = await self._pool.get(look.request)
            except (CeilingReached, RunStopped):
                return None
            except ProviderError as error:
                self._error = str(error)
                return None
        self._replayed += replayed
        self._done += 1
        self._on_progress(self._done, self._probing.looks)
        return reply

    def _paid(self, attempt: Attempt, completion: Completion | None) -> None:
        self._attempts.append(attempt)
        if completion is not None:
            self._bought.append(completion)
            self._archive.saw(attempt.model, completion)

    async def _flush(self, rows: Sequence[Probe]) -> None:
        batch = Batch((), tuple(self._bought), tuple(self._attempts), self._run_id, tuple(rows))
        # As many as were taken and no more: others may arrive while the batch is written.
        del self._bought[: len(batch.completions)], self._attempts[: len(batch.attempts)]
        if batch.probes or batch.completions or batch.attempts:
            await self._retry.with_retry(lambda store: store.flush(batch))


def read_again(store: Store, condition_ids: Collection[str] | None = None) -> tuple[int, int]:
    """Read looks that an older version read anew from their stored replies, unpaid: how many were, and how many stay as
    they are, since a text of theirs was removed or nobody here knows their task. None: of all conditions.

    A thought is read whole or not at all."""
    from engine.analysis.results import Results

    wanted = store.looked_into_before()
    if condition_ids is not None:
        wanted &= set(condition_ids)
    if not wanted:
        return 0, 0
    chains = {
        (chain.key, chain.question_id): chain
        for own in Results(store.path).chains_of(sorted(wanted), keys=store.looked_into()).values()
        for chain in own
    }
    thoughts: dict[tuple[str, ...], list[Probe]] = {}
    for probe in store.probes({key for key, _ in chains}):
        if (probe.chain_key, probe.question_id) in chains:
            thoughts.setdefault((probe.chain_key, probe.question_id, probe.how, probe.grid), []).append(probe)
    old = [looks for looks in thoughts.values() if any(look.reader < READER_VERSION for look in looks)]
    replies = store.completions({look.key for looks in old for look in looks if look.key is not None})
    again: list[Probe] = []
    for looks in old:
        chain = chains[looks[0].chain_key, looks[0].question_id]
        with suppress(LookupError):
            again += [_read(look, chain, replies) for look in looks]
    store.flush(Batch(probes=tuple(again)))
    return len(again), sum(map(len, old)) - len(again)


def _read(look: Probe, chain: Chain, replies: Mapping[str, Completion]) -> Probe:
    """A look as today's reader reads it. Raises LookupError where it cannot be read or judged."""
    reply = None if look.key is None else replies[look.key]
    if removed.is_note(chain.text if reply is None else reply.text):
        raise LookupError(look.chain_key)
    answer = chain.answer if reply is None else _answer(chain, reply, look.how)
    score = chain.score(answer)
    return replace(look, answer=answer, score=score, verdict=_verdict(score), reader=READER_VERSION)


def _verdict(score: float | None) -> Verdict:
    return "none" if score is None else verdict_of(score)


def _answer(chain: Chain, reply: Completion, how: How) -> str | None:
    """What a forced answer says; nothing where it is empty, whatever the text before it says."""
    if not reply.text.strip():
        return None
    if how == "asked":
        return chain.read(reply.text)
    # The line alone: what the thought says is not what the model was made to say.
    return chain.read(FORCED + reply.text.split("\n")[0]) or None
