"""What a refusal says of the context window: the words every server has for it, and the numbers in them.

Knows no HTTP and no budget. A count is taken only where the server states it exactly: with it a call that was too long
is sent once more with the room that is left; without it nobody knows what would fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORDS = (
    *("context_length_exceeded", "exceed_context_size", "context length", "context window", "context size"),
    *("context limit", "maximum context", "max_model_len", "prompt is too long", "prompt too long"),
    *("input is too long", "input too long", "total number of tokens in the prompt", "input token count"),
    *("maximum prompt length", "maximum input length", "maximum sequence length", "inputs tokens + max_new_tokens"),
    *("inputs must have less", "input tokens exceed", "range of input length", "length of the messages"),
    *("context the overflows", "max_seq_len", "max_num_tokens", "model token limit", "allowed token length"),
    *("maximum model length", "prompt exceeds max length"),
)
"""Any of these in a refused call is about the window; in small letters, without quotes."""
ALONE = (
    *("prompt is too long", "prompt too long", "input is too long", "input too long", "maximum prompt length"),
    *("maximum input length", "input token count", "inputs must have less", "range of input length"),
    *("input tokens exceed", "tokens in the prompt cannot exceed", "longer than the models context"),
    *("tokens to keep from the initial prompt", "context the overflows", "prompt exceeds max length"),
    *("input exceeds the context", "input length exceeds the context", "prompt exceeds the context"),
)
"""Any of these is about the prompt by itself, however small the cap."""
PACE = ("tokens per min", "(tpm)", "tokens per day", "(tpd)", "rate limit", "rate_limit")
"""A call too large for a pace is not one too large for the window, whatever status it comes with."""
_ABOUT = re.compile(r"(?:about|at least|approximately|around) \d+ (?:input |prompt )?tokens")
_WINDOW = (
    r"\d+ \+ \d+ > (\d+)",
    r"> (\d+) - \d+",
    r"tokens > (\d+)",
    r"\d+ > (\d+)",
    # A name may end in a number of its own.
    r"context (?:length|window|size|limit) (?:of|for) \S+ is (\d+)",
    r"with (\d+) maximum context",
    r"context (?:length|window|size|limit)\D{0,40}?(\d+)",
    r"max(?:imum)?[ _](?:model|sequence|prompt|input|seq)[ _](?:length|len)\D{0,40}?(\d+)",
    r"must be <= (\d+)",
    r"allowed \(?(\d+)",
    r"(?:cannot exceed|limit of|less than|at most) (\d+)",
    r"(?:n_ctx|max_num_tokens|token limit)\D{0,4}(\d+)",
    r"token length of (\d+)",
    r"\[\d+, ?(\d+)\]",
)
_PROMPT = (
    r"(\d+) \+ \d+ [>=] \d+",
    r"> \d+ - (\d+)",
    r"(\d+) (?:tokens )?(?:of|in|from) (?:the |your )?(?:text |input )?(?:messages|prompt|input)",
    r"(\d+) inputs? tokens",
    r"resulted in (\d+)",
    r"prompt contains (\d+)",
    r"too long:? (\d+)",
    r"(?<!maximum )(?:prompt|input) (?:length|tokens|has) \(?(\d+)",
    r"prompt \(length (\d+)\)",
    r"requested tokens \((\d+)\) exceed",
    r"token count \((\d+)\)",
    r"(?:request|input) \((\d+) tokens\)",
    r"request contains (\d+)",
    r"received (\d+)",
    r"keep the first (\d+)",
    r"prompt_tokens\D{0,4}(\d+)",
    r"given: (\d+)",
)
_TOTAL = (r"requested (?:a total of )?(\d+) tokens", r"\(requested:? (\d+)\)", r"will take (\d+) tokens")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that does not fit the window."""

    alone: bool
    """The prompt does not fit by itself."""
    window_tokens: int | None
    prompt_tokens: int | None
    """None: not said exactly."""

    @property
    def room_tokens(self) -> int | None:
        """Largest cap with which the prompt fits; None: the numbers do not say."""
        if self.alone or self.window_tokens is None or self.prompt_tokens is None:
            return None
        return max(0, self.window_tokens - self.prompt_tokens)


def refusal(status: int, said: str, sent_tokens: int | None) -> Refusal | None:
    """What a refused call (HTTP status, the server's own words) says of the window; None: it is about something else.

    `sent_tokens`: the cap it was sent with, which tells the prompt from a total; None: not known.
    """
    # Far more than any sentence: what repeats a prompt may repeat all of it.
    words = re.sub(r"(?<=\d)[,_](?=\d{3}\b)", "", re.sub(r"[`'\"\\]", "", said[:20_000].lower()))
    if any(word in words for word in PACE):
        return None
    if status != 413 and not any(word in words for word in WORDS):
        return None
    window, prompt = _first(_WINDOW, words), _first(_PROMPT, words)
    if prompt is None and sent_tokens is not None and (total := _first(_TOTAL, words)) is not None:
        prompt = total - sent_tokens if total > sent_tokens else None
    if _ABOUT.search(words):
        prompt = None
    if window is not None and prompt is not None:
        return Refusal(prompt >= window, window, prompt)
    return Refusal(status == 413 or any(word in words for word in ALONE), window, prompt)


def _first(patterns: tuple[str, ...], words: str) -> int | None:
    for pattern in patterns:
        if (match := re.search(pattern, words)) is not None and len(match[1]) < 10:
            return int(match[1])
    return None
