"""The shape of the configuration file: what a host needs to run, as the contract names it (docs/interface.md).

Shapes and values only. Nothing here reads a file or the environment, and nothing compares one key with another:
`config.load` does. Every check stands on its own key, so that one problem never hides the next.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

import argon2
import phonenumbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from config.mapping import SERIAL, What, read_format
from config.policy import DeskKind, DutyRole, PublicMode, parse_duration, parse_hours
from config.tokens import TOKEN_HASH, Role

_Item = TypeVar("_Item")

REGION = "GB"
"""Numbers without a country code are read as British ones."""

EMERGENCY = frozenset({"+44999", "+44112"})


def _refuse(code: str, message: str, expected: str) -> PydanticCustomError:
    # nothing of the value may go into the text: it may be a secret or somebody's number
    return PydanticCustomError(code, message, {"expected": expected})


# --- numbers ---

NUMBER_EXPECTED = 'a telephone number such as "+441632960001"'
SENDER_EXPECTED = NUMBER_EXPECTED + ", or a sender's name of at most 11 letters, digits and spaces"
_NUMBER = re.compile(r"\+?[0-9(][0-9 ().-]{2,24}")
_SENDER = re.compile(r"[A-Za-z][A-Za-z0-9 ]{0,10}")
_DRAMA = re.compile(
    r"\+44(7700900|1632960|11[3-8]4960|1[2-6]14960|1914980|2079460|2896496|2920180|8081570|9098790|3069990)"
    r"[0-9]{3}"
)


def read_number(text: str) -> str:
    """A telephone number in E.164. Raises PydanticCustomError (bad_number, emergency_number)."""
    if not _NUMBER.fullmatch(text.strip()):
        raise _refuse("bad_number", "not a telephone number", NUMBER_EXPECTED)
    try:
        read = phonenumbers.parse(text, REGION)
    except phonenumbers.NumberParseException:
        raise _refuse("bad_number", "not a telephone number", NUMBER_EXPECTED) from None
    number = phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164)
    if number in EMERGENCY:
        raise _refuse("emergency_number", "no machine may ring the emergency services", NUMBER_EXPECTED)
    # not is_possible_number(): that takes a number without its area code, which cannot be rung from outside
    if phonenumbers.is_possible_number_with_reason(read) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise _refuse("bad_number", "no number of this length exists", NUMBER_EXPECTED)
    return number


def is_sender_name(text: str) -> bool:
    """Whether this is an alphanumeric sender. `0208464333O` is not: it is a number with a slip of the pen."""
    digits = sum(character.isdigit() for character in text)
    return bool(_SENDER.fullmatch(text)) and digits * 2 <= len(text)


def is_free_number(number: str) -> bool:
    """Whether a call to this E.164 number costs the caller nothing in Britain, from any line (0800, 0808, 116)."""
    return number.startswith(("+44800", "+44808", "+44116"))


def is_drama_number(number: str) -> bool:
    """Whether an E.164 number is one that Ofcom keeps free for films and tests: it reaches nobody."""
    return bool(_DRAMA.fullmatch(number))


def _number_or_sender(text: str) -> str:
    if is_sender_name(text.strip()):
        return text.strip()
    try:
        return read_number(text)
    except PydanticCustomError as error:
        raise _refuse(error.type, error.message(), SENDER_EXPECTED) from None


# --- addresses ---


def is_loopback(host: str) -> bool:
    """Whether only this machine can be meant. A name other than localhost never counts, wherever it leads."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def split_listen(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080`, `[::1]:8080`. Raises ValueError."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise ValueError('expected host:port such as "127.0.0.1:8080"')
    if found[1]:
        ipaddress.IPv6Address(found[1])
    return found[1] or found[2], int(found[3])


def _listen(text: str) -> str:
    try:
        split_listen(text)
    except ValueError:
        expected = 'host:port such as "127.0.0.1:8080" or "[::1]:0"'
        raise _refuse("bad_address", "cannot be listened on", expected) from None
    return text


def _url(text: str, schemes: tuple[str, ...], expected: str) -> SplitResult:
    try:
        url = urlsplit(text)
        port_is_readable = url.port is None or url.port >= 0
    except ValueError:
        port_is_readable = False
    if not port_is_readable or url.scheme not in schemes or not url.hostname or re.search(r"\s", text):
        raise _refuse("bad_url", "not such a URL", expected)
    return url


def _no_credentials(url: SplitResult, expected: str) -> None:
    if url.username is not None or url.password is not None:
        raise _refuse("secret_in_url", "a secret has no place in a URL", expected)


