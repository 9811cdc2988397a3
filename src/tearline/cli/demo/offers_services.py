"""Offers of the demo's services, and the platform's own, which several merchants take."""

from __future__ import annotations

from tearline.cli.demo.shapes import MONDAY_TO_THURSDAY, OfferSeed, dollars, from_to, texts
from tearline.core.offers import AmountOff, CartRules, FixedPrice, FreeShipping, Gift, PercentOff

SERVICES: tuple[OfferSeed, ...] = (
    OfferSeed(
        code="SW-FOOT",
        merchant="still-water",
        art="spa",
        benefit=FixedPrice(dollars(168), "foot-bath-45"),
        days=30,
        weekdays=MONDAY_TO_THURSDAY,
        platform_percent=30,
        per_member=2,
        names=texts(
            "Herbal foot bath for HK$168", "$168 草本足浴", "168 港元草本足浴", "แช่เท้าสมุนไพร 168 ดอลลาร์"
        ),
        summaries=texts(
            "Forty-five minutes for feet that walked all of Mong Kok.",
            "行勻旺角之後，四十五分鐘好好休息。",
            "逛遍旺角之后，四十五分钟好好歇脚。",
            "สี่สิบห้านาทีสำหรับเท้าที่เดินมาทั่วมงก๊ก",
        ),
        clauses=("book", "late", "one-per-guest", "holidays"),
    ),
    OfferSeed(
        code="SW-THAI",
        merchant="still-water",
        art="spa",
        benefit=AmountOff(dollars(150)),
        minimum=680,
        days=45,
        platform_percent=50,
        per_member=1,
        names=texts("HK$150 off a Thai massage", "泰式按摩減 $150", "泰式按摩减 150", "นวดไทย ลด 150 ดอลลาร์"),
        summaries=texts(
            "Ninety minutes with therapists trained at a temple school.",
            "九十分鐘，由泰國寺院學校受訓的按摩師主理。",
            "九十分钟，由泰国寺院学校受训的按摩师主理。",
            "เก้าสิบนาทีกับหมอนวดที่เรียนมาจากโรงเรียนวัด",
        ),
        clauses=("book", "late", "no-combine"),
    ),
    OfferSeed(
        code="SW-PAIR",
        merchant="still-water",
        art="spa",
        benefit=PercentOff(1800, cap=dollars(300)),
        minimum=1_000,
        days=30,
        hours=from_to(10, 16),
        stores=("SWS-TST",),
        names=texts("A room for two, 18% off", "雙人房八二折", "双人房八二折", "ห้องคู่ ลด 18%"),
        summaries=texts(
            "Side by side and not a word.",
            "並排而臥，一言不發。",
            "并排而卧，一言不发。",
            "นอนเคียงข้างกัน ไม่ต้องพูดอะไรเลย",
        ),
        clauses=("book", "late", "one-per-bill"),
    ),
    OfferSeed(
        code="NS-HEM",
        merchant="needle-star",
        art="thread",
        benefit=FixedPrice(dollars(50), "hem-trousers", units=2),
        days=60,
        per_member=2,
        names=texts("Trousers hemmed for HK$50", "$50 改褲腳", "50 港元改裤脚", "ตัดขากางเกง 50 ดอลลาร์"),
        summaries=texts(
            "Bring them before noon, wear them tomorrow.",
            "中午前交來，明日有得着。",
            "中午前送来，明天就能穿。",
            "ส่งก่อนเที่ยง พรุ่งนี้ใส่ได้เลย",
        ),
        clauses=("one-per-guest", "before-paying"),
    ),
    OfferSeed(
        code="NS-SHIRTS",
        merchant="needle-star",
        art="thread",
        benefit=AmountOff(dollars(200), every=True, times=2),
        minimum=1_500,
        days=60,
        platform_percent=20,
        names=texts(
            "HK$200 off made-to-measure shirts",
            "訂製恤衫每 $1,500 減 $200",
            "定制衬衫每满 1500 减 200",
            "เชิ้ตสั่งตัด ลด 200 ดอลลาร์",
        ),
        summaries=texts(
            "Off every 1,500, up to twice; collars argued over free of charge.",
            "每滿 $1,500 減 $200，最多兩次；領型任傾。",
            "每满 1500 减 200，最多两次；领型随便聊。",
            "ทุก 1,500 ลด 200 สูงสุดสองครั้ง ปรึกษาทรงปกได้ไม่คิดเงิน",
        ),
        clauses=("book", "no-combine", "final"),
    ),
    OfferSeed(
        code="NS-BUTTON",
        merchant="needle-star",
        art="thread",
        benefit=Gift(
            texts("Any lost button replaced", "補鈕一粒", "补扣一粒", "ติดกระดุมที่หายให้ 1 เม็ด"), product="button"
        ),
        days=90,
        platform_percent=100,
        names=texts("A button sewn on, free", "免費釘鈕", "免费钉扣", "ติดกระดุมฟรี"),
        summaries=texts(
            "From a drawer of eleven thousand, one will match.",
            "一萬一千粒鈕之中，總有一粒啱。",
            "一万一千粒扣子里，总有一粒合适。",
            "ในลิ้นชักหนึ่งหมื่นหนึ่งพันเม็ด ต้องมีสักเม็ดที่เข้ากัน",
        ),
        clauses=("one-per-guest",),
    ),
)

