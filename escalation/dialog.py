"""Call scripts as rows: what is said at each step, which keys are awaited, and what each key leads to.

A step comes to its end by a key, or by silence with the line still open. Silence and keys that mean nothing always
lead on, to a person in the end, never in a circle; only a key that asks for it goes back. Staff take something on
with two keys (design rule 5): a sleepy thumb, a mail box that plays tones or a child is not a manager.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, structs

from escalation.replies import Answer
from escalation.wording import Problem, Wording, placeholders, render_line


class Turn(Struct, frozen=True, kw_only=True):
    """Where a key or silence leads: the next step, and the answer it settles, if any."""

    step: str
    answer: Answer | None = None


class Step(Struct, frozen=True, kw_only=True):
    """One row of a script. No `keys`, `came` or `room`: the call ends when the lines are said.

    `silence` and `other` are what follows `wait_s` seconds without a key, and a key that means nothing here. `came`:
    the line is kept open, and what has become of it (`LineCame` of the contract) leads on. `room`: it is joined to
    another line; when that one goes, `back` follows.
    Where `digits` is more than one a number is keyed and ended with "#": from 1 to `most` it leads to `number`.
    """

    name: str
    lines: tuple[str, ...]
    keys: Mapping[str, Turn] = MappingProxyType({})
    silence: Turn | None = None
    other: Turn | None = None
    wait_s: int = 6
    play_after: int = 0
    """Behind so many of the lines the recording is played that this call is about; 0: none is."""
    digits: int = 1
    number: Turn | None = None
    most: int = 0
    came: Mapping[str, str] = MappingProxyType({})
    room: bool = False
    back: str = ""

    @property
    def awaits_key(self) -> bool:
        """Whether a key is awaited; otherwise the call ends after the lines, or its line is kept."""
        return bool(self.keys) or self.number is not None

    @property
    def named_keys(self) -> frozenset[str]:
        """The keys that the prompt names as "press N"; a whole number that leads on like a key is never named."""
        return frozenset(key for key in self.keys if len(key) == 1) | (
            frozenset("#") if self.number else frozenset()
        )

    @property
    def kept(self) -> bool:
        """Whether the line stays open until somebody is joined to it."""
        return bool(self.came)


class Dialog(Struct, frozen=True, kw_only=True):
    """A call's script. `first` begins it; `openings` are other steps with which the caller may begin or go on."""

    first: str
    steps: Mapping[str, Step]
    openings: tuple[str, ...] = ()


def _dialog(first: str, *steps: Step, openings: tuple[str, ...] = ()) -> Dialog:
    return Dialog(first=first, steps=MappingProxyType({s.name: s for s in steps}), openings=openings)


def _end(name: str, *lines: str) -> Step:
    return Step(name=name, lines=lines or (name,))


def _to(step: str, answer: Answer | None = None) -> Turn:
    return Turn(step=step, answer=answer)


_KEPT = MappingProxyType(
    {
        "waiting": "waiting",
        "joined": "line",
        "spoke": "after",
        "nobody": "kept",
        "not_answered": "kept",
        "hung_up": "kept",
    }
)


def _kept(*first: tuple[str, str]) -> tuple[Step, ...]:
    """An open line is never dropped: each of `first` (step, line) keeps it, until somebody is joined to it or it has
    been told who will ring (domain.md section 2)."""
    return (
        *(Step(name=name, lines=(line,), came=_KEPT) for name, line in first),
        Step(name="waiting", lines=("waiting",), came=_KEPT),
        Step(name="line", lines=(), room=True, back="after"),
        _end("kept"),
        _end("after"),
    )


def _first_call() -> Dialog:
    """SUV-1: the menu, once more after silence, once more after each wrong key, then a person (wording.md 2)."""
    keys = {
        "1": _to("all_right", "all_right"),
        "2": _to("talk", "talk"),
        "3": _to("carer_here", "carer_here"),
    }
    nobody = _to("ring_back", "no_key")
    rows = (
        ("hello", ("hello", "why", "menu"), _to("again"), _to("sorry")),
        ("again", ("again", "menu"), nobody, _to("sorry_again")),
        ("sorry", ("sorry", "menu"), _to("again"), nobody),
        ("sorry_again", ("sorry", "menu"), nobody, nobody),
    )
    asked = (
        Step(name=n, lines=said, keys=keys, silence=quiet, other=wrong) for n, said, quiet, wrong in rows
    )
    ends = (_end(name) for name in ("all_right", "carer_here", "over"))
    kept = _kept(("talk", "talk"), ("ring_back", "stay_on"))
    return _dialog("hello", *asked, *ends, *kept, openings=("over",))


