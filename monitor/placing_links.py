"""The signed links of a council's desk: one for each provider that was asked about each package, made from the state.

Which links are out is nowhere stored. At a start every placement in the state puts its own out again; a message that is
rendered puts out the one that it names; a placement that leaves the state takes its links with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.links import Link
from monitor.core.placing.model import Placement
from monitor.core.state import State


def link_of(desk: str, state: State, placement: Placement, provider: str, serial: int | None = None) -> Link:
    """The link of one provider for one package: the same in every text and mail, until `link_lasts` after the package
    was received, by the policy with which it runs. By minted ids. `serial` None: the one that it was given last; it
    has a new one when it is asked again after a broker has revoked the one before."""
    return Link(
        purpose="bid",
        desk=desk,
        intent=placement.ref,
        person=provider,
        until=placement.received_at + state.placing_of(placement).link_lasts,
        serial=placement.link_serial(provider) if serial is None else serial,
    )


def links_of(desk: str, state: State) -> Iterator[Link]:
    """Every link that may be out, in the order of the placements."""
    for placement in state.values.placements.values():
        asked = {one.provider for run in placement.rounds for one in run.asked}
        for provider in sorted(asked):
            # a revoked one too: who shows it is told so
            for serial in range(placement.link_serial(provider) + 1):
                yield link_of(desk, state, placement, provider, serial)
