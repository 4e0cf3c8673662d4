"""Replies of endpoints unpacked as they come, and never beyond a size; the one rule of every lane."""

from __future__ import annotations

import zlib

MOST_BYTES = 32 * 2**20
"""Largest reply that is read, unpacked; a long one has a few hundred kilobytes."""
ZLIB_OR_GZIP = 47
"""Window bits that let zlib tell the two by their first bytes."""
PACKINGS = "gzip, deflate"
"""What is asked for, and all that is unpacked."""


class ReplyRefused(Exception):
    """A reply that is too large, is no HTTP, or is packed in a way nobody asked for; `faults` knows it by its name."""


class Unpacker:
    """Passes on what it is given, unpacked, and stops at the largest size."""

    def __init__(self, packing: str) -> None:
        """`packing`: the reply's Content-Encoding; empty: none. Raises ReplyRefused for one nobody asked for."""
        named = packing.strip().lower() or "identity"
        if named not in ("identity", "gzip", "deflate"):
            raise ReplyRefused(f"packed as {named[:40]}")
        self._unpacker = None if named == "identity" else zlib.decompressobj(ZLIB_OR_GZIP)
        self._left = MOST_BYTES

    def plain(self, chunk: bytes) -> bytes:
        """The next part unpacked. Raises ReplyRefused for one beyond the size, or packed otherwise than it says."""
        try:
            # One byte more than is left is enough to know; a bomb is never unpacked whole.
            plain = chunk if self._unpacker is None else self._unpacker.decompress(chunk, self._left + 1)
        except zlib.error:
            raise ReplyRefused("not what it says it is packed as") from None
        self._left -= len(plain)
        if self._left < 0:
            raise ReplyRefused("too large")
        return plain
