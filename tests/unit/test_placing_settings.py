"""How a council places packages, as it is written: shipped policies, a desk's own keys, and every mistake at once."""

from __future__ import annotations

import argparse
import json
import re
from datetime import time, timedelta
from pathlib import Path

import pytest

from config.load import DeskConfig, Loaded, describe_placing, load_text, shipped_placing, ward_names
from config.placing import (
    Cutoff,
    PlacingPolicy,
    Round,
    decode_placing,
    encode_placing,
    placing_digest,
)
from monitor.commands import check_config as command

COUNCIL = """
data_dir = "data"
email = { host = "mail.example", from = "callwatch@council.example" }
[[desk]]
id = "hall"
kind = "council"
name = "The Brokerage"
duty = [{ person = "br-1", role = "broker", hours = "otherwise" }]
mailbox = "brokerage@council.example"
areas = [
  { id = "east", name = "East", wards = ["petts-wood", "orpington"] },
  { id = "south", name = "South", wards = ["darwin"] },
]
"""


def read(text: str, folder: Path | str = ".") -> Loaded:
    return load_text(text, folder, {})


def found(loaded: Loaded) -> list[tuple[str, str, str]]:
    return [(one.path, one.code, one.severity) for one in loaded.problems]


def the_desk(loaded: Loaded) -> DeskConfig:
    assert loaded.problems == ()
    (desk,) = loaded.desks
    return desk


# --- what is shipped ---


@pytest.mark.parametrize("name", shipped_placing())
def test_every_shipped_policy_can_be_used_and_printed(name: str) -> None:
    desk = the_desk(read(f'{COUNCIL}placing = {{ standard = "{name}" }}'))
    policy = desk.placing["standard"]
    assert decode_placing(encode_placing(policy)) == policy
    rows = dict(describe_placing(name))
    assert rows["rounds[0].name"] == policy.rounds[0].name


def test_policies_without_timings_of_their_council_are_marked_unconfirmed() -> None:
    desks = {
        name: the_desk(read(f'{COUNCIL}placing = {{ standard = "{name}" }}')) for name in shipped_placing()
    }
    unconfirmed = {name for name, desk in desks.items() if not desk.placing["standard"].confirmed}
    assert unconfirmed == {name for name in desks if name.startswith("example-")}
    assert dict(describe_placing("example-lewisham"))["confirmed"] == "false"


def test_a_desk_that_says_nothing_follows_the_shipped_policies_that_are_called_like_its_own() -> None:
    desk = the_desk(read(COUNCIL))
    standard, discharge = desk.placing["standard"], desk.placing["discharge"]
    assert desk.placing["palliative"] == standard
    assert [one.window for one in standard.rounds] == [timedelta(hours=2)] * 3
    assert [one.reminders for one in discharge.rounds] == [(timedelta(minutes=30),)] * 3
    assert [one.window for one in discharge.rounds] == [timedelta(hours=1)] * 3
    assert discharge.at_most == timedelta(weeks=6)
    assert discharge.cutoff == Cutoff(
        same_day=time(15),
        next_morning=time(17),
        weekend_same_day=time(13),
        weekend_next_morning=time(13),
    )
    assert standard.lost_told_after == timedelta(hours=2, minutes=30)


def test_a_desk_has_its_areas_and_its_mailbox() -> None:
    desk = the_desk(read(COUNCIL))
    assert [(area.id, area.name, area.wards) for area in desk.areas] == [
        ("east", "East", ("petts-wood", "orpington")),
        ("south", "South", ("darwin",)),
    ]
    assert desk.mailbox == "brokerage@council.example"


def test_wards_may_have_names_and_a_name_for_no_ward_of_the_area_is_a_problem() -> None:
    named = COUNCIL.replace('["darwin"] }', '["darwin"], ward_names = { darwin = "Darwin and Downe" } }')
    desk = the_desk(read(named))
    assert ward_names(desk.areas) == {"darwin": "Darwin and Downe"}
    strange = COUNCIL.replace('["darwin"] }', '["darwin"], ward_names = { orpington = "Orpington" } }')
    assert ("desk[0].areas[1].ward_names.orpington", "unknown_key") in [
        (path, code) for path, code, _ in found(read(strange))
    ]


