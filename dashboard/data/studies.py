"""Form values to the TOML text of a study, and files people upload to tasks.

Pure but for the upload folder. Checks nothing itself that the engine checks: the text goes back through
`engine.study.parse`, so every error is the engine's own sentence. Keys are known by the name of their variable only.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.core import files, names, toml
from engine.core.errors import BudgetscopeError, UsageError
from engine.core.records import PUSD_PER_USD
from engine.models.declared import ModelSpec
from engine.models.prices import usd_per_million
from engine.strategies import entries
from engine.study import schema
from engine.tasks import named
from engine.tasks.gym import known_generators
from engine.tasks.gym.catalogue import CATALOGUE, LEVELS
from engine.tasks.task import TASKS, TaskSpec

MOST_BYTES = 5_000_000
MOST_ROWS = 10_000
MOST_COLUMNS = 200
ENDINGS = ("csv", "tsv", "jsonl", "json", "parquet", "xlsx", "xls", "ods")
KEYS = {
    "anthropic": "ANTHROPIC_API_KEY",
    "cohere": "COHERE_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "together_ai": "TOGETHERAI_API_KEY",
    "xai": "XAI_API_KEY",
}
"""Provider prefix of a model name to the variable its key is read from."""
ABOUT = {
    "base_conversion": "A number written in another base.",
    "basic_arithmetic": "Mixed arithmetic with several operations.",
    "binary_alternation": "Fewest swaps that make noughts and ones take turns.",
    "bitwise_arithmetic": "Sums and shifts of hexadecimal numbers.",
    "caesar_cipher": "Words whose letters were all shifted.",
    "calendar_arithmetic": "Which weekday it is a number of days later.",
    "chain_sum": "Generated additions and subtractions.",
    "count_primes": "How many primes lie between two numbers.",
    "countdown": "Reach a number from given ones.",
    "course_schedule": "Whether courses that need each other can be taken.",
    "decimal_chain_sum": "Additions and subtractions with decimals.",
    "dice": "The odds of a roll of several dice.",
    "distractors": "A sum among sentences that do not matter.",
    "family_relationships": "How two members of a family are related.",
    "fraction_simplification": "A fraction in lowest terms.",
    "gcd": "The greatest common divisor of some numbers.",
    "gsm_symbolic": "School word problems with changed numbers.",
    "lcm": "The least common multiple of some numbers.",
    "leg_counting": "How many legs some animals have together.",
    "letter_counting": "How often a letter stands in a text.",
    "maze": "Fewest steps through a drawn maze.",
    "needle_haystack": "One fact to be found in a long text.",
    "number_filtering": "Numbers of a list above or below a bound.",
    "number_sequence": "The next number of a sequence.",
    "number_sorting": "Numbers to be put in order.",
    "prime_factorization": "A number as a product of primes.",
    "products": "Products of whole numbers.",
    "puzzle24": "Make 24 from four numbers.",
    "rotten_oranges": "Minutes until a grid has turned.",
    "simple_equations": "An equation with one unknown.",
    "simple_geometry": "An angle missing in a polygon.",
    "spell_backward": "A word spelled backwards.",
    "spiral_matrix": "A table read in a spiral.",
    "syllogism": "Whether a conclusion follows from two sentences.",
    "word_sequence_reversal": "A list of words from its end.",
    "word_sorting": "Words to be put in order.",
}
"""By generator what its questions are, in a line."""
SHOWN = 3
"""Questions of a preview."""
_LONGEST_NAME = 120  # Bytes; file systems take 255, some encrypted ones 143.


@dataclass(frozen=True)
class Form:
    """What the page asks; texts as they were typed."""

    name: str
    models: tuple[str, ...]
    strategies: tuple[tuple[str, Mapping[str, str]], ...]  # Name and knobs: empty keeps the default, commas sweep.
    tasks: tuple[Mapping[str, Any], ...]  # [[tasks]] tables; what is None or empty is left out.
    budgets: str  # Numbers separated by commas.
    axis: str = "output_tokens"
    repeats: int = 1
    system: str = ""
    tokens: int | None = None  # Token ceiling; None: the engine's.
    usd: float | None = None  # Money ceiling; None: none.
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # [[models]] tables by name.
    lineups: tuple[Mapping[str, str | None], ...] = ()  # [[lineups]] tables; None: nobody was chosen yet.
    until: float | None = None  # Points of regret at which an adaptive run stops; None: all are asked all.


def checked(form: Form) -> schema.Study:
    """The study the form asks for. Raises UsageError in the engine's words."""
    return schema.parse(text(form), "this study")


