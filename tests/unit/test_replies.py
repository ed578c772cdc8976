"""Answers by text: what a reply reads as, which question it belongs to, and which slot a question gets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalation.replies import (
    ANSWERS,
    CALMING,
    QUESTIONS,
    SLOT_KEPT,
    Matched,
    Question,
    Reply,
    Stale,
    Unmatched,
    bare_allowed,
    code,
    codes_for,
    free_slot,
    match,
    read_reply,
)

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


def asked(
    template: str = "SU-1",
    slot: int = 1,
    ago: timedelta = timedelta(minutes=2),
    closed: timedelta | None = None,
) -> Question:
    """A question `ago`, closed `closed` ago or still open."""
    return Question(
        slot=slot,
        template=template,
        key=f"{template}/{slot}",
        opened_at=NOW - ago,
        open=closed is None,
        closed_at=None if closed is None else NOW - closed,
    )


def answered(text: str, *questions: Question) -> str:
    """The answer, or "stale:answer", or the reason why it is none."""
    found = match(questions, read_reply(text), NOW)
    if isinstance(found, Unmatched):
        return found.reason
    return f"stale:{found.answer}" if isinstance(found, Stale) else found.answer


# --- reading ---


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("11", Reply(code="11")),
        (" 11.", Reply(code="11")),
        ("11\n", Reply(code="11")),
        ("(11)", Reply(code="11")),
        ("“11”", Reply(code="11")),
        ("11 ok thanks", Reply(code="11")),
        ("11ok", Reply(code="11")),
        ("11 I'm there", Reply(code="11")),
        ("11 👍🏽", Reply(code="11")),
        ("1️⃣", Reply(code="1")),
        ("１１", Reply(code="11")),
        ("Reply 11", Reply(code="11")),
        ("reply: 11", Reply(code="11")),
        ("1", Reply(code="1")),
        ("1 all right", Reply(code="1")),
        ("1 I am fine thank you", Reply(code="1")),
        ("3 my carer is here", Reply(code="3")),
        ("112", Reply(code="112")),
        ("121", Reply(code="121")),
        # minutes
        ("12 15", Reply(code="12", number=15)),
        ("12+15", Reply(code="12", number=15)),
        ("12 + 15", Reply(code="12", number=15)),
        ("12, 15 mins", Reply(code="12", number=15)),
        ("12 in about 15 minutes", Reply(code="12", number=15)),
        ("12 15 thanks", Reply(code="12", number=15)),
        ("12 an hour", Reply(code="12", number=60)),
        ("12 2 hrs", Reply(code="12", number=120)),
        ("12 5", Reply(code="12", number=5)),
        # two single digits are a dictated code, and still something to look at
        ("5 1", Reply(code="51", word="other")),
        ("1 1", Reply(code="11", word="other")),
        # words beside a code are for a person to read
        ("1 but I have fallen", Reply(code="1", word="other")),
        ("1 not all right", Reply(code="1", word="other")),
        ("1 is my carer all right?", Reply(code="1", word="other")),
        ("1 😢", Reply(code="1", word="other")),
        ("1 no", Reply(code="1", word="other")),
        ("1 нет", Reply(code="1", word="other")),
        ("12 half an hour", Reply(code="12", word="other")),
        ("12 about 8.45", Reply(code="12", word="other")),
        ("11 51 61", Reply(code="11", number=51, word="other")),
        ("1 help", Reply(code="1", word="help")),
        ("1help", Reply(word="help")),
        # no code at all
        ("", Reply(word="other")),
        ("   ", Reply(word="other")),
        ("😀", Reply(word="other")),
        ("One", Reply(word="other")),
        ("yes", Reply(word="other")),
        ("START", Reply(word="other")),
        ("нет 1", Reply(word="other")),
        ("no 1", Reply(word="other")),
        ("I am all right", Reply(word="other")),
        ("1st", Reply(word="other")),
        ("2moro", Reply(word="other")),
        ("1215", Reply(word="other")),
        ("020 7946 0123", Reply(word="other")),
        ("0", Reply(word="other")),
        ("٣", Reply(word="other")),
        # a number with a unit, and a clock time, are never codes: 15 would be "I have left"
        ("15 mins", Reply(number=15, word="other")),
        ("15m", Reply(number=15, word="other")),
        ("2 hours", Reply(word="other")),
        ("8.45", Reply(word="other")),
        ("11:30", Reply(word="other")),
        ("11am", Reply(word="other")),
        ("11 am", Reply(word="other")),
        ("11 am there", Reply(code="11")),
        # the two families
        ("HELP", Reply(word="help")),
        ("help!!", Reply(word="help")),
        ("Please help me", Reply(word="help")),
        ("info", Reply(word="help")),
        ("SOS", Reply(word="help")),
        ("999", Reply(word="help")),
        ("999 I have fallen", Reply(word="help")),
        ("STOP", Reply(word="stop")),
        ("Stop.", Reply(word="stop")),
        ("stop all", Reply(word="stop")),
        ("Opt-out", Reply(word="stop")),
        ("Cancel", Reply(word="stop")),
        ("END", Reply(word="stop")),
        ("quit", Reply(word="stop")),
        ("revoke", Reply(word="stop")),
        ("UNSUBSCRIBE", Reply(word="stop")),
        ("please stop", Reply(word="other")),
        ("the carer cannot stop", Reply(word="other")),
        ("don't come", Reply(word="dont_come")),
    ],
)
def test_a_reply_reads_as_a_person_meant_it(text: str, read: Reply) -> None:
    found = read_reply(text)
    assert (found.code, found.number, found.word) == (read.code, read.number, read.word)


# --- nobody should come ---


@pytest.mark.parametrize(
    "text",
    [
        "don't come",
        "Don\N{RIGHT SINGLE QUOTATION MARK}t come today please",
        "do not come",
        "DONT COME",
        "please dont bother",
        "don't send anyone",
        "dont send the carer today",
        "do not visit",
        "I don't need you today",
        "I do not need a carer",
        "we no longer require the visit",
        "wont need anybody",
        "not today",
        "Not today thank you",
        "not this morning, my son is here",
        "stop coming",
        "cancel today",
        "please cancel my visit",
        "Cancelled please",
        "call it off",
        "can you put the visit off",
        "no need to come",
        "no need for a visit",
        "No need today",
        "no carer needed",
        "visit not required",
        "leave it today",
        "leave me tonight",
        "skip it",
        "skip today",
        "stay away",
        "I can manage without you",
        "I'll do without the carer",
    ],
)
def test_words_that_nobody_should_come_are_read_as_such(text: str) -> None:
    assert read_reply(text).word == "dont_come"


@pytest.mark.parametrize(
    "text",
    [
        "she did not come",
        "my carer didn't come",
        "nobody came",
        "why has nobody come",
        "why are you not coming",
        "no carer today",
        "don't know where she is",
        "dont worry",
        "I don't feel well",
        "please dont be long",
        "come today please",
        "I am not well today",
        "not well this morning",
        "I cannot come to the door",
        "I need you today",
        "needs her tablets",
        "the pain will not go away",
        "when will you come",
        "do not hang up",
        "I have not eaten today",
        "is anybody coming",
        "knot today",
    ],
)
def test_words_that_only_sound_like_it_are_words_for_a_person(text: str) -> None:
    assert read_reply(text).word == "other"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("stop", "stop"),
        ("cancel", "stop"),
        ("CANCEL!", "stop"),
        ("help, don't come in by the back", "help"),
        ("help don't cancel", "help"),
    ],
)
def test_stop_and_help_go_first(text: str, word: str) -> None:
    assert read_reply(text).word == word


def test_a_code_beside_it_is_kept_and_calms_nobody() -> None:
    assert read_reply("1 but don't come today") == Reply(code="1", word="dont_come", against=True)
    assert answered("1 but don't come today", asked("SU-1")) == "dont_come"
    assert answered("don't come", asked("SU-1")) == "dont_come"
    assert answered("2 don't come, ring me", asked("SU-1")) == "talk"
    assert answered("13 not today", asked("CW-2")) == "cannot"


@given(st.text(max_size=2000))
def test_reading_never_raises_and_always_comes_to_something(text: str) -> None:
    reply = read_reply(text)
    assert reply.code is not None or reply.word is not None
    assert reply.code is None or (reply.code.isascii() and reply.code.isdigit() and 1 <= len(reply.code) <= 3)
    assert reply.number is None or 0 <= reply.number <= 999


@given(
    slot=st.integers(1, 99),
    answer=st.integers(1, 8),
    before=st.sampled_from(["", " ", "\n", "(", "'", "Reply "]),
    after=st.sampled_from(["", ".", "!", " ok", " thanks", " x", "\n", " 👍", ")"]),
)
def test_every_code_that_we_give_is_read_back(slot: int, answer: int, before: str, after: str) -> None:
    given_out = code(slot, answer)
    assert read_reply(before + given_out + after) == Reply(code=given_out)


@given(st.text(alphabet="1 abcdefghijklmnopqrstuvwxyz?!.'", max_size=40))
def test_words_with_a_no_in_them_never_calm_anybody(words: str) -> None:
    for no in ("not", "no", "never", "cannot", "don't"):
        assert answered(f"1 {words} {no}", asked("SU-1")) not in CALMING


# --- matching ---


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1", "all_right"),
        ("2", "talk"),
        ("3", "carer_here"),
        ("4", "no_such_answer"),
        ("11", "all_right"),
        ("13", "carer_here"),
        ("21", "no_such_question"),
        ("19", "no_such_answer"),
        ("HELP", "talk"),
        ("1 help", "talk"),
        ("help, 1", "talk"),
        ("STOP", "stop"),
        ("yes", "free_text"),
        ("", "free_text"),
        ("I am fine", "free_text"),
        ("1 but I have fallen", "free_text"),
        ("3 I think so", "free_text"),
        ("1 1", "free_text"),
        ("1 15", "free_text"),
        ("2 please, I have fallen", "talk"),
    ],
)
def test_a_service_users_reply_finds_its_answer_or_goes_to_a_person(text: str, answer: str) -> None:
    assert answered(text, asked("SU-1", slot=1)) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("51", "take"),
        ("5 1", "take"),
        ("51 on my way to a phone", "take"),
        ("52 can't help tonight", "pass_on"),
        ("1", "take"),
        ("53", "no_such_answer"),
        ("51 52", "unclear"),
        ("61", "no_such_question"),
        ("HELP", "help"),
    ],
)
def test_a_summoned_persons_reply(text: str, answer: str) -> None:
    assert answered(text, asked("OC-1", slot=5)) == answer


def test_a_care_workers_minutes_come_with_the_answer() -> None:
    found = match([asked("CW-1", slot=1)], read_reply("12 15"), NOW)
    assert found == Matched(question=asked("CW-1", slot=1), answer="on_my_way", number=15)


def test_minutes_beside_an_answer_that_takes_none_are_not_guessed_at() -> None:
    assert answered("11 15", asked("CW-1", slot=1)) == "unclear"


def test_a_care_worker_who_asks_for_help_is_heard() -> None:
    assert answered("help", asked("CW-5", slot=1)) == "help"
    assert answered("help", asked("CW-6", slot=2)) == "ring_me"


def test_a_bare_digit_counts_only_while_exactly_one_question_is_open() -> None:
    one, two = asked("SU-1", slot=1), asked("SU-1", slot=2)
    assert answered("1", one) == "all_right"
    assert answered("1", one, two) == "several_open"
    assert answered("1", one, asked("SU-1", slot=2, closed=timedelta(minutes=1))) == "all_right"
    assert answered("1") == "no_open_question"


def test_a_code_leads_to_its_question_whatever_else_is_open() -> None:
    questions = [asked("SU-1", slot=1), asked("OC-1", slot=2), asked("OC-2", slot=3)]
    assert answered("11", *questions) == "all_right"
    assert answered("21", *questions) == "take"
    assert answered("33", *questions) == "still_mine"


def test_the_code_of_a_closed_question_is_stale() -> None:
    closed = asked("OC-1", slot=5, ago=timedelta(hours=3), closed=timedelta(hours=2))
    assert answered("51", closed) == "stale:take"
    assert answered("51", closed, asked("OC-1", slot=6)) == "stale:take"


def test_a_bare_digit_after_the_only_question_was_closed_is_stale_for_twelve_hours() -> None:
    closed = asked("SU-1", ago=timedelta(hours=13), closed=SLOT_KEPT - timedelta(seconds=1))
    assert answered("1", closed) == "stale:all_right"
    assert answered("1", asked("SU-1", ago=timedelta(hours=13), closed=SLOT_KEPT)) == "no_open_question"


def test_a_slot_that_was_given_out_again_belongs_to_the_newer_question() -> None:
    old = asked("OC-1", slot=5, ago=timedelta(hours=30), closed=timedelta(hours=29))
    new = asked("OC-2", slot=5, ago=timedelta(minutes=1))
    assert answered("53", old, new) == "still_mine"
    assert answered("51", new, old) == "no_such_answer"


def test_help_is_the_newest_open_question_of_a_household() -> None:
    older = asked("SU-1", slot=1, ago=timedelta(minutes=9))
    newer = asked("SU-1", slot=2, ago=timedelta(minutes=1))
    found = match([newer, older], read_reply("HELP"), NOW)
    assert found == Matched(question=newer, answer="talk")


def test_help_without_an_open_question_is_still_a_cry_for_help() -> None:
    assert answered("help", asked("SU-1", closed=timedelta(minutes=1))) == "help"
    assert answered("1 help", asked("SU-1", closed=timedelta(minutes=1))) == "free_text"


# --- slots ---


def test_slots_are_given_out_from_one_to_nine_and_then_from_ten() -> None:
    questions: list[Question] = []
    given_out = []
    for _ in range(11):
        slot = free_slot(questions, NOW)
        given_out.append(slot)
        questions.append(asked("OC-1", slot=slot))
    assert given_out == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("closed", "slot"),
    [
        (SLOT_KEPT - timedelta(seconds=1), 2),
        (SLOT_KEPT, 1),
        (None, 2),
    ],
)
def test_a_slot_rests_for_twelve_hours_after_its_question(closed: timedelta | None, slot: int) -> None:
    assert free_slot([asked("OC-1", slot=1, ago=timedelta(hours=20), closed=closed)], NOW) == slot


def test_a_question_without_a_closing_time_rests_from_its_opening() -> None:
    old = Question(slot=1, template="OC-1", key="k", opened_at=NOW - SLOT_KEPT, open=False)
    assert free_slot([old], NOW) == 1


def test_when_all_slots_are_taken_the_one_closed_longest_ago_is_used_again() -> None:
    questions = [asked("OC-1", slot=slot, ago=timedelta(hours=11)) for slot in range(1, 100)]
    questions[41] = asked("OC-1", slot=42, ago=timedelta(hours=11), closed=timedelta(hours=1))
    questions[6] = asked("OC-1", slot=7, ago=timedelta(hours=11), closed=timedelta(hours=2))
    assert free_slot(questions, NOW) == 7


def test_when_all_are_even_open_the_oldest_question_gives_way() -> None:
    questions = [asked("OC-1", slot=slot, ago=timedelta(minutes=slot)) for slot in range(1, 100)]
    assert free_slot(questions, NOW) == 99


@given(
    waits=st.lists(st.integers(0, 240), min_size=1, max_size=120),
    closes=st.lists(st.booleans(), min_size=120, max_size=120),
)
def test_a_code_always_leads_back_to_its_question(waits: Sequence[int], closes: Sequence[bool]) -> None:
    """As many questions as there are slots, opened over days and closed or not: each code finds its own."""
    questions: list[Question] = []
    now = NOW
    for number, wait in enumerate(waits):
        now += timedelta(minutes=wait)
        slot = free_slot(questions, now)
        question = Question(slot=slot, template="OC-1", key=str(number), opened_at=now)
        questions = [q for q in questions if q.open or now - q.opened_at < SLOT_KEPT]
        recent = [q for q in questions if q.slot == slot]
        assert len(questions) >= 99 or recent == []
        found = match([*questions, question], read_reply(codes_for("OC-1", slot)["c2"]), now)
        assert found == Matched(question=question, answer="pass_on")
        closed = Question(
            slot=slot, template="OC-1", key=str(number), opened_at=now, open=False, closed_at=now
        )
        questions.append(closed if closes[number] else question)


@given(slots=st.lists(st.integers(1, 99), unique=True, min_size=1, max_size=20), data=st.data())
def test_among_many_open_questions_a_code_finds_exactly_its_own(
    slots: list[int], data: st.DataObject
) -> None:
    templates = data.draw(
        st.lists(st.sampled_from(sorted(QUESTIONS)), min_size=len(slots), max_size=len(slots))
    )
    questions = [asked(t, slot=s) for t, s in zip(templates, slots, strict=True)]
    meant = data.draw(st.sampled_from(questions))
    digit = data.draw(st.sampled_from(sorted(QUESTIONS[meant.template])))
    found = match(questions, read_reply(code(meant.slot, digit)), NOW)
    assert found == Matched(question=meant, answer=QUESTIONS[meant.template][digit])


# --- codes ---


@pytest.mark.parametrize(
    ("template", "slot", "bare", "codes"),
    [
        ("SU-1", 1, True, {"c1": "1", "c2": "2", "c3": "3"}),
        ("SU-1", 1, False, {"c1": "11", "c2": "12", "c3": "13"}),
        ("OC-1", 5, False, {"c1": "51", "c2": "52"}),
        ("OC-2", 5, False, {"c2": "52", "c3": "53"}),
        ("CW-6", 1, False, {"c4": "14", "c5": "15", "c6": "16"}),
        ("OC-1", 12, False, {"c1": "121", "c2": "122"}),
        ("OC-19", 1, False, {}),
    ],
)
def test_the_codes_of_a_question(template: str, slot: int, bare: bool, codes: dict[str, str]) -> None:
    assert codes_for(template, slot, bare=bare) == codes


def test_bare_digits_are_for_service_users_with_nothing_else_open() -> None:
    assert bare_allowed("SU-1", [])
    assert bare_allowed("SU-1", [asked("SU-1", closed=timedelta(minutes=1))])
    assert not bare_allowed("SU-1", [asked("SU-1")])
    assert not bare_allowed("OC-1", [])
    assert not bare_allowed("NOK-1", [])


@pytest.mark.parametrize(("slot", "answer"), [(0, 1), (100, 1), (1, 0), (1, 10), (-1, 1)])
def test_a_code_outside_the_slots_is_a_programmers_error(slot: int, answer: int) -> None:
    with pytest.raises(ValueError, match="slot from 1 to 99"):
        code(slot, answer)


def test_no_question_has_nine_answers_so_999_is_never_a_code() -> None:
    assert max(digit for answers in QUESTIONS.values() for digit in answers) < 9
    assert {answer for answers in QUESTIONS.values() for answer in answers.values()} <= set(ANSWERS)
