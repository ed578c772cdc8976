"""The shape of the configuration key by key, and the credentials that stand in it."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args, get_type_hints

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from config.settings import Settings, is_drama_number, is_loopback, is_sender_name, read_number
from config.tokens import (
    ROLES,
    SECRET_BYTES,
    Role,
    check_token,
    hash_token,
    new_token,
    token_block,
    token_matches,
)
from connectors.ports import Credential

SECRET = new_token(bytes(range(SECRET_BYTES)))
HASH = hash_token(SECRET)
PASSWORD_HASH = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("correct horse")
EXPIRES = datetime(2027, 3, 31, tzinfo=UTC)


def settings(**changed: Any) -> Settings:
    """A small configuration with some tables changed."""
    desk = {"id": "bright-care", "kind": "provider", "name": "Bright Care"}
    return Settings.model_validate({"data_dir": "data", "desk": [desk], **changed})


def refusal(**changed: Any) -> str:
    """The type of the one error."""
    with pytest.raises(ValidationError) as caught:
        settings(**changed)
    [error] = caught.value.errors()
    return error["type"]


# --- numbers ---


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+442084643333", "+442084643333"),
        ("020 8464 3333", "+442084643333"),
        ("(020) 8464-3333", "+442084643333"),
        ("+44 (0)20 8464 3333", "+442084643333"),
        ("07700 900123", "+447700900123"),
        ("01632 960123", "+441632960123"),
        ("0800 1111", "+448001111"),
        ("+353 1 679 0000", "+35316790000"),
    ],
)
def test_a_number_is_read_as_e164(text: str, number: str) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("999", "emergency_number"),
        ("112", "emergency_number"),
        ("+44999", "emergency_number"),
        ("9 9 9", "emergency_number"),
        ("111", "bad_number"),
        ("960123", "bad_number"),  # without its area code
        ("+4420846433", "bad_number"),
        ("+44208464333333", "bad_number"),
        ("0208464333O", "bad_number"),  # a letter: phonenumbers alone would leave it out in silence
        ("+1800FLOWERS", "bad_number"),
        ("+44 20 8464 3333 ext 5", "bad_number"),
        ("", "bad_number"),
        ("٠٢٠٨٤٦٤٣٣٣٣", "bad_number"),
    ],
)
def test_a_number_that_cannot_be_rung_is_refused_without_being_repeated(text: str, code: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        read_number(text)
    assert caught.value.type == code
    assert not text or text not in caught.value.message()


@pytest.mark.parametrize(
    ("number", "drama"),
    [
        ("+447700900000", True),
        ("+447700900999", True),
        ("+447700901000", False),
        ("+447700899999", False),
        ("+441632960000", True),
        ("+441632960999", True),
        ("+441632961000", False),
        ("+442079460018", True),
        ("+442079470018", False),
        ("+441214960123", True),
        ("+441134960999", True),
        ("+441194960999", False),
        ("+448081570000", True),
        ("+442084643333", False),
        ("+4477009001234", False),
    ],
)
def test_the_numbers_kept_free_for_drama_are_known(number: str, drama: bool) -> None:
    assert is_drama_number(number) is drama


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("BrightCare", True),
        ("Bright Care", True),
        ("Elevenchars", True),
        ("Twelve chars", False),
        ("Care24", True),
        ("O2084643333", False),
        ("24Care", False),
        ("Care!", False),
        ("", False),
    ],
)
def test_a_sender_name_is_not_a_number_with_a_slip_of_the_pen(text: str, is_name: bool) -> None:
    assert is_sender_name(text) is is_name


# --- addresses ---


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.8.8.8:1", "127.8.8.8", 1, True),
        ("[::1]:0", "::1", 0, True),
        ("localhost:65535", "localhost", 65535, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("[::]:80", "::", 80, False),
        ("localhost.example.org:80", "localhost.example.org", 80, False),
    ],
)
def test_a_listen_address_is_host_and_port(listen: str, host: str, port: int, loopback: bool) -> None:
    http = settings(http={"listen": listen}).http
    assert (*http.address, http.on_loopback) == (host, port, loopback)


@pytest.mark.parametrize(
    "listen",
    ["8080", ":8080", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:x", "::1:80", "[::g]:80", "a b:80", ""],
)
def test_what_cannot_be_listened_on_is_refused(listen: str) -> None:
    assert refusal(http={"listen": listen}) == "bad_address"


def test_a_name_that_only_looks_local_is_not_loopback() -> None:
    assert not is_loopback("localhost.")
    assert not is_loopback("127.0.0.1.example.org")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://watch.example.org", "https://watch.example.org"),
        ("https://watch.example.org/callwatch/", "https://watch.example.org/callwatch"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://localhost:1", "http://localhost:1"),
    ],
)
def test_a_public_url_is_https_or_leads_to_this_machine(url: str, kept: str) -> None:
    assert settings(http={"public_url": url}).http.public_url == kept


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://watch.example.org", "bad_url"),
        ("http://10.0.0.1:8080", "bad_url"),
        ("watch.example.org", "bad_url"),
        ("https://", "bad_url"),
        ("https://watch.example.org/?a=b", "bad_url"),
        ("https://watch.example.org:port", "bad_url"),
        ("https://watch .example.org", "bad_url"),
        ("https://[::1", "bad_url"),
        ("ftp://watch.example.org", "bad_url"),
        ("https://name:secret@watch.example.org", "secret_in_url"),
    ],
)
def test_another_public_url_is_refused(url: str, code: str) -> None:
    assert refusal(http={"public_url": url}) == code


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("mqtt://127.0.0.1", "127.0.0.1", 1883, False),
        ("mqtt://broker:1884", "broker", 1884, False),
        ("mqtts://broker.example.org/", "broker.example.org", 8883, True),
    ],
)
def test_a_broker_has_its_usual_port_unless_said(url: str, host: str, port: int, tls: bool) -> None:
    mqtt = settings(mqtt={"url": url}).mqtt
    assert mqtt is not None
    assert (*mqtt.address, mqtt.tls) == (host, port, tls)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("tcp://broker", "bad_url"),
        ("mqtt://", "bad_url"),
        ("mqtt://broker/topic", "bad_url"),
        ("mqtt://name:secret@broker", "secret_in_url"),
    ],
)
def test_another_broker_url_is_refused(url: str, code: str) -> None:
    assert refusal(mqtt={"url": url}) == code


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:",
        "redis://127.0.0.1:6379/0",
        "redis://:secret@store/1",
        "redis://store",
        "rediss://name:secret@store:6380/12",
        "unix:///run/redis/redis.sock",
        "unix:///run/redis/redis.sock?db=3",
    ],
)
def test_the_store_is_embedded_or_shared(url: str) -> None:
    assert settings(store={"url": url}).store.url == url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite",
        "sqlite:///tmp/x",
        "postgres://store",
        "redis:",
        "",
        "redis://store/zero",
        "redis://store/0?timeout=1",
        "unix://run/redis.sock",
        "unix:///run/redis.sock?db=zero",
        "redis://store:port/0",
    ],
)
def test_another_store_is_refused(url: str) -> None:
    assert refusal(store={"url": url}) == "bad_url"


# --- other values ---


@pytest.mark.parametrize(
    "table",
    [
        {"drain_s": 0},
        {"drain_s": 301},
        {"drain_s": True},
        {"drain_s": float("nan")},
        {"log": "text"},
        {"data_dir": 5},
        {"desk": []},
        {"htpp": {}},
        {"http": {"listen": 8080}},
        {"http": {"password_hash": "correct horse"}},
        {"http": {"password_hash": PASSWORD_HASH.replace("argon2id", "argon2i")}},
        {"mqtt": {}},
        {"mqtt": {"url": "mqtt://h", "client_id": ""}},
        {"twilio": {"account_sid": "XX1", "auth_token_files": ["a"]}},
        {"twilio": {"account_sid": "ACabc", "auth_token_files": []}},
        {"twilio": {"account_sid": "ACabc", "auth_token_files": ["a", "b", "c"]}},
        {"twilio": {"account_sid": "ACabc", "auth_token_files": ["a"], "calls_per_s": 0}},
        {"twilio": {"account_sid": "ACabc", "auth_token_files": ["a"], "sms_per_s": float("inf")}},
        {"email": {"host": "h", "from": "nobody"}},
        {"email": {"host": "h", "from": "a@b", "port": 0}},
        {"email": {"host": "h", "from_": "a@b", "from": "a@b"}},
    ],
)
def test_a_value_that_makes_no_sense_is_refused(table: dict[str, Any]) -> None:
    refusal(**table)


@pytest.mark.parametrize("desk_id", ["a", "a" * 40, "bright-care", "1"])
def test_an_id_of_a_desk_is_short_and_plain(desk_id: str) -> None:
    assert settings(desk=[{"id": desk_id, "kind": "council", "name": "X"}]).desk[0].id == desk_id


@pytest.mark.parametrize("desk_id", ["", "a" * 41, "Bright", "a_b", "a/b", "a b", "é", "a\n"])
def test_another_id_of_a_desk_is_refused(desk_id: str) -> None:
    assert refusal(desk=[{"id": desk_id, "kind": "council", "name": "X"}]) == "string_pattern_mismatch"


def test_what_is_left_out_has_the_careful_default() -> None:
    plain = settings()
    assert (plain.drain_s, plain.log, plain.store.url) == (10.0, "json", "sqlite:")
    assert plain.http.on_loopback
    assert (plain.mqtt, plain.twilio, plain.email) == (None, None, None)
    assert plain.desk[0].public == "off"
    assert plain.desk[0].policy == "bromley"


def test_the_settings_show_no_hash_when_they_are_printed() -> None:
    token = {"hash": HASH, "role": "office", "desk": "bright-care", "expires": EXPIRES}
    shown = repr(settings(http={"password_hash": PASSWORD_HASH, "token": [token]}))
    assert HASH not in shown
    assert PASSWORD_HASH not in shown


@pytest.mark.parametrize(
    "expires",
    [
        EXPIRES,
        "2027-03-31T00:00:00Z",
        "2027-03-31T01:00:00+01:00",
        EXPIRES.astimezone(timezone(timedelta(hours=5))),
    ],
)
def test_the_end_of_a_token_is_an_instant_in_utc(expires: Any) -> None:
    token = {"hash": HASH, "role": "office", "desk": "bright-care", "expires": expires}
    read = settings(http={"token": [token]}).http.token[0].expires
    assert (read, read.tzinfo) == (EXPIRES, UTC)


@pytest.mark.parametrize("expires", ["2027-03-31", "2027-03-31T00:00:00", "never", 5, EXPIRES.date()])
def test_a_time_without_offset_ends_no_token(expires: Any) -> None:
    token = {"hash": HASH, "role": "office", "desk": "bright-care", "expires": expires}
    assert refusal(http={"token": [token]}) == "bad_time"


@pytest.mark.parametrize("text", [SECRET, HASH.upper(), HASH[:-1], HASH + "0", "md5:" + HASH[7:]])
def test_only_the_hash_of_a_token_is_taken_for_one(text: str) -> None:
    token = {"hash": text, "role": "office", "desk": "bright-care", "expires": EXPIRES}
    assert refusal(http={"token": [token]}) == "bad_hash"


# --- tokens ---


def test_a_secret_fits_a_path_and_a_header_and_says_what_it_is() -> None:
    assert re.fullmatch(r"cw_[A-Za-z0-9_-]{43}", SECRET)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_secret_is_made_of_256_bits_and_no_other_number(length: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        new_token(bytes(length))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_secret_matches_its_own_hash_and_no_other(one: bytes, other: bytes) -> None:
    assert token_matches(new_token(one), hash_token(new_token(one)))
    assert token_matches(new_token(one), hash_token(new_token(other))) is (one == other)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_that_a_header_brings_can_be_compared(text: str) -> None:
    assert not token_matches(text, HASH)
    assert not token_matches(SECRET, text)


@pytest.mark.parametrize(
    ("secret", "now", "verdict"),
    [
        (SECRET, EXPIRES - timedelta(microseconds=1), "holds"),
        (SECRET, EXPIRES, "expired"),
        (SECRET + "x", EXPIRES - timedelta(days=1), "other"),
        ("", EXPIRES, "other"),
    ],
)
def test_a_token_opens_until_its_last_instant(secret: str, now: datetime, verdict: str) -> None:
    assert check_token(secret, HASH, EXPIRES, now) == verdict


@pytest.mark.parametrize(
    ("role", "device"), [("office", None), ("device", "callwatch:phone-17"), ("device", 'odd"\\\x7f\n😀')]
)
def test_the_printed_block_reads_back_as_it_was_made(role: Role, device: str | None) -> None:
    block = token_block(HASH, role, "bright-care", device, EXPIRES.astimezone(timezone(timedelta(hours=1))))
    [token] = tomllib.loads(block)["http"]["token"]
    assert token["hash"] == HASH
    assert (token["role"], token["desk"], token.get("device")) == (role, "bright-care", device)
    assert token["expires"] == EXPIRES


def test_the_printed_block_holds_no_secret() -> None:
    assert SECRET not in token_block(HASH, "office", "bright-care", None, EXPIRES)


@pytest.mark.parametrize(("role", "device"), [("device", None), ("office", "callwatch:phone-17")])
def test_only_a_devices_token_names_a_device(role: Role, device: str | None) -> None:
    with pytest.raises(ValueError, match="role device"):
        token_block(HASH, role, "bright-care", device, EXPIRES)


def test_a_block_needs_an_end_with_its_offset() -> None:
    with pytest.raises(ValueError, match="offset"):
        token_block(HASH, "office", "bright-care", None, EXPIRES.replace(tzinfo=None))


def test_the_roles_are_those_of_the_boundary() -> None:
    assert get_args(get_type_hints(Credential)["role"]) == ROLES
