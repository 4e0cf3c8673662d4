"""Another tool's log into the store: surveyed first, so that it can be said what will come in and what is missing, then
stored in batches. Memory grows by a few numbers an answer and not with its texts: what is here already of a batch is
asked of the database, batch by batch. A second import changes nothing.

An imported trial (rule 23 of the budget rules) is not anytime, has no wall and no closing call: one mark at the spend
the log reports, the budget *as run*. A spend the log does not report is stored as null. Its score is the log's own,
under the name of the log's scorer.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TypeAlias

from engine.core import ids, names, text
from engine.core.answers import READER_VERSION
from engine.core.codec import with_reading
from engine.core.errors import UsageError, shortened
from engine.core.records import (
    Call,
    Completion,
    Condition,
    Cut,
    Mark,
    Message,
    ModelSetting,
    ModelSpend,
    Price,
    Problem,
    Question,
    Spend,
    Trial,
    TrialSpec,
    Usage,
    verdict_of,
)
from engine.interop import ImportedAnswer, Importer, admitted, importer_for, logs
from engine.interop.derived import MOST_BYTES, Wishes, readings
from engine.interop.kept import Kept, KeptAnswers
from engine.interop.meeting import Here, Repeats, alike, cleaned, content_key, with_options
from engine.interop.tally import Tally
from engine.models.prices import bundled_price
from engine.store import foreign
from engine.store.store import Asked, Batch, RunRow, Store, asked_for

BATCH, BATCH_LETTERS = 6_000, 8_000_000
"""Trials of one transaction, each of which costs what a hundred trials cost, and letters of their texts in memory."""
MEMORY_MB = 96
"""What DuckDB may have in memory of the database while it is written to."""
TOLD = 400
"""Answers between two words of progress."""
UNSCORED = "the log gives no score"
NOTHING_MORE = Wishes()
"""The log as it stands."""
_PARTS = {
    "calls": "calls",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "reasoning_tokens": "reasoning tokens",
    "cached_tokens": "cached tokens",
    "latency_ms": "times",
}
Key = tuple[str, str]
"""A log's own run, and the task in it: what becomes one run here."""


@dataclass(slots=True)
class Part:
    """What a log has of one task, counted."""

    tool: str
    task: str
    """As the tool calls it."""
    home: str
    """The task it stands under here: that of a stored one whose questions it has, else its own name."""
    study: str
    run_id: str
    answers: int = 0
    scored: int = 0
    failed: int = 0
    derived: int = 0
    """Majority votes over draws, which are no answers of the log."""
    majorities: set[int] = field(default_factory=set)
    """Of how many draws such votes are."""
    voting: bool = False
    """Whether such votes are wanted."""
    repeated: int = 0
    """Answers of the log to a prompt that its setting has an answer to already."""
    stored: int = 0
    """Answers and votes that are here already."""
    conflicts: int = 0
    """Of these, the ones whose answer or score is another here; what is here stays."""
    met: int = 0
    """Questions that are here already."""
    first: datetime | None = None
    last: datetime | None = None
    models: set[str] = field(default_factory=set)
    unpriced: set[str] = field(default_factory=set)
    settings: set[tuple[str | None, ...]] = field(default_factory=set)
    scorers: set[str] = field(default_factory=set)
    questions: Tally = field(default_factory=Tally)
    """By hashes of their keys by content, how many answers each has."""
    missing: Counter[str] = field(default_factory=Counter)
    """By part of the spend, answers whose log does not report it."""
    homes: Counter[str] = field(default_factory=Counter)

    @property
    def fresh(self) -> int:
        """Answers and votes that will be new."""
        return self.answers + self.derived - self.stored

    def lines(self) -> list[str]:
        """What comes in, and what is missing, in one line each."""
        tool = names.TOOLS.get(self.tool, self.tool)
        repeats = f", {text.plural(self.answers, 'answer')}" if self.answers != len(self.questions) else ""
        comes = (
            f"{names.task(self.home)} (imported, {tool}): {text.plural(len(self.questions), 'question')}{repeats}, "
            f"{text.plural(len(self.settings), 'setting')} of {_listed(self.models)}, scored by "
            f"{_listed(self.scorers) or 'nobody the log names'}; {self._already()}."
        )
        return [comes, self._missing(), *self._votes()]

    def _votes(self) -> list[str]:
        """What becomes of several answers to one prompt; empty: the log has none."""
        if self.majorities:
            at = text.joined([text.count(k) for k in sorted(self.majorities)])
            return [f"Derived from its draws, and labelled so: majority at {at}."]
        if not self.repeated:
            return []
        if not self.voting:
            return ["Votes over its draws (majority at k) can come in too, as derived settings."]
        return [
            "No votes are derived from its repeats: prompts differ, most questions have one answer, or answers are "
            "whole texts, which a reading by our own rules makes short."
        ]

    def _already(self) -> str:
        said = f"{text.count(self.fresh)} new" if self.fresh else "all here already"
        if self.stored and self.fresh:
            said += f", {text.count(self.stored)} here already"
        if self.met:
            said += f", {text.plural(self.met, 'question')} met by content"
        if self.conflicts:
            said += f", {text.count(self.conflicts)} of them with another answer or score (left out)"
        return said

    def _missing(self) -> str:
        lacking = []
        for part, called in _PARTS.items():
            if count := self.missing[part]:
                lacking.append(called if count == self.answers else f"{called} of {text.plural(count, 'answer')}")
        if unscored := self.answers - self.scored - self.failed:
            lacking.append(f"the score of {text.plural(unscored, 'answer')} (in no figure)")
        if self.failed:
            lacking.append(f"{text.plural(self.failed, 'answer')} that failed (counted, never scored)")
        if self.unpriced:
            lacking.append(f"a price of {_listed(self.unpriced)}")
        return f"Missing, and unknown from then on: {', '.join(lacking)}." if lacking else "Nothing is missing."


