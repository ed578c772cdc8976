"""One desk's directory: the people behind the minted ids, in memory, at one `people_rev`.

Names, numbers, homes and outside ids stand here and in the people store only. Facts and inputs carry what
`ref` gives out; screens and the API get the caller's own ids back through `outside`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import phonenumbers
from msgspec import UNSET, Struct, UnsetType

from config.policy import HOURS_EXPECTED, Hours, parse_hours
from connectors.ports import ContactPlanIn, HomeIn, PeopleRow, PersonIn, PhoneIn
from escalation.people import LineView, PersonView, PlanView
from monitor.core.places import Home
from monitor.core.upload import AT_ONCE, Steps
from monitor.core.views import PeopleProblem
from monitor.people_checks import strangers, tidy, unknown_fields

_Same = TypeVar("_Same")
EMERGENCY = frozenset({"999", "112", "+44999", "+44112"})
PREFIXES = {
    "person": "p",
    "visit": "v",
    "device": "d",
    "line": "l",
    "council_desk": "c",
    "placement": "g",
    "mailbox": "b",
    "council": "cc",
    "referral": "rf",
}


WRITTEN_TO = frozenset({"staff", "provider"})
"""Roles to whom e-mails go; the public gets none."""
TAG = "tag:"
_NFC = re.compile(r"(?:[0-9a-f]{2}[: -]?){4,10}")


def device_name(outside: str) -> str:
    """One spelling of a device's id. Readers write the number of one and the same tag in capitals or not, with colons,
    dashes or nothing between; the ids of other devices are taken as they stand."""
    if outside[: len(TAG)].lower() != TAG:
        return outside
    tag = outside[len(TAG) :].strip().lower()
    return TAG + (re.sub("[: -]", "", tag) if _NFC.fullmatch(tag) else tag)


def tag_name(tag: str) -> str:
    """The device's id of a tag, with the prefix that not every reader writes."""
    return device_name(tag if tag[: len(TAG)].lower() == TAG else TAG + tag)


LINE = "line:"
"""A device of a service user that is a fixed telephone line: `line:+44…`."""
_PIN, _HOME_NUMBER = re.compile(r"[0-9]{4,8}", re.ASCII), re.compile(r"[0-9]{3,8}", re.ASCII)


class BadNumberError(ValueError):
    """Not a number that a telephone network could ring. The text says what was expected, not what was given."""


def e164(number: str) -> str:
    """A number as people write it, as E.164. Possible is enough: drama numbers are possible and not valid."""
    squeezed = number.replace(" ", "")
    if squeezed in EMERGENCY:
        raise BadNumberError("expected a number that may be rung automatically; 999 and 112 may not")
    try:
        parsed = phonenumbers.parse(number, "GB")
    except phonenumbers.NumberParseException as error:
        raise BadNumberError("expected a telephone number such as +441632960123") from error
    if not phonenumbers.is_possible_number(parsed):
        raise BadNumberError("expected a telephone number such as +441632960123")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