def _replacement_call() -> Dialog:
    """SUV-2: who comes instead, or that the one who was expected is on the way, and when (spec 22.5)."""
    keys = {"1": _to("heard", "heard"), "2": _to("talk", "talk")}
    nobody = _to("ring_back", "no_key")
    again, coming = _to("again"), _to("coming_again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("hello", "menu"), keys=keys, silence=nobody, other=nobody),
        Step(name="coming", lines=("coming", "menu"), keys=keys, silence=coming, other=coming),
        Step(name="coming_again", lines=("coming", "menu"), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("heard", "over")),
        *_kept(("talk", "talk"), ("ring_back", "stay_on")),
        openings=("coming", "over"),
    )


def _change_call() -> Dialog:
    """SUV-10: who comes whom they do not know, told the day before (spec 7.10)."""
    keys = {"1": _to("heard", "heard"), "2": _to("talk", "talk")}
    again, nobody = _to("again"), _to("ring_back", "no_key")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("hello", "menu"), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("heard", "over")),
        *_kept(("talk", "talk"), ("ring_back", "stay_on")),
        openings=("over",),
    )


def _weather_call() -> Dialog:
    """SUV-120: that times may change in declared bad weather; nothing is asked but whether it was heard."""
    keys = {"1": _to("heard", "heard"), "2": _to("talk", "talk")}
    nobody, again = _to("ring_back", "no_key"), _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("hello", "menu"), keys=keys, silence=nobody, other=nobody),
        _end("heard"),
        *_kept(("talk", "talk"), ("ring_back", "stay_on")),
    )


def _practice_call() -> Dialog:
    """SUV-4: with a member of staff in the room; without a key nobody is made *auto* (domain.md)."""
    keys = {"1": _to("well_done", "practised")}
    nobody = _to("no_key", "no_key")
    again = _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("again", "menu"), keys=keys, silence=nobody, other=nobody),
        _end("well_done"),
        _end("no_key"),
    )


def _summon_call(parties: str = "", *, urgent: bool = False) -> Dialog:
    """OCV-1 to OCV-4: awake, told, then a second key that takes it or passes it on.

    `parties`: the keys with which who has taken it is joined to service user, care worker, council. `urgent`: somebody
    is on the line, and the first key joins them (OCV-2).
    """
    awake = {"1": _to("tell")}
    choose = {"2": _to("taken", "take"), "3": _to("passed", "pass_on"), "*": _to("tell")}
    nobody = _to("no_key", "no_answer_key")
    return _dialog(
        "wake",
        Step(name="wake", lines=("wake",), keys=awake, silence=_to("wake_again"), other=_to("wake_again")),
        Step(name="wake_again", lines=("wake",), keys=awake, silence=nobody, other=nobody),
        Step(
            name="tell",
            lines=("tell", "choose"),
            keys=choose,
            silence=_to("tell_again"),
            other=_to("tell_again"),
        ),
        Step(name="tell_again", lines=("again", "tell", "choose"), keys=choose, silence=nobody, other=nobody),
        *(_end(name) for name in ("passed", "no_key", "gone", "over")),
        *(_parties(parties) if parties else (_end("taken"),)),
        *(_urgent() if urgent else ()),
        openings=("gone", "over", *(("urgent",) if urgent else ())),
    )


def _duty_call() -> Dialog:
    """OCV-180: awake, then a second key that starts the duty."""
    awake = {"1": _to("tell")}
    start = {"5": _to("started", "start_duty"), "*": _to("tell")}
    nobody = _to("no_key", "no_answer_key")
    again = _to("tell_again")
    return _dialog(
        "wake",
        Step(name="wake", lines=("wake",), keys=awake, silence=_to("wake_again"), other=_to("wake_again")),
        Step(name="wake_again", lines=("wake",), keys=awake, silence=nobody, other=nobody),
        Step(name="tell", lines=("tell", "choose"), keys=start, silence=again, other=again),
        Step(name="tell_again", lines=("tell", "choose"), keys=start, silence=nobody, other=nobody),
        *(_end(name) for name in ("started", "no_key", "over")),
        openings=("over",),
    )