@dataclass(frozen=True, slots=True)
class Survey:
    """What an import will do."""

    path: Path
    importer: Importer
    digest: str
    """What names a log that has no id of its own: the content of its file, or of the one it was when it first came."""
    reached: tuple[int, str]
    """How many answers it has, and their digest: by it a later, longer file is known for the same log."""
    moment: datetime
    """Stands for times that the log does not say: when the file was last changed."""
    parts: Mapping[Key, Part]
    study: str | None
    wishes: Wishes
    kept: KeptAnswers
    """Its answers, and what was derived of them, as they were surveyed; not whole where they are too many."""

    @property
    def fresh(self) -> int:
        """Answers that will be new."""
        return sum(part.fresh for part in self.parts.values())


def _listed(words: Iterable[str]) -> str:
    ordered = sorted(words)
    return text.joined(map(shortened, ordered[:4])) + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")


def survey(
    store: Store,
    path: Path,
    study: str | None = None,
    wishes: Wishes = NOTHING_MORE,
    progress: Callable[[int], None] = lambda _: None,
) -> Survey:
    """Read a log to its end and say what it would bring. Raises UsageError with file and place.

    `wishes`: a second reading, and votes over draws, which come in as settings of their own. `progress` hears now and
    then how many were read."""
    if not path.exists():
        raise UsageError(f"There is no {shortened(str(path))!r} to import; name a log, a folder of one, or a database.")
    # Of the content, so that the same log under another name is the same log.
    reader, digest = importer_for(path), _digest(path)
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    here = Here(store)
    known = admitted.earlier(store)
    growth = admitted.Growth(known, "")

    def source() -> Iterator[ImportedAnswer]:
        nonlocal growth
        growth = admitted.Growth(known, digest)
        return growth.through(admitted.answers(reader, path))

    unnamed: dict[Key, Part] = {}
    kept = KeptAnswers(store.path.parent)
    for count, answer in enumerate(kept.through(readings(source, wishes)), 1):
        if not count % TOLD:
            progress(count)
        key = answer.log, answer.task or path.stem
        part = unnamed.get(key)
        if part is None:
            part = unnamed[key] = Part(answer.tool, key[1], key[1], "", "", voting=wishes.votes)
        _count(part, answer, here)
    # Only now: whether a log that has no id is a longer one of before shows at its end.
    parts = {(log or growth.origin, task): part for (log, task), part in unnamed.items()}
    for key, part in parts.items():
        part.run_id = ids.digest("import", [part.tool, *key])
    if not parts:
        bad = logs.left_out()
        why = f" that can be read; {text.plural(bad, 'record')} cannot" if bad else ""
        raise UsageError(f"{path.name!r} holds no answer{why}; there is nothing to import.")
    for part in parts.values():
        # At home with what is here where most of its questions are: there the settings stand side by side.
        home, shared = max(part.homes.items(), key=lambda each: (each[1], each[0]), default=(part.task, 0))
        part.home = home if 2 * shared >= len(part.questions) else part.task
        part.study = study or f"{names.task(part.home)}, imported from {names.TOOLS.get(part.tool, part.tool)}"
    # Where nobody answered a prompt twice there is nothing to keep for votes when the log is read again.
    wishes = replace(wishes, votes=any(part.derived for part in parts.values()))
    found = Survey(path, reader, growth.origin, growth.reached, changed, parts, study, wishes, kept)
    _compare(store, found, here)
    return found


