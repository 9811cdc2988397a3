"""The rotating QR code: the phone and the counter say the same, and nothing else passes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.rotating import code_of, payload, verify

CODE = "7QF29XKMTB4DHN"
SECRET = bytes(range(20))
NOW = datetime(2026, 11, 22, 12, 0, 15, tzinfo=UTC)

# Code, secret, milliseconds since 1970, and the text. The browser's module is held to the same.
VECTORS = [
    (CODE, SECRET, 1_795_348_815_000, "TL1.7QF29XKMTB4DHN.zmoo0.KQ6GBX3C82"),
    ("00000000000000", b"\xff" * 32, 0, "TL1.00000000000000.0.WH8RZF9DDJ"),
    ("ZZZZZZZZZZZZZZ", b"k", 4_102_444_799_999, "TL1.ZZZZZZZZZZZZZZ.29ezjz.K687TWJ7K9"),
]


@pytest.mark.parametrize(("code", "secret", "milliseconds", "text"), VECTORS)
def test_vectors(code: str, secret: bytes, milliseconds: int, text: str) -> None:
    now = datetime.fromtimestamp(milliseconds / 1000, UTC)
    assert payload(code, secret, now) == text
    assert verify(text, secret, now)
    assert code_of(text) == code


def test_mac_is_rfc_4648_base32_in_crockfords_letters() -> None:
    _prefix, code, step, mac = payload(CODE, SECRET, NOW).split(".")
    digest = hmac.new(SECRET, f"{code}.{step}".encode(), hashlib.sha256).digest()
    table = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert base64.b32encode(digest).decode()[:10].translate(table) == mac


def test_the_browser_says_the_same() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine; the browser tests scan the real picture")
    # Imported when needed: the built file is made from frontend/ by `make assets`.
    from tearline.web.ui.assets import STATIC_DIRECTORY, manifest

    module = (STATIC_DIRECTORY / manifest()["rotating-qr.js"]).as_uri()
    script = (
        f"import {{ payload, bytesOfBase64Url }} from {json.dumps(module)};"
        "const vectors = JSON.parse(process.argv[1]);"
        "console.log(JSON.stringify(vectors.map(([code, secret, at]) => payload(code, bytesOfBase64Url(secret), at))))"
    )
    secrets = [base64.urlsafe_b64encode(secret).decode().rstrip("=") for _code, secret, _at, _text in VECTORS]
    vectors = [[code, secret, at] for (code, _s, at, _t), secret in zip(VECTORS, secrets, strict=True)]
    ran = subprocess.run(
        [node, "--input-type=module", "-e", script, json.dumps(vectors)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [text for *_inputs, text in VECTORS]


def test_a_screenshot_is_worthless_a_minute_later() -> None:
    text = payload(CODE, SECRET, NOW)
    assert verify(text, SECRET, NOW + timedelta(seconds=30))
    assert verify(text, SECRET, NOW - timedelta(seconds=30))
    assert not verify(text, SECRET, NOW + timedelta(seconds=60))
    assert not verify(text, SECRET, NOW - timedelta(seconds=60))
    assert verify(text, SECRET, NOW + timedelta(seconds=60), tolerance_steps=2)


def test_another_coupons_secret_does_not_pass() -> None:
    assert not verify(payload(CODE, SECRET, NOW), SECRET + b"x", NOW)


@given(position=st.integers(0, 29), letter=st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZabcxyz.-"))
def test_no_changed_letter_passes(position: int, letter: str) -> None:
    text = payload(CODE, SECRET, NOW)
    changed = text[:position] + letter + text[position + 1 :]
    # The step may be written in one way only, so that nothing but the very text passes.
    assert verify(changed, SECRET, NOW) == (changed == text)


@given(st.text())
def test_whatever_a_camera_reads_is_answered(text: str) -> None:
    assert not verify(text, SECRET, NOW)
    assert code_of(text) is None


@pytest.mark.parametrize(
    "text", ["TL1.A.1.0000000000\n.", "TL1.7QF29XKMTB4DHN.zmoo0", "TL1..0.0000000000", "tl1.A.0.0000000000"]
)
def test_other_shapes_are_not_ours(text: str) -> None:
    assert code_of(text) is None
