"""Several addresses of one model: evenly loaded, failing over, and held to be one model.

That they serve the same weights is the user's word; what they report of themselves is held to it. The identity is that
of the first address, so what was bought from one is replayed for all. Sends nothing itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from engine.core.errors import ProviderError
from engine.core.records import Completion
from engine.models.net.address import host
from engine.models.net.direct import LOST, StatusError

Known = tuple[str, str | None, str | None]
"""An address as completions name it, and the model's name and fingerprint that it reports."""
REST_S = 20.0
"""Seconds an address that could not be reached, or said that it is broken, is left alone while others answer."""


@dataclass
class _Address:
    """One of them."""

    url: str
    in_flight: int = 0
    asked: int = 0
    rests_until: float = 0.0
    refused: bool = False
    """It reported itself as another model than the others."""


@dataclass
class Replicas:
    """The addresses of one model, the first of which names it."""

    urls: tuple[str, ...]
    clock: Callable[[], float] = time.monotonic
    _addresses: list[_Address] = field(init=False, default_factory=list)
    known: Known | None = field(init=False, default=None)
    """The measure: who answered first, and as what; None: nobody did yet."""
    _agree: set[str] = field(init=False, default_factory=set)
    """Who said the same last."""
    _before: tuple[str | None, str | None] | None = field(init=False, default=None)
    """What the measure was before the address that set it said something else."""

    def __post_init__(self) -> None:
        self._addresses = [_Address(url) for url in self.urls]

    @contextmanager
    def taken(self) -> Iterator[str]:
        """The address for one call, for as long as it takes: of those that answer the one with fewest calls in flight,
        of these the one that was asked least. Where none answers, the one that rests for the shortest time."""
        now = self.clock()
        usable = [each for each in self._addresses if not each.refused] or self._addresses
        awake = [each for each in usable if each.rests_until <= now]
        if awake:
            address = min(awake, key=lambda each: (each.in_flight, each.asked))
        else:
            address = min(usable, key=lambda each: each.rests_until)
        address.in_flight += 1
        address.asked += 1
        try:
            yield address.url
        # Given up in the middle of a call, which is how a server that hangs ends.
        except (*LOST, asyncio.CancelledError):
            address.rests_until = self.clock() + REST_S
            raise
        except StatusError as error:
            if error.status_code >= 500:
                address.rests_until = self.clock() + REST_S
            raise
        finally:
            address.in_flight -= 1

    def checked(self, url: str, answer: Completion) -> Completion:
        """The answer with who gave it. Raises as `held` does."""
        return self.held(replace(answer, answered_by=_where(url)))

    def held(self, answer: Completion) -> Completion:
        """The answer, which names who gave it. Raises ProviderError where another of the addresses reported another
        model or fingerprint before: that address is not asked again, and its reply is no completion of this model."""
        own = answer.answered_by or "", answer.model_reported, answer.fingerprint
        known = self.known
        if known is None:
            self._measure(own)
        elif own[1:] == known[1:]:
            self._agree.add(own[0])
        elif own[0] == known[0] and self._agree <= {own[0]}:
            # A server that was started anew may say something else, where no other tells that it is the odd one.
            self._measure(own)
            self._before = known[1:]
        elif own[1:] == self._before and len(self._agree) == 1:
            # Another one now tells.
            self._refuse(known[0])
            self._measure(own)
        else:
            self._agree.discard(own[0])
            self._refuse(own[0])
            if any(not each.refused for each in self._addresses):
                raise ProviderError(_differs(own, known), kind="malformed", usage=answer.usage)
            # None says any more what they said first, as after all of them were started anew.
            self.adopt(own)
        return answer

    def adopt(self, known: Known) -> None:
        """Hold all answers from now on to who answered first elsewhere; what was refused by another measure is not."""
        if known != self.known:
            self._measure(known)
            for each in self._addresses:
                each.refused = False

    def _measure(self, own: Known) -> None:
        self.known, self._agree, self._before = own, {own[0]}, None

    def _refuse(self, where: str) -> None:
        for each in self._addresses:
            each.refused |= _where(each.url) == where


def _differs(own: Known, known: Known) -> str:
    at, what = (1, "model") if own[1] != known[1] else (2, "fingerprint")
    said, measure = (str(each[at])[:80] for each in (own, known))
    return (
        f"{own[0]} reports the {what} {said!r} and {known[0]} {measure!r}, so it is not the same model: its reply is "
        "left out, and it is asked no more. Mend the list in api_base."
    )


def _where(url: str) -> str:
    at = urlsplit(url)
    return f"{host(at)}{at.path.rstrip('/')}"