_PARTIES: Mapping[str, Answer] = MappingProxyType(
    {"4": "ring_service_user", "5": "ring_worker", "6": "ring_council"}
)


def _called(back: str) -> Mapping[str, str]:
    """What has become of the party that is rung for who keeps the line."""
    away = dict.fromkeys(("nobody", "not_answered", "hung_up"), "not_there")
    return MappingProxyType({"waiting": "calling_on", "joined": "line", "spoke": back, **away})


_CALLED = _called("back")


def _parties(offered: str) -> tuple[Step, ...]:
    """Who has taken it stays on the line: we ring a party and join them, as often as they like (OCV-1, step 4)."""
    keys = {key: _to("calling", _PARTIES[key]) for key in offered}
    council = (_back_council(keys), _end("told")) if "6" in offered else ()
    return (
        *(_stays(name, keys) for name in ("taken", "back", "not_there", "no_number")),
        *council,
        *(Step(name=name, lines=(name,), came=_CALLED) for name in ("calling", "calling_on")),
        Step(name="line", lines=(), room=True, back="back"),
        _end("bye"),
    )


def _stays(name: str, keys: Mapping[str, Turn]) -> Step:
    """They are asked whom we ring next; without a key the call is over."""
    return Step(name=name, lines=(name, "stay"), keys=keys, silence=_to("bye"), other=_to("bye"), wait_s=8)


def _back_council(keys: Mapping[str, Turn]) -> Step:
    """Who has told the council says so by a key, when its line has gone; the name and the reference go on the page."""
    return _stays("back_council", {**keys, "2": _to("told", "told_council")})


def _council_ready_call() -> Dialog:
    """OCV-150: who has the alert is rung first, and the council for them once they are there (spec 22.6). Its desk
    never waits for nobody. One key: they have taken it with two before."""
    ready = {"1": _to("calling", "ring_council"), "3": _to("passed", "pass_on")}
    again = {"6": _to("calling", "ring_council")}
    nobody = _to("no_key")
    return _dialog(
        "wake",
        Step(name="wake", lines=("wake",), keys=ready, silence=_to("wake_again"), other=_to("wake_again")),
        Step(name="wake_again", lines=("wake",), keys=ready, silence=nobody, other=nobody),
        _back_council(again),
        *(_stays(name, again) for name in ("not_there", "no_number")),
        *(Step(name=name, lines=(name,), came=_called("back_council")) for name in ("calling", "calling_on")),
        Step(name="line", lines=(), room=True, back="back_council"),
        *(_end(name) for name in ("told", "bye", "passed", "no_key", "gone", "over")),
        openings=("gone", "over"),
    )


def _urgent() -> tuple[Step, ...]:
    """OCV-2 while somebody waits on the line: one key joins, since who presses it speaks to them at once."""
    keys = {"1": _to("joined", "join"), "3": _to("passed", "pass_on")}
    nobody = _to("no_key", "no_answer_key")
    return (
        Step(
            name="urgent",
            lines=("urgent",),
            keys=keys,
            silence=_to("urgent_again"),
            other=_to("urgent_again"),
        ),
        Step(name="urgent_again", lines=("urgent",), keys=keys, silence=nobody, other=nobody),
        Step(name="joined", lines=("joined",), room=True, back="back"),
        Step(name="calling_back", lines=("calling_back",), came=_CALLED),
    )


def _called_call() -> Dialog:
    """OCV-130: somebody has rung us and reached nobody. Awake, told, and the message played; then a second key. Who has
    taken it is joined to the caller by key 4 (D2A clause 4.6.6)."""
    plain = _summon_call("4", urgent=True)
    steps = dict(plain.steps)
    for name, lines in (("tell", 1), ("tell_again", 2)):
        steps[name] = structs.replace(steps[name], play_after=lines)
    for name, row in steps.items():
        if "4" in row.keys:
            steps[name] = structs.replace(row, keys={**row.keys, "4": _to("calling", "ring_caller")})
    return Dialog(first=plain.first, steps=MappingProxyType(steps), openings=plain.openings)


def _answerphone_call() -> Dialog:
    """NIGHT-1: nobody came for a caller. Who says nothing is asked once more (D2A clause 4.6.6)."""
    ends = ("thanks", "nothing", "nothing_withheld")
    unheard = Step(name="unheard", lines=("unheard", "tone"))
    return _dialog("hello", Step(name="hello", lines=("hello", "tone")), unheard, *(_end(n) for n in ends))


