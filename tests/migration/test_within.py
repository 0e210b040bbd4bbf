"""Tests of the library's migrations inside an application's alembic history."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from cbstore_sql import SqlStore, migrate
from cbstore_sql.migration import migration_sql
from cbstore_sql.migration.runner import Target
from cbstore_sql.migration.state import table_state
from cbstore_sql.migration.within import upgrade_within
from tests.migration.databases import described, execute, table_names

ENV = """
import sqlalchemy as sa
from alembic import context
from cbstore_sql.migration import include_name

metadata = sa.MetaData()
sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))
sa.Table("shipments", metadata, sa.Column("id", sa.Integer, primary_key=True))
url = context.config.attributes["url"]
options = {"target_metadata": metadata, "include_name": include_name, "include_schemas": url.startswith("postgresql")}
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
"""

REVISION = """
import sqlalchemy as sa
from alembic import op
from cbstore_sql.migration import migration_sql
from cbstore_sql.migration.within import downgrade_within, upgrade_within

revision = "{revision}"
down_revision = {down_revision!r}
depends_on = {depends_on!r}

def upgrade():
{upgrade}

def downgrade():
{downgrade}
"""

ORDERS = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'
SHIPMENTS = 'op.create_table("shipments", sa.Column("id", sa.Integer, primary_key=True))'


def history(folder: Path, url: str, *bodies: tuple[list[str], list[str]], depends_on: Any = None) -> Config:
    """Make an application's alembic environment whose revisions run the given code."""
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    before = None
    for number, (up, down) in enumerate(bodies, start=1):
        revision = f"app{number}"
        text = REVISION.format(
            revision=revision,
            down_revision=before,
            depends_on=depends_on if number == 1 else None,
            upgrade="\n".join(f"    {line}" for line in up),
            downgrade="\n".join(f"    {line}" for line in down),
        )
        (folder / "versions" / f"{revision}.py").write_text(text)
        before = revision
    config = Config(output_buffer=io.StringIO())
    config.set_main_option("script_location", str(folder))
    config.attributes["url"] = url
    return config


UP = [ORDERS, 'upgrade_within(op, "0003")', SHIPMENTS]
DOWN = ['op.drop_table("shipments")', 'downgrade_within(op, "base")', 'op.drop_table("orders")']


def all_tables(url: str) -> set[str]:
    """Return the names of all tables, of the application and of the library."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    return {*sa.inspect(engine).get_table_names()} | table_names(url)


def works(url: str) -> bool:
    with SqlStore(url) as store:
        return store.record_failure("b") is not None


def test_upgrade_within_creates_the_same_table_as_migrate(empty_url: str, tmp_path: Path) -> None:
    config = history(tmp_path / "app", empty_url, (UP, DOWN))
    command.upgrade(config, "head")
    made = described(empty_url)
    assert works(empty_url)
    assert table_state(Target(empty_url)).is_current
    command.check(config)
    migrate(empty_url)
    assert described(empty_url) == made, "there was nothing left to do"
    command.downgrade(config, "base")
    assert not {"orders", "shipments", "breakers"} & all_tables(empty_url)
    command.upgrade(config, "head")
    assert works(empty_url)


def test_each_revision_can_have_a_separate_place_in_the_application_s_history(empty_url: str, tmp_path: Path) -> None:
    config = history(
        tmp_path / "app",
        empty_url,
        ([ORDERS, 'upgrade_within(op, "0001")'], ["pass"]),
        (['upgrade_within(op, "0003")', SHIPMENTS], ['downgrade_within(op, "0001")', 'op.drop_table("shipments")']),
    )
    command.upgrade(config, "app1")
    assert table_state(Target(empty_url)).current == "0001"
    command.upgrade(config, "head")
    assert works(empty_url)
    command.downgrade(config, "app1")
    assert table_state(Target(empty_url)).current == "0001"


def test_a_revision_that_fails_later_rolls_back_the_breaker_table(postgresql_url: str, tmp_path: Path) -> None:
    config = history(tmp_path / "app", postgresql_url, ([*UP, 'raise RuntimeError("later")'], ["pass"]))
    with pytest.raises(RuntimeError, match="later"):
        command.upgrade(config, "head")
    assert not {"orders", "breakers"} & all_tables(postgresql_url)


def test_printed_sql_creates_the_breaker_table_in_one_transaction(postgresql_url: str, tmp_path: Path) -> None:
    config = history(tmp_path / "app", postgresql_url, (UP, DOWN))
    command.upgrade(config, "head", sql=True)
    script: Any = config.output_buffer
    text = script.getvalue()
    assert text.count("BEGIN;") == text.count("COMMIT;") == 1
    execute(postgresql_url, text.replace("%", "%%"))
    assert works(postgresql_url)
    assert table_state(Target(postgresql_url)).is_current
    script.truncate(script.seek(0))
    command.downgrade(config, "head:base", sql=True)
    execute(postgresql_url, script.getvalue().replace("%", "%%"))
    assert not {"orders", "breakers"} & all_tables(postgresql_url)


def test_the_script_of_migration_sql_can_be_executed_in_a_revision(postgresql_url: str, tmp_path: Path) -> None:
    body = [ORDERS, 'op.execute(migration_sql("postgresql", transaction=False))', SHIPMENTS]
    config = history(tmp_path / "app", postgresql_url, (body, ["pass"]))
    command.upgrade(config, "head")
    assert works(postgresql_url)
    command.check(config)
    text = migration_sql("postgresql", transaction=False)
    assert "BEGIN" not in text
    assert "COMMIT" not in text


def test_a_given_schema_and_version_table_are_used_everywhere(postgresql_url: str, tmp_path: Path) -> None:
    names = 'schema="team_a", version_table="team_a_version"'
    config = history(
        tmp_path / "app",
        postgresql_url,
        ([f'upgrade_within(op, "head", {names})'], [f'downgrade_within(op, "base", {names})']),
    )
    command.upgrade(config, "head")
    with SqlStore(postgresql_url, schema="team_a") as store:
        store.record_failure("b")
    assert table_state(Target(postgresql_url, "team_a", "team_a_version")).is_current
    command.downgrade(config, "base")


def test_alembic_can_use_the_library_s_revisions_through_version_locations(empty_url: str, tmp_path: Path) -> None:
    ours = Path(__file__).parents[2] / "migrations/versions"
    config = history(tmp_path / "app", empty_url, ([ORDERS, SHIPMENTS], ["pass"]), depends_on="0003")
    config.set_main_option("version_locations", f"{tmp_path / 'app/versions'} {ours}")
    config.set_main_option("path_separator", "space")
    config.set_main_option("version_path_separator", "space")
    command.upgrade(config, "heads")
    assert works(empty_url)
    assert {"orders", "shipments"} <= all_tables(empty_url)
    command.check(config)
    made = described(empty_url)
    other = empty_url.replace("breakers.db", "other.db")
    if other != empty_url:
        migrate(other)
        assert described(other) == made
    command.downgrade(config, "cbstore@base")
    assert "breakers" not in all_tables(empty_url)


def test_upgrade_within_works_on_a_connection_without_an_alembic_environment(sqlite_url: str) -> None:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    engine = sa.create_engine(sqlite_url)
    with engine.begin() as connection:
        upgrade_within(Operations(MigrationContext.configure(connection)), "head")
    assert works(sqlite_url)
    engine.dispose()
