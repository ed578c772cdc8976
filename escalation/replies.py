"""What people answer: questions by template, the reading of a text, and which question an answer belongs to.

A code is the question's slot, then one answer digit (docs/interface.md, "Answers by SMS"). The rules are rows:
what may be answered (`QUESTIONS`), and which words beside a code change nothing (`POLITE`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from msgspec import Struct, structs

Answer = Literal[
    # the service user
    "all_right",
    "talk",
    "carer_here",
    "no_key",
    "heard",
    "practised",
    # the care worker
    "there",
    "on_my_way",
    "cannot",
    "help",
    "left",
    "still_here",
    "ring_me",
    "go",
    "no",
    "cannot_after_all",
    "looked_everywhere",
    "found",
    "second_here",
    "second_not_here",
    # next of kin
    "spoke",
    "knows_where",
    "can_go",
    "wrong_number",
    # a council desk
    "noted",
    # staff
    "take",
    "pass_on",
    "still_mine",
    "start_duty",
    "no_answer_key",
    # staff, in a call alone
    "join",
    "ring_service_user",
    "ring_worker",
    "ring_council",
    "ring_caller",
    "told_council",
]
ANSWERS: tuple[Answer, ...] = Answer.__args__  # type: ignore[attr-defined]

Answers = Mapping[int, Answer]


def _answers(**by_digit: Answer) -> Answers:
    return MappingProxyType({int(name[1:]): answer for name, answer in by_digit.items()})


_SUMMON = _answers(_1="take", _2="pass_on")
_WORKER = _answers(_1="there", _2="on_my_way", _3="cannot")

QUESTIONS: Mapping[str, Answers] = MappingProxyType(
    {
        "SU-1": _answers(_1="all_right", _2="talk", _3="carer_here"),
        "SP-1": _answers(_1="all_right", _2="talk", _3="carer_here"),
        "SU-120": _answers(_1="all_right", _2="talk", _3="carer_here"),
        "SP-121": _answers(_1="all_right", _2="talk", _3="carer_here"),
        "NOK-1": _answers(_1="spoke", _2="ring_me", _3="can_go"),
        "NOK-2": _answers(_1="knows_where", _2="ring_me", _3="can_go"),
        "CW-1": _WORKER,
        "CW-2": _WORKER,
        "CW-150": _WORKER,
        "CW-5": _answers(_4="help"),
        "CW-120": _answers(_4="help"),
        "OC-120": _SUMMON,
        "OC-124": _SUMMON,
        "CW-6": _answers(_4="ring_me", _5="left", _6="still_here"),
        "CW-7": _answers(_1="go", _2="no"),
        "CW-8": _answers(_3="cannot_after_all"),
        "CW-10": _answers(_1="looked_everywhere", _2="found"),
        "CW-13": _answers(_7="second_here", _8="second_not_here"),
        "OC-1": _SUMMON,
        "OC-2": _answers(_2="pass_on", _3="still_mine"),
        "OC-3": _answers(_1="take"),
        "OC-4": _SUMMON,
        "OC-5": _SUMMON,
        "OC-7": _answers(_5="start_duty"),
        "OC-9": _SUMMON,
        "OC-10": _SUMMON,
        "OC-11": _SUMMON,
        "OC-12": _SUMMON,
        "OC-13": _SUMMON,
        "OC-14": _SUMMON,
        "OC-15": _SUMMON,
        "OC-16": _SUMMON,
        "OC-17": _SUMMON,
        "OC-18": _SUMMON,
        "OC-21": _SUMMON,
        "OC-220": _SUMMON,
        "OC-23": _SUMMON,
        "OC-27": _SUMMON,
        "OC-30": _SUMMON,
        "OC-31": _SUMMON,
        "OC-32": _SUMMON,
        "OC-41": _SUMMON,
        "OC-42": _SUMMON,
        "OC-43": _SUMMON,
        "OC-44": _SUMMON,
        "OC-45": _SUMMON,
        "OC-46": _SUMMON,
        "OC-140": _SUMMON,
        "OC-141": _SUMMON,
        "OC-33": _SUMMON,
        "OC-130": _SUMMON,
        "OC-51": _SUMMON,
        "OC-34": _SUMMON,
        "OC-95": _answers(_2="pass_on", _3="still_mine"),
        "OC-92": _SUMMON,
        "OC-93": _SUMMON,
        "OC-94": _SUMMON,
        "OC-35": _SUMMON,
        "OC-74": _SUMMON,
        "OC-86": _SUMMON,
        "OC-186": _SUMMON,
        "OC-190": _SUMMON,
        "BD-40": _SUMMON,
        "OC-191": _SUMMON,
        "OC-192": _SUMMON,
        "RF-1": _SUMMON,
        "RF-2": _SUMMON,
        "RF-3": _answers(_2="pass_on"),
        "OC-110": _SUMMON,
        "OC-111": _SUMMON,
        "OC-112": _SUMMON,
        "OC-171": _SUMMON,
        "OC-172": _SUMMON,
        "OC-173": _SUMMON,
    }
)

WHERE_ARE_YOU = frozenset({"CW-1", "CW-2", "CW-150"})
"""Before the alert, at it, and of who was sent: one question to the care worker, with the same answers and therefore
the same code."""


CHECK_OUT = frozenset({"CW-6"})
"""Whether a care worker has left: no arrival answers it."""


def same_question(one: str, other: str) -> bool:
    """Whether two templates put the same question: asked again, it keeps its slot."""
    return one == other or (one in WHERE_ARE_YOU and other in WHERE_ARE_YOU)


# --- reading a text ---

Word = Literal["help", "stop", "dont_come", "other"]

STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
HELP_WORDS = frozenset({"help", "info", "sos", "999"})
"""The HELP family, and what a person in need sends. 999 is no code: no question has nine answers; 112 may be one."""
START_WORDS = frozenset({"start", "yes", "unstop"})
"""Twilio acts on these too. To us they are words for a person to read: YES is no answer to "are you all right"."""

_TODAY = r"(?:today|tonight|tomorrow|now|this (?:morning|afternoon|evening|time))"
_ANYBODY = (
    r"(?:you|u|him|her|them|any(?:one|body|thing|more)|any one|any more|some(?:one|body)|no one|nobody|it|"
    r"(?:a |the |my |your |this |any )?(?:carers?|care workers?|visit|visits|call|calls|help|care))"
)
_DONT = r"(?:do not|dont)"
_NOT = r"(?:do not|dont|no longer|wont|will not)"
DONT_COME: tuple[str, ...] = (
    rf"{_DONT} (?:come|bother|visit|call (?:round|today|in)|turn up|send {_ANYBODY})",
    rf"{_NOT} (?:really |actually )?(?:need|want|require) {_ANYBODY}",
    rf"not {_TODAY}",
    r"stop coming",
    r"cancel\w*",
    r"(?:call|put) (?:it|the visit|my visit|the call|him|her|them) off|call off",
    rf"no need (?:to|for) (?:come|call|visit|bother|{_ANYBODY})",
    rf"no need {_TODAY}",
    r"no (?:carer|care worker|visit|call) (?:needed|wanted|required|necessary|please)",
    r"(?:not|isnt|arent) (?:needed|wanted|required|necessary)",
    rf"leave (?:it|me|us) {_TODAY}",
    rf"skip (?:it|me|us|{_TODAY}|the visit|my visit)",
    r"(?:stay|keep) away",
    rf"(?:do|manage|cope) without {_ANYBODY}",
)
"""What somebody says who wants nobody to come, a row each, with the apostrophes gone. It calls nothing off: a person
rings, and the visit stays in place (spec 22.2, 7.26; wording.md SU-12). What is missed here is read by a person too."""
_DONT_COME = re.compile(rf"\b(?:{'|'.join(row.replace(' ', '[^a-z0-9]+') for row in DONT_COME)})\b")

AT_DOOR: tuple[str, ...] = (
    r"(?:cannot|cant|can not|couldnt|could not|unable to) (?:get|gain) (?:in|entry|access)(?! touch| till| until)\b",
    r"(?:nobody|no one|noone|no body|not|isnt|wont) (?:is )?(?:open|answer)\w* (?:the |her |his |their |my )?door",
    r"(?:nobody|no one|noone) (?:opens|is opening|answers|is answering)$",
    r"no (?:reply|answer|response) (?:at|from) (?:the |her |his |their )?door",
    r"door (?:is )?(?:bolted|locked|not (?:opened|answered))",
)
"""What a care worker says who stands at a door that nobody opens, a row each, with the apostrophes gone (spec 7.24)."""
_AT_DOOR = re.compile(rf"\b(?:{'|'.join(row.replace(' ', '[^a-z0-9]+') for row in AT_DOOR)})")

POLITE = frozenset(
    re.findall(
        r"\w+",
        "ok okay thanks thank thx you ta cheers please pls x xx yes i am im all right alright fine well good "
        "my the carer is here there it have has",
    )
)
"""Beside a code these change nothing. None of them can turn "all right" into its opposite ("not" is absent)."""

THANKS = frozenset(
    ["ok", "okay", "thanks", "thank", "you", "thx", "ta", "cheers", "x", "xx", "many", "very", "much"]
)
"""A text of these alone wants nothing of anybody."""

_HARMLESS = re.compile(r"\b(?:no|not a) (?:problems?|probs?|worries|bother|rush)\b")
_DENIES = re.compile(
    r"\b(?:not?|nobody|never|nothing|none|cannot|unable|without|instead|wrong|mistake|"
    r"(?:ca|wo|is|are|was|were|did|do|does|have|has|had|could|would|should|ai)nt)\b"
)
"""Beside a code these may turn its answer into the opposite ("11 not there yet"), the apostrophes gone."""

_URGENT = r"(?<!not )(?<!non )(?<!no )(?<![a-z])(?:urgent|urgently|emergency)(?![a-z])"
_HELP = re.compile(rf"(?<![a-z])(?:help|sos)(?![a-z])|{_URGENT}")

_BEFORE_CODE = re.compile(r"(?:reply|answer|press|code|option)\b[\s:.#-]*")
_CODE = re.compile(r"([1-9][0-9]{0,2})(?![0-9])")
_CLOCK = re.compile(r"[0-9]{1,2}[.:][0-9]{2}(?![0-9])|[0-9]{1,2}(?:[ap]m\b|\s[ap]m\W*$)")
_MINUTES = re.compile(
    r"(?:and|in|about|around|approx|[-+,/ ])*([0-9]{1,3})\s*(?:m|min|mins|minute|minutes)?(?!\w|[.:][0-9])"
)
_HOURS = re.compile(r"(?:in|about|around|[-+,/ ])*(?:([1-9])|an?)\s*(?:h|hr|hrs|hour|hours)(?!\w|[.:][0-9])")
_UNIT = re.compile(r"\s*(?:m|min|mins|minute|minutes|h|hr|hrs|hour|hours)\b")
_LONGEST = 1600
"""Twilio's longest text. More than that is nobody's answer."""


class Reply(Struct, frozen=True, kw_only=True):
    """A text as it reads by itself, before any question is looked at.

    `number` is minutes. `word` is "other" when a person should read the text, also beside a code; "dont_come" when it
    says that nobody should come (`DONT_COME`).
    """

    code: str | None = None
    number: int | None = None
    word: Word | None = None
    door: bool = False
    """It says that nobody opens the door (`AT_DOOR`)."""
    against: bool = False
    """Its words may turn the answer of its code into the opposite."""
    thanks: bool = False
    """It is thanks and no more (`THANKS`)."""


def read_reply(text: str) -> Reply:
    """The code, the minutes and the kind of words in a text. Never raises.

    "5 1" is 51 as dictation writes it, but with `word` "other", because "2 1" from a service user is no answer
    that may calm anybody. A number with a unit, a clock time or a longer number is never a code.
    """
    plain = _plain(text)
    found = _read(plain)
    return structs.replace(
        found,
        door=_AT_DOOR.search(plain) is not None,
        against=found.code is not None and _DENIES.search(_HARMLESS.sub("", plain)) is not None,
        thanks=_is_thanks(plain),
    )


def _is_thanks(plain: str) -> bool:
    said = _words(plain)
    return bool(said) and THANKS.issuperset(said) and not re.search(r"[0-9?]", plain)


def _read(plain: str) -> Reply:
    squeezed = re.sub(r"[^0-9a-z]", "", plain)
    if squeezed in STOP_WORDS:
        return Reply(word="stop")
    if squeezed in HELP_WORDS or re.match(r"999\b", plain):
        return Reply(word="help")
    helped = _HELP.search(plain) is not None
    kind: Word = "help" if helped else "dont_come" if _DONT_COME.search(plain) else "other"
    found = _CODE.match(plain)
    if found is None or _CLOCK.match(plain) or _UNIT.match(plain, found.end()):
        return Reply(word=kind, number=_leading_minutes(plain))
    reply = _with_code(found[1], plain[found.end() :])
    return reply if kind == "other" else Reply(code=reply.code, number=reply.number, word=kind)


def _with_code(code: str, rest: str) -> Reply:
    joined = re.match(r"\s+([0-9])(?!\w|[.:][0-9])", rest)
    if len(code) == 1 and joined and not _UNIT.match(rest, joined.end()):
        return Reply(code=code + joined[1], word="other")
    if rest[:1].isalpha() and _words(rest)[:1] and _words(rest)[0] not in POLITE:
        return Reply(word="other")  # "1st", "2moro"
    number, rest = _minutes(rest)
    polite = "?" not in rest and not re.search(r"[0-9]", rest) and set(_words(rest)) <= POLITE
    return Reply(code=code, number=number, word=None if polite else "other")


def _minutes(rest: str) -> tuple[int | None, str]:
    hours = _HOURS.match(rest)
    if hours:
        return 60 * int(hours[1] or 1), rest[hours.end() :]
    minutes = _MINUTES.match(rest)
    if minutes:
        return int(minutes[1]), rest[minutes.end() :]
    return None, rest


def _leading_minutes(plain: str) -> int | None:
    with_unit = re.match(r"([0-9]{1,3})\s*(?:m|min|mins|minute|minutes)\b", plain)
    return int(with_unit[1]) if with_unit else None


_KIND_MARKS = frozenset("👍🙏❤😊🙂👌✅")


def _plain(text: str) -> str:
    """Lower case, plain digits, no marks; leading punctuation and "reply" gone; a doubtful sign becomes a word."""
    kept = "".join(_sign(char) for char in unicodedata.normalize("NFKC", text[:_LONGEST]))
    opened = re.sub(r"^(?:[^\w§]|_)+", "", kept.casefold())
    start = _BEFORE_CODE.match(opened)
    return opened[start.end() :] if start else opened


def _sign(char: str) -> str:
    category = unicodedata.category(char)
    if char in "'’`" or category in ("Mn", "Me", "Cf") or char in _KIND_MARKS or category == "Sk":
        return ""
    if category in ("So", "Cn", "Co", "Cs"):
        return " § "  # a picture may say anything: it counts as a word that a person reads
    return " " if category.startswith(("Z", "Cc")) else char


def _words(rest: str) -> list[str]:
    return re.findall(r"[^\W\d_]+|§", rest)


# --- questions and slots ---

SLOT_KEPT = timedelta(hours=12)
"""A slot is not given out again to the same phone for this long after its question (docs/interface.md)."""
SLOTS = range(1, 100)


class Question(Struct, frozen=True, kw_only=True, gc=False):
    """One question on one phone line. `key` is whatever the caller needs to find it again (the message's key)."""

    slot: int
    template: str
    key: str
    opened_at: datetime
    open: bool = True
    closed_at: datetime | None = None


class Matched(Struct, frozen=True, kw_only=True):
    """The answer to an open question. `number` is minutes, for answers that take them."""

    question: Question
    answer: Answer
    number: int | None = None


class Stale(Struct, frozen=True, kw_only=True):
    """The answer to a question that is closed: it is refused politely and changes nothing."""

    question: Question
    answer: Answer


UnmatchedReason = Literal[
    "stop",
    "help",
    "dont_come",
    "free_text",
    "no_open_question",
    "several_open",
    "no_such_question",
    "no_such_answer",
    "unclear",
]
UNMATCHED_REASONS: tuple[UnmatchedReason, ...] = UnmatchedReason.__args__  # type: ignore[attr-defined]


class Unmatched(Struct, frozen=True, kw_only=True):
    """No question's answer. From a service user every reason but `stop` goes before a person at once."""

    reason: UnmatchedReason


_REASONS: Mapping[Word | None, UnmatchedReason] = MappingProxyType({"help": "help", "dont_come": "dont_come"})

CALMING: frozenset[Answer] = frozenset({"all_right", "carer_here"})
"""Beside other words or a second number these are not taken: free text is never classified as all right."""
UNDONE_BY_NO: frozenset[Answer] = frozenset(
    {
        "there",
        "on_my_way",
        "left",
        "go",
        "looked_everywhere",
        "second_here",
        "spoke",
        "knows_where",
        "can_go",
        "take",
        "still_mine",
        "start_duty",
    }
)
"""These stop somebody from being asked, sent, rung or looked for: beside words that may deny them they are not taken,
and a person reads the words. What calls for somebody ("cannot", "help", "pass on") is taken, whatever is beside it."""
TAKES_NUMBER: frozenset[Answer] = frozenset({"on_my_way"})
_ASKS_FOR_HELP: tuple[Answer, ...] = ("talk", "help", "ring_me")
_NEWLY_CLOSED = timedelta(hours=12)


def match(questions: Sequence[Question], reply: Reply, now: datetime) -> Matched | Stale | Unmatched:
    """Which of a line's questions this reply answers (docs/interface.md, "Answers by SMS").

    HELP is the newest open question's call for a person, whatever else the text says. A bare digit counts only
    while exactly one question is open on the line, and only as an answer which that question has.
    """
    if reply.word == "stop":
        return Unmatched(reason="stop")
    if reply.word == "help" and (called := _call_for_person(questions)):
        return called
    if reply.code is None:
        return Unmatched(reason=_REASONS.get(reply.word, "free_text"))
    found = _bare(questions, now) if len(reply.code) == 1 else _by_slot(questions, int(reply.code[:-1]))
    return found if isinstance(found, Unmatched) else _answered(found, reply)


def _call_for_person(questions: Sequence[Question]) -> Matched | None:
    for question in sorted(questions, key=lambda q: q.opened_at, reverse=True):
        for answer in QUESTIONS.get(question.template, {}).values():
            if question.open and answer in _ASKS_FOR_HELP:
                return Matched(question=question, answer=answer)
    return None


def _bare(questions: Sequence[Question], now: datetime) -> Question | Unmatched:
    still_open = [question for question in questions if question.open]
    if len(still_open) == 1:
        return still_open[0]
    if still_open:
        return Unmatched(reason="several_open")
    recent = [question for question in questions if now - _last_used(question) < _NEWLY_CLOSED]
    return max(recent, key=_last_used) if recent else Unmatched(reason="no_open_question")


def _by_slot(questions: Sequence[Question], slot: int) -> Question | Unmatched:
    asked = [question for question in questions if question.slot == slot]
    return max(asked, key=lambda q: q.opened_at) if asked else Unmatched(reason="no_such_question")


def _answered(question: Question, reply: Reply) -> Matched | Stale | Unmatched:
    assert reply.code is not None
    answer = QUESTIONS.get(question.template, {}).get(int(reply.code[-1]))
    if answer is None:
        return Unmatched(reason="no_such_answer")
    if answer in CALMING and (reply.word is not None or reply.number is not None):
        return Unmatched(reason="dont_come" if reply.word == "dont_come" else "free_text")
    if reply.against and answer in UNDONE_BY_NO and reply.number is None:
        return Unmatched(
            reason="free_text"
        )  # "11 not there yet"; "12 40 could not leave sooner" names its time
    if reply.number is not None and answer not in TAKES_NUMBER:
        return Unmatched(reason="unclear")  # "51 52": taking it by mistake would stop the ringing
    if not question.open:
        return Stale(question=question, answer=answer)
    return Matched(question=question, answer=answer, number=reply.number)


def _last_used(question: Question) -> datetime:
    return question.closed_at or question.opened_at


def free_slot(questions: Sequence[Question], now: datetime) -> int:
    """The slot for a new question to this line: 1-9, then 10-99, none that was in use in the last 12 h.

    When all 99 are taken: that of the question which was closed longest ago; when all are open, the oldest.
    A code then leads to the newer question of that slot.
    """
    taken = {q.slot for q in questions if q.open or now - _last_used(q) < SLOT_KEPT}
    for slot in SLOTS:
        if slot not in taken:
            return slot
    newest = {q.slot: q for q in sorted(questions, key=lambda q: q.opened_at)}
    return min(newest.values(), key=lambda q: (q.open, _last_used(q), q.slot)).slot


def code(slot: int, answer: int) -> str:
    """What is texted back: slot 5, answer 2 is "52". Raises ValueError outside 1-99 and 1-9."""
    if slot not in SLOTS or not 1 <= answer <= 9:
        raise ValueError("expected a slot from 1 to 99 and an answer from 1 to 9")
    return f"{slot}{answer}"


def bare_allowed(template: str, questions: Sequence[Question]) -> bool:
    """Whether a new question may be asked with bare digits: of service users, and nothing else open there."""
    return template.startswith("SU-") and not any(question.open for question in questions)


def codes_for(template: str, slot: int, *, bare: bool = False) -> dict[str, str]:
    """The values `c1`, `c2`, … for a question's text; none for a template that asks nothing."""
    answers = QUESTIONS.get(template, {})
    return {f"c{n}": str(n) if bare else code(slot, n) for n in answers}