def _joined_call() -> Dialog:
    """JOIN-1, COV-2: one of ours waits on the line for who is rung; nothing is asked, and no key is needed."""
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello",), room=True, back="after"),
        *(_end(name) for name in ("after", "gone")),
        openings=("gone",),
    )


def _next_of_kin_call() -> Dialog:
    """NOKV-1: nothing is said before somebody says who they are (wording.md 3)."""
    yes = {"1": _to("why"), "9": _to("wrong", "wrong_number")}
    keys = {"1": _to("thanks", "spoke"), "2": _to("talk", "ring_me"), "3": _to("thanks", "can_go")}
    keys["*"] = _to("why")
    # before they have said who they are, nobody is called for them; afterwards their line is kept
    unknown, nobody = _to("ring_back", "no_answer_key"), _to("stay_on", "no_key")
    again = _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello",), keys=yes, silence=_to("hello_again"), other=_to("hello_again")),
        Step(name="hello_again", lines=("hello",), keys=yes, silence=unknown, other=unknown),
        Step(name="why", lines=("why", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("menu",), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("wrong", "thanks", "ring_back", "over")),
        *_kept(("talk", "talk"), ("stay_on", "stay_on")),
        openings=("over",),
    )


def _over_call() -> Dialog:
    """NOKV-130: what they were rung about is over. Said twice, and nothing is asked: a voicemail may be listening."""
    return _dialog("over", _end("over", "over", "again", "over", "bye"))


MINUTES = 3
"""Digits of the minutes that a care worker keys."""
LONGEST_WAY = 240
"""Minutes. Nobody is on the way for longer than that: it was something else, or a slip."""


def _minutes(name: str, otherwise: Turn) -> Step:
    return Step(
        name=name,
        lines=("minutes",),
        keys={"999": _to("help", "help")},
        silence=otherwise,
        other=otherwise,
        wait_s=8,
        digits=MINUTES,
        number=_to("on_my_way", "on_my_way"),
        most=LONGEST_WAY,
    )


def _return_call() -> Dialog:
    """NOKV-170: somebody is back (4.6.8). Nothing is said before it is known who listens."""
    yes = {"1": _to("tell", "heard"), "9": _to("wrong", "wrong_number")}
    keys = {"2": _to("talk", "ring_me"), "*": _to("tell")}
    unknown, bye = _to("ring_back", "no_answer_key"), _to("bye")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello",), keys=yes, silence=_to("hello_again"), other=_to("hello_again")),
        Step(name="hello_again", lines=("hello",), keys=yes, silence=unknown, other=unknown),
        Step(name="tell", lines=("tell", "menu"), keys=keys, silence=bye, other=bye),
        *(_end(name) for name in ("wrong", "ring_back", "bye")),
        *_kept(("talk", "talk")),
    )


def _locate_call() -> Dialog:
    """CWV-1: there, on the way with minutes, cannot, or help for themselves (spec 22.3).

    Who keys no minutes is on the way all the same. 999 is no number of minutes.
    """
    keys = {
        "1": _to("here", "there"),
        "2": _to("minutes"),
        "3": _to("cannot", "cannot"),
        "9": _to("help", "help"),
    }
    nobody = _to("no_key", "no_answer_key")
    again, unsaid = _to("again"), _to("on_my_way", "on_my_way")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("menu",), keys=keys, silence=nobody, other=nobody),
        _minutes("minutes", _to("minutes_again")),
        _minutes("minutes_again", unsaid),
        *(_end(name) for name in ("here", "on_my_way", "cannot", "no_key", "over")),
        *_kept(("help", "help")),
        openings=("over",),
    )


def _check_out_call() -> Dialog:
    """CWV-110: they have left, are there still, or want a person, whom their line is kept for (spec 19.6.4)."""
    keys = {
        "1": _to("left", "left"),
        "2": _to("still_here", "still_here"),
        "9": _to("help", "ring_me"),
    }
    nobody = _to("no_key", "no_answer_key")
    again = _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("menu",), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("left", "still_here", "no_key", "over")),
        *_kept(("help", "help")),
        openings=("over",),
    )


