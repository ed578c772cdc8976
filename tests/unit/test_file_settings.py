"""`[[mapping]]` and `[[feed]]`: every mistake is named at once, with its key path."""

from __future__ import annotations

import re
from pathlib import Path

import asyncssh
import pytest

from config.load import Loaded, load_text
from config.mapping import read_format
from tests.unit.test_load import DOC

FIRST = 'data_dir = "data"\n'
DESK = '\n[[desk]]\nid = "bright"\nkind = "council"\nname = "Bright"\n'
ROTA = (
    '\n[[mapping]]\nname = "m"\nwhat = "rota"\n'
    'columns = { service_user = "Client", start = ["Date", "From"], end = "To" }\n'
)
ECM = '\n[[mapping]]\nname = "e"\nwhat = "checkins"\ncolumns = { visit = "Visit", arrived = "In" }\n'
FOLDER = '\n[[feed]]\nname = "f"\ndesk = "bright"\nkind = "folder"\nmapping = "m"\npath = "in"\n'


def read(text: str, folder: Path | str = ".") -> Loaded:
    return load_text(FIRST + text + DESK, folder, {})


def found(loaded: Loaded) -> list[tuple[str, str]]:
    return [(problem.path, problem.code) for problem in loaded.problems]


def test_a_good_mapping_and_feed_have_no_problem_and_their_paths_begin_at_the_file(tmp_path: Path) -> None:
    loaded = read(ROTA + ECM + FOLDER, tmp_path)
    assert found(loaded) == []
    assert loaded.settings is not None
    [feed] = loaded.settings.feed
    assert feed.path == str(tmp_path / "in")
    assert (feed.every.total_seconds(), feed.fresh_within.total_seconds()) == (60, 900)


@pytest.mark.parametrize(
    ("mapping", "problems"),
    [
        (
            ROTA.replace("start =", "strat ="),
            [("columns.start", "missing"), ("columns.strat", "unknown_key")],
        ),
        (ROTA.replace(', end = "To"', ""), [("columns.end", "missing")]),
        (ROTA.replace('"Client"', '["Client", "Name"]'), [("columns.service_user", "bad_value")]),
        (ROTA.replace('["Date", "From"]', '["Date", "From", "Zone"]'), [("columns.start", "bad_value")]),
        (ROTA.replace('"Client"', "7"), [("columns.service_user", "wrong_type")]),
        (ROTA + 'delimiter = "|"\n', [("delimiter", "bad_value")]),
        (ROTA + 'encoding = "latin-1"\n', [("encoding", "bad_value")]),
        (ROTA + 'dates = "%m/%d/%Y %H:%M"\n', [("dates[0]", "bad_value")]),
        (ROTA + 'dates = ["%d/%m/%Y", "soon"]\n', [("dates[1]", "bad_value")]),
        (ROTA + 'colums = { id = "ID" }\n', [("colums", "unknown_key")]),
        (ROTA + 'fixed = { service_user = "su-1" }\n', [("fixed.service_user", "not_unique")]),
        (ROTA + 'fixed = { start = "now" }\n', [("fixed.start", "unknown_key")]),
        (ROTA + 'values = { status = { "Off" = "gone" } }\n', [("values.status.Off", "bad_value")]),
        (ROTA + 'values = { stats = { "Off" = "cancelled" } }\n', [("values.stats", "unknown_key")]),
        (ROTA + 'aliases = { "Cleint" = ["Person"] }\n', [("aliases.Cleint", "unknown_key")]),
        (ROTA + 'fresh = "rows"\n', [("fresh", "bad_value")]),
        (ECM + 'fresh = "heartbeat"\n', [("columns.heartbeat", "missing")]),
        (ECM + "complete = true\n", [("complete", "bad_value")]),
        (ECM.replace('visit = "Visit", ', ""), [("columns.visit", "missing")]),
        (ECM.replace("arrived", "at"), [("columns.arrived", "missing")]),
        (ECM.replace('"e"', '"E one"'), [("name", "bad_value")]),
    ],
)
def test_every_mistake_of_a_mapping_is_named(mapping: str, problems: list[tuple[str, str]]) -> None:
    assert sorted(found(read(mapping))) == sorted((f"mapping[0].{path}", code) for path, code in problems)


def test_two_mappings_of_one_name_are_refused() -> None:
    assert found(read(ROTA + ROTA)) == [("mapping[1].name", "not_unique")]


