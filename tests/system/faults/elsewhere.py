"""Faults of the list that other test suites cause, and faults that one machine cannot cause."""

from __future__ import annotations

from typing import NamedTuple


class Elsewhere(NamedTuple):
    """A fault that tests of another suite cause.

    Attributes:
        number: The number of the fault.
        made: What the tests do.
        expected: The behaviour that the tests require.
        tests: The node ids of the tests.
    """

    number: int
    made: str
    expected: str
    tests: tuple[str, ...]


ELSEWHERE = (
    Elsewhere(
        11,
        "PgBouncer in transaction mode hands the sessions round",
        "statements are not prepared any more, said once; push says that it is unavailable",
        (
            "tests/stores/sql/test_pooler.py::test_a_store_made_from_a_url_works_behind_a_transaction_pooler",
            "tests/stores/sql/push/test_unavailable.py::test_push_behind_a_transaction_pooler_is_logged_as_unavailable_once_and_polling_continues",
        ),
    ),
    Elsewhere(
        16,
        "the owner of a probe is killed after its claim",
        "the slot is free when the lease runs out",
        ("tests/system/fleet/test_fleet.py::test_the_probe_of_a_killed_owner_is_free_after_the_lease",),
    ),
    Elsewhere(
        17,
        "the owner of a probe is stopped for longer than its lease and goes on",
        "its late report changes nothing",
        ("tests/system/fleet/test_fleet.py::test_an_owner_that_was_stopped_beyond_its_lease_changes_nothing",),
    ),
    Elsewhere(
        18,
        "a stricter default_transaction_isolation",
        "40001 is absorbed, nothing is lost",
        (
            "tests/stores/sql/test_neighbours.py::test_a_stricter_default_isolation_level_loses_no_count",
            "tests/stores/aio/test_neighbours.py::test_a_stricter_default_isolation_level_loses_no_count",
        ),
    ),
    Elsewhere(
        23,
        "fork after the first connection",
        "the child has connections of its own, the parent's live on",
        (
            "tests/stores/sql/connections/test_pool.py::test_a_forked_child_opens_new_connections",
            "tests/stores/sql/push/test_listener.py::test_a_forked_child_starts_a_separate_listener",
        ),
    ),
    Elsewhere(
        24,
        "every await is cancelled",
        "what was begun is carried through, no connection is lost",
        (
            "tests/stores/aio/test_cancellation.py::test_a_cancelled_failure_is_counted_if_it_had_begun",
            "tests/stores/aio/test_cancellation.py::test_the_owner_of_a_cancelled_claim_can_claim_the_probe_again",
            "tests/stores/aio/test_cancellation.py::test_a_cancelled_read_leaves_the_store_usable",
        ),
    ),
    Elsewhere(
        25,
        "upgrades at once; an upgrade behind a reader",
        "all succeed; one that must wait too long gives up",
        (
            "tests/migration/test_parallel.py::test_all_parallel_processes_can_upgrade_postgresql",
            "tests/migration/test_locks.py::test_a_table_that_stays_locked_raises_a_conflict_error",
        ),
    ),
    Elsewhere(
        25,
        "the table is migrated under stores at work",
        "what they prepared before is prepared anew, no caller notices",
        ("tests/migration/test_running_stores.py::test_a_migration_causes_no_error_in_a_running_store",),
    ),
    Elsewhere(
        26,
        "alembic's autogenerate in the application, all schemas included",
        "our table is not dropped",
        ("tests/migration/test_include_name.py::test_on_postgresql_with_all_schemas_the_filter_keeps_our_tables",),
    ),
    Elsewhere(
        27,
        "a role with as few rights as will do",
        "works; one without rights gets an error that says so",
        (
            "tests/migration/test_roles.py::test_the_runtime_role_needs_no_right_to_create",
            "tests/migration/test_roles.py::test_a_role_without_rights_gets_an_error_that_says_so",
        ),
    ),
    Elsewhere(
        28,
        "names with NUL and surrogates, and far too long ones",
        "the same error from every store, nothing written",
        ("tests/stores/contract/test_bad_input.py::test_an_invalid_name_is_refused_by_every_operation",),
    ),
    Elsewhere(
        23,
        "fork while SQLite is at work in other threads, and while a statement does not end",
        "nothing is corrupted or lost; a child that inherited the file does without it and says so once",
        (
            "tests/stores/sql/connections/test_sqlite_fork.py::test_children_write_while_the_parent_s_threads_do",
            "tests/stores/sql/connections/test_sqlite_fork.py::test_a_parent_that_closes_its_store_takes_no_lock_from_its_child",
            "tests/stores/sql/connections/test_sqlite_fork.py::test_a_child_refuses_a_file_whose_statement_could_not_be_ended",
        ),
    ),
    Elsewhere(
        14,
        "thirty threads abandon statements at a locked row, with libpq 15 and 17 and later",
        "at most 15 sessions on the server, none waiting, none left when the process is gone",
        (
            "tests/stores/sql/connections/test_cancel.py::test_abandoned_statements_use_at_most_as_many_sessions_as_the_pool_allows",
            "tests/stores/sql/connections/test_cancel.py::test_no_session_remains_after_the_end_of_the_process",
        ),
    ),
    Elsewhere(
        14,
        "no thread can be started",
        "the slot comes back at once, the server ends the session",
        (
            "tests/stores/sql/connections/test_cancel.py::test_without_a_thread_for_cancelling_the_place_in_the_pool_is_free_at_once",
        ),
    ),
    Elsewhere(
        13,
        "the database is read-only for a long time",
        "the application's pool is emptied once, not with every attempt",
        ("tests/stores/sql/test_restart.py::test_a_read_only_server_empties_an_application_s_pool_once",),
    ),
    Elsewhere(
        29,
        "the SQLite file is deleted or replaced",
        "the new file is opened; a missing one is an error and is not made again",
        (
            "tests/stores/sql/connections/test_sqlite_file.py::test_a_replaced_file_is_opened_again",
            "tests/stores/sql/connections/test_sqlite_file.py::test_a_deleted_file_raises_an_error_and_is_not_created_again",
        ),
    ),
    Elsewhere(
        29,
        "SQLite under threads and processes",
        "every failure is counted",
        (
            "cbstore_sql/testing/conformance/test_races.py::test_racing_failures_are_all_counted_and_one_caller_sees_the_circuit_open",
            "cbstore_sql/testing/conformance/test_processes.py::test_processes_share_one_breaker",
        ),
    ),
)
