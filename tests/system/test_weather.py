"""Declared bad weather from outside (domain.md section 2; spec 12.3, 12.4, 22): telephones as objects, a real relay for
the council's mail, and a policy by which an hour is seconds long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.system.daemon import (
    DESK,
    EDNA,
    OFFICE,
    ON_CALL,
    Api,
    WarmStart,
    chain_break,
    in_s,
    now,
    of_kind,
    rfc,
    service_user,
    visit,
)
from tests.system.test_unreachable import COUNCIL_MAIL, World, code, world
from tests.waiting import until_sync

FLO, GUS = "+447700900121", "+447700900122"
WEATHER = f"/v1/desks/{DESK}/weather"
HOUR = 6.0
SNOW = {
    "replace_within": f"{HOUR:g}s",
    "locate_gives_up": "1s",
    "offer_wave": "10s",
    "reassure_retry": "30s",
    "missed_after": "2s",
    "ask_public": "1s",
}
"""The hour in six seconds; nobody is rung twice in them."""


@contextmanager
def snowed_in(folder: Path, warm: WarmStart | None, **changes: Any) -> Iterator[World]:
    """Edna is red, Flo amber, Gus green with Ned as his next of kin; the last two have mobiles."""
    with world(folder, warm, overrides=SNOW | changes.pop("overrides", {}), **changes) as w:
        w.lay_out(
            ranked("su-2", "Flo Hartlebury", FLO, "amber"),
            ranked("su-3", "Gus Inkpen", GUS, "green", next_of_kin=["c-1"]),
        )
        yield w


def ranked(name: str, called: str, number: str, rank: str, **more: Any) -> dict[str, Any]:
    phone = {"number": number, "kind": "mobile"}
    given = {"name": called, "phones": [phone], "contact_plan": {"weather_rank": rank, "channels": ["text"]}}
    return service_user(name, number) | given | {"council_ref": f"BR-{name}"} | more


def say(w: World, action: str, **more: Any) -> Any:
    return w.office.post(WEATHER, {"action": action, "by": "st-2"} | more)


def weather(api: Api) -> Any:
    return api.get(WEATHER)


def of(w: World, name: str) -> dict[str, Any]:
    """The one late alert about this service user."""
    (found,) = [a for a in w.office.alerts(kind="late_visit") if a["service_user"] == name]
    return found


def track(w: World, name: str, which: str) -> tuple[str, str]:
    tracks = {one["name"]: one for one in of(w, name)["tracks"]}
    return (tracks[which]["step"], tracks[which]["reason"]) if which in tracks else ("", "")


def all_late(w: World) -> None:
    w.office.rota(
        visit("v-1", now()),
        visit("v-2", now(), service_user="su-2", workers=()),
        visit("v-3", now(), service_user="su-3", workers=()),
    )
    for name in ("su-1", "su-2", "su-3"):
        until_sync(
            lambda who=name: any(a["service_user"] == who for a in w.office.alerts(kind="late_visit")), 40
        )


def mails(w: World) -> list[tuple[str, str]]:
    """Subject and words of what the council got."""
    return [(str(m["Subject"]).strip(), m.get_content()) for to, m in w.mailbox.mails if to == [COUNCIL_MAIL]]


def test_only_a_manager_declares_it_and_everybody_sees_who_did(tmp_path: Path, warm: WarmStart) -> None:
    with snowed_in(tmp_path, warm) as w:
        assert weather(w.office)["declared"] is False
        until = rfc(now() + timedelta(hours=5))
        refused = w.office.call("POST", WEATHER, {"action": "declare", "by": "st-1", "until": until})
        assert (refused.status, refused.body["error"]["code"]) == (403, "not_manager")
        late = w.office.call("POST", WEATHER, {"action": "declare", "by": "st-2", "until": rfc(now())})
        assert (late.status, late.body["error"]["path"]) == (400, "until")
        said = say(w, "declare", until=until)
        assert (said["declared"], said["by"]) == (True, "st-2")
        assert "BAD WEATHER declared by Mary" in w.text(OFFICE, "BAD WEATHER")
        again = w.office.call("POST", WEATHER, {"action": "declare", "by": "st-2", "until": until})
        assert (again.status, again.body["error"]["code"], again.body["by"]) == (
            409,
            "already_declared",
            "st-2",
        )
        assert w.office.metric("callwatch_weather_declared", desk=DESK) == 1


def test_red_runs_in_full_amber_waits_for_a_person_and_green_is_seen_to_by_the_family(
    tmp_path: Path, warm: WarmStart
) -> None:
    # the hour is not what this is about: nobody is to be passed over before we have looked
    with snowed_in(tmp_path, warm, overrides={"replace_within": "1m"}) as w:
        say(w, "declare", until=rfc(now() + timedelta(hours=5)))
        said = say(
            w, "cover", by="st-1", service_user="su-3", next_of_kin="c-1", note="snow chains, he walks"
        )
        assert [(one["next_of_kin"], one["by"]) for one in said["covers"]] == [("c-1", "st-1")]
        all_late(w)
        for number in (FLO, GUS):
            w.text(number, "Are you all right")  # whoever they are, they are asked whether they are all right
        w.text(OFFICE, "BAD WEATHER, ")
        until_sync(lambda: track(w, "su-2", "replace") == ("waiting", "bad_weather"), 40)
        until_sync(lambda: track(w, "su-3", "replace") == ("waiting", "covered_by_family"), 40)
        until_sync(lambda: track(w, "su-1", "replace")[0] == "trying", 20)
        assert w.office.visit("v-3")["family_cover"]["next_of_kin"] == "c-1"
        assert w.office.visit("v-2")["family_cover"] is None
        # a person decides for Flo, and from then on it is as ever
        path = f"/v1/desks/{DESK}/alerts/{of(w, 'su-2')['id']}/actions"
        w.office.post(path, {"action": "do_now", "by": "st-1", "track": "replace"})
        assert track(w, "su-2", "replace")[0] == "trying"
        left_out = weather(w.office)["left_out"]
        assert (left_out["summons"], left_out["offers"]) == (2, 2)
        assert w.office.metric("callwatch_weather_left_out_total", desk=DESK, step="offers") == 2
        facts = w.office.facts()
        assert "chains" not in str(facts)
        assert chain_break(facts) is None


def test_the_council_gets_one_report_an_hour_and_red_breaches_one_by_one(
    tmp_path: Path, warm: WarmStart
) -> None:
    with snowed_in(tmp_path, warm) as w:
        say(w, "declare", until=rfc(now() + timedelta(hours=5)))
        say(w, "cover", by="st-1", service_user="su-3", next_of_kin="c-1")
        all_late(w)
        for number in (FLO, GUS):
            asked = w.text(number, "Are you all right")
            w.phones.reply(number, code(asked, "all right"))

        def reported() -> list[tuple[str, str]]:
            return [mail for mail in mails(w) if "1 late, 1 covered" in mail[0]]

        until_sync(
            lambda: [m for m in reported() if "nobody on the way: 2" in m[1]], 40, what="past the hour"
        )
        _, body = reported()[-1]
        assert "BR-su-2, FH" in body
        assert "BR-su-3, GI" in body
        assert "family cover confirmed" in body
        assert not {"Hartlebury", "Inkpen", "Flo", "Gus", FLO} & set(body.replace(",", " ").split())
        until_sync(lambda: [s for s, _ in mails(w) if s.startswith("Not reached")], 40, what="the red one")
        single = [subject for subject, _ in mails(w) if not subject.startswith("Bad weather")]
        assert not [subject for subject in single if "BR-su-" in subject]
        facts = w.office.facts()
        waits = of_kind(facts, "CouncilMoved", reason="situation_report")
        assert {one["subject"] for one in waits} <= {of(w, "su-2")["id"], of(w, "su-3")["id"]}
        assert of_kind(facts, "StepLeftOut", step="council_breach")
        until_sync(lambda: w.office.visit("v-3")["stage"] in ("late", "missed"), 40)


def test_service_users_who_are_not_red_hear_once_that_times_may_change(
    tmp_path: Path, warm: WarmStart
) -> None:
    with snowed_in(tmp_path, warm) as w:
        by_voice = {
            "phones": [{"number": EDNA, "kind": "landline"}],
            "contact_plan": {"weather_rank": "amber"},
        }
        w.office.people(service_user(**by_voice))
        # soon, for it must be today: only who is visited today is told
        soon = in_s(45)
        w.office.rota(
            visit("v-1", soon),
            visit("v-2", soon, service_user="su-2"),
            visit("v-3", soon, service_user="su-3", time_critical=True),
        )
        say(w, "declare", until=rfc(now() + timedelta(hours=5)))
        said = w.text(FLO, "times may change")
        assert "stays on our list" in said
        w.does(EDNA, "no-answer")
        until_sync(lambda: weather(w.office)["to_ring"], 40, what="she is to be rung by a person")
        assert weather(w.office)["to_ring"] == [{"service_user": "su-1", "reason": "not_reached"}]
        assert weather(w.office)["told"] == 1
        # a time-critical visit is red, whatever the rank is
        assert w.phones.texts(GUS) == []
        assert len([one for one in w.phones.texts(FLO) if "times may change" in one["body"]]) == 1


def test_the_report_of_twelve_hours_alarms_until_somebody_has_recorded_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    with snowed_in(tmp_path, warm, overrides={"replace_within": "1s", "locate_gives_up": "200ms"}) as w:
        say(w, "declare", until=rfc(in_s(4)))
        assert "ends at" in w.text(OFFICE, "bad weather ends")
        assert "OVER" in w.text(OFFICE, "is OVER")
        until_sync(lambda: weather(w.office)["declared"] is False, 20)
        assert weather(w.office)["ended_by"] is None
        w.text(ON_CALL, "report to the council is due")
        w.text(OFFICE, "is OVERDUE")
        (alarm,) = [a for a in w.office.alerts(kind="incident") if a["reason"] == "weather_report"]
        assert alarm["state"] == "open"
        said = w.office.post(WEATHER, {"action": "report", "by": "st-1", "note": "to J. Hart"})
        assert said["reported_by"] == "st-1"
        (alarm,) = [a for a in w.office.alerts(kind="incident") if a["reason"] == "weather_report"]
        assert alarm["state"] == "ended"
        assert "Hart" not in str(w.office.facts())


def test_when_it_ends_others_are_asked_to_go_to_what_is_still_open(tmp_path: Path, warm: WarmStart) -> None:
    with snowed_in(tmp_path, warm) as w:
        say(w, "declare", until=rfc(now() + timedelta(hours=5)))
        w.office.rota(visit("v-2", now(), service_user="su-2"))
        until_sync(lambda: w.office.alerts(kind="late_visit"), 40)
        until_sync(lambda: track(w, "su-2", "replace") == ("waiting", "bad_weather"), 40)
        say(w, "end")
        assert track(w, "su-2", "replace")[0] == "trying"


def test_it_survives_a_kill(tmp_path: Path, warm: WarmStart) -> None:
    with snowed_in(tmp_path, warm) as w:
        say(w, "declare", until=rfc(now() + timedelta(hours=5)))
        say(w, "cover", by="st-1", service_user="su-3", next_of_kin="c-1")
        before = weather(w.office)
        w.daemon.kill()
        w.daemon.start()
        w.phones.leads_to(w.daemon)
        after = weather(w.office)
        assert {k: after[k] for k in ("id", "until", "covers", "report_by")} == {
            k: before[k] for k in ("id", "until", "covers", "report_by")
        }
        assert len(of_kind(w.office.facts(), "WeatherDeclared")) == 1