def _council_call() -> Dialog:
    """COV-1: nobody of ours has taken it, and the desk has agreed to such calls. No key, or music: not told."""
    keys = {"1": _to("joining", "talk"), "2": _to("reference"), "3": _to("noted", "noted")}
    again, nobody = _to("again"), _to("no_key", "no_key")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello",), keys=keys, silence=again, other=again),
        Step(name="again", lines=("hello",), keys=keys, silence=nobody, other=nobody),
        Step(name="reference", lines=("reference", "menu"), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("noted", "no_key")),
        *_kept(("joining", "joining")),
    )


def _speaker_call() -> Dialog:
    """SPV-1: who speaks for the service user, or the parent of a child; nobody's name before they say who they are."""
    yes = {"1": _to("why"), "9": _to("wrong", "wrong_number")}
    keys = {
        "1": _to("all_right", "all_right"),
        "2": _to("talk", "talk"),
        "3": _to("carer_here", "carer_here"),
        "*": _to("why"),
    }
    nobody = _to("ring_back", "no_key")
    again = _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello",), keys=yes, silence=_to("hello_again"), other=_to("hello_again")),
        Step(name="hello_again", lines=("hello",), keys=yes, silence=nobody, other=nobody),
        Step(name="why", lines=("why", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("menu",), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("wrong", "all_right", "talk", "carer_here", "ring_back", "over")),
        openings=("over",),
    )


def _offer_call() -> Dialog:
    """CWV-2: two keys to take a visit; silence is no, and nothing is held against it."""
    keys = {"1": _to("confirm"), "2": _to("thanks", "no")}
    sure = {"3": _to("yours", "go")}
    nobody = _to("thanks", "no_answer_key")
    again = _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "offer", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("offer", "menu"), keys=keys, silence=nobody, other=nobody),
        Step(name="confirm", lines=("confirm",), keys=sure, silence=nobody, other=nobody),
        *(_end(name) for name in ("yours", "gone", "unrecorded", "thanks")),
        openings=("gone", "unrecorded"),
    )


def _inbound_call() -> Dialog:
    """SUV-5: she rings us; nobody needs to press anything."""
    openings = ("on_the_way", "nobody")
    return _dialog("through", *(_end(name) for name in ("through", *openings)), openings=openings)


def _whisper_call() -> Dialog:
    """FREE-2, INV-1: who is rung for a caller is asked before they are joined: a voicemail is nobody."""
    wake = {"1": _to("tell", "take"), "3": _to("passed", "pass_on")}
    nobody = _to("passed", "no_answer_key")
    return _dialog(
        "wake",
        Step(name="wake", lines=("wake",), keys=wake, silence=_to("wake_again"), other=_to("wake_again")),
        Step(name="wake_again", lines=("wake",), keys=wake, silence=nobody, other=nobody),
        *(_end(name) for name in ("tell", "passed", "gone")),
        openings=("gone",),
    )


DIALOGS: Mapping[str, Dialog] = MappingProxyType(
    {
        "SUV-1": _first_call(),
        "SUV-2": _replacement_call(),
        "SUV-4": _practice_call(),
        "SUV-120": _weather_call(),
        "SUV-121": _first_call(),
        "SPV-121": _speaker_call(),
        "SUV-5": _inbound_call(),
        "SUV-10": _change_call(),
        "SPV-1": _speaker_call(),
        "NOKV-1": _next_of_kin_call(),
        "NOKV-170": _return_call(),
        "SUV-170": _dialog("excuse", _end("excuse")),
        "NOKV-130": _over_call(),
        "CWV-1": _locate_call(),
        "CWV-2": _offer_call(),
        "CWV-110": _check_out_call(),
        "JOIN-1": _joined_call(),
        "COV-1": _council_call(),
        "COV-2": _joined_call(),
        "OCV-1": _summon_call("456"),
        "OCV-150": _council_ready_call(),
        "OCV-2": _summon_call("4", urgent=True),
        "OCV-3": _summon_call(),
        "OCV-4": _summon_call(),
        "OCV-130": _called_call(),
        "RFV-1": _summon_call(),
        "NIGHT-1": _answerphone_call(),
        "OCV-180": _duty_call(),
        "FREE-2": _whisper_call(),
        "INV-1": _whisper_call(),
    }
)
"""By template. The free number is a machine of its own (`escalation.free_number`): who is asked what depends on the
line and on what was keyed before."""


