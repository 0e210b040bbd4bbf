"""Which tests notice what."""

from __future__ import annotations

from tests.mutation.mutant import Selection

TABLES: Selection = ("tests/unit/rules",)
GOLDEN: Selection = ("tests/sql/test_statements.py", "tests/redis/test_lua_mirrors_rules.py")

GATE: Selection = ("tests/unit/test_gate.py", "tests/unit/test_gate_without_store.py")
OUT: Selection = ("tests/breaker/test_local_outage.py", "tests/breaker/test_store_outage.py")
BREAKERS: Selection = ("tests/breaker", "-k", "not later_than_the_bound")
HOOKED: Selection = (
    "tests/llm/test_store_outage.py",
    "tests/llm/test_probe_of_a_call.py",
    "tests/llm/test_by_hand.py",
    "tests/metrics/test_logs.py",
    "tests/metrics/test_recorders.py",
    "tests/metrics/test_call_finished.py",
)
PROMISED: Selection = ("tests/breaker/test_view_over_a_store.py",)
BOUNDED: Selection = ("tests/breaker/test_store_timeout.py",)

RETRIES: Selection = ("tests/sql/test_retries.py",)
_ALONE = "not async and not processes and not model and not races"
UPSERT: Selection = ("tests/sql/test_upsert.py",)
STORES: Selection = ("tests/contract", "-k", f"sql and {_ALONE}")
SQLITE: Selection = ("tests/contract", "-k", f"sqlite and {_ALONE}")
MEMORY: Selection = ("tests/contract", "-k", f"memory and {_ALONE}")
RACES: Selection = ("tests/contract/test_races.py", "tests/linearizability/test_backends.py", "-k", "postgresql")
CLOCK: Selection = ("tests/sql/test_clock.py",)
LOST: Selection = ("tests/linearizability/test_lost_replies.py",)
DEADLINES: Selection = ("tests/sql/test_deadline.py",)
LEASES: Selection = ("tests/sql/test_lease.py", "tests/sql/test_restart.py", "tests/sql/test_configuration.py")
MIGRATED: Selection = ("tests/migrations/test_running_stores.py",)
FAULTS: Selection = ("tests/faults", "tests/sql", "-k", "not proxy and not table")

MIRROR: Selection = ("tests/redis/test_lua_mirrors_rules.py",)
HASHES: Selection = ("tests/redis", "-k", "not no-scripting and not scriptless")
REDIS: Selection = ("tests/contract", "-k", f"redis and {_ALONE}")
