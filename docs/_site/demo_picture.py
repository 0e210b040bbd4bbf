"""Draw what ``cbstore demo`` prints: ``python docs/_site/demo_picture.py`` writes ``docs/demo.svg``. It needs rich."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)

TARGET = Path(__file__).parents[1] / "demo.svg"


def main() -> None:
    """Run the demo and draw its lines, the checks that hold in green."""
    command = [sys.executable, "-m", "cbstore_sql", "demo", "--plain"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    console = Console(record=True, width=104, file=io.StringIO())
    console.print(Text("$ cbstore demo", style="bold"))
    for line in printed.splitlines():
        text = Text(line)
        if line.startswith("ok "):
            text.stylize("green", 0, 2)
        text.highlight_regex(r"\b(open|half_open)\b", "yellow")
        console.print(text)
    # The picture must not ask another host for a font.
    picture = _FONT.sub("", console.export_svg(title="cbstore demo"))
    TARGET.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
