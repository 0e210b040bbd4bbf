"""The examples of each page run as one program, and the links have existing targets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DATABASE, PAGES, ROOT, anchors, blocks, links, program, text

# Its examples begin with a breaker of the published package: tests/system/compat/test_guide.py runs them.
WITH_THE_PUBLISHED_PACKAGE = "docs/protocol.md"

PROGRAMS = [page for page in PAGES if blocks(page, "python") and page != WITH_THE_PUBLISHED_PACKAGE]


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_examples_of_a_page_run(page: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    code = program(page)
    if DATABASE in code:
        code = code.replace(DATABASE, request.getfixturevalue("migrated_postgres_url"))
    shutil.copy(ROOT / "examples" / "config.yaml", tmp_path)
    script = tmp_path / f"page_{Path(page).stem}.py"  # A page with the name of a package must not hide the package.
    script.write_text(code, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'examples'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


ON_A_CLOCK_TO_MOVE = """
import time
import cbstore_sql
now = [0.0]
cbstore_sql.SqlStore = lambda url: cbstore_sql.InMemoryStore(clock=lambda: now[0])
time.sleep = lambda seconds: now.__setitem__(0, now[0] + seconds)
"""


def test_the_first_example_of_the_readme_prints_the_output_shown(tmp_path: Path) -> None:
    example, shown = blocks("README.md", "python")[0], blocks("README.md", "console")[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-W", "error", "-c", ON_A_CLOCK_TO_MOVE + example]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert f"$ python first.py\n{run.stdout}" == shown


def test_the_yaml_on_the_page_is_the_example_file() -> None:
    assert blocks("docs/configuration.md", "yaml") == [text("examples/config.yaml")]


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_have_existing_targets(page: str) -> None:
    for path, anchor in links(page):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), f"{path}#{anchor}"


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = {path for path, _ in links("docs/index.md")}
    folder = ROOT / "docs"
    pages = {str(path.relative_to(folder)) for path in folder.rglob("*.md") if path.parent.name != "reference"}
    pages -= {"index.md"}
    examples = {f"../examples/{path.name}" for path in (ROOT / "examples").iterdir() if path.is_file()}
    assert (pages | examples) - contents == set()


def test_the_make_targets_that_the_readme_names_exist() -> None:
    makefile = text("Makefile")
    named = set(re.findall(r"(?:`|\$ )make (\w+)", text("README.md")))
    assert {"demo", "test"} <= named
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)
