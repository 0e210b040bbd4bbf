"""Hooks of the documentation site.

Pages also link to files outside ``docs/`` (source, tests, examples), which the site does not carry: there such a link
becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Unlink what lies outside the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def kept(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2].split("#")[0]))
        return link[1] if target.startswith("..") else link[0]

    return _LINK.sub(kept, markdown)


def on_post_build(config: Any) -> None:
    """Write ``llms.txt``: the pages with their first sentence, for language models that read documentation."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    for entry in config.nav:
        [(section, pages)] = entry.items()
        listed = [{section: pages}] if isinstance(pages, str) else pages
        lines += [f"## {section}", "", *(_line(Path(config.docs_dir), each) for each in listed), ""]
    Path(config.site_dir, "llms.txt").write_text("\n".join(lines), encoding="utf-8")


def _line(folder: Path, entry: dict[str, str]) -> str:
    [(title, path)] = entry.items()
    paragraphs = _FENCED.sub("", (folder / path).read_text(encoding="utf-8")).split("\n\n")
    prose = next((each for each in paragraphs[1:] if each[:1].isalpha()), "")
    sentence = _LINK.sub(r"\1", " ".join(prose.split())).partition(". ")[0].rstrip(".:")
    address = path.removesuffix("index.md").removesuffix(".md")
    return f"- [{title}]({address}{'/' if address else ''}): {sentence}"
