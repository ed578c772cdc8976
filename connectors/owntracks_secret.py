"""OwnTracks' shared-key encryption: `data` is base64 of a 24-byte nonce and a secretbox (booklet, "Encrypting").

The key is the text that stands in the app, padded with NUL to 32 bytes. The apps send no hint which key it was, so the
keys that may be meant are tried in turn. No key and no opened body stands in a log or an error text.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from connectors.ports import EdgeError

KEY_BYTES = SecretBox.KEY_SIZE
_NONCE_BYTES = SecretBox.NONCE_SIZE


class Keys:
    """Which keys may open what a device sends: its own first, then its desk's. Replaced whole at a reload."""

    def __init__(
        self, of_device: Mapping[str, bytes] | None = None, of_desk: Mapping[str, bytes] | None = None
    ) -> None:
        self._of_device, self._of_desk = dict(of_device or {}), dict(of_desk or {})

    def replace(self, of_device: Mapping[str, bytes], of_desk: Mapping[str, bytes]) -> None:
        """From now on only these."""
        self._of_device, self._of_desk = dict(of_device), dict(of_desk)

    def of(self, device: str, desk: str) -> tuple[bytes, ...]:
        """The keys to try, in order; none when nothing is configured for it."""
        found = (self._of_device.get(device), self._of_desk.get(desk))
        return tuple(key for key in found if key is not None)


def padded(key: bytes) -> bytes:
    """Raises ValueError for more than 32 bytes: the apps would cut it and never be understood."""
    if not 0 < len(key) <= KEY_BYTES:
        raise ValueError(f"expected 1 to {KEY_BYTES} bytes")
    return key.ljust(KEY_BYTES, b"\0")


def opened(data: object, keys: Sequence[bytes]) -> bytes:
    """The message inside. Raises EdgeError: undecodable (no such box), no_key (none given), wrong_key (none fits)."""
    box = _unwrapped(data)
    if not keys:
        raise EdgeError("no_key", "expected a key for this device or its desk", permanent=True)
    for key in keys:
        try:
            return SecretBox(padded(key)).decrypt(box)
        except CryptoError:
            continue
    raise EdgeError("wrong_key", "expected a body encrypted with the configured key", permanent=True)


def _unwrapped(data: object) -> bytes:
    try:
        # Android breaks the lines of its base64
        box = base64.b64decode("".join(data.split()), validate=True) if isinstance(data, str) else b""
    except (binascii.Error, ValueError):
        box = b""
    if len(box) <= _NONCE_BYTES + SecretBox.MACBYTES:
        raise EdgeError("undecodable", "data: expected base64 of a nonce and a box", permanent=True)
    return box


def sealed(message: bytes, key: bytes, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """The same message as an `encrypted` one, for the way back to the phone."""
    nonce = random_bytes(_NONCE_BYTES)
    box = SecretBox(padded(key)).encrypt(message, nonce)
    return msgspec.json.encode({"_type": "encrypted", "data": base64.b64encode(box).decode()})
