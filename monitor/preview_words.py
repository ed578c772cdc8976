"""Every word that a desk would send or say: filled with an example and with the longest plausible names, the parts of
texts counted, scripts as text with their keys, and whatever the check refuses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from config.load import DeskConfig, DeskWords, Problem
from escalation.dialog import DIALOGS, Step
from escalation.free_number import TEMPLATE as FREE_NUMBER
from escalation.replies import codes_for
from escalation.wording import (
    GSM7_BASIC,
    GSM7_EXTENSION,
    PLACEHOLDERS,
    Audience,
    Call,
    Sms,
    Wording,
    longest,
    render_line,
    render_mail,
    render_page,
    render_phrase,
    render_sms,
    render_voicemail,
    sms_parts,
)
from monitor.wording_file import ENGLISH, desk_wording, load_wording, problems_of
from monitor.words import national

EXAMPLE: Mapping[str, str] = MappingProxyType(
    {name: row.sample for name, row in PLACEHOLDERS.items()}
    | {
        "agency": "Bright Care",
        "tel": "01632 960900",
        "time": "7.30am",
        "spoken_time": "half past seven",
        "min": "15",
        "day": "Tuesday",
        "carer": "Dee",
        "new": "Nia",
        "first": "Ida",
        "nok": "Tom",
        "now": "8.02am",
        "since": "7.52am",
        "until": "8.30am",
        "from": "5pm",
        "to": "9am",
        "id": "SU-7",
        "staff": "Pat",
        "link": "https://cw.example/board/bright/alerts/a1",
        "area": "Anerley",
        "flags": "time critical, lives alone",
        "n": "3",
        "m": "1",
        "what": "Dee signed in at 8.10am",
        "ref": "BR-1427",
        "init": "IM",
        "attempts": "8am, the person, telephone: not answered\n8.03am, the person, telephone: answering machine",
        "who": "the person",
        "result": "not answered",
    }
)
"""Ordinary names and times, where the longest ones would say too little."""


class TextShown(Struct, frozen=True, kw_only=True):
    """A text. `length` in characters as the network counts them, `parts` with the longest names."""

    id: str
    audience: Audience
    clause: str
    answerable: bool
    text: str
    example: str
    longest: str
    length: int
    parts: int
    alphabet: str


class StepShown(Struct, frozen=True, kw_only=True):
    """One step of a call: what is said, and where each key, silence and any other key lead."""

    step: str
    say: tuple[str, ...]
    keys: dict[str, str]
    silence: str | None
    other: str | None
    wait_s: int


class CallShown(Struct, frozen=True, kw_only=True):
    """A call. Of one that is led by a machine of its own (the free number) `steps` are its lines, without keys."""

    id: str
    audience: Audience
    clause: str
    steps: tuple[StepShown, ...]


class OtherShown(Struct, frozen=True, kw_only=True):
    """A voicemail, a mail (its subject first) or what our person reads aloud."""

    id: str
    kind: str
    audience: Audience
    clause: str
    example: str


class MessagesShown(Struct, frozen=True, kw_only=True):
    """All words of one desk. `problems` in the shape of `check-config`."""

    language: str
    texts: tuple[TextShown, ...]
    calls: tuple[CallShown, ...]
    others: tuple[OtherShown, ...]
    problems: tuple[Problem, ...]

    @property
    def refused(self) -> bool:
        """Whether a desk could not start with these words."""
        return any(problem.severity == "error" for problem in self.problems)


def preview_messages(desk: DeskConfig | None = None) -> MessagesShown:
    """Every template as the desk has it; without a desk as it is shipped. Words that cannot be read are problems, and
    the shipped ones are shown in their place."""
    words = _words_of(desk)
    problems = tuple(problems_of(words))
    try:
        wording = desk_wording(words.wording)
    except ValueError:
        wording = load_wording()
    known = {name: value for name, value in (("agency", words.name), ("tel", words.telephone)) if value}
    values = {**EXAMPLE, **known, "doing": "", "degraded": ""}
    values["doing"] = render_phrase(wording, "doing_ringing", values)
    return MessagesShown(
        language=wording.language,
        texts=tuple(_text(wording, name, sms, values, known) for name, sms in wording.sms.items()),
        calls=tuple(_call(wording, name, call, values) for name, call in wording.call.items()),
        others=tuple(_others(wording, values)),
        problems=problems,
    )


def _words_of(desk: DeskConfig | None) -> DeskWords:
    if desk is None:
        return DeskWords(path=ENGLISH, name="", telephone="")
    telephone = national(desk.telephone)
    return DeskWords(path=desk.id, name=desk.name, telephone=telephone, wording=desk.wording)


def _text(
    wording: Wording, name: str, sms: Sms, values: Mapping[str, str], known: Mapping[str, str]
) -> TextShown:
    long = longest(wording, sms.text, known)
    gsm = set(long) <= GSM7_BASIC | GSM7_EXTENSION
    return TextShown(
        id=name,
        audience=sms.audience,
        clause=sms.clause,
        answerable=sms.answerable,
        text=sms.text,
        example=render_sms(wording, name, {**values, **codes_for(name, 1)}),
        longest=long,
        length=len(long) + sum(1 for char in long if gsm and char in GSM7_EXTENSION),
        parts=sms_parts(long),
        alphabet="GSM-7" if gsm else "UCS-2",
    )


def _call(wording: Wording, name: str, call: Call, values: Mapping[str, str]) -> CallShown:
    dialog = DIALOGS.get(name)
    steps = (
        tuple(_step(wording, name, step, values) for step in dialog.steps.values())
        if dialog is not None
        else tuple(_line(wording, name, line, values) for line in call.lines)
    )
    return CallShown(id=name, audience=call.audience, clause=call.clause, steps=steps)


def _step(wording: Wording, name: str, step: Step, values: Mapping[str, str]) -> StepShown:
    lines = wording.call[name].lines
    keys = {key: turn.step for key, turn in step.keys.items()}
    if step.number is not None:
        keys["1 to " + str(step.most)] = step.number.step
    return StepShown(
        step=step.name,
        say=tuple(render_line(wording, name, line, values) for line in step.lines if line in lines),
        keys=keys,
        silence=step.silence.step if step.silence else None,
        other=step.other.step if step.other else None,
        wait_s=step.wait_s,
    )


def _line(wording: Wording, name: str, line: str, values: Mapping[str, str]) -> StepShown:
    said = render_line(wording, name, line, {**values, "n": "2"} if name == FREE_NUMBER else values)
    return StepShown(step=line, say=(said,), keys={}, silence=None, other=None, wait_s=0)


def _others(wording: Wording, values: Mapping[str, str]) -> list[OtherShown]:
    shown = [
        OtherShown(
            id=name,
            kind="voicemail",
            audience=entry.audience,
            clause=entry.clause,
            example=render_voicemail(wording, name, values),
        )
        for name, entry in wording.voicemail.items()
    ]
    shown += [
        OtherShown(
            id=name,
            kind="mail",
            audience=entry.audience,
            clause=entry.clause,
            example=render_mail(wording, name, values),
        )
        for name, entry in wording.mail.items()
    ]
    return shown + [
        OtherShown(
            id=name,
            kind="page",
            audience=entry.audience,
            clause=entry.clause,
            example=render_page(wording, name, values),
        )
        for name, entry in wording.page.items()
    ]
