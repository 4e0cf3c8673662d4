"""Token counts and bounds without a network: bytes for upper bounds, the bundled tiktoken encodings for counts.

Reads the encodings that come inside litellm's wheel and nothing else; never downloads, never imports litellm. The
hundreds of megabytes tiktoken needs are loaded by the first count, not by the import.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.core.records import Prompt

if TYPE_CHECKING:
    from tiktoken import Encoding

BUNDLED = {
    "p50k_base": "ec7223a39ce59f226a68acc30dc1af2788490e15",
    "p50k_edit": "ec7223a39ce59f226a68acc30dc1af2788490e15",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "o200k_harmony": "fb374d419588a4632f3f557e76b4b70aebbca790",
}
"""Encodings that need no network, with the name of the file each is built from."""
ORDINARY = {"p50k_edit": "p50k_base", "o200k_harmony": "o200k_base"}
"""Encodings that cut letters as another does, and have marks of their own: 50 MB that most texts do not need."""
DEFAULT = "o200k_base"
BYTES_PER_TOKEN = 4
"""Rule of thumb where no encoding is at hand."""
PIECE = 50_000
"""Characters counted at once: tiktoken raises for a million spaces in a row."""


GAP = 1_000
"""Characters before the end of a piece in which a place between two words is looked for."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text as a tokenizer numbers it."""

    id: int
    raw: bytes
    """Its bytes: those of all tokens of a text, joined, are the text in UTF-8 (but for tokens of a template)."""
    special: bool = False
    """A mark of the tokenizer's own, such as the end of a turn; its bytes spell its name."""

    @property
    def kind(self) -> Literal["text", "bytes", "special"]:
        """bytes: a part of a character, which has no letter of its own."""
        if self.special:
            return "special"
        try:
            self.raw.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes"
        return "text"

    @property
    def text(self) -> str:
        """Its text; of a fragment of a character its bytes, `\\xe4\\xb8`."""
        if self.kind == "bytes":
            return "".join(f"\\x{byte:02x}" for byte in self.raw)
        return self.raw.decode("utf-8", "replace")


def utf8_bound(messages: Prompt, base: int = 64, per_message: int = 16) -> int:
    """Upper bound of a prompt's tokens: its UTF-8 bytes plus an allowance for the chat template."""
    # No tokenizer in use makes two tokens of one byte, so bytes bound them from above without knowing it.
    content = sum(len(message.content.encode("utf-8", "surrogatepass")) for message in messages)
    return content + base + per_message * len(messages)


def count(text: str, model_name: str) -> int:
    """Tokens of `text` by the model's own encoding if it is bundled, else by the default one."""
    encoding = _ordinary(encoding_name(model_name) or DEFAULT)
    if encoding is None:
        return -(-len(clean(text).encode()) // BYTES_PER_TOKEN)
    return sum(len(encoding.encode(part, disallowed_special=())) for part in pieces(clean(text)))


def clean(text: str) -> str:
    """The text without lone surrogates, which models write and tokenizers refuse; each becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def pieces(text: str) -> Iterator[str]:
    """The text in parts of at most `PIECE` characters, each small enough for a tokenizer to read at once.

    Cut before a single space between two words, where every tokenizer here begins a token anyway, so that counts of
    the parts add up exactly; in a text that has no such place a token across a cut is counted as two.
    """
    at = 0
    while len(text) - at > PIECE:
        end = at + PIECE
        for place in range(end, end - GAP, -1):
            if text[place] == " " and not text[place - 1].isspace() and not text[place + 1 : place + 2].isspace():
                end = place
                break
        yield text[at:end]
        at = end
    if at < len(text):
        yield text[at:]


def ids(text: str, encoding: str, *, special: bool = False) -> list[int]:
    """Numbers of the tokens of a piece of text by a bundled encoding; `special`: names of its marks are read as marks.

    Raises KeyError for an encoding that is not in `BUNDLED`, FileNotFoundError where its file did not come along."""
    if (known := _encoding(encoding) if special else _ordinary(encoding)) is None:
        raise FileNotFoundError(encoding)
    if special:
        return known.encode(text, allowed_special="all")
    return known.encode_ordinary(text)


def bytes_of(text: str, encoding: str) -> list[bytes]:
    """The bytes of each token of a piece of text, its marks read as letters. Raises as `ids` does."""
    numbers = ids(text, encoding)
    known = _ordinary(encoding)
    assert known is not None, "`ids` has it"
    return known.decode_tokens_bytes(numbers)


def token(number: int, encoding: str) -> Token:
    """The token of that number in a bundled encoding that `ids` gave."""
    plain = _ordinary(encoding)
    assert plain is not None, "a number comes from `ids`, which has the encoding"
    # Marks of the two have numbers of their own, some of them the same.
    with suppress(KeyError):
        raw = plain.decode_single_token_bytes(number)
        if not plain.is_special_token(number):
            return Token(number, raw)
    known = _encoding(encoding)
    assert known is not None, "both are made of one file"
    return Token(number, known.decode_single_token_bytes(number), known.is_special_token(number))


def least(messages: Prompt, model_name: str) -> int:
    """Lower bound of a prompt's tokens: the contents alone, halved where the model's tokenizer is not known."""
    counted = sum(count(message.content, model_name) for message in messages)
    # By half, as a model we know nothing of may need fewer tokens for the same text.
    return counted if encoding_name(model_name) else counted // 2


def encoding_name(model_name: str) -> str | None:
    """The bundled encoding a model is known to use; None: unknown model, or an encoding that is not bundled."""
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model_name.rsplit("/", 1)[-1])
    except KeyError:
        return None
    return name if name in BUNDLED else None


def _ordinary(name: str) -> Encoding | None:
    """What cuts letters as that encoding does, whose marks may be others."""
    return _encoding(ORDINARY.get(name, name))


_telling = threading.Lock()


@functools.cache
def _encoding(name: str) -> Encoding | None:
    # Found without importing it: litellm takes three seconds.
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    # Without the file tiktoken would try to download it.
    if not (folder / BUNDLED[name]).is_file():
        return None
    import tiktoken

    # tiktoken knows no other way to be told where files are; whoever runs us may use the variable as well.
    with _telling:
        before = os.environ.get("TIKTOKEN_CACHE_DIR")
        os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
        try:
            known = tiktoken.get_encoding(name)
            # The ranks, 15 to 30 MB of objects: tiktoken cuts by its own copy and keeps these for pickling alone.
            known._mergeable_ranks = {}
            return known
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before
