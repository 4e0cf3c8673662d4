"""A task, a scorer and an importer of your own; their tests: the contract classes of `engine.testing`."""

import json
from dataclasses import replace

from engine.core.ids import question_id
from engine.core.records import Problem, Question
from engine.interop import ImportedAnswer, importer
from engine.tasks import scorer, task


@task("squares")
class Squares:
    """Squares of small numbers; task = "squares" in a study."""

    name = "squares"

    def __init__(self, spec):
        self.spec = spec

    def questions(self):
        first = 2 + 50 * self.spec.seed
        problems = [
            Problem(f"What is {n} times {n}?", "number") for n in range(first, first + (self.spec.questions or 20))
        ]
        targets = [str(n * n) for n in range(first, first + len(problems))]
        return [Question(question_id("squares", p, t), self.name, p, t) for p, t in zip(problems, targets, strict=True)]

    def score(self, answer, question):
        return float(answer == question.target)


@scorer("near")
class Near:
    """Half a point within ten per cent; scorer = "near" under a task of a file."""

    def score(self, answer, question):
        try:
            off = abs(float(answer) - float(question.target)) / max(1.0, abs(float(question.target)))
        except (ValueError, OverflowError):
            return 0.0
        return 1.0 if off == 0 else 0.5 if off <= 0.1 else 0.0


@importer("plain_lines")
class PlainLines:
    """JSON lines with question, target, answer and model."""

    def reads(self, path):
        with path.open("rb") as file:
            return path.suffix == ".jsonl" and b'"question"' in file.readline(10_000)

    def answers(self, path):
        from engine.core.errors import UsageError

        empty = ImportedAnswer("plain", "as logged", "", "", None, None, None, None)
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            try:
                row = json.loads(line)
                found = {key: str(row[key]) for key in ("question", "target", "answer", "model")}
            except (ValueError, KeyError, TypeError):
                raise UsageError(f"Line {number} of {path.name} is no JSON object with question and answer.") from None
            yield replace(empty, **found, score=float(found["answer"] == found["target"]), scorer="equal text")
