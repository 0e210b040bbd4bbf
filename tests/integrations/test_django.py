"""Tests with a Django project in a separate process: settings, migrations, checks, middleware, test databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from cbstore_sql import ConfigurationError, SqlStore
from cbstore_sql.integrations.django.config import url_of

ROOT = Path(__file__).parents[2]


class Project:
    """The project over one database.

    Attributes:
        url: The database's URL.
    """

    def __init__(self, url: str, database: dict[str, Any]) -> None:
        self.url = url
        self._database = database

    def run(self, *command: str, **cbstore: Any) -> subprocess.CompletedProcess[str]:
        """Run a module of Python, with the settings for ``CBSTORE``."""
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.integrations.django_project.settings",
            "PROJECT_DATABASE": json.dumps(self._database),
            "PROJECT_CBSTORE": json.dumps(cbstore),
        }
        arguments = [sys.executable, "-m", *command]
        return subprocess.run(arguments, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    def manage(self, *command: str, **cbstore: Any) -> str:
        """Run ``manage.py``; return what it printed."""
        done = self.run("django", *command, **cbstore)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def visit(self, *pages: str, **cbstore: Any) -> list[Any]:
        """Return the status, ``Retry-After`` and body of each page."""
        done = self.run("tests.integrations.django_project.visit", *pages, **cbstore)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def on_sqlite(directory: Path) -> Project:
    file = directory / "project.sqlite3"
    return Project(f"sqlite:///{file}", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)})


@pytest.fixture
def sqlite_project(tmp_path: Path) -> Project:
    return on_sqlite(tmp_path)


@pytest.fixture
def postgres_project(postgres_url: str) -> Iterator[Project]:
    """A project on a separate PostgreSQL database."""
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE django_project"))
    own = url.set(database="django_project")
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": own.database,
        "USER": own.username,
        "PASSWORD": own.password or "",
        "HOST": own.query.get("host") or own.host or "",
        "PORT": own.port or "",
    }
    yield Project(own.render_as_string(hide_password=False), database)
    with engine.connect() as connection:
        connection.execute(sa.text("DROP DATABASE django_project WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest) -> Project:
    found: Project = request.getfixturevalue(f"{request.param}_project".replace("postgresql", "postgres"))
    return found


def test_manage_migrate_makes_the_table_and_the_views_share_it(project: Project) -> None:
    assert "Brought the circuit breakers' table up to date" in project.manage("migrate")
    policy = {"failure_threshold": 2, "recovery_timeout": 30.0}
    first, second, third = project.visit("/rates", "/rates", "/rates", policy=policy)
    assert [first[0], second[0]] == [500, 500]
    assert third == [503, "30", {"detail": "rates is not available", "breaker": "rates", "state": "open"}]
    with SqlStore(project.url) as store:
        assert store.read("rates").failure_count == 2
    assert project.visit("/ready", "/strict") == [[200, None, {"store": "ok"}]] * 2


def test_migrating_twice_changes_nothing(sqlite_project: Project) -> None:
    sqlite_project.manage("migrate")
    sqlite_project.manage("migrate")
    assert sqlite_project.manage("check", "--database", "default").startswith("System check identified no issues")


def test_the_setting_migrate_false_disables_the_migration(sqlite_project: Project) -> None:
    sqlite_project.manage("migrate", migrate=False)
    assert "cbstore.W001" in sqlite_project.manage("check", "--database", "default", migrate=False)


def test_namespace_and_policies_come_from_the_settings(sqlite_project: Project) -> None:
    sqlite_project.manage("migrate")
    settings = {"namespace": "shop", "policies": {"rates": {"failure_threshold": 1}}}
    assert [answer[0] for answer in sqlite_project.visit("/rates", "/rates", **settings)] == [500, 503]
    with SqlStore(sqlite_project.url, namespace="shop") as store:
        assert store.read("rates").failure_count == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"databse": "default"}, "unknown keys: databse"),
        ({"database": "other"}, "which DATABASES does not have"),
        ({"policy": {"failure_treshold": 3}}, "failure_treshold"),
        ({"policies": {"rates": 5}}, "must be a dictionary"),
        ({"policy": {"failure_threshold": 0}}, "failure_threshold"),
    ],
)
def test_manage_check_reports_settings_that_cannot_be_used(
    sqlite_project: Project, settings: dict[str, Any], message: str
) -> None:
    done = sqlite_project.run("django", "check", **settings)
    assert done.returncode == 1
    assert "cbstore.E001" in done.stderr
    assert message in done.stderr


def test_views_work_and_readiness_reports_an_unavailable_database(tmp_path: Path) -> None:
    gone = Project("", {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "127.0.0.1", "PORT": "1"})
    answers = gone.visit("/rates", "/ready", "/strict")
    assert [answer[0] for answer in answers] == [500, 200, 503]
    assert answers[1][2] == {"store": "unavailable"}


@pytest.mark.parametrize(
    ("database", "url"),
    [
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "/data/db.sqlite3"}, "sqlite:////data/db.sqlite3"),
        (
            {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "app", "PASSWORD": "p@ss/word"},
            "postgresql+psycopg://app:p%40ss%2Fword@/shop",
        ),
        (
            {
                "ENGINE": "django.contrib.gis.db.backends.postgis",
                "NAME": "shop",
                "HOST": "db",
                "PORT": "5433",
                "OPTIONS": {"sslmode": "require", "pool": True},
            },
            "postgresql+psycopg://db:5433/shop?sslmode=require",
        ),
        (
            {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "/run/postgresql"},
            "postgresql+psycopg:///shop?host=%2Frun%2Fpostgresql",
        ),
    ],
)
def test_an_entry_of_databases_becomes_a_url(database: dict[str, Any], url: str) -> None:
    assert url_of(database).render_as_string(hide_password=False) == url


def test_another_database_engine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="PostgreSQL or SQLite"):
        url_of({"ENGINE": "django.db.backends.mysql", "NAME": "shop"})


@pytest.mark.parametrize("actions", [False, True])
def test_the_panel_admits_only_staff_and_acts_only_with_panel_actions(sqlite_project: Project, actions: bool) -> None:
    sqlite_project.manage("migrate")
    done = sqlite_project.run("tests.integrations.django_project.panel_visits", panel_actions=actions)
    assert done.returncode == 0, done.stderr
    *answers, override = [json.loads(line) for line in done.stdout.splitlines()]
    stranger, listed, page, asset, other_site, acted = answers
    assert stranger[0] == 302
    assert "login" in stranger[1]
    assert listed == [200, None, True]
    assert page == [200, None, True]
    assert asset[0] == 200
    assert other_site[0] == 403
    if actions:
        assert (acted[0], override) == (303, ["closed", "ada", "the service is back"])
    else:
        assert (acted[0], override) == (403, ["", "", ""])
