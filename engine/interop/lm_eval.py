"""lm-evaluation-harness: `samples_<task>_<time>.jsonl` as `--log_samples` writes them, with the `results_<time>.json`
beside them that says which model answered.

The harness logs no tokens and no times, so these stay unknown; calls are one a document that was generated for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from string import ascii_uppercase as LETTERS
from typing import Any

import msgspec

from engine.core.errors import UsageError
from engine.core.records import Prompt
from engine.interop import ImportedAnswer, importer, logs
from engine.interop.tally import Tally

_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl")
_ASKS = ("question", "problem", "query", "input", "goal", "sentence", "prompt", "text")
"""What documents call their question, most telling first."""
_ASKED = ("temperature", "max_gen_toks", "do_sample", "top_p")


class Document(msgspec.Struct):
    """One line of samples; its metrics stand beside these fields under their own names."""

    doc_id: int
    target: Any
    arguments: Any
    resps: list[Any]
    filtered_resps: Any = None
    doc: Any = None
    filter: str = "none"
    metrics: list[str] = []


@dataclass(frozen=True, slots=True)
class Run:
    """What is told of a file's documents beside it."""

    task: str
    time: str | None
    """As file names have it; None: the file was renamed."""
    model: str
    setting: str
    answered_at: datetime | None


@importer("lm_eval")
class LmEval:
    """One file of samples, or a folder with several."""

    def reads(self, path: Path) -> bool:
        """By the fields of the first line."""
        if path.is_dir():
            return any(self.reads(each) for each in _files(path))
        return path.suffix == ".jsonl" and {"doc_id", "arguments", "resps"} <= logs.first_line(path).keys()

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Document by document, file by file."""
        for file in _files(path) if path.is_dir() else [path]:
            yield from self._file(file)

    def _file(self, path: Path) -> Iterator[ImportedAnswer]:
        # A file that was renamed still has its documents; then its stem names the task.
        named = _NAME.fullmatch(path.name)
        task, time = (named["task"], named["time"]) if named else (path.stem, None)
        run = Run(task, time, *_asked(path, task, time))
        first, filters = Tally(), dict[str, int]()
        for number, line in logs.lines(path, msgspec.Raw):
            where = logs.at_line(path.name, number)
            if (document := logs.attempt(where, logs.decoded, line, Document, where)) is None:
                continue
            # Of one document read through several filters the first is the one that counts.
            used = filters.setdefault(document.filter, len(filters) + 1)
            if (counting := first.get(key := hash((document.doc_id,)), used)) != used:
                continue
            first[key] = counting
            # Twice over one line: metrics stand beside the fields under names of their own.
            values = logs.decoded(line, dict[str, Any], where)
            yield from logs.attempt(where, _answers, run, document, values) or ()


def _answers(run: Run, document: Document, values: dict[str, Any]) -> list[ImportedAnswer]:
    """The scored answer to one document, and behind it the further draws of its prompt."""
    scorer = _scorer(document.metrics or _metrics(values))
    prompt, parameters = _arguments(document.arguments)
    options, generated = _options(document.arguments)
    # A choice by likelihoods has numbers where a generation has text, and several calls: no reply.
    draws = _draws(document.resps) if generated else []
    reply = draws[0] if draws else None
    spend, unreported = logs.spend({"calls": 1 if generated else None})
    answer = _reply(document.filtered_resps) if generated else None
    scored = ImportedAnswer(
        tool="lm_eval",
        setting=run.setting,
        model=run.model,
        question=_question(document.doc, prompt),
        target=None if document.target is None else _target(document.target, options),
        answer=(answer if answer is not None else reply) if generated else _chosen(document, options),
        score=None if scorer is None else logs.unit(values.get(scorer)),
        scorer=scorer and (scorer if document.filter == "none" else f"{scorer}, {document.filter}"),
        spend=spend,
        answered_at=run.answered_at,
        unreported=unreported,
        task=run.task,
        log=f"{run.time}/{run.task}" if run.time else "",
        sample=str(document.doc_id),
        parameters=parameters,
        options=options,
        prompt=prompt,
        reply=reply,
    )
    # A filter takes the first of several draws or votes, and nobody scored them one by one.
    others = enumerate(draws[1:], 1)
    return [scored, *(replace(scored, answer=draw, score=None, repeat=repeat, reply=draw) for repeat, draw in others)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("samples_*.jsonl") if path.is_file())


def _asked(path: Path, task: str, time: str | None) -> tuple[str, str, datetime | None]:
    """Model, what the harness did, and when, by the results beside the samples; a folder is called after the model."""
    beside = path.with_name(f"results_{time}.json") if time else path
    if beside == path or not beside.is_file():
        # The harness writes a folder a model, its slashes doubled into underscores.
        parent = path.parent.name.replace("__", "/")
        if not parent or parent in (".", ".."):
            raise UsageError(f"{path.name!r} has no results_*.json beside it, which says which model answered; add it.")
        return parent, "generate", logs.moment(time and _iso(time))
    with logs.mapped(beside) as content:
        results = logs.decoded(content, dict[str, Any], f"{beside.name!r}")
    config = logs.fields_of(results.get("config"))
    stated = config.get("model_args")
    # A string in earlier releases, an object in later ones.
    told = stated if isinstance(stated, str) else ",".join(f"{k}={v}" for k, v in logs.fields_of(stated).items())
    name = re.search(r"(?:^|,)(?:pretrained|model)=([^,]+)", told)
    model = results.get("model_name") or (name and name[1]) or config.get("model") or "unknown"
    own = logs.fields_of(logs.fields_of(results.get("configs")).get(task))
    kind, shots = own.get("output_type"), own.get("num_fewshot")
    return str(model), f"{kind or 'generate'}, {shots or 0}-shot", logs.moment(_iso(time or ""))


def _iso(time: str) -> str:
    """Their time has dashes for colons, for the sake of file names."""
    day, _, clock = time.partition("T")
    return f"{day}T{clock.replace('-', ':')}"


def _scorer(metrics: Sequence[str]) -> str | None:
    """The first that is a score, where one is: how likely a text was is none."""
    scores = (name for name in metrics if "perplexity" not in name and name != "bits_per_byte")
    return next(scores, next(iter(metrics), None))


def _metrics(values: dict[str, Any]) -> list[str]:
    """Earlier releases do not list them: numbers that are no field of a document."""
    known = {*Document.__struct_fields__, "doc_hash", "prompt_hash", "target_hash"}
    return [k for k, v in values.items() if k not in known and isinstance(v, int | float)]


def _arguments(arguments: Any) -> tuple[Prompt, tuple[tuple[str, str | int | float | bool], ...]]:
    """The prompt and how it was asked; one release writes objects with names, another lists, and a chat as JSON."""
    first = next(iter(arguments.values() if isinstance(arguments, dict) else arguments or ()), None)
    parts = list(first.values()) if isinstance(first, dict) else first if isinstance(first, list) else [first]
    words = parts[0] if parts else None
    words = words[0] if isinstance(words, list) and words else words
    prompt = logs.chat_of(words) if isinstance(words, str) and words else ()
    asked = parts[1] if len(parts) > 1 and isinstance(parts[1], dict) else {}
    return prompt, logs.parameters({name: asked[name] for name in _ASKED if name in asked})


def _reply(replies: Any) -> str | None:
    """The first text in the nested lists of replies; None: they are numbers."""
    # A list a request, in it a list a repeat; some filters unpack one of them.
    while isinstance(replies, list) and replies:
        replies = replies[0]
    return replies if isinstance(replies, str) else None


def _draws(replies: Any) -> list[str]:
    """All texts that one request was answered with; empty: they are numbers."""
    first = replies[0] if isinstance(replies, list) and replies else replies
    several = first if isinstance(first, list) else [first]
    return [reply for each in several if (reply := _reply(each)) is not None]


def _question(doc: Any, prompt: Prompt) -> str:
    """What the document asks, where the prompt has it word for word, without worked examples; else the prompt."""
    said = "\n\n".join(turn.content for turn in prompt if turn.role != "system")
    own = [doc.get(name) for name in _ASKS] if isinstance(doc, dict) else []
    return next((text for text in own if isinstance(text, str) and text.strip() and text in said), said or str(doc))


def _options(arguments: Any) -> tuple[tuple[str, ...], bool]:
    """Texts whose likelihoods were compared, A first, empty where there are not several; and whether there was none to
    compare, as where a reply was generated."""
    requests = list(arguments.values() if isinstance(arguments, dict) else arguments or ())
    parts = [list(each.values()) if isinstance(each, dict) else each for each in requests]
    texts = [each[1].strip() for each in parts if isinstance(each, list) and len(each) > 1 and isinstance(each[1], str)]
    return tuple(texts) if 1 < len(texts) == len(parts) <= len(LETTERS) else (), not texts


def _target(target: Any, options: Sequence[str]) -> str:
    """As it stands, or the letter of the option whose number it is."""
    said = str(target)
    place = int(said) if said.isascii() and said.isdecimal() and len(said) < 3 else -1
    return LETTERS[place] if 0 <= place < len(options) and said not in options else said


def _chosen(document: Document, options: Sequence[str]) -> str | None:
    """The option a choice by likelihoods took: the one whose text is likeliest."""
    values = document.filtered_resps if isinstance(document.filtered_resps, list) else []
    chances = [
        float(v[0])
        for v in values
        if isinstance(v, list) and v and isinstance(v[0], int | float | str) and _number(v[0])
    ]
    if not chances or len(chances) != len(values):
        return None
    if len(chances) == 1:
        # Nothing was compared: one text, which the model would have written itself or not.
        return str(document.target).strip() if str(values[0][-1]) == "True" else "another text"
    place = max(range(len(chances)), key=chances.__getitem__)
    return LETTERS[place] if len(options) == len(chances) else f"option {place + 1}"


def _number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
