"""A desk's own words: laid over the shipped ones, held to the same rules, and shown before anybody hears them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from config.load import DeskConfig, Loaded, load
from escalation.dialog import DIALOGS
from escalation.wording import PUBLIC
from monitor.__main__ import main
from monitor.preview_words import preview_messages
from monitor.wording_file import desk_wording, load_wording, with_words

DESK = """
data_dir = "data"
[[desk]]
id = "bright"
kind = "provider"
name = "{name}"
numbers = ["+441632960001"]
public = "off"
duty = [{{ person = "st-1", role = "office", hours = "daily 00:00-24:00 +holidays" }}]
council_desks = [{{ name = "EDT", phone = "+441632960003", hours = "daily 00:00-24:00 +holidays" }}]
"""


def configured(folder: Path, words: str | None = None, name: str = "Bright Care") -> Path:
    file = folder / "callwatch.toml"
    own = 'wording = "words.toml"\n' if words is not None else ""
    file.write_text(DESK.format(name=name) + own, "utf-8")
    if words is not None:
        (folder / "words.toml").write_text(words, "utf-8")
    return file


def checked(file: Path) -> Loaded:
    return with_words(load(file, {}))


def only_desk(file: Path) -> DeskConfig:
    (desk,) = load(file, {}).desks
    return desk


GOOD = '[sms.SU-2]\ntext = "{agency}: thank you. Ring {tel}"\n[call.SUV-1.lines]\nagain = "Once more."\n'


def test_a_desk_without_words_of_its_own_has_the_shipped_ones(tmp_path: Path) -> None:
    loaded = checked(configured(tmp_path))
    assert [problem.code for problem in loaded.problems if "words" in problem.code] == []
    assert desk_wording(loaded.desks[0].wording) is load_wording()


def test_its_own_words_lie_over_the_shipped_ones(tmp_path: Path) -> None:
    loaded = checked(configured(tmp_path, GOOD))
    assert loaded.settings is not None
    own = desk_wording(loaded.desks[0].wording)
    assert own.sms["SU-2"].text == "{agency}: thank you. Ring {tel}"
    assert own.sms["SU-1"] == load_wording().sms["SU-1"]
    assert own.call["SUV-1"].lines["again"] == "Once more."


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ('[sms.SU-2]\ntext = "{agency}: do you still need us today? {tel}"', "desk[0].wording.sms.SU-2.text"),
        ('[sms.SU-2]\ntext = "{agency}: your visit at {id}. {tel}"', "desk[0].wording.sms.SU-2.text"),
        ('[sms.SU-99]\ntext = "x"', "desk[0].wording.sms.SU-99"),
        ('[sms.SU-2]\naudience = "staff"', "desk[0].wording.sms.SU-2"),
        ('[call.SUV-1.lines]\nmenu = "Press 1 or press 2."', "desk[0].wording.call.SUV-1.lines"),
        ('[voicemail.SUV-3]\ntext = "{agency}. Your visit is late."', "desk[0].wording.voicemail.SUV-3.text"),
        ('[mail.CO-2]\nbody = "{agency}: has dementia"', "desk[0].wording.mail.CO-2.body"),
        ('language = "cy"', "desk[0].wording.language"),
    ],
)
def test_words_that_may_not_be_said_start_nothing(tmp_path: Path, words: str, path: str) -> None:
    loaded = checked(configured(tmp_path, words))
    assert loaded.settings is None
    assert path in {problem.path for problem in loaded.errors}
    assert {problem.code for problem in loaded.errors} == {"bad_words"}


def test_words_are_looked_at_also_where_something_else_is_wrong(tmp_path: Path) -> None:
    file = configured(tmp_path, '[sms.SU-2]\ntext = "{agency}: can you manage? {tel}"')
    file.write_text(file.read_text("utf-8") + 'colour = "red"\n', "utf-8")
    assert {problem.code for problem in checked(file).errors} == {"unknown_key", "bad_words"}


@pytest.mark.parametrize(
    ("words", "code"), [("[sms", "toml_syntax"), (None, "file_unreadable")], ids=["broken", "absent"]
)
def test_a_file_of_words_that_cannot_be_read_is_named(tmp_path: Path, words: str | None, code: str) -> None:
    file = configured(tmp_path, words or "")
    if words is None:
        (tmp_path / "words.toml").unlink()
    assert [(problem.path, problem.code) for problem in checked(file).errors] == [("desk[0].wording", code)]


def test_a_name_that_makes_texts_longer_is_a_warning_and_no_more(tmp_path: Path) -> None:
    loaded = checked(configured(tmp_path, name="The Penge and Anerley Homecare Company"))
    assert loaded.settings is not None
    (warning,) = [problem for problem in loaded.warnings if problem.code == "long_words"]
    assert warning.path == "desk[0].name"
    assert "sms.SU-1.text" in warning.message


def test_a_council_s_name_is_measured_in_the_texts_that_a_council_sends(tmp_path: Path) -> None:
    """It was asked for a shorter name for the sake of a text to a service user, which its desk never sends."""
    name = "Northvale Brokerage"
    file = tmp_path / "callwatch.toml"
    file.write_text(f'data_dir = "data"\n[[desk]]\nid = "hall"\nkind = "council"\nname = "{name}"\n', "utf-8")
    assert [problem.code for problem in checked(file).problems if "words" in problem.code] == []
    assert "long_words" in [problem.code for problem in checked(configured(tmp_path, name=name)).problems]


# --- shown before anybody hears them ---


def test_every_template_is_shown_with_its_clause_and_audience() -> None:
    shown, words = preview_messages(), load_wording()
    assert [text.id for text in shown.texts] == list(words.sms)
    assert [call.id for call in shown.calls] == list(words.call)
    assert {other.id for other in shown.others} == {*words.voicemail, *words.mail, *words.page}
    assert all(entry.clause and entry.audience for entry in (*shown.texts, *shown.calls, *shown.others))
    assert shown.problems == ()


def test_the_parts_are_those_of_the_longest_names() -> None:
    for text in preview_messages().texts:
        assert len(text.longest) <= text.length
        assert text.alphabet == "GSM-7"
        assert text.parts == (1 if text.length <= 160 else 2)
        assert text.parts == 1 or text.audience not in ("service_user", "council", "provider")


def test_each_step_of_a_script_is_shown_with_what_its_keys_lead_to() -> None:
    (first,) = [call for call in preview_messages().calls if call.id == "SUV-1"]
    assert [step.step for step in first.steps] == list(DIALOGS["SUV-1"].steps)
    assert (first.steps[0].keys["1"], first.steps[0].silence) == ("all_right", "again")
    (late,) = [call for call in preview_messages().calls if call.id == "CWV-1"]
    minutes = next(step for step in late.steps if step.step == "minutes")
    assert minutes.keys["1 to 240"] == "on_my_way"


def test_nothing_that_is_shown_has_a_gap_where_a_name_should_be() -> None:
    shown = preview_messages()
    said = [text.example for text in shown.texts] + [text.longest for text in shown.texts]
    said += [line for call in shown.calls for step in call.steps for line in step.say]
    said += [other.example for other in shown.others]
    for text in said:
        assert not set("{}[]") & set(text), text
        assert "  " not in text, text
        assert " ." not in text, text
        assert " ," not in text, text
        assert "()" not in text, text


def test_words_of_a_desk_that_may_not_be_said_are_shown_with_their_problem(tmp_path: Path) -> None:
    shown = preview_messages(
        only_desk(configured(tmp_path, '[sms.SU-2]\ntext = "{agency}: can you cope? {tel}"'))
    )
    assert [(problem.path, problem.code) for problem in shown.problems] == [
        ("bright.wording.sms.SU-2.text", "bad_words")
    ]
    assert shown.refused
    (text,) = [text for text in shown.texts if text.id == "SU-2"]
    assert text.example.startswith("Bright Care: can you cope?")


def test_words_that_cannot_be_laid_over_leave_the_shipped_ones_to_be_seen(tmp_path: Path) -> None:
    shown = preview_messages(only_desk(configured(tmp_path, '[sms.SU-99]\ntext = "x"')))
    assert shown.refused
    assert len(shown.texts) == len(load_wording().sms)


def test_the_command_says_them_and_ends_with_one_when_they_may_not_be_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", "--messages"]) == 0
    said = capsys.readouterr().out
    assert "SU-1  text to service_user  [spec 22.2]  1 part, 158 characters of GSM-7 at the longest" in said
    assert "(1: all_right, 2:" in said
    file = configured(tmp_path, '[sms.SU-2]\ntext = "{agency}: can you cope? {tel}"')
    assert main(["preview", "--messages", "--config", str(file), "--desk", "bright", "--json"]) == 1
    told = msgspec.json.decode(capsys.readouterr().out)
    assert [problem["code"] for problem in told["problems"]] == ["bad_words"]
    assert set(told) == {"language", "texts", "calls", "others", "problems"}
    assert main(["check-config", str(file)]) == 1
    assert "sms.SU-2.text" in capsys.readouterr().out
    assert main(["preview", "--messages", "--desk", "bright"]) == 2


def test_a_public_text_names_nothing_of_anybody_s_home() -> None:
    for text in preview_messages().texts:
        if text.audience in PUBLIC:
            assert "SU-7" not in text.example
            assert "Anerley" not in text.example
