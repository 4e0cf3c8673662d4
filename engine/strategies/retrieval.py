"""Divides a document into parts, ranks them by a question, and fits text into a number of tokens.

The one room that does so, and the only import of bm25s. Pure functions over hostile text: markup is text like any
other, nothing read is evaluated, nothing raises, and no function asks a model. Tokens are counted in the default
encoding of `engine.tokens`, whatever the model, because a strategy does not know which model it speaks to.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Sequence

from engine.core import tokens

LONGEST_PART = 1_000
"""Characters; a longer part is divided at the next finer boundary, at last anywhere."""
MOST_PARTS = 4_000
"""Of a document in more parts, neighbours are taken together."""
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*")
_LINE = re.compile(r"\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]\u201d\u2019]{0,4}\s+|(?<=[\u3002\uff01\uff1f])\s*")
_BOUNDARIES = (_PARAGRAPH, _LINE, _SENTENCE)
_HAN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = rf"[{_HAN}]|[^\W{_HAN}]+"
"""Scripts without spaces are read letter by letter."""
_CLIPPED_AT_ONCE = 32
"""Characters per token beyond which a text is not looked at when it is clipped."""


def split(text: str) -> list[str]:
    """Paragraphs, or lines where there is one paragraph, or sentences where there is one line; joined, they are the
    text again. A blank text is one part, an empty one none."""
    parts = _divided(text, _BOUNDARIES) if text else []
    step = -(-len(parts) // MOST_PARTS)
    return parts if step < 2 else ["".join(parts[at : at + step]) for at in range(0, len(parts), step)]


def sections(text: str, most: int) -> list[str]:
    """The text in at most `most` stretches of about equally many parts; joined, they are the text again."""
    parts = split(text)
    count = min(most, len(parts))
    bounds = [at * len(parts) // count for at in range(count + 1)] if count else []
    return ["".join(parts[start:end]) for start, end in itertools.pairwise(bounds)]


def rank(parts: Sequence[str], question: str) -> list[int]:
    """Places of all parts, the best match first, by BM25 (Robertson et al. 1994) over their words.

    Parts that match equally well, or not at all, keep their order, so a question that shares no word with the
    document ranks its beginning first."""
    import bm25s

    words: list[list[str]] = bm25s.tokenize(
        [question, *parts], token_pattern=_WORD, return_ids=False, show_progress=False
    )
    query, *documents = words
    # bm25s divides by the mean length of the documents, and knows no empty query.
    if not query or not any(documents):
        return list(range(len(parts)))
    # numpy for both: the other backend compiles for seconds.
    index = bm25s.BM25(backend="numpy", csc_backend="numpy")
    index.index(documents, show_progress=False)
    scores = [float(score) for score in index.get_scores(query)]
    return sorted(range(len(parts)), key=lambda at: (-scores[at], at))


def kept(text: str, question: str, most: int, within: int | None = None) -> str:
    """The `most` best parts of a text in their old order, the text itself where it has no more.

    `within`: at most so many tokens in all; a part that does not fit is passed over for the next best, and when not
    even the shortest of them fits, the best is clipped. None: no such limit."""
    parts, order = _ranked(text, question)
    chosen = list(order[:most])
    if within is not None:
        # Best first while there is room; joined texts may count differently from their parts, so the whole is checked.
        chosen, left = [], within
        for at in order:
            size = tokens.count(parts[at], "")
            if size <= left:
                chosen.append(at)
                left -= size
            if len(chosen) == most or left < 1:
                break
        while chosen and not fits(_joined(parts, chosen), within):
            chosen.pop()
    return text if len(chosen) == len(parts) else _joined(parts, chosen) or clipped(parts[order[0]], within or 1)


def fits(text: str, within: int) -> bool:
    """Whether a text has at most `within` tokens."""
    # Bytes first: a token has at least one, and counting takes long.
    return len(text.encode("utf-8", "replace")) <= within or tokens.count(text, "") <= within


def clipped(text: str, within: int) -> str:
    """The longest beginning of a text that is found to have at most `within` tokens, ending with a whole word if it
    holds one."""
    text = text.strip()[: within * _CLIPPED_AT_ONCE]
    if fits(text, within):
        return text
    # By halves, though a longer text may rarely have fewer tokens: what is found fits, which is what counts.
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(text[:middle], within) else (low, middle)
    begun = text[:low].rsplit(None, 1)
    whole = text[low].isspace() or len(begun) < 2
    return text[:low].rstrip() if whole else begun[0]


def share(within: int, parts: int) -> int:
    """An equal share of a number of tokens, at least 1."""
    return max(1, within // max(1, parts))


def _divided(text: str, boundaries: Sequence[re.Pattern[str]]) -> list[str]:
    for at, boundary in enumerate(boundaries):
        # Each piece keeps the boundary behind it; none is blank unless the text is.
        pieces, start = [], 0
        for match in boundary.finditer(text):
            piece = text[start : match.end()]
            if piece.strip() and match.end() < len(text):
                pieces.append(piece)
                start = match.end()
        pieces.append(text[start:])
        if len(pieces) > 1:
            finer = boundaries[at + 1 :]
            return [part for p in pieces for part in (_divided(p, finer) if len(p) > LONGEST_PART else [p])]
    return [text[at : at + LONGEST_PART] for at in range(0, len(text), LONGEST_PART)]


@functools.lru_cache(maxsize=32)
def _ranked(text: str, question: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    # Cached, because repeats and sweeps ask for the same document and question again.
    parts = split(text)
    return tuple(parts), tuple(rank(parts, question))


def _joined(parts: Sequence[str], chosen: Iterable[int]) -> str:
    return "".join(parts[at] for at in sorted(chosen)).strip()
