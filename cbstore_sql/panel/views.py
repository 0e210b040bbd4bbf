"""The views of the panel: which breakers a page shows, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

PAGE_SIZE = 100
"""The greatest number of breakers on one page."""

SORTS = {"worst": "worst first", "name": "by name", "failures": "most failures first", "changed": "last failure first"}
FILTERS = ("", "open", "half_open", "closed", "override")
_LAST_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class View:
    """What a page of the panel shows: one page of the list of breakers, or one breaker.

    Attributes:
        text: Show only breakers whose name or namespace contains this text, in upper or lower case. ``""`` shows all.
        state: Show only breakers in this state. ``"override"`` shows only breakers with an override, ``""`` shows all.
        sort: The order, a key of `SORTS`.
        page: The page number, from 1.
        exact: The namespace and the name of the only breaker to show. ``None`` means the list.
    """

    text: str = ""
    state: str = ""
    sort: str = "worst"
    page: int = 1
    exact: tuple[str, str] | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> View:
        """Make a view from the fields of a query string.

        With a field ``name``, the view shows one breaker. Otherwise the view shows the list, and a field with an
        unknown value is ignored.

        Args:
            query: The fields of the query string, by name.
        """
        if "name" in query:
            return cls(exact=(query.get("namespace", ""), query["name"]))
        number = query.get("page", "")
        page = int(number) if number.isascii() and number.isdecimal() else 1
        return cls(
            text=query.get("q", "").strip()[:200],
            state=query.get("state", "") if query.get("state") in FILTERS else "",
            sort=query.get("sort", "worst") if query.get("sort") in SORTS else "worst",
            page=max(1, min(page, _LAST_PAGE)),
        )

    def query(self, **changes: object) -> str:
        """Return the query string that `of` turns into this view.

        Args:
            **changes: Fields of the view to replace first, such as ``page=2``.
        """
        view = replace(self, **changes)  # type: ignore[arg-type] # the fields of this class
        if view.exact is not None:
            return urlencode({"namespace": view.exact[0], "name": view.exact[1]})
        given = {"q": view.text, "state": view.state, "sort": view.sort, "page": view.page}
        usual = {"q": "", "state": "", "sort": "worst", "page": 1}
        return urlencode({key: value for key, value in given.items() if value != usual[key]})