SFTP = (
    '\n[[feed]]\nname = "f"\ndesk = "bright"\nkind = "sftp"\nmapping = "m"\npath = "/"\nhost = "vendor.example"\n'
    'user = "us"\nkey_file = "key"\nknown_hosts = "hosts"\n'
)
HTTPS = '\n[[feed]]\nname = "f"\ndesk = "bright"\nkind = "https"\nmapping = "m"\nurl = "https://vendor.example/x?y=1"\n'


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(tmp_path / "key"))
    (tmp_path / "hosts").write_text("vendor.example " + key.export_public_key().decode())
    (tmp_path / "secret").write_text("hush\n")
    (tmp_path / "empty").write_text("\n")
    return tmp_path


@pytest.mark.parametrize(
    ("feed", "problems"),
    [
        (SFTP, []),
        (HTTPS, []),
        (HTTPS + 'token_file = "secret"\n', []),
        (FOLDER.replace('path = "in"\n', ""), [("path", "missing")]),
        (FOLDER + 'host = "x"\n', [("host", "unknown_key")]),
        (FOLDER + 'pattern = "../*.csv"\n', [("pattern", "bad_value")]),
        (FOLDER + 'every = "1h30"\n', [("every", "bad_value")]),
        (FOLDER + 'fresh_within = "10ms"\n', [("fresh_within", "out_of_range")]),
        (FOLDER + "max_bytes = 0\n", [("max_bytes", "out_of_range")]),
        (FOLDER.replace('"m"', '"n"'), [("mapping", "unknown_mapping")]),
        (FOLDER + 'what = "people"\n', [("mapping", "unknown_mapping")]),
        (FOLDER.replace('"bright"', '"dark"'), [("desk", "unknown_desk")]),
        (FOLDER.replace('"f"', '"mqtt"'), [("name", "not_unique")]),
        (FOLDER.replace('"folder"', '"ftp"'), [("kind", "bad_value")]),
        (SFTP.replace('known_hosts = "hosts"\n', ""), [("known_hosts", "missing")]),
        (SFTP.replace('"hosts"', '"secret"'), [("known_hosts", "host_key")]),
        (SFTP.replace('"vendor.example"', '"other.example"'), [("known_hosts", "host_key")]),
        (SFTP.replace('"key"', '"nokey"'), [("key_file", "file_unreadable")]),
        (SFTP.replace('key_file = "key"\n', ""), [("key_file", "missing")]),
        (SFTP + 'password_file = "secret"\n', [("password_file", "not_unique")]),
        (HTTPS + 'token_file = "empty"\n', [("token_file", "file_empty")]),
        (HTTPS + 'password_file = "secret"\n', [("user", "missing")]),
        (HTTPS + 'ca_file = "secret"\n', [("ca_file", "file_unreadable")]),
        (HTTPS.replace("https://", "http://"), [("url", "bad_url")]),
        (HTTPS.replace("vendor", "us:hush@vendor"), [("url", "secret_in_url")]),
    ],
)
def test_every_mistake_of_a_feed_is_named(feed: str, problems: list[tuple[str, str]], folder: Path) -> None:
    loaded = read(ROTA + feed, folder)
    assert found(loaded) == [(f"feed[0].{path}", code) for path, code in problems]
    assert all("hush" not in problem.message + problem.expected for problem in loaded.problems)


def test_a_secret_of_a_feed_is_read_from_its_file_and_shown_by_no_repr(folder: Path) -> None:
    loaded = read(ROTA + HTTPS + 'token_file = "secret"\n', folder)
    assert loaded.secrets.feeds["f"].get_secret_value() == "hush"
    assert "hush" not in repr(loaded)


@pytest.mark.parametrize(
    "text", ["%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%d %b %Y %I:%M %p", "%a %d/%m/%y", "%B %d %Y %H:%M"]
)
def test_a_format_with_the_day_or_year_first_is_one(text: str) -> None:
    assert read_format(text).date


@pytest.mark.parametrize(
    "text", ["", "%m/%d/%Y", "%Y-%d-%m", "%H:%M %d/%m/%Y", "%d/%m", "%d/%m/%Y %H", "%d/%d/%Y", "%d/%m/%Y %q"]
)
def test_a_format_that_cannot_be_relied_on_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        read_format(text)


def test_the_examples_in_the_documentation_load(folder: Path) -> None:
    text = DOC.read_text()
    examples = [
        block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[[mapping]]" in block
    ]
    assert len(examples) == 1
    feeds = [block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[[feed]]" in block]
    for name in ("vendor.key", "vendor.known_hosts"):
        (folder / name).write_text(
            (folder / "hosts").read_text().replace("vendor.example", "exports.vendor.example")
        )
    ecm = ECM.replace('"e"', '"acme-ecm"')
    desk = DESK.replace('"bright"', '"bright-care"')
    loaded = load_text(FIRST + examples[0] + ecm + feeds[0] + desk, folder, {})
    assert found(loaded) == []