def _count(part: Part, answer: ImportedAnswer, here: Here) -> None:
    if answer.votes:
        part.derived += 1
        part.majorities.add(answer.votes)
        return
    part.answers += 1
    part.repeated += answer.repeat > 0
    part.failed += answer.error is not None
    part.scored += answer.score is not None
    part.models.add(answer.model)
    part.settings.add((answer.model, answer.setting, answer.scorer, repr(answer.parameters)))
    if answer.scorer:
        part.scorers.add(answer.scorer)
    if answer.error is None:
        # Of an answer that failed nobody expects a spend.
        part.missing.update(name for name in answer.unreported if name in _PARTS)
    if _price(answer.model) is None:
        part.unpriced.add(answer.model)
    if answer.answered_at is not None:
        part.first = min(part.first or answer.answered_at, answer.answered_at)
        part.last = max(part.last or answer.answered_at, answer.answered_at)
    key = content_key(_shown(answer), answer.target)
    # Each question once, or a task with many repeats would win as the home.
    if not part.questions.add(key) and (known := here.get(key)) is not None:
        part.met += 1
        part.homes[known[1]] += 1


def _compare(store: Store, found: Survey, here: Here) -> None:
    """Count what is here already, and where it is not the same."""
    if not here:
        return
    # Batch by batch: answers may be whole texts, of which a log may have more than the memory holds.
    batch: dict[str, list[tuple[Part, str | None, float | None]]] = {}
    letters = 0

    def compared() -> None:
        for known in foreign.answers(store, batch):
            for part, answer_text, score in batch[known.trial_id]:
                part.stored += 1
                said = cleaned(answer_text)
                # A score of 0 for no answer is stored as none.
                part.conflicts += (known.answer, known.score) != (said, None if said is None and score == 0 else score)
        batch.clear()

    for part, answer in _with_parts(found):
        trial_id = _trial_id(found, part, answer, _condition(part, answer), _question(part, answer, here))
        batch.setdefault(trial_id, []).append((part, answer.answer, answer.score))
        letters += len(answer.answer or "")
        if len(batch) >= BATCH or letters >= BATCH_LETTERS:
            compared()
            letters = 0
    compared()


def _with_parts(found: Survey) -> Iterator[tuple[Part, ImportedAnswer]]:
    anew = readings(lambda: admitted.answers(found.importer, found.path), found.wishes)
    for answer in found.kept if found.kept.whole else anew:
        part = found.parts.get((answer.log or found.digest, answer.task or found.path.stem))
        if part is None:
            raise UsageError(f"{found.path.name!r} was changed while it was read; import it again.")
        yield part, answer


def bring_in(store: Store, found: Survey, progress: Callable[[int], None] = lambda _: None) -> int:
    """Store what was surveyed; returns how many answers and votes were new. `progress` hears how many were read."""
    here, writer = Here(store), Store(store.path, wait_s=store.wait_s, memory_mb=MEMORY_MB)
    batch: list[_Read] = []
    fresh = read = letters = 0
    # What each run asks for is as long as the log, so it waits in a file: by run, where in it a batch has its own.
    with SpooledTemporaryFile(MOST_BYTES) as file:
        kept = Kept(file)
        places: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))

        def flush() -> None:
            nonlocal fresh, letters
            if not batch:
                return
            fresh += _store(store, writer, found, batch)
            runs: defaultdict[str, list[TrialSpec]] = defaultdict(list)
            # Also of what is here already: a run says what it asks for, whatever of it is new.
            for part, _, condition, question in batch:
                runs[part.run_id].append(TrialSpec("", condition, question, 0))
            for run_id, specs in runs.items():
                places[run_id].append(kept.put(asked_for(specs)))
            batch.clear()
            letters = 0

        def asked(run_id: str) -> Iterator[Asked]:
            for at in places[run_id]:
                yield from kept.get(at)

        for part, answer in _with_parts(found):
            read += 1
            if not read % TOLD:
                progress(read)
            question = _question(part, answer, here)
            batch.append((part, answer, _condition(part, answer), question))
            letters += len(question.problem.text) + len(answer.reply or "")
            letters += sum(len(turn.content) for turn in answer.prompt)
            if len(batch) >= BATCH or letters >= BATCH_LETTERS:
                flush()
        flush()
        progress(read)
        for part in found.parts.values():
            _save_run(writer, found, part, partial(asked, part.run_id))
    return fresh


