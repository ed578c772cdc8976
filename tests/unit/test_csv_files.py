"""What a spreadsheet does to a file, trap by trap: encodings, quotes, dates, numbers, rows that are none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.settings import Mapping
from connectors.csv_files import (
    MESSAGES,
    MOST_ROWS,
    Items,
    read_checkin_file,
    read_people_file,
    read_rota_file,
)
from connectors.csv_text import BadFile
from connectors.csv_times import TimeReader, UnreadableTime, end_of
from monitor.core.inputs import RotaProblemCode

COLUMNS = {
    "id": "ID",
    "service_user": "Client",
    "start": ["Date", "From"],
    "end": ["Date", "To"],
    "workers": "Carers",
    "status": "Status",
}
HEADER = "ID,Client,Date,From,To,Carers,Status"
GOOD = "V1,su-1,16/03/2026,07:30,08:00,A12,ok"


def mapping(what: str = "rota", columns: Any = None, **more: Any) -> Mapping:
    return Mapping.model_validate({"name": "m", "what": what, "columns": columns or COLUMNS} | more)


def rota(*rows: str, header: str = HEADER, of: Mapping | None = None) -> Items:
    return read_rota_file(of or mapping(), "\r\n".join([header, *rows, ""]).encode())


def said(read: Any) -> list[tuple[int, str]]:
    return [(problem.line, problem.code) for problem in read.problems]


def refusal(body: bytes, of: Mapping | None = None) -> str:
    with pytest.raises(BadFile) as caught:
        read_rota_file(of or mapping(), body)
    assert caught.value.status == 400
    return caught.value.code


# --- the text ---

TEXT = f"{HEADER}\r\nV1,Zoë,16/03/2026,07:30,08:00,A12,ok\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_every_encoding_delimiter_and_line_end_is_recognised(
    encoding: str, delimiter: str, line_end: str
) -> None:
    body = TEXT.replace(",", delimiter).replace("\r\n", line_end).encode(encoding)
    read = read_rota_file(mapping(), body)
    assert (read.items[0]["service_user"], read.lines, said(read)) == ("Zoë", (2,), [])


def test_a_mark_in_the_file_wins_over_what_was_declared() -> None:
    read = read_rota_file(mapping(encoding="cp1252"), TEXT.encode("utf-16"))
    assert read.items[0]["service_user"] == "Zoë"


def test_one_broken_character_makes_no_other_encoding_of_the_whole_file() -> None:
    body = TEXT.encode() + b"V2,su-\xff,16/03/2026,09:00,09:30,Zo\xc3\xab,ok\r\n"
    read = read_rota_file(mapping(), body)
    assert read.items[0]["service_user"] == "Zoë"
    assert read.items[1]["workers"] == ["Zoë"]
    assert said(read) == [(3, "character_unreadable")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"PK\x03\x04rest of a workbook", "not_text"),
        (b"\xd0\xcf\x11\xe0 an old workbook", "not_text"),
        (TEXT.encode("utf-16-le"), "not_text"),
        (b"", "no_header"),
        (b"\r\n\r\n", "no_header"),
        (b"ID,Client\r\nV1,su-1\r\n", "no_header"),
        (f"{HEADER},Date\r\n{GOOD},x\r\n".encode(), "column_twice"),
    ],
)
def test_a_file_of_which_no_row_can_be_used_says_why(body: bytes, code: str) -> None:
    assert refusal(body) == code


def test_utf_16_without_its_mark_is_refused_where_it_was_declared() -> None:
    assert refusal(TEXT.encode("utf-16-le"), mapping(encoding="utf-16")) == "not_text"


def test_the_refusal_names_what_is_not_there_and_nothing_that_is() -> None:
    with pytest.raises(BadFile, match=r"not found: Date and From; Date and To$") as caught:
        read_rota_file(mapping(), b"ID,Client,Mrs Quillfeather\r\n")
    assert "Quillfeather" not in str(caught.value)


def test_more_rows_than_an_upload_may_have_are_refused() -> None:
    assert refusal("\n".join([HEADER, *[GOOD] * (MOST_ROWS + 1)]).encode()) == "too_large"


def test_excels_own_first_line_says_the_delimiter() -> None:
    read = read_rota_file(mapping(), ("sep=;\r\n" + TEXT.replace(",", ";")).encode())
    assert (read.lines, said(read)) == ((3,), [])


def test_the_header_is_found_below_a_title_and_by_its_alias_without_regard_to_case() -> None:
    of = mapping(aliases={"Client": ["Service  User"]})
    read = rota(
        "", "Printed,by", "id,SERVICE USER ,date,from,to,carers,status", GOOD, header="Bright Care", of=of
    )
    assert (read.items[0]["service_user"], read.lines) == ("su-1", (5,))


def test_a_column_that_a_vendor_renamed_is_named_and_the_rest_is_read() -> None:
    read = rota("V1,su-1,16/03/2026,07:30,08:00,A12,ok", header=HEADER.replace("Carers", "Staff"))
    assert read.items[0]["workers"] == []
    assert said(read) == [(1, "column_missing")]


# --- rows and quotes ---


def test_a_quoted_cell_may_go_over_lines_and_each_row_has_the_line_on_which_it_starts() -> None:
    read = rota(
        'V1,"su-1",16/03/2026,07:30,08:00,"A12\r\nB7","say ""ok"""',
        "",
        "V2,su-2,16/03/2026,07:30,08:00,A12,ok",
    )
    assert read.lines == (2, 5)
    assert read.items[0]["workers"] == ["A12", "B7"]
    assert said(read) == []


