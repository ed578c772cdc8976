"""Who may speak as Twilio: the signature over our public URL and every parameter, with two tokens."""

from __future__ import annotations

import pytest
from multidict import MultiDict
from twilio.request_validator import HMAC_SHA256, RequestValidator

from connectors.twilio.signature import called_url, check, link, link_holds

URL = "https://watch.example.org/twilio/voice/m-1?step=ask%20her&turn=1"
FORM = MultiDict([("CallSid", "CA1"), ("Digits", "1"), ("Digits", "2"), ("Empty", "")])
NAME, SETTINGS = "X-Twilio-Signature", "X-Twilio-Webhooks-Signature-Settings"


def signed(token: str, url: str = URL, form: MultiDict[str] = FORM) -> dict[str, str]:
    return {NAME: RequestValidator(token).compute_signature(url, form)}


@pytest.mark.parametrize("token", ["current", "previous"])
def test_either_token_of_a_rotation_counts(token: str) -> None:
    assert check(["current", "previous"], URL, FORM, signed(token)) == "genuine"


def test_twilios_own_published_example_is_genuine() -> None:
    """https://www.twilio.com/docs/usage/security: token 12345."""
    form = MultiDict(
        CallSid="CA1234567890ABCDE",
        Caller="+14158675309",
        Digits="1234",
        From="+14158675309",
        To="+18005551212",
    )
    headers = {NAME: "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    assert check(["12345"], "https://mycompany.com/myapp.php?foo=1&bar=2", form, headers) == "genuine"


def test_another_token_is_forged() -> None:
    assert check(["ours", "ours before"], URL, FORM, signed("theirs")) == "forged"


@pytest.mark.parametrize("tokens", [[], [""]], ids=["none configured", "an empty one"])
def test_an_empty_token_signs_nothing(tokens: list[str]) -> None:
    assert check(tokens, URL, FORM, signed("")) == "forged"


@pytest.mark.parametrize(
    "form",
    [
        MultiDict([("CallSid", "CA1"), ("Digits", "1"), ("Digits", "3"), ("Empty", "")]),
        MultiDict([("CallSid", "CA1"), ("Digits", "1"), ("Empty", "")]),
        MultiDict([("CallSid", "CA1"), ("Digits", "1"), ("Digits", "2")]),
        MultiDict([*FORM.items(), ("More", "x")]),
        MultiDict[str](),
    ],
    ids=["another repeated value", "a repeated one less", "an empty one less", "one more", "none"],
)
def test_a_tampered_form_is_forged(form: MultiDict[str]) -> None:
    assert check(["t"], URL, form, signed("t")) == "forged"


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("https", "http"),
        URL.replace("watch", "evil"),
        URL.replace("m-1", "m-2"),
        URL.replace("turn=1", "turn=2"),
        URL.replace("%20", "+"),
        URL.partition("?")[0],
    ],
)
def test_another_url_is_forged(url: str) -> None:
    assert check(["t"], url, FORM, signed("t")) == "forged"


def test_no_signature_is_unsigned() -> None:
    assert check(["t"], URL, FORM, {}) == "unsigned"


def test_a_signature_in_another_alphabet_is_forged_not_an_error() -> None:
    assert check(["t"], URL, FORM, {NAME: "ü" * 28}) == "forged"


def test_twilios_newer_algorithm_counts_and_an_unknown_one_does_not() -> None:
    newer = RequestValidator("t").compute_signature(URL, FORM, HMAC_SHA256)
    settings = "key=webhooks_sharedkey_1,algorithm="
    assert check(["t"], URL, FORM, {NAME: newer, SETTINGS: settings + "HMAC_SHA256"}) == "genuine"
    assert check(["t"], URL, FORM, signed("t") | {SETTINGS: settings + "NONE"}) == "forged"


@pytest.mark.parametrize(
    ("public", "raw_path", "prefix", "called"),
    [
        ("https://h.example", "/twilio/sms", "", "https://h.example/twilio/sms"),
        ("https://h.example/", "/twilio/sms?a=%20b", "", "https://h.example/twilio/sms?a=%20b"),
        ("https://h.example/watch", "/twilio/sms", "", "https://h.example/watch/twilio/sms"),
        ("https://h.example", "/inner/twilio/sms", "/inner", "https://h.example/twilio/sms"),
        ("https://h.example:8443", "/twilio/sms", "", "https://h.example:8443/twilio/sms"),
    ],
)
def test_the_url_is_our_public_one_and_the_path_as_received(
    public: str, raw_path: str, prefix: str, called: str
) -> None:
    assert called_url(public, raw_path, prefix) == called


# --- links to a recording ---


def test_a_link_holds_for_its_alert_and_its_time_and_with_either_token() -> None:
    until, sig = link(["current"], "a1", 900)
    assert link_holds(["current"], "a1", until, sig)
    assert link_holds(["next", "current"], "a1", until, sig)
    assert not link_holds(["next"], "a1", until, sig)
    assert not link_holds(["current"], "a2", until, sig)
    assert not link_holds(["current"], "a1", str(int(until) + 60), sig)
    assert not link_holds(["current"], "a1", until, sig[:-1] + ("0" if sig[-1] != "0" else "1"))


def test_a_link_is_over_after_its_time() -> None:
    until, sig = link(["current"], "a1", -1)
    assert not link_holds(["current"], "a1", until, sig)


def test_what_is_no_text_is_no_signature() -> None:
    until, _ = link(["current"], "a1", 900)
    assert not link_holds(["current"], "a1", until, "\u0661" * 18)


@pytest.mark.parametrize("until", ["", "soon", "-1", "9" * 20, "\u0661"])
def test_a_time_that_is_none_opens_nothing(until: str) -> None:
    assert not link_holds(["current"], "a1", until, "0" * 40)


def test_nobody_signs_with_an_empty_token() -> None:
    until, sig = link([""], "a1", 900)
    assert not link_holds([""], "a1", until, sig)
