"""Importing: what a program waits for that only wants the names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from statistics import median

from benchmarks.bench import Bench
from benchmarks.results import NAME, Section, Table, at_most

_STATEMENTS: Mapping[str, str] = {
    "cbstore_sql": "import cbstore_sql",
    "cbstore_sql, with SqlStore": "from cbstore_sql import SqlStore",
    "cbstore_sql, with RedisStore": "from cbstore_sql import RedisStore",
    "pybreaker": "import pybreaker",
    "purgatory": "import purgatory",
    "resilient-circuit": "import resilient_circuit",
    "redis": "import redis",
    "sqlalchemy": "import sqlalchemy",
}
_HEAVY = ("sqlalchemy", "redis")
_SCRIPT = """import json, sys, time
before = time.perf_counter()
{statement}
print(json.dumps([1000 * (time.perf_counter() - before), [name for name in {heavy} if name in sys.modules]]))"""

_MEDIAN, _LEAST, _LOADED = "median ms", "least ms", "loaded with it"
_OURS = "cbstore_sql"


def run(bench: Bench) -> Section:
    """Import each package in a new interpreter, in turns."""
    times: dict[str, list[float]] = {name: [] for name in _STATEMENTS}
    loaded: dict[str, list[str]] = {}
    for statement in _STATEMENTS.values():
        # The first time compiles what was never imported before.
        _import(statement)
    for _ in range(bench.sizes.starts):
        for name, statement in _STATEMENTS.items():
            milliseconds, loaded[name] = _import(statement)
            times[name].append(milliseconds)
    rows = tuple((name, median(each), min(each), ", ".join(loaded[name])) for name, each in times.items())
    table = Table("Importing, beyond Python itself", (NAME, _MEDIAN, _LEAST, _LOADED), rows)
    return Section(
        "Importing",
        (table,),
        (
            at_most("import cbstore_sql", table.number(_OURS, _MEDIAN), 50, "ms"),
            at_most("SQLAlchemy and redis loaded by import cbstore_sql", len(loaded[_OURS]), 0),
        ),
    )


def _import(statement: str) -> tuple[float, list[str]]:
    script = _SCRIPT.format(statement=statement, heavy=_HEAVY)
    compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run([sys.executable, "-c", script], env=compiled, capture_output=True, text=True, check=True)
    milliseconds, loaded = json.loads(done.stdout)
    return milliseconds, loaded