def test_a_quote_that_nobody_closes_swallows_no_visit_behind_it() -> None:
    read = rota(
        'V1,"su-1,16/03/2026,07:30,08:00,A12,ok',
        "V2,su-2,16/03/2026,07:30,08:00,A12,ok",
        'V3,"su-3",16/03/2026,07:30,08:00,A12,ok',
        "V4,su-4,16/03/2026,07:30,08:00,A12,ok",
    )
    assert [item["service_user"] for item in read.items] == ["su-1", "su-2", "su-3", "su-4"]
    assert (read.lines, said(read)) == ((2, 3, 4, 5), [(2, "quote_open")])


def test_a_quote_inside_a_value_is_a_sign_for_inches() -> None:
    read = rota('V1,su-1,16/03/2026,07:30,08:00,A12,5" step')
    assert said(read) == []


def test_blank_lines_and_trailing_separators_are_nothing() -> None:
    read = rota(GOOD + ",,,", "", ",,,,,,,,", "   ", header=HEADER + ",,,")
    assert (len(read.items), said(read)) == (1, [])


def test_a_row_that_is_cut_or_too_long_is_named_and_read_as_far_as_it_goes() -> None:
    read = rota("V1,su-1,16/03/2026,07:30", GOOD + ",x", "V3,su-3,16/03/2026,07:30,08:00,A12")
    assert said(read) == [(2, "cells_missing"), (3, "cells_extra"), (4, "cells_missing")]
    assert read.items[0]["start"] == "2026-03-16T07:30:00"
    assert "end" not in read.items[0]


def test_headers_totals_and_repeats_are_no_rows_and_are_named() -> None:
    read = rota(
        GOOD, HEADER, "Total visits: 1", "Exported 16/03/2026 by us,,,,,,", GOOD.replace("V1", "V2"), GOOD
    )
    assert said(read) == [(3, "repeated_header"), (4, "footer_row"), (5, "footer_row"), (7, "repeated_row")]
    assert [item["id"] for item in read.items] == ["V1", "V2", "V1"]


def test_a_row_that_only_looks_like_a_total_and_has_a_time_is_a_visit() -> None:
    read = rota("Total care 7,su-1,16/03/2026,07:30,08:00,A12,ok")
    assert (len(read.items), said(read)) == (1, [])


def test_a_footer_of_the_vendors_own_is_said_in_the_mapping() -> None:
    of = mapping(footers="*** ")
    assert said(rota("*** Acme care planner", of=of)) == [(2, "footer_row")]
    # without it, it is a row that names nobody, and alarms
    assert rota("*** Acme care planner").lines == (2,)


# --- values ---


@pytest.mark.parametrize("nothing", ["", "NULL", "null", "-", "N/A", "(blank)", "\u00a0", "none"])
def test_what_means_nothing_is_nothing(nothing: str) -> None:
    (item,) = rota(f"V1,{nothing},16/03/2026,07:30,08:00,{nothing},ok").items
    assert "service_user" not in item
    assert item["workers"] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("'0042", "0042"), ('"=""0042"""', "0042"), ("17.0", "17"), (" su-1\u00a0", "su-1"), ("1E5", "1E5")],
)
def test_what_a_spreadsheet_puts_around_an_id_is_taken_away(text: str, value: str) -> None:
    read = rota(f"V1,{text},16/03/2026,07:30,08:00,A12,ok")
    assert (read.items[0]["service_user"], said(read)) == (value, [])


