"""Call scripts as rows: what is said at each step, which keys are awaited, and what each key leads to.

A step comes to its end by a key, or by silence with the line still open. Silence and keys that mean nothing always
lead on, to a person in the end, never in a circle; only a key that asks for it goes back. Staff take something on
with two keys (design rule 5): a sleepy thumb, a mail box that plays tones or a child is not a manager.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from escalation.replies import Answer
from escalation.wording import Problem, Wording, placeholders, render_line


class Turn(Struct, frozen=True, kw_only=True):
    """Where a key or silence leads: the next step, and the answer it settles, if any."""

    step: str
    answer: Answer | None = None


class Step(Struct, frozen=True, kw_only=True):
    """One row of a script. No `keys`: the call ends when the lines are said.

    `silence` and `other` are what follows `wait_s` seconds without a key, and a key that means nothing here.
    """

    name: str
    lines: tuple[str, ...]
    keys: Mapping[str, Turn] = MappingProxyType({})
    silence: Turn | None = None
    other: Turn | None = None
    wait_s: int = 6

    @property
    def awaits_key(self) -> bool:
        """Whether a key is awaited; otherwise the call ends after the lines."""
        return bool(self.keys)


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


def _first_call() -> Dialog:
    """SUV-1: the menu, once more after silence, once more after each wrong key, then a person rings (wording.md 2).

    Until a call can be joined live, key 2 and the end without a key promise what is true: somebody rings.
    """
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
    ends = (_end(name) for name in ("all_right", "talk", "carer_here", "ring_back", "over"))
    return _dialog("hello", *asked, *ends, openings=("over",))


def _replacement_call() -> Dialog:
    """SUV-2: who comes instead, and when (spec 22.5)."""
    keys = {"1": _to("heard", "heard"), "2": _to("talk", "talk")}
    nobody = _to("ring_back", "no_key")
    again = _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("hello", "menu"), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("heard", "talk", "ring_back")),
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


def _summon_call() -> Dialog:
    """OCV-1, OCV-2, OCV-3: awake, told, then a second key that takes it or passes it on."""
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
        *(_end(name) for name in ("taken", "passed", "no_key", "gone", "over")),
        openings=("gone", "over"),
    )


def _next_of_kin_call() -> Dialog:
    """NOKV-1: nothing is said before somebody says who they are (wording.md 3)."""
    yes = {"1": _to("why"), "9": _to("wrong", "wrong_number")}
    keys = {"1": _to("thanks", "spoke"), "2": _to("ring_back", "ring_me"), "3": _to("thanks", "can_go")}
    keys["*"] = _to("why")
    nobody = _to("ring_back", "no_key")
    again = _to("again")
    return _dialog(
        "hello",
        Step(name="hello", lines=("hello",), keys=yes, silence=_to("hello_again"), other=_to("hello_again")),
        Step(name="hello_again", lines=("hello",), keys=yes, silence=nobody, other=nobody),
        Step(name="why", lines=("why", "menu"), keys=keys, silence=again, other=again),
        Step(name="again", lines=("menu",), keys=keys, silence=nobody, other=nobody),
        *(_end(name) for name in ("wrong", "thanks", "ring_back")),
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
        *(_end(name) for name in ("yours", "gone", "thanks")),
        openings=("gone",),
    )


def _inbound_call() -> Dialog:
    """SUV-5: she rings us; nobody needs to press anything."""
    openings = ("on_the_way", "nobody")
    return _dialog("through", *(_end(name) for name in ("through", *openings)), openings=openings)


def _whisper_call() -> Dialog:
    """FREE-2: who is rung for a caller on the free number is asked before they are joined: a voicemail is nobody."""
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
        "SUV-5": _inbound_call(),
        "NOKV-1": _next_of_kin_call(),
        "CWV-2": _offer_call(),
        "OCV-1": _summon_call(),
        "OCV-2": _summon_call(),
        "OCV-3": _summon_call(),
        "OCV-4": _summon_call(),
        "FREE-2": _whisper_call(),
    }
)
"""By template. CWV-1 (minutes are keyed) and COV-1 (a live join) wait for their issues; the free number is a machine
of its own (`escalation.free_number`), since its care worker keys numbers."""


def step_named(template: str, step: str) -> Step:
    """The step; "" is the first one. Raises KeyError for a template or step that does not exist."""
    dialog = DIALOGS[template]
    return dialog.steps[step or dialog.first]


def begin(template: str) -> Step:
    """The step with which a call begins. Raises KeyError for an unknown template."""
    return step_named(template, "")


def next_step(template: str, step: str, digit: str) -> Turn:
    """What a key (0-9, "*", "#") or silence ("") at a step leads to.

    At a step that awaits no key it leads nowhere: the same step, no answer. Raises KeyError as `step_named` does.
    """
    at = step_named(template, step)
    turn = at.silence if digit == "" else at.keys.get(digit, at.other)
    return turn or Turn(step=at.name)


def script(wording: Wording, template: str, step: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """The sentences of a step, in order, for a voice to read.

    Raises KeyError for an unknown template or step, ValueError for a missing value (its name, never values).
    """
    said = (render_line(wording, template, line, values) for line in step_named(template, step).lines)
    return tuple(sentence for sentence in said if sentence)


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
    if named != set(step.keys):
        offered = ", ".join(sorted(step.keys)) or "no key"
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
    return [
        _problem(f"call.{template}.lines.{line}", "too_early", f"says {{{name}}} before a key", "who we are")
        for line in dialog.steps[dialog.first].lines
        for name in sorted(set().union(*placeholders(call.lines.get(line, ""))) & _TELLING)
    ]


_TELLING = frozenset({"first", "id", "carer", "new", "flags", "what", "doing", "time", "spoken_time", "area"})


def _problem(path: str, code: str, message: str, expected: str) -> Problem:
    return Problem(path=path, code=code, message=message, expected=expected)
