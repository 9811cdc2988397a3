"""The page at ``/dev/ui`` that shows every piece in each of its states: for whoever designs, and for screenshots.

Only in demo mode; it reads nothing from the database::

    return render(request, gallery.TEMPLATE, **gallery.gallery_context(page_of(request), now))
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import column

from tearline.core.palette import EDGES
from tearline.web.ui import forms
from tearline.web.ui.lists import ChoiceFilter, Column, DayFilter, ListDefinition, Listing, TextFilter
from tearline.web.ui.page import Page

TEMPLATE = "gallery.html"

SAMPLE_FORM = forms.Form(
    forms.Section(
        "Basics",
        forms.Text("code", "Code", help="Capitals, digits and dashes.", pattern="[A-Z0-9-]+"),
        forms.Choice("currency", "Currency", choices=[("HKD", "HKD"), ("THB", "THB"), ("JPY", "JPY")]),
        forms.Localised("names", "Name"),
        forms.Localised("terms", "Terms", is_long=True, is_required=False, maximum_length=5000),
        note="What the member sees first.",
    ),
    forms.Section(
        "Benefit",
        forms.Choice(
            "kind", "Kind", choices=[("amount", "Amount off"), ("percent", "Percent off")], is_open=True
        ),
        forms.Money("minimum_spend", "Minimum spend", currency_field="currency", is_required=False),
        forms.Percent("share", "Platform's share"),
        forms.Number("days", "Valid for", unit="days", minimum=1, maximum=365),
        forms.DateTime("starts_at", "Starts"),
        forms.Day("last_day", "Last day", is_required=False),
        forms.Choices(
            "weekdays", "Weekdays", choices=[("mon", "Monday"), ("tue", "Tuesday"), ("wed", "Wednesday")]
        ),
        forms.Checkbox("is_combined", "May be combined with other coupons"),
        forms.Upload("picture", "Picture", accept="image/*", is_required=False),
        forms.Text("merchant", "Merchant", is_read_only=True, is_required=False),
    ),
    forms.Section(
        "Prizes",
        forms.Rows(
            "prizes",
            "Prizes",
            fields=[forms.Text("password", "Password"), forms.Number("inventory", "Inventory", minimum=1)],
            maximum_rows=5,
        ),
    ),
)

SAMPLE_LIST = ListDefinition(
    id_column=column("id"),
    columns=[
        Column("name", "Campaign", sort=column("name"), href="/dev/ui?campaign={id}", under="code"),
        Column(
            "state",
            "State",
            kind="tag",
            labels={"live": "Live", "paused": "Paused", "draft": "Draft"},
            tag_kinds={"live": "good", "paused": "warn"},
        ),
        Column("starts_at", "Starts", kind="date_time", sort=column("starts_at")),
        Column("claims", "Claims", kind="number", sort=column("claims")),
        Column("stock", "Stock"),
        Column("spent", "Spent", kind="money", currency="HKD"),
    ],
    filters=[
        TextFilter("q", "Name or code", [column("name")]),
        ChoiceFilter("state", "State", [("live", "Live"), ("paused", "Paused")], column("state")),
        DayFilter("starts", "Starts", column("starts_at")),
    ],
)


def gallery_context(page: Page, now: datetime) -> dict[str, Any]:
    """The values of the gallery's template: sample forms, a sample list, and data for the other pieces."""
    secret = base64.urlsafe_b64encode(bytes(range(20))).decode().rstrip("=")
    return {
        "tickets": _tickets(),
        "edge_names": EDGES,
        "form": SAMPLE_FORM.blank(
            {
                "code": "BOOKS-50",
                "currency": "HKD",
                "names": {"en": "HK$50 off books", "zh-Hant": "書籍減 HK$50", "th": "ลด 50 ดอลลาร์ฮ่องกง"},
                "minimum_spend": 30000,
                "kind": "amount",
                "share": 5000,
                "days": 7,
                "starts_at": now,
                "weekdays": ["mon", "wed"],
                "merchant": "Harbour Books",
                "prizes": [{"password": "WINTER", "inventory": 500}, {"password": "SNOW", "inventory": 20}],
            }
        ),
        "wrong_form": SAMPLE_FORM.parse(
            {
                "code": ["books 50"],
                "minimum_spend": ["12.345"],
                "share": ["140"],
                "prizes-count": ["1"],
                "prizes-0-password": ["WINTER"],
            },
            shown={"merchant": "Harbour Books"},
        ),
        "listing": _listing(page, now),
        "empty_listing": _listing(page, now, is_empty=True),
        "now": now,
        "until": now + timedelta(hours=2, minutes=5),
        "code": "7QF29XKMTB4DHN",
        "secret": secret,
        "hours": [f"{hour:02}:00" for hour in range(12, 21)],
        "claims_by_hour": [9120, 7431, 4208, 3104, 2950, 3301, 4120, 5210, 2342],
        "uses_by_hour": [120, 431, 808, 904, 1250, 1301, 1120, 1210, 842],
    }


def _tickets() -> list[dict[str, Any]]:
    return [
        {"unit": "HK$", "value": "50", "condition": "over HK$300", "title": "Harbour Books", "edge": "teal",
         "lines": ["Any purchase, all 6 stores", "Until 31 Dec"], "href": "/dev/ui"},
        {"value": "20%", "condition": "up to HK$80", "title": "Peak Tram Café", "edge": "purple",
         "lines": ["Mon–Thu, 14:00–18:00", "7 days after you get it"], "tag": "2 days left", "tag_kind": "warn"},
        {"unit": "HK$", "value": "30", "condition": "無門檻", "title": "灣仔小茶館", "edge": "rust",
         "lines": ["全線分店適用"], "tag": "已使用 · 剛剛", "tag_kind": "good", "state": "tearing"},
        {"value": "免運費", "title": "港島書店網店", "edge": "teal", "lines": ["全港送貨", "尚餘 2 日到期"]},
        {"value": "8", "unit_after": "折", "title": "維港咖啡", "edge": "navy", "lines": ["已過期"], "state": "quiet"},
        {"value": "จัดส่งฟรี", "title": "ร้านหนังสือริมอ่าว", "edge": "rose", "lines": ["ทุกสาขาในฮ่องกง ยกเว้นสินค้าลดราคา"]},
        {"value": "Free tote bag", "title": "A merchant with quite a long name on Nathan Road", "edge": "gold",
         "lines": ["With any purchase over HK$1,250.50"], "tag": "Held for an order"},
    ]  # fmt: skip


def _listing(page: Page, now: datetime, *, is_empty: bool = False) -> Listing:
    names = [
        ("Winter in the City", "WINTER-2", "live", 41_786, 84),
        ("Oishi buffet vouchers", "OISHI-JUN", "paused", 9_120, 46),
        ("Welcome pack", "NEW-2026", "draft", 0, 0),
    ]
    rows = [
        SimpleNamespace(
            used_percent=percent,
            _mapping={
                "id": index, "_id": index, "_sort": name, "name": name, "code": code, "state": state,
                "starts_at": now + timedelta(days=index), "claims": claims, "spent": claims * 5050,
            },
        )
        for index, (name, code, state, claims, percent) in enumerate(names)
    ]  # fmt: skip
    return Listing(
        definition=SAMPLE_LIST,
        page=page,
        rows=[] if is_empty else rows,  # type: ignore[arg-type]
        sort_value="name",
        total=0 if is_empty else 12_345,
        has_next=not is_empty,
        has_previous=False,
        export_path="/dev/ui",
        id="empty-list" if is_empty else "list",
    )
