"""Keys that nobody is to see: which there are, and a text without them, in whatever form a server repeats them.

A text is read once as it is and once for each way of writing single letters (percent and HTML codes, escapes, mails,
wide letters). Of what is read, only letters and digits of ASCII are looked at, in lower case: so it is one whether a
key stands in one piece, in several lines or letter by letter, and which case and alphabet its code has. In that a key's
forms are looked for, all at once: of each form of at least `_LEAST` signs the first few windows are known, and every
window of the text that lies on a grid is looked up among them. So a text takes the same time however many forms and
keys there are. It keeps keys out by accident, not from a server that wants to hide them: it may well encrypt.
"""

from __future__ import annotations

import base64
import codecs
import functools
import operator
import os
import re
import string
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from html.entities import html5
from typing import Any

BLOT = "[key]"
"""What stands for a key."""
SHORTEST_ECHO = 16
"""A key of so many letters is blotted out of replies; a shorter one, such as `ollama`, may be a word of an answer."""
SHORTEST_KEY = 6
"""A key of so many letters is blotted out of sentences of ours; a shorter one may stand anywhere."""
_FEWEST = 6
"""Different letters of a key: '0000…' and 'sk-xxxx…' stand for one, and may stand in any answer."""
_WINDOW = 8
"""Letters that are looked up at once."""
_LEAST = 2 * _WINDOW - 1
"""Letters of a form that cannot lie in a text without a whole window of the grid."""
_DEEPEST = 60
"""Levels of a reply; none that is read has so many, and Python's own bound is not far above."""
_NAMED = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.I)
_LOOKS_LIKE_ONE = re.compile(
    r"(?i:bearer\s+\S+)|(?i:api[_-]?key\s*[=:]\s*['\"]?\S+)|"
    # Behind its prefix no word: something with a digit or a star, or longer than words are.
    r"(?<![\w-])(?:sk|pk|rk|gsk|xai|hf|AIza|key|or|r8|pplx)[-_A-Z](?=[\w.-]*[\d*]|[\w.-]{20})[\w*.-]{6,}"
)
_SIGNS = (string.ascii_letters + string.digits).encode()
_FOLDED = bytes(range(256)).lower()
_DROPPED = bytes(set(range(256)) - set(_SIGNS))


def redacted(text: str, key: str | None) -> str:
    """Text with the key, every key in the environment, and whatever looks like a key blotted out."""
    return _LOOKS_LIKE_ONE.sub(BLOT, at_hand(key, SHORTEST_KEY).without(text))


