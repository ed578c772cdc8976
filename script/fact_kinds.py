"""The table of fact kinds in docs/interface.md, made from the structs themselves. Run it by `script/fact-kinds`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "script")]

import in_page  # noqa: E402  the scripts are no package

from monitor.core import facts as f  # noqa: E402  the script is no package: its folder stands first on the path

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
    """The page with the present table. Raises ValueError: a mark is missing."""
    return in_page.written(page, BEGIN, END, table())


if __name__ == "__main__":
    sys.exit(
        in_page.run(written, "the fact kinds are not those of monitor/core/facts.py: run script/fact-kinds")
    )