_DINING = ("basket-lane", "old-ferry", "third-tram", "pineapple-moon", "khlong-kitchen")
_SHOPS = ("harbourlight", "quiet-pages", "cloudpick", "potted-afternoon")
_SIGHTS = ("skylark-bay", "red-sail", "sign-museum", "slow-tram")

PLATFORM: tuple[OfferSeed, ...] = (
    OfferSeed(
        code="CITY-EAT30",
        merchant=None,
        art="lantern",
        benefit=AmountOff(dollars(30)),
        minimum=150,
        days=7,
        platform_percent=100,
        per_member=5,
        merchants=_DINING,
        names=texts(
            "HK$30 off, eat anywhere",
            "美食通用 $30 優惠券",
            "美食通用 30 港元券",
            "คูปองอาหาร 30 ดอลลาร์ ใช้ได้ทุกร้าน",
        ),
        summaries=texts(
            "At five restaurants and cafés of the festival.",
            "五間參與食肆及咖啡店通用。",
            "五家参与餐厅及咖啡店通用。",
            "ใช้ได้ที่ร้านอาหารและคาเฟ่ห้าแบรนด์ที่ร่วมรายการ",
        ),
        clauses=("one-per-bill", "no-combine", "own-use"),
    ),
    OfferSeed(
        code="CITY-SHOP12",
        merchant=None,
        art="gift",
        benefit=PercentOff(1200, cap=dollars(100)),
        minimum=250,
        days=14,
        platform_percent=70,
        merchants=_SHOPS,
        names=texts("12% off festival shopping", "節日購物八八折", "节日购物八八折", "ช้อปรับเทศกาล ลด 12%"),
        summaries=texts(
            "One coupon, four kinds of shop.",
            "一張券，四類店舖任用。",
            "一张券，四类店铺任用。",
            "คูปองเดียว ใช้ได้สี่ร้าน",
        ),
        clauses=("one-per-bill", "exclusions", "no-combine"),
    ),
    OfferSeed(
        code="CITY-SEE60",
        merchant=None,
        art="harbour",
        benefit=AmountOff(dollars(60)),
        minimum=200,
        days=30,
        platform_percent=100,
        issue_limit=10_000,
        per_member=2,
        merchants=_SIGHTS,
        names=texts("HK$60 off a day out", "景點通用 $60 優惠券", "景点通用 60 港元券", "คูปองเที่ยว 60 ดอลลาร์"),
        summaries=texts(
            "Park, junk, museum or tram: you choose on the day.",
            "樂園、帆船、展館、電車，當日先揀都得。",
            "乐园、帆船、展馆、电车，当天再选也行。",
            "สวนสนุก เรือสำเภา พิพิธภัณฑ์ หรือรถราง เลือกวันนั้นได้เลย",
        ),
        clauses=("one-per-guest", "typhoon", "own-use"),
    ),
    OfferSeed(
        code="CITY-SHIP",
        merchant=None,
        art="gift",
        benefit=FreeShipping(cap=dollars(50)),
        days=21,
        platform_percent=100,
        redeem_by=("till", "checkout"),
        merchants=("harbourlight", "quiet-pages", "cloudpick"),
        cart_rules=CartRules(stacking_group="shipping"),
        names=texts("Free delivery on us", "平台免運費券", "平台免运费券", "ส่งฟรี เราออกให้"),
        summaries=texts(
            "Works together with a shop's own coupon.",
            "可與商戶優惠券一併使用。",
            "可与商户优惠券一起使用。",
            "ใช้คู่กับคูปองของร้านค้าได้",
        ),
        clauses=("delivery", "own-use"),
    ),
)
