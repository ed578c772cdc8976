"""What in a referral's text may name somebody: names, full postcodes, dates of birth, NHS numbers, telephone numbers,
mail addresses, a house number with its street.

It helps a broker who has forgotten a line; it proves nothing. What it cannot find, and what it finds by mistake, stands
in decision 0037 and in tests/core/test_anonymous.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date

from msgspec import Struct

from monitor.core.placing import words_known as words
from monitor.core.placing.inputs import MarkKind

ADULT_YEARS = 15
"""A day that lies so many years back, and more, is a date of birth."""
CHILD_YEARS = 1
"""The same in a package for a child."""


class Mark(Struct, frozen=True, kw_only=True, gc=False):
    """Characters `start` up to, not including, `end` may name somebody."""

    kind: MarkKind
    start: int
    end: int


def find(
    text: str, *, today: date, known: Collection[str] = (), years: int = ADULT_YEARS
) -> tuple[Mark, ...]:
    """Every place in the text that may name somebody, from its beginning on, none within another.

    `known`: words that name nobody here (wards, areas, organisations), in small letters.
    """
    found: list[Mark] = []
    rest = text
    for kind, spans in (
        ("email", _emails),
        ("birth_date", lambda left: _births(left, today, years)),
        ("nhs_number", _nhs_numbers),
        ("telephone", _telephones),
        ("postcode", _postcodes),
        ("address", _addresses),
        ("name", lambda left: _names(left, frozenset(known))),
    ):
        marks = [Mark(kind=kind, start=start, end=end) for start, end in spans(rest)]  # type: ignore[arg-type]
        found += marks
        for mark in marks:
            rest = rest[: mark.start] + "\x00" * (mark.end - mark.start) + rest[mark.end :]
        if kind == "birth_date":
            # what is left of days is none, but its figures are no telephone number either
            rest = _without_days(rest)
    return tuple(sorted(found, key=lambda mark: mark.start))


Span = tuple[int, int]
_EMAIL = re.compile(r"[\w.+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}")


def _emails(text: str) -> Iterator[Span]:
    return (one.span() for one in _EMAIL.finditer(text))


# --- days ---

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_D, _Y = r"\d{1,2}", r"(?:\d{4}|['’]?\d{2})"
_DAYS = (
    re.compile(rf"(?<![\d./-])(?P<d>{_D})\s?[./-]\s?(?P<m>{_D})\s?[./-]\s?(?P<y>{_Y})(?![\d])"),
    re.compile(r"(?<![\d./-])(?P<d>\d{1,2})\s(?P<m>\d{1,2})\s(?P<y>(?:19|20)\d{2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>(?:18|19|20)\d{2})[./-](?P<m>\d{1,2})[./-](?P<d>\d{1,2})(?!\d)"),
    re.compile(
        rf"(?<!\d)(?P<d>{_D})\s?(?:st|nd|rd|th)?[\s.-]{{0,2}}(?:of\s)?\s?(?P<n>{_MONTH})\.?[,\s-]{{0,3}}(?P<y>{_Y})(?!\d)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?P<n>{_MONTH})\.?\s(?P<d>{_D})(?:st|nd|rd|th)?(?:,\s?|\s)(?P<y>{_Y})(?!\d)", re.IGNORECASE
    ),
    re.compile(r"(?<!\d)(?P<d>\d{2})(?P<m>\d{2})(?P<y>(?:19|20)\d{2})(?!\d)"),
    re.compile(rf"\b(?P<n>{_MONTH})\.?,?\s(?P<y>(?:19|20)\d{{2}})(?!\d)", re.IGNORECASE),
)
_BORN = re.compile(
    r"\b(?:d\.?\s?o\.?\s?b\b\.?|date\s+of\s+birth|birth\s?da(?:te|y)|year\s+of\s+birth|y\.?o\.?b\b\.?|born|b\.)"
    r"(?:\s+(?:is|on|in|was|the|circa))*[\s:=.,-]{0,4}\(?"
    rf"(?P<when>\d[\d./\s-]{{0,11}}\d|(?:\d{{1,2}}\s?)?{_MONTH}\b[\s\d]{{0,8}})",
    re.IGNORECASE,
)


def _births(text: str, today: date, years: int) -> Iterator[Span]:
    spans = [one.span() for one in _BORN.finditer(text)]
    spans += [span for span, day in _days(text, today) if day is not None and _back(day, today) >= years]
    last = -1
    for start, end in sorted(spans):
        if start >= last:
            yield start, end
            last = end


def _back(day: date, today: date) -> int:
    return today.year - day.year - ((today.month, today.day) < (day.month, day.day))


def _days(text: str, today: date) -> Iterator[tuple[Span, date | None]]:
    for pattern in _DAYS:
        for one in pattern.finditer(text):
            yield one.span(), _day(one.groupdict(), today)


def _day(parts: dict[str, str | None], today: date) -> date | None:
    """The day that is meant; None where there is none such. Of two figures of a year: the last such year."""
    year = int((parts["y"] or "").strip("'’"))
    if year < 100:
        year += today.year // 100 * 100
        year -= 100 if year > today.year else 0
    name = parts.get("n")
    month = _MONTHS.index(name[:3].lower()) + 1 if name else int(parts["m"] or 0)
    day = int(parts.get("d") or 1)
    for first, second in ((month, day), (day, month)):
        try:
            return date(year, first, second)
        except ValueError:
            continue
    return None


def _without_days(text: str) -> str:
    for pattern in _DAYS[:-2]:
        text = pattern.sub(lambda one: "\x00" * len(one[0]), text)
    return text


# --- numbers ---

_RUN = re.compile(r"(?<![\w.])\+?\(?\d(?:[\s().–-]{0,3}\d)*")
_GROUP = re.compile(r"\d+")
MOST_GROUPS = 15
"""Groups of figures in one telephone number."""
_NHS = re.compile(r"(?<![\d+])\d{3}[\s.–-]{0,2}\d{3}[\s.–-]{0,2}\d{4}(?!\d)")
_NHS_SAID = re.compile(
    r"\bn\.?h\.?s\.?(?:\s*(?:no|number|num|nr|id))?\.?[\s:#=]{0,4}(?P<n>\d(?:[\s.–-]{0,2}\d){8,10})(?!\d)",
    re.IGNORECASE,
)


def _nhs_numbers(text: str) -> Iterator[Span]:
    said = [one.span("n") for one in _NHS_SAID.finditer(text)]
    yield from said
    for one in _NHS.finditer(text):
        if is_nhs_number(one[0]) and all(one.end() <= start or end <= one.start() for start, end in said):
            yield one.span()


def is_nhs_number(text: str) -> bool:
    """Ten digits whose last one is right (modulus 11)."""
    digits = [int(one) for one in text if one.isdecimal()]
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    check = 11 - sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=False)) % 11
    return check % 11 == digits[9] and check != 10


def _telephones(text: str) -> Iterator[Span]:
    for run in _RUN.finditer(text):
        groups = list(_GROUP.finditer(text, run.start(), run.end()))
        at = 0
        while at < len(groups):
            last = _telephone(text, groups, at)
            if last is not None:
                plus = 1 if text[max(groups[at].start() - 1, 0)] == "+" else 0
                yield groups[at].start() - plus, groups[last].end()
                at = last
            at += 1


def _telephone(text: str, groups: list[re.Match[str]], at: int) -> int | None:
    """Up to which group a telephone number goes that begins here."""
    first = groups[at][0]
    abroad = groups[at].start() > 0 and text[groups[at].start() - 1] == "+"
    lengths = (
        range(9, 16)
        if abroad
        else range(12, 16)
        if first.startswith("00")
        else (10, 11)
        if first.startswith("0")
        else (12, 13)
        if first.startswith("44")
        else (10,)
        if first.startswith("7") and len(first) in (4, 10)
        else ()
    )
    if _times(groups[at : at + 2]):
        return None
    total, found = 0, None
    for index in range(at, min(at + MOST_GROUPS, len(groups))):
        total += len(groups[index][0])
        if total in lengths:
            found = index
    if found is None and at + 1 < len(groups) and _of_london(groups[at], groups[at + 1]):
        return at + 1
    return found


def _times(groups: list[re.Match[str]]) -> bool:
    """Two or more times of the day without a colon: 0700-0900."""
    first = [one[0] for one in groups]
    return len(first) == 2 and all(
        len(one) == 4 and int(one[:2]) < 25 and int(one[2:]) < 60 and int(one) % 5 == 0 for one in first
    )


def _of_london(first: re.Match[str], second: re.Match[str]) -> bool:
    """Eight figures as London writes a number without its 020; a pair of years is none."""
    one, two = first[0], second[0]
    years = all(1900 <= int(group) <= 2100 for group in (one, two))
    return len(one) == len(two) == 4 and one[0] in "3678" and not years


# --- places ---

_POSTCODE = re.compile(
    r"(?<![^\W_])(?P<area>[a-z]{1,2})\d[a-z\d]?(?P<gap>[\s.–-]{0,3})\d(?P<last>[abd-hjlnp-uw-z]{2})(?![^\W_])",
    re.IGNORECASE,
)
_NOT_LAST = frozenset({"st", "nd", "rd", "th", "hr", "x"})
"""Behind a space, in small letters: *2nd*, *5hr*."""


def _postcodes(text: str) -> Iterator[Span]:
    for one in _POSTCODE.finditer(text):
        counted = bool(one["gap"]) and one["last"] in _NOT_LAST
        if one["area"].lower() in words.POSTCODE_AREAS and not counted:
            yield one.span()


_HOUSE = r"(?<![\w/.:])(?P<no>\d{1,4}\s?[a-d]?(?:\s?[/-]\s?\d{1,4}[a-d]?)?),?[ \t]+"
_SURE = r"street|road|rd|avenue|ave|lane|gardens|gdns|crescent|cres|terrace|mews|boulevard|cottages|mansions|villas"
_UNSURE = (
    r"St|Close|Cl|Drive|Dr|Way|Court|Ct|Place|Pl|Walk|Hill|Park|Square|Sq|Row|Rise|View|Green|House|Grove|Parade|Mead|Vale|"
    r"Croft|End|Approach|Broadway|Yard|Wharf|Buildings|Heights|Path|Common|Fields?|Meadows?|Chase|Dene|Glade|Ridge|Bank|"
    r"Lodge|Tower|Towers|Point|Quay|Mount|Orchard|Oval|Circus|Wood"
)
_SURE_STREET = re.compile(rf"{_HOUSE}(?P<name>(?:[^\W\d_][\w'’.]*[ \t]+){{1,3}})(?:{_SURE})\b", re.IGNORECASE)
_UNSURE_STREET = re.compile(
    rf"{_HOUSE}(?P<name>(?:[^\W\d_a-z][\w'’.]*[ \t]+){{1,3}})(?:{_UNSURE}|{_UNSURE.upper()})\b"
)


def _addresses(text: str) -> Iterator[Span]:
    for pattern in (_SURE_STREET, _UNSURE_STREET):
        for one in pattern.finditer(text):
            named = one["name"].lower().split()
            if named[0] == "the" or not words.NO_STREET.intersection(named):
                yield one.span()
                text = text[: one.start()] + " " * (one.end() - one.start()) + text[one.end() :]


# --- names ---

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PHRASES = re.compile(
    r"\b(?:marie curie|sara stedy|sara plus|florence nightingale|mary seacole|st\.? john(?:'s|s)? ambulance|red cross"
    r"|jehovah'?s witness(?:es)?|guy'?s and st\.? thomas'?|meals on wheels|age uk|power of attorney|baby p|wendy house"
    r"|lewy body|court of protection|section \d+|gold standards?)\b",
    re.IGNORECASE,
)
_NAME_LABEL = re.compile(
    r"\b(?:(?:full|first|last|preferred|patient|client|su|sur|fore|service\s+user)\s?'?s?\s?)?"
    r"(?:name|nok|next\s+of\s+kin)"
    r"(?:\s+is|\s*[:=-])\s+(?P<name>[^\W\d_][\w'’-]+(?:[ \t]+[^\W\d_a-z][\w'’-]+){0,2})",
    re.IGNORECASE,
)
_KNOWN_AS = re.compile(
    r"\b(?:known\s+as|called|named|goes\s+by|likes\s+to\s+be\s+called|answers\s+to|asks?\s+for)"
    r"\s+['‘\"“]?(?P<name>[^\W\d_][\w'’-]+)",
    re.IGNORECASE,
)
_MONTH_NAMES = frozenset({"april", "may", "june"})


class _Token(Struct, frozen=True, kw_only=True):
    text: str
    start: int
    end: int
    plain: str
    """In small letters, without a possessive, an apostrophe within, or a dot."""

    @property
    def capital(self) -> bool:
        """It begins with a capital letter, and not all of it is in capitals."""
        return self.text[0].isupper() and any(letter.islower() for letter in self.text)

    @property
    def shouted(self) -> bool:
        return len(self.text) > 1 and self.text.isupper()


def _plain(text: str) -> str:
    found = text.lower().replace("’", "'")
    if found.endswith("'s"):
        found = found[:-2]
    return found.rstrip("'").replace("'", "")


class _Names:
    """The names of one text."""

    def __init__(self, text: str, known: frozenset[str]) -> None:
        self._text = text
        self._known = known
        self._quiet = [one.span() for one in _PHRASES.finditer(text)]
        found = (one for one in _WORD.finditer(text))
        self._tokens = [
            _Token(text=one[0], start=one.start(), end=one.end(), plain=_plain(one[0])) for one in found
        ]
        self._taken: set[int] = set()

    def spans(self) -> Iterator[Span]:
        found = [*self._labelled(), *self._titled(), *self._runs(), *self._single()]
        last = -1
        for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
            if start >= last:
                yield start, end
                last = end

    # what kind of word it is

    def _is_known(self, token: _Token) -> bool:
        plain = token.plain
        return (
            plain in self._known
            or plain in words.KNOWN
            or any(start <= token.start < end for start, end in self._quiet)
        )

    def _is_first(self, token: _Token) -> bool:
        parts = (token.plain, *token.plain.split("-"))
        return any(part in words.FIRST_NAMES for part in parts) and not self._is_known(token)

    def _is_surname(self, token: _Token) -> bool:
        parts = (token.plain, *token.plain.split("-"))
        return any(part in words.SURNAMES for part in parts) and not self._is_known(token)

    def _is_ordinary(self, token: _Token) -> bool:
        plain = token.plain
        listed = plain in words.ORDINARY or plain in words.INSTITUTIONS or plain in words.BEFORE_LETTER
        return listed or len(plain) < 2

    def _is_title(self, token: _Token) -> bool:
        return token.plain in words.TITLES or token.plain in words.TITLES_AND_WORDS

    def _may_be_name(self, token: _Token) -> bool:
        """Written like a name, and nothing that is known."""
        if self._is_known(token):
            return False
        sure = self._is_first(token) or self._is_surname(token)
        return sure or (token.capital and not self._is_ordinary(token))

    def _begins(self, at: int) -> bool:
        """Whether a sentence, or a line, begins with the word."""
        before = self._text[: self._tokens[at].start].rstrip(" \t\"'‘“(")
        return not before or before[-1] in ".!?:;\n•*-–"

    def _joined(self, at: int) -> bool:
        """Whether nothing but a space, or an initial's dot, stands between this word and the next."""
        if at + 1 >= len(self._tokens):
            return False
        between = self._text[self._tokens[at].end : self._tokens[at + 1].start]
        initial = len(self._tokens[at].text) == 1
        return between in ((" ", "  ", "\t", ". ", ".") if initial else (" ", "  ", "\t"))

    # by what stands before them

    def _labelled(self) -> Iterator[Span]:
        for one in _NAME_LABEL.finditer(self._text):
            first = _plain(one["name"].split()[0])
            if first not in words.NO_NAME | words.RELATIONS:
                yield one.span("name")
        for one in _KNOWN_AS.finditer(self._text):
            token = _Token(
                text=one["name"], start=one.start("name"), end=one.end("name"), plain=_plain(one["name"])
            )
            fits = self._may_be_name(token) or token.plain in words.NAMES_AND_WORDS
            if token.capital and fits and not self._is_title(token):
                yield one.span("name")

    def _titled(self) -> Iterator[Span]:
        for at, token in enumerate(self._tokens):
            end = self._after_title(at, token)
            if end is not None:
                yield token.start, end

    def _after_title(self, at: int, token: _Token, *, couple: bool = True) -> int | None:
        plain = token.plain
        if plain not in words.TITLES and plain not in words.TITLES_AND_WORDS:
            return None
        after = at + 1
        if after >= len(self._tokens) or not self._title_goes_on(at):
            return None
        then = self._tokens[after]
        if then.plain == "and" and couple and after + 1 < len(self._tokens):
            return self._after_title(after + 1, self._tokens[after + 1], couple=False)
        end = self._name_end(after, sure=plain in words.TITLES)
        if end is None:
            return None
        if plain == "ms" and token.shouted and not then.shouted and not self._is_surname(then):
            return None  # multiple sclerosis
        return end

    def _title_goes_on(self, at: int) -> bool:
        between = self._text[self._tokens[at].end : self._tokens[at + 1].start]
        return re.fullmatch(r"\.?[ \t]{0,2}|[ \t]*&[ \t]*", between) is not None

    def _name_end(self, at: int, *, sure: bool) -> int | None:
        """The end of the name that begins here, initials in front of it included; None: there is none."""
        initials = False
        while len(self._tokens[at].text) == 1 and self._joined(at):
            at, initials = at + 1, True
        token = self._tokens[at]
        if len(token.plain) == 1 or (initials and not token.capital and not token.shouted):
            return None
        if sure:
            fits = not (self._is_ordinary(token) and token.text.islower()) and not (
                token.shouted and len(token.text) < 3
            )
        else:
            fits = self._may_be_name(token) or (token.capital and token.plain in words.SURNAME_WORDS)
            fits = fits or (token.capital and token.plain in words.NAMES_AND_WORDS)
        if not fits:
            return None
        while self._joined(at) and self._may_be_name(self._tokens[at + 1]):
            at += 1
        return self._tokens[at].end

    # by themselves

    def _runs(self) -> Iterator[Span]:
        """Two words and more in a row that may be names."""
        at = 0
        while at < len(self._tokens):
            end = at
            while self._capital(at) and self._joined(end) and self._capital(end + 1):
                end += 1
            if end > at:
                yield from self._of_run(at, end)
            at = end + 1

    def _capital(self, at: int) -> bool:
        token = self._tokens[at]
        return token.capital or (len(token.text) == 1 and token.text.isupper())

    def _of_run(self, first: int, last: int) -> Iterator[Span]:
        """What of these capitalised words is a name: none of it where they end in an institution, a street, a thing."""
        run = range(first, last + 1)
        if any(self._tokens[at].plain in words.INSTITUTIONS for at in run[1:]):
            cut = max(at for at in run if self._tokens[at].plain in words.INSTITUTIONS)
            run = range(cut + 1, last + 1)
        if run and self._tokens[run[0]].plain in ("st", "saint"):
            return
        part: list[int] = []
        for at in (*run, -1):
            if at >= 0 and self._part_of_name(at, part):
                part.append(at)
                continue
            yield from self._of_part(part)
            part = []

    def _part_of_name(self, at: int, part: list[int]) -> bool:
        token = self._tokens[at]
        if self._is_title(token):
            return False
        if len(token.text) == 1:
            before = self._tokens[at - 1].plain if at else ""
            dotted = self._text[token.end : token.end + 1] == "."
            return bool(part) or (before not in words.BEFORE_LETTER and (dotted or token.text not in "AI"))
        if token.plain in words.NAMES_AND_WORDS and token.plain not in self._known:
            behind = at > 0 and (self._tokens[at - 1].plain in words.BEFORE_MONTH or self._dated(at))
            return not (behind and token.plain in _MONTH_NAMES)
        if token.plain in words.SURNAME_WORDS:
            return bool(part) and token.plain not in self._known
        if self._is_known(token) or (self._is_ordinary(token) and not self._is_first(token)):
            return False
        return not (self._begins(at) and _looks_ordinary(token.plain) and not self._is_first(token))

    def _dated(self, at: int) -> bool:
        """A figure stands before the word: *3 May*."""
        before = self._text[: self._tokens[at].start].rstrip()
        return before[-1:].isdigit() or before[-2:] in ("st", "nd", "rd", "th")

    def _of_part(self, part: list[int]) -> Iterator[Span]:
        long = [at for at in part if len(self._tokens[at].text) > 1]
        if len(part) < 2 or not long:
            return
        strong = [
            at
            for at in long
            if self._may_be_name(self._tokens[at]) and self._tokens[at].plain not in words.NAMES_AND_WORDS
        ]
        if strong or len(long) > 1:
            yield self._tokens[part[0]].start, self._tokens[part[-1]].end

    def _single(self) -> Iterator[Span]:
        for at, token in enumerate(self._tokens):
            if len(token.text) < 2 or self._is_known(token):
                continue
            if self._is_first(token) or (self._is_surname(token) and (token.capital or token.shouted)):
                if not self._of_thing(at):
                    yield token.start, token.end
            elif token.capital and self._of_relation(at) and not self._of_thing(at):
                yield token.start, token.end

    def _of_thing(self, at: int) -> bool:
        """It is in the name of a place or thing: *Elizabeth House*, *St Thomas*, *Thomas splint*."""
        token, after = self._tokens[at], at
        if at and self._tokens[at - 1].plain in ("st", "saint"):
            return True
        while self._joined(after) and self._tokens[after + 1].capital:
            after += 1
            if self._tokens[after].plain in words.INSTITUTIONS:
                return True
        follows = self._tokens[at + 1].plain if self._joined(at) else ""
        return token.text.lower().endswith(("'s", "’s")) and follows in words.INSTITUTIONS

    def _of_relation(self, at: int) -> bool:
        token = self._tokens[at]
        if not at or self._begins(at) or self._is_ordinary(token) or self._is_title(token):
            return False
        if (
            self._joined(at)
            and self._tokens[at + 1].plain == "family"
            and self._tokens[at - 1].plain == "the"
        ):
            return True
        between = self._text[self._tokens[at - 1].end : token.start]
        return (
            between in (" ", ", ", " (", ": ", " - ", " – ") and self._tokens[at - 1].plain in words.RELATIONS
        )


def _looks_ordinary(plain: str) -> bool:
    return len(plain) > 4 and plain.endswith(
        (
            "ing",
            "ed",
            "ly",
            "tion",
            "sion",
            "ment",
            "ness",
            "able",
            "ible",
            "ful",
            "less",
            "ity",
            "ance",
            "ence",
        )
    )


def _names(text: str, known: frozenset[str]) -> Iterator[Span]:
    return _Names(text, known).spans()