@pytest.mark.parametrize(
    ("text", "code"), [("4.47701E+11", "number_damaged"), ("#REF!", "cell_error"), ("####", "cell_error")]
)
def test_what_a_spreadsheet_destroyed_is_named_and_not_used(text: str, code: str) -> None:
    read = rota(f"V1,{text},16/03/2026,07:30,08:00,A12,ok")
    assert "service_user" not in read.items[0]
    assert said(read) == [(2, code)]


@pytest.mark.parametrize("cell", ["A12; B7", "A12|B7", '"A12, B7"', "A12;;B7; A12"])
def test_several_care_workers_in_one_cell(cell: str) -> None:
    assert rota(f"V1,su-1,16/03/2026,07:30,08:00,{cell},ok").items[0]["workers"] == ["A12", "B7"]


@pytest.mark.parametrize(
    ("status", "cancelled"), [("Cancelled", True), ("CANCELED", True), ("Confirmed", False), ("", False)]
)
def test_a_cancelled_row_says_so_without_a_list_of_values(status: str, cancelled: bool) -> None:
    (item,) = rota(f"V1,su-1,16/03/2026,07:30,08:00,A12,{status}").items
    assert item.get("cancelled", False) is cancelled


def test_with_a_list_of_values_what_it_does_not_hold_is_named_and_watched() -> None:
    of = mapping(values={"status": {"Booked": "planned", "Off": "cancelled", "Template": "ignored"}})
    rows = [
        f"V{n},su-1,16/03/2026,07:30,08:00,A{n},{status}"
        for n, status in enumerate(("booked", "OFF", "template", "??"))
    ]
    read = rota(*rows, of=of)
    assert [(item["id"], item.get("cancelled", False)) for item in read.items] == [
        ("V0", False),
        ("V1", True),
        ("V3", False),
    ]
    assert said(read) == [(5, "value_unknown")]


def test_a_complete_rota_covers_the_days_on_which_it_has_a_row() -> None:
    rows = [
        f"V{n},su-{n},{day}/03/2026,07:30,08:00,A12,{status}"
        for n, (day, status) in enumerate(((16, "ok"), (18, "Cancelled")))
    ]
    assert rota(*rows, of=mapping(complete=True)).covers == ("2026-03-16T00:00", "2026-03-19T00:00")
    far = rota(*rows, "V9,su-9,16/03/2062,07:30,08:00,A12,ok", of=mapping(complete=True))
    assert (far.covers, said(far)) == (None, [(1, "covers_doubtful")])


# --- dates and times ---

AT = datetime(2026, 3, 16, 7, 30)  # noqa: DTZ001 - local, as written


@pytest.mark.parametrize(
    "cells",
    [
        ("16/03/2026 07:30",),
        ("16/03/2026 7:30",),
        ("16/03/2026 07:30:00",),
        ("16-03-2026 07.30",),
        ("16.03.2026 07:30",),
        ("16 Mar 2026 7:30 am",),
        ("16-March-2026 07:30",),
        ("Mon 16/03/2026 07:30",),
        ("Monday, 16/03/2026 07:30AM",),
        ("2026-03-16 07:30",),
        ("2026-03-16T07:30:00",),
        ("46097.3125",),
        ("46097,3125",),
        ("16/03/2026", "07:30"),
        ("16/03/2026 00:00", "07:30"),
        ("16/03/2026 00:00:00", "30/12/1899 07:30:00"),
        ("16/03/2026", "0.3125"),
        ("46097", "0.3125"),
        ("46097.0", "7:30 a.m."),
        ("2026-03-16", "07:30:00"),
    ],
)
def test_a_time_as_spreadsheets_write_it(cells: tuple[str, ...]) -> None:
    assert TimeReader().read(cells) == AT


@pytest.mark.parametrize(
    ("cells", "at"),
    [
        (("16/03/2026", "12:00 am"), AT.replace(hour=0, minute=0)),
        (("16/03/2026", "12:30 PM"), AT.replace(hour=12)),
        (("16/03/2026", "24:00"), datetime(2026, 3, 17)),  # noqa: DTZ001
        (("46097.322916667",), AT.replace(minute=45)),
        (("03/04/2026 07:30",), datetime(2026, 4, 3, 7, 30)),  # noqa: DTZ001
        (("2026-03-16T07:30:00+01:00",), datetime(2026, 3, 16, 6, 30, tzinfo=UTC)),
        (("2026-03-16 07:30:00Z",), AT.replace(tzinfo=UTC)),
    ],
)
def test_a_time_that_is_easily_misread(cells: tuple[str, ...], at: datetime) -> None:
    assert TimeReader().read(cells) == at


