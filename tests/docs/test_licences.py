"""The table of licences is complete and matches the metadata of the installed packages."""

from __future__ import annotations

import re
from importlib.metadata import metadata, requires
from typing import Any

from packaging.requirements import Requirement

from tests.docs.pages import text

_ROW = re.compile(r"^\| ([a-z0-9-]+) \| (always|extra)[^|]*\| ([^|]+) \|$", re.MULTILINE)
_FAMILIES = {"MIT": "MIT", "BSD-3-Clause": "BSD", "Apache-2.0": "Apache"}


def table() -> dict[str, str]:
    return {name: licence.strip() for name, _, licence in _ROW.findall(text("docs/licences.md"))}


def declared(name: str) -> str:
    """Return the licence of a package: its expression, or the text of its older metadata fields."""
    found: Any = metadata(name)
    classifiers = [entry for entry in found.get_all("Classifier") or [] if entry.startswith("License")]
    return str(found.get("License-Expression") or f"{found.get('License')} {classifiers}")


def test_every_requirement_is_in_the_table() -> None:
    wanted = {Requirement(line).name.lower() for line in requires("cbstore_sql") or ()}
    assert wanted - {"cbstore-sql"} <= table().keys()


def test_the_licences_of_the_table_match_the_packages() -> None:
    for name, licence in table().items():
        said = declared(name)
        assert licence in said or _FAMILIES.get(licence, licence) in said, f"{name}: {licence}, declared: {said}"
