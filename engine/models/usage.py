"""Token usage and cost as providers report them, in every dialect we know, read into one `Usage`.

Reads plain JSON and believes nothing that cannot be true. A count nobody gave is estimated and says so; of a total that
is larger than its parts, what named cache fields explain is input and the rest is hidden reasoning; a total below its
parts is ignored and remarked. The parts that are stored sum to the provider's total wherever it gave a usable one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.core import tokens
from engine.core.errors import ProviderError
from engine.core.records import Request, Usage
from engine.models.prices import pusd

ABSURD = 100
"""A figure this many times what its text could cost, and 1,000 more, is not a count."""
MOST_TOKENS = 10**7
"""No prompt and no reply has more."""
COUNTED = 200_000
"""Longest text a tokenizer is given, in characters."""
MOST_BYTES = 1000
"""No tokenizer gets more bytes into one token."""
MOST_USD = 10**6
"""No call costs more."""
BELOW = "a total below the sum of its parts, which was ignored"
"""What is remarked of such a report."""
THOUGHT = "more reasoning tokens than completion tokens, which were counted beside them"
"""What is remarked of such another."""

# Dialects: OpenAI's chat and responses, Anthropic's, Google's, Bedrock's, Cohere's, Ollama's, DeepSeek's, Moonshot's.
INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "prompt_eval_count")
OUTPUT = ("completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens", "eval_count")
TOTAL = ("total_tokens", "totalTokenCount", "totalTokens")
REASONING = (
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "reasoning_tokens",
    "thoughtsTokenCount",
)
CACHED = (
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "cachedContentTokenCount",
    "cached_tokens",
)
"""Cached input that is part of the prompt's count."""
WRITTEN = ("prompt_tokens_details.cache_write_tokens", "prompt_tokens_details.cache_creation_tokens")
READ_BESIDE = ("cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount")
WRITTEN_BESIDE = ("cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount")
"""Cache counts that stand beside the prompt's own in the dialects that invented them."""
OUTSIDE = ("input_tokens", "inputTokens")
"""Names of a prompt's count that leave cached input out where no total says otherwise."""
BESIDE = ("thoughtsTokenCount",)
"""Names of reasoning that the output's count leaves out where no total says otherwise."""


def read(
    reported: object, text: str, request: Request, bound: int, place: str, remark: Callable[[str], None] | None = None
) -> Usage:
    """Tokens as reported. Raises ProviderError('malformed') for figures that cannot be meant.

    `text`: the reply, `bound`: upper bound of its prompt in tokens; where counts are missing they stand in, estimated.
    `remark` is told what was ignored.
    """
    if reported is not None and not isinstance(reported, Mapping):
        raise malformed(place, f"its usage is {type(reported).__name__}")
    counts = _Counts(reported or {}, place)
    given, taken, total = counts.first(INPUT), counts.first(OUTPUT), counts.total()
    reasoning, cached, written = counts.first(REASONING), counts.first(CACHED), counts.first(WRITTEN)
    read_beside, written_beside = counts.first(READ_BESIDE), counts.first(WRITTEN_BESIDE)
    beside = (read_beside or 0) + (written_beside or 0)
    if given is not None and cached is not None and cached > given and read_beside is None:
        # More than the prompt it is said to be part of, so it stands beside it.
        beside += cached
    cached, written = (read_beside if cached is None else cached), (written_beside if written is None else written)
    # A prompt always has tokens, so 0 with nothing read from a cache is no count.
    given = given if given or (given is not None and beside) else None
    # What a cache read beyond the prompt's own count can only stand beside it.
    least = (given or 0) + (taken or 0) + (beside if given is not None and beside > given else 0)
    if total is not None and total < least:
        if remark is not None:
            remark(BELOW)
        total = None
    if total == 0:
        total = None
    if given is None and not taken:
        taken = None
    size, estimated, silent = len(text.encode()), False, given is not None and taken == 0
    if given is None or taken is None:
        given, taken, reasoning, estimated = _completed(given, taken, reasoning, total, text, request, bound)
    elif total is not None:
        excess = total - given - taken
        more = min(excess, beside)
        given, hidden = given + more, excess - more
        if hidden:
            silent = False
            taken += hidden
            reasoning = max(reasoning or 0, hidden)
    else:
        if beside and (beside > given or any(counts.has(name) for name in OUTSIDE)):
            given += beside
        if reasoning and any(counts.has(name) for name in BESIDE):
            taken += reasoning
    if (total is None or not estimated) and reasoning is not None and reasoning > taken:
        # Hidden in no total: whichever of the two figures is wrong, the dearer reading is the one not to miss.
        if remark is not None:
            remark(THOUGHT)
        taken += reasoning
    if not estimated and silent and text:
        # A text of no tokens: what it took is not in the figures.
        estimated, taken = True, taken + _counted(text, request)
    if not estimated and size > MOST_BYTES * (taken + 1):
        raise malformed(place, f"it holds {size:,} bytes and claims {taken} output tokens")
    claimed = Usage(
        input_tokens=given,
        output_tokens=taken,
        cached_tokens=_within(cached, given),
        cache_write_tokens=_within(written, given - (cached or 0)),
        reasoning_tokens=_within(reasoning, taken),
        estimated=estimated,
    )
    _check_plausible(given - beside, bound, "input", place, claimed)
    if taken > request.asked_tokens:
        # Within the cap that was asked for nothing is absurd: a model may think for long and say a word.
        _check_plausible(taken - (reasoning or 0), size, "output", place, claimed)
    return claimed


