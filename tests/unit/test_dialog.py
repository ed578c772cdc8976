"""Call scripts: every path through every call, and the words that are said on it."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from escalation.dialog import (
    DIALOGS,
    Dialog,
    Step,
    Turn,
    check_scripts,
    keys_named,
    next_step,
    number_keyed,
    script,
    step_named,
)
from escalation.replies import ANSWERS
from escalation.wording import PLACEHOLDERS, Wording, decode_wording

EN_GB: dict[str, Any] = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "config" / "wording" / "en-GB.toml").read_text("utf-8")
)
VALUES = {name: row.sample for name, row in PLACEHOLDERS.items()} | {
    "what": "Something is wrong",
    "flags": "",
}
SUMMONS = ("OCV-1", "OCV-2", "OCV-3")
NO_NAME_FIRST = (*SUMMONS, "OCV-150")
EVERY_STEP = [(template, step) for template, dialog in DIALOGS.items() for step in dialog.steps.values()]


@pytest.fixture
def english() -> Wording:
    return decode_wording(EN_GB)


def call(template: str, *digits: str, first: str = "") -> tuple[list[str], list[str]]:
    """Play a call: the steps that were heard, and the answers that were settled. "" is silence."""
    at = step_named(template, first)
    heard, answers = [at.name], []
    for digit in digits:
        turn = next_step(template, at.name, digit)
        at = step_named(template, turn.step)
        heard.append(at.name)
        answers += [turn.answer] if turn.answer else []
    return heard, [str(answer) for answer in answers]


# --- the first call to a service user ---


@pytest.mark.parametrize(
    ("digits", "heard", "answers"),
    [
        (["1"], ["hello", "all_right"], ["all_right"]),
        (["2"], ["hello", "talk"], ["talk"]),
        (["3"], ["hello", "carer_here"], ["carer_here"]),
        (["", "1"], ["hello", "again", "all_right"], ["all_right"]),
        (["", ""], ["hello", "again", "ring_back"], ["no_key"]),
        (["7", "2"], ["hello", "sorry", "talk"], ["talk"]),
        (["*", "", ""], ["hello", "sorry", "again", "ring_back"], ["no_key"]),
        (["", "9", "3"], ["hello", "again", "sorry_again", "carer_here"], ["carer_here"]),
        (["", "9", "9"], ["hello", "again", "sorry_again", "ring_back"], ["no_key"]),
        (["9", "9"], ["hello", "sorry", "ring_back"], ["no_key"]),
        (["0", "", "#", ""], ["hello", "sorry", "again", "sorry_again", "ring_back"], ["no_key"]),
    ],
)
def test_she_is_heard_whatever_she_presses(digits: list[str], heard: list[str], answers: list[str]) -> None:
    assert call("SUV-1", *digits) == (heard, answers)


def test_the_menu_waits_six_seconds() -> None:
    assert {step.wait_s for step in DIALOGS["SUV-1"].steps.values()} == {6}


def test_the_first_call_says_the_drafted_words(english: Wording) -> None:
    said = script(english, "SUV-1", "", {"agency": "Penge Care"})
    assert said == (
        "Hello. This is Penge Care, your care company. Take your time.",
        "Your carer has not signed in with us yet, so we are ringing to see that you are all right. "
        "Your carer will be with you as soon as possible.",
        "If you are all right, press 1. If you want to talk to somebody, press 2. "
        "If your carer is with you now, press 3.",
    )


def test_without_a_key_she_is_told_that_somebody_rings(english: Wording) -> None:
    (stay,) = script(english, "SUV-1", "ring_back", {})
    assert "Stay on the line" in stay
    (said,) = script(english, "SUV-1", "kept", {})
    assert "Somebody will ring you" in said
    assert "9 9 9" in said


# --- who comes, and when ---


@pytest.mark.parametrize(
    ("digits", "heard", "answers"),
    [
        (["1"], ["hello", "heard"], ["heard"]),
        (["2"], ["hello", "talk"], ["talk"]),
        (["", "1"], ["hello", "again", "heard"], ["heard"]),
        (["9", ""], ["hello", "again", "ring_back"], ["no_key"]),
    ],
)
def test_who_comes_instead_is_told_twice_before_a_person_rings(
    digits: list[str], heard: list[str], answers: list[str]
) -> None:
    assert call("SUV-2", *digits) == (heard, answers)


def test_the_one_who_was_expected_is_told_of_in_a_beginning_of_its_own(english: Wording) -> None:
    assert next_step("SUV-2", "coming", "") == Turn(step="coming_again")
    assert next_step("SUV-2", "coming_again", "").answer == "no_key"
    said = script(english, "SUV-2", "coming", {"agency": "Penge Care", "carer": "Ben"})
    assert said[0] == "Hello. This is Penge Care. Ben is on the way."
    assert "instead" not in " ".join(said)


# --- a care worker who is late ---


@pytest.mark.parametrize(
    ("digits", "heard", "answers"),
    [
        (["1"], ["hello", "here"], ["there"]),
        (["3"], ["hello", "cannot"], ["cannot"]),
        (["9"], ["hello", "help"], ["help"]),
        (["2", "15"], ["hello", "minutes", "on_my_way"], ["on_my_way"]),
        (["2", "1"], ["hello", "minutes", "on_my_way"], ["on_my_way"]),
        (["2", "240"], ["hello", "minutes", "on_my_way"], ["on_my_way"]),
        (["2", "241", "20"], ["hello", "minutes", "minutes_again", "on_my_way"], ["on_my_way"]),
        (["2", "0", ""], ["hello", "minutes", "minutes_again", "on_my_way"], ["on_my_way"]),
        (["2", "", ""], ["hello", "minutes", "minutes_again", "on_my_way"], ["on_my_way"]),
        (["2", "1*5", "15"], ["hello", "minutes", "minutes_again", "on_my_way"], ["on_my_way"]),
        (["2", "999"], ["hello", "minutes", "help"], ["help"]),
        (["", "2", "5"], ["hello", "again", "minutes", "on_my_way"], ["on_my_way"]),
        (["", ""], ["hello", "again", "no_key"], ["no_answer_key"]),
        (["7", "7"], ["hello", "again", "no_key"], ["no_answer_key"]),
    ],
)
def test_a_late_care_worker_says_where_they_are(
    digits: list[str], heard: list[str], answers: list[str]
) -> None:
    assert call("CWV-1", *digits) == (heard, answers)


@pytest.mark.parametrize(
    ("digits", "number"),
    [
        ("15", 15),
        ("1", 1),
        ("240", 240),
        ("241", None),
        ("0", None),
        ("007", 7),
        ("", None),
        ("1*", None),
        ("٣", None),
    ],
)
def test_minutes_are_a_number_up_to_four_hours(digits: str, number: int | None) -> None:
    assert number_keyed("CWV-1", "minutes", digits) == number
    assert number_keyed("CWV-1", "hello", digits) is None


# --- a council desk ---


@pytest.mark.parametrize(
    ("digits", "heard", "answers"),
    [
        (["1"], ["hello", "joining"], ["talk"]),
        (["2", "3"], ["hello", "reference", "noted"], ["noted"]),
        (["2", "2", "1"], ["hello", "reference", "reference", "joining"], ["talk"]),
        (["", ""], ["hello", "again", "no_key"], ["no_key"]),
        (["8", "3"], ["hello", "again", "noted"], ["noted"]),
    ],
)
def test_a_council_desk_is_told_by_a_key_and_by_nothing_else(
    digits: list[str], heard: list[str], answers: list[str]
) -> None:
    assert call("COV-1", *digits) == (heard, answers)


@pytest.mark.parametrize(
    ("digits", "heard", "answers"),
    [
        (["1"], ["wake", "calling"], ["ring_council"]),
        (["", "1"], ["wake", "wake_again", "calling"], ["ring_council"]),
        (["3"], ["wake", "passed"], ["pass_on"]),
        (["", ""], ["wake", "wake_again", "no_key"], []),
        (["2", "8"], ["wake", "wake_again", "no_key"], []),
    ],
)
def test_the_council_is_rung_only_for_who_says_that_they_are_there(
    digits: list[str], heard: list[str], answers: list[str]
) -> None:
    assert call("OCV-150", *digits) == (heard, answers)


@pytest.mark.parametrize("template", ["OCV-1", "OCV-150"])
@pytest.mark.parametrize(
    ("digit", "step", "answer"),
    [("2", "told", "told_council"), ("6", "calling", "ring_council"), ("", "bye", None), ("1", "bye", None)],
)
def test_when_the_council_has_gone_a_key_says_that_it_is_told(
    template: str, digit: str, step: str, answer: str | None
) -> None:
    turn = next_step(template, "back_council", digit)
    assert (turn.step, turn.answer) == (step, answer)


@pytest.mark.parametrize("step", ["not_there", "no_number"])
def test_who_heard_nobody_cannot_say_that_the_council_is_told(step: str) -> None:
    assert next_step("OCV-150", step, "2").answer is None


# --- staff: two keys ---


@pytest.mark.parametrize("template", SUMMONS)
@pytest.mark.parametrize(
    ("digits", "heard", "answers"),
    [
        (["1", "2"], ["wake", "tell", "taken"], ["take"]),
        (["1", "3"], ["wake", "tell", "passed"], ["pass_on"]),
        (["1", "*", "*", "2"], ["wake", "tell", "tell", "tell", "taken"], ["take"]),
        (["", "1", "2"], ["wake", "wake_again", "tell", "taken"], ["take"]),
        (["", ""], ["wake", "wake_again", "no_key"], ["no_answer_key"]),
        (["2", "2"], ["wake", "wake_again", "no_key"], ["no_answer_key"]),
        (["1", "1", "2"], ["wake", "tell", "tell_again", "taken"], ["take"]),
        (["1", "", ""], ["wake", "tell", "tell_again", "no_key"], ["no_answer_key"]),
        (["1", "9", "9"], ["wake", "tell", "tell_again", "no_key"], ["no_answer_key"]),
    ],
)
def test_staff_take_it_with_two_keys_or_it_goes_on(
    template: str, digits: list[str], heard: list[str], answers: list[str]
) -> None:
    assert call(template, *digits) == (heard, answers)


@pytest.mark.parametrize("template", SUMMONS)
def test_no_single_key_pressed_over_and_over_takes_anything(template: str) -> None:
    for digit in "0123456789*#":
        assert "take" not in call(template, *[digit] * 6)[1]


@pytest.mark.parametrize("template", NO_NAME_FIRST)
def test_before_a_key_no_name_is_said_to_what_may_be_a_voicemail(english: Wording, template: str) -> None:
    said = " ".join(script(english, template, "", VALUES))
    assert VALUES["first"] not in said
    assert VALUES["agency"] in said


def test_the_summon_call_tells_who_and_what_the_machine_does(english: Wording) -> None:
    values = VALUES | {
        "first": "Ida",
        "id": "SU-7",
        "spoken_time": "half past eight",
        "carer": "Ben",
        "flags": "lives alone",
        "doing": "Ida is being rung",
        "degraded": "",
    }
    assert script(english, "OCV-1", "tell", values)[0] == (
        "Ida, SU, 7. Due half past eight. lives alone. No check-in from Ben. Ida is being rung."
    )


def test_a_degraded_call_says_that_nobody_else_is_told(english: Wording) -> None:
    for template in SUMMONS:
        said = script(english, template, "tell", VALUES | {"degraded": english.phrase["degraded"]})
        assert any("nobody else" in sentence for sentence in said)


def test_who_presses_after_somebody_else_hears_who_has_it(english: Wording) -> None:
    assert script(english, "OCV-1", "gone", {"staff": "Ann"}) == (
        "Ann has it already. Nothing for you to do. Goodbye.",
    )


# --- the other calls ---


@pytest.mark.parametrize(
    ("template", "digits", "answers"),
    [
        ("SUV-2", ["1"], ["heard"]),
        ("SUV-2", ["", "2"], ["talk"]),
        ("SUV-2", ["", ""], ["no_key"]),
        ("SUV-4", ["1"], ["practised"]),
        ("SUV-4", ["5", ""], ["no_key"]),
        ("NOKV-1", ["9"], ["wrong_number"]),
        ("NOKV-1", ["1", "1"], ["spoke"]),
        ("NOKV-1", ["1", "*", "3"], ["can_go"]),
        ("NOKV-1", ["1", "", ""], ["no_key"]),
        ("NOKV-1", ["1", "2"], ["ring_me"]),
        ("NOKV-1", ["", ""], ["no_answer_key"]),
        ("CWV-2", ["1", "3"], ["go"]),
        ("CWV-2", ["1", ""], ["no_answer_key"]),
        ("CWV-2", ["2"], ["no"]),
    ],
)
def test_the_other_calls_come_to_their_answers(template: str, digits: list[str], answers: list[str]) -> None:
    assert call(template, *digits)[1] == answers


def test_next_of_kin_hear_nothing_before_they_say_who_they_are(english: Wording) -> None:
    said = " ".join(script(english, "NOKV-1", "", VALUES))
    assert VALUES["first"] not in said
    assert VALUES["carer"] not in said


# --- what holds for every script ---


SENT_BY_THE_CORE = {
    "OCV-1": {"back_council", "no_number"},
    "OCV-150": {"no_number"},
    "OCV-2": {"calling_back", "no_number"},
    "OCV-130": {"calling_back", "no_number"},
    "NIGHT-1": {"unheard", "thanks", "nothing", "nothing_withheld"},
}
"""Steps that follow from what is known, not from a key: `monitor.core.lines`."""
CAME = {"waiting", "joined", "nobody", "hung_up", "not_answered", "spoke"}


@pytest.mark.parametrize(("template", "step"), EVERY_STEP, ids=lambda value: getattr(value, "name", value))
def test_a_kept_line_knows_what_follows_whatever_comes_of_it(template: str, step: Step) -> None:
    assert not step.kept or set(step.came) == CAME
    assert {*step.came.values()} <= set(DIALOGS[template].steps)
    assert bool(step.back) == step.room
    assert [step.awaits_key, step.kept, step.room].count(True) <= 1


@pytest.mark.parametrize(
    "template", [t for t in sorted(DIALOGS) if t.startswith(("SUV", "NOK", "CWV", "COV"))]
)
def test_who_asks_for_a_person_is_never_hung_up_on(template: str) -> None:
    wants = {"talk", "ring_me", "help"}
    # a practice asks for nobody, and music at a council's desk is no person
    wants |= {"no_key"} if template not in ("SUV-4", "COV-1") else set()
    for _, turn in reachable(DIALOGS[template], keys=True):
        if turn.answer in wants:
            assert DIALOGS[template].steps[turn.step].kept


@pytest.mark.parametrize(
    ("digits", "heard", "answers"),
    [
        (["1"], ["urgent", "joined"], ["join"]),
        (["3"], ["urgent", "passed"], ["pass_on"]),
        (["", "1"], ["urgent", "urgent_again", "joined"], ["join"]),
        (["2", ""], ["urgent", "urgent_again", "no_key"], ["no_answer_key"]),
    ],
)
def test_while_somebody_is_on_the_line_one_key_joins_them(
    digits: list[str], heard: list[str], answers: list[str]
) -> None:
    assert call("OCV-2", *digits, first="urgent") == (heard, answers)


def reachable(dialog: Dialog, *, keys: bool) -> Iterator[tuple[Step, Turn]]:
    for step in dialog.steps.values():
        turns = [*step.keys.values()] if keys else []
        for turn in [*turns, *(turn for turn in (step.silence, step.other) if turn)]:
            yield step, turn


@pytest.mark.parametrize("template", sorted(DIALOGS))
def test_every_key_leads_to_a_step_and_every_step_can_be_reached(template: str) -> None:
    dialog = DIALOGS[template]
    led_to = {turn.step for _, turn in reachable(dialog, keys=True)} | {dialog.first, *dialog.openings}
    led_to |= {to for step in dialog.steps.values() for to in (*step.came.values(), step.back) if to}
    assert led_to | SENT_BY_THE_CORE.get(template, set()) == set(dialog.steps)
    assert {turn.answer for _, turn in reachable(dialog, keys=True)} <= {None, *ANSWERS}


@pytest.mark.parametrize("template", sorted(DIALOGS))
def test_silence_and_wrong_keys_never_go_in_a_circle(template: str) -> None:
    dialog = DIALOGS[template]
    following: dict[str, set[str]] = {}
    for step, turn in reachable(dialog, keys=False):
        following.setdefault(step.name, set()).add(turn.step)

    def longest_way(name: str, passed: tuple[str, ...]) -> int:
        assert name not in passed
        return 1 + max((longest_way(to, (*passed, name)) for to in following.get(name, ())), default=0)

    assert max(longest_way(name, ()) for name in dialog.steps) <= 6


@pytest.mark.parametrize(("template", "step"), EVERY_STEP, ids=lambda value: getattr(value, "name", value))
def test_a_step_that_awaits_a_key_bears_silence_and_wrong_keys(template: str, step: Step) -> None:
    assert (step.silence is not None) == step.awaits_key
    assert (step.other is not None) == step.awaits_key
    for digit in ("", *"0123456789*#"):
        turn = next_step(template, step.name, digit)
        assert turn.step in DIALOGS[template].steps
        assert step.awaits_key or turn == Turn(step=step.name)


@pytest.mark.parametrize(("template", "step"), EVERY_STEP, ids=lambda value: getattr(value, "name", value))
def test_every_prompt_names_its_keys_as_press_n(english: Wording, template: str, step: Step) -> None:
    said = script(english, template, step.name, VALUES)
    assert (said != ()) != (step.name == "line"), "who is joined hears a person"
    assert keys_named(" ".join(said)) == step.named_keys


@pytest.mark.parametrize("template", [name for name in sorted(DIALOGS) if name.startswith("SUV")])
def test_a_service_user_hears_that_the_call_is_over_or_joined(english: Wording, template: str) -> None:
    for step in DIALOGS[template].steps.values():
        said = " ".join(script(english, template, step.name, VALUES))
        over = any(words in said for words in ("Goodbye", "putting you through"))
        assert over != (step.awaits_key or step.kept or step.room), step.name


def test_no_service_user_is_given_more_than_three_choices() -> None:
    assert max(len(s.keys) for t, s in EVERY_STEP if t.startswith("SUV")) == 3


def test_unknown_templates_and_steps_are_key_errors(english: Wording) -> None:
    for template, step in (("SUV-99", ""), ("SUV-1", "nowhere")):
        with pytest.raises(KeyError):
            next_step(template, step, "1")
        with pytest.raises(KeyError):
            script(english, template, step, {})


def test_a_missing_value_is_named(english: Wording) -> None:
    with pytest.raises(ValueError, match=r"SUV-1\.hello needs a value for: agency"):
        script(english, "SUV-1", "hello", {})


# --- the check ---


def with_line(template: str, line: str, text: str | None) -> Wording:
    data = copy.deepcopy(EN_GB)
    if text is None:
        del data["call"][template]["lines"][line]
    else:
        data["call"][template]["lines"][line] = text
    return decode_wording(data)


def test_the_shipped_scripts_pass(english: Wording) -> None:
    assert check_scripts(english) == []


@pytest.mark.parametrize(
    ("template", "line", "text", "code"),
    [
        ("SUV-1", "menu", "If you are all right, press 1. To talk, press 2.", "keys"),
        ("SUV-1", "menu", "All right 1, talk 2, carer here 3.", "keys"),
        ("SUV-1", "stay_on", "Press 5 to go on.", "keys"),
        ("SUV-1", "menu", None, "missing"),
        ("OCV-1", "wake", "{first} was not visited. Press 1.", "too_early"),
        ("OCV-3", "wake", "{what}. Press 1.", "too_early"),
        ("NOKV-1", "hello", "It is about {first}. Press 1 for yes. Press 9 for no.", "too_early"),
    ],
)
def test_a_script_that_would_leave_somebody_without_a_key_is_refused(
    template: str, line: str, text: str | None, code: str
) -> None:
    assert {problem.code for problem in check_scripts(with_line(template, line, text))} == {code}


def test_a_call_that_is_not_worded_at_all_is_a_problem() -> None:
    data = copy.deepcopy(EN_GB)
    del data["call"]["OCV-2"]
    assert [(p.path, p.code) for p in check_scripts(decode_wording(data))] == [("call.OCV-2", "missing")]


def test_a_service_user_has_three_keys_at_most(english: Wording) -> None:
    for template, step in EVERY_STEP:
        if english.call[template].audience == "service_user":
            assert len(step.keys) <= 3, (template, step.name)
