from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.migration.databases import Role, execute
from tests.servers.clients import fresh_database


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database file that does not exist yet."""
    return f"sqlite:///{tmp_path}/breakers.db"


@pytest.fixture
def postgresql_url(postgres_url: str) -> Iterator[str]:
    """A superuser's URL of an empty database."""
    with fresh_database(postgres_url) as (url, _):
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def role(postgres_url: str, postgresql_url: str) -> Iterator[Role]:
    """A role that may log in to the empty database and nothing more; its password is full of URL syntax."""
    name, password = f"cbstore_{secrets.token_hex(6)}", "p%40 %(s)s:/@?#"
    execute(postgresql_url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'".replace("%", "%%"))
    url = sa.make_url(postgresql_url).set(username=name, password=password)
    yield Role(name, password, url.render_as_string(hide_password=False))
    execute(postgresql_url, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")
