"""Texts and prompts cut into tokens, each to be seen: by the bundled encodings, or by llama.cpp for a model of here.

A tokenizer is named by an encoding (`o200k_base`), by a model that uses one (`gpt-4o`, `openai/gpt-4o-mini`), or by a
model on this machine (`local/smollm2-135m`, `local/file.gguf`). Nothing is fetched, nothing is asked over a network and
nothing is billed; llama.cpp is started by the first text that a local model cuts (seconds).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core import names, tokens
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Prompt
from engine.core.tokens import BUNDLED, DEFAULT, Token
from engine.models import bundled, llama

ENCODINGS = {
    "o200k_base": "GPT-4o family (o200k)",
    "cl100k_base": "GPT-4 family (cl100k)",
    "p50k_base": "GPT-3 code (p50k)",
    "o200k_harmony": "gpt-oss (o200k harmony)",
}
"""Encodings of tiktoken that come along, with the models that read by them."""
WINDOW = 2_000
"""Tokens of a text that are given one by one unless more are asked for; all of them are counted."""
ALL = 10**9
"""As `most` of a cut: every token."""
WORDS = "scripted/"
"""Begins the names of models whose tokens are words."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A text as one tokenizer cuts it."""

    tokenizer: str
    title: str
    """What people call it."""
    exact: bool
    """True: the model's own tokenizer; False: the nearest at hand, so the count is about right and no more."""
    n_tokens: int
    """Of the whole text, without any chat template."""
    n_characters: int
    n_bytes: int
    """Of the text in UTF-8."""
    first: int
    """Number of the first token of `tokens`, from 0."""
    tokens: tuple[Token, ...]
    """A window of the text's tokens."""

    @property
    def characters_per_token(self) -> float | None:
        """None: an empty text."""
        return self.n_characters / self.n_tokens if self.n_tokens else None


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """What cuts texts; `open_tokenizer` makes it."""

    name: str
    """As it was asked for."""
    title: str
    exact: bool
    """False: a stand-in for a tokenizer that is not known."""
    encoding: str = DEFAULT
    """The bundled encoding, where no `file` says otherwise."""
    file: Path | None = None
    """A GGUF file that llama.cpp cuts by."""

    def cut(self, text: str, *, first: int = 0, most: int = WINDOW, special: bool = False) -> Cut:
        """Count a text and give `most` of its tokens from number `first` on.

        special: names of the tokenizer's own marks (`<|im_end|>`) in the text are read as those marks; a provider reads
        what users write as plain letters, which is the default. Raises UsageError or ProviderError where llama.cpp
        cannot be had.
        """
        # Piece by piece: an encoder takes quadratic time over a megabyte without a space.
        whole, seen, shown = tokens.clean(text), 0, list[Token]()
        for numbers in self._numbered(whole, special):
            n = len(numbers)
            if first < seen + n and seen < first + most:
                shown += self._tokens(numbers[max(0, first - seen) : max(0, first + most - seen)], special)
            seen += n
        # Of the cleaned text, which always has an encoding; the characters are those that were typed.
        size = len(whole.encode())
        return Cut(self.name, self.title, self.exact, seen, len(text), size, first, tuple(shown))

    def count(self, text: str, *, special: bool = False) -> int:
        """Tokens of a text, without any chat template."""
        return sum(map(len, self._numbered(tokens.clean(text), special)))

    def bytes_of(self, text: str) -> list[bytes]:
        """The bytes of each token of a text; joined they are the text in UTF-8, see `Token.raw`."""
        return [token.raw for token in self.cut(text, most=ALL).tokens]

    def prompt(self, messages: Prompt) -> tuple[Token, ...] | None:
        """A chat as the model reads it, with the marks and words of its template; None: the template is not known."""
        if self.file is None:
            return None
        turns = [{"role": turn.role, "content": tokens.clean(turn.content)} for turn in messages]
        server = self._server(self.file)
        # In two steps, as the server's own chat route would: its template first, then marks read as marks.
        rendered = str(llama.ask(server, "/apply-template", {"messages": turns})["prompt"])
        body = {"content": rendered, "add_special": True, "parse_special": True}
        return tuple(_tokens_of(server, llama.ask(server, "/tokenize", body)["tokens"], True))

    def _numbered(self, whole: str, special: bool) -> Iterator[list[int]]:
        """The numbers of a text's tokens, piece by piece; llama.cpp reads several at once."""
        parts = list(tokens.pieces(whole))
        if self.file is None or len(parts) < 2:
            yield from (self._ids(piece, special) for piece in parts)
            return
        self._server(self.file)
        with ThreadPoolExecutor(os.cpu_count() or 1) as readers:
            yield from readers.map(lambda piece: self._ids(piece, special), parts)

    def _server(self, file: Path) -> llama.Running:
        return llama.reading(file, file.stem)

    def _ids(self, piece: str, special: bool) -> list[int]:
        if self.file is None:
            return tokens.ids(piece, self.encoding, special=special)
        body = {"content": piece, "parse_special": special}
        # As they come: a text of a megabyte has 300,000 of them.
        numbers: list[int] = llama.ask(self._server(self.file), "/tokenize", body)["tokens"]
        return numbers

    def _tokens(self, numbers: Sequence[int], special: bool) -> list[Token]:
        if self.file is None:
            return [tokens.token(number, self.encoding) for number in numbers]
        return list(_tokens_of(self._server(self.file), numbers, special))


