"""Hooks of the documentation site.

Pages also link to files outside ``docs/`` (source, tests, examples), which the site does not carry: there such a link
becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Unlink what lies outside the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def kept(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2].split("#")[0]))
        return link[1] if target.startswith("..") else link[0]

    return _LINK.sub(kept, markdown)