@pytest.mark.parametrize(
    ("cells", "trouble"),
    [
        (("03/16/2026 07:30",), "date_not_day_first"),
        (("3/16/26 07:30",), "date_not_day_first"),
        (("03/16/2026", "07:30"), "date_not_day_first"),
        (("31/02/2026 07:30",), "time_unreadable"),
        (("32/01/2026 07:30",), "time_unreadable"),
        (("13/13/2026 07:30",), "time_unreadable"),
        (("16/03/26 07:30",), "time_unreadable"),
        (("16/03/2026 25:00",), "time_unreadable"),
        (("16/03/2026 07:60",), "time_unreadable"),
        (("16/03/2026 13:00 pm",), "time_unreadable"),
        (("16/03/1926 07:30",), "time_unreadable"),
        (("00/01/1900 07:30",), "time_unreadable"),
        (("0.3125",), "time_unreadable"),
        (("tomorrow",), "time_unreadable"),
        (("16/03/2026",), "no_time"),
        (("16/03/2026", ""), "no_time"),
        (("", "07:30"), "no_time"),
        (("", ""), "no_time"),
        (("16/03/2026 06:00", "07:30"), "time_unreadable"),
    ],
)
def test_what_is_no_time_is_named_and_not_guessed(cells: tuple[str, ...], trouble: str) -> None:
    with pytest.raises(UnreadableTime) as caught:
        TimeReader().read(cells)
    assert caught.value.trouble == trouble


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        (["%d/%m/%Y %H:%M"], "16/03/2026 07:30", "2026-03-16 07:30"),
        (["%d/%m/%y %H:%M"], "16/03/26 07:30", "16/03/2026 07:30"),
        (["%Y-%m-%d %H:%M:%S"], "2026-03-16 07:30:00", "16/03/2026 07:30"),
        (["%d/%m/%Y %I:%M %p"], "16/03/2026 07:30 AM", "16/03/2026 07:30"),
        (["%d %b %Y %H:%M"], "16 Mar 2026 07:30", "16/03/2026 07:30"),
        (["serial"], "46097.3125", "16/03/2026 07:30"),
        (["%d/%m/%Y %H:%M", "serial"], "46097.3125", "16-03-2026 07:30"),
    ],
)
def test_a_declared_format_is_the_only_one(declared: list[str], good: str, bad: str) -> None:
    reader = TimeReader(declared)
    assert reader.read([good]) == AT
    with pytest.raises(UnreadableTime):
        reader.read([bad])


@pytest.mark.parametrize(
    ("hours", "same_date", "moved"),
    [(-14, True, True), (-9, True, False), (-14, False, False), (1, True, False), (-24, True, False)],
)
def test_an_end_before_its_start_is_the_next_mornings_for_a_nights_visit_alone(
    hours: int, same_date: bool, moved: bool
) -> None:
    end = AT + timedelta(hours=hours)
    assert (end_of(AT, end, same_date=same_date) != end) is moved


def american(*days: int, more: Sequence[str] = ()) -> list[str]:
    return [*(f"V{day},su-{day},03/{day:02}/2026,07:30,08:00,A12,ok" for day in days), *more]


def test_one_american_date_is_an_accident_and_a_file_of_them_is_refused_whole() -> None:
    assert said(
        rota(*american(16), *(f"W{n},su-{n},0{n}/03/2026,07:30,08:00,A12,ok" for n in range(1, 9)))
    ) == [(2, "date_not_day_first")]
    with pytest.raises(BadFile) as caught:
        rota(*american(1, 2, 3, 13, 14, 15, 16))
    assert caught.value.code == "american_dates"


# --- people ---


def people(*rows: str, header: str, **more: Any) -> Items:
    columns = {
        "id": "Ref",
        "name": "Name",
        "mobile": ["Mobile", "Mobile 2"],
        "landline": "Home",
        "lat": "Lat",
        "lon": "Lon",
    }
    of = mapping("people", columns, fixed={"role": "care_worker"}, **more)
    return read_people_file(of, "\n".join([header, *rows]).encode())


