"""Districts and streets of Hong Kong in four languages, and addresses of invented numbers."""

from __future__ import annotations

from tearline.cli.demo.shapes import StoreSeed, Texts, texts

DISTRICTS: dict[str, Texts] = {
    "central": texts("Central", "中環", "中环", "เซ็นทรัล"),
    "sheung-wan": texts("Sheung Wan", "上環", "上环", "เซิงหว่าน"),
    "kennedy-town": texts("Kennedy Town", "堅尼地城", "坚尼地城", "เคนเนดีทาวน์"),
    "admiralty": texts("Admiralty", "金鐘", "金钟", "แอดมิรัลตี"),
    "wan-chai": texts("Wan Chai", "灣仔", "湾仔", "หว่านไจ๋"),
    "causeway-bay": texts("Causeway Bay", "銅鑼灣", "铜锣湾", "คอสเวย์เบย์"),
    "north-point": texts("North Point", "北角", "北角", "นอร์ทพอยต์"),
    "quarry-bay": texts("Quarry Bay", "鰂魚涌", "鲗鱼涌", "ควอร์รีเบย์"),
    "aberdeen": texts("Aberdeen", "香港仔", "香港仔", "อเบอร์ดีน"),
    "stanley": texts("Stanley", "赤柱", "赤柱", "สแตนลีย์"),
    "tsim-sha-tsui": texts("Tsim Sha Tsui", "尖沙咀", "尖沙咀", "จิมซาจุ่ย"),
    "jordan": texts("Jordan", "佐敦", "佐敦", "จอร์แดน"),
    "yau-ma-tei": texts("Yau Ma Tei", "油麻地", "油麻地", "เหยาหม่าเต๋"),
    "mong-kok": texts("Mong Kok", "旺角", "旺角", "มงก๊ก"),
    "sham-shui-po": texts("Sham Shui Po", "深水埗", "深水埗", "ซัมซุยโป"),
    "kowloon-city": texts("Kowloon City", "九龍城", "九龙城", "เกาลูนซิตี"),
    "hung-hom": texts("Hung Hom", "紅磡", "红磡", "ฮุงฮอม"),
    "kwun-tong": texts("Kwun Tong", "觀塘", "观塘", "กวุนตง"),
    "tsuen-wan": texts("Tsuen Wan", "荃灣", "荃湾", "ซุนวาน"),
    "sha-tin": texts("Sha Tin", "沙田", "沙田", "ซาทิน"),
    "tai-po": texts("Tai Po", "大埔", "大埔", "ไทโป"),
    "yuen-long": texts("Yuen Long", "元朗", "元朗", "หยวนหลง"),
    "tuen-mun": texts("Tuen Mun", "屯門", "屯门", "ถุนหมุน"),
    "sai-kung": texts("Sai Kung", "西貢", "西贡", "ไซกง"),
    "tung-chung": texts("Tung Chung", "東涌", "东涌", "ตุงชุง"),
}