def text(form: Form) -> str:
    """The form as TOML."""
    # Those that only play in a line-up, or judge, are declared too, but not run; where every strategy asks a line-up,
    # no model is run alone.
    known = entries()
    playing = {model for lineup in form.lineups for role, model in lineup.items() if role != "name" and model}
    single = any(name not in known or not known[name].roles for name, _ in form.strategies)
    alone = [name for name in form.models if single or not form.lineups or name in playing]
    models = [form.tables.get(name, {"name": name}) for name in alone]
    apart = playing | {task.get("judge") for task in form.tasks}
    models += [{**form.tables[name], "alone": False} for name in form.tables if name in apart and name not in alone]
    strategies = []
    for name, knobs in form.strategies:
        values = {knob: listed(typed) for knob, typed in knobs.items() if typed.strip()}
        # One value is that value, several are a sweep; commas alone say nothing.
        strategies.append({"name": name} | {k: v[0] if len(v) == 1 else v for k, v in values.items() if v})
    ceiling = {"tokens": form.tokens, "usd": form.usd}
    body = {
        "name": form.name,
        "budget_axis": form.axis,
        "budgets": listed(form.budgets),
        "plan": None if form.until is None else "adaptive",
        "until": None if form.until is None else schema.until_words(form.until / 100),
        "repeats": form.repeats,
        "system": form.system.strip(),
        "ceiling": ceiling if any(value is not None for value in ceiling.values()) else None,
        "models": models or (None if form.lineups else []),
        "lineups": form.lineups or None,
        "tasks": form.tasks,
        "strategies": strategies,
    }
    return toml.dump(_given(body))


def suggested_name(form: Form, taken: Collection[str]) -> str:
    """`sums, three strategies`; with a number where a study has that name, for a study is known by its name."""
    task = str(form.tasks[0]["name"]) if form.tasks else "study"
    source, _, rest = task.partition(":")
    subject = Path(rest).stem if source == "file" else names.task(task).partition(" (")[0].lower()
    numbers = ["no", "one", "two", "three", "four", "five", "six"]
    many = len(form.strategies)
    told = numbers[many] if many < len(numbers) else str(many)
    name = f"{subject}, {told} {'strategy' if many == 1 else 'strategies'}"
    return next(each for n in range(1, len(taken) + 2) if (each := name if n == 1 else f"{name} {n}") not in taken)


def _given(value: Any) -> Any:
    """What was filled in: no empty text, nothing that is None."""
    if isinstance(value, Mapping):
        return {key: _given(each) for key, each in value.items() if each is not None and each != ""}
    return [_given(each) for each in value] if isinstance(value, (list, tuple)) else value


def model_table(declared: ModelSpec) -> dict[str, Any]:
    """A declared model as a [[models]] table, prices in US dollars per million tokens."""
    usual, price = ModelSpec(declared.name), declared.price
    names = "api_base api_key_env model gguf context_tokens parallel requests_per_minute tokens_per_minute timeout_s "
    names += "continues finish rename omit extra"
    table = {n: getattr(declared, n) for n in names.split() if getattr(declared, n) != getattr(usual, n)}
    if declared.replicas:
        table["api_base"] = [declared.api_base, *declared.replicas]
    table |= declared.settings.given
    if price is not None:
        tiers = [{"above_input_tokens": tier.above_input_tokens, **usd_per_million(tier)} for tier in price.tiers]
        table["prices"] = {
            **usd_per_million(price),
            "request": price.request_pusd / PUSD_PER_USD or None,
            "source": price.source,
            "as_of": price.as_of,
            "assumed": price.assumed or None,
            "tiers": tiers or None,
        }
    return {"name": declared.name, **table}


def settings(typed: str) -> dict[str, Any]:
    """Settings of a model as they were typed: `temperature = 0, top_k = 1`; what they may be is the engine's to say."""
    pairs = [part.partition("=") for part in typed.split(",") if part.strip()]
    return {name.strip(): _value(value.strip().strip("\"'")) if value.strip() else True for name, _, value in pairs}


