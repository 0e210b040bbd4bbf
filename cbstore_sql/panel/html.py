"""HTML that is escaped by default."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"input", "link", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(kind: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        kind: Its name.
        *children: Text, which is escaped; `Markup`, which is not; ``None``, which is left out; or iterables of these.
        **attributes: By name, ``class_`` for ``class`` and ``data_label`` for ``data-label``. ``None`` and ``False``
            leave one out, ``True`` gives it no value.
    """
    opening = "".join((f"<{kind}", *(_attribute(key, value) for key, value in attributes.items()), ">"))
    return Markup(opening if kind in VOID else f"{opening}{join(children)}</{kind}>")


def join(children: object) -> Markup:
    """Return children one after the other, escaped where they are text."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(children))
    if isinstance(children, Iterable):
        return Markup("".join(join(child) for child in children))
    return Markup(escape(str(children)))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
