"""What may stand in a fact: ids, references, verdicts, digests, counts, instants. Never a name, a number, a position
or free text (design.md, "Three stores side by side")."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from config.policy import CouncilDesk, Duty, Policy, encode_policy
from monitor.core import facts as f
from monitor.core.inputs import Evidence
from monitor.core.upload import finished
from monitor.directory import Directory
from tests.core.days import busy_day, tidy_up
from tests.core.driver import MONDAY, Desk

MINTED = "a minted id"
DIGEST = "a digest"
OURS = "a name out of a list that stands in our code"
STRINGS: dict[str, str] = {
    "AlertEnded.by": MINTED,
    "AlertEnded.outcome": OURS + ": CLOSE_REASONS, mended, store_back",
    "AlertGathered.incident": MINTED,
    "AlertLapsed.by": MINTED,
    "AlertRaised.alert": MINTED,
    "AlertRaised.line": MINTED,
    "AlertRaised.reason": OURS,
    "AlertRaised.service_user": MINTED,
    "AlertRaised.visit": MINTED,
    "AlertRaised.worker": MINTED,
    "AlertTaken.by": MINTED,
    "AlertTaken.proof": "key:N, reply:NN, link, person:<minted id>, alert:<minted id>",
    "AbsenceConfirmed.by": MINTED,
    "AbsenceEnded.by": MINTED,
    "AbsenceReported.by": MINTED,
    "AbsenceReported.weekly": "hours in the notation of config.policy",
    "DayAtHome.by": MINTED,
    "ReturnMoved.by": MINTED,
    "VisitBack.returns": MINTED,
    "AbsenceReported.service_user": MINTED,
    "AwayAnswered.by": MINTED,
    "AwayQuestioned.absences": MINTED,
    "AwayQuestioned.told": MINTED,
    "AwayUnanswered.absences": MINTED,
    "DeathWithdrawn.by": MINTED,
    "KinNotTold.person": MINTED,
    "KinNotTold.reason": OURS + ", or what became of the message",
    "PersonDied.by": MINTED,
    "PersonDied.visits": MINTED,
    "ReviewMoved.by": MINTED,
    "VisitAway.absence": MINTED,
    "ActionRecorded.action": OURS + ": ActionTaken.action",
    "ActionRecorded.by": MINTED,
    "ActionRecorded.to": MINTED,
    "ActionRecorded.reason": OURS + ": CLOSE_REASONS, SAID",
    "AnswerHeard.answer": OURS + ": escalation.replies.Answer",
    "AnswerHeard.person": MINTED,
    "AnswerHeard.proof": "key:N, reply:NN",
    "ArrivalRecorded.worker": MINTED,
    "CheckRecorded.by": MINTED,
    "ChecksReminded.reason": OURS,
    "NoticeAnswered.by": MINTED,
    "NoticeAnswered.message": MINTED,
    "NoticeReturned.message": MINTED,
    "NoticeWanted.calls": MINTED,
    "NoticeWanted.desk": MINTED,
    "NoticesReminded.reason": OURS,
    "StaffChangesTold.reason": OURS,
    "CheckInRecorded.checkin": MINTED,
    "CheckInRecorded.device": MINTED,
    "CheckInRecorded.worker": MINTED,
    "CouncilMoved.by": MINTED,
    "CouncilMoved.desk": MINTED,
    "CouncilMoved.reason": OURS,
    "CouncilDesk.contract": "the key of a contract in the desk's configuration",
    "CouncilDesk.client_group": "the key of a group in the desk's configuration",
    "CouncilDesk.hours": "hours in the notation of config.policy",
    "CouncilDesk.ref": MINTED,
    "CheckOutAnswered.proof": "key:N, reply:NN, person:<minted id>",
    "CheckOutAnswered.worker": MINTED,
    "CheckOutAsked.reason": OURS,
    "CheckOutAsked.worker": MINTED,
    "DepartureRecorded.claim": "key:N, reply:NN, person:<minted id>",
    "DepartureRecorded.worker": MINTED,
    "HomeConfirmed.by": MINTED,
    "HomeConfirmed.proof": "person:<minted id>, arrival",
    "DutyMoved.message": MINTED,
    "DutyMoved.outgoing": MINTED,
    "DutyMoved.proof": "key:N, reply:NN, link, person:<minted id>",
    "DutyMoved.reason": OURS,
    "Duty.hours": "hours in the notation of config.policy",
    "Duty.person": MINTED,
    "Evidence.digest": DIGEST,
    "Evidence.id": MINTED,
    "LineLeft.call": MINTED,
    "LineLeft.room": MINTED,
    "LineWaits.call": MINTED,
    "LineWaits.other": MINTED,
    "LineWaits.person": MINTED,
    "LineWaits.room": MINTED,
    "LinesJoined.call": MINTED,
    "LinesJoined.message": MINTED,
    "LinesJoined.person": MINTED,
    "LinesJoined.room": MINTED,
    "ReplacementAccepted.message": MINTED,
    "ReplacementAccepted.proof": "key:N, reply:NN, person:<minted id>, again",
    "ReplacementAccepted.worker": MINTED,
    "ReplacementDeclined.worker": MINTED,
    "OffersHeld.workers": MINTED,
    "StaffTold.message": MINTED,
    "StaffTold.person": MINTED,
    "VisitLooked.reason": OURS,
    "WorkerAnswered.proof": "key:N, reply:NN, person:<minted id>",
    "WorkerAnswered.worker": MINTED,
    "MessageAccepted.provider_ref": "the provider's id of the message",
    "MessageDeferred.reason": OURS + ": connectors.ports.Reason",
    "MessageIntended.about": MINTED,
    "MessageIntended.alert": MINTED,
    "MessageIntended.line": MINTED,
    "MessageIntended.person": MINTED,
    "MessageIntended.template": "the id of a text in config/wording",
    "MessageIntended.visit": MINTED,
    "MessageSettled.proof": "key:N, reply:NN",
    "MessageSettled.reason": OURS + ": connectors.ports.Reason, and why it was cancelled",
    "NearRecorded.worker": MINTED,
    "NearWithdrawn.worker": MINTED,
    "NumberMended.line": MINTED,
    "NumberWrong.line": MINTED,
    "NumberWrong.message": MINTED,
    "PersonReached.answer": OURS + ": escalation.replies.Answer, take, spoke",
    "PersonReached.message": MINTED,
    "PersonReached.person": MINTED,
    "PersonReached.proof": "key:N, reply:NN, link, person:<minted id>",
    "PolicyAdopted.digest": DIGEST,
    "ReplyKept.line": MINTED,
    "ReplyKept.persons": MINTED,
    "TextsSeen.by": MINTED,
    "TextsTold.person": MINTED,
    "TextsTold.reason": OURS,
    "PracticeCalled.by": MINTED,
    "PracticeCalled.message": MINTED,
    "Terms.client_group": "the key of a group in the desk's configuration",
    "Terms.digest": DIGEST,
    "Terms.id": "the key of a contract in the desk's configuration",
    "TrackMoved.phase": OURS + ", or the minted id of the alert whose answer it waits for",
    "TrackMoved.reason": OURS,
    "TrackMoved.rests_by": MINTED,
    "VisitPlanned.placement": "the minted id of a package in the council's desk",
    "VisitPlanned.service_user": MINTED,
    "VisitPlanned.workers": MINTED,
    "VisitReplanned.workers": MINTED,
    "WeatherChanged.by": MINTED,
    "WeatherDeclared.by": MINTED,
    "WeatherEnded.by": MINTED,
    "WeatherReported.by": MINTED,
    "FamilyCoverConfirmed.by": MINTED,
    "FamilyCoverConfirmed.next_of_kin": MINTED,
    "FamilyCoverConfirmed.person": MINTED,
    "FamilyCoverWithdrawn.by": MINTED,
    "FamilyCoverWithdrawn.person": MINTED,
    "Newly.person": MINTED,
    "Newly.reason": OURS,
    "SituationReported.desk": MINTED,
    "SituationReported.message": MINTED,
    "StepLeftOut.weather": MINTED,
    "AlertRaised.placement": MINTED,
    "ReferralAnswered.by": MINTED,
    "ReferralLapsed.reason": OURS,
    "ReferralLapsed.told": MINTED,
    "ReferralLogged.by": MINTED,
    "ReferralLogged.council": MINTED,
    "ReferralPassed.by": MINTED,
    "ReferralPassed.proof": "key:N, reply:NN",
    "ReferralSummoned.messages": MINTED,
    "ReferralSummoned.person": MINTED,
    "ReferralSummoned.reason": OURS,
    "ReferralTaken.by": MINTED,
    "ReferralTaken.proof": "key:N, reply:NN, person:<minted id>",
    "Area.id": "the key of an area or ward in the desk's configuration",
    "Area.wards": "the key of an area or ward in the desk's configuration",
    "AwardTakenBack.by": MINTED,
    "AwardTakenBack.provider": MINTED,
    "BrokerSummoned.alert": MINTED,
    "CareEnded.by": MINTED,
    "CareEnded.provider": MINTED,
    "BidDeclined.by": MINTED,
    "BidDeclined.pass_to": MINTED,
    "BidDeclined.provider": MINTED,
    "BidRecorded.by": MINTED,
    "BidRecorded.provider": MINTED,
    "BidRefused.provider": MINTED,
    "BidRefused.why": OURS,
    "BidWithdrawn.by": MINTED,
    "BidWithdrawn.provider": MINTED,
    "CallOffMissed.desk": "the id of a desk of this installation",
    "CallOffMissed.provider": MINTED,
    "ConfirmationExtended.by": MINTED,
    "ConfirmationExtended.provider": MINTED,
    "ConfirmationReminded.provider": MINTED,
    "FirstVisitCalledOff.desk": "the id of a desk of this installation",
    "FirstVisitCalledOff.provider": MINTED,
    "FirstVisitConfirmed.by": MINTED,
    "FirstVisitConfirmed.desk": "the id of a desk of this installation",
    "FirstVisitConfirmed.provider": MINTED,
    "FirstVisitLanded.desk": "the id of a desk of this installation",
    "FirstVisitLanded.provider": MINTED,
    "FirstVisitLanded.visit": MINTED,
    "LateBidAdmitted.by": MINTED,
    "LateBidAdmitted.provider": MINTED,
    "LinkRevoked.by": MINTED,
    "LinkRevoked.provider": MINTED,
    "LocalScore.area": "the key of an area or ward in the desk's configuration",
    "LandingMissed.desk": "the id of a desk of this installation",
    "LandingMissed.provider": MINTED,
    "LosersTold.told": MINTED,
    "MessageIntended.placement": MINTED,
    "PackageSaid.area": "the key of an area or ward in the desk's configuration",
    "PackageSaid.specialisms": "the key of a specialism, [a-z0-9_-]",
    "PackageSaid.ward": "the key of an area or ward in the desk's configuration",
    "PapersReminded.told": MINTED,
    "PapersSent.by": MINTED,
    "PlacementAwarded.by": MINTED,
    "PlacementAwarded.proposed": MINTED,
    "PlacementAwarded.provider": MINTED,
    "PlacementEnded.by": MINTED,
    "PlacementReceived.by": MINTED,
    "PlacementUnplaced.alert": MINTED,
    "PlacementUnplaced.reason": OURS,
    "PlacingAdopted.mailbox": MINTED,
    "PlacingTerms.digest": DIGEST,
    "ProposalMade.proposed": MINTED,
    "ProviderAsked.provider": MINTED,
    "ProviderNotReached.provider": MINTED,
    "ProviderNotReached.told": MINTED,
    "ProviderSpokenTo.by": MINTED,
    "ProviderSpokenTo.provider": MINTED,
    "ProviderSaid.areas": "the key of an area or ward in the desk's configuration",
    "ProviderSaid.desk": "the id of a desk of this installation",
    "ProviderSaid.partners": MINTED,
    "ProviderSaid.ref": MINTED,
    "ProviderSaid.specialisms": "the key of a specialism, [a-z0-9_-]",
    "ProviderSaid.tier": "a tier of the desk's placing policies",
    "RoundClosed.not_reached": MINTED,
    "RoundClosed.silent": MINTED,
    "RingDone.by": MINTED,
    "RingDone.person": MINTED,
    "RingUndone.by": MINTED,
    "RingUndone.person": MINTED,
    "RoundOpened.asked": MINTED,
    "RoundOpened.by": MINTED,
    "RoundOpened.line": MINTED,
    "RoundOpened.renewed": MINTED,
    "RoundReminded.told": MINTED,
    "Row.decided_by": OURS,
    "Row.provider": MINTED,
    "RuleResult.names": "the key of a specialism, [a-z0-9_-]",
    "RuleResult.why": OURS,
    "WatchFault.error": "the class of an exception, never its words",
}
"""Every field of a fact that is text, and why no name, number or words of anybody can stand in it."""
NUMBERS: dict[str, str] = {
    "AbsenceEnded.visits": "how many",
    "DeathWithdrawn.visits": "how many",
    "ActionRecorded.minutes": "minutes that were said",
    "AlertRaised.count": "how many",
    "AlertRaised.index": "a place at the visit",
    "AnswerHeard.minutes": "minutes that were said",
    "AnswerphoneEnded.fingerprint": "64 bits of a keyed hash",
    "AnswerphoneEnded.seconds": "seconds",
    "ArrivalRecorded.index": "a place at the visit",
    "CheckInRecorded.fingerprint": "64 bits of a keyed hash",
    "ChecksReminded.told": "how many",
    "StaffChangesTold.told": "how many",
    "StaffChangesChecked.untold": "how many",
    "ChecksReminded.waiting": "how many",
    "NoticesReminded.told": "how many",
    "NoticesReminded.waiting": "how many",
    "TextsSeen.last": "the number of a fact",
    "TextsTold.waiting": "how many",
    "CouncilMoved.tries": "how often",
    "OffersHeld.owed": "how many",
    "StaffTold.count": "how many",
    "CheckOutAnswered.index": "a place at the visit",
    "CheckOutAsked.index": "a place at the visit",
    "CheckOutAsked.rings": "how often",
    "DepartureRecorded.index": "a place at the visit",
    "DepartureWithdrawn.index": "a place at the visit",
    "JournalOpened.format": "a version",
    "JournalOpened.min_reader": "a version",
    "LeadershipTaken.fence": "a counter",
    "LineLeft.talked_s": "seconds",
    "MessageAttempted.attempt": "how often",
    "MessageChased.tries": "how often",
    "MessageIntended.count": "how many",
    "MessageIntended.ring_s": "seconds",
    "MessageIntended.slot": "1 to 99",
    "PeopleChanged.changed": "how many",
    "PeopleChanged.new": "how many",
    "RotaAdopted.cancelled": "how many",
    "RotaAdopted.changed": "how many",
    "RotaAdopted.new": "how many",
    "RotaAdopted.refused": "how many",
    "RotaAdopted.unchanged": "how many",
    "RotaAdopted.size": "how many",
    "RotaBegun.rows": "how many",
    "PolicySpread.left": "how many",
    "PolicySpread.looked": "how many",
    "RotaLooked.tomorrow": "how many",
    "RotaLooked.visits": "how many",
    "RowRefused.row": "which row",
    "TextTaken.fingerprint": "64 bits of a keyed hash",
    "SituationReported.covered": "how many",
    "SituationReported.hour_passed": "how many",
    "SituationReported.late": "how many",
    "SituationReported.red": "how many",
    "TrackMoved.index": "a rung or line",
    "TrackMoved.round": "which round",
    "VisitLooked.asked": "how many",
    "ReferralLogged.fingerprint": "64 bits of a keyed hash",
    "VisitPlanned.places": "how many",
    "BidDeclined.index": "a round of the policy",
    "BidRecorded.change": "how often",
    "BidRecorded.hours_declared": "hours a week",
    "BidRecorded.hours_free": "hours a week",
    "BidRecorded.index": "a round of the policy",
    "BidWithdrawn.index": "a round of the policy",
    "CallOffMissed.index": "which of the package's",
    "FirstVisitCalledOff.index": "which of the package's",
    "LocalScore.score": "0 to 100",
    "LosersTold.index": "a round of the policy",
    "PackageSaid.minutes_week": "minutes a week",
    "PackageSaid.visits": "minutes",
    "PlacementAwarded.index": "a round of the policy",
    "ProposalMade.index": "a round of the policy",
    "ProviderAsked.index": "a round of the policy",
    "ProviderNotReached.index": "a round of the policy",
    "ProviderSpokenTo.index": "a round of the policy",
    "ProviderSaid.hours_declared": "hours a week",
    "ProviderSaid.rate_pence": "pence an hour",
    "RoundClosed.index": "a round of the policy",
    "RoundOpened.index": "a round of the policy",
    "RoundPassedOver.index": "a round of the policy",
    "RoundReminded.index": "a round of the policy",
    "RoundReminded.step": "how often",
    "Row.minutes_held": "minutes a week",
    "Row.minutes_proposed": "minutes a week",
    "Row.packages_won": "how many",
    "Row.place": "its place",
    "Row.rate_pence": "pence an hour",
    "Row.score": "0 to 100",
    "RuleResult.added": "minutes a week",
    "RuleResult.limit": "what a rule compared",
    "RuleResult.value": "what a rule compared",
    "VisitReplanned.places": "how many",
}
POLICIES = (("PolicyAdopted.policy", dict), ("Terms.policy", dict), ("PlacingTerms.policy", dict))
HARMLESS = (datetime, timedelta, date, bool, NoneType)


# --- a walk over every kind ---


def leaves(kind: type[Struct]) -> Iterator[tuple[str, Any]]:
    """(Kind.field, type) of everything that can stand in a body of this kind."""
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is not ClassVar and name in kind.__struct_fields__:
            for leaf in parts(hint):
                if isinstance(leaf, type) and issubclass(leaf, Struct):
                    yield from leaves(leaf)
                else:
                    yield f"{kind.__name__}.{name}", leaf


def parts(hint: Any) -> Iterator[Any]:
    origin = get_origin(hint)
    if origin in (Union, UnionType, tuple):
        for part in get_args(hint):
            if part is not Ellipsis:
                yield from parts(part)
    else:
        yield hint


ALL_LEAVES = [leaf for kind in f.KINDS.values() for leaf in leaves(kind)]


def test_a_fact_holds_ids_instants_counts_and_closed_lists_and_nothing_else() -> None:
    strange = [
        (field, leaf)
        for field, leaf in ALL_LEAVES
        if get_origin(leaf) is not Literal
        and leaf not in HARMLESS
        and not (leaf is str and field in STRINGS)
        and not (leaf is int and field in NUMBERS)
        and (field, get_origin(leaf)) not in POLICIES
    ]
    assert strange == []


def test_the_lists_of_this_test_name_only_fields_that_are_there() -> None:
    assert set(STRINGS) == {field for field, leaf in ALL_LEAVES if leaf is str}
    assert set(NUMBERS) == {field for field, leaf in ALL_LEAVES if leaf is int}


def test_a_field_that_could_hold_a_position_or_words_would_be_found() -> None:
    class Leaky(f.FactBody, frozen=True, kw_only=True):
        lat: float
        note: str | None = None
        about: tuple[Evidence, ...] = ()

    found = dict(leaves(Leaky))
    assert found["Leaky.lat"] is float
    assert ("Leaky.note", str) in list(leaves(Leaky))
    assert {"Evidence.id", "Evidence.digest"} <= {field for field, _ in leaves(Leaky)}
    assert "Leaky.note" not in STRINGS


def test_every_body_is_a_frozen_struct_that_the_collector_need_not_look_at() -> None:
    for kind in f.KINDS.values():
        assert kind.__struct_config__.frozen
        assert not kind.__struct_config__.gc


# --- a recorded day ---

TELLING = {
    "p-ed": ("Zaphodina Quillfeather", "+441632960101", 51.4321, 0.0234),
    "p-fay": ("Wilhelmina Brackenthwaite", "+447700900102", 51.4567, 0.0456),
    "p-dee": ("Yolanda Hurstmonceux", "+447700900103", None, None),
    "p-kit": ("Xanthippe Longbottomley", "+447700900104", None, None),
    "p-olga": ("Ursuline Peverell", "+447700900105", None, None),
    "p-paul": ("Thaddeus Ollerenshaw", "+447700900106", None, None),
    "p-mary": ("Perpetua Nankivell", "+447700900107", None, None),
    "p-ned": ("Ebenezer Quillfeather", "+447700900108", None, None),
}
ROLES = {
    "p-ed": "service_user",
    "p-fay": "service_user",
    "p-dee": "care_worker",
    "p-kit": "care_worker",
    "p-ned": "contact",
}


def directory() -> Directory:
    """The real directory, with people whose names nobody else has, under the short ids of the driver."""
    ids = {"person": iter(key.removeprefix("p-") for key in TELLING)}
    lines = iter(f"l-{key.removeprefix('p-')}" for key in TELLING)
    devices = iter(("d-dee", "d-kit"))
    mint = {"p": ids["person"], "l": lines, "d": devices}
    found = Directory(lambda prefix: next(mint[prefix]), "Europe/London", 100.0)
    people = [
        {
            "id": f"outside-{key}",
            "role": ROLES.get(key, "staff"),
            "name": name,
            "first_name": name.split()[0],
            "phones": [{"number": number, "kind": "mobile", "use": "first"}],
            "homes": [{"lat": lat, "lon": lon, "radius_m": 100}] if lat is not None else [],
            "devices": [f"callwatch:{key}"] if key in ("p-dee", "p-kit") else [],
        }
        for key, (name, number, lat, lon) in TELLING.items()
    ]
    good, problems = finished(found.read(people))
    change = found.apply(good, problems)
    assert len(change.new) == len(TELLING)
    return found


class Recorded(Desk):
    """A desk in the hand whose directory is the real one."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.people = directory()  # type: ignore[assignment]


