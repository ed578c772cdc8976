"""A configuration is read whole: every problem at once with its key path, or values that can be used as they are."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from config.load import (
    CODES,
    DutyEntry,
    Loaded,
    PolicyRefused,
    Problem,
    describe,
    load,
    load_text,
    policy_named,
    shipped_policies,
)
from config.policy import Policy, describe_policy, encode_policy
from config.settings import Settings
from config.tokens import hash_token, new_token, token_block
from tests.unit.test_settings import PASSWORD_HASH

SECRET = new_token(bytes(32))
HASH = hash_token(SECRET)
DOC = Path(__file__).parents[2] / "docs" / "configuration.md"

GOOD = f"""
data_dir = "data"
drain_s = 5
log = "console"

[store]
url = "sqlite:"

[http]
listen = "127.0.0.1:0"
public_url = "https://watch.example.org"
password_hash = "{PASSWORD_HASH}"

[[http.token]]
hash = "{HASH}"
role = "intake"
desk = "bright-care"
expires = 2027-03-31T00:00:00Z

[mqtt]
url = "mqtts://broker.example.org"
client_id = "callwatch-0"
username = "callwatch"
password_file = "mqtt-password"

[twilio]
account_sid = "AC0123456789abcdef0123456789abcdef"
auth_token_files = ["token", "token-before"]
calls_per_s = 2
sms_per_s = 10

[email]
host = "relay.example.org"
from = "callwatch@bright.example"

[[desk]]
id = "bright-care"
kind = "provider"
name = "Bright Care"
policy = "bromley"
numbers = ["020 8464 3333", "BrightCare"]
telephone = "+442084643334"
public = "ask"
overrides = {{ late_after = "20m" }}
duty = [
  {{ person = "st-1", role = "office", hours = "Mon-Fri 09:00-17:00" }},
  {{ person = "st-3", role = "manager", hours = "Mon-Fri 09:00-17:00" }},
  {{ person = "st-2", role = "on_call", hours = "otherwise" }},
  {{ person = "st-3", role = "manager", hours = "otherwise" }},
]
council_desks = [
  {{ name = "Duty", phone = "020 8313 4000", hours = "Mon-Fri 09:00-17:00" }},
  {{ name = "Night", phone = "020 8313 4001", email = "edt@council.example", hours = "otherwise" }},
]