def numbers(item: dict[str, Any], kind: str) -> list[str]:
    return [phone["number"] for phone in item["phones_by_kind"][kind]]


def test_telephones_get_back_what_a_spreadsheet_took() -> None:
    read = people(
        "cw-1,Ann,7700900123,447700900124,'01632 960123,51.4,0.01",
        "cw-2,Bea,4.47701E+11,,+44 1632 960124 / 1632960125,,",
        header="Ref,Name,Mobile,Mobile 2,Home,Lat,Lon",
    )
    assert numbers(read.items[0], "mobile") == ["07700900123", "447700900124"]
    assert numbers(read.items[0], "landline") == ["01632960123"]
    assert numbers(read.items[1], "landline") == ["+441632960124", "01632960125"]
    assert read.items[0]["homes"] == [{"lat": 51.4, "lon": 0.01}]
    assert "homes" not in read.items[1]
    assert said(read) == [(3, "number_damaged")]


def test_a_mapping_without_a_kind_of_telephone_says_nothing_of_it() -> None:
    read = read_people_file(
        mapping("people", {"id": "Ref", "role": "Role", "mobile": "Mobile"}),
        b"Ref,Role,Mobile\nom-1,staff,07700900123\n",
    )
    assert read.items[0]["phones_by_kind"].keys() == {"mobile"}


@pytest.mark.parametrize(
    ("row", "damaged", "code"),
    [
        ("om-1,staff,07700900123,01632960123,tag:04", set(), None),
        ("om-1,staff,,,", set(), None),
        ("om-1,staff,4.47701E+11,01632960123,tag:04", {"mobile"}, "number_damaged"),
        ("om-1,staff,07700900123;4.47701E+11,01632960123,tag:04", {"mobile"}, "number_damaged"),
        ("om-1,staff,07700900123,#REF!,tag:04", {"landline"}, "cell_error"),
        ("om-1,staff,07700900123,########,tag:04", {"landline"}, "cell_error"),
        ("om-1,staff,07700900123,01632960123,tag:04;1.2E+10", {"devices"}, "number_damaged"),
        ("om-1,staff,07700900123,01632960123,#N/A", {"devices"}, "cell_error"),
        ("om-1,staff,07700900123", {"landline", "devices"}, "cells_missing"),
    ],
)
def test_a_list_of_which_a_cell_is_damaged_says_so(row: str, damaged: set[str], code: str | None) -> None:
    columns = {"id": "Ref", "role": "Role", "mobile": "M", "landline": "L", "devices": "D"}
    read = read_people_file(mapping("people", columns), f"Ref,Role,M,L,D\n{row}\n".encode())
    assert set(read.items[0].get("damaged", ())) == damaged
    assert [found for _, found in said(read)] == ([code] if code is not None else [])


def test_a_list_whose_column_is_not_in_the_file_is_left_as_it_is() -> None:
    columns = {"id": "Ref", "role": "Role", "mobile": ["M", "M2"], "landline": "L", "devices": ["D", "D2"]}
    read = read_people_file(mapping("people", columns), b"Ref,Role,M,D\nom-1,staff,,\n")
    assert set(read.items[0]["damaged"]) == {"mobile", "devices"}
    assert read.items[0]["phones_by_kind"].keys() == {"mobile"}


PLAN = {
    "id": "Ref",
    "role": "Role",
    "born": "Born",
    "needs": "Needs",
    "hours_week": "Week",
    "channels": "How",
    "ring_s": "Ring",
    "keypad": "Keypad",
    "understands_keys": "Keys",
    "voicemail": "Machine",
    "end_of_life": "EOL",
    "hours": "Hours",
    "spokesperson": "Speaks",
    "never_tell": "Never",
    "household_line": "House",
    "agreed_on": "Agreed",
}
PLAN_HEADER = ",".join(PLAN.values())


def planned(row: str, **more: Any) -> Items:
    return read_people_file(mapping("people", PLAN, **more), f"{PLAN_HEADER}\n{row}\n".encode())