STREETS: dict[str, Texts] = {
    "des-voeux": texts("Des Voeux Road Central", "德輔道中", "德辅道中", "ถนนเดส์วูซ์เซ็นทรัล"),
    "queens-central": texts("Queen's Road Central", "皇后大道中", "皇后大道中", "ถนนควีนส์เซ็นทรัล"),
    "hollywood": texts("Hollywood Road", "荷李活道", "荷李活道", "ถนนฮอลลีวูด"),
    "catchick": texts("Catchick Street", "吉席街", "吉席街", "ถนนแคตชิก"),
    "queensway": texts("Queensway", "金鐘道", "金钟道", "ถนนควีนส์เวย์"),
    "lockhart": texts("Lockhart Road", "駱克道", "骆克道", "ถนนล็อกฮาร์ต"),
    "johnston": texts("Johnston Road", "莊士敦道", "庄士敦道", "ถนนจอห์นสตัน"),
    "yee-wo": texts("Yee Wo Street", "怡和街", "怡和街", "ถนนหยีหว่อ"),
    "leighton": texts("Leighton Road", "禮頓道", "礼顿道", "ถนนเลห์ตัน"),
    "kings": texts("King's Road", "英皇道", "英皇道", "ถนนคิงส์"),
    "aberdeen-main": texts("Aberdeen Main Road", "香港仔大道", "香港仔大道", "ถนนอเบอร์ดีนเมน"),
    "stanley-main": texts("Stanley Main Street", "赤柱大街", "赤柱大街", "ถนนสแตนลีย์เมน"),
    "nathan": texts("Nathan Road", "彌敦道", "弥敦道", "ถนนนาธาน"),
    "canton": texts("Canton Road", "廣東道", "广东道", "ถนนแคนตัน"),
    "shanghai": texts("Shanghai Street", "上海街", "上海街", "ถนนเซี่ยงไฮ้"),
    "sai-yeung-choi": texts("Sai Yeung Choi Street South", "西洋菜南街", "西洋菜南街", "ถนนไซเหยิงฉ่อยใต้"),
    "tai-nan": texts("Tai Nan Street", "大南街", "大南街", "ถนนไทหนาน"),
    "nga-tsin-wai": texts("Nga Tsin Wai Road", "衙前圍道", "衙前围道", "ถนนหงาชินไหว"),
    "ma-tau-wai": texts("Ma Tau Wai Road", "馬頭圍道", "马头围道", "ถนนหม่าเถาไหว"),
    "hung-to": texts("Hung To Road", "鴻圖道", "鸿图道", "ถนนฮุงโถ"),
    "castle-peak": texts("Castle Peak Road", "青山公路", "青山公路", "ถนนคาสเซิลพีก"),
    "sha-tin-centre": texts("Sha Tin Centre Street", "沙田正街", "沙田正街", "ถนนซาทินเซ็นเตอร์"),
    "on-cheung": texts("On Cheung Road", "安祥路", "安祥路", "ถนนอันเชิง"),
    "tuen-shun": texts("Tuen Shun Street", "屯順街", "屯顺街", "ถนนถุนชุ่น"),
    "fuk-man": texts("Fuk Man Road", "福民路", "福民路", "ถนนฟุกหมาน"),
    "tat-tung": texts("Tat Tung Road", "達東路", "达东路", "ถนนตัตตุง"),
    "waterfront": texts("Harbour Promenade", "海濱長廊", "海滨长廊", "ทางเดินริมอ่าว"),
    "bay-drive": texts("Skylark Bay Drive", "雲雀灣大道", "云雀湾大道", "ถนนสกายลาร์กเบย์"),
}


def store_names(store: StoreSeed) -> Texts:
    """What the store is called: its own names, or after its district as branches are."""
    if store.names is not None:
        return store.names
    district = DISTRICTS[store.district]
    return texts(
        district["en"], f"{district['zh-Hant']}店", f"{district['zh-Hans']}店", f"สาขา{district['th']}"
    )


_SHOP = ("Shop {}, ", "{}號舖", "{}号铺", "ร้าน {} ")
_FLOOR = ("{}/F, ", "{}樓", "{}楼", "ชั้น {} ")


def store_addresses(store: StoreSeed) -> Texts:
    """The store's address as it is written in each language."""
    district, street, number, unit = (
        DISTRICTS[store.district],
        STREETS[store.street],
        store.number,
        store.unit,
    )
    if unit is not None and unit.endswith("F"):
        places = tuple(word.format(unit[:-1]) for word in _FLOOR)
    else:
        places = tuple(word.format(unit) for word in _SHOP) if unit is not None else ("", "", "", "")
    return texts(
        f"{places[0]}{number} {street['en']}, {district['en']}",
        f"{district['zh-Hant']}{street['zh-Hant']}{number}號{places[1]}",
        f"{district['zh-Hans']}{street['zh-Hans']}{number}号{places[2]}",
        f"{places[3]}เลขที่ {number} {street['th']} ย่าน{district['th']}",
    )
