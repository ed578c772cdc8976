"""A changed policy moves the deadlines of every visit that is not yet due: of many visits by portions.

A hundred thousand in one turn would hold the loop for seconds. So the desk asks itself again and again through the one
heap of deadlines, each time a moment later: whatever else falls due meanwhile has its turn before. How far it has come
are facts; what is left is worked out from them, also after a restart.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

from monitor.core import facts as f
from monitor.core import rota
from monitor.core.inputs import PolicyLoaded
from monitor.core.work import Work

CHANGED = 100
"""So many visits are changed in one turn at most: some 5 ms."""
LOOKED_AT = 1_000
"""And so many are looked at."""
PAUSE = timedelta(milliseconds=1)
"""Between two turns, so that what fell due meanwhile comes first."""


def begin(work: Work, loaded: PolicyLoaded) -> None:
    """A policy was adopted just now: a few visits are planned anew at once, many from the next moment on. Those of an
    earlier change that are still to come are among them."""
    count = len(work.state.values.visits)
    if count <= CHANGED and work.state.values.replan_at is None:
        rota.replan_for_policy(work, loaded)
    else:
        work.emit("desk", f.PolicySpread(looked=0, left=count, next_at=work.now + PAUSE))


def on_deadline(work: Work) -> None:
    """The next portion of the visits, each by the policy of its contract as it is now."""
    waiting, before = work.state.to_replan, len(work.drafts)
    looked = 0
    for ref in islice(waiting, LOOKED_AT):
        visit = work.visit(ref)
        if visit is not None:
            rota.replan(work, [visit], work.policy_for)
        looked += 1
        if len(work.drafts) - before >= CHANGED:
            break
    left = len(waiting) - looked
    spread = f.PolicySpread(looked=looked, left=left, next_at=work.now + PAUSE if left else None)
    work.emit("desk", spread)