def open_tokenizer(name: str) -> Tokenizer:
    """The tokenizer of that name; one of a model nobody knows stands in by the default encoding and says `exact=False`.

    Raises UnknownName for a local model that does not come along, UsageError for a file that is not there.

        >>> open_tokenizer("o200k_base").cut("A train leaves at 14:05.").n_tokens
        9
    """
    if name in BUNDLED:
        return Tokenizer(name, ENCODINGS.get(name, name), True, encoding=_at_hand(name))
    if name.startswith("local/"):
        # An identity of a stored model has a hash behind it.
        served = name.partition("@")[0]
        if served in bundled.BUNDLED:
            file = bundled.file_of(served)
            if file is None:
                raise UsageError(f"The model {served} is not on this machine yet: `{bundled.FETCH}` brings it.")
        elif served.endswith(".gguf"):
            file = Path(served.removeprefix("local/")).expanduser()
            if not file.is_file():
                raise UsageError(f"The model file of {served!r} does not exist.")
        else:
            raise UnknownName("local model", served, bundled.BUNDLED, "A file is named local/FILE.gguf.")
        return Tokenizer(name, names.model(served), True, file=file.resolve())
    # Names of encodings end so: a typing error there must not pass for a model nobody knows.
    if not name.strip() or name.endswith("_base"):
        raise UnknownName("tokenizer", name, [*ENCODINGS, *bundled.BUNDLED], "A model's name will do as well.")
    known = tokens.encoding_name(name)
    return Tokenizer(name, name, known is not None, encoding=_at_hand(known or DEFAULT))


def of_model(identity: str) -> Tokenizer | None:
    """The tokenizer of a stored model by its identity (`local/smollm2-135m@hash`), or the nearest one; a local model
    counts as its own only where the very file is here. None: no tokenizer is at hand at all."""
    name, _, mark = identity.partition("@")
    try:
        if not name.startswith("local/"):
            return open_tokenizer(name) if name else None
        own = open_tokenizer(name)
        # Another file of this name may cut otherwise.
        if own.file is not None and mark[:16] == llama.content_hash(own.file):
            return own
    except UsageError:
        pass
    try:
        return Tokenizer(name, name, False, encoding=_at_hand(DEFAULT))
    except UsageError:
        return None


def nearest(text: str, name: str) -> list[bytes]:
    """The tokens of a text as bytes without starting anything: by the encoding of the model of that `name`, or the one
    that stands in for it; a scripted model's tokens are its words. Where no encoding came along so many bytes as a
    token has on average."""
    whole = tokens.clean(text)
    if name.startswith(WORDS):
        words = whole.split(" ")
        return [(" " if at else "").encode() + word.encode() for at, word in enumerate(words)] if whole else []
    try:
        encoding = _at_hand(tokens.encoding_name(name) or DEFAULT)
        return [raw for piece in tokens.pieces(whole) for raw in tokens.bytes_of(piece, encoding)]
    except UsageError:
        raw, size = whole.encode(), tokens.BYTES_PER_TOKEN
        return [raw[at : at + size] for at in range(0, len(raw), size)]


def at_hand() -> tuple[str, ...]:
    """Names of the tokenizers that need nothing from outside: local models whose file is here, then encodings."""
    return (*(name for name in bundled.BUNDLED if bundled.file_of(name)), *ENCODINGS)


@functools.cache
def _at_hand(encoding: str) -> str:
    try:
        tokens.ids("", encoding)
    except FileNotFoundError:
        raise UsageError(
            f"The encoding {encoding} did not come along: its file stands in the package litellm."
        ) from None
    return encoding


def _tokens_of(server: llama.Running, numbers: Sequence[int], marked: bool) -> Iterator[Token]:
    """Tokens as llama.cpp writes them: a text, or the bytes of what is none; `marked`: marks were read as such."""
    spelled = _vocabulary(server)
    # By number and once each: to cut the text again with its pieces would take as long as cutting it.
    if unknown := [number for number in dict.fromkeys(numbers) if number not in spelled]:
        answer = llama.ask(server, "/tokenize", {"content": unknown, "with_pieces": True})["tokens"]
        spelled.update((each["id"], each["piece"]) for each in answer)
    for number in numbers:
        piece = spelled[number]
        # llama.cpp writes a piece that is no whole UTF-8 as a list of byte values.
        raw = piece.encode() if isinstance(piece, str) else bytes(piece)
        # Only what looks like a mark is asked about: each question is a request.
        framed = marked and isinstance(piece, str) and len(piece) > 2 and (piece[0], piece[-1]) in _FRAMES
        yield Token(number, raw, framed and _is_mark(server, piece, number))


@functools.lru_cache(maxsize=8)
def _vocabulary(server: llama.Running) -> dict[int, Any]:
    """Pieces by the number of their token, as far as they were asked for."""
    return {}


_FRAMES = (("<", ">"), ("[", "]"), ("\uff1c", "\uff1e"))
"""What the names of marks begin and end with."""


@functools.lru_cache(maxsize=4096)
def _is_mark(server: llama.Running, piece: str, number: int) -> bool:
    """Whether a token is a mark: its letters, read as letters, are not that token."""
    plain = llama.ask(server, "/tokenize", {"content": piece, "parse_special": False})["tokens"]
    return [int(each) for each in plain] != [number]
