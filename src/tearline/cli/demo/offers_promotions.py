"""Promotions of the demo's shops, which apply to online carts by themselves: nobody has to collect them."""

from __future__ import annotations

from tearline.cli.demo.shapes import OfferSeed, dollars, texts
from tearline.core.offers import AmountOff, PercentOff, Selection

PROMOTIONS: tuple[OfferSeed, ...] = (
    OfferSeed(
        code="HL-EVERY-300",
        merchant="harbourlight",
        art="gift",
        benefit=AmountOff(dollars(30), every=True),
        minimum=300,
        window=(-12, 50),
        excludes=Selection(categories=("gift-cards", "alcohol", "tobacco", "infant-formula")),
        redeem_by=("checkout",),
        is_automatic=True,
        names=texts(
            "Every HK$300 spent, HK$30 off",
            "網店每滿 $300 減 $30",
            "网店每满 300 减 30",
            "ออนไลน์ทุก 300 ดอลลาร์ ลด 30 ดอลลาร์",
        ),
        summaries=texts(
            "In the online store, with nothing to collect and nothing to show.",
            "網店購物自動扣減，毋須領券。",
            "网店购物自动扣减，无需领券。",
            "ลดทันทีในร้านออนไลน์ ไม่ต้องเก็บคูปอง",
        ),
        clauses=("exclusions",),
    ),
    OfferSeed(
        code="QP-LOCAL-10",
        merchant="quiet-pages",
        art="books",
        benefit=PercentOff(1000),
        window=(-12, 50),
        includes=Selection(categories=("local-authors",)),
        redeem_by=("checkout",),
        is_automatic=True,
        names=texts(
            "Local authors, 10% off online",
            "網店本地作家專櫃九折",
            "网店本地作家专柜九折",
            "หนังสือนักเขียนท้องถิ่น ลด 10% เมื่อซื้อออนไลน์",
        ),
        summaries=texts(
            "The shelf by the window, for readers who cannot come by.",
            "窗邊那一架書，為不能親臨的讀者而設。",
            "窗边那一架书，为不能到店的读者而设。",
            "ชั้นหนังสือริมหน้าต่าง สำหรับผู้อ่านที่แวะมาไม่ได้",
        ),
        clauses=("regular-price",),
    ),
)
