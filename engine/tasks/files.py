"""Benchmarks in the user's own files: `file:<path>` for .jsonl, .json, .csv, .tsv, .parquet and, with an extra, .xlsx.

Example, a row of a .jsonl file: {"question": "2 + 3 = ?", "answer": "5"}. Everything read is text and never evaluated:
numbers keep their spelling, true and false become yes and no. Limits: 200 MB and 1,000,000 rows per file, 20,000
characters per question, 2,000,000 per context and 1,000 per target. Rows with the same question, context and target
count once. A context is the document a question is about, read from `context_column`; an empty one is none.

A choice is drawn into the prompt with the options of its row, from a column of lists or from columns A, B, C, ...; its
target is a letter, an option's text or an option's number. Of which kind answers are is told by the targets (`kinds`)
unless the study says it. With a checker, which needs no target, the file has questions alone.

A chat is a question too: its last turn of the user is the question, and the turns before it are sent before it. Rows
that cannot be used end the reading with a sentence, or are left out and counted where the study says so.

Targets of the form "...steps... #### 18" (GSM8K, arXiv 2110.14168) become "18" when every row of the file has the mark.
Rows that are asked: with seed 0 the first n in file order; with seed s = 1, 2, ... the s-th block of n in one fixed
shuffle of the other rows. Seeds share no row as long as they ask for equally many. Spread by a column, file order and
shuffle take of each of its values in turn, so that any block has of each about its share. Worked examples come from
rows that are not asked.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from engine.core import answers, codec, ids, names, text
from engine.core.errors import UnknownName, UsageError, shortened
from engine.core.records import AnswerKind, Example, Message, Problem, Question, Which
from engine.tasks import columns, kinds
from engine.tasks.columns import Role
from engine.tasks.kinds import INSTRUCTIONS
from engine.tasks.scorers import SAME, open_checker, open_scorer
from engine.tasks.tabular import column_names, read_rows
from engine.tasks.task import TaskSpec, too_few

LONGEST_QUESTION = 20_000
LONGEST_TARGET = 1_000
LONGEST_CONTEXT = 2_000_000
_MARK = "####"
_CALCULATOR = re.compile(r"<<[^<>]{0,200}>>")
"""Notes GSM8K makes for a calculator, `<<3*5=15>>`."""


Key = tuple[str, str | None, str, tuple[Message, ...]]


@dataclass(frozen=True, slots=True)
class Row:
    """One usable row of a file."""

    text: str
    target: str
    category: str | None
    reasoning: str | None
    """What stood before the mark; None: there was none."""
    context: str | None = None
    """The document the question is about; None: it stands alone."""
    options: tuple[str, ...] = ()
    """Texts of the options, A first; the text shows them already."""
    number: int = 0
    """Of the row in the file, from 1."""
    turns: tuple[Message, ...] = ()
    """What was said before."""
    own_id: str | None = None
    """What the file calls it; None: nothing."""
    kind: AnswerKind | None = None
    """How its answer looks, as its own cell says; None: as those of the others."""
    stratum: str = ""
    """What it is spread by."""

    @property
    def key(self) -> Key:
        """What makes two rows the same question."""
        return self.text, self.context, self.target, self.turns

    @property
    def shown(self) -> str:
        """Context and question as one text, as a worked example shows them."""
        return f"{self.context}\n{self.text}" if self.context else self.text


class FileTask:
    """Questions from one file, and the scorer that its targets call for."""

    def __init__(self, spec: TaskSpec) -> None:
        """Reads nothing yet; raises UsageError for counts out of range."""
        self.spec = spec
        self.path = Path(spec.name.removeprefix("file:")).expanduser()
        # Scores of one scorer are no scores of another: such a task is one of its own.
        self.scored = scored = spec.checker or spec.scorer or judged_as(spec)
        self.name = f"file:{self.path.stem}" + (f"+{scored}" if scored else "")
        self._checker = open_checker(spec.checker) if spec.checker else None
        self._scorer = self._checker or open_scorer(spec.scorer or SAME)
        if (spec.judge is None) != (spec.rubric is None) or (spec.judge and (spec.scorer or spec.checker)):
            raise UsageError(f"The task {spec.name!r} takes judge and rubric together, and then no scorer or checker.")
        self._note = ""
        self._bad = list[UsageError]()
        self._columns = dict[str, str]()
        if spec.checker and (spec.scorer or spec.kind):
            other = "scorer" if spec.scorer else "kind"
            raise UsageError(f"The task {spec.name!r} has a checker, which decides alone; take its {other} out.")
        if spec.questions is not None and spec.questions < 1:
            raise UsageError(f"The task {spec.name!r} asks for {spec.questions} questions; ask for at least 1.")
        if spec.seed < 0:
            raise UsageError(f"The task {spec.name!r} has seed {spec.seed}; seeds start at 0.")
        if spec.seed and spec.questions is None:
            raise UsageError(f"The task {spec.name!r} asks for all questions, so only seed 0 exists; set 'questions'.")
        if spec.shots < 0:
            raise UsageError(f"The task {spec.name!r} asks for {spec.shots} worked examples; ask for 0 or more.")

    def questions(self) -> Sequence[Question]:
        """The rows the spec asks for; UsageError with file and row for anything that cannot be used."""
        rows = self._rows()
        by_row = self._kinds(rows)
        asked, shown = self._chosen(rows, by_row)
        # Those that the study writes itself come first, as a prompt is read from its top.
        examples = (*self.spec.examples, *(Example(row.shown, row.target, row.reasoning) for row in shown))
        return [self._question(row, by_row[row.key], examples) for row in asked]

    @property
    def statement(self) -> Which:
        """Which of several answers that a reply states counts."""
        return self.spec.statement or "last"

    @property
    def note(self) -> str:
        """How answers will be read, and why, in a sentence; empty until the questions were asked for."""
        first = ", of several that a reply states the first" if self.statement == "first" else ""
        parts = [f"{self._note[:-1]}{first}."] if self._note else []
        if self.spec.judge:
            parts.append(f"{self.spec.judge} judges each distinct answer once, charged to the run and to no setting.")
        # Only what was guessed is said: the rest the user wrote.
        read = ((what, column) for what, column in self._columns.items() if column != getattr(self.spec, _OF[what]))
        guessed = [f"the {what} from {column!r}" for what, column in read]
        parts += [f"By their names, {text.joined(guessed)} of {self.path.name}."] if guessed else []
        if self._bad:
            left = f"{text.plural(len(self._bad), 'row')} left out; the first: {self._bad[0]}"
            parts.append(left if left.endswith(".") else f"{left}.")
        return " ".join(parts)

    def score(self, answer: str, question: Question) -> float:
        """By the scorer the spec names. Raises UsageError where a judge does it."""
        if self.spec.judge:
            raise UsageError(f"Answers to {names.task(self.name)} are scored by the judge {self.spec.judge}, in a run.")
        return self._scorer.score(answer, question)

    def _kinds(self, rows: list[Row]) -> dict[Key, AnswerKind]:
        """The kind of each row's answer; what was guessed is said in `note`."""
        task, spec = names.task(self.name), self.spec
        if self._checker is not None:
            self._note = f"Answers to {task} are judged by {spec.checker}, without targets."
            return dict.fromkeys((row.key for row in rows), self._checker.kind)
        reads: AnswerKind | None = getattr(self._scorer, "reads", None)
        if spec.kind is None and reads is not None:
            self._note = f"Answers to {task} are read as {reads}, as the scorer {spec.scorer} needs them."
            return dict.fromkeys((row.key for row in rows), reads)
        if spec.kind is not None:
            self._note = f"Answers to {task} are read as {spec.kind}, as the study says."
            return {row.key: row.kind or spec.kind for row in rows}
        if all(row.kind for row in rows):
            self._note = f"Answers to {task} are read as each row of the file says."
            return {row.key: row.kind for row in rows if row.kind}
        targets = [row.target for row in rows]
        guessed = kinds.guess(targets, [row.text for row in rows], [row.options for row in rows])
        self._note = f"Answers to {task} {kinds.told(guessed, targets, [row.number for row in rows])}."
        return {row.key: row.kind or kind for row, kind in zip(rows, guessed.kinds, strict=True)}

    def _rows(self) -> list[Row]:
        """The distinct rows of the file, GSM8K targets cut down to what follows the mark, options drawn in."""
        self._bad.clear()
        options = self._option_columns()
        columns = self._columns = self._said_columns()
        wanted = [*columns.values(), *options]
        lists = {columns["messages"]} if "messages" in columns else set()
        lists |= {options[0]} if options else set()
        # Several right answers, or an object's fields, are for a scorer that the study names.
        lists |= {columns["answer"]} if self.spec.scorer and "answer" in columns else set()
        found, choices = list[Row](), list[tuple[str, ...]]()
        seen = dict[str, int]()
        bad = self._bad if self.spec.skip_bad else None
        # Counted in rows of data from 1, as an editor of tables counts below the head.
        for number, cells in enumerate(read_rows(self.path, wanted, lists=lists, bad=bad), start=1):
            # A row that could not be read keeps its number and is counted among the bad ones already.
            if wanted and not cells:
                continue
            named = {what: (cell or "") for what, cell in zip(columns, cells, strict=False)}
            try:
                row = self._row(named, number, seen)
                picked = self._options([*cells[len(columns) :]], number) if options else ()
            except UsageError as error:
                if bad is None:
                    raise
                bad.append(error)
                continue
            found.append(row)
            choices.append(picked)
        if not found:
            usable = f" that can be used; the first: {self._bad[0]}" if self._bad else "."
            raise UsageError(f"The file {str(self.path)!r} holds no rows{usable}")
        rows = self._with_options(found, choices)
        parts = [row.target.rpartition(_MARK) for row in rows]
        # One row without the mark, and it is no mark but a part of answers.
        if all(mark and target.strip() for _, mark, target in parts):
            rows = [
                replace(row, target=target.strip(), reasoning=_CALCULATOR.sub("", steps).strip() or None)
                for row, (steps, _, target) in zip(rows, parts, strict=True)
            ]
        # Backwards and back again, so that of equal rows the first one counts, at its place.
        return list({row.key: row for row in reversed(rows)}.values())[::-1]

    def _said_columns(self) -> dict[str, str]:
        """What each column that is read holds; question and answer are looked for by their names where the study names
        none and the file has none so called."""
        spec = self.spec
        there = column_names(self.path)
        said = {what: getattr(spec, field) for what, field in _OF.items() if getattr(spec, field)}
        roles: tuple[Role, ...] = ("question", "answer")
        for role in roles:
            # The default name, and no such column: only then is there anything to guess.
            if said[role] == role and there and role not in there:
                said[role] = columns.named(role, there) or role
        if spec.messages_column:
            del said["question"]
            if said["answer"] not in there and spec.answer_column == "answer":
                del said["answer"]
        if self._checker:
            said.pop("answer", None)
        # A judge may read the question itself; a scorer would find each question to be its own answer.
        if "answer" in said and said["answer"] == said.get("question") and not spec.judge:
            both = f"The column {said['answer']!r} of {self.path.name} cannot hold both question and answer"
            raise UsageError(f"{both}; name another, or a checker that needs no answers.")
        return said

    def _row(self, named: Mapping[str, str], number: int, seen: dict[str, int]) -> Row:
        """One row by what its cells hold. Raises UsageError for what cannot be used."""
        spec, columns = self.spec, self._columns
        own_id = named.get("id", "").strip() or None
        # Results are told apart by it; two rows of one name would be one.
        if own_id is not None and seen.setdefault(own_id, number) != number:
            raise UsageError(f"Row {number} of {str(self.path)!r} has the id {own_id!r} of row {seen[own_id]}.")
        turns: tuple[Message, ...] = ()
        if "messages" in columns:
            turns, asked, reply = self._chat(named["messages"], number)
        else:
            asked, reply = self._cell(named["question"], number, columns["question"], LONGEST_QUESTION), None
        if self._checker:
            target = self._checker.target
        elif "answer" in columns:
            # Before the mark stand whole solutions, which may be long; what follows it is what counts.
            longest = LONGEST_QUESTION if _MARK in named["answer"] else LONGEST_TARGET
            target = self._cell(named["answer"], number, columns["answer"], longest)
        else:
            target = self._cell(reply, number, columns["messages"], LONGEST_QUESTION)
        document = named.get("context", "").strip()
        context = self._cell(document, number, spec.context_column or "", LONGEST_CONTEXT) if document else None
        category, kind = named.get("category", "").strip() or None, named.get("kind", "").strip().lower() or None
        if kind is not None and kind not in INSTRUCTIONS:
            where = f"kind of answer in row {number} of {self.path.name}"
            raise UnknownName(where, kind, INSTRUCTIONS)
        return Row(
            *(asked, target, category, None, context),
            number=number,
            turns=turns,
            own_id=own_id,
            kind=kind,
            stratum=named.get("stratum", "").strip(),
        )

    def _chat(self, cell: str, number: int) -> tuple[tuple[Message, ...], str, str | None]:
        """What was said before the last turn of the user, that turn, and the reply behind it; None: there is none."""
        column = self._columns["messages"]
        where = f"Row {number} of {str(self.path)!r}"
        try:
            said = json.loads(cell)
            turns = [_turn(each) for each in said]
        # Nested a thousand deep it is no chat, and json gives up by recursion.
        except (ValueError, TypeError, KeyError, RecursionError):
            what = 'no list of turns such as {"role": "user", "content": "..."}, by system, user or assistant'
            raise UsageError(f"{where} has in {column!r} {what}.") from None
        # Behind the question: it is what the chat answered, not a turn to send.
        reply = turns.pop().content if turns and turns[-1].role == "assistant" else None
        if not turns or turns[-1].role != "user":
            raise UsageError(
                f"{where} has a chat in {column!r} without a last turn of the user, which is the question."
            )
        asked = self._cell(turns[-1].content, number, column, LONGEST_QUESTION)
        if sum(len(turn.content) for turn in turns) > LONGEST_CONTEXT:
            raise UsageError(f"{where} has a chat of more than {LONGEST_CONTEXT:,} characters.")
        return tuple(turns[:-1]), asked, reply

    def _option_columns(self) -> list[str]:
        """Columns with the options of each question: one with all of them, or one for each letter."""
        spec = self.spec
        if spec.choices_column or spec.kind not in (None, "choice") or self._checker:
            return [spec.choices_column] if spec.choices_column else []
        used = {getattr(spec, field) for field in _OF.values()}
        names = [name for name in column_names(self.path) if name not in used]
        by_name = {name.strip().lower(): name for name in names}
        # A column of lists before one a letter: benchmarks that have both repeat themselves.
        together = [by_name[name] for name in ("choices", "options") if name in by_name]
        if together:
            return together[:1]
        for pattern in ("{}", "option_{}", "option {}", "choice_{}", "choice {}", "option{}"):
            lettered = [by_name.get(pattern.format(answers.lettered(at).lower())) for at in range(answers.MOST_OPTIONS)]
            # A, B, C without a gap: a lone column D is something else.
            alone = list(itertools.takewhile(lambda name: name is not None, lettered))
            if len(alone) > 1:
                return [name for name in alone if name is not None]
        return []

    def _options(self, cells: list[str | None], number: int) -> tuple[str, ...]:
        """The options of one row; those that a row has fewer of than the file has columns are empty at its end."""
        if len(cells) > 1:
            texts = [(cell or "").strip() for cell in cells]
            # At the end alone: an empty option between two others is a mistake of the file.
            while texts and not texts[-1]:
                texts.pop()
        else:
            texts = split_options(cells[0] or "")
        wanted = self.spec.kind == "choice" or self.spec.choices_column
        if wanted and (not 2 <= len(texts) <= answers.MOST_OPTIONS or not all(texts)):
            few = f"has {len(texts)} options, or an empty one; a choice has 2 to {answers.MOST_OPTIONS}"
            raise UsageError(f"Row {number} of {str(self.path)!r} {few}.")
        return tuple(texts)

    def _with_options(self, rows: list[Row], choices: list[tuple[str, ...]]) -> list[Row]:
        """The rows with options in the text and letters for targets, if it is the options that are chosen from."""
        if not choices or self._checker:
            return rows
        letters = [self._letter(row.target, options) for row, options in zip(rows, choices, strict=True)]
        if any(letter is None for letter in letters):
            # All targets or none: a file that numbers its options does so in every row.
            numbered = self._numbered(rows, choices)
            if numbered is None and not (self.spec.kind == "choice" or self.spec.choices_column):
                # Columns that are called like options and hold something else.
                return rows
            if numbered is None and self.spec.skip_bad:
                return self._with_options(*self._matched(rows, choices, letters))
            if numbered is None:
                at = letters.index(None)
                what = f"{shortened(repr(rows[at].target))}, which is none of its {len(choices[at])} options"
                where = f"Row {rows[at].number} of {str(self.path)!r}"
                raise UsageError(f"{where} has the answer {what}; give an option's letter or text.")
            letters = numbered
        return [
            replace(row, text=_drawn(row.text, options), target=letter or "", options=options)
            for row, options, letter in zip(rows, choices, letters, strict=True)
        ]

    def _matched(
        self, rows: list[Row], choices: list[tuple[str, ...]], letters: list[str | None]
    ) -> tuple[list[Row], list[tuple[str, ...]]]:
        """Those whose answer is one of their options; the others are left out."""
        kept = [at for at, letter in enumerate(letters) if letter is not None]
        for row in (row for row, letter in zip(rows, letters, strict=True) if letter is None):
            where = f"Row {row.number} of {str(self.path)!r}"
            self._bad.append(UsageError(f"{where} has the answer {shortened(repr(row.target))}, none of its options."))
        if not kept:
            raise UsageError(f"No row of {str(self.path)!r} has one of its options for an answer.")
        return [rows[at] for at in kept], [choices[at] for at in kept]

    @staticmethod
    def _letter(target: str, options: tuple[str, ...]) -> str | None:
        """A target as the letter of an option: as its very text, else as a letter."""
        equal = [place for place, option in enumerate(options) if option.strip() == target.strip()]
        # Twice the same text names no option; then it is read as a letter.
        if len(equal) == 1:
            return answers.lettered(equal[0])
        letter = answers.letter_of(target)
        return letter if letter is not None and ord(letter) - ord("A") < len(options) else None

    @staticmethod
    def _numbered(rows: list[Row], choices: list[tuple[str, ...]]) -> list[str | None] | None:
        """Targets that number the options, from 0 or from 1, as letters; None: they do not."""
        if not all(re.fullmatch(r"[0-9]{1,2}", row.target) for row in rows):
            return None
        places = [int(row.target) for row in rows]
        # From 0 unless that leaves one out of reach, which is how benchmarks count.
        first = 0 if all(place < len(options) for place, options in zip(places, choices, strict=True)) else 1
        if not all(0 <= place - first < len(options) for place, options in zip(places, choices, strict=True)):
            return None
        return [answers.lettered(place - first) for place in places]

    def _cell(self, cell: str | None, number: int, column: str, longest: int) -> str:
        text = (cell or "").strip()
        if not text:
            raise UsageError(f"Row {number} of {str(self.path)!r} has an empty {column!r}.")
        if len(text) > longest:
            most = f"{len(text):,} characters; at most {longest:,} are taken"
            raise UsageError(f"Row {number} of {str(self.path)!r} has a {column!r} of {most}.")
        return text

    def _chosen(self, rows: list[Row], by_row: Mapping[Key, AnswerKind]) -> tuple[list[Row], list[Row]]:
        """Rows to ask and rows to show."""
        spec, file = self.spec, f"The file {str(self.path)!r} has {text.plural(len(rows), 'distinct row')}"
        rows = spread(rows)
        count = len(rows) - spec.shots if spec.questions is None else spec.questions
        if not spec.shots and spec.questions is None and spec.seed == 0:
            # The usual case needs no order by id, which costs a hash per row.
            return rows, []
        # Ids are hashes of content, so their order is a shuffle that is the same on every machine.
        shuffled = sorted(
            rows, key=lambda row: ids.question_id("file", self._problem(row, by_row[row.key], ()), row.target)
        )
        if spec.questions is None and spec.seed == 0 and count > 0:
            shown = shuffled[count:]
            return [row for row in rows if row not in set(shown)], shown
        if count < 1 or (spec.seed + 1) * count > len(rows):
            raise too_few(file, len(rows), count, spec.seed)
        # Seed 0 reads the file from its top, as people expect; later seeds share no row with it.
        first = set(rows[:count])
        others = spread([row for row in shuffled if row not in first])
        chosen = rows[:count] if spec.seed == 0 else others[(spec.seed - 1) * count : spec.seed * count]
        texts = {row.shown for row in chosen}
        # From the end of the shuffle, which blocks of questions reach last.
        spare = [row for row in reversed(shuffled) if row.shown not in texts][: spec.shots]
        if len(spare) < spec.shots:
            left = f"{len(chosen)} to ask leave {len(spare)} for {spec.shots} worked examples"
            raise UsageError(f"{file}: {left}.")
        return chosen, spare

    def _question(self, row: Row, kind: AnswerKind, examples: tuple[Example, ...]) -> Question:
        problem = self._problem(row, kind, examples)
        # A trial stores its verdict and is found by its question: another scorer's must not be taken for this one's.
        question_id = ids.question_id(f"file+{self.scored}" if self.scored else "file", problem, row.target)
        data = codec.with_reading(problem, row.own_id)
        return Question(question_id, self.name, problem, row.target, row.category, data)

    def _problem(self, row: Row, kind: AnswerKind, examples: tuple[Example, ...]) -> Problem:
        instructions = self._checker.instructions if self._checker else INSTRUCTIONS[kind]
        instructions = instructions or str(getattr(self._scorer, "form", ""))
        options = row.options if kind == "choice" else ()
        return Problem(row.text, kind, instructions, examples, row.context, options, self.statement, row.turns)


