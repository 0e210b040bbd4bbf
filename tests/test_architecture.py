"""Tests of the borders between modules, by reading the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cbstore_sql
from cbstore_sql.core import rules

PACKAGE = Path(cbstore_sql.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Which package may import which library. All other packages import none of them.
HOMES = {
    "sqlalchemy": ("stores/sql/", "migration", "migrations/", "cli/", "integrations/django/"),
    # For the names of libpq's codes, in modules that are imported only for PostgreSQL.
    "psycopg": tuple(
        f"stores/sql/connections/{name}"
        for name in ("libpq", "wire", "pipeline", "transaction", "cancel", "pg_options")
    ),
    "alembic": ("migration", "migrations/"),
    "redis": ("stores/redis/",),
    "rich": ("cli/",),
    "prometheus_client": ("metrics/", "cli/exporter"),
    "opentelemetry": ("metrics/",),
    **dict.fromkeys(
        (
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
        ),
        ("integrations/",),
    ),
}

# A module imports from its own layer and from those below it in this list, never from one above.
LAYERS = (
    {"errors"},
    {"extras"},
    {"deadline", "runtime"},
    {"core"},
    {"events"},
    {"stores"},
    {"breaker"},
    {"llm", "metrics", "migration", "panel", "replay"},
    {"integrations"},
    {"__init__"},
    {"testing"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

BANNED = (
    ast.BoolOp,
    ast.If,
    ast.IfExp,
    ast.While,
    ast.For,
    ast.Match,
    ast.Assert,
    ast.Not,
    ast.Invert,
    ast.In,
    ast.NotIn,
)


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def rule_functions() -> list[ast.FunctionDef]:
    tree = ast.parse(Path(rules.__file__).read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("function", rule_functions(), ids=lambda function: function.name)
def test_rules_use_only_syntax_with_the_same_meaning_in_sql(function: ast.FunctionDef) -> None:
    for node in ast.walk(function):
        assert not isinstance(node, BANNED), f"{ast.unparse(node)!r} in {function.name}"
        if isinstance(node, ast.Compare):
            assert len(node.ops) == 1, f"chained comparison {ast.unparse(node)!r} in {function.name}"


def test_every_rule_is_an_operation_with_the_same_name() -> None:
    public = {function.name for function in rule_functions() if not function.name.startswith("_")}
    assert public == set(rules.OPERATIONS)
    for name, operation in rules.OPERATIONS.items():
        assert operation.rule.__name__ == name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_backend_library_is_imported_only_in_its_package(path: Path) -> None:
    place = str(path.relative_to(PACKAGE))
    for module in imported_modules(path):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or place.startswith(homes), f"{module} in {place}"


def dotted(path: Path) -> str:
    return ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


NAMES = {dotted(path): path for path in MODULES}


def imports(path: Path) -> list[tuple[str, int]]:
    """Return the modules of the package that a module imports, with the line; a type checker's imports count too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.append((whole if whole in NAMES else str(node.module), node.lineno))
    return found


def layer(module: str) -> str:
    return [*module.split("."), "__init__"][1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_layer_or_below(path: Path) -> None:
    own = RANK[layer(dotted(path))]
    assert [f"{path.name}:{line} imports {name}" for name, line in imports(path) if RANK[layer(name)] > own] == []


def test_layers_of_the_same_rank_do_not_import_each_other() -> None:
    for name, path in NAMES.items():
        for other, line in imports(path):
            if RANK[layer(name)] == RANK[layer(other)]:
                assert layer(name) == layer(other), f"{name}:{line} imports {other}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: {other for other, _ in imports(path)} - {name} for name, path in NAMES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_package_root_has_few_modules() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 8


@pytest.mark.parametrize("statement", ["import cbstore_sql", "from cbstore_sql import InMemoryStore, make_store"])
def test_importing_the_package_loads_no_backend(statement: str) -> None:
    heavy = [*HOMES, "asyncio"]
    code = f"{statement}\nimport sys\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_importable() -> None:
    for name in cbstore_sql.__all__:
        assert getattr(cbstore_sql, name) is not None


PACKAGES = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_docstring_lists_its_modules(package: Path) -> None:
    listed = str(ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))))
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    modules = {path.stem for path in package.glob("*.py")} | folders
    public = {name for name in modules if not name.startswith("_")}
    missing = sorted(name for name in public if not re.search(rf"[`.]{name}`", listed))
    assert missing == [], f"say in one line in the docstring of {package.name}/__init__.py what each of these is for"
