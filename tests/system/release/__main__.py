"""``python -m tests.system.release``: exits with 1 if an artefact is incomplete or does not work."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.system.release.pythons import VERSIONS, find

ROOT = Path(__file__).parents[3]
DIST = ROOT / "dist"

# The files that users and packagers need.
IN_WHEEL = (
    "cbstore_sql/py.typed",
    "cbstore_sql/migrations/env.py",
    "cbstore_sql/stores/redis/lua/record_failure.lua",
    "cbstore_sql/dashboards/alerts.yml",
)
IN_SDIST = ("README.md", "CHANGELOG.md", "LICENSE", "mkdocs.yml", "tests/conftest.py", "docs/index.md", "alembic.ini")

SMOKE = Path(__file__).with_name("smoke.py")


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command and return what it printed.

    Raises:
        SystemExit: The command failed.
    """
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(str(part) for part in command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def build() -> tuple[Path, Path]:
    """Build the wheel and the sdist from the files in git, and return their paths."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "hatchling", "build", "--directory", str(DIST))
    [wheel], [sdist] = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path) -> None:
    """Check that both artefacts are complete.

    Raises:
        SystemExit: A file is missing.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    with tarfile.open(sdist) as archive_:
        members = {name.partition("/")[2] for name in archive_.getnames()}
    missing = [name for name in IN_WHEEL if name not in names] + [name for name in IN_SDIST if name not in members]
    if missing:
        raise SystemExit(f"missing from the artefacts: {', '.join(missing)}")


def try_out(python: Path, artefact: Path, directory: Path) -> str:
    """Install an artefact in a new environment, use it, and return its output."""
    environment = directory / "environment"
    run(python, "-m", "venv", environment)
    interpreter = environment / "bin" / "python"
    run(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{artefact}[binary]")
    return run(interpreter, "-W", "error", SMOKE, cwd=directory)


def main() -> None:
    """Build, check and try."""
    wheel, sdist = build()
    check_contents(wheel, sdist)
    say(f"built and checked {wheel.name} and {sdist.name}")
    found = {version: python for version in VERSIONS if (python := find(version)) is not None}
    for version, python in found.items():
        with tempfile.TemporaryDirectory() as directory:
            say(f"Python {version}, wheel: {try_out(python, wheel, Path(directory)).strip()}")
    oldest = min(found, key=VERSIONS.index)
    with tempfile.TemporaryDirectory() as directory:
        say(f"Python {oldest}, sdist: {try_out(found[oldest], sdist, Path(directory)).strip()}")
    for version in VERSIONS:
        if version not in found:
            say(f"Python {version}: NOT TRIED, it is not installed here")


if __name__ == "__main__":
    main()
