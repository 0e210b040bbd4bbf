"""Which tests detect which mutants."""

from __future__ import annotations

from tests.system.mutation.mutant import Selection

TABLES: Selection = ("tests/core/rules",)
GOLDEN: Selection = ("tests/stores/sql/statements/test_build.py", "tests/stores/redis/test_lua_mirrors_rules.py")

GATE: Selection = (
    "tests/breaker/test_controller.py",
    "tests/breaker/test_controller_without_store.py",
    "tests/breaker/test_refresh.py",
    "tests/breaker/test_notifier.py",
)
OUT: Selection = ("tests/breaker/outage/test_local_outage.py", "tests/breaker/outage/test_store_outage.py")
BREAKERS: Selection = ("tests/breaker", "-k", "not until_the_bound_after_another")
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
WORKERS: Selection = ("tests/runtime/test_workers.py",)

RETRIES: Selection = ("tests/stores/sql/test_retry.py",)
_ALONE = "not async and not processes and not model and not races"
UPSERT: Selection = ("tests/stores/sql/test_upsert.py",)
STORES: Selection = ("tests/stores/contract", "-k", f"sql and {_ALONE}")
SQLITE: Selection = ("tests/stores/contract", "-k", f"sqlite and {_ALONE}")
MEMORY: Selection = ("tests/stores/contract", "-k", f"memory and {_ALONE}")
RACES: Selection = (
    "tests/stores/contract/test_races.py",
    "tests/system/linearizability/test_backends.py",
    "-k",
    "postgresql",
)
CLOCK: Selection = ("tests/stores/sql/test_clock.py",)
LOST: Selection = ("tests/system/linearizability/test_lost_replies.py",)
DEADLINES: Selection = ("tests/stores/sql/test_deadline.py",)
LEASES: Selection = (
    "tests/stores/sql/connections/test_pool.py",
    "tests/stores/sql/test_restart.py",
    "tests/stores/sql/test_configuration.py",
)
FORKED: Selection = ("tests/stores/sql/connections/test_sqlite_fork.py",)
FILED: Selection = ("tests/stores/sql/connections/test_sqlite_file.py",)
CANCELLED: Selection = ("tests/stores/sql/connections/test_cancel.py",)
CANCELLED_READS: Selection = ("tests/stores/aio/test_cancelled_reads.py", "tests/stores/aio/test_cancellation.py")
OWED: Selection = ("tests/stores/sql/connections/test_unread.py",)
SENT: Selection = ("tests/stores/sql/test_sent_success.py",)
NEIGHBOURS: Selection = ("tests/stores/sql/test_neighbours.py",)
POOLED: Selection = ("tests/stores/sql/test_pooler.py",)
MIGRATED: Selection = ("tests/migration/test_running_stores.py",)
FAULTS: Selection = ("tests/system/faults", "tests/stores/sql", "-k", "not proxy and not table")

MIRROR: Selection = ("tests/stores/redis/test_lua_mirrors_rules.py",)
HASHES: Selection = ("tests/stores/redis", "-k", "not no-scripting and not scriptless")
REDIS: Selection = ("tests/stores/contract", "-k", f"redis and {_ALONE}")
