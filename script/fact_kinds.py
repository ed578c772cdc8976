"""The table of fact kinds in docs/interface.md, made from the structs themselves. Run it by `script/fact-kinds`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from monitor.core import facts as f  # noqa: E402  the script is no package: its folder stands first on the path

PAGE = ROOT / "docs" / "interface.md"
BEGIN = "<!-- fact kinds: written by script/fact-kinds -->"
END = "<!-- end of fact kinds -->"


def table() -> str:
    """One row a kind, in the order of the source."""
    rows = [row(kind) for kind in f.KINDS.values()]
    return "\n".join(["| kind | v | body | says |", "| --- | --- | --- | --- |", *rows])


def row(kind: type[f.FactBody]) -> str:
    """Kind, version, fields (`?`: left out when it has its default), the first sentence of the docstring."""
    fields = ", ".join(
        f"`{field.encode_name}`{'' if field.required else '?'}" for field in msgspec.structs.fields(kind)
    )
    says = " ".join((inspect.getdoc(kind) or "").split()).replace("|", "\\|")
    return f"| `{kind.__name__}` | {kind.VERSION} | {fields or '-'} | {says} |"


def written(page: str) -> str:
    """The page with the present table between its marks. Raises ValueError: a mark is missing."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"docs/interface.md: expected the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """0 when the page is as it should be (now); 1 with --check when it was not."""
    page = PAGE.read_text()
    new = written(page)
    if new == page:
        return 0
    if "--check" in sys.argv[1:]:
        print(
            "docs/interface.md: the fact kinds are not those of monitor/core/facts.py: run script/fact-kinds"
        )
        return 1
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
