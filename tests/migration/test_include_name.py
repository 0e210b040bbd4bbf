"""Tests of autogenerate in an application's alembic environment, with the breaker tables in the same database."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from cbstore_sql import migrate
from cbstore_sql.migration import ignore_breakers, include_name
from tests.migration.databases import execute

APPLICATION_ENV = """
import sqlalchemy as sa
from alembic import context

metadata = sa.MetaData()
sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))

attributes = context.config.attributes
with sa.create_engine(attributes["url"], poolclass=sa.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, **attributes["options"])
    with context.begin_transaction():
        context.run_migrations()
"""


def proposed(folder: Path, url: str, **options: Any) -> str:
    """Return the upgrade that autogenerate writes for an application with only a table ``orders``."""
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(APPLICATION_ENV)
    config = Config()
    shutil.copy(Path(config.get_template_directory()) / "generic/script.py.mako", folder)
    config.set_main_option("script_location", str(folder))
    config.attributes.update(url=url, options=options)
    script: Any = command.revision(config, autogenerate=True)
    text, _, _ = Path(script.path).read_text().partition("def downgrade")
    assert "create_table('orders'" in text, "the application's own table is never hidden"
    return text


def drops(text: str, *, schema: str | None = None) -> set[str]:
    """Return which of the library's tables the proposed upgrade drops."""
    place = f", schema='{schema}'" if schema else ""
    return {name for name in ("breakers", "cbstore_version") if f"drop_table('{name}'{place})" in text}


OURS = {"breakers", "cbstore_version"}


def test_on_sqlite_the_filter_keeps_our_tables(sqlite_url: str, tmp_path: Path) -> None:
    migrate(sqlite_url)
    assert drops(proposed(tmp_path / "without", sqlite_url)) == OURS
    assert drops(proposed(tmp_path / "with", sqlite_url, include_name=include_name)) == set()
    assert drops(proposed(tmp_path / "own", sqlite_url, include_name=ignore_breakers(None))) == set()


def test_on_postgresql_autogenerate_ignores_the_schema_of_the_breakers(postgresql_url: str, tmp_path: Path) -> None:
    migrate(postgresql_url)
    assert "drop_table" not in proposed(tmp_path / "without", postgresql_url)
    assert "drop_table" not in proposed(tmp_path / "with", postgresql_url, include_name=include_name)


def test_on_postgresql_with_all_schemas_the_filter_keeps_our_tables(postgresql_url: str, tmp_path: Path) -> None:
    migrate(postgresql_url)
    without = proposed(tmp_path / "without", postgresql_url, include_schemas=True)
    assert drops(without, schema="cbstore") == OURS
    assert "drop_table" not in proposed(
        tmp_path / "with", postgresql_url, include_schemas=True, include_name=include_name
    )


@pytest.mark.parametrize(("schema", "seen_as"), [("team_a", "team_a"), ("public", None)])
def test_ignore_breakers_keeps_tables_with_other_names(
    postgresql_url: str, tmp_path: Path, schema: str, seen_as: str | None
) -> None:
    migrate(postgresql_url, schema=schema, version_table="our_version")
    without = proposed(tmp_path / "without", postgresql_url, include_schemas=True)
    assert "drop_table('breakers'" in without
    assert "drop_table('our_version'" in without
    keep = ignore_breakers(seen_as, "our_version")
    assert "drop_table" not in proposed(tmp_path / "with", postgresql_url, include_schemas=True, include_name=keep)


def test_the_filter_does_not_hide_an_application_s_table_with_the_same_name(
    postgresql_url: str, tmp_path: Path
) -> None:
    migrate(postgresql_url)
    execute(postgresql_url, "CREATE TABLE breakers (id INTEGER)", "CREATE TABLE cbstore.theirs (id INTEGER)")
    text = proposed(tmp_path, postgresql_url, include_schemas=True, include_name=ignore_breakers())
    assert text.count("drop_table(") == 2
    assert "drop_table('breakers')" in text
    assert "drop_table('theirs', schema='cbstore')" in text