def test_a_recorded_day_holds_no_name_number_position_or_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.core.days.Desk", Recorded)
    bodies: list[str] = []
    for seed in range(3):
        desk = busy_day(seed, steps=300)
        assert type(desk) is Recorded
        tidy_up(desk)
        bodies += [f.encode_body(fact.body) + fact.subject for fact in desk.facts]
    recorded = "\n".join(bodies).lower()
    assert len(bodies) > 1_000
    secrets = ["outside-p", "because she", "51.4", "0.02", "0.04", "anything else"]
    for name, number, _, _ in TELLING.values():
        secrets += [*name.lower().split(), number, number[3:]]
    assert [secret for secret in secrets if secret in recorded] == []


def test_what_somebody_writes_as_a_reason_stays_out_of_the_facts() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.act("note", "mary", reason="because she rang her daughter")
    assert desk.bodies(f.ActionRecorded)[-1].reason is None


# --- to text and back ---


def instants() -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Everything that the type allows."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, UnionType):
        return st.one_of([values_of(part) for part in args])
    if origin is tuple:
        return st.lists(values_of(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.just(encode_policy(Policy(late_after=timedelta(minutes=7))))
    plain: dict[Any, st.SearchStrategy[Any]] = {
        datetime: instants(),
        timedelta: st.timedeltas(timedelta(), timedelta(days=40)),
        date: st.dates(),
        bool: st.booleans(),
        int: st.integers(0, 2**63 - 1),
        str: st.text(max_size=8),
        NoneType: st.none(),
    }
    if hint in plain:
        return plain[hint]
    assert issubclass(hint, Struct)
    return bodies_of(hint)


def bodies_of(kind: type[Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: values_of(hints[name]) for name in kind.__struct_fields__})


@pytest.mark.parametrize("name", sorted(f.KINDS))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_kind_comes_back_from_its_text_as_it_was(name: str, data: st.DataObject) -> None:
    body = data.draw(bodies_of(f.KINDS[name]))
    text = f.encode_body(body)
    assert f.decode_body(name, 1, text) == body
    assert f.encode_body(f.decode_body(name, 1, text)) == text


def test_a_field_that_a_later_release_adds_does_not_stop_an_older_reader() -> None:
    text = json.dumps({"worker": "dee", "near_at": "2026-11-23T08:00:00Z", "later": 1})
    assert f.decode_body("NearRecorded", 1, text) == f.NearRecorded(worker="dee", near_at=MONDAY)


def test_references_to_duty_and_councils_come_back_whole() -> None:
    body = f.DutyAdopted(
        duty=(Duty(person="p1", role="office", hours="Mon-Fri 09:00-17:00"),),
        council_desks=(CouncilDesk(ref="c1", hours="otherwise"),),
    )
    assert f.decode_body("DutyAdopted", 1, f.encode_body(body)) == body


# --- versions ---


@pytest.mark.parametrize(("kind", "v"), [("VisitTeleported", 1), ("VisitPlanned", 2), ("VisitPlanned", 0)])
def test_an_unknown_kind_or_version_is_refused_by_name(kind: str, v: int) -> None:
    with pytest.raises(f.UnknownFactError, match=kind):
        f.decode_body(kind, v, "{}")


def test_a_damaged_body_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        f.decode_body("VisitPlanned", 1, '{"start":"yesterday"}')


def test_old_versions_are_lifted_one_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f.NearRecorded, "VERSION", 3)
    monkeypatch.setitem(f.UPCASTERS, ("NearRecorded", 1), lambda old: {"worker": old["who"], "at": old["at"]})
    monkeypatch.setitem(
        f.UPCASTERS, ("NearRecorded", 2), lambda old: {"worker": old["worker"], "near_at": old["at"]}
    )
    wanted = f.NearRecorded(worker="dee", near_at=MONDAY)
    assert f.decode_body("NearRecorded", 1, '{"who":"dee","at":"2026-11-23T08:00:00Z"}') == wanted
    assert f.decode_body("NearRecorded", 2, '{"worker":"dee","at":"2026-11-23T08:00:00Z"}') == wanted
    monkeypatch.delitem(f.UPCASTERS, ("NearRecorded", 2))
    with pytest.raises(f.UnknownFactError, match="version 2"):
        f.decode_body("NearRecorded", 1, '{"who":"dee","at":"2026-11-23T08:00:00Z"}')
