"""Mutants of the connections: which connection is used, and what counts as an answer."""

from __future__ import annotations

from tests.system.mutation.selections import (
    BREAKERS,
    CANCELLED_READS,
    DEADLINES,
    FAULTS,
    LEASES,
    LOST,
    MIGRATED,
    NEIGHBOURS,
    OWED,
    POOLED,
    SENT,
)
from tests.system.mutation.text import Broken, Text

_SESSION = "stores/sql/connections/libpq.py"
_TRANSACTION = "stores/sql/connections/transaction.py"
_UNREAD = "stores/sql/connections/unread.py"
_WIRE = "stores/sql/connections/wire.py"
_LEASE = "stores/sql/connections/pool.py"

_CONNECTIONS: tuple[Broken, ...] = (
    ("one the server has ended is used", _LEASE, " and not lease.is_dead()", "", (LEASES, FAULTS)),
    ("one of a pool that is gone is used", _LEASE, "lease.pool is self._engine.pool and ", "", (LEASES, FAULTS)),
    ("a late one is used again", _LEASE, " or isinstance(error, LateError)", "", (DEADLINES, LEASES)),
    (
        "an interrupted one is used again",
        _LEASE,
        "not isinstance(error, Exception) or ",
        "",
        (DEADLINES, LEASES, FAULTS),
    ),
    ("an unsound one is used again", _LEASE, " or not lease.is_sound()", "", (LEASES, FAULTS)),
    (
        "those to a read-only server stay",
        _LEASE,
        "            self._engine.dispose()\n        elif",
        "            pass\n        elif",
        (LEASES, MIGRATED),
    ),
    (
        "those of another pool go back to it",
        _LEASE,
        "            if lease.pool is self._engine.pool:\n",
        "            if True:\n",
        (LEASES,),
    ),
    (
        "what a pooler hands round is prepared all the same",
        _LEASE,
        "            self._preparing.give_up()\n",
        "            pass\n",
        (FAULTS,),
    ),
    (
        "a forked child speaks on its parent's",
        _LEASE,
        "        after_fork_in_child(self._reset_after_fork)\n",
        "",
        (LEASES, FAULTS),
    ),
    (
        "a result is taken for the answer before the commit",
        _WIRE,
        "        if result is None:\n",
        "        if not is_piped and _is_good(result):\n            told = result\n            break\n"
        "        if result is None:\n",
        (LEASES, FAULTS),
    ),
    (
        "an error after a result is no error",
        _WIRE,
        "        if _is_good(told):\n            told = result",
        "        if told is None:\n            told = result",
        (LOST,),
    ),
    ("what was sent counts as not sent", _SESSION, "        self.sent = sent\n", "", (DEADLINES, FAULTS)),
    ("a statement to be pinned is not", _SESSION, "if query.pinned:", "if False:", (LEASES, FAULTS)),
    (
        "a pinned statement that failed is not rolled back",
        _TRANSACTION,
        'yield from _simple(pgconn, b"ROLLBACK")\n        raise',
        "raise",
        (LEASES, FAULTS),
    ),
    (
        "a pinned statement joins the application's transaction",
        _TRANSACTION,
        '        yield from unsent(_simple(pgconn, b"COMMIT"))\n',
        "        pass\n",
        (NEIGHBOURS,),
    ),
    (
        "what psycopg deallocated is taken for a pooler's doing",
        _SESSION,
        "        if not was_prepared:\n",
        "        if True:\n",
        (POOLED,),
    ),
    (
        "the client encoding is asked for once",
        "stores/sql/connections/checkout.py",
        "            session.look_at_encoding()\n",
        "            pass\n",
        (NEIGHBOURS,),
    ),
    (
        "a transaction begun by the application is not ended",
        _TRANSACTION,
        '    yield from _simple(pgconn, b"COMMIT")\n    return rows\n\n\ndef _simple',
        "    return rows\n\n\ndef _simple",
        (LEASES, FAULTS),
    ),
)


_UNREAD_ANSWERS: tuple[Broken, ...] = (
    (
        "the error of a success that was sent reaches nobody",
        _UNREAD,
        "        if self.error is not None and classify(self.error, sent=True) not in _PASSING:\n"
        "            raise NotSentError(self.error)\n",
        "",
        (SENT,),
    ),
    (
        "a lock that a sent success did not get is an error",
        _UNREAD,
        "not in _PASSING",
        "is not None",
        (SENT,),
    ),
    ("a session that owes an answer for too long is used", _UNREAD, "monotonic() > self._late_at", "False", (SENT,)),
    (
        "the read behind a refused success is not read",
        _SESSION,
        "            if is_piped and self.pgconn.status == ConnStatus.OK:\n",
        "            if False:\n",
        (SENT,),
    ),
    ("a count is sent before the success ahead is known", _SESSION, "query.reads and prepare", "prepare", (SENT,)),
    (
        "a statement is sent behind a cancelled read",
        _SESSION,
        "prepare and unread.piped and",
        "prepare and",
        (CANCELLED_READS,),
    ),
    (
        "the answer of a read that was left twice is forgotten",
        _SESSION,
        "            if self._unread is unread:\n                self._unread = None\n",
        "            self._unread = None\n",
        (OWED,),
    ),
    (
        "a cancelled read costs the connection",
        "stores/sql/connections/pool_async.py",
        " and lease.leave_unread()",
        " and False",
        (CANCELLED_READS,),
    ),
    (
        "closing does not wait for a read",
        "runtime/tasks.py",
        "        if loop in self._own:\n",
        "        if False:\n",
        (CANCELLED_READS,),
    ),
    (
        "a probe that was won after the caller left is kept",
        "breaker/store_side_async.py",
        "abandoned=self._release_late)\n\n    async def _call_patiently",
        "abandoned=None)\n\n    async def _call_patiently",
        (BREAKERS,),
    ),
    (
        "the success of a limited policy is sent",
        "breaker/flow.py",
        " and policy.min_reporters == 1",
        "",
        (BREAKERS,),
    ),
    (
        "a success is sent while failures wait in this process",
        "breaker/settling.py",
        " and self._outage.local.is_settled",
        "",
        (BREAKERS,),
    ),
    ("the statement of another permit is sent", "stores/sql/operations.py", "kept[0] == permit and ", "", (SENT,)),
    ("the statement of another policy is sent", "stores/sql/operations.py", " and kept[1] is policy", "", (SENT,)),
)


TEXTS = tuple(
    Text(f"{part}: {name}", path, old, new, tests)
    for part, mutants in (("connection", _CONNECTIONS), ("unread", _UNREAD_ANSWERS))
    for name, path, old, new, tests in mutants
)
