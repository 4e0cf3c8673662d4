"""How a database file is opened: by one writer or many readers at a time, and never one that is not ours.

A connection lives for one `with` block, in which the file is attached to an instance of DuckDB that outlives it:
making an instance costs ten times what attaching a file does. DuckDB refuses to open a file read-only while the same
process holds it for writing, so threads take turns at a readers-writer lock; locks of other processes are met by
bounded retries. A file that is not ours is refused before a byte of it changes. Python never opens the file itself
while others may read it: closing it would drop DuckDB's lock on it. Knows no table.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb

from engine.core import files, places
from engine.core.errors import NotADatabase, OutOfMemory, StoreBusy, StoreError
from engine.store import parquet, schema
from engine.store.identity import fingerprint, identity, identity_of
from engine.store.instances import OPEN, instance_of, own_paths
from engine.store.sql import Connection, quoted

_T = TypeVar("_T")


class ReadWriteLock:
    """Many readers or one writer; a waiting writer holds back new readers, so it is not starved."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting = 0

    @contextmanager
    def shared(self, timeout_s: float) -> Iterator[None]:
        """Hold as one of many readers; raises TimeoutError after `timeout_s` seconds."""
        with self._turn:
            self._wait(lambda: not self._writing and not self._waiting, timeout_s)
            self._readers += 1
        try:
            yield
        finally:
            with self._turn:
                self._readers -= 1
                self._turn.notify_all()

    @contextmanager
    def alone(self, timeout_s: float) -> Iterator[None]:
        """Hold alone; raises TimeoutError after `timeout_s` seconds."""
        with self._turn:
            self._waiting += 1
            try:
                self._wait(lambda: not self._writing and not self._readers, timeout_s)
            finally:
                self._waiting -= 1
                self._turn.notify_all()
            self._writing = True
        try:
            yield
        finally:
            with self._turn:
                self._writing = False
                self._turn.notify_all()

    def _wait(self, free: Callable[[], bool], timeout_s: float) -> None:
        if not self._turn.wait_for(free, timeout_s):
            raise TimeoutError


_LOCKS: dict[Path, ReadWriteLock] = {}
_GUARD = threading.Lock()


def lock_for(path: Path) -> ReadWriteLock:
    """The process's lock of a file, whatever way its path is written."""
    with _GUARD:
        return _LOCKS.setdefault(path.resolve(), ReadWriteLock())


_HEADERS_BYTES = 3 * 4096
"""In front of the blocks of a DuckDB file: its own header, and two of the database that take turns."""
_CLOSED = {**OPEN, "enable_external_access": "false"}
_MOST_MB = 4096

_CURRENT: dict[tuple[int, int], tuple[int, int, int, int]] = {}
"""By identity, the fingerprint of files that have the newest schema: looking again costs half of what opening does."""


