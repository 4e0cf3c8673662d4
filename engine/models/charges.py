"""What a call can be billed at most and what it was billed, in tokens and money.

Two figures where a provider reports its own cost: ours, which is stored and shown as billed, and the larger of the two,
which the ceiling counts. Reserves, books and sends nothing.
"""

from __future__ import annotations

from engine.core.budget import Amount, larger, spend_of, worst_pusd
from engine.core.records import Completion, Price, Usage
from engine.models.model import Model


def costs(model: Model) -> bool:
    """Whether somebody bills the model: it runs elsewhere, and its price is unknown or above 0."""
    price = model.setting.price
    # A call of one token each way, whatever it reads, writes and thinks, in the dearest tier.
    return not model.local and (price is None or worst_pusd(price, 1 << 40, 1) > 0)


def money(model: Model, amount: Amount) -> int | None:
    """Money of an amount; None: the price of a model that somebody bills is unknown."""
    return amount.pusd if model.setting.price or model.local else None


def worst(model: Model, bound_tokens: int, asked_tokens: int) -> Amount:
    """The most a call can be billed as long as the provider keeps to the cap and our price holds."""
    return Amount(1, bound_tokens + asked_tokens, worst_pusd(_price(model), bound_tokens, asked_tokens))


def cost(model: Model, completion: Completion) -> Amount:
    """What a call is billed by our price: cached tokens at their own rate; a local model bills nothing."""
    return taken(model, completion.usage)


def taken(model: Model, usage: Usage) -> Amount:
    """What a call that took so much is billed by our price; also of one that failed."""
    spend = spend_of(usage, 0)
    return Amount(1, spend.total_tokens, _price(model).cost_pusd(spend, cache_discount=True))


def counted(model: Model, completion: Completion) -> Amount:
    """What counts against the ceiling: our price, or the provider's own cost where it says that it was more."""
    ours = cost(model, completion)
    known = money(model, ours)
    # A server on this machine may claim a cost, but sends no bill.
    theirs = None if model.local else completion.provider_cost_pusd
    return Amount(ours.calls, ours.tokens, larger(known, theirs) or 0)


def _price(model: Model) -> Price:
    """The price, nothing where nobody bills or it is unknown."""
    return Price(0, 0) if model.local else model.setting.price or Price(0, 0)
