"""Providers at the edge of a council's desk: an upload's items, read one by one; name and contacts to the directory,
what decides to the facts.

Upsert by the caller's id; absence removes nobody (`active` false does). A problem names the item, its path and what
was expected, and never repeats a value but the item's own id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from connectors.placing_in import ProviderIn, RatingIn
from connectors.ports import ApiProblem, PersonIn, PhoneIn
from monitor.core.inputs import PeopleReceived
from monitor.core.placing.inputs import (
    QUESTIONS,
    RATING_LEVELS,
    LocalScore,
    ProviderSaid,
    ProvidersTold,
    Rating,
)
from monitor.core.placing.views import ProviderProblem, ProvidersAnswer
from monitor.core.views import PeopleProblem

if TYPE_CHECKING:
    from monitor.desk_shell import DeskShell

MOST = 2_000
"""Providers of one upload: it is one decision, and deadlines wait for its end."""
MOST_HOURS = 100_000
MOST_PENCE = 100_000
SLUG = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}")
SLUG_EXPECTED = "expected 1 to 40 letters, digits and dashes"
_PLACE = re.compile(r" - at `\$\.?(?P<path>.*?)`$")
_Name = TypeVar("_Name", bound=str)


def slug(text: str) -> str | None:
    """One spelling of a name that goes into facts (tier, specialism): small letters, dashes. None: it is no name."""
    found = re.sub(r"[\s_-]+", "-", text.strip().casefold())
    return found if SLUG.fullmatch(found) else None


def nearest(text: str, known: Collection[str]) -> tuple[str, ...]:
    """What was expected, that which is spelled nearly so first."""
    close = get_close_matches(text.casefold(), sorted(known), n=3, cutoff=0.6)
    return (*close, *(name for name in sorted(known) if name not in close))[:30]


class _Bad(Exception):
    """One thing in an item that cannot be taken."""

    def __init__(self, code: str, message: str, path: str, expected: Collection[str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.path = code, message, path
        self.expected: tuple[str, ...] | UnsetType = tuple(expected) if expected is not None else UNSET


class _Read(Struct, frozen=True, kw_only=True):
    row: int
    given: ProviderIn
    said: ProviderSaid
    """Still with the caller's ids."""


