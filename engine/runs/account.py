"""What a run was charged, told by all that knows: its journal, the attempts in the database, and its last status.

No one file decides what may still be spent. Attempts are joined by their ids, each at the larger figure, and the sum is
never less than the last status said; the leases add their own in `engine.runs.allowance`. What is known to be missing
from a journal is said. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from engine.core import text
from engine.core.budget import Amount, larger
from engine.core.records import Attempt
from engine.runs import journal, run_dir
from engine.runs.journal import History
from engine.runs.run_dir import RunDir
from engine.store.store import Store


@dataclass(frozen=True, slots=True)
class Account:
    """What a run was charged, and how far its journal can be relied on."""

    history: History
    """What journal and database tell together."""
    last: Amount
    """What the last status said that was charged."""
    seen_at: datetime
    """When it said so; now, if it never did."""
    missing: int = 0
    """Attempts the database knows and the journal does not."""
    unended: int = 0
    """Attempts whose outcome the database knows and the journal does not."""
    lacking: tuple[Attempt, ...] = ()
    """All of these, at the larger figures."""
    shortened: bool = False
    """Whether the journal is shorter than the last status says, or gone."""
    hidden: int = 0
    """Unreadable lines that name no attempt that is known otherwise."""

    @property
    def spent(self) -> Amount:
        """What attempts with a known outcome cost."""
        return self.history.spent

    @property
    def in_doubt(self) -> Amount:
        """What attempts without a known outcome may have cost, those that are known by their sum alone included."""
        return self.history.in_doubt + self.untold

    @property
    def untold(self) -> Amount:
        """What the last status counts beyond every attempt that is known."""
        # Never below nothing: a journal that knows more than an old status is the usual case.
        return self.last.above(self.history.spent + self.history.in_doubt)

    @property
    def incomplete(self) -> bool:
        """Whether attempts may have been made that nobody knows any more."""
        return self.shortened or bool(self.missing or self.unended or self.hidden) or self.untold != Amount()

    @property
    def damage(self) -> str | None:
        """What is wrong with the journal, in one sentence; None: nothing."""
        wrong = []
        if self.shortened and (self.history.attempts or self.untold != Amount()):
            wrong.append("it is shorter than it was, or gone")
        if lines := len(self.history.unread):
            wrong.append(f"{text.plural(lines, 'line')} cannot be read")
        if self.missing:
            wrong.append(f"it lacks {text.plural(self.missing, 'attempt')} that the database knows")
        if self.unended:
            wrong.append(f"it lacks {text.plural(self.unended, 'outcome')} that the database knows")
        # Said alone only: with a reason above, the missing sum is its consequence.
        if self.untold != Amount() and not wrong:
            wrong.append("it holds less than the last status says")
        if not wrong:
            return None
        return (
            f"The run's journal is damaged ({', '.join(wrong)}), so every attempt counts at the largest figure that "
            "journal or database knows, and all of them at no less than the last status and the leases say."
        )


def account(run: RunDir) -> Account:
    """What a run was charged. Raises StoreError where its database cannot be read."""
    # The status first: a living run's journal only grows, so it then holds at least what that says.
    status, history, size = run_dir.read(run), journal.read(run.journal), run.journal_bytes
    stored = Store(run.db).attempts(run.run_id) if run.db.exists() else []
    known = {attempt.attempt_id: attempt.outcome for attempt in history.attempts}
    ended = {attempt.attempt_id for attempt, _ in stored if attempt.outcome != "in_doubt"}
    missing = {attempt.attempt_id for attempt, _ in stored} - known.keys()
    # Began in the journal and ended in the database: its last lines were lost.
    unended = {name for name in ended if known.get(name) == "in_doubt"}
    merged = _joined(history, stored)
    told = {attempt.attempt_id for attempt in merged.attempts}
    return Account(
        merged,
        status.spent + status.in_doubt,
        status.heartbeat_at or run_dir.now(),
        len(missing),
        len(unended),
        tuple(attempt for attempt in merged.attempts if attempt.attempt_id in missing | unended),
        # A journal is only ever added to.
        size is None or size < status.noted_bytes,
        sum(name not in told for name in history.unread),
    )


def _joined(history: History, stored: Iterable[tuple[Attempt, int | None]]) -> History:
    """The history with what the database knows; of an attempt both know, the larger figures."""
    attempts = {attempt.attempt_id: attempt for attempt in history.attempts}
    reported = dict(history.reported_pusd)
    for attempt, cost in stored:
        name = attempt.attempt_id
        attempts[name] = _larger(attempts[name], attempt) if name in attempts else attempt
        if cost is not None:
            # Whoever heard of the larger bill is believed.
            reported[name] = max(cost, reported.get(name, 0))
    return replace(history, attempts=list(attempts.values()), reported_pusd=reported)


def _larger(one: Attempt, other: Attempt) -> Attempt:
    # One that ended, wherever that was noted, before one that only began.
    most = one if other.outcome == "in_doubt" else other
    money = one.charged_pusd if other.charged_pusd is None else larger(other.charged_pusd, one.charged_pusd)
    return replace(most, charged_tokens=max(one.charged_tokens, other.charged_tokens), charged_pusd=money)