def _https_url(text: str) -> str:
    expected = 'an https:// URL without query (http:// on loopback only), such as "https://watch.example.org"'
    url = _url(text, ("https", "http"), expected)
    _no_credentials(url, expected)
    if url.query or url.fragment or (url.scheme == "http" and not is_loopback(url.hostname or "")):
        raise _refuse("bad_url", "not such a URL", expected)
    return text.rstrip("/")


MQTT_PROTOCOLS = ("", "protocol=5", "protocol=3.1.1")


def _mqtt_url(text: str) -> str:
    expected = (
        "mqtt://host[:port] or mqtts://host[:port], with ?protocol=3.1.1 for a broker without MQTT 5; "
        "name and password are keys of their own"
    )
    url = _url(text, ("mqtt", "mqtts"), expected)
    _no_credentials(url, expected)
    if url.path not in ("", "/") or url.query not in MQTT_PROTOCOLS or url.fragment:
        raise _refuse("bad_url", "not such a URL", expected)
    return text.rstrip("/")


STORE_EXPECTED = (
    '"sqlite:" (a file in data_dir), "redis://host:port/0", "rediss://host:port/0" with TLS, '
    'or "unix:///path/to/redis.sock?db=0"'
)


def _store_url(text: str) -> str:
    if text == "sqlite:":
        return text
    if re.fullmatch(r"unix:///[^?#\s]+(\?db=[0-9]{1,3})?", text):
        return text
    url = _url(text, ("redis", "rediss"), STORE_EXPECTED)
    if not re.fullmatch(r"(/[0-9]{0,3})?", url.path) or url.query or url.fragment:
        raise _refuse("bad_url", "not such a URL", STORE_EXPECTED)
    return text


# --- other values ---


def _hours(text: str) -> str:
    try:
        parse_hours(text)
    except ValueError as error:
        expected = str(error).removeprefix("expected ")
        raise _refuse("bad_hours", "cannot be read as hours", expected) from None
    return text


def _token_hash(text: str) -> str:
    if not TOKEN_HASH.fullmatch(text):
        raise _refuse("bad_hash", "not the hash of a token", "the block that `callwatch token` prints")
    return text


def _password_hash(text: str | None) -> str | None:
    if text is None:
        return None
    expected = "an argon2id hash, $argon2id$… (docs/configuration.md says how to make one)"
    try:
        parameters = argon2.extract_parameters(text)
    except argon2.exceptions.InvalidHashError:
        raise _refuse("bad_hash", "not the hash of a password", expected) from None
    if parameters.type is not argon2.Type.ID:
        raise _refuse("bad_hash", "not an argon2id hash", expected)
    return text


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s<>\",;]{1,64}@[A-Za-z0-9.-]{1,190}", text):
        raise _refuse("bad_email", "not a mail address", 'a mail address such as "duty@council.example"')
    return text


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise _refuse("wrong_type", "true and false are no numbers", "a number")
    return value


def _instant(value: Any) -> datetime:
    expected = "an instant with its offset such as 2027-03-31T00:00:00Z"
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        read = None
    if not isinstance(read, datetime) or read.tzinfo is None:
        raise _refuse("bad_time", "not an instant", expected)
    return read.astimezone(UTC)


def _duration(value: Any) -> timedelta:
    expected = 'a duration of 100ms to 7d, such as "1m"'
    try:
        read = parse_duration(value) if isinstance(value, str) else value
    except ValueError:
        raise _refuse("bad_value", "not a duration", expected) from None
    if not isinstance(read, timedelta):
        raise _refuse("wrong_type", "another kind of value than expected", expected)
    if not timedelta(milliseconds=100) <= read <= timedelta(days=7):
        raise _refuse("out_of_range", "outside of what is allowed", expected)
    return read


def _date_format(text: str) -> str:
    try:
        return text if text == SERIAL else (read_format(text), text)[1]
    except ValueError as error:
        raise _refuse("bad_value", "not a format of dates that can be relied on", str(error)) from None


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _file_pattern(text: str) -> str:
    if "/" in text or "\\" in text or text in (".", ".."):
        raise _refuse("bad_value", "not a pattern of file names", 'a pattern of names such as "rota*.csv"')
    return text


