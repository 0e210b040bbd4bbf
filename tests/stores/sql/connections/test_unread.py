"""A session that owes answers: of a statement that was sent, and of a read behind it that was left."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from cbstore_sql.deadline import within
from cbstore_sql.stores.sql.connections.drive import drive
from cbstore_sql.stores.sql.connections.libpq import PgSession
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.statements.statement import INTEGER, Statement
from tests.waiting import PATIENCE, eventually

LOCKED = Statement("SELECT $1 FROM (SELECT pg_advisory_xact_lock($1)) AS locked", [("number", INTEGER)], [INTEGER])
WAITS = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"


@pytest.fixture
def connect(postgres_url: str) -> Iterator[Callable[[], psycopg.Connection]]:
    opened: list[psycopg.Connection] = []

    def connect() -> psycopg.Connection:
        opened.append(psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def locks(number: int) -> Query:
    """A statement that waits until no other session has an advisory lock, and returns the number of the lock."""
    return Query(LOCKED, {"number": number}, reads=True)


def test_a_session_owes_the_answer_of_a_read_that_was_left_behind_another_answer(
    connect: Callable[[], psycopg.Connection],
) -> None:
    holder, session = connect(), PgSession(connect(), 0)
    assert drive(session, session.steps(locks(1), prepare=True)) == [(1,)]
    holder.execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
    assert session.send(locks(1))
    reading = session.steps(locks(2), prepare=True)
    next(reading)
    assert session.leave_unread(reading)
    holder.execute("SELECT pg_advisory_unlock(1)")
    assert eventually(lambda: holder.execute(WAITS, [2]).fetchone() is not None)
    assert not session.is_dead()  # it has read the first answer now
    holder.execute("SELECT pg_advisory_unlock(2)")
    with within(PATIENCE):
        assert drive(session, session.steps(locks(3), prepare=True)) == [(3,)]
    assert not session.is_busy()


def test_the_session_reads_the_answers_of_a_pipeline_in_their_order(connect: Callable[[], psycopg.Connection]) -> None:
    session = PgSession(connect(), 0)
    assert drive(session, session.steps(locks(1), prepare=True)) == [(1,)]
    for number in range(2, 50):
        assert session.send(locks(0))
        assert drive(session, session.steps(locks(number), prepare=True)) == [(number,)]