def keys_present(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Providers whose key is set, and the name of its variable; a key is never read beyond that."""
    there = os.environ if environment is None else environment
    return {provider: name for provider, name in KEYS.items() if there.get(name, "").strip()}


def save_upload(folder: Path, name: str, content: bytes) -> Path:
    """Keep an uploaded file, in a folder named by its content. Raises UsageError if too large or unreadable.

    The limits hold for what a file unpacks to as well; what is refused is not kept."""
    from engine.tasks.tabular import column_names, read_rows

    # Only the last part of the name, short enough for any file system and without anything that could leave the folder
    # or steer a terminal.
    last = re.sub(r"[^\w.\- ]", "_", re.split(r"[/\\]", name)[-1])
    safe = last.encode()[-_LONGEST_NAME:].decode("utf-8", "ignore").strip(". ")
    safe = safe if "." in safe else f"upload.{safe or 'csv'}"
    path = folder / hashlib.sha256(content).hexdigest()[:12] / safe
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{path.name} has {len(content):,} bytes; an upload may have {MOST_BYTES:,}. Larger files: "
            "name them in a study file and use `budgetscope run`."
        )
    if path.suffix.lstrip(".").lower() not in ENDINGS:
        raise UsageError(f"{path.name} is none of {', '.join(ENDINGS)}; save it as one of these.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, content)
        # Columns first: they take a look at the first row, rows take the whole file.
        if (columns := len(column_names(path, MOST_BYTES))) > MOST_COLUMNS:
            raise UsageError(f"{path.name} has {columns:,} columns; an upload may have {MOST_COLUMNS:,}.")
        if (rows := len(read_rows(path, (), most_bytes=MOST_BYTES))) > MOST_ROWS:
            raise UsageError(f"{path.name} has {rows:,} rows; an upload may have {MOST_ROWS:,}.")
    except OSError as error:
        raise UsageError(f"{path.name} cannot be kept in {folder} ({files.why(error)}).") from None
    except BudgetscopeError:
        path.unlink(missing_ok=True)
        raise
    return path


def columns(path: Path) -> list[str]:
    """Names of the columns of an uploaded file, by its first row; empty when they cannot be told."""
    from engine.tasks.tabular import column_names

    try:
        return column_names(path, MOST_BYTES)
    except BudgetscopeError:
        return []


def rows(path: Path) -> int:
    """How many rows an uploaded file has. Raises UsageError."""
    from engine.tasks.tabular import read_rows

    return len(read_rows(path, (), most_bytes=MOST_BYTES))


def uploaded(uploads: Path | None, name: str) -> Path | None:
    """An uploaded file as an address names it, its folder and its name; None: there is none."""
    folder, _, file = name.partition("/")
    if (
        uploads is None
        or not re.fullmatch(r"[0-9a-f]{12}", folder)
        or Path(file).name != file
        or file in ("", "..", ".")
    ):
        return None
    path = uploads / folder / file
    return path if path.is_file() and not path.is_symlink() else None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a task asks, before anything is run."""

    count: int
    """Questions it asks in all."""
    rows: tuple[tuple[str, str], ...]
    """The first of them: question and what is expected."""
    note: str
    """How answers will be read, and why; empty where that is the task's own."""


def preview(task: Mapping[str, Any]) -> Preview:
    """The first questions of a [[tasks]] table. Raises UsageError in the engine's words."""
    return _preview(schema.task_alone(_given(task), "this study"))


@lru_cache(maxsize=64)
def _preview(spec: TaskSpec) -> Preview:
    from engine.tasks import open_task

    task = open_task(spec)
    questions = task.questions()
    shown = tuple((question.problem.text, question.target) for question in questions[:SHOWN])
    return Preview(len(questions), shown, str(getattr(task, "note", "")))


def origins(tasks: Iterable[TaskSpec]) -> list[str]:
    """Where the questions of own files and public benchmarks come from, one line each: an address at its revision, or
    the name of a copy; the folders it lies in are nobody's business."""
    from engine.tasks.named.fetch import address_of

    lines = []
    for task in tasks:
        if task.name.startswith("file:"):
            lines.append(f"Questions from the file {Path(task.name.removeprefix('file:')).name}")
        elif named.known(task.name) and task.name not in TASKS:
            name, _, subset = task.name.partition("/")
            sources = named.benchmark(name).sources
            source = sources.get(subset or task.subset or next(iter(sources)))
            if task.path:
                lines.append(f"Questions of {task.name} from a copy, the file {Path(task.path).name}")
            elif source is not None:
                lines.append(f"Questions of {task.name} from {address_of(source, task.revision)}")
    return lines


def without_path(sentence: str, task: Mapping[str, Any]) -> str:
    """A sentence about an uploaded file without the folder it lies in, which is nobody's business."""
    path = Path(str(task.get("name", "")).removeprefix("file:"))
    sentence = sentence.replace(f"file:{path}", path.name).replace(str(path), path.name)
    # Files that were fetched lie in the cache of whoever started the dashboard.
    return sentence.replace(f"{files.cache_folder()}{os.sep}", "")


def calls(strategy: str, typed: Mapping[str, str]) -> str:
    """Most calls a question takes, `12`, with these parameters; the formula where they sweep or are wrong."""
    entry = entries()[strategy]
    values = {knob: listed(text) for knob, text in typed.items() if text.strip()}
    try:
        calls = entry.make(**{knob: each[0] for knob, each in values.items() if len(each) == 1}).calls
        # A parameter that is no number yet may come back as it was typed.
        return str(calls) if isinstance(calls, int) else entry.calls
    except (BudgetscopeError, TypeError, ValueError, ArithmeticError):
        return entry.calls


def listed(typed: str) -> list[Any]:
    """Values separated by commas: numbers, true and false, or words."""
    return [_value(part) for part in typed.replace(";", ",").split(",") if part.strip()]


def _value(typed: str) -> Any:
    # Eighteen digits fit any integer of the database; people separate thousands with a low line or a thin space.
    word = typed.strip().replace("_", "").replace("\u202f", "")
    if re.fullmatch(r"[+-]?\d{1,18}", word):
        return int(word)
    if re.fullmatch(r"[+-]?\d{1,18}\.\d{1,18}", word):
        return float(word)
    return {"true": True, "false": False}.get(word.lower(), typed.strip())


def generators() -> tuple[str, ...]:
    """What makes questions without a file: ours, public benchmarks, and the tasks plugins registered."""
    return tuple(dict.fromkeys((*known_generators(), *benchmarks(), *TASKS.names())))


@lru_cache(maxsize=1)
def benchmarks() -> tuple[str, ...]:
    """Public benchmarks by family, each of their subsets."""
    subsets = {name: named.benchmark(name).sources for family in named.by_family().values() for name in family}
    return tuple(f"{name}/{subset}" if len(of) > 1 else name for name, of in subsets.items() for subset in of)


def spans(generator: str) -> tuple[str, ...]:
    """What may be asked of a generator: its presets, the levels of its curriculum, and both as an axis."""
    offer = CATALOGUE[generator]
    axis = (f"1-{offer.steps}",) if offer.steps > 1 else ()
    return (*LEVELS, f"{LEVELS[0]}-{LEVELS[-1]}", *offer.levels[len(LEVELS) :], *axis)


def tasks() -> list[str]:
    """Tasks with their levels, the best known first."""
    known = sorted(known_generators(), key=lambda name: name not in names.TASKS)
    every = (f"{name}/{level}" for name in known for level in spans(name))
    return list(dict.fromkeys((*every, *benchmarks(), *TASKS.names())))


def bare(chosen: str) -> bool:
    """Whether a task goes by its own name, without a level."""
    return chosen in TASKS or chosen in benchmarks()


def task_name(chosen: str) -> str:
    """What a task of `tasks` is called."""
    return chosen if bare(chosen) else names.task(f"gym:{chosen}")


def more_of(task: str, n: int, rows: Iterable[Mapping[str, Any]]) -> dict[str, str | list[str]]:
    """The address of the form that asks `n` questions of a stored task of the settings in `rows`; of a task from a file
    the models and strategies alone, for the file is not here."""
    listed = [*rows]
    # Line-ups and models with settings have fields of their own, which a link to more of the same leaves alone.
    models = sorted({str(row["model"]) for row in listed if not re.search(r"[ {]", str(row["model"]))})
    known = {str(row["strategy"]) for row in listed}
    query: dict[str, str | list[str]] = {"model": models, "strategy": [name for name in entries() if name in known]}
    name, _, level = task.removeprefix("gym:").partition("/")
    if task.startswith("gym:") and name in known_generators():
        query |= {"task": name, "level": level or LEVELS[0], "questions": str(min(n, MOST_ROWS))}
    elif bare(task):
        query |= {"task": task, "questions": str(min(n, MOST_ROWS))}
    return {part: value for part, value in query.items() if value}


def named_as(task: TaskSpec) -> str:
    """The task of `tasks` that asks what a study asks; a benchmark without a subset is its first."""
    if task.name.startswith("gym:"):
        return f"{task.name.removeprefix('gym:')}/{task.level or LEVELS[0]}"
    asked = f"{task.name}/{task.subset}" if task.subset else task.name
    return asked if bare(asked) else next((each for each in benchmarks() if each.startswith(f"{asked}/")), asked)