def at_hand(key: str | None, least: int = SHORTEST_ECHO) -> Keys:
    """The key and every value of the environment whose name tells of one.

    `least`: shorter ones are left out, because they may be words."""
    named = (value for name, value in os.environ.items() if _NAMED.search(name))
    return _keys(frozenset(value for value in (*named, key or "") if len(value) >= least))


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys in all their forms."""

    forms: tuple[tuple[bytes, ...], ...] = field(default=(), repr=False)
    """Those of each key, squeezed."""
    windows: dict[int, int] = field(default_factory=dict, repr=False)
    """By a window of eight signs, as a number, a bit for each key that has it near the beginning of a form."""
    exact: tuple[str, ...] = field(default=(), repr=False)
    """Forms that are looked for as they stand, being too short or too much like words."""

    def without(self, text: str) -> str:
        """Text with these keys blotted out."""
        if self.exact or len(text) >= _LEAST:
            for view in _VIEWS:
                read = view(text)
                if read is not None and (forms := self._in(read)):
                    text = _blotted(text, read, forms)
        return text

    def may_lie_in(self, body: str) -> bool:
        """False: none of these keys is in any text of a body of JSON, and it is as it is `within` them.

        Looked for in all its texts at once: each ends at a quote, and no way to write a letter goes on behind one."""
        if body.count("{") + body.count("[") >= _DEEPEST:
            return True
        if "\\" in body:
            # Ends of lines and quotes are all that is escaped here as a rule.
            if "\\\\" in body or body.count("\\") > body.count("\\n") + body.count('\\"'):
                return True
            body = body.replace("\\n", "\n").replace('\\"', '"')
        return any(read is not None and self._in(read) for read in (view(body) for view in _VIEWS))

    def within(self, sent: Any, depth: int = 0) -> Any:
        """Plain JSON with these keys blotted out of every text and every name; what lies too deep is left out."""
        if isinstance(sent, str):
            return self.without(sent)
        if not isinstance(sent, (dict, list)):
            return sent
        if depth >= _DEEPEST:
            return None
        if isinstance(sent, list):
            return [self.within(each, depth + 1) for each in sent]
        return {self.within(name): self.within(value, depth + 1) for name, value in sent.items()}

    def _in(self, read: _Read) -> list[str | bytes]:
        """Which forms lie in a text."""
        squeezed = _squeezed(read.text)
        grid = memoryview(squeezed)[: len(squeezed) // _WINDOW * _WINDOW].cast("Q")
        near = functools.reduce(operator.or_, map(self.windows.__getitem__, self.windows.keys() & grid), 0)
        likely = (form for at, forms in enumerate(self.forms) if near >> at & 1 for form in forms)
        return [*(form for form in likely if form in squeezed), *(form for form in self.exact if form in read.text)]


@dataclass(frozen=True, slots=True)
class _Read:
    """A text as it reads once letters are written plainly."""

    text: str
    codes: re.Pattern[str] | None = None
    """What was read as a letter, or as none; None: the text is as it was."""

    def places(self, source: str) -> tuple[list[int], list[int]]:
        """Where in the source each letter begins and ends."""
        starts, ends, at = list[int](), list[int](), 0
        for found in self.codes.finditer(source) if self.codes else ():
            letters = len(_letter(found))
            starts += [*range(at, found.start()), *[found.start()] * letters]
            ends += [*range(at + 1, found.start() + 1), *[found.end()] * letters]
            at = found.end()
        return [*starts, *range(at, len(source))], [*ends, *range(at + 1, len(source) + 1)]


def _blotted(text: str, read: _Read, forms: Iterable[str | bytes]) -> str:
    """A text without these forms, which lie in it as it was read."""
    starts, ends = read.places(text)
    squeezed, signs = (
        _squeezed(read.text),
        [at for at, each in enumerate(read.text) if each.isascii() and each.isalnum()],
    )
    spans = []
    for form in forms:
        if isinstance(form, bytes):
            found = ((signs[at], signs[at + len(form) - 1]) for at in _found(form, squeezed))
        else:
            found = ((at, at + len(form) - 1) for at in _found(form, read.text))
        spans += [(starts[first], ends[last]) for first, last in found]
    pieces, at = list[str](), 0
    for start, end in sorted(spans):
        if start >= at:
            pieces += [text[at:start], BLOT]
        at = max(at, end)
    return "".join([*pieces, text[at:]])


def _found(form: Any, text: Any) -> Iterator[int]:
    """Where a form lies in a text of its kind, also where it overlaps itself."""
    at = text.find(form)
    while at >= 0:
        yield at
        at = text.find(form, at + 1)


def _squeezed(text: str) -> bytes:
    """The letters and digits of ASCII of a text, side by side and in lower case."""
    return text.encode("utf-8", "surrogatepass").translate(_FOLDED, _DROPPED)


# Ways to write a letter.

_ESCAPED = re.compile(
    r"%(?:25){0,3}(?P<percent>[0-9a-f]{2})|"
    r"\\\\{0,3}(?:(?:x|u00|u\{0{0,4}|U0{6})(?P<json>[0-9a-f]{2})\}?|(?P<octal>[0-3]?[0-7]{2})|[rnt0]|(?P<sign>[/\"']))|"
    r"&(?:amp;)?(?:#x0{0,6}(?P<hex>[0-9a-f]{2});?|#0{0,6}(?P<decimal>[0-9]{2,3});?|(?P<named>[a-z]{3,6});)|"
    r"<br ?/?>",
    re.I,
)
"""As addresses, JSON, programs and HTML may write one, and the ends of lines."""
_MAILED = re.compile(r"=(?P<hex>[0-9a-f]{2})", re.I)
"""As mails write one; by itself, since a key may well have such a sign."""
_WIDE = re.compile("(?P<wide>[\uff01-\uff5e\U0001d400-\U0001d7ff])")
"""Letters of the same look that Unicode has besides."""


def _letter(found: re.Match[str]) -> str:
    """What a code stands for; a name that HTML has not stands for itself."""
    match kind := found.lastgroup:
        case None:
            return ""
        case "named":
            return html5.get(f"{found[kind]};", found[0])
        case "wide":
            return unicodedata.normalize("NFKC", found[kind])
        case "sign":
            return found[kind]
        case "octal":
            return chr(int(found[kind], 8))
        case "decimal":
            return chr(int(found[kind]) % 256)
        case _:
            return chr(int(found[kind], 16))


def _by(codes: re.Pattern[str], may: Callable[[str], bool]) -> Callable[[str], _Read | None]:
    """How a text is read with these codes; None: it has none, as `may` sees at a glance."""

    def view(text: str) -> _Read | None:
        if may(text):
            read, n = codes.subn(_letter, text)
            return _Read(read, codes) if n else None
        return None

    return view


_VIEWS: tuple[Callable[[str], _Read | None], ...] = (
    _Read,
    _by(_ESCAPED, lambda text: "%" in text or "\\" in text or "&" in text or "<br" in text or "<BR" in text),
    _by(_MAILED, lambda text: "=" in text),
    _by(_WIDE, lambda text: not text.isascii()),
)


# The forms of a key.


@functools.lru_cache(maxsize=16)
def _keys(values: frozenset[str]) -> Keys:
    forms, windows, exact = list[tuple[bytes, ...]](), dict[int, int](), set[str]()
    for at, value in enumerate(values):
        long, short = _forms(value)
        forms.append(long)
        exact |= short
        begins = {int.from_bytes(form[at : at + _WINDOW], sys.byteorder) for form in long for at in range(_WINDOW)}
        # Several keys may begin alike, as those of one provider do.
        windows |= {window: windows.get(window, 0) | 1 << at for window in begins}
    return Keys(tuple(forms), windows, tuple(exact))


@functools.lru_cache(maxsize=128)
def _forms(key: str) -> tuple[tuple[bytes, ...], frozenset[str]]:
    """What a key may look like: squeezed, and what has to be looked for as it stands."""
    raw, turned = key.encode("utf-8", "replace"), key.encode("utf-8", "replace")[::-1]
    if len(key) < SHORTEST_ECHO:
        return (), frozenset({key, key[::-1], raw.hex(), raw.hex().upper(), *_base64(raw)})
    if len(set(key)) < _FEWEST:
        return (), frozenset()
    rotated = codecs.encode(key, "rot13")
    forms = {rotated}
    for text in (raw, turned):
        forms |= {*_numbered(text), *_base64(text), *_base32(text), *_base85(text)}
        # One code within another.
        for once in (text.hex(), text.hex().upper(), *_base64(text), *_base32(text)):
            forms |= {once.encode().hex(), *_base64(once.encode()), *_base32(once.encode())}
    for other in (key.upper(), key.lower(), rotated, "\0".join(key)):
        forms |= {other.encode("utf-8", "replace").hex(), *_base64(other.encode("utf-8", "replace"))}
    # A key of words, such as `my-key-of-the-lab`, may be words of an answer unless it stands there as it is.
    words = not re.search(r"\d|[a-z][A-Z]|[A-Za-z]{16}", key)
    exact = {key, key[::-1]} if words else set[str]()
    forms |= {form[::-1] for form in forms} | (set() if words else {key, key[::-1]})
    squeezed = {form: _squeezed(form) for form in forms}
    exact |= {form for form, signs in squeezed.items() if len(signs) < _LEAST and len(form) >= _LEAST - 3}
    return tuple({each for each in squeezed.values() if len(each) >= _LEAST}), frozenset(exact)


def _numbered(raw: bytes) -> set[str]:
    """The numbers of its bytes, whatever stands between them."""
    kinds = ("{:02x}", "x{:02x}", "0x{:02x}", "u00{:02x}", "{}", "{:o}", "{:03o}", "{:b}", "{:08b}")
    return {"".join(map(kind.format, raw)) for kind in kinds}


def _base64(raw: bytes) -> set[str]:
    """What base64 makes of it wherever it stands in a text, such as behind 'Bearer ' or a user's name."""
    cores = _cores(raw, base64.b64encode, 3, 4)
    return cores | {core.replace("+", "-").replace("/", "_") for core in cores}


def _base32(raw: bytes) -> set[str]:
    return _cores(raw, base64.b32encode, 5, 8)


def _base85(raw: bytes) -> set[str]:
    """What base85 and Ascii85 make of it."""
    return _cores(raw, base64.b85encode, 4, 5, whole=True) | _cores(raw, base64.a85encode, 4, 5, whole=True)


def _cores(raw: bytes, encode: Callable[[bytes], bytes], size: int, signs: int, *, whole: bool = False) -> set[str]:
    """What a code that makes `signs` signs of `size` bytes makes of these bytes wherever they stand, without the signs
    that depend on what stands beside them; `whole`: each sign of a group depends on all its bytes."""
    cores = set()
    for before in range(size):
        lead = size if whole and before else before
        padded = b"\0" * before + raw
        if whole:
            padded = padded[: len(padded) // size * size]
            first = lead // size * signs
        else:
            first = -(-before * signs // size)
        last = len(padded) * signs // size
        cores.add(encode(padded).decode()[first:last])
    return cores - {""}
