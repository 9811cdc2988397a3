"""The adapters, each against a server that answers as its provider documents."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID
from xml.etree import ElementTree

import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tearline.core.delivery import FailureKind
from tearline.notices.messages import Message, Provider, ProviderFailure
from tearline.notices.providers import HttpGateway, Outbox, TwilioSms, TwilioVoice, WhatsAppCloud
from tearline.notices.providers.http import retry_after_seconds

pytestmark = pytest.mark.anyio

SID = "AC" + "0" * 32
LANGUAGES = ("en", "zh-Hant", "zh-Hans", "th")


def message(channel: str = "sms", language: str = "en") -> Message:
    return Message(
        id=UUID(int=7),
        channel=channel,
        recipient="+85251234567",
        language=language,
        template="sign_in_code",
        values={"code": "012345", "minutes": 5},
        useful_seconds=290.6,
    )


def twilio_sms(server: HTTPServer, **changes: Any) -> TwilioSms:
    return TwilioSms(SID, "token", "+15005550006", base_url=server.url_for(""), **changes)


def whatsapp(server: HTTPServer, **changes: Any) -> WhatsAppCloud:
    return WhatsAppCloud(
        "EAAJB",
        "105954558954427",
        templates={"sign_in_code": "otp"},
        base_url=server.url_for("/v21.0"),
        **changes,
    )


@asynccontextmanager
async def closing(provider: Provider) -> AsyncIterator[Provider]:
    try:
        yield provider
    finally:
        await provider.close()


async def failure_of(provider: Provider, sent: Message | None = None) -> ProviderFailure:
    async with closing(provider):
        with pytest.raises(ProviderFailure) as caught:
            await provider.send(sent or message())
    assert "012345" not in str(caught.value)
    return caught.value


MESSAGES_PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
CALLS_PATH = f"/2010-04-01/Accounts/{SID}/Calls.json"
WHATSAPP_PATH = "/v21.0/105954558954427/messages"


def form_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.get_data(as_text=True)).items()}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_twilio_sends_an_sms_in_the_members_language(httpserver: HTTPServer, language: str) -> None:
    httpserver.expect_request(MESSAGES_PATH, method="POST").respond_with_json({"sid": "SM1"}, status=201)
    async with closing(twilio_sms(httpserver)) as provider:
        assert (await provider.send(message(language=language))).reference == "SM1"
    request = httpserver.log[0][0]
    assert request.authorization is not None
    assert (request.authorization.username, request.authorization.password) == (SID, "token")
    form = form_of(request)
    assert form["To"] == "+85251234567"
    assert form["From"] == "+15005550006"
    assert form["ValidityPeriod"] == "290"
    assert form["Body"].startswith("012345 ")
    assert {"en": "sign-in", "zh-Hant": "驗證碼", "zh-Hans": "验证码", "th": "รหัส"}[language] in form["Body"]


async def test_twilio_sends_by_a_messaging_service(httpserver: HTTPServer) -> None:
    httpserver.expect_request(MESSAGES_PATH).respond_with_json({"sid": "SM1"}, status=201)
    service = "MG" + "1" * 32
    async with closing(TwilioSms(SID, "token", service, base_url=httpserver.url_for(""))) as provider:
        await provider.send(message())
    form = form_of(httpserver.log[0][0])
    assert form["MessagingServiceSid"] == service
    assert "From" not in form


@pytest.mark.parametrize(
    ("language", "spoken"), [("en", "en-GB"), ("zh-Hant", "zh-HK"), ("zh-Hans", "zh-CN"), ("th", "th-TH")]
)
async def test_twilio_reads_the_code_slowly_and_twice(
    httpserver: HTTPServer, language: str, spoken: str
) -> None:
    httpserver.expect_request(CALLS_PATH, method="POST").respond_with_json({"sid": "CA1"}, status=201)
    async with closing(
        TwilioVoice(SID, "token", "+15005550006", base_url=httpserver.url_for(""))
    ) as provider:
        assert (await provider.send(message("voice", language))).reference == "CA1"
    twiml = ElementTree.fromstring(form_of(httpserver.log[0][0])["Twiml"])
    assert twiml.tag == "Response"
    assert {say.get("language") for say in twiml.iter("Say")} == {spoken}
    said = [part.text if part.tag == "Say" else "|" for part in twiml]
    digits = "".join(part or "" for part in said if part in set("0123456789|"))
    assert digits == "||0|1|2|3|4|5|" + "|0|1|2|3|4|5|"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 21211, FailureKind.RECIPIENT),
        (400, 21614, FailureKind.RECIPIENT),
        (400, 21610, FailureKind.RECIPIENT),
        (403, 21408, FailureKind.REFUSED),
        (401, 20003, FailureKind.CREDENTIALS),
        (429, 20429, FailureKind.THROTTLED),
        (429, 21611, FailureKind.THROTTLED),
        (500, 20500, FailureKind.TEMPORARY),
        (503, 20503, FailureKind.TEMPORARY),
        (400, 99999, FailureKind.REFUSED),
    ],
)
async def test_twilio_errors_are_understood(
    httpserver: HTTPServer, status: int, code: int, kind: FailureKind
) -> None:
    httpserver.expect_request(MESSAGES_PATH).respond_with_json(
        {"code": code, "message": "...", "more_info": "...", "status": status}, status=status
    )
    assert (await failure_of(twilio_sms(httpserver))).kind is kind


async def test_a_throttling_providers_wish_is_passed_on(httpserver: HTTPServer) -> None:
    httpserver.expect_request(MESSAGES_PATH).respond_with_response(
        Response(json.dumps({"code": 20429}), status=429, headers={"Retry-After": "7"})
    )
    failure = await failure_of(twilio_sms(httpserver))
    assert (failure.kind, failure.retry_after_seconds) == (FailureKind.THROTTLED, 7)


async def test_a_page_that_is_not_the_providers_is_a_temporary_failure(httpserver: HTTPServer) -> None:
    httpserver.expect_request(MESSAGES_PATH).respond_with_data("<html>captive portal</html>", status=200)
    assert (await failure_of(twilio_sms(httpserver))).kind is FailureKind.TEMPORARY
    httpserver.clear()
    httpserver.expect_request(WHATSAPP_PATH).respond_with_json([1, 2], status=200)
    assert (await failure_of(whatsapp(httpserver), message("whatsapp"))).kind is FailureKind.TEMPORARY


async def test_a_provider_that_does_not_answer_is_not_waited_for(httpserver: HTTPServer) -> None:
    import threading

    release = threading.Event()

    def hang(_request: Request) -> Response:
        release.wait(10)
        return Response("{}")

    httpserver.expect_request(MESSAGES_PATH).respond_with_handler(hang)
    try:
        failure = await failure_of(twilio_sms(httpserver, timeout_seconds=0.1))
    finally:
        release.set()
    assert failure.kind is FailureKind.TEMPORARY
    assert "timed out" in str(failure)


async def test_a_provider_that_is_not_there_is_a_temporary_failure() -> None:
    provider = TwilioSms(SID, "token", "+15005550006", base_url="http://127.0.0.1:1", timeout_seconds=2)
    assert (await failure_of(provider)).kind is FailureKind.TEMPORARY


@pytest.mark.parametrize(
    ("language", "code"),
    [("en", "en"), ("zh-Hant", "zh_HK"), ("zh-Hans", "zh_CN"), ("th", "th"), ("xx", "en")],
)
async def test_whatsapp_sends_the_authentication_template(
    httpserver: HTTPServer, language: str, code: str
) -> None:
    httpserver.expect_request(WHATSAPP_PATH, method="POST").respond_with_json(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": "85251234567", "wa_id": "85251234567"}],
            "messages": [{"id": "wamid.HBgL"}],
        }
    )
    async with closing(whatsapp(httpserver)) as provider:
        assert (await provider.send(message("whatsapp", language))).reference == "wamid.HBgL"
    request = httpserver.log[0][0]
    assert request.headers["Authorization"] == "Bearer EAAJB"
    body = request.get_json()
    assert (body["messaging_product"], body["to"], body["type"]) == ("whatsapp", "85251234567", "template")
    template = body["template"]
    assert (template["name"], template["language"]) == ("otp", {"code": code})
    text, button = template["components"]
    assert text == {"type": "body", "parameters": [{"type": "text", "text": "012345"}]}
    assert (button["type"], button["sub_type"], button["index"]) == ("button", "url", "0")
    assert button["parameters"] == [{"type": "text", "text": "012345"}]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, 130429, FailureKind.THROTTLED),
        (400, 80007, FailureKind.THROTTLED),
        (400, 131026, FailureKind.RECIPIENT),
        (401, 190, FailureKind.CREDENTIALS),
        (403, 368, FailureKind.CREDENTIALS),
        (400, 131056, FailureKind.TEMPORARY),
        (500, 131000, FailureKind.TEMPORARY),
        (404, 132001, FailureKind.REFUSED),
        (503, 12345678, FailureKind.TEMPORARY),
    ],
)
async def test_whatsapp_errors_are_understood(
    httpserver: HTTPServer, status: int, code: int, kind: FailureKind
) -> None:
    error = {"message": f"(#{code}) ...", "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    httpserver.expect_request(WHATSAPP_PATH).respond_with_json({"error": error}, status=status)
    failure = await failure_of(whatsapp(httpserver), message("whatsapp"))
    assert failure.kind is kind
    assert str(code) in failure.detail


async def test_the_gateway_posts_what_it_is_told_to(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/send", method="PUT").respond_with_json({"data": {"id": 42}}, status=202)
    provider = HttpGateway(
        httpserver.url_for("/send"),
        method="PUT",
        headers={"Authorization": "Bearer secret"},
        body={
            "to": ["{recipient}"],
            "body": {"text": "{text}", "lang": "{language}"},
            "ttl": 60,
            "x": "{unknown} {{code}}",
        },
        reference_path="data.id",
    )
    async with closing(provider):
        assert (await provider.send(message())).reference == "42"
    request = httpserver.log[0][0]
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["Idempotency-Key"] == str(UUID(int=7))
    body = request.get_json()
    assert body["to"] == ["+85251234567"]
    assert body["body"]["text"].startswith("012345 is your sign-in code")
    assert body["body"]["lang"] == "en"
    assert body["ttl"] == 60
    assert body["x"] == "{unknown} {012345}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureKind.CREDENTIALS),
        (403, FailureKind.CREDENTIALS),
        (404, FailureKind.REFUSED),
        (408, FailureKind.TEMPORARY),
        (422, FailureKind.RECIPIENT),
        (429, FailureKind.THROTTLED),
        (302, FailureKind.REFUSED),
        (502, FailureKind.TEMPORARY),
    ],
)
async def test_the_gateways_status_tells(httpserver: HTTPServer, status: int, kind: FailureKind) -> None:
    httpserver.expect_request("/send").respond_with_data(
        "", status=status, headers={"Location": "http://127.0.0.1:1/"}
    )
    assert (await failure_of(HttpGateway(httpserver.url_for("/send")))).kind is kind


async def test_a_gateway_without_a_reference_is_named_by_the_notice(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/send").respond_with_data("OK")
    async with closing(HttpGateway(httpserver.url_for("/send"))) as provider:
        assert (await provider.send(message())).reference == str(UUID(int=7))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_outbox_keeps_the_words(language: str) -> None:
    assert "012345" in (await Outbox().send(message("voice", language))).reference


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7),
        ("0", 0),
        ("99999999999", 120),
        ("Sun, 22 Nov 2026 04:00:30 GMT", 30),
        ("Sun, 22 Nov 2026 03:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
async def test_retry_after_is_read_in_both_of_its_forms(header: str, expected: float | None) -> None:
    response = httpx.Response(429, headers={"Retry-After": header})
    assert retry_after_seconds(response, datetime(2026, 11, 22, 4, 0, tzinfo=UTC)) == expected