def step_named(template: str, step: str) -> Step:
    """The step; "" is the first one. Raises KeyError for a template or step that does not exist."""
    dialog = DIALOGS[template]
    return dialog.steps[step or dialog.first]


def begin(template: str) -> Step:
    """The step with which a call begins. Raises KeyError for an unknown template."""
    return step_named(template, "")


def next_step(template: str, step: str, digit: str) -> Turn:
    """What a key (0-9, "*", "#"), a keyed number or silence ("") at a step leads to.

    At a step that awaits no key it leads nowhere: the same step, no answer. Raises KeyError as `step_named` does.
    """
    at = step_named(template, step)
    if digit == "":
        turn = at.silence
    elif number_keyed(template, step, digit) is not None:
        turn = at.number
    else:
        turn = at.keys.get(digit, at.other)
    return turn or Turn(step=at.name)


def number_keyed(template: str, step: str, digits: str) -> int | None:
    """The number that was keyed at a step that asks for one, from 1 to its `most`; else None.

    Raises KeyError as `step_named` does.
    """
    at = step_named(template, step)
    if at.number is None or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits) if 1 <= int(digits) <= at.most else None


def script(wording: Wording, template: str, step: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """The sentences of a step, in order, for a voice to read.

    Raises KeyError for an unknown template or step, ValueError for a missing value (its name, never values).
    """
    before, after = around_recording(wording, template, step, values)
    return (*before, *after)


def around_recording(
    wording: Wording, template: str, step: str, values: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The same, before and behind the recording that is played at this step; where none is, all of it is before.

    Raises as `script` does.
    """
    row = step_named(template, step)
    at = row.play_after or len(row.lines)
    said = [render_line(wording, template, line, values) for line in row.lines]
    before, after = said[:at], said[at:]
    return tuple(one for one in before if one), tuple(one for one in after if one)


# --- the check ---


def check_scripts(wording: Wording) -> list[Problem]:
    """Every problem of the calls: a script without its lines, a key that no prompt names, a name said too early."""
    problems: list[Problem] = []
    for template, dialog in DIALOGS.items():
        if template not in wording.call:
            problems.append(_problem(f"call.{template}", "missing", "this call is not there", "its lines"))
            continue
        for step in dialog.steps.values():
            problems += _step_problems(wording, template, step)
        problems += _early_problems(wording, template, dialog)
    return problems


def _step_problems(wording: Wording, template: str, step: Step) -> list[Problem]:
    lines = wording.call[template].lines
    path = f"call.{template}.lines"
    missing = [line for line in step.lines if line not in lines]
    if missing:
        return [
            _problem(f"{path}.{line}", "missing", "this line is not there", "its words") for line in missing
        ]
    named = keys_named(" ".join(lines[line] for line in step.lines))
    if named != step.named_keys:
        offered = ", ".join(sorted(step.named_keys)) or "no key"
        return [_problem(path, "keys", f"names the keys {sorted(named)}", f'"press N" for {offered}')]
    return []


def keys_named(text: str) -> set[str]:
    """The keys that a prompt names, as "press N" or "press star"."""
    found = re.findall(r"\bpress (star|hash|[0-9])\b", text.casefold())
    return {{"star": "*", "hash": "#"}.get(key, key) for key in found}


def _early_problems(wording: Wording, template: str, dialog: Dialog) -> list[Problem]:
    """Before the first key a voicemail may be listening, so staff and next of kin hear no service user's name."""
    call = wording.call[template]
    if call.audience in ("service_user", "care_worker"):
        return []
    first = dict.fromkeys(
        line
        for name in (dialog.first, *dialog.openings)
        for line in dialog.steps[name].lines
        if name not in _TOLD
    )
    return [
        _problem(f"call.{template}.lines.{line}", "too_early", f"says {{{name}}} before a key", "who we are")
        for line in first
        for name in sorted(set().union(*placeholders(call.lines.get(line, ""))) & _TELLING)
    ]


_TOLD = frozenset({"gone"})
"""Openings for somebody of ours who was summoned already: who has it is said to them."""
_TELLING = frozenset({"first", "id", "carer", "new", "flags", "what", "doing", "time", "spoken_time", "area"})


def _problem(path: str, code: str, message: str, expected: str) -> Problem:
    return Problem(path=path, code=code, message=message, expected=expected)
