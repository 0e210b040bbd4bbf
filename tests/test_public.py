"""The public names: listed, importable with and without the extras, and typed with public types."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pydoc
import subprocess
import sys
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import cbstore_sql
from cbstore_sql import MissingExtraError
from tests.test_architecture import NAMES

PUBLIC_MODULES = {
    "cbstore_sql",
    "cbstore_sql.breaker",
    "cbstore_sql.cli",
    "cbstore_sql.deadline",
    "cbstore_sql.errors",
    "cbstore_sql.events",
    "cbstore_sql.llm",
    "cbstore_sql.llm.massgen",
    "cbstore_sql.metrics",
    "cbstore_sql.migration",
    "cbstore_sql.migration.within",
    "cbstore_sql.stores",
    "cbstore_sql.stores.redis",
    "cbstore_sql.stores.sql",
}

# Each of their modules is public unless its name begins with an underscore.
OPTIONAL = ("cbstore_sql.integrations", "cbstore_sql.testing", "cbstore_sql.panel")

INTEGRATIONS = (
    "aiohttp",
    "celery",
    "circuitbreaker",
    "django",
    "flask",
    "httpx",
    "httpx2",
    "pybreaker",
    "requests",
    "starlette",
)

EXTRAS = ("redis", "aiosqlite", "rich", "prometheus_client", "opentelemetry", *INTEGRATIONS)

USES = {
    "import cbstore_sql; cbstore_sql.make_store('redis://localhost')": ("a redis URL", "redis"),
    "import cbstore_sql; cbstore_sql.make_store('redis', redis_client=1)": ("a redis store", "redis"),
    "import cbstore_sql; cbstore_sql.AsyncSqlStore('sqlite:///b.db')": ("AsyncSqlStore on SQLite", "aiosqlite"),
    "from cbstore_sql.integrations.django import get_breaker; get_breaker()": (
        "cbstore_sql.integrations.django",
        "django",
    ),
    **{
        f"import cbstore_sql.integrations.{name}": (f"cbstore_sql.integrations.{name}", name)
        for name in INTEGRATIONS
        if name != "django"
    },
}

WITHOUT_EXTRAS = f"""
import sys

class Missing:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Missing())
"""


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_EXTRAS + code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_dir_lists_every_public_name() -> None:
    assert set(cbstore_sql.__all__) <= set(dir(cbstore_sql))
    assert {name for name in dir(cbstore_sql) if name.startswith("_") and not name.startswith("__")} == set()


def test_the_package_docstring_names_every_public_name() -> None:
    assert [name for name in cbstore_sql.__all__ if f"`{name}`" not in str(cbstore_sql.__doc__)] == []


def test_help_shows_every_public_name() -> None:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        pydoc.Helper(output=shown).help(cbstore_sql)
    assert [name for name in cbstore_sql.__all__ if name not in shown.getvalue()] == []


def test_every_lazy_name_is_public() -> None:
    assert set(cbstore_sql._LAZY) <= set(cbstore_sql.__all__)
    assert set(cbstore_sql._EXTRAS) <= set(cbstore_sql._LAZY)


def test_star_import_gives_every_public_name() -> None:
    names: dict[str, Any] = {}
    exec("from cbstore_sql import *", names)  # noqa: S102 - a star import must be at module level
    assert set(cbstore_sql.__all__) <= set(names)


def test_star_import_and_help_work_without_extras() -> None:
    done = run_without_extras(
        "from cbstore_sql import *\nimport cbstore_sql, pydoc\npydoc.render_doc(cbstore_sql)\n"
        "SqlStore, CircuitBreakerMetrics, LLMCircuitBreaker\nprint('RedisStore' in globals())"
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("name", ["RedisStore", "AsyncRedisStore"])
def test_a_name_whose_extra_is_missing_raises_an_error_that_names_the_extra(name: str) -> None:
    done = run_without_extras(f"from cbstore_sql import {name}")
    message = f"MissingExtraError: {name} needs the extra: pip install 'cbstore_sql[redis]'\n"
    assert done.stderr.endswith(message)
    assert issubclass(MissingExtraError, ImportError)


@pytest.mark.parametrize(("use", "needs"), USES.items(), ids=str)
def test_every_feature_whose_extra_is_missing_raises_the_same_error(use: str, needs: tuple[str, str]) -> None:
    what, extra = needs
    done = run_without_extras(use)
    assert done.stderr.endswith(f"MissingExtraError: {what} needs the extra: pip install 'cbstore_sql[{extra}]'\n")


def test_unknown_names_raise_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Breaker'"):
        _ = cbstore_sql.Breaker


def test_public_modules_define_all_and_no_other_module_does() -> None:
    own = {name for name in NAMES if not name.startswith(OPTIONAL)}
    assert {name for name in own if "\n__all__ = " in NAMES[name].read_text(encoding="utf-8")} == PUBLIC_MODULES


def public_objects() -> dict[str, Any]:
    modules = [importlib.import_module(name) for name in sorted(PUBLIC_MODULES)]
    return {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in module.__all__}


def signatures() -> Iterator[Any]:
    """Each public function, and each public method of a public class."""
    for name, value in public_objects().items():
        if inspect.isfunction(value):
            yield pytest.param(value, id=name)
        elif inspect.isclass(value):
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if not method.startswith("_") or (method == "__init__" and value not in MADE_BY_A_BREAKER):
                    yield pytest.param(function, id=f"{name}.{method}")


MADE_BY_A_BREAKER = {
    cbstore_sql.breaker.Guard,
    cbstore_sql.breaker.AsyncGuard,
    importlib.import_module("cbstore_sql.llm").GuardedStream,
    importlib.import_module("cbstore_sql.llm").AsyncGuardedStream,
}


def types_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from types_in(inner)


def hints(function: Any) -> dict[str, Any]:
    """Return the types of a signature; a type that only type checkers import counts as `object`."""
    names = {**vars(typing), **vars(importlib.import_module("collections.abc"))}
    while True:
        try:
            return typing.get_type_hints(function, localns=names)
        except NameError as unknown:
            names[str(unknown.name)] = object


@pytest.mark.parametrize("function", list(signatures()))
def test_public_signatures_use_only_public_types(function: Any) -> None:
    public = [value for value in public_objects().values() if inspect.isclass(value)]
    used = {found for hint in hints(function).values() for found in types_in(hint)}
    assert [kind for kind in used if kind.__module__.startswith("cbstore_sql") and kind not in public] == []
