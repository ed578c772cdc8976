"""The words: rendered for texts and speech, counted in GSM-7 parts, and checked before anybody hears them.

Sections: what a wording file holds · times as people say them · GSM-7 · rendering · words that are refused · the
check. The file itself is read by the shell (`config/wording/*.toml`); here it is a dict already.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from escalation.replies import QUESTIONS

# --- what a wording file holds ---

Audience = Literal["service_user", "next_of_kin", "care_worker", "staff", "council", "provider"]
AUDIENCES: tuple[Audience, ...] = Audience.__args__  # type: ignore[attr-defined]
PUBLIC: frozenset[Audience] = frozenset({"service_user", "next_of_kin"})


class Sms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One text message. `answerable`: it asks a question of `replies.QUESTIONS`, so its sender is a +44 number."""

    text: str
    clause: str
    audience: Audience
    answerable: bool = False


class Call(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lines of one call, by name; `dialog.DIALOGS` says which line is spoken when."""

    clause: str
    audience: Audience
    lines: dict[str, str]


class Voicemail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be left on an answering machine: nothing but who we are and that we ask to be rung."""

    text: str
    clause: str
    audience: Audience


class Mail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An e-mail. A line of the body whose value has several rows is written once for each."""

    subject: str
    body: str
    clause: str
    audience: Audience


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one of our people reads aloud; `audience` is who listens."""

    text: str
    clause: str
    audience: Audience


class Wording(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every word of one language. `phrase` are the pieces that go into {flags}, {doing}, {degraded}, {what}."""

    language: str
    sms: dict[str, Sms]
    call: dict[str, Call]
    voicemail: dict[str, Voicemail]
    mail: dict[str, Mail]
    page: dict[str, Page]
    phrase: dict[str, str]


class Problem(Struct, frozen=True, kw_only=True):
    """One thing wrong with a wording file, in the shape of `check-config`."""

    path: str
    code: str
    message: str
    expected: str


_Entry = TypeVar("_Entry", Sms, Call, Voicemail, Mail, Page)
_SECTIONS = ("sms", "call", "voicemail", "mail", "page", "phrase")
FOR_COUNCIL = "council_"
"""Phrases whose name begins so are told to a council; all others to staff alone."""


def decode_wording(data: Mapping[str, Any], base: Wording | None = None) -> Wording:
    """A wording file, decoded from TOML. With `base`, a desk's overrides: new words for entries that `base` has.

    An override can change words only; audience and clause are the base's, so that no desk can move a text for a
    service user out of reach of the check. Raises ValueError with every problem, one a line, each with its path.
    """
    problems: list[str] = [
        f"{key}: unknown key, expected one of language, {', '.join(_SECTIONS)}"
        for key in data
        if key not in ("language", *_SECTIONS)
    ]
    language = data.get("language", base.language if base else None)
    if not isinstance(language, str):
        problems.append('language: missing or not text, expected a language such as "en-GB"')
    tables = {name: _table(name, data.get(name, {}), problems) for name in _SECTIONS}
    wording = Wording(
        language=str(language),
        sms=_entries("sms", tables["sms"], Sms, base.sms if base else None, problems),
        call=_entries("call", tables["call"], Call, base.call if base else None, problems),
        voicemail=_entries(
            "voicemail", tables["voicemail"], Voicemail, base.voicemail if base else None, problems
        ),
        mail=_entries("mail", tables["mail"], Mail, base.mail if base else None, problems),
        page=_entries("page", tables["page"], Page, base.page if base else None, problems),
        phrase=_phrases(tables["phrase"], base.phrase if base else None, problems),
    )
    problems.extend(
        f"{path}: {fault}" for path, _, text in _all_texts(wording) if (fault := _bad_syntax(text))
    )
    if problems:
        raise ValueError("\n".join(problems))
    return wording


def _table(path: str, value: Any, problems: list[str]) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    problems.append(f"{path}: expected a table")
    return {}


def _entries(
    section: str,
    table: Mapping[str, Any],
    kind: type[_Entry],
    base: Mapping[str, _Entry] | None,
    problems: list[str],
) -> dict[str, _Entry]:
    read: dict[str, _Entry] = dict(base or {})
    for name, value in table.items():
        path = f"{section}.{name}"
        if base is not None and name not in base:
            problems.append(f"{path}: unknown, expected an entry of the language's own file")
            continue
        try:
            read[name] = _override(base[name], value) if base is not None else msgspec.convert(value, kind)
        except ValueError as error:
            problems.append(f"{path}: {error}")
    return read


WORDS_OF: Mapping[type, tuple[str, ...]] = MappingProxyType(
    {Sms: ("text",), Call: ("lines",), Voicemail: ("text",), Mail: ("subject", "body"), Page: ("text",)}
)


def _override(entry: _Entry, value: Any) -> _Entry:
    words = WORDS_OF[type(entry)]
    if not isinstance(value, Mapping) or set(value) - set(words):
        allowed = "` and `".join(words)
        raise ValueError(f"expected nothing but `{allowed}`: an override changes words only")
    if isinstance(entry, Call):
        value = {"lines": {**entry.lines, **_known_lines(entry, value.get("lines", {}))}}
    return msgspec.convert({**msgspec.structs.asdict(entry), **value}, type(entry))


def _known_lines(entry: Call, lines: Any) -> Mapping[str, Any]:
    if not isinstance(lines, Mapping) or set(lines) - set(entry.lines):
        raise ValueError(f"expected lines from {', '.join(sorted(entry.lines))}")
    return lines


def _phrases(table: Mapping[str, Any], base: Mapping[str, str] | None, problems: list[str]) -> dict[str, str]:
    read = dict(base or {})
    for name, value in table.items():
        if not isinstance(value, str):
            problems.append(f"phrase.{name}: expected text")
        elif base is not None and name not in base:
            problems.append(f"phrase.{name}: unknown, expected a phrase of the language's own file")
        else:
            read[name] = value
    return read


def _all_texts(wording: Wording) -> Iterator[tuple[str, Audience, str]]:
    """Every text with its path and audience."""
    for name, sms in wording.sms.items():
        yield f"sms.{name}.text", sms.audience, sms.text
    for name, call in wording.call.items():
        for line, text in call.lines.items():
            yield f"call.{name}.lines.{line}", call.audience, text
    for name, voicemail in wording.voicemail.items():
        yield f"voicemail.{name}.text", voicemail.audience, voicemail.text
    for name, mail in wording.mail.items():
        yield f"mail.{name}.subject", mail.audience, mail.subject
        yield f"mail.{name}.body", mail.audience, mail.body
    for name, page in wording.page.items():
        yield f"page.{name}.text", page.audience, page.text
    for name, text in wording.phrase.items():
        yield f"phrase.{name}", "council" if name.startswith(FOR_COUNCIL) else "staff", text


# --- times as people say them ---

_SMALL = tuple(
    re.findall(
        r"\w+",
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty",
    )
)


def _number(value: int) -> str:
    return _SMALL[value] if value <= 20 else f"twenty-{_SMALL[value - 20]}"


def _hour(hour: int) -> str:
    return {0: "midnight", 12: "twelve"}.get(hour % 24) or _SMALL[hour % 12]


def spoken_time(local: datetime | time) -> str:
    """A local time for speech: "twenty past eight", "quarter to midnight", "seven minutes past nine"."""
    hour, minute = local.hour, local.minute
    if minute == 0:
        return {0: "midnight", 12: "midday"}.get(hour) or f"{_hour(hour)} o'clock"
    if minute == 30:
        return f"half past {_hour(hour)}"
    away = minute if minute < 30 else 60 - minute
    said = "quarter" if away == 15 else _number(away)
    if away % 5:
        said += " minute" if away == 1 else " minutes"
    return f"{said} past {_hour(hour)}" if minute < 30 else f"{said} to {_hour(hour + 1)}"


def clock_time(local: datetime | time) -> str:
    """A local time as it is read off a clock, to be heard in a second: "seven thirty-two", "eight oh five"."""
    hour, minute = local.hour, local.minute
    if minute == 0:
        return spoken_time(local)
    said = f"oh {_number(minute)}" if minute < 10 else _minutes(minute)
    return f"{_SMALL[hour % 12 or 12]} {said}"


def _minutes(minute: int) -> str:
    tens, ones = divmod(minute, 10)
    if minute <= 20:
        return _number(minute)
    named = ("twenty", "thirty", "forty", "fifty")[tens - 2]
    return f"{named}-{_number(ones)}" if ones else named


def text_time(local: datetime | time) -> str:
    """A local time for a text: "8.20am", "8am", "noon", "midnight"."""
    hour, minute = local.hour, local.minute
    if minute == 0 and hour in (0, 12):
        return "noon" if hour else "midnight"
    return f"{hour % 12 or 12}{f'.{minute:02}' if minute else ''}{'am' if hour < 12 else 'pm'}"


def text_day(local: datetime) -> str:
    """A local day for a text: "Mon 16 Nov"; a weekday alone would be the wrong one after a week."""
    return f"{local:%a} {local.day} {local:%b}"


def spoken_digits(text: str) -> str:
    """Digits one by one, so that a voice reads "0 2 0, 7 9 4 6" and not a number of millions."""
    groups = re.split(r"[\s-]+", text.strip())
    return ", ".join(re.sub(r"(?<=[0-9])(?=[0-9])", " ", group) for group in groups)


# --- GSM-7 (3GPP TS 23.038) ---

GSM7_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("^{}\\[~]|€")
"""Each of these takes two septets (an escape and itself)."""

_ALIKE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys("‘’‚‛′ʼ`´", "'"),
        **dict.fromkeys("“”„«»″", '"'),
        **dict.fromkeys("‐‑‒–—−•·", "-"),
        **dict.fromkeys("\t\f\v", " "),
        **dict(zip("ŁłĐđÐðŦŧĦħıƒƑƁɓƊɗƘƙ", "LlDdDdTtHhifFBbDdKk", strict=True)),
        **dict(zip("ƐɛƆɔƏə⁄", "EeOoEe/", strict=True)),
        "Œ": "OE",
        "œ": "oe",
        "Þ": "Th",
        "þ": "th",
        "Ŋ": "Ng",
        "ŋ": "ng",
        "ẞ": "SS",
        "…": "...",
    }
)
UNKNOWN = "?"


_GSM7 = frozenset(GSM7_BASIC) | frozenset(GSM7_EXTENSION)


def fold_gsm7(text: str) -> str:
    """The text in GSM-7 characters: Zoë is Zoe, Łukasz is Lukasz; a run of what has no likeness is one "?"."""
    if _GSM7.issuperset(text):
        return text
    folded = "".join(_fold(char) for char in unicodedata.normalize("NFC", text))
    return re.sub("\N{NULL}+", UNKNOWN, folded)


def _fold(char: str) -> str:
    if char in GSM7_BASIC or char in GSM7_EXTENSION:
        return char
    if char in _ALIKE:
        return _ALIKE[char]
    kept = "".join(
        part if part in GSM7_BASIC else _ALIKE.get(part, "") for part in unicodedata.normalize("NFKD", char)
    )
    if kept:
        return kept
    category = unicodedata.category(char)
    if category.startswith("Z"):
        return " " if category == "Zs" else "\n"
    return "" if category in ("Mn", "Me", "Mc", "Cf", "Cc") and char != "\N{NULL}" else "\N{NULL}"


def sms_parts(text: str) -> int:
    """How many parts a text is sent in: GSM-7 160, or 153 each; any other character makes it UCS-2: 70, or 67.

    An extension character counts two and is never split over two parts, nor is a surrogate pair. "" is 0.
    """
    chars = set(text)
    gsm = chars <= _GSM7
    whole, part = (160, 153) if gsm else (70, 67)
    if chars <= GSM7_BASIC:  # nearly every text: nothing in it counts two
        return min(1, len(text)) if len(text) <= whole else -(-len(text) // part)
    sizes = [2 if (char in GSM7_EXTENSION if gsm else ord(char) > 0xFFFF) else 1 for char in text]
    if sum(sizes) <= whole:
        return min(1, len(sizes))
    parts, used = 1, 0
    for size in sizes:
        if used + size > part:
            parts, used = parts + 1, 0
        used += size
    return parts


# --- what may be filled in ---


class Placeholder(Struct, frozen=True, kw_only=True):
    """A name in braces: a long example for the part count, its longest length, who may be told it."""

    sample: str
    audiences: frozenset[Audience]
    limit: int = 40


_EVERYBODY = frozenset(AUDIENCES)
_OURS: frozenset[Audience] = frozenset({"care_worker", "staff"})
_WORKING: frozenset[Audience] = frozenset({"care_worker", "staff", "council", "provider"})
_STAFF: frozenset[Audience] = frozenset({"staff"})
_TO_COUNCIL: frozenset[Audience] = frozenset({"staff", "council"})
_OF_PACKAGES: frozenset[Audience] = frozenset({"staff", "provider"})


def _row(sample: str, audiences: frozenset[Audience], limit: int = 40) -> Placeholder:
    return Placeholder(sample=sample, audiences=audiences, limit=limit)


PLACEHOLDERS: Mapping[str, Placeholder] = MappingProxyType(
    {
        "agency": _row("Penge Homecare", _EVERYBODY),
        "tel": _row("020 7946 0123", _EVERYBODY),
        "time": _row("11.45am", _EVERYBODY),
        "spoken_time": _row("twenty-three minutes past eleven", _EVERYBODY),
        "min": _row("45", _EVERYBODY),
        "day": _row("Wed 25 Nov", _EVERYBODY),
        "carer": _row("Christopher", _EVERYBODY - {"provider"}),
        "new": _row("Bartholomew", PUBLIC | _OURS | {"council"}),
        "first": _row("Maximiliana", _OURS | {"next_of_kin"}),
        "nok": _row("Constantine", frozenset({"next_of_kin"})),
        "now": _row("11.45am", _WORKING),
        "since": _row("11.45am", _OURS | {"council"}),
        "until": _row("11.45am", _WORKING),
        "from": _row("11.45pm", _STAFF),
        "to": _row("11.45am", _STAFF),
        "id": _row("SU-10427", _OURS),
        "staff": _row("Christopher", _OURS | {"council"}),
        "link": _row("https://cw.example/a/" + "x" * 22, _OURS | {"provider"}, 300),
        "area": _row("Crystal Palace", _OURS),
        "len": _row("45", _OURS),
        "drive": _row("25", _OURS),
        "away": _row("day centre", _STAFF),
        "whom": _row("the place where they are", _STAFF),
        "flags": _row("", _STAFF, 60),
        "doing": _row("", _STAFF, 80),
        "degraded": _row("", _STAFF, 90),
        "what": _row("", _STAFF, 160),
        "over": _row("a rota that would cancel visits", _STAFF, 60),
        "mail": _row("It has had no e-mail from us", _STAFF),
        "still": _row("and it is not over yet", _STAFF),
        "n": _row("127", _WORKING),
        "m": _row("12", _TO_COUNCIL),
        "free": _row("0800 123 4567", _OURS),
        "caller": _row("020 7946 0123", _STAFF),
        "who": _row("Maximiliana", _STAFF),
        "reached": _row("not reached", _STAFF),
        "told": _row("told 11.45am", _STAFF),
        "sent": _row("1 of 2 there, nobody sent yet", _STAFF, 120),
        "why": _row("not reached, and the hour has passed", _STAFF, 60),
        "ref": _row("BR-2026-01427", frozenset({"staff", "council", "provider"})),
        **{
            name: _row(sample, _TO_COUNCIL, limit)
            for name, sample, limit in (
                ("init", "MB", 8),
                ("date", "Wednesday 25 November 2026", 40),
                ("heading", "Not reached", 40),
                ("procedure", "missed visit clause", 60),
                ("found", "No arrival is recorded, and the person has not answered our calls", 200),
                ("cause", "Nobody has come to a service user within the hour", 80),
                ("hour", "The hour has passed, and nobody is with the person yet", 120),
                ("attempts", "11.45am, the care worker, telephone: answering machine", 200),
                ("kin", "not reached so far", 60),
                ("sending", "Bartholomew is on the way, due 11.45am", 200),
                ("spoken", "rung at 11.45am, 11.55am, 12.05pm: NOT ANSWERED", 200),
                ("rung", "11.45am, 11.55am, 12.05pm", 80),
                ("mailed", "11.45am", 40),
                ("later", "1.20pm", 40),
                ("desk", "Emergency Duty Team", 60),
                ("ending", "seen by Christopher at 11.45am", 80),
                ("record", "a1b2c3", 40),
                ("alone", "not known", 40),
                ("who", "the care worker", 40),
                ("how", "telephone", 40),
                ("result", "answering machine", 40),
                ("late_n", "12", 6),
                ("covered_n", "12", 6),
                ("red_n", "12", 6),
                ("passed_n", "12", 6),
                ("late_visits", "BR-2026-01427, MB, due 11.45am, answered us, nobody on the way", 200),
                ("covered_visits", "BR-2026-01427, MB, due 11.45am, family cover confirmed", 200),
                ("red_visits", "BR-2026-01427, MB, due 11.45am, not answered, nobody on the way", 200),
            )
        },
        "ward": _row("Crystal Palace and Anerley", _OF_PACKAGES, 60),
        "hours": _row("17.75", _OF_PACKAGES),
        **{
            name: _row(sample, _OF_PACKAGES, limit)
            for name, sample, limit in (
                ("kind", "hospital discharge", 40),
                ("visits", "4 visits a day: 30, 45, 30, 30 min", 120),
                ("workers", "two together", 40),
                ("critical", "some are time critical", 40),
                ("needs", "dementia, double-handed", 200),
                ("start", "Wed 25 Nov, 11.45am", 40),
                ("discharge", "Wed 25 Nov, 11.45am", 40),
                ("received", "Wed 25 Nov 2026, 11:45:59", 40),
            )
        },
        **{
            name: _row(sample, _STAFF, limit)
            for name, sample, limit in (
                ("provider", "Crystal Palace Homecare Limited", 60),
                ("source", "by telephone, entered by Christopher", 60),
                ("free_hours", "127", 40),
                ("declared_hours", "2750", 40),
                ("words", "Two care workers who know the area can begin", 200),
                ("reason", "no care workers with the skills", 60),
                ("supervisor", "by a field supervisor", 40),
                ("list", "30, 45, 30, 30", 80),
            )
        },
        **{f"c{n}": _row(f"9{n}", _EVERYBODY - {"council", "provider"}) for n in range(1, 10)},
    }
)
"""The closed set. Names and other values are cut at `limit`: a text over 1,600 characters is refused whole."""

VOICEMAIL_PLACEHOLDERS = frozenset({"agency", "tel"})

_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
ONE: Mapping[str, str] = MappingProxyType(
    {
        "visits": "visit",
        "people": "person",
        "minutes": "minute",
        "seconds": "second",
        "hours": "hour",
        "tries": "try",
        "times": "time",
        "rows": "row",
    }
)
"""What is counted in these words, and one of them. Behind it stands no verb: *1 visit are* would be as wrong."""
_COUNTED = re.compile(rf"\{{([a-z][a-z0-9_]*)\}} ({'|'.join(ONE)})\b")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")


def _bad_syntax(text: str) -> str | None:
    segments = _OPTIONAL.findall(text)
    if any(not _NAME.search(segment) for segment in segments):
        return "a part in [brackets] without a {name} in it would never be left out"
    if re.search(r"[{}\[\]]", _NAME.sub("", _OPTIONAL.sub(r"\1", text))):
        return "a stray brace or bracket, expected {name} and [optional part with a {name}]"
    return None


def placeholders(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names a text must have, and those it may do without because they stand in [brackets] only."""
    needed = frozenset(_NAME.findall(_OPTIONAL.sub("", text)))
    return needed, frozenset(_NAME.findall(text)) - needed


# --- rendering ---


def render_sms(wording: Wording, template: str, values: Mapping[str, str]) -> str:
    """A text, ready to be sent, in GSM-7 whatever the names are.

    Raises ValueError naming the template and the placeholders without a value, never the values; a [part] whose
    value is missing or empty is left out. Raises KeyError for a template that does not exist.
    """
    return fold_gsm7(_render(template, wording.sms[template].text, values, fold_gsm7))


def render_line(wording: Wording, template: str, line: str, values: Mapping[str, str]) -> str:
    """One line of a call, for a voice: names keep their letters, telephone numbers and ids are read digit by digit.

    Raises as `render_sms` does.
    """
    return _render(f"{template}.{line}", wording.call[template].lines[line], _spoken(values), str)


def render_voicemail(wording: Wording, template: str, values: Mapping[str, str]) -> str:
    """What is left on an answering machine. Raises as `render_sms` does."""
    return _render(template, wording.voicemail[template].text, _spoken(values), str)


def render_mail(wording: Wording, template: str, values: Mapping[str, str]) -> str:
    """A mail: the subject in the first line, then the body. Raises as `render_sms` does.

    A line is left out when all that stands in it is a [part] without a value; a value of several rows makes as many
    lines of its own.
    """
    mail = wording.mail[template]
    lines = [_render(template, mail.subject, _row_of(values, 0), str), ""]
    for line in mail.body.strip("\n").split("\n"):
        named = set(_NAME.findall(line))
        rows = max((len(values.get(name, "").split("\n")) for name in named), default=1)
        written = [_render(template, line, _row_of(values, row), str) for row in range(rows)]
        lines += [text for text in written if text or not line]
    return "\n".join(lines)


def _row_of(values: Mapping[str, str], row: int) -> dict[str, str]:
    split = {name: value.split("\n") for name, value in values.items()}
    return {name: rows[row] if row < len(rows) else rows[-1] for name, rows in split.items()}


def render_page(wording: Wording, name: str, values: Mapping[str, str]) -> str:
    """What one of our people reads aloud. Raises as `render_sms` does."""
    return _render(name, wording.page[name].text, values, str)


def render_phrase(wording: Wording, name: str, values: Mapping[str, str]) -> str:
    """A piece to be filled into {flags}, {doing}, {degraded} or {what}. Raises as `render_sms` does."""
    return _render(name, wording.phrase[name], values, str)


_READ_BY_DIGIT = frozenset({"tel", "id", "ref", "caller"})


def _spoken(values: Mapping[str, str]) -> dict[str, str]:
    return {name: spoken_digits(value) if name in _READ_BY_DIGIT else value for name, value in values.items()}


def _render(name: str, text: str, values: Mapping[str, str], fold: Callable[[str], str]) -> str:
    missing = sorted(placeholders(text)[0] - values.keys())
    if missing:
        raise ValueError(f"{name} needs a value for: {', '.join(missing)}")
    chosen = _OPTIONAL.sub(lambda part: _if_filled(part[1], values), _named_once(text, values))
    counted = _COUNTED.sub(lambda found: _one_or_more(found, values), chosen)
    filled = _NAME.sub(lambda found: _value(found[1], values[found[1]], fold), counted)
    return re.sub(r"\s+", " ", filled).strip()


def _named_once(text: str, values: Mapping[str, str]) -> str:
    """Of whom only the id is known it is the name, too: *su-9 su-9* would be two people."""
    first, by_id = values.get("first", ""), values.get("id", "")
    if not first or by_id not in (first, spoken_digits(first)):
        return text
    return text.replace("{first} {id}", "{id}").replace("{first}, {id}", "{id}")


def _one_or_more(found: re.Match[str], values: Mapping[str, str]) -> str:
    return f"{{{found[1]}}} {ONE[found[2]]}" if values[found[1]] == "1" else found[0]


def _if_filled(part: str, values: Mapping[str, str]) -> str:
    return part if all(values.get(name, "").strip() for name in _NAME.findall(part)) else ""


def _value(name: str, value: str, fold: Callable[[str], str]) -> str:
    """One line, cut at the limit; a folded value may be longer than it was, so it is folded before the cut."""
    row = PLACEHOLDERS.get(name)
    return re.sub(r"\s+", " ", fold(value)).strip()[: row.limit if row else 40]


# --- words that are refused (spec 22.2: never asked whether they still need the carer) ---

_US = (
    r"(?:us|them|someone|somebody|anyone|anybody|help today|a visit|(?:the|your|this|that) visit|"
    r"(?:a|the|your) care ?(?:r|worker))"
)
FORBIDDEN: tuple[str, ...] = (
    # the list of the wording rules
    r"still (?:need|want|require)\w*",
    rf"do you (?:really |actually |even )?(?:need|want|require) {_US}",
    r"(?:can|will|could) you manage",
    r"(?:can|will|could) you cope",
    r"would you rather",
    r"shall we leave",
    r"is it (?:all right|alright|ok|okay) if nobody",
    r"do you mind waiting until",
    r"wait until (?:lunch|lunchtime|teatime|tomorrow|the next)",
    r"skip",
    r"leave it (?:for )?today",
    r"is (?:your|the) (?:daughter|son|family) able",
    r"do without",
    r"happy to (?:wait|leave)",
    r"cancel (?:the|your|this) visit",
    # ours: the same question in other words
    rf"would you like {_US} to (?:come|visit|call off)",
    r"(?:shall|should|can) we (?:cancel|call (?:it )?off|still (?:come|send))",
    r"is (?:the|your|this) visit (?:\w+ )?(?:needed|wanted|required|necessary)",
    r"are you able to (?:manage|cope|wait)",
    r"(?:can|could) you wait",
)
"""Word by word, in any case. Between two words any run of spaces, line ends, hyphens, quotes or commas is a gap."""

_GAP = r"""[\s\-_,;:'"*/()+]+"""


def _any_gap(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{phrase.replace(' ?', f'(?:{_GAP})?').replace(' ', _GAP)})\b")


_FORBIDDEN = tuple(_any_gap(phrase) for phrase in FORBIDDEN)
_TAG = re.compile(r"<[^<>]*>")


def forbidden(text: str) -> list[str]:
    """The phrases in `text` that may be said to nobody, as they stand there; [] when there is none.

    Spec 22.2 and the wording rules. Case, spacing, typographic signs and mark-up between the words make no
    difference.
    """
    plain = "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf"
    ).casefold()
    plain = plain.replace("&nbsp;", " ").replace("’", "'")
    found = {
        " ".join(hit[0].split()): None
        for version in (plain, _TAG.sub(" ", plain))
        for pattern in _FORBIDDEN
        for hit in pattern.finditer(version)
    }
    return list(found)


# --- the check ---


class TextRule(Struct, frozen=True, kw_only=True):
    """Words that a kind of text may not hold."""

    code: str
    audiences: frozenset[Audience]
    pattern: str
    expected: str


RULES: tuple[TextRule, ...] = (
    TextRule(
        code="gendered",
        audiences=_EVERYBODY,
        pattern=r"\b(?:he|she|him|her|his|hers|himself|herself)\b",
        expected="names, no pronouns: nobody's gender is known (rule 7)",
    ),
    TextRule(
        code="finding",
        audiences=PUBLIC | {"council"},
        pattern=r"\b(?:safe|fine)\b",
        expected='facts: "safe" and "fine" are said only by a named person who saw or spoke to them (rule 3)',
    ),
    TextRule(
        code="private",
        audiences=PUBLIC,
        pattern=r"\b(?:key ?safe|address|diagnos\w+|dementia|lives? alone|medic\w+|incontinen\w+)\b",
        expected="no condition, no address, nothing about keys or living alone (rule 6)",
    ),
    TextRule(
        code="private",
        audiences=frozenset({"council"}),
        pattern=r"\b(?:key ?safe|diagnos\w+|dementia|medic\w+|incontinen\w+|address(?:es)?|postcode)\b",
        expected="reference and initials: ordinary e-mail and a duty desk's telephone are no place for more (CO-2)",
    ),
    TextRule(
        code="cold",
        audiences=_EVERYBODY,
        pattern=r"\bvalued customer\b|\bdear customer\b",
        expected="no customer-service phrases (rule 7)",
    ),
    TextRule(
        code="automated",
        audiences=frozenset({"service_user"}),
        pattern=r"\b(?:automat\w+|robot|computer)\b",
        expected="a useful word first: nothing about automation (rule 7)",
    ),
    TextRule(
        code="reserved_word",
        audiences=_EVERYBODY,
        pattern=(
            r"\b(?:reply|answer|text|txt|type|with)\s+(?:with\s+)?[\"']?"
            r"(?:stop|stopall|unsubscribe|cancel|end|quit|revoke|optout|start|yes|unstop|help|info)\b"
        ),
        expected="codes as answers: the network acts on STOP, YES, HELP and their like itself",
    ),
)

_RESERVED_IN_CAPITALS = re.compile(
    r"\b(?:STOP|STOPALL|UNSUBSCRIBE|CANCEL|END|QUIT|REVOKE|OPTOUT|START|YES|UNSTOP|INFO)\b|\bHELP\b(?! asked)"
)
_TELLING = re.compile(
    r"\b(?:visit|late|alone|key|keys|medic\w*|carer|worker|ill|fallen|hospital|away|empty|due|missed)\b"
)
KNOWN_LATE = frozenset({"sms.SU-7.text", "sms.SU-8.text", "sms.SU-9.text"})
"""Where the care worker or the office has said so. All else that a service user hears must be true when the care
worker forgot, when the phone is dead, and when nobody came (rule 4)."""


def check_wording(wording: Wording, known: Mapping[str, str] | None = None) -> list[Problem]:
    """Every problem of a wording file or of a desk's overrides; [] when it may be used. Never raises.

    `known` are values that are known beforehand (a desk's `agency` and `tel`), for an exact part count. The
    scripts' own check (keys and lines of calls) is `dialog.check_scripts`.
    """
    problems = [
        problem for path, audience, text in _all_texts(wording) for problem in _words(path, audience, text)
    ]
    for name, sms in wording.sms.items():
        problems += _sms_problems(name, sms)
    problems += too_long(wording, known or {})
    for name, voicemail in wording.voicemail.items():
        problems += _voicemail_problems(f"voicemail.{name}.text", voicemail.text)
    problems += [
        _problem(
            f"sms.{name}", "missing", "this text is not there", "a text for every question that is asked"
        )
        for name in QUESTIONS
        if name not in wording.sms
    ]
    return problems


def _problem(path: str, code: str, message: str, expected: str) -> Problem:
    return Problem(path=path, code=code, message=message, expected=expected)


def _words(path: str, audience: Audience, text: str) -> Iterator[Problem]:
    for phrase in forbidden(text):
        yield _problem(
            path, "forbidden", f'says "{phrase}"', "never a question whether the visit is wanted (22.2)"
        )
    lower = text.casefold()
    for rule in RULES:
        if audience in rule.audiences and (hit := re.search(rule.pattern, lower)):
            yield _problem(path, rule.code, f'says "{hit[0]}"', rule.expected)
    if hit := _RESERVED_IN_CAPITALS.search(text):
        yield _problem(path, "reserved_word", f'says "{hit[0]}"', "no word on which the network acts itself")
    if (
        audience == "service_user"
        and path not in KNOWN_LATE
        and re.search(r"\b(?:late|later|delayed)\b", lower)
    ):
        yield _problem(
            path, "late_unknown", "says that the carer is late", '"has not signed in with us yet" (rule 4)'
        )
    for name in sorted(set(_NAME.findall(text))):
        row = PLACEHOLDERS.get(name)
        if row is None:
            yield _problem(path, "placeholder", f"{{{name}}} is unknown", f"one of {', '.join(PLACEHOLDERS)}")
        elif audience not in row.audiences:
            yield _problem(
                path, "audience", f"tells {{{name}}} to {audience}", "nothing that they may not be told"
            )


def too_long(wording: Wording, known: Mapping[str, str]) -> list[Problem]:
    """The texts that take more parts than they should, with these known values in them (see `check_wording`)."""
    samples, problems = _samples(wording, known), []
    for name, sms in wording.sms.items():
        most = 2 if sms.audience in (_OURS | {"next_of_kin"}) else 1
        parts = sms_parts(_filled(sms.text, samples))
        if parts > most:
            said = f"takes {parts} parts with long names"
            problems.append(_problem(f"sms.{name}.text", "too_long", said, f"at most {most}"))
    return problems


def _sms_problems(name: str, sms: Sms) -> Iterator[Problem]:
    path = f"sms.{name}.text"
    if sms.text != fold_gsm7(sms.text):
        yield _problem(path, "not_gsm7", "has a character outside GSM-7", "plain quotes, hyphens and letters")
    if sms.audience in PUBLIC and "{agency}" not in sms.text:
        yield _problem(
            path, "who", "does not say who we are", "{agency} in every text to the public (rule 1)"
        )
    yield from _question_problems(path, name, sms)


def _question_problems(path: str, name: str, sms: Sms) -> Iterator[Problem]:
    stated = {int(number) for number in re.findall(r"\{c([1-9])\}", sms.text)}
    answers = set(QUESTIONS.get(name, {}))
    if stated != answers:
        yield _problem(
            path,
            "answers",
            f"offers the answers {sorted(stated)}",
            f"{sorted(answers)}, as the question of this name is understood",
        )
    if sms.answerable != bool(stated):
        yield _problem(
            path, "answerable", "`answerable` and the codes do not agree", "true where there is a code"
        )
    if re.search(r"\b(?:reply|press)\b(?!\s+\{c)", sms.text.casefold().replace("no reply", "")):
        yield _problem(path, "bare_code", "asks for a reply without a code", "{c1}, {c2}, … after the word")
    somebody = stated or {"tel", "link"} & set(_NAME.findall(sms.text)) or "lease ring" in sms.text
    if "?" in sms.text and not somebody:
        yield _problem(
            path, "unanswerable", "asks what nobody can answer", "a code, {tel} or {link} beside it"
        )
    if sms.audience == "service_user" and len(stated) > 3:
        yield _problem(path, "choices", f"has {len(stated)} choices", "at most three (rule 8)")


def _voicemail_problems(path: str, text: str) -> Iterator[Problem]:
    for name in sorted(set(_NAME.findall(text)) - VOICEMAIL_PLACEHOLDERS):
        yield _problem(path, "voicemail", f"tells {{{name}}} to whoever listens", "{agency} and {tel} alone")
    if hit := _TELLING.search(text.casefold()):
        yield _problem(
            path, "voicemail", f'says "{hit[0]}"', "that we ask to be rung, and nothing else (rule 6)"
        )


def longest(wording: Wording, text: str, known: Mapping[str, str] = MappingProxyType({})) -> str:
    """The text with long names and the longest phrases: what the part count is of. An empty [part] is left out.

    {doing} and {degraded} are never said together: in degraded mode nobody but staff is contacted.
    """
    return _filled(text, _samples(wording, known))


def _samples(wording: Wording, known: Mapping[str, str]) -> dict[str, str]:
    samples = {name: row.sample for name, row in PLACEHOLDERS.items()}
    samples |= {name: fold_gsm7(value) for name, value in known.items()}
    samples |= _longest_phrases(wording, samples)
    samples["doing" if len(samples["doing"]) < len(samples["degraded"]) else "degraded"] = ""
    return samples


def _filled(text: str, samples: Mapping[str, str]) -> str:
    kept = _OPTIONAL.sub(lambda part: _if_filled(part[1], samples), text)
    return _NAME.sub(lambda hit: samples.get(hit[1], ""), kept)


def _longest_phrases(wording: Wording, samples: Mapping[str, str]) -> dict[str, str]:
    filled = {
        name: fold_gsm7(_NAME.sub(lambda hit: samples.get(hit[1], ""), phrase))
        for name, phrase in wording.phrase.items()
    }

    def of(prefix: str) -> list[str]:
        return [text for name, text in filled.items() if name.startswith(prefix)]

    return {
        "flags": ", ".join(of("flag_")),
        "degraded": filled.get("degraded", ""),
        "doing": max(of("doing_"), key=len, default=""),
        "what": max(of("ended_"), key=len, default=""),
    }
