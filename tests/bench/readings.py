"""Reads recorded replies and compares with what their benchmark's authors read in them.

    python -m tests.bench.readings replies.parquet [--show CLASS [N]]

A row of the file is a reply: columns source, model, kind (choice, number), target, options, reply, authors_answer,
authors_right. For each model and kind: how often our answer, and our verdict, is the authors' when the statement that
counts is the one they count, of all replies and of those where their rule is not plainly wrong; the same with the task's usual rule (the last statement) over replies that state one
answer; and the share of replies that state several. Then what remains, by class, with `--show` its replies.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine.core import answers
from engine.core.records import Which

LAST_LETTER = "E"
"""Of sources that record no options: CommonsenseQA's questions have five."""
FIRST = ("TIGER-AI-Lab/MMLU-Pro",)
"""Sources whose authors count the first answer that a reply states; the others count the last."""
GOAL = 0.995
DROPPED_SIGN, DROPPED_DIGITS = "the authors drop the sign", "the authors stop at the comma of thousands"
NO_NUMBER = "the authors read a number into what is none"
NO_LETTER = "the authors read a letter into words that name none"
BEYOND = "a letter beyond the options, to which the authors give another"
PAST = "the authors read another number than the boxed one"
UNKNOWN_TEXT = "an option's text without its letter, whose options are not recorded"
AUTHORS_ERR = frozenset({DROPPED_SIGN, DROPPED_DIGITS, NO_NUMBER, NO_LETTER, BEYOND, PAST, UNKNOWN_TEXT})
"""Classes in which the authors' own rule is plainly wrong, or the recording lacks what it takes to follow it."""
_NAMES_NONE = re.compile(r"\b(?:none of|no correct|cannot be determined|insufficient|not enough|unknown)\b", re.I)
_ENDS = 300
"""Characters of a reply's end, where it says what it comes to."""


def readings(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each row what we read under the authors' rule and under our own, and in which class a difference falls."""
    read = []
    for row in rows:
        options, kind = tuple(row["options"] or ()), row["kind"]
        rule: Which = "first" if row["source"] in FIRST else "last"
        theirs = answers.extract(row["reply"], kind, statement=rule, options=options)
        said = answers.stated(row["reply"], kind, options)
        authors = row["authors_answer"]
        equal = theirs == authors if None in (theirs, authors) else answers.same(theirs or "", authors, kind)
        ours = answers.extract(row["reply"], kind, options=options)
        right = ours is not None and answers.same(ours, row["target"], kind)
        verdict = theirs is not None and answers.same(theirs, row["target"], kind)
        what = "" if equal and verdict == row["authors_right"] else _class(row, theirs, said)
        one = len(said) == 1
        agreed = ours == authors if None in (ours, authors) else answers.same(ours or "", authors, kind)
        read.append(
            {**row, "ours": ours, "theirs": theirs, "stated": said, "equal": equal, "one": one, "agreed": agreed}
            | {"verdict": verdict == row["authors_right"], "right": right, "class": what}
        )
    return read


def _class(row: Mapping[str, Any], theirs: str | None, said: tuple[str, ...]) -> str:
    choice = row["kind"] == "choice"
    if theirs is None and row["authors_answer"] is not None:
        if not choice:
            return NO_NUMBER
        if _NAMES_NONE.search(row["reply"][-_ENDS:]):
            return NO_LETTER
        return "we read none" if row["options"] else UNKNOWN_TEXT
    if theirs is None:
        return "we read none"
    if row["authors_answer"] is None:
        return "the authors read none" if said else "the authors read none, we a letter that is not stated"
    if len(said) > 1:
        return "another of several"
    if row["kind"] == "number":
        one, other = answers.number_value(theirs), answers.number_value(row["authors_answer"])
        if one is not None and other is not None and one == -other:
            return DROPPED_SIGN
        if one is not None and other is not None and one >= 1000 and str(one).startswith(str(other)):
            return DROPPED_DIGITS
        if "\\boxed" in row["reply"][-_ENDS:]:
            return PAST
    if choice and not row["options"] and theirs > LAST_LETTER:
        return BEYOND
    if answers.same(theirs, row["authors_answer"], row["kind"]):
        return "the same answer, another verdict"
    return "another answer" if said else "another answer, none stated"


def table(read: list[dict[str, Any]]) -> list[str]:
    """The lines of the report."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in read:
        groups[row["source"], row["model"], row["kind"]].append(row)
    lines = []
    for (source, model, kind), rows in sorted(groups.items()):
        answer = sum(row["equal"] for row in rows) / len(rows)
        verdict = sum(row["verdict"] for row in rows) / len(rows)
        single = [row for row in rows if row["one"]]
        read_by_them = [row for row in rows if row["authors_answer"] not in (None, "None")]
        among = sum(row["equal"] for row in read_by_them) / len(read_by_them)
        both = [row for row in single if row in read_by_them]
        own = sum(row["agreed"] for row in both) / len(both) if both else float("nan")
        several = sum(len(row["stated"]) > 1 for row in rows)
        ours, theirs = (sum(row[name] for row in rows) / len(rows) for name in ("right", "authors_right"))
        can = [row for row in read_by_them if row["class"] not in AUTHORS_ERR]
        where_right = sum(row["equal"] for row in can) / len(can)
        mark = "" if min(where_right, own) >= GOAL else "  BELOW"
        lines.append(
            f"{source}, {model}, {kind}: {len(rows)} replies; answers {answer:.2%}, {among:.2%} of the {len(read_by_them)} that the authors read, {where_right:.2%} of the {len(can)} of these where their rule is not plainly wrong, verdicts {verdict:.2%} as the "
            f"authors; of the {len(both)} of them that state one {own:.2%}; several in {several} ({several / len(rows):.1%}); "
            f"accuracy {ours:.1%}, authors {theirs:.1%}{mark}"
        )
        classes = Counter(row["class"] for row in rows if row["class"])
        lines += [f"    {count:4} {name}" for name, count in classes.most_common()]
    return lines


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--show", default="", help="a class, or a part of its name: print those replies")
    parser.add_argument("--most", type=int, default=20)
    parser.add_argument("--tail", type=int, default=700, help="characters of each reply")
    parser.add_argument("--source", default="")
    given = parser.parse_args()
    read = readings(row for row in pq.read_table(given.parquet).to_pylist() if given.source in row["source"])
    print(*table(read), sep="\n")
    shown = [row for row in read if given.show and row["class"] and given.show in row["class"]]
    for row in shown[: given.most]:
        print(
            f"\n=== {row['class']}: ours {row['theirs']!r}, stated {row['stated']}, authors {row['authors_answer']!r}"
        )
        print(row["reply"][-given.tail :])


if __name__ == "__main__":
    main()