TITLES = frozenset(
    {"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "rev", "sir", "dame", "lady", "lord", "fr", "sr"}
)


def first_of(name: str) -> str:
    """The first name in a name as offices write it: "Ida Moss", "Moss, Ida", "Mrs Ida Moss". Of "Mrs Moss", where no
    first name is known, "Mrs M": a surname is told to nobody outside (rule 6 of the words)."""
    surname, comma, after = name.partition(",")
    words = (after if comma and after.strip() else surname).split()
    titles = [word for word in words if word.rstrip(".").casefold() in TITLES]
    names = [word for word in words if word not in titles]
    if titles and len(names) == 1 and not comma:
        return f"{titles[0].rstrip('.')} {names[0][0].upper()}"
    return names[0] if names else ""


class Person(Struct, frozen=True, kw_only=True, gc=False):
    """A person with the details; `lines` pairs each phone's minted line with its number."""

    ref: str
    given: PersonIn
    view: PersonView
    numbers: dict[str, str] = {}
    homes: tuple[Home, ...] | None = None
    """Where none of them is dated; None: it depends on the day."""


_OF_FILES = frozenset({"phones_by_kind", "damaged"})
ADULT = 18
NO_PLAN, NO_PLAN_GIVEN = PlanView(), ContactPlanIn()
NO_HOME = Home(lat=0.0, lon=0.0, radius_m=0.0)
_OLDEST_REGION, _REGION_SPAN = 1_000_000_000, 600_000_000


class Region(Struct, frozen=True, kw_only=True):
    """A home as a phone keeps it. `label` is the caller's own id of the person: nobody's name lies on a phone.

    Apps know a region again by the time at which it was made (Android), by its name (iOS) or by its id: all three
    follow from the minted id and stay the same for ever.
    """

    home: Home
    label: str
    number: int

    @property
    def tst(self) -> int:
        """Seconds since 1970, between 2001 and 2020: no moment, only a number that lasts."""
        return _OLDEST_REGION + self.number % _REGION_SPAN

    @property
    def rid(self) -> str:
        """Eight hex digits."""
        return f"{self.number & 0xFFFFFFFF:08x}"


def _label(outside: str, index: int) -> str:
    return outside if index == 0 else f"{outside} {index + 1}"


def _number(ref: str, index: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{ref}|{index}".encode(), digest_size=8).digest(), "big")


class Change(Struct, frozen=True, kw_only=True):
    """What an upload of people did to the directory, before it is durable."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: int
    problems: tuple[PeopleProblem, ...]


class Directory:
    """The people, devices, lines and outside ids of one desk. `mint` makes fresh ids (injected)."""

    def __init__(
        self, mint: Callable[[str], str], zone: str, default_radius_m: float, *, mail: bool = False
    ) -> None:
        self._mail = mail
        self._mint = mint
        self._zone = ZoneInfo(zone)
        self.default_radius_m = default_radius_m
        self.rev = 0
        self.people: dict[str, Person] = {}
        self._refs: dict[tuple[str, str], str] = {}
        self._outside: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._on_line: dict[str, set[str]] = {}
        self.secret = b""
        """The desk's own, which keys the hashes of PINs; the engine sets it before anybody is restored."""
        self._by_pin: dict[str, str] = {}
        self._by_home_number: dict[str, str] = {}
        self._line_devices: dict[str, set[str]] = {}
        self._changes: list[PeopleRow] = []
        self._marks: dict[str, str | None] = {}
        self._said: dict[str, bytes] = {}
        """By placement: by what its body is known again."""
        self._workers: tuple[PersonView, ...] | None = None
        self._same: dict[Any, Any] = {}
        """One value for all who have the same plan or skills: a hundred thousand people have few different ones."""
        self.today: date | None = None
        """The local day, which says who is under 18; `new_day` moves it on."""
        self._minors: set[str] = set()

    # --- loading and persisting ---

    def restore(self, rows: Iterable[PeopleRow], rev: int) -> None:
        """Fill from the people store."""
        self.rev = rev
        bodies: list[tuple[str, bytes]] = []
        for row in rows:
            self._refs[(row.kind, row.outside)] = row.ref
            self._outside[row.ref] = row.outside
            if row.kind == "person" and row.body:
                bodies.append((row.ref, row.body))
            elif row.kind == "placement" and row.body:
                self._said[row.ref] = row.body
        for ref, body in bodies:
            self._place(ref, msgspec.json.decode(body, type=PersonIn), [])

    def take_changes(self) -> list[PeopleRow]:
        """Rows that the next append must carry. Whoever takes them hands them to the store."""
        rows, self._changes = self._changes, []
        return rows

    # --- ids ---

    def ref(self, kind: str, outside: str) -> str:
        """The minted id of something outside; a new one if it was never heard of."""
        outside = device_name(outside) if kind == "device" else outside
        known = self._refs.get((kind, outside))
        if known is not None:
            return known
        ref = self._mint(PREFIXES[kind])
        self._refs[(kind, outside)] = ref
        self._outside[ref] = outside
        self._changes.append(PeopleRow(ref=ref, kind=kind, outside=outside, rev=self.rev, body=None))
        return ref

    def bind(self, kind: str, outside: str, ref: str, said: bytes) -> None:
        """The caller's own id of what was just taken under a minted one, and by what its body is known again."""
        self._refs[(kind, outside)] = ref
        self._outside[ref] = outside
        self._said[ref] = said
        self._changes.append(PeopleRow(ref=ref, kind=kind, outside=outside, rev=self.rev, body=said))

    def said(self, ref: str) -> bytes | None:
        """By what the body of something is known again; None: it was never bound."""
        return self._said.get(ref)

    def known(self, kind: str, outside: str) -> str | None:
        """The minted id, only if there is one already."""
        return self._refs.get((kind, device_name(outside) if kind == "device" else outside))

    def outside(self, ref: str) -> str:
        """The caller's own id of a minted one; the minted one itself if it was erased, and of a line: what is behind
        that is a number, which is shown as nobody's id."""
        found = self._outside.get(ref, ref)
        return ref if self._refs.get(("line", found)) == ref else found

    # --- what decisions may see ---

    def person(self, ref: str) -> PersonView | None:
        """Kinds of lines and the contact plan; no name, no number."""
        found = self.people.get(ref)
        return found.view if found else None

    def homes(self, ref: str, at: datetime) -> tuple[Home, ...]:
        """The homes that are valid on the local day of `at`."""
        found = self.people.get(ref)
        if found is None:
            return ()
        if found.homes is not None:
            return found.homes
        day = at.astimezone(self._zone).date()
        return tuple(
            self._home(home)
            for home in found.given.homes
            if (home.from_ is None or home.from_ <= day) and (home.to is None or day <= home.to)
        )

    def area(self, ref: str, at: datetime) -> str:
        """The district of the home that is valid on the local day of `at`; "" when it is not known."""
        found = self.people.get(ref)
        day = at.astimezone(self._zone).date()
        valid = (
            home.area
            for home in (found.given.homes if found else ())
            if (home.from_ is None or home.from_ <= day) and (home.to is None or day <= home.to)
        )
        return next((area for area in valid if area), "")

    def initials(self, ref: str) -> str:
        """Of the name as the office writes it, for a council desk that has the reference too."""
        found = self.people.get(ref)
        return (
            "".join(word[0].upper() for word in found.given.name.split() if word[0].isalpha())
            if found
            else ""
        )

    def council_ref(self, ref: str) -> str:
        """The council's own reference of a service user, or ""."""
        found = self.people.get(ref)
        return (found.given.council_ref or "") if found else ""

    def _home(self, given: HomeIn) -> Home:
        return Home(lat=given.lat, lon=given.lon, radius_m=given.radius_m or self.default_radius_m)

    def worker_of(self, device: str) -> str | None:
        """The person to whom a device (minted) belongs."""
        return self._owner.get(device)

    def care_workers(self) -> tuple[PersonView, ...]:
        """Every care worker; the same tuple until one of them changes."""
        if self._workers is None:
            found = (person.view for person in self.people.values())
            self._workers = tuple(view for view in found if view.role == "care_worker")
        return self._workers

    def on_line(self, line: str) -> Collection[str]:
        """Everybody who uses the line (minted)."""
        return self._on_line.get(line, ())

    def new_day(self, now: datetime) -> None:
        """The local day of `now` is the one that says who is under 18: who turned 18 is a minor no more."""
        today, before = now.astimezone(self._zone).date(), self.today
        if today == before:
            return
        self.today = today
        for ref in list(self._minors if before is not None else self.people):
            person = self.people[ref]
            view = self._view(ref, person.given, person.view.lines)
            self.people[ref] = msgspec.structs.replace(person, view=view)

    def _is_minor(self, given: PersonIn) -> bool:
        born, today = given.born, self.today
        if born is None or today is None:
            return False
        return (today.year - born.year) - ((today.month, today.day) < (born.month, born.day)) < ADULT

    def holds(self, device: str) -> bool:
        """Whether somebody of this desk carries the device (its outside id)."""
        return self._refs.get(("device", device_name(device)), "") in self._owner

    def card_holder(self, card: str) -> str | None:
        """The care worker whose card this is: `tag:…` or `traccar:…` among their devices."""
        for name in (tag_name(card), f"traccar:{card}"):
            holder = self.people.get(self._owner.get(self.known("device", name) or "", ""))
            if holder is not None and holder.given.role == "care_worker":
                return holder.ref
        return None

    # --- regions: the homes as the phones know them ---

    def regions(self, ref: str, at: datetime) -> tuple[Region, ...]:
        """The homes of a person that are valid on the local day of `at`, each with what never changes about it."""
        outside = self.outside(ref)
        return tuple(
            Region(home=home, label=_label(outside, index), number=_number(ref, index))
            for index, home in enumerate(self.homes(ref, at))
        )

    def home_of(self, claims: Sequence[str]) -> str | None:
        """The one service user whose region a device names, by our own marks or by their id; None when it names
        nobody's, or those of two (neighbours)."""
        found = {ref for claim in claims if (ref := self._marks.get(claim)) is not None}
        return found.pop() if len(found) == 1 else None

    def _mark(self, person: PersonIn, ref: str) -> None:
        for index in range(max(len(person.homes), 1) if person.role == "service_user" else 0):
            region = Region(home=NO_HOME, label=_label(person.id, index), number=_number(ref, index))
            for mark in (f"rid:{region.rid}", f"wtst:{region.tst}", f"desc:{region.label}"):
                # two with one mark: nobody's, so that none is credited with the other's visit
                self._marks[mark] = ref if self._marks.get(mark, ref) == ref else None

    # --- what only the edge may see ---

    def number(self, line: str) -> str | None:
        """The number behind a line."""
        return self._outside.get(line)

    def persons_on(self, number: str) -> tuple[str, tuple[str, ...]] | None:
        """The line behind a number and who uses it, or None for a stranger."""
        line = self._refs.get(("line", number))
        people = self._on_line.get(line or "")
        return (line, tuple(sorted(people))) if line and people else None

    def homes_on(self, number: str) -> tuple[tuple[str, ...], bool]:
        """The service users whose line this is, and whether it is a fixed one, which proves where it was keyed."""
        fixed = set(self._line_devices.get(number, ()))
        line = self._refs.get(("line", number), "")
        mobile: set[str] = set()
        for ref in self._on_line.get(line, ()):
            person = self.people[ref]
            if person.given.role == "service_user":
                kinds = {view.kind for view in person.view.lines if view.ref == line}
                (fixed if "landline" in kinds else mobile).add(ref)
        return tuple(sorted(fixed | mobile)), bool(fixed)

    def worker_by_pin(self, pin: str) -> str | None:
        """The person who has this PIN."""
        return self._by_pin.get(self._pin_hash(pin))

    def home_by_number(self, number: str) -> str | None:
        """The service user in whose folder this number stands."""
        return self._by_home_number.get(number)

    @property
    def pins(self) -> int:
        """How many people have a PIN."""
        return len(self._by_pin)

    def pin_digits(self) -> int:
        """The length of the longest PIN; 8 while there is none."""
        return max((int(kept.partition(":")[0]) for kept in self._by_pin), default=8)

    def name(self, ref: str | None) -> str:
        """First or preferred name for the public's messages; the outside id when nothing is known."""
        found = self.people.get(ref or "")
        if found is None:
            return self.outside(ref) if ref else ""
        given = found.given
        return given.first_name or first_of(given.name) or given.id

    def full_name(self, ref: str | None) -> str:
        """The name as the office writes it: for the desk's own people only."""
        found = self.people.get(ref or "")
        return (found.given.name or found.given.id) if found else (self.outside(ref) if ref else "")

    def address(self, ref: str) -> str | None:
        """The mail address of a person."""
        found = self.people.get(ref)
        return found.given.email if found else None

    def devices(self) -> list[str]:
        """Outside ids of all devices of this desk."""
        return [self._outside[ref] for ref in self._owner]

    # --- uploads ---

    def completed(self, item: Any) -> Any:
        """An item that has only what it changes, with the rest as it is known: a file of names and numbers must not
        take anybody's telephone away. `phones_by_kind` and `damaged` are those of `csv_files.read_people_file`."""
        if not _is_item(item):
            return item
        known = self.people.get(self.known("person", item["id"]) or "")
        damaged = frozenset(item.get("damaged", ())) if known is not None else frozenset[str]()
        brought = {key: value for key, value in item.items() if key not in damaged | _OF_FILES}
        if "phones_by_kind" in item:
            by_kind = {kind: them for kind, them in item["phones_by_kind"].items() if kind not in damaged}
            brought["phones"] = _phones_of(known.given.phones if known is not None else (), by_kind)
        if known is None:
            # somebody whom we cannot read must not be told: until the list is mended nobody is told by a machine
            return brought | ({"next_of_kin": []} if "never_tell" in item.get("damaged", ()) else {})
        before = msgspec.to_builtins(known.given)
        if isinstance(brought.get("contact_plan"), dict) and before["contact_plan"] is not None:
            plan = {key: value for key, value in brought["contact_plan"].items() if key not in damaged}
            brought["contact_plan"] = before["contact_plan"] | plan
        return before | brought

    def read(
        self, items: Sequence[Any], lines: Sequence[int] | None = None, *, partial: bool = False
    ) -> Steps[tuple[list[tuple[int, PersonIn]], list[PeopleProblem]]]:
        """Each item by itself, so that one bad item harms no other. Problems never repeat a value. `lines`: the number
        of each item in its file; `partial`: an item names only what it changes."""
        good: list[tuple[int, PersonIn]] = []
        problems: list[PeopleProblem] = []
        of_a_file = lines is not None
        for at, (row, item) in enumerate(zip(lines or range(1, len(items) + 1), items, strict=True)):
            if at and at % AT_ONCE == 0:
                yield
            try:
                person = msgspec.convert(self.completed(item) if partial else item, PersonIn)
                if not person.id.strip():
                    raise msgspec.ValidationError("Expected a non-empty `id`")
                if person.role == "provider" or self._is_provider(person.id.strip()):
                    raise msgspec.ValidationError("Expected a person; providers are told by PUT providers")
                person, wrong = tidy(person)
                good.append((row, person))
                problems += () if partial else _misspelt(row, item)
                problems += [_problem(row, item, code, "warning", text, of_a_file) for code, text in wrong]
            except msgspec.ValidationError as error:
                problems.append(_problem(row, item, "bad_person", "error", _expected(error), of_a_file))
        return good, problems

    def _is_provider(self, outside: str) -> bool:
        known = self.people.get(self.known("person", outside) or "")
        return known is not None and known.given.role == "provider"

    def naming_strangers(
        self, items: Sequence[tuple[int, PersonIn]], *, of_a_file: bool
    ) -> list[PeopleProblem]:
        """Whoever of an upload names somebody whom the directory does not have, once all of it is applied. Who must
        never be told is nobody whom anybody knows: a slip of the pen there tells them."""
        return [
            _problem(
                row,
                {"id": given.id},
                "unknown_person",
                "warning",
                f"`{where}` names somebody whom the directory does not know",
                of_a_file,
            )
            for row, given in items
            for where in strangers(given, self._knows_person)
        ]

    def _knows_person(self, outside: str) -> bool:
        return self.known("person", outside) in self.people

    def apply(
        self, items: list[tuple[int, PersonIn]], problems: list[PeopleProblem], *, of_a_file: bool = False
    ) -> Change:
        """Upsert by id; absence removes nobody. The change is in `take_changes` afterwards."""
        new: list[str] = []
        changed: list[str] = []
        unchanged = 0
        for row, given in items:
            known = self._refs.get(("person", given.id))
            old = self.people.get(known or "")
            given = self._admitted(given, old, row, problems, of_a_file)
            if old is not None and old.given == given:
                unchanged += 1
                continue
            if not new and not changed:
                self.rev += 1
            ref = self.ref("person", given.id)
            self._take_over(ref, given, row, problems, of_a_file)
            found = self._place(ref, given, problems, row, of_a_file)
            (changed if old is not None else new).append(ref)
            body = msgspec.json.encode(found.given)
            self._changes.append(PeopleRow(ref=ref, kind="person", outside=given.id, rev=self.rev, body=body))
        return Change(new=tuple(new), changed=tuple(changed), unchanged=unchanged, problems=tuple(problems))

    def _admitted(
        self,
        given: PersonIn,
        old: Person | None,
        row: int,
        problems: list[PeopleProblem],
        of_a_file: bool,
    ) -> PersonIn:
        """With the PIN as it is kept (a keyed hash), and without what another person of the desk has already."""

        def refused(code: str, message: str) -> None:
            line = row if of_a_file else UNSET
            problems.append(
                PeopleProblem(row=row, id=given.id, code=code, severity="warning", message=message, line=line)
            )

        pin = self._admitted_pin(given, old, refused)
        home_number = self._admitted_home_number(given, old, refused)
        for device in given.devices:
            if device.startswith(LINE) and _line_number(device) is None:
                refused("bad_number", "expected a telephone number after `line:`, such as line:+441632960123")
        return msgspec.structs.replace(given, pin=pin, home_number=home_number)

    def _take_over(
        self, ref: str, given: PersonIn, row: int, problems: list[PeopleProblem], of_a_file: bool
    ) -> None:
        """A device that somebody else of the desk had is handed on, and taken off that person's row: after a restart
        the order of the rows would else say whose it is. A household's line is everybody's."""
        for device in given.devices:
            before = self.people.get(self._owner.get(self.known("device", device) or "", ""))
            if before is None or before.ref == ref or device.startswith(LINE):
                continue
            name = device_name(device)
            left = tuple(one for one in before.given.devices if device_name(one) != name)
            kept = msgspec.structs.replace(before.given, devices=left)
            self.people[before.ref] = msgspec.structs.replace(before, given=kept)
            body = msgspec.json.encode(kept)
            row_of = PeopleRow(ref=before.ref, kind="person", outside=kept.id, rev=self.rev, body=body)
            self._changes.append(row_of)
            problems.append(
                PeopleProblem(
                    row=row,
                    id=given.id,
                    code="device_moved",
                    severity="warning",
                    message="another person of this desk had one of these devices: it is theirs no more",
                    line=row if of_a_file else UNSET,
                )
            )

    def _admitted_pin(
        self, given: PersonIn, old: Person | None, refused: Callable[[str, str], None]
    ) -> str | UnsetType:
        kept: str | UnsetType = old.given.pin or UNSET if old is not None else UNSET
        if given.pin is UNSET or given.pin == kept:
            # a file that names no PIN is completed with what is kept, which is the hash
            return kept
        if not given.pin:
            return UNSET
        if given.role not in ("care_worker", "staff") or not _PIN.fullmatch(given.pin):
            refused("bad_pin", "expected 4 to 8 digits, of a care worker; the PIN they had is kept")
            return kept
        hashed = self._pin_hash(given.pin)
        if self._by_pin.get(hashed) not in (None, old.ref if old else None):
            refused("pin_taken", "another person of this desk has this PIN; the one they had is kept")
            return kept
        return hashed

    def _admitted_home_number(
        self, given: PersonIn, old: Person | None, refused: Callable[[str, str], None]
    ) -> str | None:
        kept = old.given.home_number if old is not None else None
        if given.home_number is None or given.home_number == kept:
            return given.home_number
        if given.role != "service_user" or not _HOME_NUMBER.fullmatch(given.home_number):
            refused("bad_home_number", "expected 3 to 8 digits, of a service user; the one they had is kept")
            return kept
        if given.home_number in self._by_home_number:
            refused("home_number_taken", "another home of this desk has this number; the one it had is kept")
            return kept
        return given.home_number

    def _pin_hash(self, pin: str) -> str:
        """Its length, so that a telephone may stop listening in time, and a hash that only this desk can make."""
        digest = hashlib.blake2b(pin.encode(), digest_size=16, key=self.secret, person=b"pin")
        return f"{len(pin)}:{digest.hexdigest()}"

    def _place(
        self,
        ref: str,
        given: PersonIn,
        problems: list[PeopleProblem],
        row: int = 0,
        of_a_file: bool = False,
    ) -> Person:
        self._displace(ref)
        numbers: dict[str, str] = {}
        lines: list[LineView] = []

        def warned(code: str, message: str) -> None:
            line = row if of_a_file else UNSET
            problems.append(
                PeopleProblem(row=row, id=given.id, code=code, severity="warning", message=message, line=line)
            )

        _check_plan(given, warned)
        for phone in _phones(given):
            try:
                number = e164(phone.number)
            except BadNumberError as error:
                warned("bad_number", str(error))
                continue
            line = self.ref("line", number)
            if line in numbers:
                continue
            numbers[line] = number
            self._on_line.setdefault(line, set()).add(ref)
            lines.append(LineView(ref=line, kind=phone.kind, use=phone.use))
        for device in given.devices:
            self._owner[self.ref("device", device)] = ref
            if given.role == "service_user" and (fixed := _line_number(device)) is not None:
                self._line_devices.setdefault(fixed, set()).add(ref)
        if given.pin:
            self._by_pin[given.pin] = ref
        if given.home_number:
            self._by_home_number[given.home_number] = ref
        view = self._view(ref, given, _in_order(lines))
        dated = any(home.from_ is not None or home.to is not None for home in given.homes)
        homes = None if dated else tuple(self._home(home) for home in given.homes)
        self.people[ref] = Person(ref=ref, given=given, view=view, numbers=numbers, homes=homes)
        self._mark(given, ref)
        return self.people[ref]

    def _view(self, ref: str, given: PersonIn, lines: tuple[LineView, ...]) -> PersonView:
        plan = self._plan(given)
        kin = dict.fromkeys(self.ref("person", one) for one in given.next_of_kin)
        (self._minors.add if plan.minor else self._minors.discard)(ref)
        if given.role == "care_worker":
            self._workers = None
        return PersonView(
            ref=ref,
            role=given.role,
            lines=lines,
            plan=plan,
            mail=self._mail and given.role in WRITTEN_TO and bool(given.email),
            next_of_kin=tuple(one for one in kin if one not in plan.never_tell),
            needs=self._shared(frozenset(given.needs)),
            not_with=frozenset(self.ref("person", one) for one in given.not_with),
            prefers=given.prefers,
            skills=self._shared(frozenset(given.skills)),
            gender=given.gender,
            hours_week=given.hours_week,
            offer_hours=_hours(given.offer_hours),
            contract=self._shared(given.contract),
            client_group=self._shared(given.client_group),
        )

    def _plan(self, person: PersonIn) -> PlanView:
        given = person.contact_plan
        if given is None:
            return self._shared(PlanView(minor=True)) if self._is_minor(person) else NO_PLAN
        never = frozenset(self.ref("person", one) for one in given.never_tell if one != person.id)
        speaks = self.ref("person", given.spokesperson) if given.spokesperson else None
        plan = PlanView(
            public=given.public,
            channels=given.channels,
            ring_s=min(max(given.ring_s, 30), 90) if given.ring_s is not None else None,
            keypad=given.keypad,
            understands_keys=given.understands_keys,
            quiet=_hours(given.hours),
            quiet_but_time_critical=given.outside_hours == "time_critical",
            voicemail=given.voicemail,
            language=given.language,
            spokesperson=speaks if speaks not in never else None,
            never_tell=never,
            lives_alone=given.lives_alone,
            minor=self._is_minor(person),
            end_of_life=given.end_of_life,
            weather_rank=given.weather_rank or "red",
        )
        return self._shared(plan)

    def _shared(self, value: _Same) -> _Same:
        known: _Same = self._same.setdefault(value, value)
        return known

    def _displace(self, ref: str) -> None:
        old = self.people.get(ref)
        if old is None:
            return
        if old.view.role == "care_worker":
            self._workers = None
        # looked up before anything goes: what cannot be read leaves the person as they were
        devices = [self.known("device", device) for device in old.given.devices]
        fixed = [_line_number(device) or "" for device in old.given.devices]
        for line in old.numbers:
            self._on_line.get(line, set()).discard(ref)
        self._by_pin.pop(old.given.pin or "", None)
        self._by_home_number.pop(old.given.home_number or "", None)
        for device_ref in devices:
            if device_ref is not None and self._owner.get(device_ref) == ref:
                del self._owner[device_ref]
        for number in fixed:
            self._line_devices.get(number, set()).discard(ref)


def _line_number(device: str) -> str | None:
    """The number (E.164) of a `line:+44…` device; None for any other device, or when it cannot be read."""
    if not device.startswith(LINE):
        return None
    try:
        return e164(device.removeprefix(LINE))
    except BadNumberError:
        return None


def _in_order(lines: list[LineView]) -> tuple[LineView, ...]:
    """`first` before the others; otherwise as written."""
    return tuple(sorted(lines, key=lambda line: 0 if line.use == "first" else 1))


def _phones(given: PersonIn) -> tuple[PhoneIn, ...]:
    """Their own numbers, and then the household's."""
    plan = given.contact_plan
    if plan is None or plan.household_line is None:
        return given.phones
    return (*given.phones, PhoneIn(number=plan.household_line, kind="landline", use="then"))


def _check_plan(given: PersonIn, warned: Callable[[str, str], None]) -> None:
    """What of a contact plan cannot be meant. Each is taken in the way that contacts the right person."""
    plan = given.contact_plan or NO_PLAN_GIVEN
    for name, text in (("contact_plan.hours", plan.hours), ("offer_hours", given.offer_hours)):
        if text and _hours(text) is None:
            warned(
                "bad_hours",
                f"expected `{name}` as in {HOURS_EXPECTED.partition(',')[0]}; it is as if not given",
            )
    if any(one in plan.never_tell for one in (plan.spokesperson, *given.next_of_kin)):
        warned("never_told", "somebody in `never_tell` is also to be told: they are not told")


def _misspelt(row: int, item: dict[str, Any]) -> list[PeopleProblem]:
    """A field that is not known was passed over: said, since it may have been meant as `never_tell`."""
    found = unknown_fields(item)
    if not found:
        return []
    message = f"has fields that are not known and were passed over: {', '.join(found)}"
    return [_problem(row, item, "unknown_field", "warning", message)]


def _hours(text: str | None) -> Hours | None:
    """The hours; None when none are given, or they cannot be read (a warning says so: `bad_hours`)."""
    try:
        read = parse_hours(text) if text else None
    except ValueError:
        return None
    return None if read is None or read.otherwise else read


def _phones_of(
    known: Sequence[PhoneIn], by_kind: Mapping[str, Sequence[dict[str, str]]]
) -> list[dict[str, str]]:
    """The kinds that are brought in the places of the known ones, so that who is rung first stays so; of another kind
    what is known."""
    before = [msgspec.to_builtins(phone) for phone in known]
    coming = {
        kind: _phones_of_kind([phone for phone in before if phone["kind"] == kind], brought)
        for kind, brought in by_kind.items()
    }
    found = []
    for phone in before:
        if phone["kind"] not in coming:
            found.append(phone)
        elif coming[phone["kind"]]:
            found.append(coming[phone["kind"]].pop(0))
    return [*found, *(phone for left in coming.values() for phone in left)]


def _phones_of_kind(
    known: Sequence[dict[str, str]], brought: Sequence[dict[str, str]]
) -> list[dict[str, str]]:
    """A number that is brought again stays as it is known, with its use; what no network could ring replaces none."""
    numbers = {number: phone for phone in known if (number := _ringable(phone["number"])) is not None}
    unusable = [phone for phone in brought if _ringable(phone["number"]) is None]
    if unusable:
        # it is kept beside them for its `bad_number`
        return [*numbers.values(), *unusable]
    return [numbers.get(_ringable(phone["number"]) or "", phone) for phone in brought]


def _ringable(number: str) -> str | None:
    try:
        return e164(number)
    except BadNumberError:
        return None


def _is_item(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)


def _expected(error: msgspec.ValidationError) -> str:
    """What was expected and where. msgspec repeats an enum's value, which may be somebody's name."""
    text, at, place = str(error).partition(" - at ")
    if text.startswith("Invalid enum value"):
        text = "Not an allowed value"
    return text.replace("Object missing required field", "Expected a value for") + at + place


def _problem(
    row: int, item: Any, code: str, severity: str, message: str, of_a_file: bool = False
) -> PeopleProblem:
    known = item.get("id") if isinstance(item, dict) else None
    return PeopleProblem(
        row=row,
        id=known if isinstance(known, str) else None,
        code=code,
        severity="error" if severity == "error" else "warning",
        message=message,
        line=row if of_a_file else UNSET,
    )
