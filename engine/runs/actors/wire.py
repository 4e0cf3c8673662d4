"""What a run and its actors say to each other: plain records, some of them at once, as bytes.

MessagePack, and JSON where a text is no Unicode (a model's reply may hold half a character). Records alone: nothing
that is read here is run. An error crosses as its class, its sentence and what decides over it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from engine.core.errors import CeilingReached, ContextOverflow, InDoubt, ProviderError, RunStopped
from engine.core.records import Completion, Request, Trial, TrialSpec, Usage


class Message(msgspec.Struct, tag=True, omit_defaults=True):
    """Base of what is said."""


class Failure(msgspec.Struct, omit_defaults=True):
    """An error, as far as anybody decides by it; see `ProviderError` for the fields."""

    what: str
    """Name of its class; one that is not ours crosses as a RuntimeError that names it."""
    sentence: str
    kind: str = "error"
    retry_after_s: float | None = None
    usage: Usage | None = None
    begun: bool = False
    not_charged: bool = False
    room_tokens: int | None = None
    window_tokens: int | None = None


class Setup(Message):
    """What an actor has to know before its first trial."""

    text: str
    """The study, as the run keeps it."""
    models: tuple[tuple[str, str], ...]
    """Name and identity of every model."""
    run_id: str
    version: str
    """Of the program; one of another writes other records."""


class Solve(Message):
    """To an actor: try this."""

    number: int
    spec: TrialSpec
    attempt: int


class Drop(Message):
    """To an actor: nobody waits for this trial any more."""

    number: int


class Lease(Message):
    """To an actor: this one call is noted and its worst case held back, so send it."""

    number: int
    request: Request
    known: tuple[str, str | None, str | None] | None = None
    """Of a model at several addresses who answered first, and as what; None: nobody did, or it has one."""


class Bought(Message):
    """To an actor: the completion it wanted, or why there is none."""

    number: int
    completion: Completion | None = None
    paid: bool = False
    """Whether it was paid for before."""
    failure: Failure | None = None
    window_tokens: int | None = None
    """What is known by now of the model's window; None: nothing."""


class Wanted(Message):
    """From an actor: a completion is asked for."""

    number: int
    request: Request


class Sent(Message):
    """From an actor: what became of a call."""

    number: int
    completion: Completion | None = None
    failure: Failure | None = None
    remarks: dict[str, int] = {}
    """What was ignored of the reply, and how often."""


class Solved(Message):
    """From an actor: how a trial ended."""

    number: int
    trial: Trial | None = None
    failure: Failure | None = None
    """Why there is none, which is nothing a strategy, a scorer, a budget or a provider did."""


ToActor = Solve | Drop | Lease | Bought
FromActor = Wanted | Sent | Solved
_Said = TypeVar("_Said")
_CLASSES: tuple[type[Exception], ...] = (ContextOverflow, InDoubt, ProviderError, CeilingReached, RunStopped)
_OURS = {each.__name__: each for each in _CLASSES}


def encoded(messages: Sequence[Message] | Message) -> bytes:
    """As bytes."""
    try:
        return b"m" + msgspec.msgpack.encode(messages)
    except UnicodeEncodeError:
        return b"j" + json.dumps(msgspec.to_builtins(messages)).encode()


def decoded(body: bytes, kind: type[_Said]) -> _Said:
    """What `encoded` wrote. Raises ValueError for anything else."""
    if body[:1] == b"j":
        return msgspec.convert(json.loads(body[1:]), kind)
    return msgspec.msgpack.decode(memoryview(body)[1:], type=kind)


def failure(error: BaseException) -> Failure:
    """The error as it crosses."""
    name = type(error).__name__
    if not isinstance(error, ProviderError):
        return Failure(name, str(error)) if _OURS.get(name) is type(error) else Failure("", f"{name}: {error}")
    overflow = error if isinstance(error, ContextOverflow) else None
    return Failure(
        what=name if name in _OURS else "ProviderError",
        sentence=str(error),
        kind=error.kind,
        retry_after_s=error.retry_after_s,
        usage=error.usage,
        begun=error.begun,
        not_charged=error.not_charged,
        room_tokens=overflow.room_tokens if overflow else None,
        window_tokens=overflow.window_tokens if overflow else None,
    )


def raised(failure: Failure) -> Exception:
    """The error again, to be raised on this side."""
    made = _OURS.get(failure.what, RuntimeError)
    error = made(failure.sentence)
    if isinstance(error, ProviderError):
        error.kind, error.retry_after_s, error.usage = failure.kind, failure.retry_after_s, failure.usage
        error.begun, error.not_charged = failure.begun, failure.not_charged
    if isinstance(error, ContextOverflow):
        error.room_tokens, error.window_tokens = failure.room_tokens, failure.window_tokens
    return error
