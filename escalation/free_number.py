"""The free number: a care worker rings it from the service user's line, keys a PIN, and says what has happened.

A small state machine (spec 21.1, 16.8; wording.md section 8): `begin` a call, `heard` what was keyed, `checked` what
became of the check-in, `joining` a person, `not_joined` by the one who was rung. Rules: every prompt names its keys;
a prompt is said twice at most; whoever says nothing, keys nothing that is known, or asks for it gets a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from escalation.dialog import keys_named
from escalation.wording import Problem, Wording

TEMPLATE = "FREE-1"
"""The lines of the call (config/wording)."""
WHISPER = "FREE-2"
"""What the person who is rung for the caller hears before they are joined; a row of `dialog.DIALOGS`."""

WRONG_PINS = 3
"""In one call; then a person (wording.md section 8)."""
TRIES_AT_MOST = 10
TRIES_WITHIN = timedelta(minutes=15)
"""So many wrong PINs from one line, or at one desk, are somebody guessing: an alarm, and no more guesses (ours)."""
TRIES_A_DAY = 30
A_DAY = timedelta(hours=24)
"""So many in so long are somebody who guesses slowly: nine in each quarter of an hour were 864 a day."""
TRIES_KEPT = 1_000
"""So many of a desk are counted, at most."""
HOUSEHOLD = 8
"""So many people of one line can be offered by key 1-8; beyond that the home's number is asked for."""
NUMBER_DIGITS = 8
"""The longest PIN, and the longest number of a home."""

Stage = Literal["pin", "home", "which", "menu", "noted", "stay", "joining", "over"]
WhyPerson = Literal["help", "asked", "silent", "wrong_pins", "unrecorded", "rang"]
"""Why the caller is given a person: key 9; key 0; nothing that could be understood; three wrong PINs, or too many from
this line; nothing can be recorded now; they rang us on an ordinary number."""


class Asked(Struct, frozen=True, kw_only=True):
    """One row: a stage that waits for keys. `tries`: how often it is asked before a person is fetched."""

    lines: tuple[str, ...]
    keys: frozenset[str]
    many: bool = False
    tries: int = 2
    wait_s: int = 6


STAGES: Mapping[Stage, Asked] = MappingProxyType(
    {
        "pin": Asked(lines=("pin",), keys=frozenset("#0"), many=True),
        "home": Asked(lines=("unknown_line",), keys=frozenset("#0"), many=True, tries=3),
        "which": Asked(lines=("household", "which"), keys=frozenset("0")),
        "menu": Asked(lines=("menu",), keys=frozenset("123490")),
        "noted": Asked(lines=("not_planned",), keys=frozenset("0"), tries=1),
        "stay": Asked(lines=("no_reply",), keys=frozenset("0"), tries=1),
    }
)
SAID = (
    *("withheld_line", "wrong_pin", "unknown_number", "sorry", "lost", "household", "which_one"),
    *(
        "arrived",
        "left",
        "known",
        "looked_at",
        "unrecorded",
        "help",
        "joining",
        "next_person",
        "nobody",
        "goodbye",
    ),
)
"""Lines that ask for no key."""


class Book(Protocol):
    """What the machine may look up: references only."""

    def worker_by_pin(self, pin: str) -> str | None:
        """The care worker who has this PIN."""

    def home_by_number(self, number: str) -> str | None:
        """The service user in whose folder this number stands."""


class Rung(Struct, frozen=True, kw_only=True):
    """Somebody on duty, and the line to ring."""

    person: str
    line: str


class CheckIn(Struct, frozen=True, kw_only=True):
    """The care worker says what has happened. `instead`: in place of somebody who was planned."""

    kind: Literal["arrive", "leave", "no_reply"]
    instead: bool = False


class Wants(Struct, frozen=True, kw_only=True):
    """A person is to be fetched."""

    why: WhyPerson


class FreeCall(Struct, frozen=True, kw_only=True):
    """Where a call stands. `homes` are those of the line, `placed` that the line proves where it is.

    `turn` counts the questions, so that an answer to an earlier one (a repeated webhook) is not taken for the next.
    """

    stage: Stage = "pin"
    turn: int = 1
    missed: int = 0
    wrong: int = 0
    homes: tuple[str, ...] = ()
    placed: bool = False
    withheld: bool = False
    worker: str | None = None
    home: str | None = None
    alert: str | None = None
    rungs: tuple[Rung, ...] = ()
    joined: bool = False