class Providers:
    """What the edge does with the providers of one council's desk."""

    def __init__(self, shell: DeskShell, desks: Collection[str]) -> None:
        self._shell, self._desks = shell, desks
        self._problems: list[ProviderProblem] = []
        self._today: date = shell.state.calendar.day(shell.now())

    async def put(self, items: Sequence[Any]) -> ProvidersAnswer:
        """One upload. Answers when it is on disk."""
        if len(items) > MOST:
            raise ApiProblem(413, "too_large", f"expected at most {MOST} providers in one body", "providers")
        read = self._with_partners([found for found in map(self._read, *_numbered(items)) if found])
        answer = self._tell(read)
        await self._shell.engine.durable()
        return answer

    # --- one item ---

    def _read(self, row: int, item: Any) -> _Read | None:
        try:
            given = msgspec.convert(item, ProviderIn)
            return _Read(row=row, given=given, said=self._said(row, given))
        except msgspec.ValidationError as error:
            text, place = str(error), _PLACE.search(str(error))
            words = text[: place.start()] if place else text
            shown = words if words.startswith(("Expected", "Object missing")) else "not an allowed value"
            self._note(row, item, "bad_provider", shown.replace("`", ""), place["path"] if place else None)
        except _Bad as bad:
            self._note(row, item, bad.code, bad.message, bad.path, bad.expected)
        return None

    def _note(
        self,
        row: int,
        item: Any,
        code: str,
        message: str,
        path: str | None,
        expected: tuple[str, ...] | UnsetType = UNSET,
        *,
        warning: bool = False,
    ) -> None:
        known = item.get("id") if isinstance(item, dict) else getattr(item, "id", None)
        self._problems.append(
            ProviderProblem(
                row=row,
                id=known if isinstance(known, str) else None,
                path=f"providers[{row - 1}]" + (f".{path}" if path else ""),
                code=code,
                severity="warning" if warning else "error",
                message=message,
                expected=expected,
            )
        )

    def _said(self, row: int, given: ProviderIn) -> ProviderSaid:
        if not given.id.strip() or len(given.id) > 64:
            raise _Bad("bad_provider", "expected an id of 1 to 64 characters", "id")
        holder = self._shell.directory.people.get(self._shell.directory.known("person", given.id) or "")
        if holder is not None and holder.given.role != "provider":
            raise _Bad("id_taken", "a person of this desk has this id", "id")
        if given.desk is not None and given.desk not in self._desks:
            raise _Bad("unknown_desk", "expected a provider's desk of this installation", "desk")
        return ProviderSaid(
            ref=given.id,
            tier=self._tier(row, given),
            areas=self._areas(given.areas),
            specialisms=tuple(
                sorted({_slug(name, "specialisms", at) for at, name in _at(given.specialisms)})
            ),
            rating=self._rating(given.rating),
            rate_pence=_pence(given.rate),
            hours_declared=_hours(given.hours_declared),
            declared_on=self._past(given.declared_on, "declared_on"),
            scores=tuple(sorted(self._scores(given.scores), key=lambda one: one.area)),
            partners=given.partners,
            active=given.active,
            desk=given.desk,
        )

    def _tier(self, row: int, given: ProviderIn) -> str:
        tier = slug(given.tier)
        if tier is None:
            raise _Bad("bad_name", SLUG_EXPECTED, "tier")
        policies = self._shell.state.values.placing_policies.values()
        asked = {name for policy in policies for held in policy.rounds for name in held.tiers}
        if asked and tier not in asked:
            text = "no round asks providers of this tier: it will be asked for nothing"
            self._note(row, given, "unknown_tier", text, "tier", nearest(tier, asked), warning=True)
        return tier

    def _areas(self, areas: tuple[str, ...]) -> tuple[str, ...]:
        known = {area.id for area in self._shell.state.values.areas}
        for at, area in enumerate(areas):
            if area not in known:
                text = "expected an area of this desk's configuration"
                raise _Bad("unknown_area", text, f"areas[{at}]", nearest(area, known))
        return tuple(sorted(set(areas)))

    def _rating(self, given: RatingIn) -> Rating:
        for name in ("overall", *QUESTIONS):
            if getattr(given, name) not in (None, *RATING_LEVELS):
                raise _Bad("bad_rating", "expected one of the levels", f"rating.{name}", RATING_LEVELS)
        self._past(given.published, "rating.published")
        return msgspec.convert(given, Rating, from_attributes=True)

    def _past(self, day: date | None, path: str) -> date | None:
        if day is not None and not date(2000, 1, 1) <= day <= self._today:
            raise _Bad("bad_date", "expected a day since 2000 that is not ahead", path)
        return day

    def _scores(self, scores: dict[str, int]) -> Iterator[LocalScore]:
        known = {area.id for area in self._shell.state.values.areas}
        for area, score in scores.items():
            if area not in known:
                text = "expected areas of this desk's configuration"
                raise _Bad("unknown_area", text, "scores", nearest(area, known))
            if not 0 <= score <= 100:
                raise _Bad("out_of_range", "expected 0 to 100", "scores")
            yield LocalScore(area=area, score=score)

    # --- all of them ---

    def _with_partners(self, read: list[_Read]) -> list[_Read]:
        """Without those whose partner is nobody's id; of an id that comes twice the last one counts."""
        here = {one.given.id for one in read}
        latest = {one.given.id: one.row for one in read}
        kept = []
        for one in read:
            unknown = [
                at for at, name in enumerate(one.given.partners) if name not in here and not self._known(name)
            ]
            if unknown:
                text = "expected the id of a provider, in this upload or before it"
                self._note(one.row, one.given, "unknown_provider", text, f"partners[{unknown[0]}]")
            elif latest[one.given.id] != one.row:
                text = "the same id stands further down: that one counts"
                self._note(one.row, one.given, "duplicate_id", text, "id", warning=True)
            else:
                kept.append(one)
        return kept

    def _known(self, name: str) -> bool:
        return self._shell.directory.known("person", name) in self._shell.state.values.providers

    def _tell(self, read: list[_Read]) -> ProvidersAnswer:
        shell, directory = self._shell, self._shell.directory
        known = shell.state.values.providers
        before = {one.given.id: known.get(directory.known("person", one.given.id) or "") for one in read}
        found: list[PeopleProblem] = []
        change = directory.apply([(one.row, _person(one.given)) for one in read], found)
        self._contacts(read, found)
        ref: Callable[[str], str] = lambda name: directory.ref("person", name)  # noqa: E731
        said = {
            one.given.id: msgspec.structs.replace(
                one.said, ref=ref(one.given.id), partners=tuple(map(ref, one.said.partners))
            )
            for one in read
        }
        shell.tell(PeopleReceived(new=change.new, changed=change.changed, people_rev=directory.rev))
        shell.tell(ProvidersTold(providers=tuple(said.values())))
        shell.plan_rev += 1
        touched = {directory.outside(one) for one in change.changed}
        new = sum(provider is None for provider in before.values())
        changed = sum(
            provider is not None and (provider.said != said[name] or name in touched)
            for name, provider in before.items()
        )
        return ProvidersAnswer(
            new=new,
            changed=changed,
            unchanged=len(read) - new - changed,
            problems=tuple(sorted(self._problems, key=lambda one: one.row)),
        )

    def _contacts(self, read: list[_Read], found: list[PeopleProblem]) -> None:
        """What the directory says of telephones; who can be told nothing at all."""
        by_row = {one.row: one.given for one in read}
        for problem in found:
            given = by_row[problem.row]
            self._note(problem.row, given, problem.code, problem.message, "phones", warning=True)
        for row, given in by_row.items():
            if not given.email and not given.phones:
                text = "neither an e-mail address nor a telephone: it cannot be told of any package"
                self._note(row, given, "unreachable", text, None, warning=True)


def _numbered(items: Sequence[Any]) -> tuple[range, Sequence[Any]]:
    return range(1, len(items) + 1), items


def _at(names: Sequence[_Name]) -> Iterator[tuple[int, _Name]]:
    return enumerate(names)


def _slug(name: str, path: str, at: int) -> str:
    found = slug(name)
    if found is None:
        raise _Bad("bad_name", SLUG_EXPECTED, f"{path}[{at}]")
    return found


def _pence(rate: float | None) -> int | None:
    if rate is None:
        return None
    pence = round(rate * 100)
    if not 0 < pence <= MOST_PENCE or abs(pence - rate * 100) > 1e-6:
        raise _Bad("bad_rate", "expected pounds an hour, in whole pence, such as 21.35", "rate")
    return pence


def _hours(hours: int | None) -> int | None:
    if hours is not None and not 0 <= hours <= MOST_HOURS:
        raise _Bad("out_of_range", f"expected 0 to {MOST_HOURS} hours a week", "hours_declared")
    return hours


def _person(given: ProviderIn) -> PersonIn:
    phones = tuple(PhoneIn(number=one.number, kind=one.kind) for one in given.phones)
    return PersonIn(
        id=given.id, role=cast(Any, "provider"), name=given.name, phones=phones, email=given.email
    )
