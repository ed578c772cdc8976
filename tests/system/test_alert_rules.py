"""The rules that wake an operator: promtool accepts them, each fires by its fault and not before, each has its page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.metrics import Metrics
from tests.unit.test_docs import anchors_of

pytestmark = pytest.mark.store_once("promtool and files: no store is opened")

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "prometheus"
RULES = SHIPPED / "callwatch.rules.yml"
PROMTOOL = shutil.which("promtool") or "/usr/bin/promtool"
LIBRARY = {"up", "ALERTS"}
"""What Prometheus itself makes."""


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*words: str, folder: Path = SHIPPED) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROMTOOL, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for file in SHIPPED.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    done = promtool("check", "rules", RULES.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_fires_by_its_fault_and_not_right_before() -> None:
    done = promtool("test", "rules", "callwatch.tests.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_rule_is_without_a_test() -> None:
    tests = yaml.safe_load((SHIPPED / "callwatch.tests.yml").read_text())["tests"]
    fires = set()
    for test in tests:
        before, after = test["promql_expr_test"]
        assert before["exp_samples"] == [], test["name"]
        (sample,) = after["exp_samples"]
        fires |= set(re.findall(r'alertname="(\w+)"', sample["labels"]))
    assert fires == {rule["alert"] for rule in rules()}


def test_a_rule_that_is_slower_or_of_another_severity_fails_its_test(copied: Path) -> None:
    text = RULES.read_text()
    for was, becomes in (
        ("for: 1m", "for: 2m"),
        ("severity: critical", "severity: warning"),
        ("> 900", "> 9000"),
    ):
        assert was in text
        (copied / RULES.name).write_text(text.replace(was, becomes))
        done = promtool("test", "rules", "callwatch.tests.yml", folder=copied)
        assert done.returncode != 0, f"{was} -> {becomes} is not noticed"


def test_the_shipped_prometheus_configuration_is_accepted(copied: Path) -> None:
    file, secret = copied / "prometheus.yml", copied / "operator"
    secret.write_text("a secret\n")
    file.write_text(file.read_text().replace("/run/secrets/callwatch_operator", str(secret)))
    done = promtool("check", "config", file.name, folder=copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout, done.stdout


def test_each_rule_says_how_grave_it_is_what_it_means_and_where_to_read_on() -> None:
    headings = anchors_of((ROOT / "docs" / "operations.md").read_text())
    for rule in rules():
        name, notes = rule["alert"], rule["annotations"]
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert notes["runbook"] == f"docs/operations.md#{name.lower()}", name
        assert name.lower() in headings, f"docs/operations.md has no section {name}"
        assert len(notes["summary"].split(". ")) >= 2, f"{name}: what it means, and what to do"


def series_of(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:callwatch|process)_\w+|\bup\b", expression)) - LIBRARY


def known_series() -> set[str]:
    metrics = Metrics(["bright"], ["mqtt"])
    metrics.watch_process()
    return set(re.findall(r"^(\w+)", metrics.render().decode(), re.MULTILINE))


def test_rules_speak_of_series_that_are_there() -> None:
    used = set().union(*(series_of(rule["expr"]) for rule in rules()))
    assert len(used) > 15
    assert used - known_series() == set()


def test_in_ci_promtool_is_there() -> None:
    assert os.access(PROMTOOL, os.X_OK), "promtool is not installed (Debian: prometheus); script/test does it"
