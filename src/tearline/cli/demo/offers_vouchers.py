"""Offers of the demo that are sold, not given out."""

from __future__ import annotations

from tearline.cli.demo.shapes import OfferSeed, dollars, texts
from tearline.core.offers import AmountOff

VOUCHERS: tuple[OfferSeed, ...] = (
    OfferSeed(
        code="KK-500",
        merchant="khlong-kitchen",
        art="lantern",
        benefit=AmountOff(dollars(500)),
        window=(0, 60),
        names=texts(
            "HK$500 dining voucher", "$500 餐飲禮券", "500 港元餐饮礼券", "บัตรกำนัลมื้ออาหาร 500 ดอลลาร์"
        ),
        summaries=texts(
            "Curry, noodles and cold beer at any of our three kitchens.",
            "三間分店通用，咖喱、船粉、冰凍啤酒，任您選擇。",
            "三家分店通用，咖喱、船面、冰镇啤酒，任您选择。",
            "แกง ก๋วยเตี๋ยว และเบียร์เย็น ๆ ใช้ได้ทั้งสามสาขา",
        ),
        clauses=("dine-in", "no-combine"),
    ),
)
