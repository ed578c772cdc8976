"""How a fact refers to what somebody wrote or sent: by id and digest, never by its words."""

from __future__ import annotations

from msgspec import Struct


class Evidence(Struct, frozen=True, kw_only=True, gc=False):
    """A reference to a row of the evidence store: its id and SHA-256(salt ‖ body) in hex."""

    id: str
    digest: str
