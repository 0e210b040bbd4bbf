"""A builder of HTML that escapes every text by default."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"input", "link", "meta"})


class Markup(str):
    """A text that is already HTML, so that `tag` and `join` do not escape it."""

    __slots__ = ()


def tag(kind: str, /, *children: object, **attributes: object) -> Markup:
    """Return an HTML element.

    Args:
        kind: The name of the element, such as ``"td"``.
        *children: The content of the element. A text is escaped, a `Markup` is not escaped, ``None`` is left out. An
            iterable stands for its items.
        **attributes: The attributes of the element. Write ``class_`` for ``class`` and ``data_label`` for
            ``data-label``. The value ``None`` or ``False`` leaves the attribute out. The value ``True`` writes the
            attribute without a value.
    """
    opening = "".join((f"<{kind}", *(_attribute(key, value) for key, value in attributes.items()), ">"))
    return Markup(opening if kind in VOID else f"{opening}{join(children)}</{kind}>")


def join(children: object) -> Markup:
    """Return all children as one HTML text.

    Args:
        children: A text, which is escaped; a `Markup`, which is not escaped; ``None``, which is left out; or an
            iterable of these.
    """
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
