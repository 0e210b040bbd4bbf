from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.migration.databases import table_names

CHECKOUT = Path(__file__).parents[2]
PROGRAM = """
import sys, cbstore_sql
from cbstore_sql.cli import main
assert cbstore_sql.__file__.startswith(sys.argv[1]), cbstore_sql.__file__
main(["migrate"])
main(["--version"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_an_installed_wheel_migrates_without_the_checkout(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    # Installing adds nothing else to Python's path.
    installed, folder = tmp_path / "100% installed", tmp_path / "work"
    wheel.extractall(installed)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(installed)],
        cwd=folder,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "table breakers: migrated from revision base to 0003\ncbstore 0.2.0\n"
    assert table_names(f"sqlite:///{folder}/cbstore.db") == {"breakers", "cbstore_version"}


def test_the_wheel_contains_only_the_package(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"cbstore_sql"}
    assert "cbstore_sql/py.typed" in names
    assert not [name for name in names if "__pycache__" in name]