class Heard(Struct, frozen=True, kw_only=True):
    """What follows: the call as it is now, the lines to say, and what is to be done about it."""

    call: FreeCall
    lines: tuple[str, ...] = ()
    act: CheckIn | Wants | None = None
    wrong_pin: bool = False


def begin(homes: tuple[str, ...], *, placed: bool, withheld: bool = False) -> Heard:
    """A call has come in. `homes`: the service users whose line it is; none for an unknown or withheld one."""
    call = FreeCall(homes=homes, placed=placed, withheld=withheld)
    return Heard(call=call, lines=STAGES["pin"].lines)


def begin_again(homes: tuple[str, ...], *, placed: bool, turn: int) -> Heard:
    """An answer came to a question that nobody remembers (a restart in the middle of a call): from the beginning."""
    call = FreeCall(homes=homes, placed=placed, turn=turn + 1)
    return Heard(call=call, lines=("lost", *STAGES["pin"].lines))


def heard(call: FreeCall, digits: str, book: Book) -> Heard:
    """What was keyed at the question that is open; "" is silence with the line still open."""
    if call.stage in ("joining", "over"):
        return Heard(call=call)
    keyed = "0" if "*" in digits else digits
    if keyed == "#" and not call.missed and not STAGES[call.stage].many:
        # a hash out of habit, after the last digit of the number before it
        return _ask(replace(call, missed=1), call.stage)
    if keyed == "0":
        return want(call, "asked")
    if keyed == "9":
        return want(call, "help")
    return _HEARD[call.stage](call, keyed, book)


def _pin(call: FreeCall, keyed: str, book: Book) -> Heard:
    if not keyed:
        return _again(call)
    worker = book.worker_by_pin(keyed)
    if worker is not None:
        return _known(replace(call, worker=worker))
    call = replace(call, wrong=call.wrong + 1)
    if call.wrong >= WRONG_PINS:
        return replace(want(call, "wrong_pins"), wrong_pin=True)
    return replace(_ask(call, "pin", "wrong_pin"), wrong_pin=True)


def _known(call: FreeCall) -> Heard:
    """The PIN was right: which home is it about?"""
    if not 1 <= len(call.homes) <= HOUSEHOLD:
        return _ask(call, "home")
    if len(call.homes) > 1:
        return _ask(call, "which")
    return _ask(replace(call, home=call.homes[0]), "menu")


def _home(call: FreeCall, keyed: str, book: Book) -> Heard:
    home = book.home_by_number(keyed) if keyed else None
    if home is None:
        return _again(call, "unknown_number" if keyed else "sorry")
    # the number of a home proves no place, unless the line it was keyed on is one of that home
    return _ask(replace(call, home=home, placed=call.placed and home in call.homes), "menu")


def _which(call: FreeCall, keyed: str, book: Book) -> Heard:
    choice = int(keyed) - 1 if keyed in "12345678" and keyed else -1
    if 0 <= choice < len(call.homes):
        return _ask(replace(call, home=call.homes[choice]), "menu")
    return _again(call)


_MENU: Mapping[str, CheckIn] = MappingProxyType(
    {
        "1": CheckIn(kind="arrive"),
        "2": CheckIn(kind="leave"),
        "3": CheckIn(kind="no_reply"),
        "4": CheckIn(kind="arrive", instead=True),
    }
)


def _menu(call: FreeCall, keyed: str, book: Book) -> Heard:
    act = _MENU.get(keyed)
    return Heard(call=call, act=act) if act is not None else _again(call)


def _enough(call: FreeCall, keyed: str, book: Book) -> Heard:
    """All was said and recorded, and no person was asked for."""
    return _over(call, "goodbye")


_HEARD = {"pin": _pin, "home": _home, "which": _which, "menu": _menu, "noted": _enough, "stay": _enough}


def _ask(call: FreeCall, stage: Stage, *before: str) -> Heard:
    missed = call.missed if call.stage == stage else 0
    lines = STAGES[stage].lines
    if stage == "home" and call.withheld:
        lines = ("withheld_line",)
    return Heard(call=replace(call, stage=stage, turn=call.turn + 1, missed=missed), lines=(*before, *lines))


