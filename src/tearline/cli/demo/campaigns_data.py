"""The demo's three password campaigns: one that runs, one that is paused, one to come."""

from __future__ import annotations

from tearline.cli.demo.shapes import CampaignSeed, PrizeSeed, texts

CAMPAIGNS: tuple[CampaignSeed, ...] = (
    CampaignSeed(
        code="WINTER-CITY",
        art="lantern",
        edge="vermilion",
        starts_day=-6,
        ends_day=24,
        state="live",
        per_member=4,
        per_day=2,
        claims=3_200,
        names=texts("Winter in the City", "冬日全城賞", "冬日全城礼遇", "ฤดูหนาวทั่วเมือง"),
        descriptions=texts(
            "Listen for the password on the tram, under the lanterns and at the counter. Each opens a gift "
            "from the shops, kitchens and piers of the city.",
            "電車上、燈籠下、櫃枱旁，留意每一個口令。每個口令，都為您打開全城店舖、食肆及碼頭送出的一份禮品。",
            "电车上、灯笼下、柜台旁，留意每一个口令。每个口令，都为您打开全城店铺、餐厅和码头送出的一份礼品。",
            "คอยฟังรหัสลับบนรถราง ใต้โคมไฟ และที่หน้าเคาน์เตอร์ รหัสแต่ละคำเปิดของขวัญจากร้านค้า ร้านอาหาร และท่าเรือทั่วเมือง",
        ),
        rules=texts(
            "Each password opens one gift, once for each member unless it says otherwise.\n"
            "Up to four gifts over the campaign, two on one day (Hong Kong time).\n"
            "Coupons go straight into your wallet; each shows where and until when it can be used.\n"
            "When a gift has been given out, it is gone: we do not keep a waiting list.",
            "每個口令可領取一份禮品，除另有註明外，每位會員限領一次。\n"
            "活動期間每位會員最多領取四份，每日最多兩份（香港時間）。\n"
            "優惠券會即時存入您的錢包，使用地點及限期以券面所示為準。\n"
            "禮品送完即止，不設候補。",
            "每个口令可领取一份礼品，除另有说明外，每位会员限领一次。\n"
            "活动期间每位会员最多领取四份，每天最多两份（香港时间）。\n"
            "优惠券会立即存入您的卡包，使用地点及期限以券面所示为准。\n"
            "礼品送完为止，不设候补。",
            "รหัสหนึ่งคำรับของขวัญได้หนึ่งชุด สมาชิกละหนึ่งครั้ง เว้นแต่ระบุไว้เป็นอย่างอื่น\n"
            "ตลอดแคมเปญรับได้สูงสุดสี่ชุด วันละไม่เกินสองชุด (ตามเวลาฮ่องกง)\n"
            "คูปองจะเข้ากระเป๋าคูปองของคุณทันที โปรดดูสถานที่และวันหมดอายุบนคูปองแต่ละใบ\n"
            "ของขวัญมีจำนวนจำกัด หมดแล้วหมดเลย ไม่มีรายชื่อสำรอง",
        ),
        prizes=(
            PrizeSeed(
                texts("The welcome bundle", "見面禮", "见面礼", "ชุดต้อนรับ"),
                "WINTER2026",
                (("BL-50", 1), ("TT-BOGO", 1), ("CITY-EAT30", 2)),
                inventory=20_000,
            ),
            PrizeSeed(
                texts("A day out", "出遊一日", "出游一日", "ออกเที่ยวหนึ่งวัน"),
                "HARBOURLIGHTS",
                (("RS-DUSK", 2), ("SM-HALF", 2), ("ST-70", 1)),
                inventory=6_000,
            ),
            PrizeSeed(
                texts("The night market", "夜市一條街", "夜市一条街", "ตลาดกลางคืน"),
                "NIGHT MARKET",
                (("KK-CURRY", 1), ("OF-WONTON", 1), ("PM-DOZEN", 1)),
                inventory=3_000,
                per_member=2,
            ),
            PrizeSeed(
                texts("Something to unwrap", "拆禮品", "拆礼品", "ของขวัญรอแกะ"),
                "GIFTS4ALL",
                (("HL-100", 1), ("QP-50", 1), ("CP-JASMINE", 1)),
                inventory=4_000,
            ),
            PrizeSeed(
                texts("The golden lantern", "金燈籠", "金灯笼", "โคมทอง"),
                "金燈籠",
                (("SB-DAY", 2), ("SB-EXPRESS", 1), ("SW-THAI", 1)),
                inventory=240,
            ),
        ),
    ),
    CampaignSeed(
        code="SLOW-TEA",
        art="tea",
        edge="jade",
        starts_day=-20,
        ends_day=12,
        state="paused",
        any_of=frozenset({"plan:harbour-card", "tier:city-pass/silver", "tier:city-pass/gold"}),
        none_of=frozenset({"group:partner-staff"}),
        per_member=2,
        per_day=1,
        claims=900,
        names=texts("Slow Tea Weeks", "慢茶時光", "慢茶时光", "สัปดาห์จิบชาช้า ๆ"),
        descriptions=texts(
            "For cardholders: tea, toast and an hour to yourself, at places that do not hurry you.",
            "卡友專享：一杯茶、一件多士、一小時屬於自己的時間，店家絕不催客。",
            "持卡会员专享：一杯茶、一片吐司、一小时属于自己的时间，店家绝不催客。",
            "สำหรับผู้ถือบัตร ชาหนึ่งถ้วย ขนมปังหนึ่งแผ่น และหนึ่งชั่วโมงของคุณเอง ในร้านที่ไม่เร่งลูกค้า",
        ),
        rules=texts(
            "For Harbour Card members and City Pass members of Silver and Gold.\n"
            "One gift a day, two over the campaign.",
            "海港卡會員，以及城市通銀級、金級會員適用。\n每日一份，活動期間最多兩份。",
            "适用于海港卡会员，以及城市通银级、金级会员。\n每天一份，活动期间最多两份。",
            "สำหรับสมาชิกฮาร์เบอร์การ์ด และสมาชิกซิตีพาสระดับซิลเวอร์และโกลด์\nวันละหนึ่งชุด สูงสุดสองชุดตลอดแคมเปญ",
        ),
        prizes=(
            PrizeSeed(
                texts("Morning tea", "早茶", "早茶", "ชายามเช้า"),
                "TEATIME",
                (("BL-SIUMAI", 1), ("PM-BUN", 1), ("TT-15", 1)),
                inventory=2_500,
            ),
            PrizeSeed(
                texts("The long afternoon", "悠長下午", "悠长午后", "บ่ายที่ยาวนาน"),
                "SLOWDOWN",
                (("CP-TASTING", 1), ("TT-TEATIME", 1), ("SW-FOOT", 1)),
                inventory=600,
            ),
        ),
    ),
    CampaignSeed(
        code="LANTERN-NIGHTS",
        art="harbour",
        edge="purple",
        starts_day=38,
        ends_day=54,
        state="live",
        per_member=3,
        per_day=1,
        names=texts("Lantern Nights", "花燈夜", "花灯之夜", "คืนแห่งโคมไฟ"),
        descriptions=texts(
            "Fifteen evenings of lanterns along both shores. The first password is given at the lighting.",
            "兩岸花燈，連亮十五晚。首個口令於亮燈儀式公布。",
            "两岸花灯，连亮十五晚。首个口令将在亮灯仪式上公布。",
            "โคมไฟสว่างสองฝั่งอ่าวตลอดสิบห้าค่ำคืน รหัสคำแรกประกาศในพิธีเปิดไฟ",
        ),
        rules=texts(
            "One gift an evening, three over the campaign.",
            "每晚一份，活動期間最多三份。",
            "每晚一份，活动期间最多三份。",
            "คืนละหนึ่งชุด สูงสุดสามชุดตลอดแคมเปญ",
        ),
        prizes=(
            PrizeSeed(
                texts("Under the lanterns", "燈下", "灯下", "ใต้แสงโคม"),
                "LANTERN88",
                (("CITY-SEE60", 1), ("CITY-EAT30", 1), ("ST-TEA", 1)),
                inventory=10_000,
            ),
            PrizeSeed(
                texts("Sweet things", "甜點心", "甜点心", "ของหวาน"),
                "燈謎",
                (("CP-GIFTBOX", 1), ("PM-PUDDING", 1), ("CITY-SHOP12", 1)),
                inventory=5_000,
            ),
        ),
    ),
)
