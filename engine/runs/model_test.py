"""One call to one model to see whether it can be asked and what its replies look like: it bills, and is counted.

Under a ceiling of its own and a lease on the day's allowance, as a run is; its attempt is stored with what it was
charged, its reply is nobody's draw and enters no pool. Decides nothing a run does not: it buys through the dispatcher.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, replace

from engine.core import ids, text
from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import ProviderError, RunError, UsageError
from engine.core.records import PUSD_PER_USD, Attempt, Completion, Message, Request
from engine.models import charges
from engine.models.model import Model
from engine.runs import run_dir
from engine.runs.allowance import refusal
from engine.runs.dispatcher import Dispatcher, Gate
from engine.runs.rate_limits import Retries
from engine.store.store import Batch, Store

PROMPT = "What is 2 + 3? End with a line 'Answer: ' and the number."
CAP_TOKENS = 64
"""Asked on top of what the model may think."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of the call."""

    name: str
    identity: str
    worst: Amount
    """What it could be charged at most."""
    charged: Amount
    in_doubt: bool
    """Nobody knows what it was billed, so it is charged at its worst case."""
    priced: bool
    completion: Completion | None
    usage_fields: tuple[str, ...]
    """Names of the figures in the provider's own report, nested ones with a dot."""
    error: str | None


class _Notes:
    """Attempts in memory; they are stored with the lease's end."""

    def __init__(self) -> None:
        self.attempts: dict[str, Attempt] = {}

    def intent(self, attempt: Attempt) -> None:
        self.attempts[attempt.attempt_id] = attempt

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        self.attempts[attempt.attempt_id] = attempt

    async def written(self) -> None:
        """In memory at once; after a kill the lease stays held, and counts whole, to the end of its day."""

    def sync(self) -> None:
        """Nothing to do."""


async def run(model: Model, store: Store, ceiling: Limits) -> Tested:
    """Ask once. Raises UsageError where the worst case passes the ceiling, RunError where today has no room for it."""
    store.create()
    messages = (Message("user", PROMPT),)
    asked = CAP_TOKENS + model.thinking_tokens
    # As a run would ask where a study says nothing.
    temperature = 0.7 if model.temperature is None else model.temperature
    bare = Request(model.setting.identity, messages, (("temperature", float(temperature)),), asked, 0, 0)
    name = f"test-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    request = replace(bare, key=ids.request_key(bare), seed=ids.provider_seed(bare))
    try:
        worst = charges.worst(model, (await model.bound(messages)).tokens, asked)
        if not ceiling.allow(worst):
            raise UsageError(
                f"A test of {model.setting.name} may be charged {_said(worst)}, more than its ceiling; raise --usd or "
                "--tokens."
            )
        billed, now = charges.costs(model), run_dir.now()
        # Money only where somebody sends a bill: a local model takes none of the day's dollars.
        wants = Limits(worst.calls, worst.tokens, worst.pusd if billed else 0)
        with store.book() as book:
            unpriced = billed and model.setting.price is None
            if unpriced and book.allowance.pusd is not None:
                raise RunError(
                    f"The price of {model.setting.name} is unknown and the day's allowance is in dollars: give it "
                    "prices in its [[models]] table."
                )
            lease = book.lend(name, wants, now)
            if lease is None:
                raise RunError(refusal(book, wants, now))
            if not lease.lent.allow(worst):
                # Raised inside the transaction, so that nothing was lent.
                raise RunError("Less than the test's worst case is left of today's allowance; wait, or allow more.")
        gate, notes = Gate(Ceiling(Limits(worst.calls, worst.tokens, worst.pusd if billed else None))), _Notes()
        # A test wants the first answer, also where it is a refusal.
        buyer = Dispatcher({model.setting.identity: model}, gate, notes, Retries(1, limited_attempts=1), run_id=name)
        completion, error = None, None
        try:
            completion = await buyer.purchase(request)
        except ProviderError as failed:
            error = str(failed)
        finally:
            # What is reserved still was sent by an attempt that was broken off, and may be billed.
            spent, doubt = gate.ceiling.spent, gate.ceiling.in_doubt + gate.ceiling.reserved
            attempts = tuple(notes.attempts.values())
            # Also after a cancel: the lease would hold its part of the day otherwise.
            await asyncio.to_thread(_settled, store, name, spent, doubt, attempts)
    finally:
        await model.close()
    return Tested(
        name=model.setting.name,
        identity=model.setting.identity,
        worst=worst,
        charged=spent + doubt,
        in_doubt=doubt.calls > 0,
        priced=model.local or model.setting.price is not None,
        completion=completion,
        usage_fields=tuple(getattr(model, "usage_seen", ())),
        error=error,
    )


def _settled(store: Store, name: str, spent: Amount, doubt: Amount, attempts: tuple[Attempt, ...]) -> None:
    with store.book() as book:
        book.settle(name, spent, doubt)
    store.flush(Batch((), (), attempts, name))


def _said(amount: Amount) -> str:
    return f"{amount.tokens:,} tokens and {text.money(amount.pusd / PUSD_PER_USD)}"


def lines(tested: Tested) -> list[str]:
    """What came back, in lines a user reads."""
    money = f", {text.money(tested.charged.pusd / PUSD_PER_USD)}" if tested.priced else ", price unknown"
    doubt = " at its worst case, as nobody knows its bill" if tested.in_doubt else ""
    bill = f"charged {tested.charged.tokens:,} tokens{money}{doubt}"
    bill += f"; at most {tested.worst.tokens:,} tokens were reserved, and the day's allowance counts it"
    done = tested.completion
    if done is None:
        return [f"{tested.identity}: no reply. {tested.error}", f"{bill}."]
    usage = done.usage
    parts = [f"input {usage.input_tokens:,}", f"output {usage.output_tokens:,}"]
    named = (
        ("cached", usage.cached_tokens),
        ("reasoning", usage.reasoning_tokens),
        ("written", usage.cache_write_tokens),
    )
    parts += [f"{name} {count:,}" for name, count in named if count is not None]
    # A model's text on a terminal: nothing that could steer it.
    shown = " ".join("".join(c if c.isprintable() else " " for c in done.text[:300]).split()) or "(no text)"
    seen, called = ", ".join(tested.usage_fields) or "none", done.model_reported or "no model"
    return [
        f"{tested.identity}: replied in {done.latency_ms:,} ms as {called}; end: {done.finish}.",
        f"text: {shown}",
        f"usage: {', '.join(parts)}{' (estimated: the provider did not say)' if usage.estimated else ''}.",
        f"usage fields seen: {seen}.",
        f"{bill}.",
    ]