_Read: TypeAlias = tuple[Part, ImportedAnswer, Condition, Question]


def _store(store: Store, writer: Store, found: Survey, batch: Sequence[_Read]) -> int:
    """Store what of a batch is not here; returns how many were new."""
    trial_ids = [_trial_id(found, *each) for each in batch]
    pairs = [(condition.condition_id, question.question_id) for _, _, condition, question in batch]
    known, repeats = foreign.stored(store, trial_ids, pairs)
    taken = Repeats(repeats)
    trials: list[Trial] = []
    completions: list[Completion] = []
    for trial_id, pair, (part, answer, condition, question) in zip(trial_ids, pairs, batch, strict=True):
        if trial_id in known:
            continue
        known.add(trial_id)
        # A second log of a setting is more repeats of it, never another answer in place of the first.
        repeat = taken.free(pair, answer.repeat)
        taken.add(pair, repeat)
        trial, completion = _trial(found, part, answer, TrialSpec(trial_id, condition, question, repeat))
        trials.append(trial)
        if completion is not None:
            completions.append(completion)
    new = Batch(tuple(trials), tuple(completions))
    return writer.within_memory(lambda: writer.flush(new)) if trials else 0


def _save_run(store: Store, found: Survey, part: Part, asked: Callable[[], Iterable[Asked]]) -> None:
    start = part.first or found.moment
    study = {
        "name": part.study,
        "imported": part.tool,
        "source": found.path.name,
        "log": {"answers": found.reached[0], "digest": found.reached[1], "origin": found.digest},
        "planned_questions": {part.home: len(part.questions)},
    }
    run = RunRow(
        part.run_id,
        ids.canonical(study),
        "finished",
        start,
        part.last or start,
        planned_trials=part.answers + part.derived,
    )
    # A run that is here and brings nothing new keeps the moment it was stored with.
    if part.fresh or part.run_id not in {each.run_id for each in store.runs()}:
        store.within_memory(lambda: store.save_run(run, asked=asked()))


def _shown(answer: ImportedAnswer) -> str:
    return with_options(answer.question, answer.options)


def _question(part: Part, answer: ImportedAnswer, here: Here) -> Question:
    shown = cleaned(_shown(answer)) or ""
    known = here.get(content_key(shown, answer.target))
    # A longer target is an option's text, which is compared as text.
    kind = "choice" if answer.options and len((answer.target or "").strip()) == 1 else "text"
    problem = Problem(shown, kind, options=tuple(cleaned(option) or "" for option in answer.options))  # type: ignore[arg-type]
    target = cleaned(answer.target) or ""
    # By what is alike, so that two logs that only space it differently have one question.
    id = known[0] if known else ids.digest("q1", ["imported", alike(shown), alike(target)])
    return Question(id, part.home, problem, target, cleaned(answer.category), with_reading(problem))


def _condition(part: Part, answer: ImportedAnswer) -> Condition:
    """A setting carries its tool and scorer: prompts and scores of one tool are not those of another."""
    strategy = names.imported(answer.tool, cleaned(answer.setting) or "")
    kinds = tuple(type(value) for _, value in answer.parameters)
    return _as_run(part.home, strategy, answer.model, answer.parameters, answer.scorer, answer.votes, kinds)


