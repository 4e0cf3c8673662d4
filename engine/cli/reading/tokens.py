"""tokens: a text cut into tokens, what it costs and fills; or where the tokens of a study went."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli import options, show
from engine.cli.options import Verb, option
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import UsageError

if TYPE_CHECKING:
    from engine.models.tokens.text_size import Fit
    from engine.models.tokens.tokenizers import Cut

MOST_BYTES = 64_000_000
"""Longest text that is read."""


@click.command(cls=Verb)
@click.argument("source", metavar="FILE", required=False, help="a text file, or - for what is typed or piped in")
@option("--with", "cutters", multiple=True, metavar="TOKENIZER", help="encoding or model to cut by (repeatable)")
@option("--model", "models", multiple=True, help="model to say costs and the context window of (repeatable)")
@option("--reply", type=options.number, default="256", metavar="N", help="tokens of a reply, for the costs (256)")
@option("--budget", type=options.number, metavar="N", help="budget on all tokens of an answer: what it leaves")
@option("--special", is_flag=True, help="read names of special tokens in the text as those tokens")
@option("--cells", type=options.number, default="40", metavar="N", help="tokens to show one by one (40)")
@option("--languages", is_flag=True, help="one sentence in 16 languages, and how many tokens more than in English")
@option("--study", metavar="NAME", help="where the tokens of a study went, by setting and role of the calls")
@option("--csv", "as_csv", is_flag=True, help="with --study: as CSV")
@options.as_json
def tokens(
    db: Path,
    source: str | None,
    cutters: tuple[str, ...],
    models: tuple[str, ...],
    reply: float,
    budget: float | None,
    special: bool,
    cells: float,
    languages: bool,
    study: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """A text by several tokenizers, or a study's tokens by role."""
    if study is not None:
        if source is not None or languages:
            raise UsageError("--study shows where a study's tokens went; leave out the file and --languages.")
        _study(db, study, as_csv, as_json)
        return
    if source is None and not languages:
        raise UsageError("Name a file, or - for the text of standard input, or --languages, or --study NAME.")
    from engine.models.tokens import text_size, tokenizers

    chosen = cutters or tokenizers.at_hand()[:3]
    premiums = text_size.premiums([tokenizers.open_tokenizer(name) for name in chosen]) if languages else []
    cuts, fits, rooms = list["Cut"](), list["Fit"](), []
    if source is not None:
        text = read(source)
        cuts = text_size.cuts(text, chosen, most=_whole("--cells", cells), special=special)
        # The local model's tokenizer starts llama.cpp, so it is asked only where it was chosen or its file lies here.
        asked = models or [name for name in text_size.MODELS if not name.startswith("local/") or name in chosen]
        fits = [text_size.fit(text, model, _whole("--reply", reply)) for model in asked]
        rooms = [] if budget is None else [text_size.room(cut.n_tokens, _whole("--budget", budget)) for cut in cuts]
    if as_json:
        show.emit(
            _record(cuts, fits)
            | {"room": [asdict(each) | {"left": each.left} for each in rooms]}
            | {"languages": [asdict(each) for each in premiums]}
        )
        return
    if cuts:
        head = ("tokenizer", "tokens", "characters each", "bytes")
        rows = [
            (
                cut.title,
                fmt.about(cut.n_tokens, cut.exact),
                show.number(cut.characters_per_token),
                show.number(cut.n_bytes),
            )
            for cut in cuts
        ]
        show.table(head, rows, numeric=range(1, 4))
        for cut in cuts:
            show.say()
            show.say(f"{cut.title}: {cells_line(cut)}")
        show.say()
        _costs(fits)
        # None without a budget.
        for cut, each in zip(cuts, rooms, strict=False):
            of = f"A budget of {fmt.count(each.budget_tokens)} tokens: the text fills {fmt.percent(each.share)} of it"
            left = (
                f"{fmt.count(each.left)} are left for a reply, {fmt.count(each.reply(2))} for each reply of two calls"
            )
            show.say(f"{of} by {cut.title}; {left}.")
        show.say("Text alone: a chat template adds some tokens to each message.")
    if premiums:
        show.say()
        per = {(each.language, each.tokenizer): each for each in premiums}
        spoken = dict.fromkeys(each.language for each in premiums)
        lines = [
            (language, *(f"{per[language, name].tokens} ({fmt.times(per[language, name].premium)})" for name in chosen))
            for language in spoken
        ]
        show.table(("language", *chosen), lines, numeric=range(1, 1 + len(chosen)))
        show.say(
            "In brackets the token premium, tokens over those of the English sentence: of one sentence, so an example."
        )


