"""The words of what is sent, in all four languages.

They stand here and not in the catalogues: a message must reach a member in the member's language also where
catalogues are not compiled, and carriers and WhatsApp approve each wording by its letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "sign_in_code": {
        # The code comes first: it is what a notification's preview shows.
        "en": "{code} is your sign-in code. It is valid for {minutes} minutes. Do not share it with anyone.",
        "zh-Hant": "{code} 是你的登入驗證碼，{minutes} 分鐘內有效。請勿告訴任何人。",
        "zh-Hans": "{code} 是您的登录验证码，{minutes} 分钟内有效。请勿告诉任何人。",
        "th": "{code} คือรหัสเข้าสู่ระบบของคุณ ใช้ได้ภายใน {minutes} นาที โปรดอย่าบอกรหัสนี้แก่ผู้ใด",
    },
}

_SPOKEN: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    # Before the code, before its repetition, and at the end.
    "sign_in_code": {
        "en": ("Hello. Your sign-in code is:", "Once more, your code is:", "Goodbye."),
        "zh-Hant": ("你好，你的登入驗證碼是：", "再說一次，你的驗證碼是：", "再見。"),
        "zh-Hans": ("您好，您的登录验证码是：", "再说一次，您的验证码是：", "再见。"),
        "th": ("สวัสดี รหัสเข้าสู่ระบบของคุณคือ", "ขอย้ำอีกครั้ง รหัสของคุณคือ", "สวัสดี"),
    },
}

TEMPLATES = frozenset(_TEXTS)


def text(template: str, language: str, values: Mapping[str, Any]) -> str:
    """The written message; an unknown language is answered in English.

    Raises KeyError for an unknown template or a missing value: both are mistakes in our own code.
    """
    wordings = _TEXTS[template]
    return wordings.get(language, wordings["en"]).format_map(values)


def spoken(template: str, language: str) -> tuple[str, str, str]:
    """What a call says before the code, before its repetition, and at the end."""
    wordings = _SPOKEN[template]
    return wordings.get(language, wordings["en"])