def test_kinds_of_which_nothing_is_said_follow_the_standard_one(tmp_path: Path) -> None:
    own = 'fair_share = false\n[[rounds]]\nname = "mine"\ntiers = ["mine"]\nwindow = "3s"\n'
    (tmp_path / "mine.toml").write_text(own)
    desk = the_desk(read(f'{COUNCIL}placing = {{ standard = "mine.toml" }}', tmp_path))
    (first,) = {placing_digest(policy) for policy in desk.placing.values()}
    assert first == placing_digest(
        PlacingPolicy(
            rounds=(Round(name="mine", tiers=("mine",), window=timedelta(seconds=3)),), fair_share=False
        )
    )


def test_a_council_whose_policy_has_no_placing_of_its_name_takes_no_packages(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('late_after = "25m"')
    loaded = read(f'{COUNCIL}policy = "own.toml"', tmp_path)
    assert found(loaded) == [("desk[0].placing.standard", "missing", "warning")]
    assert loaded.desks[0].placing == {}


# --- what a desk lays over it ---


def test_a_desk_shortens_every_window_by_its_own_keys() -> None:
    shorter = """
[desk.placing_overrides.standard]
lost_told_after = "4s"
confirm_reminder = "1s"
rounds = { all = { window = "3s", reminders = ["2s"] }, framework = { window = "5s" } }
"""
    desk = the_desk(read(COUNCIL + shorter))
    standard = desk.placing["standard"]
    assert [one.window.total_seconds() for one in standard.rounds] == [3, 3, 5]
    assert [one.reminders for one in standard.rounds] == [(timedelta(seconds=2),)] * 3
    assert standard.lost_told_after == timedelta(seconds=4)
    assert desk.placing["palliative"] == standard
    assert desk.placing["discharge"].rounds[0].window == timedelta(hours=1)


def test_rounds_written_as_a_list_take_the_place_of_all() -> None:
    own = '[[desk.placing_overrides.standard.rounds]]\nname = "one"\ntiers = ["patch"]\n'
    assert [one.name for one in the_desk(read(COUNCIL + own)).placing["standard"].rounds] == ["one"]


@pytest.mark.parametrize(
    ("over", "path", "code"),
    [
        ('colour = "red"', "colour", "unknown_key"),
        ('lost_told_after = "soon"', "lost_told_after", "policy_value"),
        ('rounds.pitch.window = "2s"', "rounds.pitch", "unknown_key"),
        ('rounds.patch.windows = "2s"', "rounds.patch.windows", "unknown_key"),
        ('rounds.patch.window = "long"', "rounds.patch.window", "policy_value"),
        ("rounds.patch = 3", "rounds.patch", "wrong_type"),
        ("rounds = []", "rounds", "missing"),
        ('rounds.patch.window = "1h"', "rounds[0].reminders[0]", "policy_conflict"),
    ],
)
def test_a_mistake_in_an_override_is_named_where_it_stands(over: str, path: str, code: str) -> None:
    loaded = read(f"{COUNCIL}[desk.placing_overrides.standard]\n{over}")
    at = f"desk[0].placing_overrides.standard.{path}"
    assert found(loaded) == [(at, code, "error")]


# --- mistakes ---

WRONG = """
across_closing = "pause"
hours_limit = 0
patch_target = [0.7, 0.6]
persistent_share = 1.1
persistent_in_a_row = 0
persistent_at_least = 0
ties = ["drawn", "drawn"]
patch_tier = "patches"
confirm_within = "1h"
respond_within = ["0s"]

[[rounds]]
name = "One"
tiers = []
window = "1h"
reminders = ["30m", "1h"]
rule = "ranked"
next = "end"

[[rounds]]
name = "two"
tiers = ["patch"]
window = "0s"
passes_on = true
only_areas = ["north"]
"""
UNREADABLE = """
broker_hours = 9
ties = ["luck"]
confirmed = "yes"
award = "machine"
cutoff = { same_day = "3pm", next_morning = "17:00" }

[[rounds]]
tiers = "patch"
rule = "auction"
reminders = ["30"]
colour = "red"
"""


def test_all_values_that_make_no_sense_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(WRONG)
    loaded = read(f'{COUNCIL}placing = {{ standard = "wrong.toml" }}', tmp_path)
    at = "desk[0].placing.standard."
    assert {(path.removeprefix(at), code, severity) for path, code, severity in found(loaded)} == {
        ("across_closing", "policy_conflict", "error"),
        ("hours_limit", "policy_value", "error"),
        ("patch_target", "policy_value", "error"),
        ("persistent_share", "policy_value", "error"),
        ("persistent_in_a_row", "policy_value", "error"),
        ("persistent_at_least", "policy_value", "error"),
        ("ties", "policy_conflict", "error"),
        ("fair_share", "policy_conflict", "warning"),
        ("confirm_reminder", "policy_conflict", "error"),
        ("respond_within[0]", "out_of_range", "error"),
        ("rounds[0].name", "not_unique", "error"),
        ("rounds[0].tiers", "missing", "error"),
        ("rounds[0].reminders[1]", "policy_conflict", "error"),
        ("rounds[0].order", "policy_conflict", "error"),
        ("rounds[0].next", "policy_conflict", "error"),
        ("rounds[1].window", "out_of_range", "error"),
        ("rounds[1].passes_on", "policy_conflict", "error"),
        ("rounds[1].only_areas", "policy_conflict", "warning"),
    }
    assert len(loaded.problems) == len(set(loaded.problems))


def test_all_values_that_cannot_be_read_are_named_at_once_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "torn.toml").write_text(UNREADABLE)
    loaded = read(f'{COUNCIL}placing = {{ discharge = "torn.toml", standard = "bromley" }}', tmp_path)
    at = "desk[0].placing.discharge."
    assert {one.path.removeprefix(at): (one.code, one.expected) for one in loaded.problems} == {
        "broker_hours": ("policy_value", "text in quotes"),
        "ties": (
            "policy_value",
            "a list, each of it one of hours_held, packages_won, earliest_start, rate, score, drawn",
        ),
        "confirmed": ("policy_value", "true or false"),
        "award": ("policy_value", "one of broker, by_itself"),
        "cutoff.same_day": ("policy_value", 'a local time such as "15:00"'),
        "cutoff.weekend_same_day": ("missing", "this key"),
        "cutoff.weekend_next_morning": ("missing", "this key"),
        "rounds[0].name": ("missing", "this key"),
        "rounds[0].tiers": ("policy_value", "a list, each of it text in quotes"),
        "rounds[0].rule": ("policy_value", "one of open, ranked, direct"),
        "rounds[0].reminders": ("policy_value", 'a list, each of it a duration such as "2h"'),
        "rounds[0].colour": ("unknown_key", ANY_KEY),
    }


