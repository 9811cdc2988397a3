"""The demo's members: five thousand people of Hong Kong and its visitors, the same ones every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from tearline.cli.demo.ids import IdMaker
from tearline.cli.demo.shapes import Texts, texts

MEMBER_COUNT = 5_000
DEMO_PHONE = "+85261000001"
"""The first member, for whom the shop is tried out."""

PLANS: dict[str, tuple[Texts, dict[str, Texts]]] = {
    "city-pass": (
        texts("City Pass", "城市通", "城市通", "ซิตีพาส"),
        {
            "blue": texts("Blue", "藍級", "蓝级", "บลู"),
            "silver": texts("Silver", "銀級", "银级", "ซิลเวอร์"),
            "gold": texts("Gold", "金級", "金级", "โกลด์"),
        },
    ),
    "harbour-card": (
        texts("Harbour Card", "海港卡", "海港卡", "ฮาร์เบอร์การ์ด"),
        {
            "classic": texts("Classic", "經典", "经典", "คลาสสิก"),
            "premier": texts("Premier", "尊尚", "尊尚", "พรีเมียร์"),
        },
    ),
}
"""Plans with their tiers, the lowest first."""

GROUPS: dict[str, Texts] = {
    "hotel-guests": texts("Hotel guests", "酒店住客", "酒店住客", "แขกของโรงแรม"),
    "newsletter": texts("Newsletter readers", "電子報讀者", "电子报读者", "ผู้อ่านจดหมายข่าว"),
    "partner-staff": texts("Staff of partners", "夥伴商戶員工", "合作商户员工", "พนักงานของร้านพันธมิตร"),
    "founding-members": texts("Founding members", "創始會員", "创始会员", "สมาชิกรุ่นก่อตั้ง"),
}

TAGS = (
    "family",
    "foodie",
    "night owl",
    "reader",
    "student",
    "tea lover",
    "visitor",
    "walker",
    "wheelchair user",
)


def _words(text: str) -> list[str]:
    return text.split()


_GIVEN_ENGLISH = _words(
    "Kelly Jason Cherry Eric Mandy Wilson Joyce Raymond Carmen Kelvin Fiona Henry Yoyo Alvin Natalie "
    "Gary Winnie Tommy Hazel Marco Phoebe Calvin Rachel Edmond Ivy Samson Queenie Desmond Tracy Felix"
)
_SURNAMES_ROMAN = _words(
    "Chan Wong Lee Lam Cheung Ho Leung Ng Lau Tang Yip Kwok Fung Tsang Chow Mak Poon Siu Yeung Tse"
)
_GIVEN_ROMAN = _words(
    "Wing-yan Ka-ho Tsz-ching Chi-ming Hoi-yi Man-kit Suk-fan Yuk-lin Ho-yin Lok-yiu Kwok-wai "
    "Mei-ling Pui-shan Siu-ming Tin-lok Yan-tung"
)
_SURNAMES_HANT = "陳黃李林張何梁吳劉鄧葉郭馮曾周麥潘蕭楊謝"
_GIVEN_HANT = _words(
    "詠恩 家豪 子晴 志明 海怡 文傑 淑芬 玉蓮 浩然 樂瑤 國偉 美玲 佩珊 小明 天樂 欣彤 嘉欣 俊軒 穎琳 卓謙"
)
_GIVEN_TAIWAN = _words("怡君 雅婷 宗翰 家瑋 佳穎 冠宇 筱涵 承恩 淑惠 柏翰 郁婷 彥廷")
_SURNAMES_HANS = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN_HANS = _words("晓敏 伟 芳 静 磊 思远 雨桐 浩宇 梓涵 欣怡 建国 丽娜 俊杰 晨曦 一凡 若琳 志强 梦洁")
_GIVEN_THAI = _words(
    "สมชาย สุดา ณัฐพล พิมพ์ชนก ธนกร กนกวรรณ วรพล อรอนงค์ ปกรณ์ ชลธิชา ภาณุพงศ์ มาลี กิตติพงษ์ ศิริพร อนุชา ปวีณา"
)
_SURNAMES_THAI = _words(
    "ใจดี ศรีสุข ทองคำ แสงจันทร์ บุญมี วงศ์สวัสดิ์ รุ่งเรือง พูลสวัสดิ์ จันทร์เพ็ญ สายทอง มั่นคง อ่อนหวาน ชัยวัฒน์ เพชรรัตน์"
)

# Prefixes of mobile numbers whose whole range is in use, and the digits that follow.
_PHONE_PREFIXES: dict[str, tuple[tuple[str, ...], int]] = {
    "hong-kong": (("+85261", "+85263", "+85264", "+85265", "+85269", "+85294", "+85296"), 6),
    "mainland": (("+86131", "+86138", "+86139", "+86150", "+86158", "+86186", "+86188"), 8),
    "thailand": (("+6681", "+6686", "+6689", "+6691", "+6695", "+6698"), 7),
    "taiwan": (("+886910", "+886912", "+886928", "+886933", "+886955", "+886972", "+886988"), 6),
}
_HOMES = ("hong-kong", "mainland", "thailand", "taiwan")
_HOME_WEIGHTS = (78, 9, 8, 5)


@dataclass(frozen=True, slots=True)
class Person:
    """One member, with the columns of its row."""

    id: UUID
    phone: str
    name: str | None
    language: str
    plan: str | None
    tier: str | None
    groups: list[str]
    tags: list[str]
    state: str
    created_at: datetime


def make_people(random: Random, now: datetime, new_id: IdMaker) -> list[Person]:
    """All members, those who joined first at the beginning."""
    joined = sorted(
        now - timedelta(days=7) - timedelta(days=400 * random.random()) for _ in range(MEMBER_COUNT)
    )
    phones = {DEMO_PHONE}
    return [_person(random, position, phones, at, new_id) for position, at in enumerate(joined)]


def _person(random: Random, position: int, phones: set[str], joined_at: datetime, new_id: IdMaker) -> Person:
    if position == 0:
        return Person(
            new_id(joined_at), DEMO_PHONE, "Kelly Chan", "en", "city-pass", "gold", ["founding-members"],
            ["foodie", "reader"], "active", joined_at,
        )  # fmt: skip
    home = random.choices(_HOMES, _HOME_WEIGHTS)[0]
    plan, tier = _plan(random)
    tags = random.sample(TAGS, random.choices((0, 1, 2, 3), (35, 35, 20, 10))[0])
    if home != "hong-kong" and random.random() < 0.7:
        tags = [*tags, "visitor"]
    return Person(
        id=new_id(joined_at),
        phone=_phone(random, home, phones),
        name=_name(random, home) if random.random() < 0.72 else None,
        language=_language(random, home),
        plan=plan,
        tier=tier,
        groups=sorted(group for group, share in _GROUP_SHARES if random.random() < share),
        tags=sorted(set(tags)),
        state="blocked" if random.random() < 0.002 else "active",
        created_at=joined_at,
    )


_GROUP_SHARES = (
    ("hotel-guests", 0.06),
    ("newsletter", 0.35),
    ("partner-staff", 0.02),
    ("founding-members", 0.04),
)


def _plan(random: Random) -> tuple[str | None, str | None]:
    plan = random.choices((None, "city-pass", "harbour-card"), (30, 50, 20))[0]
    if plan is None:
        return None, None
    if plan == "city-pass":
        return plan, random.choices(("blue", "silver", "gold"), (70, 22, 8))[0]
    return plan, random.choices(("classic", "premier"), (80, 20))[0]


def _phone(random: Random, home: str, taken: set[str]) -> str:
    prefixes, digits = _PHONE_PREFIXES[home]
    while True:
        phone = random.choice(prefixes) + f"{random.randrange(10**digits):0{digits}}"
        if phone not in taken:
            taken.add(phone)
            return phone


def _name(random: Random, home: str) -> str:
    def pick(words: Sequence[str]) -> str:
        return random.choice(words)

    if home == "mainland":
        return pick(_SURNAMES_HANS) + pick(_GIVEN_HANS)
    if home == "taiwan":
        return pick(_SURNAMES_HANT) + pick(_GIVEN_TAIWAN)
    if home == "thailand":
        return f"{pick(_GIVEN_THAI)} {pick(_SURNAMES_THAI)}"
    style = random.random()
    if style < 0.35:
        return f"{pick(_GIVEN_ENGLISH)} {pick(_SURNAMES_ROMAN)}"
    if style < 0.55:
        return f"{pick(_SURNAMES_ROMAN)} {pick(_GIVEN_ROMAN)}"
    return pick(_SURNAMES_HANT) + pick(_GIVEN_HANT)


def _language(random: Random, home: str) -> str:
    usual = {"hong-kong": "zh-Hant", "taiwan": "zh-Hant", "mainland": "zh-Hans", "thailand": "th"}[home]
    return usual if random.random() < 0.75 else "en"
