"""A council's desk at its edge: what bodies mean, what they are answered, what is shown to whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from connectors.placing_in import BidIn, PlacementActionIn, Speaker
from connectors.ports import Degraded
from monitor.desk_providers import Providers
from tests.core.driver import MONDAY
from tests.unit.council_edge import BROKER, Edge, council, own, provider, rfc


async def test_a_package_is_placed_under_the_caller_s_own_id_and_its_first_round_opens() -> None:
    async with council() as edge:
        view, new = await edge.place(id="ref-1", text="E.M., 84, needs help to wash.")
        assert (view.id, new, view.stage, view.package.hours_week) == ("ref-1", True, "open", 7.0)
        assert [one.provider for one in view.rounds[0].asked] == ["ace", "bee"]
        assert view.package.text == "E.M., 84, needs help to wash."


async def test_the_same_body_again_changes_nothing_and_another_one_is_refused() -> None:
    async with council() as edge:
        start = rfc(edge, days=2)
        first, _ = await edge.place(id="ref-1", start=start)
        facts = await edge.kinds()
        again, new = await edge.place(id="ref-1", start=start)
        assert (again, new) == (first, False)
        problem = await edge.refused(edge.place(id="ref-1", start=start, hours_week=7.25))
        assert (problem.status, problem.code, problem.path) == (409, "id_taken", "id")
        assert await edge.kinds() == facts


async def test_without_an_id_every_package_is_a_new_one() -> None:
    async with council() as edge:
        (one, _), (two, _) = await edge.place(), await edge.place()
        assert one.id != two.id
        assert one.id == one.subject


@pytest.mark.parametrize(
    ("more", "code", "path"),
    [
        ({"hours_week": 7.1}, "off_step", "hours_week"),
        ({"hours_week": None, "minutes_week": 430}, "off_step", "minutes_week"),
        ({"minutes_week": 420}, "missing", "hours_week"),
        ({"hours_week": 0}, "out_of_range", "hours_week"),
        ({"hours_week": 336.25}, "out_of_range", "hours_week"),
        ({"visits": []}, "out_of_range", "visits"),
        ({"visits": [30, 20]}, "off_step", "visits[1]"),
        ({"visits": [1455]}, "out_of_range", "visits[0]"),
        ({"care_workers": 3}, "out_of_range", "care_workers"),
        ({"kind": "Standard"}, "unknown_kind", "kind"),
        ({"area": "eest"}, "unknown_area", "area"),
        ({"ward": "darwin"}, "unknown_ward", "ward"),
        ({"specialisms": ["dementia"]}, "unknown_specialism", "specialisms[0]"),
        ({"start": "soon"}, "bad_time", "start"),
        ({"start": "2026-11-23T07:59:59Z"}, "start_past", "start"),
        ({"discharge_at": "23/11/2026"}, "bad_time", "discharge_at"),
        ({"discharge_at": "2026-11-23T07:59:59Z"}, "discharge_past", "discharge_at"),
        ({"id": " "}, "bad_id", "id"),
        ({"id": "new"}, "bad_id", "id"),
        ({"by": "ace"}, "identity", "by"),
        ({"text": "x" * 4001}, "too_long", "text"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_its_place(
    more: dict[str, Any], code: str, path: str
) -> None:
    async with council() as edge:
        before = await edge.kinds()
        problem = await edge.refused(edge.place(**more))
        assert (problem.status, problem.code, problem.path) == (
            403 if code == "identity" else 400,
            code,
            path,
        )
        assert await edge.kinds() == before


async def test_a_start_and_a_discharge_of_this_very_minute_are_not_past() -> None:
    async with council() as edge:
        edge.wait(seconds=59)
        view, _ = await edge.place(start="2026-11-23T08:00:00Z", discharge_at="2026-11-23T08:00:00Z")
        assert view.package.start == view.package.discharge_at == MONDAY
        edge.wait(seconds=1)
        problem = await edge.refused(edge.place(start="2026-11-23T08:00:59Z"))
        assert problem.code == "start_past"


async def test_a_remark_beside_each_step_is_kept_and_shown_to_brokers_alone() -> None:
    async with council() as edge:
        view, _ = await edge.place()
        await edge.bid("ace", view.id)
        await edge.act("award", view.id, provider="ace", reason="emergency", note="a bed waits", by="bea")
        steps: dict[str, dict[str, Any]] = {
            "papers_sent": {},
            "extend": {"until": rfc(edge, days=1)},
            "confirm_first_visit": {"start": rfc(edge, days=1), "end": rfc(edge, days=1, hours=1)},
            "revoke_link": {"provider": "ace"},
            "withdraw": {"reason": "died"},
        }
        for action, more in steps.items():
            view = await edge.act(action, view.id, note=f"Why: {action}", by="bea", **more)
        assert [(one.action, one.note, one.by) for one in view.remarks] == [
            ("award", "a bed waits", "bea"),
            *((action, f"Why: {action}", "bea") for action in steps),
        ]
        assert "Why: " not in msgspec.json.encode(await edge.own("ace", view.id)).decode()
        facts = [record.body for record in await edge.store.facts("hall", 0)]
        assert all("Why: " not in body for body in facts)


async def test_of_two_brokers_who_give_longer_the_second_is_told_who_was_first() -> None:
    async with council() as edge:
        view, _ = await edge.place()
        await edge.bid("ace", view.id)
        view = await edge.act("award", view.id, provider="ace", reason="emergency", by="bea")
        assert view.award is not None
        was = msgspec.to_builtins(view.award.confirm_by)
        after = await edge.act("extend", view.id, until=rfc(edge, days=1), was=was, by="bea")
        assert after.award is not None
        assert (after.award.confirm_by, after.award.extended_by) == (MONDAY + timedelta(days=1), "bea")
        problem = await edge.refused(edge.act("extend", view.id, until=rfc(edge, days=2), was=was, by="bea"))
        assert (problem.status, problem.code, problem.extra["by"]) == (409, "already_done", "bea")
        for until, code in ((None, "missing"), ("tomorrow", "bad_time"), (rfc(edge, hours=2), "missing")):
            problem = await edge.refused(
                edge.act("extend", view.id, until=until, was=rfc(edge, days=1), by="bea")
            )
            assert (problem.status, problem.code, problem.path) == (400, code, "until")


@pytest.mark.parametrize(
    ("more", "nearest"),
    [({"area": "eest"}, "east"), ({"area": "east", "ward": "pets-wood"}, "petts-wood")],
)
async def test_what_was_expected_is_named_the_nearest_first(more: dict[str, Any], nearest: str) -> None:
    async with council() as edge:
        problem = await edge.refused(edge.place(**more))
        assert problem.extra["expected"][0] == nearest


async def test_a_kind_that_the_desk_does_not_place_is_refused_by_its_name() -> None:
    async with council() as edge:
        problem = await edge.refused(edge.place(kind="children"))
        assert (problem.status, problem.code, problem.extra["expected"]) == (
            400,
            "unknown_kind",
            ["discharge", "standard"],
        )


async def test_a_local_time_is_read_by_the_desk_s_calendar() -> None:
    async with council() as edge:
        view, _ = await edge.place(start="2027-06-01T09:00")
        assert view.package.start is not None
        assert view.package.start.isoformat() == "2027-06-01T08:00:00+00:00"


async def test_a_text_that_may_name_somebody_is_refused_with_its_places_until_a_broker_says_why() -> None:
    async with council() as edge:
        text = "Write to e.moss@mail.example about it."
        problem = await edge.refused(edge.place(id="ref-1", text=text))
        assert (problem.status, problem.code, problem.path) == (400, "not_anonymous", "text")
        assert problem.extra["marks"] == [{"kind": "email", "path": "text", "from": 9, "to": 28}]
        assert "moss" not in str(problem) + str(problem.extra)
        view, _ = await edge.place(id="ref-1", text=text, override="the ward's shared address")
        assert (view.marks, view.override) == (("email",), "the ward's shared address")


# --- providers ---


async def test_providers_are_upserted_by_id_and_absence_removes_nobody() -> None:
    async with council() as edge:
        answer = await edge.provider("ace")
        assert (answer.new, answer.changed, answer.unchanged, answer.problems) == (0, 0, 1, ())
        answer = await edge.provider("ace", tier="framework")
        assert (answer.changed, len(await edge.placing.providers())) == (1, 4)
        answer = await edge.provider("ace", tier="framework", email="other@x.example")
        assert answer.changed == 1
        (ace, *_) = await edge.placing.providers()
        assert (ace.id, ace.name, ace.email, ace.rate_pence) == (
            "ace",
            "Ace Homecare Ltd",
            "other@x.example",
            2150,
        )


@pytest.mark.parametrize(
    ("more", "code", "path"),
    [
        ({"areas": ["east", "wets"]}, "unknown_area", "areas[1]"),
        ({"scores": {"wets": 3}}, "unknown_area", "scores"),
        ({"scores": {"east": 101}}, "out_of_range", "scores"),
        ({"rating": {"overall": "Good"}}, "bad_rating", "rating.overall"),
        ({"rating": {"published": "2026-11-24"}}, "bad_date", "rating.published"),
        ({"declared_on": "2026-11-24"}, "bad_date", "declared_on"),
        ({"hours_declared": -1}, "out_of_range", "hours_declared"),
        ({"rate": 21.355}, "bad_rate", "rate"),
        ({"partners": ["nobody"]}, "unknown_provider", "partners[0]"),
        ({"desk": "hall"}, "unknown_desk", "desk"),
        ({"tier": "?"}, "bad_name", "tier"),
        ({"specialisms": ["dementia", "ä!"]}, "bad_name", "specialisms[1]"),
        ({"name": 7}, "bad_provider", "name"),
        ({"id": "bea"}, "id_taken", "id"),
    ],
)
async def test_one_bad_provider_is_named_with_its_path_and_harms_no_other(
    more: dict[str, Any], code: str, path: str
) -> None:
    async with council() as edge:
        items = [provider("new-1") | more, provider("new-2")]
        answer = await Providers(edge.shell, ["bright"]).put(items)
        assert (answer.new, answer.changed) == (1, 0)
        (problem,) = answer.problems
        assert (problem.row, problem.code, problem.path, problem.severity) == (
            1,
            code,
            f"providers[0].{path}",
            "error",
        )


async def test_who_can_be_told_nothing_or_is_asked_by_no_round_is_taken_with_a_warning() -> None:
    async with council() as edge:
        answer = await edge.provider("ace", tier="spot", email=None)
        assert [(one.code, one.severity) for one in answer.problems] == [
            ("unknown_tier", "warning"),
            ("unreachable", "warning"),
        ]


async def test_a_provider_is_nobody_of_the_care_side_and_no_upload_of_people_touches_it() -> None:
    async with council() as edge:
        answer = await edge.shell.put_people(
            [{"id": "ace", "role": "staff"}, {"id": "zed", "role": "provider"}],
            lambda _: False,
            lambda _: None,
        )
        assert [one.code for one in answer.problems] == ["bad_person", "bad_person"]
        assert edge.shell.directory.care_workers() == ()
        person = edge.shell.directory.person(edge.shell.directory.ref("person", "ace"))
        assert person is not None
        assert (person.role, person.mail) == ("provider", True)


# --- who sees what ---


async def test_a_provider_that_was_never_asked_finds_nothing() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        problem = await edge.refused(edge.own("sea"))
        nothing = await edge.refused(edge.own("sea", "ref-2"))
        assert (problem.status, problem.code, str(problem)) == (nothing.status, nothing.code, str(nothing))
        assert (await edge.own("ace")).state == "open"


async def own_bytes(edge: Edge, name: str) -> bytes:
    return msgspec.json.encode([await edge.own(name), await edge.placing.owned(name, only_open=False)])


async def as_ace_sees_it(meddle: Any) -> list[bytes]:
    """What `ace` is answered from the referral to the end, while `bee` does what `meddle` does at each step."""
    async with council() as edge:
        seen = []
        await edge.place(id="ref-1", text="Two carers, hoist.", start="2026-11-25T08:00:00Z")
        await meddle(edge, 0)
        seen.append(await own_bytes(edge, "ace"))
        receipt = await edge.bid("ace", start="2026-11-25T08:00:00Z", how="Our east team.")
        seen.append(msgspec.json.encode(receipt))
        await meddle(edge, 1)
        seen.append(await own_bytes(edge, "ace"))
        seen.append(msgspec.json.encode(await edge.bid("ace", start="2026-11-25T09:00:00Z")))
        edge.wait(minutes=60)
        await meddle(edge, 2)
        seen.append(await own_bytes(edge, "ace"))
        seen.append(msgspec.json.encode(await edge.take_back("ace")))
        seen.append(msgspec.json.encode(await edge.bid("ace", start="2026-11-25T10:00:00Z")))
        edge.wait(minutes=61)
        seen.append(await own_bytes(edge, "ace"))
        problem = await edge.refused(edge.own("ace", "ref-2"))
        seen.append(str(problem).encode())
        return seen


async def nothing(edge: Edge, step: int) -> None:
    return None


async def bids(edge: Edge, step: int) -> None:
    """Bids, changes, withdraws; its words and its start are its own."""
    if step == 2:
        await edge.take_back("bee")
    await edge.bid("bee", start="2026-11-25T07:00:00Z", how="Bee was here")


async def declines(edge: Edge, step: int) -> None:
    await edge.decline("bee", note="no room")


@pytest.mark.parametrize("meddle", [bids, declines])
async def test_nothing_that_a_provider_is_answered_depends_on_another_s_bid(meddle: Any) -> None:
    alone = await as_ace_sees_it(nothing)
    beside = await as_ace_sees_it(meddle)
    assert beside == alone
    assert b"bee" not in b"".join(beside).lower()


async def test_a_bid_has_a_receipt_and_the_broker_sees_it_whole() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        receipt = await edge.bid("ace", how="Ring Edna Moss first", hours_free=30, hours_declared=950)
        assert (receipt.what, receipt.late, receipt.changes, receipt.at) == ("bid", False, 0, edge.clock.at)
        assert [(mark.kind, mark.path) for mark in receipt.warnings] == [("name", "how")]
        (bid,) = (await edge.placing.one("ref-1")).bids
        assert (bid.provider, bid.how, bid.hours_free, bid.source) == (
            "ace",
            "Ring Edna Moss first",
            30,
            "api",
        )
        assert [one.how for one in (await edge.placing.all(only_open=True))[0].bids] == [None]


@pytest.mark.parametrize(("after", "late"), [({"hours": 2, "milliseconds": -1}, False), ({"hours": 2}, True)])
async def test_a_bid_is_late_from_the_close_on_by_its_receipt(after: dict[str, float], late: bool) -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        edge.wait(**after)
        assert (await edge.bid("ace")).late is late


async def test_a_broker_enters_a_bid_by_telephone_under_their_name() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        said = BidIn(start=rfc(edge, days=2), provider="bee", by="bea")
        receipt = await edge.placing.bid("ref-1", said, Speaker(source="broker"))
        (bid,) = (await edge.placing.one("ref-1")).bids
        assert (receipt.provider, bid.by, bid.source) == ("bee", "bea", "broker")


@pytest.mark.parametrize(
    ("said", "speaker", "answer"),
    [
        ({"start": "soon"}, own("ace"), (400, "bad_time", "start")),
        ({"start": "2026-11-22T08:00:00Z"}, own("ace"), (400, "start_past", "start")),
        ({"hours_free": -1}, own("ace"), (400, "out_of_range", "hours_free")),
        ({"provider": "bee"}, own("ace"), (403, "identity", "provider")),
        ({"by": "bea"}, own("ace"), (403, "identity", "provider")),
        ({}, own("sea"), (404, "not_found", None)),
        ({}, own("nobody"), (403, "unknown_provider", None)),
        ({}, BROKER, (400, "unknown_provider", "provider")),
        ({"provider": "sea"}, BROKER, (409, "not_asked", "provider")),
        ({"provider": "ace"}, Speaker(source="broker"), (400, "missing", "by")),
        ({"provider": "ace", "by": "ace"}, Speaker(source="broker"), (400, "unknown_person", "by")),
    ],
)
async def test_a_bid_that_cannot_be_taken_says_why(
    said: dict[str, Any], speaker: Speaker, answer: tuple[int, str, str | None]
) -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        body = msgspec.convert({"start": rfc(edge, days=2)} | said, BidIn)
        problem = await edge.refused(edge.placing.bid("ref-1", body, speaker))
        assert (problem.status, problem.code, problem.path) == answer


async def test_nothing_that_a_provider_sends_tells_it_of_a_package_that_it_was_not_asked_for() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        answers = []
        for name in ("ref-1", "ref-2"):
            confirm = PlacementActionIn(action="confirm_first_visit", start="soon")
            asked = (
                edge.bid("sea", name),
                edge.bid("sea", name, start="soon"),
                edge.bid("sea", name, hours_free=-1),
                edge.bid("sea", name, how="x" * 5_000),
                edge.decline("sea", name),
                edge.decline("sea", name, reason="busy"),
                edge.decline("sea", name, pass_to="nobody"),
                edge.take_back("sea", name),
                edge.own("sea", name),
                edge.placing.act(name, confirm, own("sea")),
            )
            problems = [await edge.refused(one) for one in asked]
            answers.append([(one.status, one.code, str(one), one.path, one.extra) for one in problems])
        assert answers[0] == answers[1]
        assert {status for status, *_ in answers[0]} == {404}
        assert (await edge.kinds()).count("BidRefused") == 9


async def test_a_refused_bid_is_on_record() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        await edge.refused(edge.bid("ace", start="2026-11-22T08:00:00Z"))
        await edge.refused(edge.bid("sea"))
        await edge.refused(edge.take_back("ace"))
        assert (await edge.kinds()).count("BidRefused") == 3


async def test_a_decline_is_one_press_with_a_reason() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        assert (await edge.decline("ace", note="full until May")).what == "declined"
        assert (await edge.own("ace")).declined is not None
        problem = await edge.refused(edge.decline("bee", reason="busy"))
        assert (problem.code, problem.path, "no_capacity" in problem.extra["expected"]) == (
            "unknown_value",
            "reason",
            True,
        )


async def test_the_award_the_winner_and_the_first_visit() -> None:
    async with council() as edge:
        await edge.place(id="ref-1")
        await edge.bid("ace")
        problem = await edge.refused(edge.act("award", provider="ace"))
        assert (problem.status, problem.path, problem.extra["expected"]) == (400, "reason", ["emergency"])
        edge.wait(hours=2)
        view = await edge.act("award")
        assert (view.stage, view.award.provider if view.award else None) == ("awarded", "ace")
        assert [(await edge.own(name)).state for name in ("ace", "bee")] == ["won", "closed"]
        problem = await edge.refused(edge.act("award", provider="bee", reason="choice"))
        assert (problem.status, problem.code, problem.extra["by"]) == (409, "already_awarded", "bea")
        said = {"start": rfc(edge, days=2), "end": rfc(edge, days=2, hours=1), "supervisor": True}
        view = await edge.act("confirm_first_visit", **said)
        assert view.first_visit is not None
        assert view.first_visit.supervisor


async def test_the_same_ids_hold_after_a_start() -> None:
    async with council() as edge:
        start = rfc(edge, days=2)
        first, _ = await edge.place(id="ref-1", start=start)
        loaded = await edge.store.load("hall")
        directory = edge.shell.directory
        again = type(directory)(lambda prefix: f"{prefix}-new", "Europe/London", 150)
        again.restore(loaded.people, loaded.people_rev)
        assert again.known("placement", "ref-1") == first.subject
        assert again.said(first.subject) == directory.said(first.subject)


async def test_what_the_disk_did_not_take_is_answered_503_and_said_again_it_is_the_same() -> None:
    async with council() as edge:
        start = rfc(edge, days=2)
        edge.store.break_with("full")
        with pytest.raises(Degraded):
            await edge.place(id="ref-1", start=start)
        with pytest.raises(Degraded):
            await edge.place(id="ref-1", start=start)
        assert (await edge.placing.one_page("ref-1")).degraded, "the page shows it all the same"
        edge.store.mend()
        await edge.shell.engine.durable(patient=True)
        view, new = await edge.place(id="ref-1", start=start)
        assert (view.stage, new) == ("open", False)
        assert (await edge.kinds()).count("PlacementReceived") == 1
        with pytest.raises(Degraded):
            edge.store.break_with("full")
            await edge.bid("ace")
        edge.store.mend()
        await edge.shell.engine.durable(patient=True)
        assert (await edge.bid("ace")).changes == 1


async def test_a_package_that_has_left_the_state_is_not_placed_a_second_time() -> None:
    async with council() as edge:
        start = rfc(edge, days=60)
        await edge.place(id="ref-1", start=start)
        await edge.act("withdraw", reason="not_needed")
        edge.wait(days=2)
        problem = await edge.refused(edge.place(id="ref-1", start=start))
        assert (problem.status, problem.code) == (409, "already_over")
        gone = await edge.refused(edge.placing.one("ref-1"))
        assert (gone.status, gone.code) == (404, "not_found")
        assert (await edge.kinds()).count("PlacementReceived") == 1