class Database:
    """Open-act-close access to one file; cheap to make, safe to use from many threads and processes."""

    def __init__(self, path: Path | str, *, wait_s: float = 30.0, memory_mb: int | None = None) -> None:
        self.path = Path(path)
        self.wait_s = wait_s
        """Seconds to retry while others hold the file; then StoreBusy."""
        self.memory_mb = memory_mb
        """What DuckDB may have in memory; the rest waits in files beside this one. None: most of the machine's. Of a
        file that others of this process read, for one who writes alone."""
        self._lock = lock_for(self.path)
        # Which file was found to be ours, by its identity, and whether its schema is the newest.
        self._known: tuple[int, int] | None = None
        self._current = False

    def within_memory(self, act: Callable[[], _T]) -> _T:
        """What `act` returns, which does all it does or nothing. Where `memory_mb` is too little for it, as the keys of
        a large file have to be there as a whole, it gets twice as much from now on, and in the end what there is."""
        while True:
            try:
                return act()
            except OutOfMemory:
                if self.memory_mb is None:
                    raise
                self.memory_mb = 2 * self.memory_mb if self.memory_mb < _MOST_MB else None

    def version(self) -> int:
        """Schema version of the file as it is; upgrades nothing. Raises StoreError for a file that is not ours."""
        with self.as_it_is() as connection:
            return schema.version(connection, self.path)

    def create(self) -> None:
        """Make the file with its tables, or check and upgrade the one that is there."""
        places.refuse_by_name(self.path)
        if parquet.is_archive(self.path):
            raise StoreError(
                f"{self.path} is an archive and is only read; `budgetscope restore {self.path}` brings its study back."
            )
        if self.path.exists():
            self._check(writing=True)
            return
        if not self.path.parent.is_dir():
            raise StoreError(f"There is no folder {self.path.parent} to create {self.path.name} in.")
        # Under another name until it is whole, so that nobody opens a file without tables.
        fresh = files.part_of(self.path)
        try:
            with _translated(self.path):
                _make(fresh)
            made = identity(fresh)
            _publish(fresh, self.path)
            # Another process may have been first, with an older schema.
            if identity(self.path) == made:
                self._known, self._current = made, True
        finally:
            fresh.unlink(missing_ok=True)

    @contextmanager
    def as_it_is(self) -> Iterator[Connection]:
        """A read-only connection to a file of any version up to today's, which upgrades nothing; do not nest it."""
        _refuse_by_looks(self.path)
        with self._opened() as connection:
            schema.version(connection, self.path)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only connection for the duration of the block; do not nest or keep it."""
        _refuse_by_looks(self.path)
        file = identity(self.path)
        # Checked on the connection that is used: a second one would cost as much as the act itself.
        with self._opened() as connection:
            if self._usable(connection, file, writing=False):
                yield connection
                return
        self._check()
        with self._opened() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, in a file made if need be: committed when the block ends, rolled back when it raises."""
        self.create()
        with self._opened(alone=True, read_only=False) as connection:
            schema.stay_known(connection, self.path)
            connection.execute("begin")
            yield connection
            # No rollback: a block that raises closes the connection, which ends the transaction.
            connection.execute("commit")
        if file := identity_of(str(self.path)):
            _CURRENT[file] = fingerprint(self.path)

    @contextmanager
    def writing_out(self, target: Path) -> Iterator[Connection]:
        """A read-only connection that may write the one file `target` and touch no other."""
        self._check()
        with self._turn(alone=True), _translated(self.path):
            archived = parquet.is_archive(self.path)
            own = partial(duckdb.connect, str(self.path.absolute()), read_only=True, config=dict(OPEN))
            with self._patiently(partial(duckdb.connect, config=dict(OPEN)) if archived else own) as connection:
                allowed = [str(target)]
                if archived:
                    parquet.attach(connection, self.path, "budgetscope")
                    connection.execute("use budgetscope")
                    allowed += parquet.paths(self.path)
                # In this order: access cannot be widened again on this connection.
                connection.execute(f"set allowed_paths = [{', '.join(map(quoted, allowed))}]")
                connection.execute("set enable_external_access = false")
                yield connection

    @contextmanager
    def copying_to(self, target: Path) -> Iterator[Connection]:
        """One transaction in a new database at `target`, a name nobody has; this one is attached to it as `origin`.
        The target is one file when the block has ended."""
        self._check()
        with self._turn(alone=True), _translated(self.path):
            connection = duckdb.connect(str(target.absolute()), config=dict(OPEN))
            try:
                schema.migrate(connection)
                _with_origin(connection, self.path)
                connection.execute("begin")
                yield connection
                connection.execute("commit")
                connection.execute("detach origin")
                connection.execute("checkpoint")
            finally:
                connection.close()

    @contextmanager
    def joined(self, archive: Path) -> Iterator[Connection]:
        """One transaction, as `writing`, of a connection that has an archive attached as `origin`."""
        self.create()
        with self._turn(alone=True), _translated(self.path):
            # Under a name of ours: a file may be called as any database of this connection.
            connection = duckdb.connect(config=dict(OPEN))
            try:
                file = str(self.path.resolve())
                attach = f"attach {quoted(file)} as budgetscope (type duckdb)"
                self._patiently(lambda: connection.execute(attach))
                connection.execute("use budgetscope")
                with _translated(archive):
                    _with_origin(connection, archive, own_paths(file))
                schema.stay_known(connection, self.path)
                connection.execute("begin")
                yield connection
                connection.execute("commit")
            finally:
                connection.close()

    def rewrite(self) -> tuple[int, int]:
        """Write the file anew without what was deleted from it, whose bytes it otherwise keeps; its size before and
        after. Others wait meanwhile; killed, it leaves the file as it was."""
        self.create()
        files.sweep(self.path.parent, lambda name: name == self.path.name)
        path = self.path.resolve()
        fresh = files.part_of(path)
        with self._turn(alone=True), _translated(self.path):
            before = path.stat().st_size
            connection = duckdb.connect(config=dict(OPEN))
            try:
                # Held for writing until the new file has the name: who opens it afterwards opens the new one.
                self._patiently(lambda: connection.execute(f"attach {quoted(str(path))} as origin (type duckdb)"))
                connection.execute("checkpoint origin")
                connection.execute(f"attach {quoted(str(fresh))} as fresh (type duckdb)")
                connection.execute("copy from database origin to fresh")
                connection.execute("detach fresh")
                with fresh.open("rb") as file:
                    os.fsync(file.fileno())
                fresh.replace(path)
            finally:
                connection.close()
                fresh.unlink(missing_ok=True)
                Path(f"{fresh}.wal").unlink(missing_ok=True)
            self._known = None
            return before, path.stat().st_size

    def damage(self, most_bytes: int) -> str | None:
        """What is wrong with the file, read to its end where it has at most so many bytes; None: nothing was seen."""
        try:
            _refuse_by_looks(self.path)
            if parquet.is_archive(self.path):
                return parquet.damage(self.path)
            # As it is: looking at an older one upgrades nothing.
            with self._opened() as connection:
                size = self.path.stat().st_size
                # A log that is waiting to be written into the file may need blocks that the file does not have yet.
                if not Path(f"{self.path}.wal").exists():
                    ((block, blocks),) = connection.execute(
                        "select block_size, total_blocks from pragma_database_size() "
                        "where database_name = current_database()"
                    ).fetchall()
                    whole = _HEADERS_BYTES + block * blocks
                    if size < whole:
                        return f"its end is missing: it has {size:,} bytes of {whole:,}"
                if size <= most_bytes:
                    tables = connection.execute("select table_name from duckdb_tables() where not internal")
                    for (table,) in tables.fetchall():
                        # Each value is read, and with it the checksum of its block.
                        connection.execute(f'select max(hash(columns(*))) from "{table}"').fetchall()
        except StoreBusy:
            raise
        except StoreError as error:
            return str(error)
        return None

    def copy_to(self, target: Path) -> None:
        """Copy the file byte for byte to a name that is not taken; a target that appears meanwhile is kept."""
        files.sweep(target.parent, lambda name: name == target.name)
        fresh = files.part_of(target)
        self.version()
        try:
            with self._turn(alone=True):
                # The log as well: what was committed last may stand in it alone.
                for suffix in ("", ".wal"):
                    with suppress(FileNotFoundError):
                        shutil.copyfile(f"{self.path}{suffix}", f"{fresh}{suffix}")
            # One file again, so that one rename publishes it.
            with _translated(target), duckdb.connect(str(fresh.absolute()), config=dict(_CLOSED)) as connection:
                connection.execute("checkpoint")
            _publish(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)

    def _check(self, *, writing: bool = False) -> None:
        """Refuse what is not ours without changing it; upgrade an older database of ours, unless it is only read."""
        _refuse_by_looks(self.path)
        file = identity(self.path)
        if self._known == file and (self._current or not writing):
            return
        with self._opened() as connection:
            usable = self._usable(connection, file, writing)
        if not usable:
            with self._opened(alone=True, read_only=False) as connection:
                schema.migrate(connection)
            self._known, self._current = file, True

    def _usable(self, connection: Connection, file: tuple[int, int], writing: bool) -> bool:
        """Whether an open file needs no upgrade first. Raises StoreError for one that is not ours."""
        if self._known != file and _CURRENT.get(file) == fingerprint(self.path):
            self._known, self._current = file, True
        if self._known == file and (self._current or not writing):
            return True
        version = schema.version(connection, self.path)
        if version < schema.SCHEMA_VERSION:
            # The demo, and a file this user may not write, are never changed by reading them.
            fixed = schema.is_demo(connection) or not os.access(self.path, os.W_OK) or parquet.is_archive(self.path)
            if version < schema.READABLE or writing or not fixed:
                return False
        self._known, self._current = file, version == schema.SCHEMA_VERSION
        if self._current:
            _CURRENT[file] = fingerprint(self.path)
        return True

    @contextmanager
    def _turn(self, alone: bool) -> Iterator[None]:
        """The file for this thread, among the threads of this process."""
        try:
            with self._lock.alone(self.wait_s) if alone else self._lock.shared(self.wait_s):
                yield
        except TimeoutError:
            raise self._busy() from None

    @contextmanager
    def _opened(self, *, alone: bool = False, read_only: bool = True) -> Iterator[Connection]:
        with self._turn(alone), _translated(self.path), instance_of(self.path) as instance:
            connection = self._patiently(lambda: instance.connect(read_only))
            try:
                instance.hold_to(self.memory_mb, connection)
                yield connection
            finally:
                instance.leave(connection)

    def _patiently(self, connect: Callable[[], Connection]) -> Connection:
        """The file opened, as soon as other processes leave it."""
        deadline, pause = time.monotonic() + self.wait_s, 0.004
        while True:
            try:
                return connect()
            except (duckdb.IOException, duckdb.ConnectionException, duckdb.BinderException) as error:
                # Another process has it, or this one has it open in another way; anything else is no lock.
                if not re.search("Could not set lock|different configuration|already attached", str(error)):
                    raise
            if time.monotonic() > deadline:
                raise self._busy()
            # By chance, so that two who wait do not meet at the file again and again.
            time.sleep(random.uniform(0.5, 1.5) * pause)
            pause = min(pause * 1.5, 0.1)

    def _busy(self) -> StoreBusy:
        return StoreBusy(f"{self.path} stayed locked by another process for {self.wait_s:g} s; try again, or stop it.")