def _completed(
    given: int | None,
    taken: int | None,
    reasoning: int | None,
    total: int | None,
    text: str,
    request: Request,
    bound: int,
) -> tuple[int, int, int | None, bool]:
    """Input, output, reasoning, and whether they are estimated, where a part is missing."""
    if total is not None and given is not None:
        return given, total - given, reasoning, False
    if total is not None and taken is not None and total > taken:
        return total - taken, taken, reasoning, False
    count = max(1, _counted(text, request)) + (reasoning or 0)
    if total is not None:
        # The split is ours, its sum the provider's: what neither prompt nor text can hold was thought.
        prompt = min(max(total - count, 1), bound, total)
        return prompt, total - prompt, reasoning, True
    if given is not None and taken is None and reasoning:
        return given, count, reasoning, True
    return given or bound, taken or count, reasoning, True


def _counted(text: str, request: Request) -> int:
    """Our own count of a text; by size where a tokenizer would hold everybody else up for seconds."""
    if len(text) > COUNTED:
        return len(text.encode()) // tokens.BYTES_PER_TOKEN
    return tokens.count(text, request.model)


def cost_pusd(holder: object) -> int | None:
    """What the provider says a call cost, in pico-dollars; a number, a text or an object with a total; None: unsaid."""
    if isinstance(holder, Mapping):
        for name in ("total_cost", "total", "usd", "cost", "amount"):
            if (named := cost_pusd(holder.get(name))) is not None:
                return named
        parts = [part for name, value in holder.items() if "cost" in str(name) for part in [cost_pusd(value)] if part]
        return sum(parts) if parts else None
    if isinstance(holder, str):
        try:
            holder = float(holder.strip().removesuffix("USD").strip().removeprefix("$"))
        except ValueError:
            return None
    if isinstance(holder, bool) or not isinstance(holder, (int, float)) or not 0 <= holder < MOST_USD:
        return None
    return pusd(holder)


def fields_seen(reported: object, within: str = "") -> list[str]:
    """Names of the figures a report holds, nested ones with a dot; what a user looks at to know a dialect."""
    if not isinstance(reported, Mapping):
        return []
    names: list[str] = []
    for name, value in list(reported.items())[:40]:
        # Names are the provider's, and go into a sentence.
        place = within + re.sub(r"[^\w.-]", "?", str(name)[:40])
        names += fields_seen(value, f"{place}.") if isinstance(value, Mapping) and not within else [place]
    return names


class _Counts:
    """The figures of one report, by any of their names."""

    def __init__(self, reported: Mapping[str, Any], place: str) -> None:
        self._reported = reported
        self._place = place

    def has(self, name: str) -> bool:
        return self._value(name) is not None

    def first(self, names: tuple[str, ...]) -> int | None:
        """The first of these that is given. Raises ProviderError for one that is no count."""
        for name in names:
            if (n := self._whole(name)) is not None:
                return n
        return None

    def total(self) -> int | None:
        """The total as it is given; one below zero, as servers write that they know none, is below its parts too."""
        values = [self._value(name) for name in TOTAL]
        below = any(isinstance(value, (int, float)) and value < 0 for value in values)
        return -1 if below else self.first(TOTAL)

    def _value(self, name: str) -> object:
        outer, _, inner = name.partition(".")
        holder = self._reported.get(outer)
        if not inner:
            return holder
        return holder.get(inner) if isinstance(holder, dict) else None

    def _whole(self, name: str) -> int | None:
        value = self._value(name)
        if value is None or (type(value) is int and 0 <= value <= MOST_TOKENS):
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        # True is an int to Python, and NaN fails every comparison.
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not whole or not 0 <= value <= MOST_TOKENS or value != int(value):  # type: ignore[operator, call-overload]
            raise malformed(self._place, f"its usage says {name.rpartition('.')[2]} = {str(value)[:20]}")
        return int(value)  # type: ignore[call-overload, no-any-return]


def _within(part: int | None, whole: int) -> int | None:
    """A part larger than its whole was not a part; it counts as not reported."""
    return part if part is not None and part <= whole else None


def _check_plausible(tokens: int, size: int, side: str, place: str, claimed: Usage) -> None:
    if tokens > ABSURD * size + 1000:
        failed = malformed(place, f"it claims {tokens} {side} tokens for {size} bytes")
        # No reply to build on, but what its provider will bill.
        failed.usage = None if claimed.estimated else claimed
        raise failed


def malformed(place: str, why: str) -> ProviderError:
    """The error of a reply that cannot be used; what it cost may be owed all the same."""
    return ProviderError(f"The reply of {place} cannot be used: {why}.", kind="malformed")
