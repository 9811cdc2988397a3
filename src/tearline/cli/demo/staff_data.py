"""The demo's staff. Their one password is known to everyone, so they exist in demos only."""

from __future__ import annotations

DEMO_PASSWORD = "harbour-lights"  # noqa: S105

OPERATOR_STAFF: tuple[tuple[str, str, str, str], ...] = (
    ("owner@tearline.example", "Vivian Ho", "owner", "en"),
    ("editor@tearline.example", "梁俊軒", "editor", "zh-Hant"),
    ("finance@tearline.example", "Somchai Rattana", "finance", "th"),
    ("auditor@tearline.example", "周晓敏", "auditor", "zh-Hans"),
)
"""Address, name, role and language of the operator's staff."""

COUNTER_STAFF: dict[str, tuple[tuple[str, str, str], ...]] = {
    "harbourlight": (("manager", "Grace Leung", "en"), ("cashier", "黃子晴", "zh-Hant")),
    "quiet-pages": (("manager", "Daniel Fok", "en"), ("cashier", "何穎琳", "zh-Hant")),
    "cloudpick": (("manager", "陸茂生", "zh-Hant"), ("cashier", "林若琳", "zh-Hans")),
    "potted-afternoon": (("manager", "Mok Yuen-ting", "en"),),
    "basket-lane": (("manager", "Ken Tsui", "en"), ("cashier", "陳美玲", "zh-Hant")),
    "old-ferry": (("manager", "馮志明", "zh-Hant"), ("cashier", "Siu Lok-yiu", "en")),
    "third-tram": (("manager", "Natalie Yip", "en"), ("cashier", "Felix Lau", "en")),
    "pineapple-moon": (("manager", "鄧淑芬", "zh-Hant"), ("cashier", "吳嘉欣", "zh-Hant")),
    "khlong-kitchen": (("manager", "มาลี ศรีสุข", "th"), ("cashier", "ปวีณา ใจดี", "th")),
    "skylark-bay": (("manager", "Raymond Kwok", "en"), ("cashier", "蕭浩然", "zh-Hant")),
    "red-sail": (("manager", "Ho Chi-ming", "en"), ("cashier", "Ivy Poon", "en")),
    "sign-museum": (("manager", "楊文傑", "zh-Hant"),),
    "slow-tram": (("manager", "Edmond Tse", "en"),),
    "still-water": (("manager", "อรอนงค์ ทองคำ", "th"), ("cashier", "麥佩珊", "zh-Hant")),
    "needle-star": (("manager", "Sunil Tan", "en"),),
}
"""Role, name and language of each merchant's staff, who sign in as ``ROLE@MERCHANT.example``."""