[[desk]]
id = "borough"
kind = "council"
name = "Brokerage"
policy = "own.toml"
"""

SMALL = """
data_dir = "data"
[[desk]]
id = "bright-care"
kind = "provider"
name = "Bright Care"
duty = [{ person = "st-1", role = "office", hours = "otherwise" }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that GOOD names."""
    (tmp_path / "mqtt-password").write_text("broker secret\n")
    (tmp_path / "token").write_text("account secret\n")
    (tmp_path / "token-before").write_text("older secret")
    (tmp_path / "own.toml").write_text('late_after = "15m"\n')
    return tmp_path


def read(text: str, folder: Path | str = ".", **environ: str) -> Loaded:
    """What the text says, in an environment of nothing but `environ`."""
    return load_text(text, folder, environ)


def with_desk(lines: str) -> str:
    """A small file whose desk has these lines instead of its duty."""
    return SMALL.rpartition("duty")[0] + lines


def found(loaded: Loaded) -> list[tuple[str, str]]:
    """Path and code of every problem."""
    return [(problem.path, problem.code) for problem in loaded.problems]


# --- a good one ---


def test_a_good_configuration_has_no_problem_and_gives_everything(folder: Path) -> None:
    loaded = read(GOOD, folder)
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert loaded.settings.data_dir == folder / "data"
    assert loaded.settings.mqtt is not None
    assert loaded.settings.mqtt.password_file == folder / "mqtt-password"
    desk, council = loaded.desks
    assert (desk.id, desk.kind, desk.name, desk.public) == ("bright-care", "provider", "Bright Care", "ask")
    assert desk.numbers == ("+442084643333",)
    assert (desk.sender_name, desk.telephone) == ("BrightCare", "+442084643334")
    assert desk.policy.late_after == timedelta(minutes=20)
    assert desk.duty[0] == DutyEntry(person="st-1", role="office", hours="Mon-Fri 09:00-17:00")
    assert [entry.phone for entry in desk.council_desks] == ["+442083134000", "+442083134001"]
    assert (council.kind, council.public, council.numbers, council.telephone) == ("council", "off", (), None)
    assert council.policy == Policy(late_after=timedelta(minutes=15))


def test_the_secrets_are_read_from_their_files_and_shown_by_no_repr(folder: Path) -> None:
    secrets = read(GOOD, folder).secrets
    assert secrets.mqtt_password is not None
    assert secrets.mqtt_password.get_secret_value() == "broker secret"
    assert [token.get_secret_value() for token in secrets.twilio_tokens] == ["account secret", "older secret"]
    assert "secret " not in repr(secrets)
    assert "account" not in repr(secrets)


def test_the_smallest_configuration_is_enough() -> None:
    loaded = read(SMALL)
    assert loaded.problems == ()
    assert loaded.desks[0].policy == Policy()


def test_without_a_telephone_of_its_own_the_first_number_is_answered_by_a_person() -> None:
    lines = 'numbers = ["BrightCare", "020 8464 3333", "020 8464 3334"]'
    assert read(with_desk(lines)).desks[0].telephone == "+442084643333"


CHECKIN = """
[twilio]
account_sid = "AC00000000000000000000000000000000"
auth_token_files = ["token"]
api_url = "http://127.0.0.1:9"
"""


def test_a_free_number_is_read_as_e164(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    lines = 'numbers = ["020 8464 3333"]\ncheckin_numbers = ["0800 123 4567", "+448081234567"]'
    loaded = read(with_desk(lines) + CHECKIN, tmp_path)
    assert loaded.errors == ()
    assert loaded.desks[0].checkin_numbers == ("+448001234567", "+448081234567")


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ('checkin_numbers = ["0800 12"]', [("desk[0].checkin_numbers[0]", "bad_number")]),
        ('checkin_numbers = ["999"]', [("desk[0].checkin_numbers[0]", "emergency_number")]),
        ('checkin_numbers = ["BrightCare"]', [("desk[0].checkin_numbers[0]", "bad_number")]),
        ('checkin_numbers = "0800 1234567"', [("desk[0].checkin_numbers", "wrong_type")]),
        (
            'numbers = ["0800 123 4567"]\ncheckin_numbers = ["+448001234567"]',
            [("desk[0].checkin_numbers[0]", "not_unique")],
        ),
        (
            'checkin_numbers = ["0800 123 4567", "+448001234567"]',
            [("desk[0].checkin_numbers[1]", "not_unique")],
        ),
        (
            'telephone = "0800 123 4567"\ncheckin_numbers = ["+448001234567"]',
            [("desk[0].telephone", "rings_itself")],
        ),
        ('checkin_numbers = ["020 8464 3333"]', [("desk[0].checkin_numbers[0]", "not_free")]),
        ('checkin_numbers = ["0808 157 0042"]', [("desk[0].checkin_numbers[0]", "drama_number")]),
    ],
)
def test_every_mistake_about_a_free_number_is_named(
    tmp_path: Path, lines: str, problems: list[tuple[str, str]]
) -> None:
    (tmp_path / "token").write_text("secret")
    loaded = read(with_desk(lines) + CHECKIN, tmp_path)
    others = ("no_number", "duty_gap")
    assert [(p.path, p.code) for p in loaded.problems if p.code not in others] == problems


def test_a_free_number_that_is_another_desks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    other = '[[desk]]\nid = "b"\nkind = "council"\nname = "B"\nnumbers = ["0800 123 4567"]\n'
    loaded = read(with_desk('checkin_numbers = ["0800 123 4567"]\n') + other + CHECKIN, tmp_path)
    shared = [p.path for p in loaded.errors if p.code == "number_shared"]
    assert shared == ["desk[0].checkin_numbers[0]", "desk[1].numbers[0]"]


def test_a_free_number_without_a_telephone_account_is_refused() -> None:
    loaded = read(with_desk('checkin_numbers = ["0800 123 4567"]'))
    assert ("desk[0].checkin_numbers[0]", "missing") in [(p.path, p.code) for p in loaded.errors]


def test_a_file_is_read_with_the_mark_that_windows_editors_leave(tmp_path: Path) -> None:
    file = tmp_path / "callwatch.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    loaded = load(file, {})
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert loaded.settings.data_dir == tmp_path / "data"


def test_the_block_that_the_command_line_prints_fits_the_file() -> None:
    block = token_block(HASH, "device", "bright-care", "callwatch:phone-17", datetime(2027, 1, 1, tzinfo=UTC))
    loaded = read(SMALL + block)
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert loaded.settings.http.token[0].device == "callwatch:phone-17"


# --- every problem at once ---

BROKEN = """
data_dir = "token"
drain_s = 0
log = "text"
colour = "red"

[store]
url = "postgres://somebody:hunter2@store/callwatch"

[http]
listen = "0.0.0.0:8080"
public_url = "http://watch.example.org"

[[http.token]]
hash = "hunter2"
role = "device"
desk = "nowhere"
expires = 2027-03-31

[mqtt]
url = "mqtt://somebody:hunter2@broker"
password_file = "absent-password"
ca_file = "token"

[twilio]
account_sid = "hunter2"
auth_token_files = ["absent-token", "empty"]
api_url = "http://api.example.org"
calls_per_s = "fast"

[email]
host = "relay.example.org"

[[desk]]
id = "Bright Care"
kind = "agency"
name = ""
policy = "bromly"
numbers = ["999", "020 8464 333O", "+44 20 8464 3333"]
telephone = "112"
public = "always"
overrides = { late_after = "30", lateafter = "30m" }
duty = [
  { person = "st-1", role = "office", hours = "Mon-Fri 9-5" },
  { person = "st-1", role = "boss", hours = "Mon-Fri 09:00-09:00" },
  { role = "office", hours = "otherwise", mobile = "07700 900999" },
]
council_desks = [
  { name = "Duty", hours = "weekdays" },
  { name = "Night", phone = "12", email = "nobody", hours = "otherwise" },
]

[[desk]]
id = "twin"
kind = "council"
name = "Council"
policy = "absent.toml"
numbers = ["020 8464 3333"]

[[desk]]
id = "twin"
kind = "council"
name = "Council"
policy = "torn.toml"
numbers = ["Council"]
overrides = "late_after"
"""

PLANTED = {
    ("CALLWATCH_DESKS", "unknown_key"),
    ("CALLWATCH_HTTP__TOKEN", "bad_value"),
    ("data_dir", "bad_value"),
    ("drain_s", "out_of_range"),
    ("log", "bad_value"),
    ("colour", "unknown_key"),
    ("store.url", "bad_url"),
    ("http.password_hash", "password_needed"),
    ("http.public_url", "bad_url"),
    ("http.token[0].hash", "bad_hash"),
    ("http.token[0].device", "token_device"),
    ("http.token[0].desk", "unknown_desk"),
    ("http.token[0].expires", "bad_time"),
    ("mqtt.url", "secret_in_url"),
    ("mqtt.username", "missing"),
    ("mqtt.password_file", "file_unreadable"),
    ("mqtt.ca_file", "file_unreadable"),
    ("mqtt.ca_file", "bad_value"),
    ("twilio.account_sid", "bad_value"),
    ("twilio.auth_token_files[0]", "file_unreadable"),
    ("twilio.auth_token_files[1]", "file_empty"),
    ("twilio.api_url", "bad_url"),
    ("twilio.calls_per_s", "wrong_type"),
    ("email.from", "missing"),
    ("email.port", "wrong_type"),
    ("desk[0].id", "bad_value"),
    ("desk[0].kind", "bad_value"),
    ("desk[0].name", "bad_value"),
    ("desk[0].policy", "unknown_policy"),
    ("desk[0].numbers[0]", "emergency_number"),
    ("desk[0].numbers[1]", "bad_number"),
    ("desk[0].numbers[2]", "number_shared"),
    ("desk[0].telephone", "emergency_number"),
    ("desk[0].public", "bad_value"),
    ("desk[0].overrides.late_after", "policy_value"),
    ("desk[0].overrides.lateafter", "unknown_key"),
    ("desk[0].duty[0].hours", "bad_hours"),
    ("desk[0].duty[1].role", "bad_value"),
    ("desk[0].duty[1].hours", "bad_hours"),
    ("desk[0].duty[2].person", "missing"),
    ("desk[0].duty[2].mobile", "unknown_key"),
    ("desk[0].council_desks[0].hours", "bad_hours"),
    ("desk[0].council_desks[0].phone", "missing"),
    ("desk[0].council_desks[1].phone", "bad_number"),
    ("desk[0].council_desks[1].email", "bad_email"),
    ("desk[1].policy", "file_unreadable"),
    ("desk[1].numbers[0]", "number_shared"),
    ("desk[2].id", "not_unique"),
    ("desk[2].policy", "toml_syntax"),
    ("desk[2].numbers[0]", "sender_alone"),
    ("desk[2].overrides", "wrong_type"),
}


@pytest.fixture
def broken(tmp_path: Path) -> Loaded:
    """BROKEN, with a token file, an empty one and a torn policy beside it, and a bad environment over it."""
    (tmp_path / "token").write_text("no folder, no certificate")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "torn.toml").write_text('late_after = "30m"\ncatch_up = \n')
    environ = {"CALLWATCH_EMAIL__PORT": "smtp", "CALLWATCH_HTTP__TOKEN": "[{", "CALLWATCH_DESKS": "1"}
    return read(BROKEN, tmp_path, **environ)


def test_every_problem_is_named_at_once_with_its_path(broken: Loaded) -> None:
    named = set(found(broken))
    assert named == PLANTED
    assert len(broken.problems) == len(named)  # and none twice


def test_a_broken_configuration_gives_nothing_that_could_be_used(broken: Loaded) -> None:
    assert broken.settings is None
    assert broken.desks == ()


def test_every_problem_says_what_was_expected(broken: Loaded) -> None:
    for problem in broken.problems:
        assert problem.message, problem
        assert problem.expected, problem
        assert problem.code in CODES, problem


def test_no_problem_repeats_a_secret_a_number_or_a_name(broken: Loaded) -> None:
    told = " ".join(f"{p.message} {p.expected}" for p in broken.problems)
    for private in ("hunter2", "somebody", "8464", "900999", "st-1", "twin", "Night", "nobody@"):
        assert private not in told, private


def test_the_place_in_a_torn_policy_is_told(broken: Loaded) -> None:
    [torn] = [problem for problem in broken.problems if problem.path == "desk[2].policy"]
    assert "line 2" in torn.message


def test_a_problem_of_the_environment_names_the_variable(broken: Loaded) -> None:
    [port] = [problem for problem in broken.problems if problem.path == "email.port"]
    assert "CALLWATCH_EMAIL__PORT" in port.message


def test_errors_come_before_warnings_and_in_the_order_of_the_file() -> None:
    desks = "".join(f'[[desk]]\nid = "d-{n}"\nkind = "council"\n' for n in range(11))
    paths = [problem.path for problem in read('data_dir = "data"\n' + desks).problems]
    assert paths == [f"desk[{n}].name" for n in range(11)]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('data_dir = "data"\nlog = json\n', "line 2, column 7"),
        ("data_dir = 1\ndata_dir = 2\n", "line 2, column 13"),
        ('data_dir = "data', "line 1, column 1"),
        ("x = " + "[" * 5000, ""),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_column(text: str, path: str) -> None:
    loaded = read(text)
    assert found(loaded) == [(path, "toml_syntax")]
    assert loaded.settings is None


def test_a_file_that_is_not_there_is_a_problem_and_not_an_exception(tmp_path: Path) -> None:
    assert found(load(tmp_path / "absent.toml", {})) == [("", "file_unreadable")]
    assert found(load(tmp_path, {})) == [("", "file_unreadable")]


def test_a_file_that_is_not_text_is_a_problem_and_not_an_exception(tmp_path: Path) -> None:
    (tmp_path / "callwatch.toml").write_bytes(b"data_dir = '\xff'")
    assert found(load(tmp_path / "callwatch.toml", {})) == [("", "toml_syntax")]


def test_an_empty_file_says_what_must_be_there() -> None:
    assert found(read("")) == [("data_dir", "missing"), ("desk", "missing")]


def test_a_file_without_a_desk_watches_nobody() -> None:
    assert found(read('data_dir = "data"\ndesk = []')) == [("desk", "missing")]


@pytest.mark.parametrize(
    "text", ["desk = 5", "desk = [5]", 'desk = "x"', "http = []", "mqtt = 1", "twilio = true"]
)
def test_a_table_of_another_kind_breaks_no_check(text: str) -> None:
    loaded = read('data_dir = "data"\n' + text)
    assert any(problem.code == "wrong_type" for problem in loaded.problems)


@pytest.mark.parametrize("key", ["_env_file", "__init__", "model_config", "self", ""])
def test_a_key_with_a_meaning_to_the_library_is_just_unknown(key: str) -> None:
    assert "unknown_key" in {code for _, code in found(read(f"{json.dumps(key)} = 1\n{SMALL}"))}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("taken", "there is a file, and no folder"),
        ("taken/store", "it would lie in a file"),
        ("taken/a/b", "it would lie in a file"),
        ("  ", "no path"),
        ("new/a/b", None),
        ("there", None),
    ],
)
def test_a_folder_of_the_store_that_cannot_be_one_is_named_with_what_was_expected(
    tmp_path: Path, name: str, message: str | None
) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "there").mkdir()
    loaded = read(SMALL.replace('"data"', json.dumps(name)), tmp_path)
    expected = [("data_dir", "bad_value", message)] if message is not None else []
    assert [(one.path, one.code, one.message) for one in loaded.problems] == expected
    assert all("a folder" in one.expected for one in loaded.problems)


# --- numbers ---


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('numbers = ["07700 900001"]', [("desk[0].numbers[0]", "drama_number")]),
        ('telephone = "01632 960001"', [("desk[0].telephone", "drama_number")]),
        (
            'council_desks = [{ name = "EDT", phone = "07700 900002", hours = "otherwise" }]',
            [("desk[0].council_desks[0].phone", "drama_number")],
        ),
        ('numbers = ["020 8464 3333"]', []),
    ],
)
def test_a_number_that_reaches_nobody_is_warned_about_and_used(
    lines: str, expected: list[tuple[str, str]]
) -> None:
    loaded = read(SMALL + lines)
    assert found(loaded) == expected
    assert loaded.errors == ()
    assert loaded.settings is not None


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ('["BrightCare", "020 8464 3333"]', []),
        ('["BrightCare"]', [("desk[0].numbers[0]", "sender_alone")]),
        ('["BrightCare", "+353 1 679 0000"]', [("desk[0].numbers[0]", "sender_alone")]),
        ('["020 8464 3333", "+442084643333"]', [("desk[0].numbers[1]", "not_unique")]),
    ],
)
def test_a_sender_name_stands_only_beside_a_number_that_takes_answers(
    numbers: str, expected: list[tuple[str, str]]
) -> None:
    assert found(read(SMALL + f"numbers = {numbers}")) == expected


def test_a_number_of_two_desks_is_refused_at_both_places_however_it_is_written() -> None:
    second = '\n[[desk]]\nid = "b"\nkind = "council"\nname = "B"\nnumbers = ["+44 (0)20 8464 3333"]'
    loaded = read(SMALL + 'numbers = ["02084643333"]' + second)
    assert found(loaded) == [
        ("desk[0].numbers[0]", "number_shared"),
        ("desk[1].numbers[0]", "number_shared"),
    ]


def test_two_desks_may_share_a_sender_name_and_the_telephone_of_their_office() -> None:
    lines = 'numbers = ["020 8464 3333", "BrightCare"]\ntelephone = "020 8464 3300"\n'
    second = '[[desk]]\nid = "b"\nkind = "council"\nname = "B"\n'
    loaded = read(SMALL + lines + second + lines.replace("3333", "3334"))
    assert loaded.problems == ()


# --- hours of a list together ---


def duty(*hours: str) -> str:
    """A small file with one duty entry for each of `hours`."""
    lines = [f'{{ person = "st-{n}", role = "office", hours = "{text}" }}' for n, text in enumerate(hours)]
    return with_desk(f"duty = [{', '.join(lines)}]")


@pytest.mark.parametrize(
    ("hours", "gap"),
    [
        (["otherwise"], None),
        (["daily 00:00-24:00"], None),
        (["daily 09:00-17:00", "daily 17:00-09:00"], None),
        (["Mon-Fri 09:00-17:00", "otherwise"], None),
        (["Mon-Fri 00:00-24:00+holidays", "Sat-Sun 00:00-24:00"], None),
        ([], "on Mon at 00:00"),
        (["Mon-Fri 09:00-17:00"], "on Mon at 00:00"),
        (["daily 00:00-23:59"], "on Mon at 23:59"),
        (["daily 09:00-17:00", "daily 17:00-08:59"], "on Mon at 08:59"),
        # the nights: Monday's early hours belong to Sunday's entry
        (
            ["Mon-Fri 09:00-17:00+holidays", "Mon-Fri 17:00-09:00+holidays, Sat-Sun 00:00-24:00"],
            "on Mon at 00:00",
        ),
        # a normal week is whole, and a bank holiday is not
        (["Mon-Fri 00:00-24:00", "Sat-Sun 00:00-24:00"], "on Mon at 00:00 if Mon is a bank holiday"),
        (
            ["Mon-Fri 09:00-17:00", "Mon-Fri 17:00-09:00", "Sat-Sun 09:00-17:00", "Sat-Sun 17:00-09:00"],
            "on Mon at 09:00 if Mon is a bank holiday",
        ),
    ],
)
def test_an_hour_in_which_nobody_is_on_duty_is_warned_about(hours: list[str], gap: str | None) -> None:
    loaded = read(duty(*hours))
    assert loaded.errors == ()
    assert [problem.message for problem in loaded.problems if problem.code == "duty_gap"] == (
        [f"nobody is on duty {gap}"] if gap else []
    )


def test_an_otherwise_that_never_applies_is_warned_about() -> None:
    loaded = read(duty("Mon-Fri 09:00-17:00", "otherwise", "daily 00:00-24:00"))
    assert found(loaded) == [("desk[0].duty[1].hours", "never_on_duty")]
    assert loaded.settings is not None


def test_a_council_list_is_looked_at_contract_by_contract() -> None:
    lines = """council_desks = [
      { name = "Adults", email = "a@council.example", hours = "otherwise" },
      { name = "Children", email = "c@council.example", hours = "Mon-Fri 09:00-17:00", contract = "children" },
    ]"""
    assert found(read(SMALL + lines)) == [("desk[0].council_desks", "council_gap")]


def test_a_council_desk_of_ours_needs_no_duty_list() -> None:
    text = SMALL.replace('"provider"', '"council"').rpartition("duty")[0]
    assert read(text).problems == ()


# --- addresses, credentials, files ---


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ('listen = "0.0.0.0:8080"', [("http.password_hash", "password_needed")]),
        ('listen = "[::]:8080"', [("http.password_hash", "password_needed")]),
        (f'listen = "0.0.0.0:8080"\npassword_hash = "{PASSWORD_HASH}"', []),
        ('listen = "[::1]:8080"', []),
        ('public_url = "https://watch.example.org"', [("http.password_hash", "board_open")]),
        (f'public_url = "https://watch.example.org"\npassword_hash = "{PASSWORD_HASH}"', []),
        ('public_url = "http://127.0.0.1:8080"', []),
        ('listen = "localhost:0"', []),
    ],
)
def test_a_board_that_others_can_reach_without_a_password_is_warned_about(
    http: str, expected: list[tuple[str, str]]
) -> None:
    loaded = read(f"{SMALL}[http]\n{http}")
    assert found(loaded) == expected
    assert loaded.settings is not None
    assert {problem.severity for problem in loaded.problems} <= {"warning"}


@pytest.mark.parametrize(
    ("role", "desk", "device", "expected"),
    [
        ("office", "bright-care", "", []),
        ("operator", "*", "", []),
        ("device", "bright-care", 'device = "callwatch:p"', []),
        ("office", "*", "", [("http.token[0].desk", "unknown_desk")]),
        ("office", "other", "", [("http.token[0].desk", "unknown_desk")]),
        ("device", "bright-care", "", [("http.token[0].device", "token_device")]),
        ("office", "bright-care", 'device = "callwatch:p"', [("http.token[0].device", "token_device")]),
    ],
)
def test_a_token_belongs_to_a_desk_and_a_devices_to_its_device(
    role: str, desk: str, device: str, expected: list[tuple[str, str]]
) -> None:
    token = f'hash = "{HASH}"\nrole = "{role}"\ndesk = "{desk}"\n{device}\nexpires = 2027-03-31T00:00:00Z'
    assert found(read(f"{SMALL}[[http.token]]\n{token}")) == expected


COUNCIL = '[[desk]]\nid = "hall"\nkind = "council"\nname = "The Brokerage"\n'


@pytest.mark.parametrize(
    ("role", "desk", "names", "expected"),
    [
        ("provider", "hall", 'provider = "pr-7"', []),
        ("broker", "hall", "", []),
        ("broker", "hall", 'person = "br-1"', []),
        ("auditor", "bright-care", 'person = "au-1"', []),
        ("provider", "hall", "", [("http.token[0].provider", "token_provider", "error")]),
        ("broker", "hall", 'provider = "pr-7"', [("http.token[0].provider", "token_provider", "error")]),
        ("provider", "bright-care", 'provider = "p"', [("http.token[0].desk", "token_provider", "warning")]),
        ("broker", "bright-care", "", [("http.token[0].desk", "token_provider", "warning")]),
        ("intake", "hall", 'person = "br-1"', [("http.token[0].person", "token_person", "error")]),
        (
            "provider",
            "hall",
            'provider = "pr-7"\nperson = "x"',
            [("http.token[0].person", "token_person", "error")],
        ),
    ],
)
def test_a_providers_token_is_one_providers_at_a_council_and_only_people_have_names(
    role: str, desk: str, names: str, expected: list[tuple[str, str, str]]
) -> None:
    token = f'hash = "{HASH}"\nrole = "{role}"\ndesk = "{desk}"\n{names}\nexpires = 2027-03-31T00:00:00Z'
    problems = read(f"{SMALL}{COUNCIL}[[http.token]]\n{token}").problems
    about = [p for p in problems if p.path.startswith("http")]
    assert [(p.path, p.code, p.severity) for p in about] == expected


def test_the_keys_of_links_are_read_current_first_and_must_be_long(tmp_path: Path) -> None:
    (tmp_path / "now").write_text("n" * 32 + "\n")
    (tmp_path / "before").write_text("b" * 44)
    (tmp_path / "short").write_text("s" * 31)
    loaded = read(SMALL + '[links]\nkey_files = ["now", "before"]', tmp_path)
    assert loaded.problems == ()
    assert [key.get_secret_value() for key in loaded.secrets.links] == ["n" * 32, "b" * 44]
    assert loaded.settings is not None
    assert loaded.settings.links is not None
    assert loaded.settings.links.key_files == (tmp_path / "now", tmp_path / "before")
    for files, code in (
        ('["now", "short"]', "out_of_range"),
        ("[]", "missing"),
        ('["now", "before", "now"]', "out_of_range"),
        ('["nowhere"]', "file_unreadable"),
    ):
        problems = read(f"{SMALL}[links]\nkey_files = {files}", tmp_path).problems
        assert [problem.path.partition("[")[0] for problem in problems] == ["links.key_files"], files
        assert problems[0].code == code


@pytest.mark.parametrize(
    ("store", "desks", "links", "warned"),
    [
        ("redis://127.0.0.1/0", COUNCIL, "", True),
        ("sqlite:", COUNCIL, "", False),
        ("redis://127.0.0.1/0", "", "", False),
        ("redis://127.0.0.1/0", COUNCIL, '[links]\nkey_files = ["key"]\n', False),
    ],
)
def test_hosts_that_share_a_store_are_told_to_share_the_key_of_links(
    tmp_path: Path, store: str, desks: str, links: str, warned: bool
) -> None:
    (tmp_path / "key").write_text("k" * 32)
    loaded = read(f'{SMALL}{desks}{links}[store]\nurl = "{store}"', tmp_path)
    assert (("links.key_files", "missing") in found(loaded)) is warned
    assert loaded.errors == ()


def test_a_token_stands_only_once() -> None:
    block = token_block(HASH, "office", "bright-care", None, datetime(2027, 1, 1, tzinfo=UTC))
    assert found(read(SMALL + block + block)) == [("http.token[1].hash", "not_unique")]


@pytest.mark.parametrize(("late", "expected"), [(0, ["token_expired"]), (1, [])])
def test_an_expired_token_is_warned_about_when_the_time_is_known(late: int, expected: list[str]) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    text = SMALL + token_block(HASH, "office", "bright-care", None, now + timedelta(seconds=late))
    assert [problem.code for problem in load_text(text, ".", {}, now=now).problems] == expected
    assert read(text).problems == ()


TWILIO = '[twilio]\naccount_sid = "ACabc"\nauth_token_files = ["token"]\n'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", [("http.public_url", "missing")]),
        ('api_url = "http://127.0.0.1:4010"', []),
        ('api_url = "http://[::1]:4010"', []),
        ('api_url = "https://api.example.org"', [("http.public_url", "missing")]),
        (f'[http]\npublic_url = "https://watch.example.org"\npassword_hash = "{PASSWORD_HASH}"', []),
    ],
)
def test_a_telephone_account_must_be_able_to_bring_answers_back(
    folder: Path, lines: str, expected: list[tuple[str, str]]
) -> None:
    text = SMALL + 'numbers = ["020 8464 3333"]\n' + TWILIO + lines
    assert found(read(text, folder)) == expected


def test_with_an_account_a_provider_without_a_number_is_warned_about(folder: Path) -> None:
    text = SMALL + TWILIO + 'api_url = "http://127.0.0.1:4010"'
    assert found(read(text, folder)) == [("desk[0].numbers", "no_number")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('url = "mqtt://127.0.0.1"', []),
        ('url = "mqtt://[::1]:1884"', []),
        ('url = "mqtt://broker"', [("mqtt.url", "plain_text")]),
        ('url = "mqtts://broker"', []),
        ('url = "mqtt://127.0.0.1"\npassword_file = "token"', [("mqtt.username", "missing")]),
        ('url = "mqtt://127.0.0.1"\nca_file = "ca.pem"', [("mqtt.ca_file", "bad_value")]),
        ('url = "mqtts://broker"\nca_file = "ca.pem"', []),
        ('url = "mqtts://broker"\nca_file = "token"', [("mqtt.ca_file", "file_unreadable")]),
    ],
)
def test_a_broker_is_spoken_to_safely_or_with_a_warning(
    folder: Path, lines: str, expected: list[tuple[str, str]]
) -> None:
    (folder / "ca.pem").write_text(CERTIFICATE)
    assert found(read(f"{SMALL}[mqtt]\n{lines}", folder)) == expected


# --- the keys of phones that encrypt ---


def phone_key(**entry: str) -> str:
    """A [[owntracks.key]] block of SMALL."""
    return SMALL + "[[owntracks.key]]\n" + "".join(f'{name} = "{value}"\n' for name, value in entry.items())


def test_keys_of_phones_are_read_from_their_files_by_phone_and_by_desk(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("k" * 32 + "\n")
    (tmp_path / "all").write_text("shared by all\n")
    text = phone_key(file="one", device="owntracks:u17/phone")
    loaded = read(text + '[[owntracks.key]]\nfile = "all"\ndesk = "bright-care"\n', tmp_path)
    assert loaded.problems == ()
    assert loaded.secrets.keys_of_devices["owntracks:u17/phone"].get_secret_value() == "k" * 32
    assert loaded.secrets.keys_of_desks["bright-care"].get_secret_value() == "shared by all"
    assert "shared" not in repr(loaded)
    assert "kkk" not in repr(loaded)


@pytest.mark.parametrize(
    ("entry", "path", "code"),
    [
        ({"file": "key"}, "owntracks.key[0].device", "bad_value"),
        (
            {"file": "key", "device": "owntracks:u/p", "desk": "bright-care"},
            "owntracks.key[0].device",
            "bad_value",
        ),
        ({"file": "key", "device": "u17/phone"}, "owntracks.key[0].device", "bad_value"),
        ({"file": "key", "device": "owntracks:u17"}, "owntracks.key[0].device", "bad_value"),
        ({"file": "key", "desk": "nowhere"}, "owntracks.key[0].desk", "unknown_desk"),
        ({"desk": "bright-care"}, "owntracks.key[0].file", "missing"),
        ({"file": "none", "desk": "bright-care"}, "owntracks.key[0].file", "file_unreadable"),
        ({"file": "empty", "desk": "bright-care"}, "owntracks.key[0].file", "file_empty"),
        ({"file": "long", "desk": "bright-care"}, "owntracks.key[0].file", "out_of_range"),
        ({"file": "key", "desk": "bright-care", "key": "abc"}, "owntracks.key[0].key", "unknown_key"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_with_its_path(
    tmp_path: Path, entry: dict[str, str], path: str, code: str
) -> None:
    (tmp_path / "key").write_text("a key")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "long").write_text("k" * 33)
    assert found(read(phone_key(**entry), tmp_path)) == [(path, code)]


def test_two_keys_of_one_phone_or_desk_are_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key")
    twice = phone_key(file="key", desk="bright-care")
    assert found(read(twice + twice.removeprefix(SMALL), tmp_path)) == [
        ("owntracks.key[1].desk", "not_unique")
    ]


def test_a_secret_is_not_waited_for_at_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    text = SMALL + 'numbers = ["020 8464 3333"]\n' + TWILIO + 'api_url = "http://127.0.0.1:1"'
    assert found(read(text, tmp_path)) == [("twilio.auth_token_files[0]", "file_unreadable")]


@pytest.mark.parametrize("name", ["", "a\\u0000b", "x" * 5000])
def test_a_path_that_no_system_has_is_a_problem_and_not_an_exception(name: str) -> None:
    text = f'{SMALL}[mqtt]\nurl = "mqtt://127.0.0.1"\nusername = "u"\npassword_file = "{name}"'
    assert found(read(text)) == [("mqtt.password_file", "file_unreadable")]
    assert [path for path, _ in found(read(SMALL.replace('"data"', f'"{name}"')))] == ["data_dir"]


# --- the environment ---


def test_the_environment_goes_over_the_file() -> None:
    environ = {
        "CALLWATCH_HTTP__LISTEN": "127.0.0.1:9999",
        "CALLWATCH_DRAIN_S": "2.5",
        "CALLWATCH_MQTT__URL": "mqtt://127.0.0.1:1884",
        "CALLWATCH_DATA_DIR": "/elsewhere",
        "CALLWATCH_EMAIL": '{"host": "relay", "from": "a@b.example"}',
        "CALLWATCH_TOKEN": SECRET,
        "PATH": "/bin",
    }
    loaded = read(SMALL + '[http]\nlisten = "127.0.0.1:1"\npublic_url = "http://localhost:3"', **environ)
    assert loaded.problems == ()
    settings = loaded.settings
    assert settings is not None
    assert settings.http.address == ("127.0.0.1", 9999)
    assert settings.http.public_url == "http://localhost:3"
    assert (settings.drain_s, settings.data_dir) == (2.5, Path("/elsewhere"))
    assert settings.mqtt is not None
    assert settings.mqtt.address == ("127.0.0.1", 1884)
    assert settings.email is not None
    assert settings.email.from_ == "a@b.example"


def test_a_list_in_the_environment_is_json(folder: Path) -> None:
    text = SMALL + 'numbers = ["020 8464 3333"]\n' + TWILIO + 'api_url = "http://127.0.0.1:1"'
    loaded = read(text, folder, CALLWATCH_TWILIO__AUTH_TOKEN_FILES='["token-before"]')
    assert [token.get_secret_value() for token in loaded.secrets.twilio_tokens] == ["older secret"]


def test_an_unknown_key_under_a_table_of_the_environment_is_an_error() -> None:
    assert found(read(SMALL, CALLWATCH_HTTP__LISTN="127.0.0.1:1")) == [("http.listn", "unknown_key")]


def test_a_variable_that_a_container_host_makes_is_no_reason_not_to_start() -> None:
    loaded = read(SMALL, CALLWATCH_PORT="tcp://10.0.0.1:8080", CALLWATCH_SERVICE_HOST="10.0.0.1")
    assert found(loaded) == [("CALLWATCH_PORT", "unknown_key"), ("CALLWATCH_SERVICE_HOST", "unknown_key")]
    assert loaded.settings is not None


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLWATCH_DRAIN_S", "7")
    for loaded, drain_s in ((load_text(SMALL, "."), 7.0), (load_text(SMALL, ".", {}), 10.0)):
        assert loaded.settings is not None
        assert loaded.settings.drain_s == drain_s


# --- policies ---


def test_bromleys_policy_says_every_key_and_is_what_the_program_defaults_to() -> None:
    assert "bromley" in shipped_policies()
    assert policy_named("bromley") == Policy()
    written = (DOC.parents[1] / "config" / "policies" / "bromley.toml").read_text()
    keys = re.findall(r"^(\w+) =", written, re.MULTILINE)
    assert sorted(keys) == sorted(encode_policy(Policy()))


@pytest.mark.parametrize("name", shipped_policies())
def test_every_shipped_policy_loads_and_describes_itself(name: str) -> None:
    policy_named(name)
    lines = describe(name).splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(Policy.__struct_fields__)
    assert "spec 21.2" in lines[1]


def test_a_policy_of_ones_own_is_a_file_beside_the_configuration(folder: Path) -> None:
    assert policy_named("own.toml", folder) == Policy(late_after=timedelta(minutes=15))


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("nowhere", None, [("policy", "unknown_policy")]),
        ("../bromley", None, [("policy", "unknown_policy")]),
        ("absent.toml", None, [("policy", "file_unreadable")]),
        ("bad.toml", "late_after", [("policy", "toml_syntax")]),
        (
            "bad.toml",
            "late_after = 3\nlater = 1",
            [("policy.late_after", "policy_value"), ("policy.later", "unknown_key")],
        ),
    ],
)
def test_a_policy_that_cannot_be_read_says_all_of_why(
    tmp_path: Path, name: str, body: str | None, expected: list[tuple[str, str]]
) -> None:
    if body is not None:
        (tmp_path / name).write_text(body)
    with pytest.raises(PolicyRefused) as caught:
        policy_named(name, tmp_path)
    assert [(problem.path, problem.code) for problem in caught.value.problems] == expected


def test_overrides_that_contradict_the_policy_are_warned_about() -> None:
    loaded = read(SMALL + "overrides = { reassure_rounds = 1 }")
    assert found(loaded) == [("desk[0].overrides.inform_after_rounds", "policy_conflict")]
    assert loaded.settings is not None


# --- the documentation ---


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key of the file, tables within tables."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in tables_in(field.annotation):
            yield from keys(inner)


def tables_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The tables that an annotation holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from tables_in(inner)


def test_every_key_of_the_file_is_documented() -> None:
    text = DOC.read_text()
    missing = [key for key in dict.fromkeys(keys(Settings)) if f"`{key}`" not in text]
    assert missing == []


def test_every_key_of_a_policy_is_documented_with_its_default_and_clause() -> None:
    text = DOC.read_text()
    for field in describe_policy(Policy()):
        assert f"| `{field.name}` | {field.value} | {field.clause} |" in text, field


def test_the_severity_of_a_problem_is_the_documented_one(broken: Loaded) -> None:
    text = DOC.read_text()
    for problem in broken.errors:
        assert f"| `{problem.code}` | error |" in text, problem
    for problem in read(duty(), ".").warnings:
        assert f"| `{problem.code}` | warning |" in text, problem


def test_every_code_of_a_problem_is_documented() -> None:
    text = DOC.read_text()
    assert [code for code in CODES if f"`{code}`" not in text] == []


def test_the_example_in_the_documentation_is_one_that_loads(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(# /etc.*?)```", DOC.read_text(), re.DOTALL)
    for name in re.findall(r'"([\w-]+\.secret)"', example):
        (tmp_path / name).write_text("secret")
    loaded = read(example, tmp_path)
    assert {problem.code for problem in loaded.problems} <= {"drama_number", "board_open"}
    assert loaded.settings is not None


def test_a_problem_is_written_as_the_contract_names_it() -> None:
    assert {"path", "code", "message", "expected"} <= set(Problem.__struct_fields__)


CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBijCCAS+gAwIBAgIUMsm3PBR2ZCuu6ep59NSSKYETtwYwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOY2FsbHdhdGNoIHRlc3QwIBcNMjYxMTIyMDc0NjIxWhgPMjEy
NjEwMjkwNzQ2MjFaMBkxFzAVBgNVBAMMDmNhbGx3YXRjaCB0ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAESt2OqUcIeQzLiMPhCbJLmO4RHVWbsRtdpuYkpKic
cRPGHG79binOmka2tvgq6IMyHOP1yjHX2HPuUhYz7YG/w6NTMFEwHQYDVR0OBBYE
FBMvLl8lGQKfVxbkgNAQVrA0TVyxMB8GA1UdIwQYMBaAFBMvLl8lGQKfVxbkgNAQ
VrA0TVyxMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAJ+6BZwj
3u5b3sPsNjdYD2P/0TtjhZvrBY0Xi+5+4aWCAiEAqsxq2gN1lQXNR+6EHGHH48Uu
U5a8iet5GtUaMaCtpaE=
-----END CERTIFICATE-----
"""


def test_a_shared_store_is_taken_with_its_password_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "redis.password").write_text("open sesame\n")
    loaded = read(
        f'{SMALL}[store]\nurl = "redis://127.0.0.1:6379/0"\npassword_file = "redis.password"', tmp_path
    )
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert loaded.settings.store.shared
    assert loaded.settings.store.password_file == tmp_path / "redis.password"
    assert loaded.secrets.store_password is not None
    assert loaded.secrets.store_password.get_secret_value() == "open sesame"
    assert "sesame" not in repr(loaded)