_OF = {
    "messages": "messages_column",
    "question": "question_column",
    "answer": "answer_column",
    "category": "category_column",
    "context": "context_column",
    "id": "id_column",
    "kind": "kind_column",
    "stratum": "stratify_column",
}
"""What a column holds, and the field of a study that names it."""
_SPEAKERS: dict[str, Literal["system", "user", "assistant"]] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "model", "bot", "gpt", "ai"), "assistant"),
}


def judged_as(spec: TaskSpec) -> str | None:
    """What a judge is called in the name of a task: by model and rubric, as other words give other scores."""
    return f"judge({ids.digest('j1', [spec.judge, spec.rubric])[3:11]})" if spec.judge else None


def _turn(turn: Mapping[str, object]) -> Message:
    """By role and content, or as chats to train on have them, by from and value; of content in parts the texts.

    Raises ValueError, TypeError or KeyError for anything else."""
    speaker = turn["role"] if "role" in turn else turn["from"]
    content = turn["content"] if "content" in turn else turn["value"]
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(each, str) for each in texts):
        raise ValueError("no text")
    return Message(_SPEAKERS[str(speaker).strip().lower()], "\n".join(map(str, texts)))


def spread(rows: Sequence[Row]) -> list[Row]:
    """The rows in an order of which any block has of each stratum about its share, each stratum in its own order."""
    # Counted before anything is placed: a share needs the whole.
    sizes, places = Counter(row.stratum for row in rows), Counter[str]()
    ranks = []
    for row in rows:
        # The middle of the k-th of m equal parts: systematic sampling, which leaves one stratum as it was.
        ranks.append((places[row.stratum] + 0.5) / sizes[row.stratum])
        places[row.stratum] += 1
    return [rows[at] for at in sorted(range(len(rows)), key=lambda at: (ranks[at], at))]