def test_a_whole_contact_plan_comes_by_file() -> None:
    read = planned(
        "su-1,service_user,04/03/1931,hoist;peg,,Phone;person,60,no,yes,no,,daily 08:00-20:00,"
        "nok-1,nok-2;nok-3,7700900123,01/02/2026",
        values={"channels": {"Phone": "voice", "person": "person"}},
    )
    assert said(read) == []
    (item,) = read.items
    assert (item["born"], item["needs"]) == ("1931-03-04", ["hoist", "peg"])
    assert item["contact_plan"] == {
        "channels": ["voice", "person"],
        "ring_s": 60,
        "keypad": False,
        "understands_keys": True,
        "voicemail": False,
        "hours": "daily 08:00-20:00",
        "spokesperson": "nok-1",
        "never_tell": ["nok-2", "nok-3"],
        "household_line": "07700900123",
        "agreed_on": "2026-02-01",
    }


def test_an_empty_cell_of_a_plan_changes_nothing_but_a_list() -> None:
    read = planned("su-1,service_user" + "," * 14)
    assert (read.items[0]["contact_plan"], said(read)) == ({"never_tell": []}, [])


@pytest.mark.parametrize(
    ("field", "cell", "counts_as"),
    [
        ("keypad", "perhaps", False),
        ("understands_keys", "sometimes", False),
        ("voicemail", "ask her", False),
        ("end_of_life", "soon", True),
        ("channels", "pigeon", ["person"]),
    ],
)
def test_a_plan_that_cannot_be_read_leaves_it_to_a_person(field: str, cell: str, counts_as: Any) -> None:
    cells = {"id": "su-1", "role": "service_user", field: cell}
    read = planned(",".join(cells.get(name, "") for name in PLAN))
    assert read.items[0]["contact_plan"][field] == counts_as
    assert said(read) == [(2, "value_unknown")]


@pytest.mark.parametrize(
    ("cell", "code"), [("03/14/1931", "date_not_day_first"), ("04/03/31", "time_unreadable")]
)
def test_a_date_of_birth_that_may_be_another_is_named_and_not_guessed(cell: str, code: str) -> None:
    read = planned(f"su-1,service_user,{cell}" + "," * 13)
    assert ("born" in read.items[0], said(read)) == (False, [(2, code)])


def test_who_is_never_to_be_told_is_damaged_like_any_list() -> None:
    cells = {"id": "su-1", "role": "service_user", "never_tell": "nok-1;#REF!;4.4E+11"}
    read = planned(",".join(cells.get(name, "") for name in PLAN))
    assert read.items[0]["damaged"] == ["never_tell"]


def test_the_kind_of_a_visit_comes_by_file() -> None:
    columns = COLUMNS | {"kind": "Kind"}
    of = mapping(columns=columns, values={"kind": {"WN": "waking_night"}, "status": {"ok": "planned"}})
    read = rota(f"{GOOD},WN", f"{GOOD},", header=f"{HEADER},Kind", of=of)
    assert [item.get("kind") for item in read.items] == ["waking_night", None]


@pytest.mark.parametrize(
    ("cell", "condition"),
    [
        ("home_confirmed", "home_confirmed"),
        ("yes", "home_confirmed"),
        ("D2A", "home_confirmed"),
        ("no", None),
        ("", None),
        ("if the weather holds", "if the weather holds"),
    ],
)
def test_a_first_visit_after_a_discharge_comes_by_file(cell: str, condition: str | None) -> None:
    values = {"conditional": {"D2A": "home_confirmed"}}
    listed = mapping(columns=COLUMNS | {"conditional": "Discharge"}, values=values if cell == "D2A" else {})
    read = rota(f"{GOOD},{cell}", header=f"{HEADER},Discharge", of=listed)
    assert read.items[0].get("conditional") == condition


PINS = {"id": "Ref", "role": "Role", "pin": "PIN", "home_number": "Home no"}


@pytest.mark.parametrize(
    ("row", "pin", "home", "codes"),
    [
        ("cw-1,care_worker,4711,", "4711", None, []),
        ('cw-1,care_worker,"=""0815""",', "0815", None, []),
        ("cw-1,care_worker,'0815,", "0815", None, []),
        ("cw-1,care_worker,4711.0,", "4711", None, []),
        ("su-1,service_user,,0042", None, "0042", []),
        ("cw-1,care_worker,,", None, None, []),
        ("cw-1,care_worker,4.7E+07,", None, None, ["number_damaged"]),
        ("cw-1,care_worker,#REF!,", None, None, ["cell_error"]),
        ("cw-1,care_worker,4711,,4712", None, None, ["cells_extra"]),
    ],
)
def test_what_is_keyed_into_the_free_number_is_taken_only_where_nothing_of_it_is_lost(
    row: str, pin: str | None, home: str | None, codes: list[str]
) -> None:
    read = read_people_file(mapping("people", PINS), f"Ref,Role,PIN,Home no\n{row}\n".encode())
    assert (read.items[0].get("pin"), read.items[0].get("home_number")) == (pin, home)
    assert [code for _, code in said(read)] == codes


