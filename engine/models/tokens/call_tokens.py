"""The tokens of a call, each with the part it played: whose words it is, read from a cache or not, inside the budget.

Exact where the model's own tokenizer is here and counts what was stored; elsewhere the nearest tokenizer, its places
scaled to the stored counts, and `exact` says so. Hidden reasoning has no text: it is a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.core.records import Call, Completion, Message, Prompt
from engine.core.tokens import Token
from engine.models.tokens.tokenizers import ALL, Tokenizer

Part = Literal["system", "user", "example", "earlier", "answer"]
"""system: also the marks and words of the chat template; example: worked examples; earlier: replies of earlier calls,
fed back."""
SHORTEST = 12
"""Letters of an earlier reply, or of an example, that are looked for inside a message: less may stand there
by chance."""
END = "end of turn"
"""Text of the token with which a model ends its reply; it is counted, and no text has it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One token of a call."""

    token: Token
    part: Part
    cached: bool = False
    """Read from the provider's cache of prompts."""
    inside: bool = True
    """False: after the place where the budget cut."""


@dataclass(frozen=True, slots=True)
class Strip:
    """The tokens of a call in order: prompt, hidden reasoning (a number), reply."""

    prompt: tuple[Cell, ...]
    prompt_exact: bool
    """The cells are the tokens that were counted, one by one."""
    reply: tuple[Cell, ...]
    reply_exact: bool
    hidden_tokens: int
    """Reasoning that no text tells; 0: none."""
    hidden_inside_tokens: int
    """How many of these the budget let through."""
    cut: int | None
    """Cells of the reply before the place where the budget cuts; None: it does not cut this call."""


def strip(
    call: Call,
    reply: Completion | None,
    tokenizer: Tokenizer,
    *,
    granted: int | None = None,
    earlier: Sequence[str] = (),
    examples: Sequence[str] = (),
) -> Strip:
    """The strip of a call.

    granted: output tokens a budget leaves it, where it is the one that is cut; None: all of it counts. earlier: texts
    of the replies before it; examples: texts of the worked examples of its question. Raises UsageError or ProviderError
    where llama.cpp cannot be had.
    """
    prompt, prompt_exact = prompt_cells(call, tokenizer, earlier, examples)
    if reply is None:
        return Strip(prompt, prompt_exact, (), True, 0, 0, None)
    seen = reply.usage.output_tokens if call.seen_output_tokens is None else call.seen_output_tokens
    hidden = min(seen, reply.usage.reasoning_tokens or 0)
    found = list(tokenizer.cut(reply.text, most=ALL).tokens)
    stated = seen - hidden
    if tokenizer.exact and reply.finish == "stop" and len(found) + 1 == stated:
        found.append(Token(-1, END.encode(), special=True))
    exact = tokenizer.exact and len(found) == stated
    place = None if granted is None or granted >= seen else scaled(max(0, granted - hidden), stated, len(found))
    cells = tuple(Cell(token, "answer", inside=place is None or number < place) for number, token in enumerate(found))
    inside = hidden if granted is None else min(hidden, granted)
    return Strip(prompt, prompt_exact, cells, exact, hidden, inside, place)


def prompt_cells(
    call: Call, tokenizer: Tokenizer, earlier: Sequence[str] = (), examples: Sequence[str] = ()
) -> tuple[tuple[Cell, ...], bool]:
    """The tokens of what a call sent, and whether they are those that were counted; see `strip`."""
    counted = call.spend.input_tokens if call.spend.calls else None
    whole = tokenizer.prompt(call.messages)
    if whole is None:
        tokens, parts = list[Token](), list[Part]()
        for message, role in zip(call.messages, roles(call.messages, earlier), strict=True):
            own = tokenizer.cut(message.content, most=ALL).tokens
            tokens += own
            parts += _parts(own, [message], [role], earlier, examples, role)
    else:
        tokens = list(whole)
        parts = list(_parts(tokens, call.messages, roles(call.messages, earlier), earlier, examples, "system"))
    exact = whole is not None and counted in (None, len(tokens))
    cached = scaled(call.spend.cached_tokens, counted or 0, len(tokens))
    cells = (Cell(token, part, number < cached) for number, (token, part) in enumerate(zip(tokens, parts, strict=True)))
    return tuple(cells), exact


def scaled(place: int, counted: int, cells: int) -> int:
    """A place among `counted` tokens as a place among `cells`: the same one where these are as many."""
    if counted <= 0 or place >= counted:
        return 0 if counted <= 0 else cells
    return place if counted == cells else min(cells, (2 * place * cells + counted) // (2 * counted))


def roles(messages: Prompt, earlier: Sequence[str]) -> list[Part]:
    """What each turn is: a turn of the assistant that no earlier call wrote is a worked example, and so is the user's
    turn that it answers."""
    wrote = {text.strip() for text in earlier}
    parts: list[Part] = ["system" if turn.role == "system" else "user" for turn in messages]
    for number, turn in enumerate(messages):
        if turn.role == "assistant":
            said = turn.content.strip()
            own = said in wrote or any(len(text) >= SHORTEST and text in said for text in wrote)
            parts[number] = "earlier" if own else "example"
            # The last turn may be one the model is to go on with: what is before it is the question itself.
            if not own and number and number + 1 < len(messages) and parts[number - 1] == "user":
                parts[number - 1] = "example"
    return parts


def _parts(
    tokens: Sequence[Token],
    messages: Sequence[Message],
    roles: Sequence[Part],
    earlier: Sequence[str],
    examples: Sequence[str],
    between: Part,
) -> Iterator[Part]:
    """The part of each token by where the messages, and what they repeat, stand in the bytes of all of them."""
    raw = b"".join(token.raw for token in tokens)
    spans: list[tuple[int, int, Part]] = []
    at = 0
    for message, role in zip(messages, roles, strict=True):
        # Templates may trim what they are given.
        for content in (message.content, message.content.strip()):
            body = content.encode("utf-8", "replace")
            if body and (start := raw.find(body, at)) >= 0:
                at = start + len(body)
                spans.append((start, at, role))
                if role == "user":
                    spans += _repeated(raw, start, at, earlier, "earlier")
                    spans += _repeated(raw, start, at, examples, "example")
                break
    painted: list[Part] = [between] * len(raw)
    for start, stop, part in spans:
        painted[start:stop] = [part] * (stop - start)
    place = 0
    for token in tokens:
        # By its last letter: space before a word belongs to the word, and a line end after a sign to the sign.
        letters = len(token.raw.rstrip()) or len(token.raw)
        yield painted[place + letters - 1] if token.raw else between
        place += len(token.raw)


def _repeated(raw: bytes, start: int, stop: int, texts: Sequence[str], part: Part) -> Iterator[tuple[int, int, Part]]:
    for text in texts:
        body = text.strip().encode("utf-8", "replace")
        if len(body) >= SHORTEST and (found := raw.find(body, start, stop)) >= 0:
            yield found, found + len(body), part