SHARED_STORES = [
    ('url = "redis://store.example:6379/0"', "store.url", "plain_text"),
    ('url = "redis://:x@store.example/0"', "store.url", "plain_text"),
    ('url = "redis://[::1]:6379/0"', None, None),
    ('url = "redis://name:x@127.0.0.1/0"', None, None),
    ('url = "rediss://store.example/0"', None, None),
    ('url = "unix:///run/redis.sock"', None, None),
    ('url = "redis://:x@localhost/0"\npassword_file = "there"', "store.url", "secret_in_url"),
    ('url = "rediss://name:x@store/0"\npassword_file = "there"', "store.url", "secret_in_url"),
    ('url = "redis://localhost/0"\npassword_file = "nowhere"', "store.password_file", "file_unreadable"),
    ('url = "redis://localhost/0"\npassword_file = "empty"', "store.password_file", "file_empty"),
    ('url = "redis://localhost/0"\nca_file = "ca.pem"', "store.ca_file", "bad_value"),
    ('url = "rediss://localhost/0"\nca_file = "there"', "store.ca_file", "file_unreadable"),
    ('url = "rediss://localhost/0"\nca_file = "ca.pem"', None, None),
    ('password_file = "there"', "store.password_file", "bad_value"),
]


@pytest.mark.parametrize(("table", "path", "code"), SHARED_STORES)
def test_what_does_not_go_together_in_a_shared_store_is_named(
    tmp_path: Path, table: str, path: str | None, code: str | None
) -> None:
    (tmp_path / "there").write_text("x")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    found = [(problem.path, problem.code) for problem in read(f"{SMALL}[store]\n{table}", tmp_path).problems]
    assert found == ([(path, code)] if path else [])


