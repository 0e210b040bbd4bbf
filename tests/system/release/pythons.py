"""The Pythons that the library supports, and where this machine has them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
"""The versions that ``pyproject.toml`` names, oldest first."""


def find(version: str) -> Path | None:
    """Return an interpreter of a version such as ``"3.12"``, or ``None``.

    It is looked for on PATH, then beside the running interpreter, where pyenv keeps all of its versions.
    """
    candidates = [Path(name) for name in [shutil.which(f"python{version}")] if name]
    own = Path(sys.base_prefix)
    candidates += sorted(own.parent.glob(f"{version}.*/bin/python{version}"))
    candidates += [own / "bin" / f"python{version}"]
    return next((path for path in candidates if path.exists() and _works(path)), None)


def _works(python: Path) -> bool:
    # pyenv puts launchers on PATH also for versions that are not selected; those exit with an error.
    done = subprocess.run([str(python), "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return done.returncode == 0
