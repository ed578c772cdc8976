"""What a stranger reads is true: lists are the code's, links lead somewhere, named files and commands are there."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from monitor.__main__ import COMMANDS, main
from monitor.core.desk import CLOSE_REASONS
from monitor.core.facts import KINDS
from monitor.core.inputs import OUTCOMES, RotaProblemCode
from monitor.core.views import ALERT_KINDS, ENDED_REASONS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part in ("node_modules", "build") for part in path.relative_to(ROOT).parts
    )
)
ROOMS = ("config", "connectors", "docs", "escalation", "monitor", "script", "tests")
SHOT_BYTES = 300_000


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def fact_kinds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fact_kinds", ROOT / "script" / "fact_kinds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_of(text: str) -> Iterator[str]:
    """What stands between backticks, and the lines of fenced blocks."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in fenced:
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors_of(text: str) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(text: str) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def broken(page: Path, link: str) -> bool:
    where, _, anchor = link.partition("#")
    target = page.parent / where if where else page
    if not target.exists():
        return True
    return bool(anchor) and anchor not in anchors_of(target.read_text())


def test_the_pages_that_a_stranger_needs_are_among_those_that_are_read() -> None:
    wanted = {"README.md", "CHANGELOG.md", "docs/architecture.md", "docs/interface.md", "docs/operations.md"}
    assert wanted <= {name_of(page) for page in PAGES}


def test_the_list_of_fact_kinds_is_the_one_in_the_code() -> None:
    page = (ROOT / "docs" / "interface.md").read_text()
    assert fact_kinds().written(page) == page, "run script/fact-kinds"


def test_a_page_with_another_list_would_be_noticed() -> None:
    page = (ROOT / "docs" / "interface.md").read_text()
    stale = page.replace("| `AlertRaised` | 1 |", "| `AlertRaised` | 0 |")
    assert stale != page
    assert fact_kinds().written(stale) == page


def test_a_page_without_the_marks_is_refused_with_what_was_expected() -> None:
    with pytest.raises(ValueError, match="expected the marks"):
        fact_kinds().written("# The contract\n")


def test_every_kind_has_its_row_and_says_something() -> None:
    rows = [line for line in fact_kinds().table().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(KINDS)
    assert all(row.rstrip(" |").endswith((".", ":")) for row in rows)


@pytest.mark.parametrize(
    "values",
    [OUTCOMES, ALERT_KINDS, ENDED_REASONS, tuple(CLOSE_REASONS), RotaProblemCode.__args__],  # type: ignore[attr-defined]
    ids=["outcomes", "alert kinds", "ended reasons", "close reasons", "rota problems"],
)
def test_every_value_of_a_closed_list_stands_in_the_contract(values: tuple[str, ...]) -> None:
    named = set(code_of((ROOT / "docs" / "interface.md").read_text()))
    assert set(values) <= named, set(values) - named


@every_page
def test_every_local_link_leads_somewhere(page: Path) -> None:
    assert [link for link in links_of(page.read_text()) if broken(page, link)] == []


def test_a_broken_link_or_anchor_would_be_found() -> None:
    page = ROOT / "README.md"
    assert broken(page, "docs/nowhere.md")
    assert broken(page, "docs/architecture.md#no-such-heading")
    assert not broken(page, "docs/architecture.md#the-fault-model")
    assert links_of("[a](x.md) and [b](https://example.org)") == ["x.md"]


@every_page
def test_every_script_and_command_that_is_named_is_there(page: Path) -> None:
    scripts, commands = set(), set()
    for code in code_of(page.read_text()):
        scripts |= set(re.findall(r"(?<![\w/])script/([\w.-]+)", code))
        commands |= set(re.findall(r"(?:^|[ /])callwatch ([a-z][a-z-]*)", code))
    assert {name for name in scripts if not (ROOT / "script" / name).is_file()} == set()
    assert commands - set(COMMANDS) == set()


def options_of(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    words = ["rota", "load"] if command == "rota" else [command]
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    return set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_that_is_named_beside_a_command_is_one_of_its_own(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [code for page in PAGES for code in code_of(page.read_text())]
    # a table row of the contract begins with the command alone, its options are in the same cell
    told = [line.split("#")[0] for line in lines if re.match(rf"(callwatch )?{command}(?= )", line.strip())]
    named = {option for line in told for option in re.findall(r"--[a-z][a-z-]*", line)}
    assert named - options_of(command, capsys) == set()


def test_scripts_can_be_run() -> None:
    scripts = [path for path in (ROOT / "script").iterdir() if path.is_file() and not path.suffix]
    assert scripts
    assert [path.name for path in scripts if not path.stat().st_mode & 0o100] == []


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md", "docs/adding-a-connector.md"])
def test_every_file_that_is_named_is_there(name: str) -> None:
    pattern = re.compile(rf"^(?:{'|'.join(ROOMS)})/[\w./*-]*$")
    named = {code.rstrip("/") for code in code_of((ROOT / name).read_text()) if pattern.match(code)}
    assert named
    assert {path for path in named if not list(ROOT.glob(path))} == set()


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    records = {path.name for path in folder.glob("[0-9]*.md")}
    assert records == set(links_of((folder / "README.md").read_text()))


def test_pictures_are_small_and_shown() -> None:
    pictures = list((ROOT / "docs" / "screenshots").iterdir())
    shown = "".join(page.read_text() for page in PAGES)
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size >= SHOT_BYTES] == []
    assert [path.name for path in pictures if f"screenshots/{path.name}" not in shown] == []


@every_page
def test_no_page_names_this_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|root|tmp/bash_jobs)[/\w]*", page.read_text()) == []
