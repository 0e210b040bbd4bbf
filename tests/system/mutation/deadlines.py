"""Mutants of deadlines and of the age of the view."""

from __future__ import annotations

from tests.system.mutation.selections import (
    BOUNDED,
    BREAKERS,
    CANCELLED,
    DEADLINES,
    FAULTS,
    FILED,
    FORKED,
    GATE,
    LEASES,
    PROMISED,
    WORKERS,
)
from tests.system.mutation.text import Broken, Text

_WIRE = "stores/sql/connections/drive.py"
_LEASE = "stores/sql/connections/pool.py"
_LEASED = "stores/sql/connections/connection_sqlite.py"
_FORKS = "stores/sql/connections/sqlite_fork.py"

_DEADLINES: tuple[Broken, ...] = (
    ("a statement has none", _WIRE, "(wait(session, remaining(), ", "(wait(session, None, ", (DEADLINES,)),
    (
        "an asynchronous statement has none",
        _WIRE,
        "wait_async(session, remaining(), ",
        "wait_async(session, None, ",
        (DEADLINES,),
    ),
    (
        "an abandoned session gives its slot back at once",
        _LEASE,
        "            slot.clear()\n",
        "            pass\n",
        (CANCELLED,),
    ),
    ("a late statement was never sent", _WIRE, "LateError(sent=session.sent)", "LateError(sent=False)", (DEADLINES,)),
    (
        "a late statement was always sent",
        _WIRE,
        "LateError(sent=session.sent)",
        "LateError(sent=True)",
        (DEADLINES, FAULTS),
    ),
    (
        "a late statement goes on in the server",
        "stores/sql/connections/cancel.py",
        "        if _request_cancel(pgconn, end):\n",
        "        if False:\n",
        (CANCELLED,),
    ),
    (
        "waiting for another's connection has none",
        _LEASE,
        "float(pool.timeout()) if left is None else min(left, pool.timeout())",
        "float(pool.timeout())",
        (DEADLINES, LEASES),
    ),
    (
        "opening a connection has none",
        _LEASE,
        "self._open() if left is None else self._open_within(left, slot)",
        "self._open()",
        (DEADLINES,),
    ),
    (
        "a connection opened too late is lost",
        _LEASE,
        "                opened.add_done_callback(partial(self._keep, slot.pop()))\n",
        "                pass\n",
        (DEADLINES, LEASES, FAULTS),
    ),
    (
        "a connection that opens too late has no slot",
        _LEASE,
        "partial(self._keep, slot.pop())",
        "partial(self._keep, SimpleQueue())",
        (DEADLINES,),
    ),
    (
        "a connection opened too late belongs to a pool that is gone",
        _LEASE,
        "                if lease.pool is self._engine.pool:\n",
        "                if True:\n",
        (DEADLINES, LEASES, FAULTS),
    ),
    (
        "SQLite waits for other writers as ever",
        _LEASED,
        "self._patience if left is None else min(left, self._patience)",
        "self._patience",
        (DEADLINES,),
    ),
    ("a fork waits for SQLite's own wait", _LEASED, " and not self._raw.forks.is_forking", "", (FORKED,)),
    (
        "a connection stays open across a fork",
        _FORKS,
        "            self.is_closed = True\n            self.close()\n",
        "            pass\n",
        (FORKED,),
    ),
    (
        "a connection is opened in the middle of a fork",
        _FORKS,
        "        with self._gate:\n            self.check()",
        "        if True:\n            self.check()",
        (FORKED,),
    ),
    (
        "a child opens a file that its parent has open",
        _FORKS,
        "self._is_inherited or self.file.is_open_here()",
        "False",
        (FORKED,),
    ),
    ("a replaced file is not noticed", _LEASED, " or self._file.identity() != self._opened", "", (FILED,)),
    (
        "a store that keeps none is waited for",
        "stores/timeout.py",
        "work.wait(remaining())",
        "work.wait(None)",
        (BOUNDED,),
    ),
    (
        "an asynchronous store that keeps none is waited for",
        "stores/timeout_async.py",
        "timeout=remaining()",
        "timeout=None",
        (BOUNDED,),
    ),
    (
        "what never began may have been applied",
        "stores/timeout.py",
        "unknown = began and not",
        "unknown = not",
        (BOUNDED,),
    ),
    ("a read may have been applied", "stores/timeout.py", ' and not call.operation.startswith("read")', "", (BOUNDED,)),
    (
        "what nobody waits for is begun",
        "runtime/workers.py",
        "        if not self._taken.acquire(blocking=False):\n            return\n",
        "",
        (BOUNDED,),
    ),
    (
        "work in a thread has none",
        "runtime/workers.py",
        "self._context.run(self._function)",
        "self._function()",
        (BOUNDED,),
    ),
    (
        "a thread that cannot start is an error although others run",
        "runtime/workers.py",
        "if self._threads == 0:",
        "if True:",
        (WORKERS,),
    ),
    (
        "a late answer is dropped",
        "stores/timeout.py",
        "began and not in_time and abandoned is not None",
        "False",
        (BOUNDED,),
    ),
)

_VIEW: tuple[Broken, ...] = (
    (
        "four times the bound",
        "breaker/seen.py",
        "asked_at + max_staleness",
        "asked_at + 4 * max_staleness",
        (PROMISED,),
    ),
    (
        "age counts from the answer",
        "breaker/view.py",
        "Seen(snapshot, asked_at, ",
        "Seen(snapshot, self.clock(), ",
        (GATE, BREAKERS),
    ),
    (
        "a refresh counts from its answer",
        "breaker/refresh.py",
        "self._record_all([snapshots[name] for name in own if name in snapshots], asked_at)",
        "self._record_all([snapshots[name] for name in own if name in snapshots], view.clock())",
        (GATE, BREAKERS),
    ),
)


TEXTS = (
    *(Text(f"deadline: {name}", path, old, new, tests) for name, path, old, new, tests in _DEADLINES),
    *(Text(f"view: {name}", path, old, new, tests) for name, path, old, new, tests in _VIEW),
)
