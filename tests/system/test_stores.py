"""The rule by which tests run on both stores: none is forgotten, none says of itself what is not so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.sqlite_files import DATABASE
from tests.system.stores import ROOT, STORE_VARIABLE

pytestmark = pytest.mark.store_once("it is about the rule: what opens a store runs in a process of its own")

ALONE, ONCE = "@pytest.mark.sqlite_alone", "@pytest.mark.store_once"
SQLITE = f"(tmp_path / '{DATABASE}').touch()"
REDIS = "server_of(tmp_path / 'data')"
"""What a daemon over one or the other leaves behind."""


def judged(folder: Path, store: str, *tests: tuple[str, str]) -> tuple[int, str]:
    """The exit code of pytest, and what it said, on a module of tests, each with its mark and its body."""
    body = "import pytest\nfrom tests.system.stores import server_of\n"
    for number, (mark, does) in enumerate(tests):
        body += f"\n{mark}\ndef test_{number}(tmp_path):\n    {does}\n"
    (folder / "test_module.py").write_text(body)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.system.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--basetemp", str(folder / "base"), "test_module.py"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), STORE_VARIABLE: store},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    shutil.rmtree(
        folder / "base", ignore_errors=True
    )  # or it would be taken for a journal of this very module
    return done.returncode, done.stdout + done.stderr


def test_on_redis_all_is_collected_but_what_is_marked_and_the_rest_is_not_counted_as_skipped(
    tmp_path: Path,
) -> None:
    code, said = judged(
        tmp_path,
        "redis",
        ("", REDIS),
        (f'{ALONE}("its lock", instead=None)', SQLITE),
        (f'{ONCE}("it opens none")', "pass"),
    )
    assert (code, "1 passed, 2 deselected" in said, "skipped" in said) == (0, True, False), said


@pytest.mark.parametrize(
    ("store", "mark", "does", "why"),
    [
        ("redis", "", SQLITE, "a journal of SQLite on the pass of Redis"),
        ("redis", "", "pass", "it uses no store"),
        ("sqlite", f'{ONCE}("it opens none")', SQLITE, "is marked store_once and opens a store"),
    ],
)
def test_a_module_that_is_not_as_it_says_fails(
    store: str, mark: str, does: str, why: str, tmp_path: Path
) -> None:
    code, said = judged(tmp_path, store, (mark, does))
    assert code == 1, said
    assert why in said


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (ALONE, "expected sqlite_alone(why, instead=…)"),
        (f'{ALONE}("its lock")', "expected sqlite_alone(why, instead=…)"),
        (f'{ALONE}("its lock", instead="tests/nowhere.py")', "there is no tests/nowhere.py"),
        (
            f'{ALONE}("its lock", instead="tests/conftest.py::test_x")',
            "there is no tests/conftest.py::test_x",
        ),
        (ONCE, "expected store_once(why)"),
    ],
)
def test_a_mark_without_its_reason_or_with_a_counterpart_that_is_not_there_ends_the_run(
    mark: str, why: str, tmp_path: Path
) -> None:
    code, said = judged(tmp_path, "sqlite", (mark, "pass"))
    assert code == pytest.ExitCode.USAGE_ERROR, said
    assert why in said


def test_the_second_pass_is_the_whole_folder_and_no_list_of_files() -> None:
    (again,) = [
        line
        for line in (ROOT / "script/test").read_text().splitlines()
        if f"{STORE_VARIABLE}=redis p" in line
    ]
    assert again == f"{STORE_VARIABLE}=redis pytest tests/system"
    assert [
        path.name
        for path in Path(__file__).parent.glob("**/test_*.py")
        if path.parent != Path(__file__).parent
    ] == []
