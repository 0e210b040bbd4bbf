"""The common parts of the modules that read the errors of the providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cbstore_sql.llm.classification.evidence import normalized
from cbstore_sql.llm.classification.form import FailureCategory

Codes = Mapping[str, FailureCategory]


class Reading(NamedTuple):
    """What the rules of one provider found in an error.

    Attributes:
        category: The category of the failure. ``None`` if the codes and the status must determine the category.
        wait: The wait in seconds that the body asks for. ``None`` if the body gives no time.
    """

    category: FailureCategory | None
    wait: float | None = None


def table(codes: Mapping[FailureCategory, str]) -> Codes:
    """Return a mapping from each error code, in normalized form, to its category.

    Args:
        codes: For each category, its error codes in one string, separated by white space.
    """
    return {normalized(code): category for category, listed in codes.items() for code in listed.split()}
