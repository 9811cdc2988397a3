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
        "zh-Hant": "{code} 是您的登入驗證碼，{minutes} 分鐘內有效。請勿告訴任何人。",
        "zh-Hans": "{code} 是您的登录验证码，{minutes} 分钟内有效。请勿告诉任何人。",
        "th": "{code} คือรหัสเข้าสู่ระบบของคุณ ใช้ได้ภายใน {minutes} นาที โปรดอย่าบอกรหัสนี้แก่ผู้ใด",
    },
    # No code in it: a message is seen by more people than a wallet.
    "vouchers_delivered": {
        "en": "Order {number} is paid. Your vouchers ({quantity}) are in your wallet: {address}",
        "zh-Hant": "訂單 {number} 已付款。您的禮券（{quantity} 張）已放入錢包：{address}",
        "zh-Hans": "订单 {number} 已付款。您的礼券（{quantity} 张）已放入钱包：{address}",
        "th": "ชำระเงินคำสั่งซื้อ {number} แล้ว บัตรกำนัลของคุณ ({quantity} ใบ) อยู่ในกระเป๋าของคุณ: {address}",
    },
    "order_refunded": {
        "en": "Order {number}: nothing was left when your payment arrived. It is being returned in full.",
        "zh-Hant": "訂單 {number}：收到付款時禮券已售罄，你的付款將全數退回。",
        "zh-Hans": "订单 {number}：收到付款时礼券已售罄，您的付款将全额退回。",
        "th": "คำสั่งซื้อ {number}: บัตรกำนัลหมดแล้วเมื่อเราได้รับการชำระเงิน เรากำลังคืนเงินให้คุณเต็มจำนวน",
    },
    "payment_returned": {
        "en": "Order {number}: a payment could not be used for it. It is being returned to you in full.",
        "zh-Hant": "訂單 {number}：有一筆付款未能用於此訂單，款項將全數退回給您。",
        "zh-Hans": "订单 {number}：有一笔付款未能用于此订单，款项将全额退还给您。",
        "th": "คำสั่งซื้อ {number}: มีการชำระเงินรายการหนึ่งที่ใช้กับคำสั่งซื้อนี้ไม่ได้ เรากำลังคืนเงินให้คุณเต็มจำนวน",
    },
}

_SPOKEN: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    # Before the code, before its repetition, and at the end.
    "sign_in_code": {
        "en": ("Hello. Your sign-in code is:", "Once more, your code is:", "Goodbye."),
        "zh-Hant": ("您好，您的登入驗證碼是：", "再說一次，您的驗證碼是：", "再見。"),
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