def _again(call: FreeCall, before: str = "sorry") -> Heard:
    """Nothing that could be understood: once more, then a person."""
    call = replace(call, missed=call.missed + 1)
    if call.missed >= STAGES[call.stage].tries:
        return want(call, "silent")
    return _ask(call, call.stage, before)


def _over(call: FreeCall, *lines: str) -> Heard:
    return Heard(call=replace(call, stage="over", turn=call.turn + 1), lines=lines)


# --- what became of it ---

Became = Literal["arrived", "left", "no_reply", "not_planned", "known", "looked_at"]
_OUTCOMES: Mapping[str, Became] = MappingProxyType(
    {
        **dict.fromkeys(("arrived", "arrived_early", "arrived_late", "retracts_alert"), "arrived"),
        **dict.fromkeys(("left", "left_short", "left_overrun"), "left"),
        "no_reply": "no_reply",
        "duplicate": "known",
        "unplanned": "not_planned",
    }
)


def checked(call: FreeCall, act: CheckIn, outcome: str | None) -> Heard:
    """The check-in is on disk, with this outcome of the contract; None: it is not, and the caller is told so."""
    if outcome is None:
        return replace(want(call, "unrecorded"), lines=("unrecorded",))
    became = _OUTCOMES.get(outcome, "looked_at")
    if act.kind == "no_reply" and became in ("not_planned", "no_reply"):
        return _ask(call, "stay")
    return _ask(call, "noted") if became == "not_planned" else _over(call, became)


def want(call: FreeCall, why: WhyPerson) -> Heard:
    """A person is to be fetched; `joining` says who."""
    return Heard(call=replace(call, stage="joining", turn=call.turn + 1), act=Wants(why=why))


def joining(
    call: FreeCall, why: WhyPerson, alert: str | None, rungs: Sequence[Rung], before: tuple[str, ...] = ()
) -> Heard:
    """Ring the first of those on duty. `alert` stands until somebody has it, whatever becomes of the call."""
    call = replace(call, alert=alert, rungs=tuple(rungs))
    if not call.rungs:
        return _over(call, *before, "nobody")
    return Heard(call=call, lines=before or ("help" if why == "help" else "joining",))


def not_joined(call: FreeCall) -> Heard:
    """Who was rung is not there: the next one. After the last the caller is told who will ring, and 9 9 9."""
    call = replace(call, rungs=call.rungs[1:], turn=call.turn + 1)
    return Heard(call=call, lines=("next_person",)) if call.rungs else _over(call, "nobody")


def guessing(tries: Sequence[datetime], now: datetime) -> bool:
    """Whether these wrong PINs (of one line, or of one desk) are more than people make who cannot remember theirs."""
    return _since(tries, now, TRIES_WITHIN) >= TRIES_AT_MOST


def guessing_slowly(tries: Sequence[datetime], now: datetime, pins: int = 0) -> bool:
    """Whether they are more than a day's slips. `pins`, for those of a desk: how many it has, since one slip of each
    care worker is nobody's guess."""
    return _since(tries, now, A_DAY) >= min(max(TRIES_A_DAY, pins), TRIES_KEPT)


def _since(tries: Sequence[datetime], now: datetime, within: timedelta) -> int:
    return sum(1 for at in tries if now - within < at <= now)


# --- the check ---


def check_free_number(wording: Wording) -> Iterator[Problem]:
    """Every problem of the call: a line that is not there, a prompt that does not name exactly its keys."""
    call = wording.call.get(TEMPLATE)
    if call is None:
        yield Problem(
            path=f"call.{TEMPLATE}", code="missing", message="this call is not there", expected="its lines"
        )
        return
    asked = {row.lines[-1]: row.keys for row in STAGES.values()}
    asked |= {"withheld_line": STAGES["home"].keys} | {
        line: frozenset() for line in SAID if line != "withheld_line"
    }
    for line, keys in asked.items():
        path = f"call.{TEMPLATE}.lines.{line}"
        if line not in call.lines:
            yield Problem(path=path, code="missing", message="this line is not there", expected="its words")
        elif keys_named(call.lines[line]) != keys:
            offered = ", ".join(sorted(keys)) or "no key"
            named = sorted(keys_named(call.lines[line]))
            yield Problem(
                path=path, code="keys", message=f"names the keys {named}", expected=f'"press N" for {offered}'
            )
