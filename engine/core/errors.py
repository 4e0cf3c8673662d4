"""The exception tree.

    BudgetscopeError
    ├── UsageError            bad input: study file, command line, data file, URL, model name
    │   └── UnknownName       a name nobody knows, with the nearest known one
    ├── StoreError            the database cannot be used as asked
    │   ├── NotADatabase      the file is something else
    │   ├── NewerDatabase     written by a newer Budgetscope
    │   └── StoreBusy         another process held the lock longer than the bound
    ├── RunError              a run cannot start or go on
    │   └── AlreadyRunning    a living worker holds the run's lock
    ├── CeilingReached        the run's ceiling leaves no room and nothing is in flight
    ├── RunStopped            the run was asked to stop; no new call is dispatched
    ├── ActorLost             an actor of the run died; what it had in flight is in doubt
    └── ProviderError         the model or the network failed for good
        ├── ContextOverflow   prompt and cap do not fit the context window
        └── InDoubt           sent, but the outcome is unknown: it may have been billed

Every message is one sentence that says what was wrong, where, and the nearest right thing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Errors are loaded by `--help`, and records load msgspec.
    from engine.core.records import Usage

RETRYABLE: frozenset[str] = frozenset({"rate_limit", "server", "connection", "malformed", "unfinished", "in_doubt"})
"""Closed list of the kinds of `ProviderError` that another attempt may mend; the others are final."""
# Characters of a name in a sentence, and names in a list: an error is one line that is read.
_LONGEST = 80
_MOST = 40


class BudgetscopeError(Exception):
    """Base of all errors a user may see; `str(error)` is the sentence to show."""


class UsageError(BudgetscopeError):
    """Bad input; nothing was run and nothing was written."""


def shortened(text: str) -> str:
    """The text as a sentence can hold it: at most 80 characters."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(names: Sequence[str]) -> str:
    """The first of some names, in the order given; in quotes where one would not be told from its neighbours."""
    # Names can come from a file: the head of a table may hold a line break in quotes, and errors are one line.
    plain = [name if name.isprintable() and "," not in name else repr(name) for name in map(shortened, names[:_MOST])]
    return ", ".join(plain) + (f" and {len(names) - _MOST:,} more" if len(names) > _MOST else "")


class UnknownName(UsageError):
    """A name that is not known, with the nearest known one in the sentence."""

    def __init__(self, kind: str, name: str, known: Iterable[str], besides: str = "") -> None:
        choices = sorted(known)
        # A low cutoff: a wrong suggestion costs a glance, none costs a search through the list.
        near = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
        hint = f"did you mean {shortened(near[0])!r}?" if near else f"known: {listed(choices) or 'none'}."
        super().__init__(f"Unknown {kind} {shortened(name)!r}: {hint} {besides}".rstrip())
        self.name = name
        self.nearest = near[0] if near else None


class StoreError(BudgetscopeError):
    """The database cannot be used as asked; it was left as it was."""


class NotADatabase(StoreError):
    """The file exists and is not a DuckDB database, or not one of ours."""


class NewerDatabase(StoreError):
    """The database carries a schema version this program does not know."""


class StoreBusy(StoreError):
    """The lock of another process outlasted the bound on retries."""


class OutOfMemory(StoreError):
    """A database takes more memory than it may have."""


class RunError(BudgetscopeError):
    """A run cannot start or go on."""


class AlreadyRunning(RunError):
    """A living worker holds the lock of this run."""


class CeilingReached(BudgetscopeError):
    """The next call does not fit under the run's ceiling and nothing in flight could make room."""


class RunStopped(BudgetscopeError):
    """The run was asked to stop; calls in flight finish and are kept."""


class ActorLost(BudgetscopeError):
    """An actor of the run is gone; what it had in flight may have been billed, and its trials begin again elsewhere."""


class ProviderError(BudgetscopeError):
    """The provider or the network failed after the bounded retries; the trial fails and is never scored."""

    def __init__(
        self, message: str, *, kind: str = "error", retry_after_s: float | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        """One of RETRYABLE, or 'refused', 'context', 'outage', 'error'."""
        self.retry_after_s = retry_after_s
        """Seconds the provider asked us to wait; None when it did not say."""
        self.usage = usage
        """What the provider said that the failed attempt took, which is then charged; None: it did not say."""
        self.begun = False
        """True: part of a reply came with it, so it is not free, whatever its kind is before the work."""
        self.not_charged = False
        """True: the provider states that it bills no such failure; see `engine.models.faults.NOT_CHARGED`."""


class ContextOverflow(ProviderError):
    """Prompt and cap do not fit the model's context window; nothing was generated and nothing is charged.

    Of a prompt that does not fit by itself `room_tokens` is 0 or None, and the trial ends exhausted (context).
    """

    def __init__(self, message: str, *, room_tokens: int | None = None, window_tokens: int | None = None) -> None:
        super().__init__(message, kind="context")
        self.room_tokens = room_tokens
        """Largest cap with which this very prompt fits, by the provider's own count."""
        self.window_tokens = window_tokens
        """Size of the context window as the refusal told it; None: it did not."""


class InDoubt(ProviderError):
    """The request was sent and no outcome came back (timeout, cut connection): charged at its worst case."""