def _with_origin(connection: Connection, path: Path, own: Sequence[str] = ()) -> None:
    """Attach a database or an archive as `origin`; from then on the connection opens nothing else but `own`."""
    if parquet.is_archive(path):
        parquet.attach(connection, path, "origin")
        connection.execute(f"set allowed_paths = [{', '.join(map(quoted, (*own, *parquet.paths(path))))}]")
    else:
        connection.execute(f"attach {quoted(str(path.absolute()))} as origin (read_only)")
    connection.execute("set enable_external_access = false")


def _make(path: Path) -> None:
    """A new file with all tables and no rows."""
    with duckdb.connect(str(path.absolute()), config=dict(_CLOSED)) as connection:
        schema.migrate(connection)


def _publish(fresh: Path, path: Path) -> None:
    """Give a finished file its name, unless another process was first."""
    # A link, unlike a rename, fails where the name is taken; some file systems have none.
    with suppress(FileExistsError):
        try:
            os.link(fresh, path)
        except (PermissionError, NotImplementedError, OSError) as error:
            if isinstance(error, FileExistsError):
                raise
            fresh.replace(path)


def is_database(path: Path) -> bool:
    """Whether a file that this process has not opened begins as DuckDB's do."""
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def _refuse_by_looks(path: Path) -> None:
    places.refuse_by_name(path)
    if parquet.is_archive(path):
        return
    if path.is_dir():
        raise NotADatabase(f"{path} is a folder; name a database file in it.")
    if not path.exists():
        raise StoreError(f"There is no database at {path}; a run creates it, or name another with --db.")
    if not path.is_file():
        # Of a device, a socket or a pipe nothing is to be removed, and reading it may never end.
        raise NotADatabase(f"{path} is no ordinary file, so it is no database; choose another name.")
    # DuckDB would take an empty file for a new database and write into it.
    if path.stat().st_size == 0:
        raise NotADatabase(f"{path} is an empty file, not a database; remove it or choose another name.")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} may not be read by this user; change its permissions or choose another file.")


