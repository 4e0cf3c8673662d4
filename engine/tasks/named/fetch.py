"""A benchmark's file on this machine: fetched once at its pinned revision, checked, kept, and found again without a
network.

`hf://datasets/REPOSITORY@REVISION/FILE` is a file of the Hugging Face hub (the form polars, duckdb and fsspec take),
`github://REPOSITORY@REVISION/FILE` one of a public repository. Files are fetched byte by byte and not through a table
reader, so that what is checked is the publisher's own file and a copy that somebody carries over by hand is the same.
HF_ENDPOINT names a mirror, HF_TOKEN a token for gated sets (it goes to the hub alone), HF_HUB_OFFLINE forbids fetching.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from engine.core import files
from engine.core.errors import UsageError, shortened
from engine.tasks.named.benchmark import Source

MOST_BYTES = 200_000_000
LONGEST_S = 300.0
"""Seconds a download may take in all."""
TRIED_AGAIN_S = 60.0
"""Seconds until a download that failed is tried again by the same process: a page asks at every click."""
_ADDRESS = re.compile(r"(hf|github)://(?:datasets/)?([\w.-]+/[\w.-]+)@([^/]+)/(.+)")
_REVISION = re.compile(r"[0-9a-f]{40}")
_failed: dict[str, tuple[float, str]] = {}


def url_of(source: Source, revision: str | None) -> str:
    """The https address of a file. Raises UsageError where its revision is not known, or is a name that moves."""
    address = address_of(source, revision)
    kind, repository, at, file = _parts(address)
    if kind == "github":
        return f"https://raw.githubusercontent.com/{repository}/{at}/{quote(file)}"
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{hub}/datasets/{repository}/resolve/{at}/{quote(file)}"


def local_copy(name: str, source: Source, revision: str | None = None, gated: bool = False) -> Path:
    """The file of a benchmark in the user's cache, fetched if it is not there yet.

    Raises UsageError with what to fetch and where to say so, where it cannot be had or is another file than it was."""
    address = address_of(source, revision)
    _, _, at, file = _parts(address)
    path = files.cache_folder() / "tasks" / name / at[:12] / Path(file).name
    # Found by revision: a newer pin is another folder, and the old file stays for old studies.
    if not path.is_file():
        _fetch(name, url_of(source, revision), path, gated)
    _check(name, source if revision in (None, _parts(source.address)[2]) else Source(address), path)
    return path


def address_of(source: Source, revision: str | None) -> str:
    """A file at the revision a study names, or the pinned one. Raises UsageError for one that is unknown, or moves."""
    kind, repository, pinned, file = _parts(source.address)
    at = revision or (pinned if _REVISION.fullmatch(pinned) else None)
    if at is None:
        where = f"{kind}://{'datasets/' if kind == 'hf' else ''}{repository}"
        raise UsageError(f'No revision of {where} is pinned here; set revision = "…", its commit of 40 digits.')
    if not _REVISION.fullmatch(at):
        raise UsageError(f"The revision {shortened(repr(at))} is none: give the commit's 40 digits, for names move.")
    return f"{kind}://{'datasets/' if kind == 'hf' else ''}{repository}@{at}/{file}"


def _parts(address: str) -> tuple[str, str, str, str]:
    """Where, repository, revision and file of an address."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError(f"{address!r} is no address of a file")
    return match[1], match[2], match[3], match[4]


def _fetch(name: str, url: str, path: Path, gated: bool) -> None:
    """Download to a place beside and rename: half a file is never found."""
    # By address and in this process alone: another process may try with another network.
    failed = _failed.get(url)
    if failed is not None and time.monotonic() < failed[0]:
        raise UsageError(failed[1])
    reason = "HF_HUB_OFFLINE is set"
    if os.environ.get("HF_HUB_OFFLINE", "").lower() not in ("1", "true", "yes", "on"):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = files.part_of(path)
        try:
            reason = _download(url, part)
            if not reason:
                part.replace(path)
                return
        except OSError as error:
            reason = files.why(error)
        finally:
            with suppress(OSError):
                part.unlink()
    consent = " after its publisher's consent (or set HF_TOKEN)" if gated else ""
    way = f'download {url}{consent} and say path = "{path.name}" under [[tasks]]'
    sentence = f"The questions of {name} are not here and cannot be fetched ({reason}): {way}."
    _failed[url] = time.monotonic() + TRIED_AGAIN_S, sentence
    raise UsageError(sentence)


def _download(url: str, part: Path) -> str:
    """Why the file did not come; empty: it lies at `part`."""
    import httpx

    host = urlsplit(url).hostname
    token = os.environ.get("HF_TOKEN", "").strip()
    # httpx takes it off again where the hub sends us on to another host.
    headers = {"Authorization": f"Bearer {token}"} if token and "raw.githubusercontent" not in url else {}
    deadline, size = time.monotonic() + LONGEST_S, 0
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30, connect=10), headers=headers) as client,
            client.stream("GET", url) as reply,
            # x: somebody else's half-made file is not written into.
            part.open("xb") as file,
        ):
            if reply.status_code != 200:
                closed = (
                    "; it is gated: accept its terms there and set HF_TOKEN" if reply.status_code in (401, 403) else ""
                )
                return f"{host} answers {reply.status_code}{closed}"
            # Counted as it comes: a server may say any length, or none.
            for chunk in reply.iter_bytes():
                size += len(chunk)
                if size > MOST_BYTES:
                    return f"{host} sends more than {MOST_BYTES:,} bytes"
                if time.monotonic() > deadline:
                    return f"{host} takes longer than {LONGEST_S:.0f} s"
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The kind alone: messages of the library may hold an address with its token.
        return f"no answer from {host}: {type(error).__name__}"
    return ""


def _check(name: str, source: Source, path: Path) -> None:
    """That the file is the published one or, where its checksum is not known, the one that was fetched first."""
    noted = path.with_name(f"{path.name}.sha256")
    # Every time it is used: a cache on disk is anybody's to change.
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = source.sha256 or (noted.read_text(encoding="ascii").strip() if noted.is_file() else None)
    if wanted is None:
        files.replace(noted, f"{digest}\n")
    elif digest != wanted:
        way = f"remove {str(path)!r} and it is fetched again"
        raise UsageError(
            f"The file of {name} is not the published one (sha256 {digest[:12]}, not {wanted[:12]}): {way}."
        )