def _whole(option: str, value: float) -> int:
    if not 0 <= value <= options.MOST or value % 1:
        raise UsageError(f"{option} is a whole number of tokens, 0 or more, not {value:g}.")
    return int(value)


def read(source: str) -> str:
    """The text of a file, or of standard input for `-`. Raises UsageError for what is no text or too long."""
    from engine.core import files

    name = "The text of standard input" if source == "-" else f"The file {source!r}"
    try:
        # One byte more than allowed tells a text that is too long from one that just fits.
        raw = sys.stdin.buffer.read(MOST_BYTES + 1) if source == "-" else _start_of(Path(source))
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {files.why(error)}.") from None
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{name} is longer than {fmt.count(MOST_BYTES)} bytes, which is the most that is read.")
    try:
        # The mark that Windows writes in front is no letter of the text.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is no UTF-8 text: its byte {fmt.count(error.start + 1)} begins no letter.") from None


def _start_of(path: Path) -> bytes:
    # A device has no end.
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def cells_line(cut: Cut) -> str:
    """The first tokens of a text between bars, special ones in their marks and bytes spelled out."""
    # A tab or newline as itself would break the line of cells.
    cells = [token.text.replace("\n", "↵").replace("\t", "→") for token in cut.tokens]
    more = cut.n_tokens - len(cells)
    return f"|{'|'.join(cells)}|{f' … {fmt.count(more)} more' if more > 0 else ''}" if cells else "no token"


def _costs(fits: list[Fit]) -> None:
    rows = []
    for each in fits:
        window = fmt.small_share(each.context_share)
        money = (
            (fmt.FREE,) * 3
            if each.free
            else (_per_thousand(each.input_pusd), _per_thousand(each.output_pusd), _per_thousand(each.call_pusd))
        )
        dated = "" if each.price is None else " ".join(filter(None, (each.price.source, each.price.as_of)))
        rows.append((each.model, fmt.about(each.tokens, each.exact), *money, window, dated))
    reply = fmt.count(fits[0].reply_tokens) if fits else ""
    head = (
        "model",
        "tokens",
        "1,000 times as input",
        "as output",
        f"with a reply of {reply}",
        "of the window",
        "prices",
    )
    show.table(head, rows, numeric=range(1, 6))


def _per_thousand(pusd: int | None) -> str:
    return show.usd(None if pusd is None else 1000 * pusd)


def _record(cuts: list[Cut], fits: list[Fit]) -> dict[str, object]:
    cut_rows = [
        {
            **{
                name: getattr(cut, name)
                for name in (
                    "tokenizer",
                    "title",
                    "exact",
                    "n_tokens",
                    "n_characters",
                    "n_bytes",
                    "first",
                    "characters_per_token",
                )
            },
            "tokens": [{"id": token.id, "text": token.text, "kind": token.kind} for token in cut.tokens],
        }
        for cut in cuts
    ]
    return {"cuts": cut_rows, "models": [asdict(each) | {"context_share": each.context_share} for each in fits]}


def _study(db: Path, study: str, as_csv: bool, as_json: bool) -> None:
    import engine

    results = engine.open(options.existing(db))
    frame = results.token_roles(study)
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(frame.columns)
        # Names are whatever a study calls its models and tasks, and this is opened in a spreadsheet.
        writer.writerows([fmt.csv_cell(cell) for cell in row] for row in frame.iter_rows())
        return
    if as_json:
        show.emit(frame.to_dicts())
        return
    called = names.tasks(frame["task"].unique())
    head = (
        "task",
        "setting",
        "role",
        "calls",
        "input",
        "cached",
        "output",
        "reasoning",
        "all tokens",
        "95%",
        "answers",
    )
    rows = [
        (
            called[row["task"]],
            row["setting"],
            row["role"] or "all",
            *(
                show.number(row[name])
                for name in (
                    "calls",
                    "input_tokens",
                    "cached_tokens",
                    "output_tokens",
                    "reasoning_tokens",
                    "total_tokens",
                )
            ),
            fmt.interval(row["low"], row["high"], show.number),
            show.number(row["n_answers"]),
        )
        for row in frame.to_dicts()
    ]
    show.table(head, rows, numeric=range(3, 11))
    show.say("Means per answer as run. Cached input is part of input, hidden reasoning part of output.")
