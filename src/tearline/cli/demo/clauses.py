"""Sentences that the terms of many offers share, as shops print them on the back of a coupon."""

from __future__ import annotations

from tearline.cli.demo.shapes import LANGUAGES, Texts, texts

CLAUSES: dict[str, Texts] = {
    "no-combine": texts(
        "Cannot be combined with other promotions or discounts.",
        "不可與其他推廣優惠或折扣同時使用。",
        "不可与其他促销或折扣同时使用。",
        "ใช้ร่วมกับโปรโมชันหรือส่วนลดอื่นไม่ได้",
    ),
    "no-cash": texts(
        "Cannot be exchanged for cash, and no change is given.",
        "不可兌換現金，亦不設找贖。",
        "不可兑换现金，不设找零。",
        "แลกเป็นเงินสดไม่ได้และไม่มีการทอนเงิน",
    ),
    "one-per-bill": texts(
        "One coupon per bill.",
        "每張單據只限使用一張。",
        "每笔消费限用一张。",
        "จำกัด 1 คูปองต่อ 1 ใบเสร็จ",
    ),
    "one-per-guest": texts(
        "One coupon per guest and visit.",
        "每位客人每次只限使用一張。",
        "每位顾客每次限用一张。",
        "จำกัด 1 คูปองต่อท่านต่อครั้ง",
    ),
    "dine-in": texts("Dine-in only.", "只限堂食。", "仅限堂食。", "เฉพาะรับประทานที่ร้านเท่านั้น"),
    "takeaway": texts("Takeaway only.", "只限外賣自取。", "仅限外带自取。", "เฉพาะซื้อกลับบ้านเท่านั้น"),
    "service-charge": texts(
        "The 10% service charge is calculated before the discount.",
        "加一服務費按折扣前金額計算。",
        "10% 服务费按折前金额计算。",
        "ค่าบริการ 10% คิดจากราคาก่อนหักส่วนลด",
    ),
    "holidays": texts(
        "Not valid on public holidays and their eves.",
        "公眾假期及前夕不適用。",
        "公众假期及其前一天不适用。",
        "ไม่สามารถใช้ในวันหยุดนักขัตฤกษ์และวันก่อนวันหยุด",
    ),
    "book": texts(
        "Please book at least one day ahead and mention this coupon.",
        "請最少一日前預約，並註明使用此優惠券。",
        "请至少提前一天预约，并说明使用此优惠券。",
        "กรุณาจองล่วงหน้าอย่างน้อย 1 วัน และแจ้งว่าจะใช้คูปองนี้",
    ),
    "stocks": texts("While stocks last.", "數量有限，送完即止。", "数量有限，送完为止。", "สินค้ามีจำนวนจำกัด"),
    "regular-price": texts(
        "Regular-priced items only.", "只適用於正價貨品。", "仅限正价商品。", "เฉพาะสินค้าราคาปกติ"
    ),
    "exclusions": texts(
        "Not valid for gift cards, wine and spirits, tobacco or infant formula.",
        "購買禮品卡、酒類、煙草及嬰兒奶粉不適用。",
        "购买礼品卡、酒类、烟草及婴儿奶粉不适用。",
        "ไม่รวมบัตรของขวัญ เครื่องดื่มแอลกอฮอล์ ยาสูบ และนมผงสำหรับทารก",
    ),
    "before-ordering": texts(
        "Please show the coupon before ordering.",
        "請於點餐前出示優惠券。",
        "请在点餐前出示优惠券。",
        "กรุณาแสดงคูปองก่อนสั่งอาหาร",
    ),
    "before-paying": texts(
        "Please show the coupon before paying.",
        "請於付款前出示優惠券。",
        "请在付款前出示优惠券。",
        "กรุณาแสดงคูปองก่อนชำระเงิน",
    ),
    "typhoon": texts(
        "If a typhoon signal stops the service, you may choose another day free of charge.",
        "如因熱帶氣旋警告信號而停止服務，可免費改期。",
        "如因台风停止服务，可免费改期。",
        "หากงดให้บริการเพราะสัญญาณเตือนพายุไต้ฝุ่น เปลี่ยนวันได้โดยไม่มีค่าใช้จ่าย",
    ),
    "height": texts(
        "Some rides have a height requirement.",
        "部分機動遊戲設有身高限制。",
        "部分游乐设施有身高要求。",
        "เครื่องเล่นบางชนิดมีข้อกำหนดเรื่องส่วนสูง",
    ),
    "children": texts(
        "Children under three enter free of charge.",
        "三歲以下小童免費入場。",
        "三岁以下儿童免费入场。",
        "เด็กอายุต่ำกว่า 3 ปีเข้าฟรี",
    ),
    "own-use": texts(
        "For the member's own use; resale makes it void.",
        "只供會員本人使用，轉售即告無效。",
        "仅限会员本人使用，转售无效。",
        "สำหรับสมาชิกใช้เองเท่านั้น หากนำไปขายต่อถือเป็นโมฆะ",
    ),
    "delivery": texts(
        "Delivery within Hong Kong, outlying islands excepted.",
        "只限香港境內送貨，離島除外。",
        "仅限香港境内配送，离岛除外。",
        "จัดส่งภายในฮ่องกงเท่านั้น ไม่รวมเกาะรอบนอก",
    ),
    "late": texts(
        "Late arrival shortens the session; the next guest is waiting.",
        "遲到會縮短療程時間，敬請準時。",
        "迟到将缩短护理时间，敬请准时。",
        "หากมาสายเวลาทำทรีตเมนต์จะสั้นลง กรุณามาตรงเวลา",
    ),
    "per-table": texts("One coupon per table.", "每枱只限使用一張。", "每桌限用一张。", "จำกัด 1 คูปองต่อโต๊ะ"),
    "tea-charge": texts(
        "Tea charge and 10% service charge apply as usual.",
        "茶芥及加一服務費照常收取。",
        "茶位费及 10% 服务费照常收取。",
        "คิดค่าชาและค่าบริการ 10% ตามปกติ",
    ),
    "same-price": texts(
        "The item of equal or lower price is free.",
        "以價低者為免費之項目。",
        "以价格较低者免费。",
        "รับฟรีรายการที่ราคาเท่ากันหรือต่ำกว่า",
    ),
    "final": texts(
        "In case of dispute the merchant's decision is final.",
        "如有任何爭議，商戶保留最終決定權。",
        "如有争议，商户保留最终决定权。",
        "หากมีข้อโต้แย้ง ให้ถือคำตัดสินของร้านค้าเป็นที่สิ้นสุด",
    ),
}


def terms_of(keys: tuple[str, ...]) -> Texts:
    """The terms made of these clauses, one a line."""
    return {language: "\n".join(CLAUSES[key][language] for key in keys) for language in LANGUAGES}