_FULL = {os.strerror(number): files.why(OSError(number, "")) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)}
"""Words of the system for want of room, and ours."""


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """DuckDB's errors as one sentence that names the file."""
    try:
        yield
    except duckdb.Error as error:
        # By their words: one class of DuckDB's stands for all of these.
        text = str(error)
        kind, sentence = StoreError, f"{path} could not be used: {text.splitlines()[0]}"
        if "not a valid DuckDB database" in text or "external extensions is disabled" in text:
            kind, sentence = NotADatabase, f"{path} is not a DuckDB database; choose another file name."
        elif parquet.is_archive(path) and re.search("[Pp]arquet|No files found|No magic bytes", text):
            kind, sentence = NotADatabase, f"{path} is a damaged archive: a file of it cannot be read; restore a copy."
        elif "Corrupt database" in text or "Could not read enough bytes" in text:
            kind = NotADatabase
            sentence = f"{path} is a damaged DuckDB database; restore a copy or choose another file name."
        elif full := next((why for words, why in _FULL.items() if words in text), None):
            sentence = f"{path} could not be written: {full}; make room and try again."
        elif "Out of Memory Error" in text:
            kind, sentence = OutOfMemory, f"{path} takes more memory than there is; stop other programs and try again."
        elif "python_arrow_scan does not exist" in text:
            # Two threads that open a file at one moment: the later one may get it before DuckDB has made it ready for
            # Python. Nothing was done, and the next try finds it ready.
            kind, sentence = StoreBusy, f"{path} was being opened by another thread; try again."
        elif "Permission denied" in text or "Read-only file system" in text:
            sentence = f"{path} may not be written by this user; change its permissions or choose another folder."
        raise kind(sentence) from error