# --- contracts ---

CONTRACTS = """
contracts = [
  { id = "lbb", overrides = { late_after = "10m" } },
  { id = "lbb", client_group = "children", policy = "example" },
  { id = "private", council = false },
]
"""


def test_a_contract_has_the_desks_policy_with_its_own_over_it() -> None:
    (desk,) = read(SMALL + 'overrides = { late_after = "20m", closes_after = "2d" }' + CONTRACTS).desks
    adults, children, private = desk.contracts
    assert (adults.id, adults.client_group, adults.council) == ("lbb", None, True)
    assert (adults.policy.late_after, adults.policy.closes_after) == (
        timedelta(minutes=10),
        timedelta(days=2),
    )
    assert children.policy.late_after == timedelta(minutes=30)
    assert children.policy.time_critical_late_after == timedelta(minutes=15)
    assert children.policy.closes_after == timedelta(days=2)
    assert (private.council, private.policy) == (False, desk.policy)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('{ id = "a" }, { id = "a", client_group = "b" }', None),
        ('{ id = "a" }, { id = "a" }', ("desk[0].contracts[1].id", "not_unique")),
        ("{ council = false }", ("desk[0].contracts[0].id", "missing")),
        ('{ id = "a", policy = "none such" }', ("desk[0].contracts[0].policy", "unknown_policy")),
        (
            '{ id = "a", overrides = { late_after = "soon" } }',
            ("desk[0].contracts[0].overrides.late_after", "policy_value"),
        ),
        (
            '{ id = "a", overrides = { zone = "Europe/Paris" } }',
            ("desk[0].contracts[0].overrides.zone", "policy_value"),
        ),
    ],
)
def test_what_is_wrong_with_a_contract_is_said_with_its_path(
    lines: str, problem: tuple[str, str] | None
) -> None:
    assert found(read(f"{SMALL}contracts = [{lines}]")) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("second", "problems"),
    [
        ('name = "EDT", phone = "020 8313 4001"', [("desk[0].council_desks[1].name", "not_unique")]),
        ('name = "EDT", phone = "020 8313 4000"', []),
        ('name = "EDT 2", phone = "020 8313 4001"', []),
        (
            'name = "Other", phone = "020 8313 4001", contract = "lbl"',
            [("desk[0].council_desks[1].contract", "unknown_contract")],
        ),
    ],
)
def test_a_council_contact_is_one_telephone_and_of_a_contract_that_is_known(
    second: str, problems: list[tuple[str, str]]
) -> None:
    lines = f"""council_desks = [
  {{ name = "EDT", phone = "020 8313 4000", hours = "daily 00:00-24:00" }},
  {{ {second}, hours = "daily 00:00-24:00" }},
]
contracts = [{{ id = "lbb" }}]
"""
    assert found(read(SMALL + lines)) == problems


def test_a_client_groups_desk_with_short_hours_is_no_gap() -> None:
    lines = """council_desks = [
  { name = "EDT", phone = "020 8313 4000", hours = "otherwise" },
  { name = "Children", phone = "020 8313 4001", hours = "Mon-Fri 09:00-17:00", client_group = "children" },
]
"""
    assert found(read(SMALL + lines)) == []