ANY_KEY = f"one of {', '.join(Round.__struct_fields__)}"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('placing = { standard = "nowhere" }', [("desk[0].placing.standard", "unknown_policy", "error")]),
        (
            'placing = { standard = "absent.toml" }',
            [("desk[0].placing.standard", "file_unreadable", "error")],
        ),
        (
            'placing = { standard = "bromley", urgent = "bromley" }',
            [("desk[0].placing.urgent", "unknown_key", "error")],
        ),
        ("placing = { standard = 3 }", [("desk[0].placing.standard", "wrong_type", "error")]),
        ('contracts = [{ id = "c" }]', [("desk[0].contracts", "desk_kind", "error")]),
        (
            "placing_overrides = { urgent = { confirmed = false } }",
            [("desk[0].placing_overrides.urgent", "unknown_key", "error")],
        ),
    ],
)
def test_a_councils_own_keys_are_checked(more: str, expected: list[tuple[str, str, str]]) -> None:
    assert found(read(COUNCIL + more)) == expected


def test_areas_and_wards_stand_once_and_a_mailbox_is_an_address() -> None:
    loaded = read(
        COUNCIL.replace('"south"', '"east"')
        .replace('"darwin"', '"orpington"')
        .replace("brokerage@council.example", "the brokerage")
    )
    assert {(path, code) for path, code, severity in found(loaded) if severity == "error"} == {
        ("desk[0].areas[1].id", "not_unique"),
        ("desk[0].areas[1].wards[0]", "not_unique"),
        ("desk[0].mailbox", "bad_email"),
    }


