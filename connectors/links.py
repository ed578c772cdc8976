"""Signed links (design rule 14): a short address in a text or mail that opens one thing for one person for a time.

A link's text is an HMAC-SHA256 of what it is for, so it can be made again from what the journal knows and nothing of
it is stored: `Links` is filled from the state at the start, and finds what a shown text is for by the text's digest.
It says genuine, expired or forged, and no more: whether a genuine one is revoked, and what it may do, the core decides.
Mail scanners fetch what they find: GET never acts, POST does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

Purpose = Literal["bid", "recording"]
"""What a link opens. One that was made for one purpose opens no other."""

Verdict = Literal["genuine", "expired", "forged"]

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""No two that look alike, and no punctuation: a telephone does not count a dash at the end of a link to it."""
LENGTH = 18
"""Of these letters: 105 bits."""
KEY_BYTES = 32
"""At least so many bytes a key has."""
PATH = "/b/"
_IN_TEXT = re.compile(rf"{PATH}[{ALPHABET}]{{{LENGTH}}}")


class Link(Struct, frozen=True, kw_only=True):
    """What is signed: `intent` is the key of what the link is about, `person` the id of who was given it, and it opens
    until, and not at, `until` (whole seconds; what is below one is cut off)."""

    purpose: Purpose
    desk: str
    intent: str
    person: str
    until: datetime
    serial: int = 0
    """Of the links for one thing and person: one that was revoked stays so, and the next has the next number."""


class Shown(Struct, frozen=True, kw_only=True):
    """What came of a text that somebody has shown. `link` is there unless it is forged."""

    verdict: Verdict
    link: Link | None = None


def until_s(link: Link) -> int:
    """The Unix time at which the link ends. Raises ValueError for a local time without its offset."""
    if link.until.tzinfo is None:
        raise ValueError("expected an instant with its offset")
    return int(link.until.timestamp())


def sign(key: bytes, link: Link) -> str:
    """The text of a link: 18 letters and digits. Raises ValueError for a key shorter than 32 bytes."""
    if len(key) < KEY_BYTES:
        raise ValueError(f"expected a key of at least {KEY_BYTES} bytes")
    fields = [link.purpose, link.desk, link.intent, link.person, str(until_s(link))]
    fields += [str(link.serial)] if link.serial else []
    # each with its length before it: no two links are the same bytes
    signed = b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in fields)
    number = int.from_bytes(hmac.digest(key, b"callwatch link 1\0" + signed, "sha256"), "big")
    letters = []
    for _ in range(LENGTH):
        number, letter = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[letter])
    return "".join(letters)


def without_links(text: str) -> str:
    """The text as it may be kept: a link in it is a secret, and what it was for can be made again."""
    return _IN_TEXT.sub(PATH + "…", text)


class Links:
    """The links that are out, by the digest of their text, under the current key and the previous one.

    Held in memory alone. Who was given a link under the previous key may still use it, until that key is taken away.
    Before it has a key nothing opens, and no text is made: `text` raises IndexError.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._known: dict[bytes, Link] = {}
        self._out: dict[Link, None] = {}
        self._about: dict[tuple[str, str], list[Link]] = {}
        """By desk and what they are about: a package that leaves looks at its own links alone."""
        self._keys = tuple(keys)

    def replace_keys(self, keys: Sequence[bytes]) -> None:
        """Other keys, current and then previous, for the links that are out too. Raises ValueError without any."""
        if not keys:
            raise ValueError("expected at least one key")
        self._keys = tuple(keys)
        self._known = {digest: link for link in self._out for digest in self._digests(link)}

    def text(self, link: Link) -> str:
        """The link's text, under the current key; it is out from now on."""
        self.put_out(link)
        return sign(self._keys[0], link)

    def path(self, link: Link) -> str:
        """The path of its page: `/b/` and the text. It is out from now on."""
        return PATH + self.text(link)

    def put_out(self, *links: Link) -> None:
        """These may be shown to us from now on; said again it changes nothing. At a start: all that the state knows."""
        for link in links:
            if link not in self._out:
                self._out[link] = None
                self._about.setdefault((link.desk, link.intent), []).append(link)
                self._known |= dict.fromkeys(self._digests(link), link)

    def forget(self, desk: str, intent: str) -> None:
        """What these were about has left the state. Shown now they are as good as forged."""
        for link in self._about.pop((desk, intent), ()):
            del self._out[link]
            for digest in self._digests(link):
                del self._known[digest]

    def look(self, shown: str, now: datetime) -> Shown:
        """What a shown text is. Finding it takes no time that depends on the text but on its digest alone."""
        link = self._known.get(_digest(shown))
        if link is None or not self._is(link, shown):
            return Shown(verdict="forged")
        return Shown(verdict="genuine" if now.timestamp() < until_s(link) else "expired", link=link)

    def _is(self, link: Link, shown: str) -> bool:
        return any(hmac.compare_digest(sign(key, link).encode(), shown.encode()) for key in self._keys)

    def _digests(self, link: Link) -> list[bytes]:
        return [_digest(sign(key, link)) for key in self._keys]


def _digest(text: str) -> bytes:
    # a path may hold bytes that are no text; they are the digest of nothing that we gave
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
