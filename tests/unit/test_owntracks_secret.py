"""OwnTracks with a shared key: opened as the apps close it, put aside with a named reason when it cannot be."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from nacl.bindings import crypto_secretbox, crypto_secretbox_open

from connectors.owntracks import OwnTracksBody, parse_owntracks
from connectors.owntracks_secret import Keys, opened, padded, sealed
from connectors.ports import EdgeError

KEY = b"a key of Davina's"
DEVICE = "owntracks:u17/phone"
FIX = {"_type": "location", "_id": "5d3a81c0", "tst": 1774769460, "lat": 51.4055, "lon": 0.0144, "acc": 14}


def closed(message: Any, key: bytes = KEY, nonce: bytes = b"n" * 24) -> dict[str, Any]:
    """As the apps do it, by libsodium itself."""
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    box = nonce + crypto_secretbox(raw, nonce, key + b"\0" * (32 - len(key)))
    return {"_type": "encrypted", "data": base64.b64encode(box).decode()}


def parse(message: Any, *keys: bytes, device: str = DEVICE, retained: bool = False) -> OwnTracksBody:
    return parse_owntracks(
        json.dumps(message).encode(),
        device=device,
        topic=None,
        received_at=datetime(2026, 3, 29, 9, 0, tzinfo=UTC),
        retained=retained,
        source="owntracks",
        keys=keys,
    )


def reason(message: Any, *keys: bytes) -> str:
    read = parse(message, *keys)
    assert (read.check_ins, read.nothing, len(read.bad)) == ((), (), 1)
    return read.bad[0].reason


def test_what_is_inside_is_read_as_if_it_had_come_open() -> None:
    assert parse(closed(FIX), KEY) == parse(FIX)
    assert parse(closed(FIX), KEY).check_ins[0].raw == json.dumps(FIX).encode()


@pytest.mark.parametrize("keys", [(b"another", KEY), (KEY, b"another"), (b"x" * 32, b"another", KEY)])
def test_the_key_that_fits_is_found_among_several(keys: tuple[bytes, ...]) -> None:
    assert len(parse(closed(FIX), *keys).check_ins) == 1


@pytest.mark.parametrize("key", [b"k", b"k" * 31, b"k" * 32, "Schlüssel".encode()])
def test_keys_of_every_length_fit(key: bytes) -> None:
    assert parse(closed(FIX, key), key).bad == ()


def test_the_same_message_encrypted_anew_is_the_same_message() -> None:
    first, again = parse(closed(FIX), KEY), parse(closed(FIX, nonce=b"m" * 24), KEY)
    assert first.check_ins[0].natural_key == again.check_ins[0].natural_key


def test_lines_of_base64_may_be_broken() -> None:
    message = closed(FIX)
    message["data"] = "\n".join(message["data"][n : n + 76] for n in range(0, len(message["data"]), 76))
    assert len(parse(message, KEY).check_ins) == 1


@pytest.mark.parametrize(
    ("message", "keys", "expected"),
    [
        (closed(FIX), (), "no_key"),
        (closed(FIX), (b"wrong",), "wrong_key"),
        (closed(FIX), (b"wrong", b"also"), "wrong_key"),
        ({"_type": "encrypted"}, (KEY,), "undecodable"),
        ({"_type": "encrypted", "data": 5}, (KEY,), "undecodable"),
        ({"_type": "encrypted", "data": "***"}, (KEY,), "undecodable"),
        ({"_type": "encrypted", "data": base64.b64encode(b"x" * 40).decode()}, (KEY,), "undecodable"),
        ({"_type": "encrypted", "data": base64.b64encode(b"x" * 41).decode()}, (KEY,), "wrong_key"),
        (closed(b"garbage"), (KEY,), "bad_body"),
        (closed(b"\xff\xfe"), (KEY,), "bad_body"),
        (closed([FIX]), (KEY,), "bad_body"),
        (closed(closed(FIX)), (KEY,), "bad_body"),
        (closed({"_type": "location", "tst": "x"}), (KEY,), "wrong_type"),
        (closed(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), (KEY,), "too_deep"),
        (closed(FIX | {"topic": "owntracks/u18/phone"}), (KEY,), "identity"),
    ],
)
def test_what_cannot_be_opened_or_used_has_a_named_reason(
    message: Any, keys: tuple[bytes, ...], expected: str
) -> None:
    assert reason(message, *keys) == expected


def test_one_message_that_cannot_be_opened_harms_no_other_of_an_array() -> None:
    read = parse([closed(FIX), closed(FIX, b"another"), FIX | {"_id": "2"}], KEY)
    assert (len(read.check_ins), [bad.reason for bad in read.bad]) == (2, ["wrong_key"])


def test_what_says_nothing_says_nothing_in_a_box_too() -> None:
    assert parse(closed({"_type": "card", "name": "D"}), KEY) == OwnTracksBody(nothing=("card",))


def test_what_was_retained_is_old_in_a_box_too() -> None:
    assert parse(closed(FIX), KEY, retained=True).check_ins[0].retained


def test_no_error_says_anything_of_key_or_content() -> None:
    with pytest.raises(EdgeError) as caught:
        opened(closed(FIX)["data"], (b"a wrong key",))
    assert "wrong key" not in str(caught.value)
    assert "51.4" not in str(caught.value)


def test_a_phone_s_own_key_comes_before_its_desk_s() -> None:
    keys = Keys({DEVICE: b"own"}, {"north": b"desk"})
    assert keys.of(DEVICE, "north") == (b"own", b"desk")
    assert keys.of("owntracks:u18/phone", "north") == (b"desk",)
    assert keys.of("owntracks:u18/phone", "south") == ()
    keys.replace({}, {"south": b"new"})
    assert (keys.of(DEVICE, "north"), keys.of(DEVICE, "south")) == ((), (b"new",))


@pytest.mark.parametrize("key", [b"", b"k" * 33])
def test_a_key_that_no_phone_can_hold_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="32"):
        padded(key)


def test_what_is_sealed_for_the_phone_opens_there_and_never_with_the_same_nonce() -> None:
    message = b'{"_type":"cmd","action":"reportLocation"}'
    boxes = [base64.b64decode(json.loads(sealed(message, KEY))["data"]) for _ in range(2)]
    assert boxes[0][:24] != boxes[1][:24]
    for box in boxes:
        assert crypto_secretbox_open(box[24:], box[:24], KEY.ljust(32, b"\0")) == message
