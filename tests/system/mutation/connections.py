"""Mutants of the connections: which connection is used, and what counts as an answer."""

from __future__ import annotations

from tests.system.mutation.selections import DEADLINES, FAULTS, LEASES, LOST, MIGRATED, NEIGHBOURS, POOLED
from tests.system.mutation.text import Broken, Text

_SESSION = "stores/sql/connections/libpq.py"
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
        "        if result is None:\n            break\n",
        "        if result is None or _is_good(result):\n            told = result\n            break\n",
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
        _SESSION,
        "yield from self._simple(ROLLBACK)",
        "yield from ()",
        (LEASES, FAULTS),
    ),
    (
        "a pinned statement joins the application's transaction",
        _SESSION,
        "            yield from unsent(self._simple(COMMIT))\n",
        "            pass\n",
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
        _SESSION,
        "        yield from self._simple(COMMIT)\n        return rows\n\n    def _prepare",
        "        return rows\n\n    def _prepare",
        (LEASES, FAULTS),
    ),
)


TEXTS = tuple(Text(f"connection: {name}", path, old, new, tests) for name, path, old, new, tests in _CONNECTIONS)
