"""Passes for other sites: what is one, what is none, and the keys that they are verified with."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pytest_httpserver import HTTPServer

from tearline.gateway import InvalidPass, PassVerifier
from tearline.waitingroom.site_passes import SitePasses
from tests.sites import (
    CODE,
    HELD,
    ISSUER,
    NOW,
    PASSES,
    SECRET,
    SITE,
    STRANGER,
    made,
    part,
    reason_of,
    text,
    token_of,
    verifier,
)

pytestmark = pytest.mark.anyio


async def test_a_pass_is_verified_with_the_published_key() -> None:
    token = token_of()
    found = verifier().verify(token)
    assert (found.room, found.expires_at) == (CODE, int(HELD.expires_at.timestamp()))
    assert part(token, 0)["alg"] == "EdDSA"
    assert set(part(token, 1)) == {"iss", "aud", "room", "jti", "iat", "exp"}


async def test_a_place_keeps_its_name_and_shares_it_with_none() -> None:
    later = PASSES.signed(HELD, CODE, SITE, NOW + timedelta(minutes=3))
    assert (
        verifier(clock=(NOW + timedelta(minutes=3)).timestamp).verify(later).id
        == verifier().verify(token_of()).id
    )
    others = [
        HELD,
        replace(HELD, place=13),
        replace(HELD, place=-12),
        replace(HELD, round=2),
        replace(HELD, room_id=UUID(int=8)),
    ]
    assert len({verifier().verify(token_of(other)).id for other in others}) == len(others)


async def test_all_keys_are_published_and_the_first_signs() -> None:
    old, new = SECRET.encode(), b"another-secret-of-forty-characters-yyyyy"
    rotated = SitePasses([new, old], ISSUER)
    keys = json.loads(rotated.document)
    assert len(keys["keys"]) == 2
    assert part(token_of(passes=rotated), 0)["kid"] == keys["keys"][0]["kid"]
    assert verifier(keys).verify(token_of()).id, "what the old one signed is still good"
    assert verifier(keys).verify(token_of(passes=rotated)).id
    assert reason_of(token_of(passes=rotated)) == "unknown_key"
    for key in keys["keys"]:
        public = {name: key[name] for name in ("crv", "kty", "x")}
        thumbprint = hashlib.sha256(json.dumps(public, separators=(",", ":")).encode()).digest()
        assert key["kid"] == text(thumbprint), "RFC 7638"
        assert (key["use"], key["alg"]) == ("sig", "EdDSA")
        assert "d" not in key
    assert SECRET not in rotated.document.decode()


async def test_no_key_is_too_short() -> None:
    for keys in ([], [b"short"]):
        with pytest.raises(ValueError, match="32 bytes"):
            SitePasses(keys, ISSUER)


PUBLIC_KEY = urlsafe_b64decode(json.loads(PASSES.document)["keys"][0]["x"] + "=")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(made(STRANGER.sign), "wrong_signature", id="forged"),
        pytest.param(made(STRANGER.sign, {"kid": "mine"}), "unknown_key", id="own key"),
        pytest.param(made(STRANGER.sign, {"kid": None}), "unknown_key", id="no key"),
        pytest.param(made(STRANGER.sign, {"kid": ["a"]}), "unknown_key", id="odd key"),
        pytest.param(
            made(
                STRANGER.sign,
                {
                    "jwk": {
                        "kty": "OKP",
                        "crv": "Ed25519",
                        "x": text(STRANGER.public_key().public_bytes_raw()),
                    }
                },
            ),
            "wrong_signature",
            id="key in the header",
        ),
        pytest.param(made(lambda _: b"", {"alg": "none"}), "wrong_algorithm", id="alg none"),
        pytest.param(made(lambda _: b"", {"alg": "NONE"}), "wrong_algorithm", id="alg NONE"),
        pytest.param(
            made(lambda signed: hmac.digest(PUBLIC_KEY, signed, "sha256"), {"alg": "HS256"}),
            "wrong_algorithm",
            id="public key as HMAC secret",
        ),
        pytest.param(
            made(lambda signed: hmac.digest(PUBLIC_KEY, signed, "sha256")),
            "wrong_signature",
            id="HMAC as EdDSA",
        ),
        pytest.param(made(STRANGER.sign, {"crit": ["b64"], "b64": False}), "wrong_algorithm", id="crit"),
        pytest.param(made(lambda _: b""), "wrong_signature", id="no signature"),
        pytest.param(token_of() + "=", "malformed", id="padded"),
        pytest.param(token_of() + " ", "malformed", id="space"),
        pytest.param(token_of().rpartition(".")[0], "malformed", id="two parts"),
        pytest.param(token_of() + ".x", "malformed", id="four parts"),
        pytest.param("..", "malformed", id="empty parts"),
        pytest.param("", "malformed", id="empty"),
        pytest.param("W10.W10.", "malformed", id="lists"),
        pytest.param("\u00e9.\u00e9.\u00e9", "malformed", id="not ASCII"),
        pytest.param(text(b'{"alg":' + b"[" * 500) + ".e30.", "malformed", id="deep"),
        pytest.param(token_of() + "x" * 2048, "too_large", id="too large"),
        pytest.param(token_of(room="OTHER"), "wrong_room", id="another room's"),
        pytest.param(token_of(site="http://other.example"), "wrong_audience", id="another site's"),
        pytest.param(
            token_of(passes=SitePasses([SECRET.encode()], "http://elsewhere.example")),
            "wrong_issuer",
            id="issuer",
        ),
    ],
)
async def test_what_is_no_pass_of_this_room_and_site_is_refused(token: str, reason: str) -> None:
    assert reason_of(token) == reason


async def test_no_altered_pass_is_accepted() -> None:
    token = token_of()
    for position in range(len(token)):
        for other in "Aw_.":
            if token[position] != other:
                with pytest.raises(InvalidPass):
                    verifier().verify(token[:position] + other + token[position + 1 :])


async def test_claims_of_odd_kinds_are_refused_even_when_signed() -> None:
    mine = {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": text(STRANGER.public_key().public_bytes_raw())}
        ]
    }
    fine = made(STRANGER.sign, {"kid": "k"})
    assert verifier(mine).verify(fine).id
    for claims in (
        {"exp": None}, {"exp": "9999999999"}, {"exp": True}, {"iat": None}, {"iat": 1.5}, {"jti": ""}, {"jti": 7},
    ):  # fmt: skip
        assert reason_of(made(STRANGER.sign, {"kid": "k"}, claims), keys=mine) == "malformed"
    assert reason_of(made(STRANGER.sign, {"kid": "k"}, {"aud": [SITE]}), keys=mine) == "wrong_audience"


async def test_its_time() -> None:
    token, ends = token_of(), HELD.expires_at.timestamp()
    assert verifier(clock=lambda: ends + 4.9).verify(token)
    assert reason_of(token, clock=lambda: ends + 5) == "expired"
    assert reason_of(token, clock=lambda: ends, leeway_seconds=0) == "expired"
    assert verifier(clock=lambda: NOW.timestamp() - 5).verify(token)
    assert reason_of(token, clock=lambda: NOW.timestamp() - 5.1) == "not_valid_yet"


# The keys


async def test_keys_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(PASSES.document)
    assert verifier(file).verify(token_of())
    assert verifier(str(file)).verify(token_of())


async def test_without_a_usable_key_there_is_no_verifier() -> None:
    key = json.loads(PASSES.document)["keys"][0]
    for document in (
        {"keys": []}, {"keys": [{"kty": "RSA", "kid": "r"}]}, {"keys": [{**key, "use": "enc"}]}, {}, {"keys": "x"},
        {"keys": [{**key, "x": "AAAA"}]},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            PassVerifier(document, issuer=ISSUER, audience=SITE, room=CODE)


async def test_keys_that_are_asked_for(httpserver: HTTPServer) -> None:
    new = SitePasses([b"another-secret-of-forty-characters-yyyyy"], ISSUER)
    httpserver.expect_ordered_request("/keys").respond_with_data(PASSES.document)
    httpserver.expect_ordered_request("/keys").respond_with_data("<html>", status=503)
    httpserver.expect_ordered_request("/keys").respond_with_data(b'{"keys": []}')
    httpserver.expect_ordered_request("/keys").respond_with_data(new.document)
    verifier = PassVerifier.from_url(
        httpserver.url_for("/keys"), issuer=ISSUER, audience=SITE, room=CODE, shortest_interval_seconds=0
    )
    for _ in range(3):
        assert verifier.verify(token_of())
    assert len(httpserver.log) == 1, "a known key is never asked for"
    for _ in range(2):
        with pytest.raises(InvalidPass, match="unknown_key"):
            verifier.verify(token_of(passes=new))
        assert verifier.verify(token_of()), "what is known stands while the keys can't be had"
    assert verifier.verify(token_of(passes=new))
    with pytest.raises(InvalidPass, match="unknown_key"):
        verifier._shortest_interval_seconds = 60
        verifier.verify(token_of())
    assert len(httpserver.log) == 4, "strangers' keys make nobody ask again and again"


async def test_without_any_key_nobody_is_let_in_until_there_is_one(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/keys").respond_with_data("", status=503)
    verifier = PassVerifier.from_url(httpserver.url_for("/keys"), issuer=ISSUER, audience=SITE, room=CODE)
    with pytest.raises(InvalidPass, match="keys_unavailable"):
        verifier.verify(token_of())
    with pytest.raises(ValueError, match="http"):
        PassVerifier.from_url("file:///keys.json", issuer=ISSUER, audience=SITE, room=CODE)


async def test_keys_that_are_old_are_asked_for_again() -> None:
    asked: list[int] = []

    def refresh() -> Any:
        asked.append(1)
        return json.loads(PASSES.document)

    old = verifier(refresh=refresh, longest_age_seconds=0, shortest_interval_seconds=0)
    old.verify(token_of())
    assert asked
    asked.clear()
    verifier(refresh=refresh).verify(token_of())
    assert not asked
