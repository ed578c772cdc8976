"""A council's desk at its edge: what bodies mean, what they are answered, what is shown to whom."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.council_edge import council, provider, rfc


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
        ({"id": " "}, "bad_id", "id"),
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
            "kind",
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
        from monitor.desk_providers import Providers

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
