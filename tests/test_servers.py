"""Tests of the fixtures: the servers have the properties that the other tests need."""

from __future__ import annotations

import pytest
import redis
import sqlalchemy as sa


def test_postgres_url_names_a_database_of_this_run_and_a_superuser(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        name, superuser, encoding = connection.exec_driver_sql(
            "SELECT current_database(), rolsuper, getdatabaseencoding() FROM pg_roles WHERE rolname = current_user"
        ).one()
    assert name.startswith("cbstore_test_")
    assert superuser
    assert encoding == "UTF8"


def test_redis_runs_scripts(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.eval("return 7", 0) == 7


@pytest.mark.parametrize("command", ["EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "SCRIPT LOAD", "FCALL"])
def test_the_redis_without_scripting_refuses_every_script_command(scriptless_redis_url: str, command: str) -> None:
    with redis.Redis.from_url(scriptless_redis_url) as client:
        with pytest.raises(redis.ResponseError, match="unknown command"):
            client.execute_command(*command.split(), "return 7", "0")
        assert client.set("works", "otherwise")