def _pull_url(text: str | None) -> str | None:
    if text is None:
        return None
    expected = "an https:// URL (http:// on loopback only) that holds no secret"
    url = _url(text, ("https", "http"), expected)
    _no_credentials(url, expected)
    if url.fragment or (url.scheme == "http" and not is_loopback(url.hostname or "")):
        raise _refuse("bad_url", "not such a URL", expected)
    return text


def _not_blank(text: str) -> str:
    if not text.strip() or any(not character.isprintable() for character in text):
        raise _refuse("bad_value", "blank, or with characters that cannot be shown", "readable text")
    return text.strip()


def _not_empty(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
    # pydantic's own min_length counts an item that is wrong as one that is not there, a second false problem
    if not items:
        raise _refuse("missing", "empty", "at least one of them")
    return items


Text = Annotated[str, Field(max_length=200), AfterValidator(_not_blank)]
Number = Annotated[str, AfterValidator(read_number)]
NumberOrSender = Annotated[str, AfterValidator(_number_or_sender)]
HoursText = Annotated[str, AfterValidator(_hours)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_more), AfterValidator(_not_empty)]
DateFormats = Annotated[
    tuple[Annotated[str, AfterValidator(_date_format)], ...], BeforeValidator(_one_or_more)
]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
PerSecond = Annotated[float, BeforeValidator(_no_boolean), Field(gt=0, le=1000, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Store(_Table):
    """[store]: where the facts are kept."""

    url: Annotated[str, Field(repr=False), AfterValidator(_store_url)] = "sqlite:"  # it may hold a password
    password_file: Path | None = None
    ca_file: Path | None = None

    @property
    def shared(self) -> bool:
        """Whether it is a server, and not a file in the data folder."""
        return self.url != "sqlite:"


class Token(_Table):
    """[[http.token]]: one credential, by its hash; `callwatch token` makes it."""

    hash: Annotated[str, Field(repr=False), AfterValidator(_token_hash)]
    role: Role
    desk: Text
    device: Text | None = None
    provider: Text | None = None
    person: Text | None = None
    expires: Annotated[datetime, BeforeValidator(_instant)]


class Http(_Table):
    """[http]: the board, the API and the webhooks."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8080"
    public_url: HttpsUrl | None = None
    password_hash: Annotated[str | None, Field(repr=False), AfterValidator(_password_hash)] = None
    token: tuple[Token, ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on; port 0 lets the system choose."""
        return split_listen(self.listen)

    @property
    def on_loopback(self) -> bool:
        """Whether nobody but this machine can connect."""
        return is_loopback(self.address[0])


class Mqtt(_Table):
    """[mqtt]: the broker to which the phones publish."""

    url: Annotated[str, AfterValidator(_mqtt_url)]
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "callwatch-0"
    username: Text | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, 1883 or with TLS 8883 unless said."""
        url = urlsplit(self.url)
        return url.hostname or "", url.port or (8883 if self.tls else 1883)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("mqtts:")


def _owntracks_device(text: str) -> str:
    if not re.fullmatch(r"owntracks:[^/+#\s]+/[^/+#\s]+", text):
        raise _refuse("bad_value", "not an OwnTracks phone", 'a device such as "owntracks:u17/phone"')
    return text


class OwnTracksKey(_Table):
    """[[owntracks.key]]: the key with which one phone, or every phone of a desk, encrypts."""

    file: Path
    device: Annotated[str, AfterValidator(_owntracks_device)] | None = None
    desk: Text | None = None


class OwnTracks(_Table):
    """[owntracks]: what the phones are told, and the keys of those that encrypt."""

    downlink: bool = True
    key: tuple[OwnTracksKey, ...] = ()


class Twilio(_Table):
    """[twilio]: the telephone account. Without it the daemon works by board and e-mail, and says so."""

    account_sid: Annotated[str, Field(pattern=r"^AC[0-9A-Za-z]{2,64}$")]
    auth_token_files: Annotated[tuple[Path, ...], AfterValidator(_not_empty), Field(max_length=2)]
    api_url: HttpsUrl = "https://api.twilio.com"
    calls_per_s: PerSecond = 1.0
    sms_per_s: PerSecond = 1.0


class Links(_Table):
    """[links]: what signs the links that we send (design rule 14)."""

    key_files: Annotated[tuple[Path, ...], AfterValidator(_not_empty), Field(max_length=2)]


class Email(_Table):
    """[email]: the mail relay."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=65535)] = 587
    from_: Annotated[str, Field(alias="from"), AfterValidator(_email)]


def _beat(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(hours=1):
        raise _refuse("out_of_range", "outside of what is allowed", "a duration from 1s to 1h")
    return value


class Heartbeat(_Table):
    """[heartbeat]: whom we tell that the watch is well."""

    url: Annotated[HttpsUrl, Field(repr=False)]  # whoever knows it can pretend that we live
    every: Annotated[Duration, AfterValidator(_beat)] = timedelta(minutes=1)


class DutyLine(_Table):
    """One line of a desk's duty list, in the order of the chain."""

    person: Text
    role: DutyRole
    hours: HoursText


class CouncilDeskLine(_Table):
    """One of the council's contacts."""

    name: Text
    phone: Number | None = None
    email: Annotated[str, AfterValidator(_email)] | None = None
    hours: HoursText
    contract: Text | None = None
    client_group: Text | None = None
    machine_calls: bool = False


class ContractLine(_Table):
    """One of a desk's contracts: who pays for a person, and what is agreed with them."""

    id: Text
    client_group: Text | None = None
    council: bool = True
    policy: Text | None = None
    overrides: dict[str, Any] = {}


class AreaLine(_Table):
    """[[desk.areas]]: a patch, locality or neighbourhood of a council. The ids stand in facts, the names do not."""

    id: Name
    name: Annotated[Text, Field(max_length=60)]
    wards: tuple[Name, ...] = ()
    ward_names: dict[Name, Annotated[Text, Field(max_length=60)]] = {}


class Desk(_Table):
    """[[desk]]: one provider's office, or one council's brokerage."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    kind: DeskKind
    name: Annotated[Text, Field(max_length=60)]
    policy: Text = "bromley"
    numbers: tuple[NumberOrSender, ...] = ()
    checkin_numbers: tuple[Number, ...] = ()
    telephone: Number | None = None
    public: PublicMode = "off"
    overrides: dict[str, Any] = {}
    wording: Path | None = None
    duty: tuple[DutyLine, ...] = ()
    council_desks: tuple[CouncilDeskLine, ...] = ()
    contracts: tuple[ContractLine, ...] = ()
    placing: dict[str, Text] = {}
    placing_overrides: dict[str, dict[str, Any]] = {}
    areas: tuple[AreaLine, ...] = ()
    mailbox: Annotated[str, AfterValidator(_email)] | None = None


class Mapping(_Table):
    """[[mapping]]: which column of another vendor's export is which field of ours."""

    name: Name
    what: What
    columns: dict[str, Texts]
    fixed: dict[str, str | bool | int] = {}
    values: dict[str, dict[str, str | bool | int]] = {}
    aliases: dict[str, Texts] = {}
    delimiter: Literal[",", ";", "tab"] | None = None
    encoding: Literal["utf-8", "utf-16", "cp1252"] | None = None
    dates: DateFormats = ()
    empty: Texts = ()
    footers: Texts = ()
    complete: bool = False
    fresh: Literal["file", "rows", "heartbeat", "reached"] = "file"


class Feed(_Table):
    """[[feed]]: files that are fetched, and how old their newest content may be."""

    name: Name
    desk: Text
    kind: Literal["folder", "sftp", "https"]
    mapping: Text
    what: What | None = None
    every: Duration = timedelta(minutes=1)
    fresh_within: Duration = timedelta(minutes=15)
    timeout: Duration = timedelta(seconds=30)
    max_bytes: Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=32 << 20)] = 32 << 20
    # folder and sftp
    path: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    pattern: Annotated[Text, AfterValidator(_file_pattern)] = "*.csv"
    # sftp
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")] | None = None
    port: Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=65535)] = 22
    user: Text | None = None
    key_file: Path | None = None
    password_file: Path | None = None
    known_hosts: Path | None = None
    # https
    url: Annotated[str | None, Field(repr=False), AfterValidator(_pull_url)] = None
    token_file: Path | None = None
    ca_file: Path | None = None


class Settings(_Table):
    """The whole file."""

    data_dir: Path
    drain_s: Annotated[float, BeforeValidator(_no_boolean), Field(gt=0, le=300, allow_inf_nan=False)] = 10.0
    log: Literal["json", "console"] = "json"
    store: Store = Store()
    http: Http = Http()
    mqtt: Mqtt | None = None
    owntracks: OwnTracks = OwnTracks()
    twilio: Twilio | None = None
    links: Links | None = None
    email: Email | None = None
    heartbeat: Heartbeat | None = None
    mapping: tuple[Mapping, ...] = ()
    feed: tuple[Feed, ...] = ()
    desk: Annotated[tuple[Desk, ...], AfterValidator(_not_empty)]