# A log has few settings and names one with every answer. With the kinds of its parameters: 0, 0.0 and no are equal.
@lru_cache(maxsize=1024)
def _as_run(
    task: str,
    strategy: str,
    named: str,
    parameters: tuple[tuple[str, str | int | float | bool], ...],
    scorer: str | None,
    votes: int,
    _: tuple[type, ...],
) -> Condition:
    model = cleaned(named) or ""
    params = dict(parameters) | ({"scorer": shortened(scorer)} if scorer else {})
    params |= {names.MAJORITY: votes} if votes else {}
    lineup = (("solver", ModelSetting(model, model, _price(named))),)
    # Not anytime and with a budget of 0: as run, with no wall that we know of.
    made = Condition("", task, lineup, strategy, ids.canonical(params), 1, False, "total_tokens", 0)
    return replace(made, condition_id=ids.condition_id(made))


_PRICES: dict[str, Price | None] = {}


def _price(model: str) -> Price | None:
    """List price of a model as a log names it: whole, then without the services in front of it."""
    if model not in _PRICES:
        path, found = model, bundled_price(model)
        # openrouter/openai/gpt-4o is listed as gpt-4o.
        while found is None and "/" in path:
            path = path.partition("/")[2]
            found = bundled_price(path)
        _PRICES[model] = found
    return _PRICES[model]


def _trial_id(found: Survey, part: Part, answer: ImportedAnswer, condition: Condition, question: Question) -> str:
    """The same log in another form gives the same ids; another log of the same setting gives others."""
    log = answer.log or found.digest
    return ids.digest(
        "t1", ["imported", log, condition.condition_id, question.question_id, answer.sample, answer.repeat]
    )


def _trial(found: Survey, part: Part, answer: ImportedAnswer, spec: TrialSpec) -> tuple[Trial, Completion | None]:
    model, spend = spec.condition.solver.identity, answer.spend or Spend()
    # One mark at the end, so the high-water mark of the input is all of it.
    spends = (ModelSpend(model, spend, spend.input_tokens),)
    said, at = cleaned(answer.answer), answer.answered_at or part.first or found.moment
    scored = answer.error is None and answer.score is not None
    # A score of 0 for no answer is not wrong but none; a log may give points without saying what for.
    judged = scored and (said is not None or answer.score != 0)
    verdict = verdict_of(answer.score) if judged and answer.score is not None else "none"
    score = answer.score if judged else None
    reply = cleaned(answer.reply)
    # A name of its own kind, so that no request of ours is ever answered by it.
    key = ids.digest("i1", spec.trial_id)
    calls: tuple[Call, ...] = ()
    completion = None
    if answer.prompt and answer.error is None:
        messages = answer.prompt
        if not all(turn.content.isascii() for turn in messages):
            messages = tuple(Message(turn.role, cleaned(turn.content) or "") for turn in messages)
        cut = Cut.OWN if answer.cut else None
        output = spend.output_tokens
        calls = (
            Call(
                0,
                "imported",
                model,
                key,
                messages,
                output,
                output,
                spend.input_tokens,
                cut,
                False,
                spend,
                output,
                spend.input_tokens,
            ),
        )
        if reply is not None:
            usage = Usage(
                spend.input_tokens, output, spend.cached_tokens, spend.cache_write_tokens, spend.reasoning_tokens
            )
            # A log that says nothing of a cut need not have noted one.
            finish = "length" if answer.cut else "unsaid"
            completion = Completion(key, reply, finish, usage, spend.latency_ms, None, None, at, run_id=part.run_id)  # type: ignore[arg-type]
    marks = () if said is None or not judged else (Mark(0, said, len(calls), spends, verdict, score),)
    trial = Trial(
        spec=spec,
        run_id=part.run_id,
        attempt=1,
        end="failed" if answer.error is not None else "finished" if scored else "stopped",
        verdict=verdict,
        answer=said,
        error=cleaned(answer.error) if answer.error is not None else None if scored else UNSCORED,
        calls=calls,
        marks=marks,
        spends=spends,
        started_at=at,
        finished_at=at,
        reader=READER_VERSION,
        score=score,
        unreported=answer.unreported,
    )
    return trial, completion


def _digest(path: Path) -> str:
    """Of the content of a file, or of all files of a folder with their names."""
    whole = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            # With their names: two folders with the same files changed about are not the same.
            whole.update(str(file.relative_to(path)).encode("utf-8", "surrogateescape") if file != path else b"")
            with file.open("rb") as content:
                while chunk := content.read(1 << 20):
                    whole.update(chunk)
    return whole.hexdigest()
