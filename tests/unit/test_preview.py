"""What `preview` says of a rota: due when, who answers then, and what follows, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.load import DeskConfig, load_text
from connectors.ports import ApiProblem
from monitor.preview import AND_SO_ON, MOST_STEPS, SHOWN_AFTER, VisitPreview, preview
from monitor.rota_reader import Moment, _kept_length
from monitor.synthetic import synthetic_day

MONDAY = "2026-11-23T10:00"


def desk(extra: str = "", *, public: str = "auto", duty: str | None = None) -> DeskConfig:
    """Olga in the office, Paul on call otherwise, Mary the registered manager."""
    chain = duty or (
        '[{ person = "olga", role = "office", hours = "Mon-Fri 09:00-17:00" },'
        ' { person = "paul", role = "on_call", hours = "otherwise" }]'
    )
    text = f"""
data_dir = "data"
[[desk]]
id = "bright"
kind = "provider"
name = "Bright Care"
public = "{public}"
numbers = ["+441632960999"]
duty = {chain}
council_desks = [
  {{ name = "Duty care manager", phone = "+441632960010", hours = "Mon-Fri 09:00-17:00" }},
  {{ name = "Social Services Direct", phone = "+441632960011", hours = "Mon-Fri 17:00-17:30" }},
  {{ name = "EDT", phone = "+441632960012", hours = "otherwise" }},
  {{ name = "Children's team", phone = "+441632960013", hours = "otherwise", contract = "children" }},
]
{extra}
"""
    loaded = load_text(text, Path(), {})
    assert not loaded.errors
    return loaded.desks[0]


def row(start: str = MONDAY, minutes: int = 30, **more: Any) -> dict[str, Any]:
    end = (datetime.fromisoformat(start) + timedelta(minutes=minutes)).isoformat()
    return {"id": "v1", "service_user": "edith", "start": start, "end": end, "workers": ["deepa"]} | more


def only(*rows: dict[str, Any], config: DeskConfig | None = None, **more: Any) -> VisitPreview:
    (visit,) = preview(config or desk(), {"visits": list(rows)}, **more).visits
    return visit


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def steps(visit: VisitPreview, word: str = "") -> list[tuple[float, str]]:
    """Minutes after `late_at`, and the step, for the steps that begin with `word`."""
    return [
        ((one.at - visit.late_at) / timedelta(minutes=1), one.step)
        for one in visit.timeline
        if one.step.startswith(word)
    ]


def test_a_visit_on_a_normal_monday_summons_the_office_and_rings_the_service_user():
    visit = only(row())
    assert (visit.id, visit.start, visit.end) == ("v1", utc("2026-11-23T10:00"), utc("2026-11-23T10:30"))
    assert visit.late_at == utc("2026-11-23T10:30")
    assert (visit.duty, visit.council_desk) == (("olga",), "Duty care manager")
    assert steps(visit)[0] == (-20, "ask_worker sms")
    assert steps(visit, "alert_raised") == [(0, "alert_raised")]
    assert (0, "summon sms olga") in steps(visit)
    assert (1, "summon call olga") in steps(visit)
    assert (0, "reassure call") in steps(visit)
    assert steps(visit, "missed") == [(60, "missed")]


def test_nobody_answers_three_calls_and_the_service_user_is_not_reached_when_the_last_one_has_rung_out():
    visit = only(row())
    assert steps(visit, "reassure") == [
        (0, "reassure call"),
        (3, "reassure call"),
        (6, "reassure call"),
        (6 + 50 / 60, "reassure not_reached"),
    ]


@pytest.mark.parametrize(
    ("local", "start", "duty", "council", "problem"),
    [
        ("2026-10-25T01:30", "2026-10-25T00:30", "paul", "EDT", "time_exists_twice"),
        ("2026-10-25T00:59", "2026-10-24T23:59", "paul", "EDT", None),
        ("2026-10-25T02:00", "2026-10-25T02:00", "paul", "EDT", None),
        ("2026-03-29T01:30", "2026-03-29T01:30", "paul", "EDT", "time_does_not_exist"),
        ("2027-03-28T01:30", "2027-03-28T01:30", "paul", "EDT", "time_does_not_exist"),
        ("2027-03-28T00:59", "2027-03-28T00:59", "paul", "EDT", None),
        ("2027-03-28T02:00", "2027-03-28T01:00", "paul", "EDT", None),
        ("2026-12-25T10:00", "2026-12-25T10:00", "paul", "EDT", None),
        ("2026-12-28T10:00", "2026-12-28T10:00", "paul", "EDT", None),
        ("2026-12-29T10:00", "2026-12-29T10:00", "olga", "Duty care manager", None),
        ("2027-12-27T10:00", "2027-12-27T10:00", "paul", "EDT", None),
        ("2027-12-28T10:00", "2027-12-28T10:00", "paul", "EDT", None),
        ("2027-12-29T10:00", "2027-12-29T10:00", "olga", "Duty care manager", None),
        ("2027-05-31T10:00", "2027-05-31T09:00", "paul", "EDT", None),
        ("2026-07-20T08:30", "2026-07-20T07:30", "olga", "Duty care manager", None),
        ("2026-07-20T08:29", "2026-07-20T07:29", "paul", "EDT", None),
        ("2026-11-23T16:29", "2026-11-23T16:29", "olga", "Duty care manager", None),
        ("2026-11-23T16:30", "2026-11-23T16:30", "paul", "Social Services Direct", None),
        ("2026-11-23T17:00", "2026-11-23T17:00", "paul", "EDT", None),
        ("2026-11-22T10:00", "2026-11-22T10:00", "paul", "EDT", None),
    ],
)
def test_clock_changes_bank_holidays_and_hours_come_out_right_at_the_moment_the_visit_is_late(
    local: str, start: str, duty: str, council: str, problem: str | None
):
    found = preview(desk(), {"visits": [row(local, minutes=120)]})
    (visit,) = found.visits
    assert visit.start == utc(start)
    assert visit.late_at == utc(start) + timedelta(minutes=30)
    assert (visit.duty, visit.council_desk) == ((duty,), council)
    first = next(step for after, step in steps(visit, "summon") if after == 0)
    assert first.endswith(f" {duty}")
    codes = [one.code for one in found.problems if one.code.startswith("time_")]
    assert codes == ([problem] if problem else [])


def test_at_night_the_call_comes_first_and_by_day_the_text():
    by_day, at_night = only(row()), only(row("2026-11-24T02:00"))
    assert (0, "summon call olga") not in steps(by_day)
    assert (0, "summon call paul") in steps(at_night)


def test_an_offset_in_the_rota_is_obeyed_and_a_time_without_one_is_local():
    assert only(row("2026-07-20T10:00")).start == utc("2026-07-20T09:00")
    assert only(row("2026-07-20T10:00+00:00")).start == utc("2026-07-20T10:00")


def test_the_next_in_the_chain_is_summoned_when_nobody_answers_and_the_manager_is_the_last_rung():
    chain = (
        '[{ person = "olga", role = "office", hours = "daily 00:00-24:00" },'
        ' { person = "mary", role = "manager", hours = "otherwise" }]'
    )
    visit = only(row(), config=desk(duty=chain))
    assert visit.duty == ("olga",)
    assert [one for one in steps(visit, "summon sms") if one[0] <= 10] == [
        (0, "summon sms olga"),
        (5, "summon sms mary"),
        (10, "summon sms olga"),
    ]


def test_public_messages_that_are_off_are_shown_as_rehearsed():
    visit = only(row(), config=desk(public="off"))
    assert steps(visit, "reassure") == [(0, "reassure skipped public_off"), (0, "reassure call rehearsed")]


def test_public_messages_that_ask_wait_for_the_person_on_duty():
    visit = only(row(), config=desk(public="ask"))
    assert steps(visit, "reassure")[:2] == [(0, "reassure waiting ask_public"), (2, "reassure call")]


def test_the_tolerance_of_the_visit_goes_before_that_of_the_policy():
    assert only(row(late_after="90s")).late_at == utc("2026-11-23T10:01:30")
    assert only(row(), config=desk('overrides = { late_after = "2s" }')).late_at == utc("2026-11-23T10:00:02")


def test_with_people_the_contact_plan_decides():
    people = [
        {"id": "olga", "role": "staff", "phones": [{"number": "+447700900001"}]},
        {"id": "deepa", "role": "care_worker"},
        {
            "id": "edith",
            "role": "service_user",
            "phones": [{"number": "+447700900002"}],
            "contact_plan": {"channels": ["text"]},
        },
    ]
    visit = only(row(), people=people)
    assert steps(visit, "reassure")[0] == (0, "reassure sms")
    people[2]["contact_plan"] = {"channels": ["person"]}
    assert steps(only(row(), people=people), "reassure") == [(0, "reassure skipped person_only")]


def test_somebody_on_duty_whom_the_people_file_does_not_know_cannot_be_summoned_and_the_timeline_says_so():
    visit = only(row(), people=[{"id": "edith", "role": "service_user"}])
    assert visit.duty == ("olga",)
    assert steps(visit, "summon")[0] == (0, "summon nobody_on_duty")


def test_a_person_of_another_contract_has_that_contracts_council_desk():
    child = {"id": "edith", "role": "service_user", "contract": "children"}
    other = {"id": "edith", "role": "service_user", "contract": "adults"}
    assert only(row(), people=[child]).council_desk == "Children's team"
    assert only(row(), people=[other]).council_desk == "Duty care manager"


def test_a_problem_of_the_people_file_is_named_without_the_value():
    people = [{"id": "edith", "role": "service_user", "phones": [{"number": "not-a-number"}]}, {"id": 7}]
    found = preview(desk(), {"visits": [row()]}, people=people)
    assert [(one.row, one.code) for one in found.people_problems] == [(2, "bad_person"), (1, "bad_number")]
    assert "not-a-number" not in str(found.people_problems)


def test_without_a_people_file_nobody_is_called_unknown():
    assert preview(desk(), {"visits": [row()]}).problems == ()


def test_a_row_that_would_not_be_watched_is_a_problem_and_no_visit():
    nobody = {key: value for key, value in row(id="v2").items() if key != "service_user"}
    found = preview(desk(), {"visits": [row(), nobody]})
    assert [visit.id for visit in found.visits] == ["v1"]
    assert [(one.row, one.visit, one.code, one.severity) for one in found.problems] == [
        (2, "v2", "no_person", "error")
    ]
    assert found.refused


@pytest.mark.parametrize(
    "start",
    [
        "9999-12-31T23:59:59Z",
        "9001-01-01T00:00",
        "1899-12-31T10:00",
        "0001-01-01T00:00:00+05:00",
        "0001-01-01T00:00",
    ],
)
def test_a_row_of_an_impossible_year_is_refused_and_harms_no_other(start: str):
    odd = {"id": "v9", "service_user": "edith", "start": start, "end": start}
    found = preview(desk(), {"visits": [odd, row()]})
    assert [visit.id for visit in found.visits] == ["v1"]
    assert [(one.row, one.code) for one in found.problems] == [(1, "no_time")]


def test_warnings_are_watched_and_named():
    found = preview(desk(), {"visits": [row(), row(id="v2", service_user="fay", minutes=20, colour="red")]})
    assert [visit.id for visit in found.visits] == ["v1", "v2"]
    assert {one.code for one in found.problems} == {"short_visit", "off_step", "overlap", "unknown_field"}
    assert not found.refused


def test_what_is_no_rota_is_refused_with_what_was_expected():
    with pytest.raises(ApiProblem) as caught:
        preview(desk(), {"visits": "all of them"})
    assert (caught.value.status, caught.value.path) == (400, "visits")


@pytest.mark.parametrize("body", [{"visits": []}, {"visits": [{"id": "v1"}]}])
def test_a_rota_without_a_visit_that_can_be_watched_has_no_timeline(body: dict[str, Any]):
    assert preview(desk(), body).visits == ()


def test_a_rota_read_when_the_visit_is_late_already_alerts_at_once():
    read_at = utc("2026-11-23T11:15")
    visit = only(row(), at=read_at)
    assert visit.timeline[0].at == read_at
    assert visit.timeline[0].step == "alert_raised"
    assert visit.timeline[-1].at > visit.late_at + SHOWN_AFTER


def test_a_visit_too_late_to_catch_up_with_goes_to_staff_in_a_digest_and_rings_no_service_user():
    visit = only(row(), at=utc("2026-11-23T13:00"))
    assert (150, "reassure skipped too_old") in steps(visit)
    assert steps(visit, "reassure call") == []


def test_every_timeline_stays_in_its_span_and_in_order():
    visits = [
        row(f"2026-11-{day}T{hour:02}:00", id=f"{day}-{hour}") for day in (22, 23) for hour in (0, 9, 16)
    ]
    found = preview(desk(), {"visits": visits}).visits
    assert [visit.id for visit in found] == [one["id"] for one in visits]
    for visit in found:
        moments = [one.at for one in visit.timeline]
        assert moments == sorted(moments)
        assert visit.start <= moments[0]
        assert moments[-1] <= visit.late_at + SHOWN_AFTER


def test_a_policy_of_milliseconds_ends_with_and_so_on():
    config = desk('overrides = { summon_next = "100ms", summon_call_after = "50ms" }')
    visit = only(row(), config=config)
    assert len(visit.timeline) == MOST_STEPS + 1
    assert visit.timeline[-1].step == AND_SO_ON


def test_a_whole_synthetic_day_is_previewed_each_visit_with_its_own_alert():
    day = synthetic_day(1, utc("2026-11-23T07:30"))
    before = utc("2026-11-22T12:00")
    found = preview(desk(), day.rota_body, people=day.people_body["people"], at=before)
    assert len(found.visits) == len(day.rota_body["visits"])
    assert not found.refused
    assert not found.people_problems
    for visit in found.visits:
        assert [one.at for one in visit.timeline if one.step == "alert_raised"] == [visit.late_at]


def test_the_same_rota_gives_the_same_preview():
    assert preview(desk(), {"visits": [row()]}) == preview(desk(), {"visits": [row()]})


def test_a_visit_whose_start_falls_into_the_spring_nights_hole_keeps_its_length() -> None:
    start, end = (
        Moment(at=datetime(2027, 3, 28, 1, 30, tzinfo=UTC), trouble="time_does_not_exist"),
        Moment(at=datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),
    )
    item = {"start": "2027-03-28T01:30", "end": "2027-03-28T02:00"}
    assert _kept_length(item, start, end).at == datetime(2027, 3, 28, 2, 0, tzinfo=UTC)


# --- nobody checks out ---


def check_outs(visit: VisitPreview, from_: datetime) -> list[tuple[float, str]]:
    return [((one.at - from_) / timedelta(minutes=1), one.step) for one in visit.check_out]


def test_who_comes_and_does_not_check_out_is_texted_rung_and_then_looked_for():
    visit = only(row())
    seen = check_outs(visit, utc("2026-11-23T11:15"))
    assert seen[0] == (0, "ask_worker sms")
    assert seen[1] == (5, "ask_worker call")
    assert seen[2] == (5 + 25 / 60, "alert_raised lone_worker")
    assert seen[3][1] == "summon sms olga"


def test_a_visit_without_a_care_worker_or_that_one_lives_in_has_no_such_timeline():
    assert only(row(workers=[])).check_out == ()
    assert only(row(minutes=60 * 24 * 5, kind="live_in")).check_out == ()