def test_a_providers_desk_places_nothing() -> None:
    loaded = read(COUNCIL.replace("council", "provider"))
    assert [(path, code) for path, code, _ in found(loaded)] == [
        ("desk[0].areas", "desk_kind"),
        ("desk[0].duty[0].role", "desk_kind"),
        ("desk[0].mailbox", "desk_kind"),
    ]


def test_nobody_sees_to_referrals_at_the_desk_that_sends_them_out() -> None:
    loaded = read(COUNCIL.replace('role = "broker"', 'role = "referrals"'))
    assert ("desk[0].duty[0].role", "desk_kind", "error") in found(loaded)


def test_a_brokerage_without_areas_or_brokers_is_warned() -> None:
    loaded = read(
        'data_dir = "data"\n[[desk]]\nid = "hall"\nkind = "council"\nname = "B"\n'
        'placing = { standard = "example-plymouth" }'
    )
    assert found(loaded) == [
        ("desk[0].areas", "missing", "warning"),
        ("desk[0].duty", "missing", "warning"),
    ]


def test_a_mailbox_that_no_mail_reaches_is_warned() -> None:
    without = COUNCIL.replace('email = { host = "mail.example", from = "callwatch@council.example" }', "")
    assert found(read(without)) == [("desk[0].mailbox", "missing", "warning")]


def test_a_policy_about_visits_has_no_placing_to_print(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('late_after = "25m"')
    assert describe_placing("own.toml", tmp_path) == []
    assert describe_placing("example") == []


# --- what is printed, and what is documented ---


def check_config(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add(parser)
    return command.run(parser.parse_args(words))


def test_check_config_prints_a_placing_policy_and_both_of_one_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check_config("--policy", "example-lewisham") == 0
    alone = capsys.readouterr().out
    assert re.search(r"^rounds\[0\]\.rule +direct$", alone, re.MULTILINE)
    assert "late_after" not in alone
    assert check_config("--policy", "bromley") == 0
    both = capsys.readouterr().out
    assert both.index("late_after") < both.index("placing packages") < both.index("rounds[2].name")
    assert check_config("--policy", "bromley-discharge", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {"name": "cutoff.same_day", "value": "15:00"} in said["placing"]
    assert (said["policy"], said["problems"]) == ([], [])


def test_check_config_names_what_is_wrong_with_a_placing_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torn.toml").write_text(UNREADABLE)
    assert check_config("--policy", str(tmp_path / "torn.toml"), "--json") == 1
    paths = {problem["path"] for problem in json.loads(capsys.readouterr().out)["problems"]}
    assert {"placing.rounds[0].rule", "placing.cutoff.same_day", "placing.award"} <= paths
    assert check_config("--policy", "nowhere") == 1


def test_every_key_and_every_shipped_policy_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    section = text[text.index("## Placing packages") : text.index("## Problems")]
    keys = (*PlacingPolicy.__struct_fields__, *Round.__struct_fields__, *Cutoff.__struct_fields__)
    assert [key for key in keys if key != "rounds" and f"`{key}`" not in section] == []
    assert [name for name in shipped_placing() if f"`{name}`" not in section] == []
