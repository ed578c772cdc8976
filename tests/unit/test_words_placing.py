"""What is told of a package: enough to bid, nothing that names the person, nothing of what a rival did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast

import pytest
from msgspec import structs

from connectors.ports import PersonIn
from escalation.wording import sms_parts
from monitor.core.alerts import WORDS_BY_REASON
from monitor.core.evidence import Evidence
from monitor.core.messages import PACKAGES_TAKEN, SAY_TO_WORDS, SayBack
from monitor.core.placing import telling
from monitor.core.placing.inputs import PackageSaid
from monitor.core.placing.model import Asked, Award, Bid, Declined, FirstVisit, Placement, RoundRun
from monitor.core.state import Alert, Message, State, Values, Visit
from monitor.directory import Directory
from monitor.wording_file import load_wording
from monitor.words import Office, Words
from monitor.words_placing import rows
from tests.core.council import STANDARD
from tests.unit.test_words import shell

NOW = datetime(2026, 11, 23, 9, 59, 7, tzinfo=UTC)
CLOSES = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
START = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
WORDING = load_wording()
OF_ALERTS = frozenset({"BD-40", "BD-41"})
"""Words of alerts about packages, which stand beside no one package."""
TEXTS = sorted(name for name in WORDING.sms if name.startswith("BD-") and name not in OF_ALERTS)
MAILS = sorted(name for name in WORDING.mail if name.startswith("BD-"))
PACKAGE = PackageSaid(
    kind="discharge",
    area="east",
    ward="petts-wood",
    minutes_week=1065,
    visits=(30, 45, 30),
    care_workers=2,
    time_critical=True,
    specialisms=("dementia",),
    start=START,
    discharge_at=START - timedelta(hours=2),
)


ALL = {name for name in vars(telling).values() if isinstance(name, str) and name.startswith("BD-")}
"""What the core may tell of a package."""
BY_MAIL_ALONE = frozenset({"BD-16", "BD-17", "BD-21", "BD-21B", "BD-22", "BD-23", "BD-24"})


def link(placement: str, provider: str) -> str:
    return f"https://cw.example/b/{placement}-{provider}"


class Story:
    """A package for which Ace and Bee are asked; Ace has bid. Bea is the broker."""

    def __init__(self, **office: Any) -> None:
        numbers = count(1)
        self.directory = Directory(lambda prefix: f"{prefix}{next(numbers)}", "Europe/London", 150.0)
        people = [
            PersonIn(id="ace", role="provider", name="Ace Homecare Ltd"),
            PersonIn(id="bee", role="provider", name="Bee Care"),
            PersonIn(id="bea", role="staff", name="Bea Moss"),
        ]
        self.directory.apply(list(enumerate(people)), [])
        ace, bee = self.ref("ace"), self.ref("bee")
        asked = tuple(Asked(provider=ref, at=NOW, closes_at=CLOSES) for ref in (ace, bee))
        bid = Bid(
            provider=ace,
            index=0,
            at=NOW,
            first_at=NOW,
            start=START,
            source="link",
            how=Evidence(id="e9", digest="00"),
            hours_free=40,
            hours_declared=910,
        )
        self.package = Placement(
            ref="k1",
            package=PACKAGE,
            received_at=NOW,
            by=self.ref("bea"),
            policy="",
            rounds=(RoundRun(index=0, opened_at=NOW, closes_at=CLOSES, asked=asked),),
            bids=(bid,),
            declined=(Declined(provider=bee, index=0, at=NOW, reason="no_skills", source="link"),),
            award=Award(provider=ace, at=NOW, confirm_by=CLOSES),
            first_visit=FirstVisit(
                start=START, end=START + timedelta(hours=1), at=NOW, source="link", supervisor=True
            ),
        )
        self.state = State(Values(placements={"k1": self.package}, placing_policies={"": STANDARD}))
        given: dict[str, Any] = {"public_url": "https://cw.example", "bid_url": link} | office
        desk = Office(
            desk="hall", agency="Hall Brokerage", tel="01632 960900", areas={"east": "the East"}, **given
        )
        self.words = Words(WORDING, desk, self.state, self.directory)

    def ref(self, outside: str) -> str:
        return self.directory.ref("person", outside)

    def change(self, **more: Any) -> None:
        known = self.state.values.placements["k1"]
        self.state.values.placements["k1"] = structs.replace(known, **more)

    def message(self, template: str, channel: Any = "sms", **more: Any) -> Message:
        audience = (WORDING.sms.get(template) or WORDING.mail[template]).audience
        to_provider = audience == "provider"
        values: dict[str, Any] = {"at": CLOSES, "about": None if to_provider else self.ref("ace")}
        return Message(
            key="m1",
            person=self.ref("ace" if to_provider else "bea"),
            line="l1",
            purpose="package",
            channel=channel,
            template=template,
            priority="repeat",
            intended_at=NOW,
            expires_at=NOW + timedelta(days=1),
            policy="",
            placement="k1",
            **values | more,
        )

    def text(self, template: str, **more: Any) -> str:
        return self.words.text(self.message(template, **more), NOW)

    def mail(self, template: str, written: str = "", **more: Any) -> str:
        return self.words.mail(self.message(template, "email", **more), NOW, written)


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_ward_with_a_name_is_called_by_it() -> None:
    story = Story(wards={"petts-wood": "Petts Wood and Knoll"})
    assert "Petts Wood and Knoll" in story.text("BD-1")


@pytest.mark.parametrize(
    ("template", "reads"),
    [
        (
            "BD-1",
            "Package k1: Petts Wood, 17.75 h a week, start Wed 25 Nov. Bid or decline by 11.30am: {link}",
        ),
        ("BD-2", "Package k1: nothing from you yet. 91 min left. Bid or decline: {link}"),
        ("BD-3", "Package k1: bid received 9.59am. You can change it until 11.30am."),
        ("BD-3B", "Package k1: received 9.59am, after the close at 11.30am. Kept and marked late."),
        (
            "BD-4",
            "Package k1 is yours. Papers by secure e-mail. Please confirm day and time of the first visit by "
            "11.30am: {link}",
        ),
        ("BD-5", "Package k1: not successful this time. Thank you for bidding. Any question: 01632 960900"),
        ("BD-7", "Package k1 for you: Petts Wood, 17.75 h/week, start Wed 25 Nov. Answer by 11.30am: {link}"),
    ],
)
def test_a_provider_reads_what_it_must_know_in_one_text(story: Story, template: str, reads: str) -> None:
    text = story.text(template)
    assert text == reads.replace("{link}", link("k1", story.ref("ace")))
    assert sms_parts(text) == 1


def test_the_broker_reads_what_became_of_the_window_and_where_to_decide(story: Story) -> None:
    page = "https://cw.example/desks/hall/placements/k1"
    assert story.text("BD-14", count=2) == (
        f"Package k1: window closed, bids: 2. Proposed: Ace Homecare Ltd. Please decide: {page}"
    )
    run = structs.replace(story.package.rounds[0], closed_at=CLOSES, silent=(story.ref("bee"),))
    story.change(rounds=(run,), bids=())
    assert story.text("BD-6") == (
        "Package k1: window closed 11.30am, 1 did not answer, nothing placed. "
        f"Next round opens when you say: {page}"
    )


def test_the_mail_of_an_invitation_has_the_package_and_not_the_words_of_the_referral(story: Story) -> None:
    mail = story.mail("BD-1")
    assert mail.startswith(
        "Package k1: please bid or decline by 11.30am\n\nHall Brokerage asks you for a bid."
    )
    for line in (
        "Package: k1, hospital discharge",
        "Where: Petts Wood",
        "Care: 17.75 hours a week, 3 visits a day: 30, 45, 30 min",
        "Care workers: two together",
        "Times: some are time critical",
        "Needs: dementia",
        "Wanted from: Wed 8am",
        "Discharge from hospital: Wed 6am",
        link("k1", story.ref("ace")),
    ):
        assert line in mail.split("\n"), line


def test_what_is_not_said_of_a_package_is_left_out(story: Story) -> None:
    bare = PackageSaid(kind="standard", area="east", minutes_week=420, visits=(60,))
    story.change(package=bare)
    assert story.text("BD-1").startswith("Package k1: the East, 7 h a week. Bid or decline by")
    mail = story.mail("BD-1")
    assert "one visit a day: 60 min" in mail
    assert not [word for word in ("Times:", "Needs:", "Wanted", "Discharge") if word in mail]


def test_the_mailbox_has_the_whole_bid_to_the_second(story: Story) -> None:
    copy = story.mail("BD-21", "We know the road.\n" + "word " * 60, at=START)
    for line in (
        "Provider: Ace Homecare Ltd",
        "Received: Mon 23 Nov 2026, 09:59:07, in time, by their link",
        "Can start: Wed 8am",
        "Hours a week that they have free: 40",
        "Private and allocated hours a week that they declare: 910",
        "How they would deliver it: We know the road.",
    ):
        assert line in copy.split("\n"), line
    assert copy.count("word") == 60
    assert link("k1", story.ref("ace")) not in copy


def test_a_copy_quotes_the_bid_of_which_it_is_a_copy_and_no_later_one(story: Story) -> None:
    assert story.words.quotes(story.message("BD-21", "email")) == "e9"
    story.change(bids=(structs.replace(story.package.bids[0], changes=1, hours_free=7),))
    assert story.words.quotes(story.message("BD-21", "email")) is None
    assert "Hours a week that they have free" not in story.mail("BD-21", at=START)
    assert "Hours a week that they have free: 7" in story.mail("BD-21", at=START, count=1)


def test_a_bid_by_telephone_names_who_entered_it(story: Story) -> None:
    entered = structs.replace(story.package.bids[0], source="broker", by=story.ref("bea"))
    story.change(bids=(entered,))
    assert "in time, by telephone, entered by Bea Moss" in story.mail("BD-21", at=START)


def test_a_decline_is_copied_with_its_reason(story: Story) -> None:
    assert "Declined: Mon 23 Nov 2026, 09:59:07, no care workers with the skills" in story.mail(
        "BD-23", about=story.ref("bee")
    )


@pytest.mark.parametrize("template", TEXTS)
def test_every_text_of_a_package_can_be_filled(story: Story, template: str) -> None:
    assert not set("{}[]") & set(story.text(template, count=2))


@pytest.mark.parametrize("template", MAILS)
def test_every_mail_of_a_package_can_be_filled(story: Story, template: str) -> None:
    mail = story.mail(template, count=2)
    assert mail.startswith("Package k1")
    assert not set("{}[]") & set(mail)


@pytest.mark.parametrize("template", sorted({*TEXTS, *MAILS}))
def test_a_provider_hears_the_same_whatever_its_rivals_do(template: str) -> None:
    """Sealed in content and number: with a rival who has bid, declined, won, or is not there at all."""
    if (WORDING.sms.get(template) or WORDING.mail[template]).audience != "provider":
        assert template not in FOR_PROVIDERS
        return
    told = []
    for rivals in (True, False):
        story = Story()
        run, bid = story.package.rounds[0], story.package.bids[0]
        theirs = structs.replace(bid, provider=story.ref("bee"), start=START + timedelta(days=1))
        story.change(
            rounds=(structs.replace(run, asked=run.asked if rivals else run.asked[:1]),),
            bids=(bid, theirs) if rivals else (bid,),
            late=(theirs,) if rivals else (),
            declined=story.package.declined if rivals else (),
        )
        heard = [story.text(template)] if template in WORDING.sms else []
        told.append([*heard, story.mail(template)])
    assert told[0] == told[1]
    assert not any("Bee" in text for text in told[0])


@pytest.mark.parametrize("template", sorted(ALL))
def test_whatever_the_core_tells_of_a_package_has_its_words_by_every_way(template: str) -> None:
    assert template in WORDING.mail
    assert (template in WORDING.sms) == (template not in BY_MAIL_ALONE)
    audiences = {entry.audience for entry in (WORDING.sms.get(template), WORDING.mail[template]) if entry}
    assert audiences == {"provider" if template in FOR_PROVIDERS else "staff"}


def test_no_words_are_there_that_nobody_says() -> None:
    assert {*TEXTS, *MAILS} == ALL | {SAY_TO_WORDS["provider"]}
    assert {WORDS_BY_REASON["several_unplaced"][0], PACKAGES_TAKEN} == OF_ALERTS


FOR_PROVIDERS = frozenset(
    {
        "BD-1",
        "BD-2",
        "BD-3",
        "BD-3B",
        "BD-4",
        "BD-5",
        "BD-7",
        "BD-8",
        "BD-9",
        "BD-10",
        "BD-11",
        "BD-12",
        "BD-34",
    }
)


def test_without_a_link_to_give_a_provider_is_asked_to_ring() -> None:
    story = Story(bid_url=lambda _placement, _provider: "")
    assert story.text("BD-1").endswith("Bid or decline by 11.30am: ring 01632 960900")


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (datetime(2026, 11, 23, 23, 59, tzinfo=UTC), "11.59pm"),
        (datetime(2026, 11, 24, 0, 0, tzinfo=UTC), "Tue midnight"),
        (datetime(2026, 11, 29, 9, 0, tzinfo=UTC), "Sun 9am"),
        (datetime(2026, 11, 30, 9, 0, tzinfo=UTC), "Mon 30 Nov, 9am"),
    ],
)
def test_a_close_on_another_day_is_told_with_the_day(story: Story, until: datetime, said: str) -> None:
    assert f"Bid or decline by {said}: " in story.text("BD-1", at=until)


def test_when_the_package_has_left_the_desk_nothing_is_made_up(story: Story) -> None:
    del story.state.values.placements["k1"]
    with pytest.raises(ValueError, match="needs a value for"):
        story.text("BD-1")


def test_what_somebody_wrote_is_broken_into_rows_and_none_is_lost() -> None:
    text = "first line\n\n" + " ".join(["carer"] * 100)
    broken = rows(text).split("\n")
    assert broken[0] == "first line"
    assert max(map(len, broken)) <= 180
    assert " ".join(broken).split() == text.split()


def test_packages_wait_behind_every_visit_of_their_priority_and_a_discharge_before_others(
    story: Story,
) -> None:
    standard = structs.replace(story.package, ref="k2", package=structs.replace(PACKAGE, kind="standard"))
    story.state.values.placements["k2"] = standard
    about = {"m1": "k1", "m2": "k2", "m3": None}
    for key, placement in about.items():
        message = structs.replace(story.message("BD-1"), key=key, placement=placement)
        story.state.values.messages[key] = message
    desk = shell(cast(Any, story))
    assert sorted(about, key=desk.rank) == ["m3", "m1", "m2"]


# --- beside packages: the alerts about them, and the first visit in the provider's desk ---


@pytest.mark.parametrize(
    ("template", "reason", "said", "spoken"),
    [
        ("OC-190", "unplaced", "package k1 is NOT PLACED", "Package k1 is not placed. Its last round"),
        (
            "OC-191",
            "unconfirmed",
            "package k1 was awarded, and its first visit is NOT",
            "Package k1 was awarded",
        ),
        ("OC-192", "undecided", "package k1 waits for you", "Package k1 waits for you"),
    ],
)
def test_who_is_summoned_hears_which_package_it_is(
    story: Story, template: str, reason: str, said: str, spoken: str
) -> None:
    alert = Alert(
        ref="a1",
        kind="placement",
        due_at=NOW,
        opened_at=NOW,
        policy="",
        placement="k1",
        reason=reason,
        time_critical=True,
    )
    story.state.values.alerts["a1"] = alert
    about = {"placement": None, "alert": "a1", "about": None, "at": None}
    text = story.words.text(structs.replace(story.message("BD-15"), template=template, slot=1, **about), NOW)
    assert said in text
    assert text.endswith("https://cw.example/board/hall/alerts/a1")
    call = structs.replace(story.message("BD-15"), template="OCV-3", channel="call", **about)
    told = " ".join(story.words.script(call, "tell", NOW).say)
    assert spoken in told
    assert "time critical" in told


def test_who_is_summoned_for_several_packages_hears_how_many_they_are_now(story: Story) -> None:
    of = Alert(
        ref="", kind="placement", due_at=NOW, opened_at=NOW, policy="", reason="unplaced", incident="i1"
    )
    bundle = structs.replace(of, ref="i1", kind="incident", reason="several_unplaced", incident=None, count=3)
    alerts = {f"a{n}": structs.replace(of, ref=f"a{n}", placement=f"k{n}") for n in range(1, 5)}
    story.state.values.alerts |= {"i1": bundle} | alerts
    story.state.open_by["i1"] = dict.fromkeys(alerts)  # type: ignore[assignment]
    about = {"placement": None, "alert": "i1", "about": None, "at": None}
    asked = structs.replace(story.message("BD-15"), template="BD-40", slot=1, **about)
    assert "packages that are NOT PLACED: 4, nobody can take them, first k1." in story.words.text(asked, NOW)
    call = structs.replace(asked, template="OCV-3", channel="call")
    told = " ".join(story.words.script(call, "tell", NOW).say)
    assert "Packages that are not placed: 4." in told
    again = story.words.text(structs.replace(asked, template="OC-2"), NOW)
    assert '"several packages not placed"' in again
    taken = SayBack(template="BD-41", alert="i1", person=asked.person)
    said = story.words.say_back(taken, "BD-41", bundle, NOW)
    assert said.startswith(
        "Thank you. You have them all. Packages that are not placed: 4, first k1, and those"
    )


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("OC-193", "as {name}"),
        ("OC-194", "{name}. The council has"),
        ("OC-195", "{name}. You have planned it"),
    ],
)
def test_the_providers_office_hears_which_visit_wants_a_name_or_is_off(
    story: Story, template: str, said: str
) -> None:
    name = "package-hall-P-1"
    ref, who = story.directory.ref("visit", name), story.directory.ref("person", name)
    late = START + timedelta(minutes=30)
    story.state.values.visits[ref] = Visit(
        ref=ref,
        service_user=who,
        start=START,
        end=START + timedelta(hours=1),
        agreed_start=START,
        late_at=late,
        missed_at=late,
        overrun_at=late,
        places=(),
    )
    about = {"placement": None, "visit": ref, "about": None, "at": START}
    text = story.words.text(structs.replace(story.message("BD-15"), template=template, **about), NOW)
    assert said.format(name=name) in text
    assert text.endswith("https://cw.example/board/hall")