def split_options(cell: str) -> list[str]:
    """The options in one cell: a list as JSON or Python writes it, a line each, or texts between bars or semicolons."""
    text = cell.strip()
    if text[:1] == "[":
        # Python's own spelling last: it takes single quotes, and evaluates literals alone.
        for read in (json.loads, ast.literal_eval):
            try:
                items = read(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            if isinstance(items, list) and all(isinstance(item, str | int | float) for item in items):
                return [str(item).strip() for item in items]
    for separator in ("\n", "|", ";"):
        if separator in text:
            return [_ITEM.sub("", part.strip()) for part in text.split(separator) if part.strip()]
    return [_ITEM.sub("", text)] if text else []


_ITEM = re.compile(r"^\(?[A-Z][).:]\s+")


def _drawn(text: str, options: tuple[str, ...]) -> str:
    """The question with its options below it, unless its text has them with their letters already."""
    there = all(
        re.search(rf"(?<!\w){answers.lettered(at)}[).:]\s*{re.escape(o)}", text) for at, o in enumerate(options)
    )
    return text if there else f"{text}\n\n{answers.written(options)}"


def guess_kind(targets: Iterable[str]) -> AnswerKind:
    """What most of the targets are; see `kinds`."""
    return kinds.guess(list(targets)).kind