def test_a_position_of_nought_or_outside_the_world_is_none() -> None:
    header = "Ref,Name,Mobile,Mobile 2,Home,Lat,Lon"
    read = people("a,A,,,,0,0", "b,B,,,,91,0", "c,C,,,,north,0", header=header)
    assert all("homes" not in item for item in read.items)
    assert {code for _, code in said(read)} == {"value_unknown"}


# --- check-ins ---

ECM = {
    "id": "Log",
    "visit": "Visit",
    "worker": "Carer",
    "arrived": ["Date", "In"],
    "left": ["Date", "Out"],
    "edited": "Edited",
}
ECM_HEADER = "Log,Visit,Carer,Date,In,Out,Edited"


def ecm(*rows: str, columns: Any = None, header: str = ECM_HEADER, **more: Any) -> Any:
    return read_checkin_file(mapping("checkins", columns or ECM, **more), "\n".join([header, *rows]).encode())


def events(read: Any) -> list[tuple[int, str, str, bool]]:
    return [(one.line, one.kind, one.at.strftime("%d %H:%M"), one.manual) for one in read.events]


def test_a_row_brings_an_arrival_and_its_departure_and_one_of_the_night_the_next_mornings() -> None:
    read = ecm(
        "1,V1,A,16/03/2026,07:30,08:00,",
        "2,V2,A,16/03/2026,22:00,06:00,",
        "3,V3,A,16/03/2026,,,",
        "4,V4,A,,,,",
    )
    assert events(read) == [
        (2, "arrive", "16 07:30", False),
        (2, "leave", "16 08:00", False),
        (3, "arrive", "16 22:00", False),
        (3, "leave", "17 06:00", False),
    ]
    assert said(read) == []


@pytest.mark.parametrize(
    ("edited", "manual"),
    [("", False), ("No", False), ("0", False), ("Yes", True), ("J. Office", True), ("-", False)],
)
def test_whatever_is_not_a_plain_no_in_the_column_of_edits_is_manual(edited: str, manual: bool) -> None:
    assert events(ecm(f"1,V1,A,16/03/2026,07:30,,{edited}")) == [(2, "arrive", "16 07:30", manual)]


def test_a_checkin_of_an_unknown_kind_of_evidence_is_manual_and_named() -> None:
    columns = {"visit": "Visit", "kind": "Event", "at": "Time", "manual": "Method"}
    values = {"kind": {"Log in": "arrive", "Log out": "leave"}, "manual": {"NFC": False, "Office": True}}
    read = ecm(
        "V1,log in,16/03/2026 07:30,NFC",
        "V1,LOG OUT,16/03/2026 08:00,office",
        "V2,log in,16/03/2026 09:00,Pigeon",
        "V3,paused,16/03/2026 09:00,NFC",
        columns=columns,
        header="Visit,Event,Time,Method",
        values=values,
    )
    assert events(read) == [
        (2, "arrive", "16 07:30", False),
        (3, "leave", "16 08:00", True),
        (4, "arrive", "16 09:00", True),
    ]
    assert [(p.line, p.code, p.error) for p in read.problems] == [
        (4, "value_unknown", False),
        (5, "value_unknown", True),
    ]


def test_a_checkin_without_a_subject_or_with_a_time_that_cannot_be_read_is_named() -> None:
    read = ecm("1,,,16/03/2026,07:30,,", "2,V2,A,16/03/2026,half past,,", "3,V3,A,16/03/2026,08:00,07:00,")
    assert [(p.line, p.code, p.error) for p in read.problems] == [
        (2, "no_subject", True),
        (3, "time_unreadable", True),
        (4, "left_before_arrived", False),
    ]
    assert events(read) == [(4, "arrive", "16 08:00", False)]


# --- the lists ---


def test_every_code_of_a_file_has_its_words_and_stands_in_the_closed_list() -> None:
    of_checkins = {"no_subject", "identity", "left_before_arrived", "column_twice"}
    assert set(MESSAGES) - of_checkins <= set(RotaProblemCode.__args__)  # type: ignore[attr-defined]
