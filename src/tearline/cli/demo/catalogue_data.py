"""The demo's catalogue, all invented: categories, brands and products of most merchants.

Everything that an offer of the demo names by a key is in it. Prices are whole Hong Kong dollars.
"""

from __future__ import annotations

from dataclasses import dataclass

from tearline.cli.demo.shapes import Texts, texts


@dataclass(frozen=True, slots=True)
class CategorySeed:
    """A category; ``parent`` is the key of the one in which it lies."""

    key: str
    parent: str | None
    names: Texts


@dataclass(frozen=True, slots=True)
class ProductSeed:
    """A product; ``art`` names its illustration, ``price`` is in dollars."""

    key: str
    merchant: str
    price: int
    category: str | None
    brand: str | None
    names: Texts
    art: str | None = None
    is_discountable: bool = True
    is_sold: bool = True


CATEGORIES: tuple[CategorySeed, ...] = (
    CategorySeed("food", None, texts("Food and drink", "飲食", "餐饮", "อาหารและเครื่องดื่ม")),
    CategorySeed("dim-sum", "food", texts("Dim sum", "點心", "点心", "ติ่มซำ")),
    CategorySeed("noodles", "food", texts("Noodles", "麵食", "面食", "ก๋วยเตี๋ยวและบะหมี่")),
    CategorySeed("bakery", "food", texts("Bakery", "麵包糕餅", "面包糕点", "เบเกอรี")),
    CategorySeed("festive", "bakery", texts("Festive treats", "賀年糕點", "节庆糕点", "ขนมเทศกาล")),
    CategorySeed("snacks", "food", texts("Snacks", "小食", "小吃", "ของว่าง")),
    CategorySeed("infant-formula", "food", texts("Infant formula", "嬰兒奶粉", "婴儿奶粉", "นมผงสำหรับทารก")),
    CategorySeed("drinks", "food", texts("Drinks", "飲品", "饮品", "เครื่องดื่ม")),
    CategorySeed("coffee", "drinks", texts("Coffee", "咖啡", "咖啡", "กาแฟ")),
    CategorySeed("beans", "coffee", texts("Coffee beans", "咖啡豆", "咖啡豆", "เมล็ดกาแฟ")),
    CategorySeed("tea", "drinks", texts("Tea", "茶", "茶", "ชา")),
    CategorySeed("gift-boxes", "tea", texts("Gift boxes", "賀禮茶盒", "礼盒茶", "กล่องชาของขวัญ")),
    CategorySeed("alcohol", "drinks", texts("Alcohol", "酒類", "酒类", "เครื่องดื่มแอลกอฮอล์")),
    CategorySeed("shopping", None, texts("Shopping", "購物", "购物", "ช้อปปิง")),
    CategorySeed("home", "shopping", texts("Home", "家居", "家居", "ของใช้ในบ้าน")),
    CategorySeed("plants", "home", texts("Plants and pots", "盆栽", "盆栽", "ต้นไม้และกระถาง")),
    CategorySeed("toys", "shopping", texts("Toys", "玩具", "玩具", "ของเล่น")),
    CategorySeed("board-games", "toys", texts("Board games", "桌上遊戲", "桌游", "บอร์ดเกม")),
    CategorySeed("books", "shopping", texts("Books", "書籍", "图书", "หนังสือ")),
    CategorySeed("local-authors", "books", texts("Local authors", "本地作家", "本地作家", "นักเขียนท้องถิ่น")),
    CategorySeed("tobacco", "shopping", texts("Tobacco", "煙草", "烟草", "ยาสูบ")),
    CategorySeed("gift-cards", "shopping", texts("Gift cards", "禮品卡", "礼品卡", "บัตรของขวัญ")),
    CategorySeed("outings", None, texts("Days out", "遊玩", "游玩", "เที่ยวและกิจกรรม")),
    CategorySeed("tickets", "outings", texts("Tickets", "門票", "门票", "บัตรเข้าชม")),
    CategorySeed("workshops", "outings", texts("Workshops", "工作坊", "工作坊", "เวิร์กช็อป")),
    CategorySeed("souvenirs", "outings", texts("Souvenirs", "紀念品", "纪念品", "ของที่ระลึก")),
    CategorySeed("services", None, texts("Services", "服務", "服务", "บริการ")),
)

BRANDS: tuple[tuple[str, Texts], ...] = (
    ("harbour-home", texts("Harbour Home", "港灣家品", "港湾家居", "ฮาร์เบอร์โฮม")),
    ("morning-kite", texts("Morning Kite", "晨箏玩具", "晨筝玩具", "มอร์นิงไคต์")),
    ("tiny-ferry", texts("Tiny Ferry", "小渡輪", "小渡轮", "ไทนีเฟอร์รี")),
    ("quiet-press", texts("Quiet Press", "靜頁出版", "静页出版", "ไควเอตเพรส")),
    ("lantern-street", texts("Lantern Street", "燈籠街", "灯笼街", "แลนเทิร์นสตรีต")),
    ("cloudpick", texts("Cloudpick", "採雲", "采云", "คลาวด์พิก")),
    ("third-tram", texts("Third Tram Roasters", "第三班車烘焙", "第三班车烘焙", "เติร์ดแทรมโรสเตอร์ส")),
    ("moonbake", texts("Moonbake", "月餅家", "月饼家", "มูนเบก")),
    ("sea-mist", texts("Sea Mist Brewing", "海霧釀造", "海雾酿造", "ซีมิสต์บรูว์อิง")),
    ("old-kiln", texts("Old Kiln", "老窯", "老窑", "โอลด์คิลน์")),
    ("skylark", texts("Skylark", "雲雀", "云雀", "สกายลาร์ก")),
    ("neon-alley", texts("Neon Alley", "霓虹巷", "霓虹巷", "นีออนแอลลีย์")),
)

PRODUCTS: tuple[ProductSeed, ...] = (
    # Harbourlight Stores
    ProductSeed("kite-rainbow", "harbourlight", 128, "toys", "morning-kite",
                texts("Rainbow kite", "彩虹風箏", "彩虹风筝", "ว่าวสีรุ้ง"), "gift"),
    ProductSeed("wooden-ferry", "harbourlight", 268, "toys", "tiny-ferry",
                texts("Wooden Star ferry", "木製渡輪", "木制渡轮", "เรือเฟอร์รีไม้"), "harbour"),
    ProductSeed("tram-puzzle", "harbourlight", 158, "toys", "tiny-ferry",
                texts("Tram puzzle, 200 pieces", "電車拼圖 200 塊", "电车拼图 200 块", "จิ๊กซอว์รถราง 200 ชิ้น"), "tram"),
    ProductSeed("market-day-game", "harbourlight", 318, "board-games", "morning-kite",
                texts("Market Day, a board game", "街市日桌遊", "集市日桌游", "บอร์ดเกมวันตลาดนัด"), "gift"),
    ProductSeed("mahjong-travel", "harbourlight", 428, "board-games", None,
                texts("Travel mahjong set", "旅行麻雀", "旅行麻将", "ไพ่นกกระจอกพกพา")),
    ProductSeed("linen-towel", "harbourlight", 98, "home", "harbour-home",
                texts("Linen tea towel", "亞麻茶巾", "亚麻茶巾", "ผ้าเช็ดจานลินิน")),
    ProductSeed("bamboo-steamer", "harbourlight", 148, "home", "harbour-home",
                texts("Bamboo steamer", "竹蒸籠", "竹蒸笼", "ซึ้งไม้ไผ่"), "dim-sum"),
    ProductSeed("enamel-pot", "harbourlight", 488, "home", "harbour-home",
                texts("Enamel soup pot", "琺瑯湯鍋", "珐琅汤锅", "หม้อซุปเคลือบ")),
    ProductSeed("paper-lantern", "harbourlight", 68, "home", "lantern-street",
                texts("Paper lantern", "紙燈籠", "纸灯笼", "โคมกระดาษ"), "lantern"),
    ProductSeed("roast-chestnuts", "harbourlight", 38, "snacks", None,
                texts("Roast chestnuts", "炒栗子", "糖炒栗子", "เกาลัดคั่ว")),
    ProductSeed("plum-wine", "harbourlight", 238, "alcohol", "sea-mist",
                texts("Plum wine, 500 ml", "梅酒 500 毫升", "梅酒 500 毫升", "เหล้าบ๊วย 500 มล.")),
    ProductSeed("formula-stage-1", "harbourlight", 298, "infant-formula", None,
                texts("Infant formula, stage 1", "初生嬰兒奶粉", "一段婴儿奶粉", "นมผงทารก สูตร 1")),
    ProductSeed("harbourlight-card-500", "harbourlight", 500, "gift-cards", None,
                texts("Gift card for HK$500", "$500 禮品卡", "500 港元礼品卡", "บัตรของขวัญ 500 ดอลลาร์"), "gift",
                is_discountable=False),
    # Quiet Pages
    ProductSeed("nine-alleys", "quiet-pages", 118, "local-authors", "quiet-press",
                texts("Nine Alleys, a novel", "九條巷", "九条巷", "เก้าตรอก นวนิยาย"), "books"),
    ProductSeed("rooftop-poems", "quiet-pages", 88, "local-authors", "quiet-press",
                texts("Rooftop Poems", "天台詩集", "天台诗集", "บทกวีบนดาดฟ้า"), "books"),
    ProductSeed("harbour-cookbook", "quiet-pages", 198, "books", "lantern-street",
                texts("The Harbour Cookbook", "港味食譜", "港味食谱", "ตำราอาหารท่าเรือ"), "books"),
    ProductSeed("bird-guide", "quiet-pages", 168, "books", None,
                texts("Birds of the Wetlands", "濕地雀鳥", "湿地鸟类", "นกในพื้นที่ชุ่มน้ำ"), "books"),
    ProductSeed("cat-tote", "quiet-pages", 78, "souvenirs", "lantern-street",
                texts("Shop cat tote", "店貓帆布袋", "店猫帆布袋", "ถุงผ้าลายแมว"), "books"),
    ProductSeed("quiet-pages-card-200", "quiet-pages", 200, "gift-cards", None,
                texts("Book token for HK$200", "$200 書券", "200 港元书券", "บัตรหนังสือ 200 ดอลลาร์"),
                is_discountable=False),
    # Cloudpick Tea
    ProductSeed("jasmine-pearls-50g", "cloudpick", 88, "tea", "cloudpick",
                texts("Jasmine pearls, 50 g", "茉莉龍珠 50 克", "茉莉龙珠 50 克", "ชามะลิม้วน 50 กรัม"), "tea"),
    ProductSeed("oolong-100g", "cloudpick", 168, "tea", "cloudpick",
                texts("Garden oolong, 100 g", "茶園烏龍 100 克", "茶园乌龙 100 克", "ชาอู่หลงจากสวน 100 กรัม"), "tea"),
    ProductSeed("puerh-cake", "cloudpick", 388, "tea", "cloudpick",
                texts("Pu-erh cake of 2009", "2009 年普洱茶餅", "2009 年普洱茶饼", "ชาผู่เอ๋อร์แผ่น ปี 2009"), "tea"),
    ProductSeed("new-year-box", "cloudpick", 428, "gift-boxes", "cloudpick",
                texts("New Year box of four teas", "四式賀年茶盒", "四式贺年茶盒", "กล่องชาปีใหม่ 4 ชนิด"), "gift"),
    ProductSeed("two-tin-box", "cloudpick", 268, "gift-boxes", "cloudpick",
                texts("Two-tin gift box", "雙罐禮盒", "双罐礼盒", "กล่องของขวัญชา 2 กระป๋อง"), "gift"),
    ProductSeed("tea-caddy", "cloudpick", 138, "home", "old-kiln",
                texts("Hand-painted tea caddy", "手繪茶葉罐", "手绘茶叶罐", "กระปุกชาวาดมือ"), "tea"),
    ProductSeed("tasting-for-two", "cloudpick", 220, "workshops", "cloudpick",
                texts("Tea tasting for two", "雙人茶席", "双人茶席", "ชิมชาสำหรับสองท่าน"), "tea"),
    # Potted Afternoon
    ProductSeed("small-pot", "potted-afternoon", 180, "plants", "old-kiln",
                texts("Small thrown pot", "手拉小盆", "手拉小盆", "กระถางปั้นมือใบเล็ก"), "garden"),
    ProductSeed("moon-jar", "potted-afternoon", 680, "plants", "old-kiln",
                texts("Moon jar", "月亮罐", "月亮罐", "โถพระจันทร์"), "garden"),
    ProductSeed("throwing-class", "potted-afternoon", 380, "workshops", "old-kiln",
                texts("Throwing class", "拉坯班", "拉坯课", "คลาสปั้นแป้นหมุน"), "garden"),
    # Basket Lane Dim Sum
    ProductSeed("siu-mai-basket", "basket-lane", 32, "dim-sum", None,
                texts("Siu mai, four in a basket", "燒賣四粒", "烧卖四粒", "ขนมจีบ 4 ชิ้น"), "dim-sum"),
    ProductSeed("har-gow-basket", "basket-lane", 38, "dim-sum", None,
                texts("Har gow, four in a basket", "蝦餃四隻", "虾饺四只", "ฮะเก๋า 4 ชิ้น"), "dim-sum"),
    ProductSeed("char-siu-bao", "basket-lane", 30, "dim-sum", None,
                texts("Barbecued pork buns", "叉燒包", "叉烧包", "ซาลาเปาหมูแดง"), "bun"),
    ProductSeed("frozen-box", "basket-lane", 188, "dim-sum", None,
                texts("Frozen dim sum box", "急凍點心盒", "速冻点心盒", "กล่องติ่มซำแช่แข็ง"), "dim-sum"),
    # Old Ferry Noodle House
    ProductSeed("wonton-noodles", "old-ferry", 46, "noodles", None,
                texts("Shrimp wonton noodles", "鮮蝦雲吞麵", "鲜虾云吞面", "บะหมี่เกี๊ยวกุ้ง"), "noodles"),
    ProductSeed("brisket-noodles", "old-ferry", 68, "noodles", None,
                texts("Clear brisket noodles", "清湯牛腩麵", "清汤牛腩面", "บะหมี่เนื้อตุ๋นน้ำใส"), "noodles"),
    ProductSeed("blanched-greens", "old-ferry", 28, "snacks", None,
                texts("Greens with oyster sauce", "蠔油時菜", "蚝油时蔬", "ผักลวกน้ำมันหอย"), "noodles"),
    # Third Tram Coffee
    ProductSeed("flat-white", "third-tram", 42, "coffee", "third-tram",
                texts("Flat white", "馥芮白", "馥芮白", "แฟลตไวต์"), "coffee"),
    ProductSeed("cold-drip", "third-tram", 48, "coffee", "third-tram",
                texts("Cold drip", "冰滴咖啡", "冰滴咖啡", "กาแฟโคลด์ดริป"), "coffee"),
    ProductSeed("house-beans-250g", "third-tram", 138, "beans", "third-tram",
                texts("House blend, 250 g", "招牌咖啡豆 250 克", "招牌咖啡豆 250 克", "เมล็ดกาแฟสูตรบ้าน 250 กรัม"),
                "coffee"),
    ProductSeed("yirgacheffe-250g", "third-tram", 168, "beans", "third-tram",
                texts("Yirgacheffe, 250 g", "耶加雪菲 250 克", "耶加雪菲 250 克", "เมล็ดกาแฟเยอร์กาเชฟเฟ 250 กรัม"),
                "coffee"),
    ProductSeed("oat-upgrade", "third-tram", 6, "coffee", None,
                texts("Oat milk instead", "轉燕麥奶", "换燕麦奶", "เปลี่ยนเป็นนมโอ๊ต"), "coffee"),
    # Pineapple Moon Bakery
    ProductSeed("egg-tart-dozen", "pineapple-moon", 96, "bakery", "moonbake",
                texts("Egg tarts, a dozen", "蛋撻一打", "蛋挞一打", "ทาร์ตไข่ 12 ชิ้น"), "bun"),
    ProductSeed("pineapple-bun", "pineapple-moon", 9, "bakery", "moonbake",
                texts("Pineapple bun", "菠蘿包", "菠萝包", "ขนมปังสับปะรด"), "bun"),
    ProductSeed("turnip-pudding", "pineapple-moon", 128, "festive", "moonbake",
                texts("Turnip pudding", "蘿蔔糕", "萝卜糕", "ขนมผักกาด"), "bun"),
    ProductSeed("lotus-mooncake", "pineapple-moon", 268, "festive", "moonbake",
                texts("Lotus mooncakes, four", "蓮蓉月餅四個", "莲蓉月饼四个", "ขนมไหว้พระจันทร์ไส้เม็ดบัว 4 ชิ้น"), "bun",
                is_sold=False),
    # Khlong Kitchen
    ProductSeed("boat-noodles", "khlong-kitchen", 22, "noodles", None,
                texts("Boat noodles, a bowl", "船麵一碗", "船面一碗", "ก๋วยเตี๋ยวเรือ 1 ชาม"), "noodles"),
    ProductSeed("young-coconut", "khlong-kitchen", 45, "drinks", None,
                texts("Young coconut", "椰青", "椰青", "มะพร้าวน้ำหอม")),
    # Skylark Bay Park
    ProductSeed("day-ticket-adult", "skylark-bay", 488, "tickets", "skylark",
                texts("Day ticket, adult", "成人一日門票", "成人一日票", "บัตรหนึ่งวัน ผู้ใหญ่"), "ferris-wheel"),
    ProductSeed("day-ticket-child", "skylark-bay", 248, "tickets", "skylark",
                texts("Day ticket, child", "小童一日門票", "儿童一日票", "บัตรหนึ่งวัน เด็ก"), "ferris-wheel"),
    ProductSeed("twilight-ticket", "skylark-bay", 268, "tickets", "skylark",
                texts("Twilight ticket", "黃昏門票", "黄昏票", "บัตรยามเย็น"), "ferris-wheel"),
    ProductSeed("express-two", "skylark-bay", 160, "tickets", "skylark",
                texts("Express pass, two rides", "免排隊券兩次", "免排队券两次", "บัตรด่วน 2 เครื่องเล่น"), "ferris-wheel"),
    ProductSeed("plush-skylark", "skylark-bay", 198, "souvenirs", "skylark",
                texts("Plush skylark", "雲雀毛公仔", "云雀毛绒玩偶", "ตุ๊กตานกสกายลาร์ก"), "gift"),
    # Red Sail Harbour Cruises
    ProductSeed("harbour-pair", "red-sail", 396, "tickets", None,
                texts("Harbour cruise for two", "雙人遊港", "双人游港", "ล่องอ่าวสำหรับสองท่าน"), "harbour"),
    ProductSeed("harbour-child", "red-sail", 120, "tickets", None,
                texts("Harbour cruise, child", "小童遊港", "儿童游港", "ล่องอ่าว เด็ก"), "harbour"),
    # Museum of Street Signs
    ProductSeed("museum-admission", "sign-museum", 90, "tickets", None,
                texts("Museum admission", "博物館門票", "博物馆门票", "ค่าเข้าพิพิธภัณฑ์"), "museum"),
    ProductSeed("neon-workshop", "sign-museum", 460, "workshops", "neon-alley",
                texts("Neon workshop", "霓虹工作坊", "霓虹工作坊", "เวิร์กช็อปนีออน"), "museum"),
    ProductSeed("mini-sign", "sign-museum", 58, "souvenirs", "neon-alley",
                texts("Pocket-size sign", "迷你招牌", "迷你招牌", "ป้ายจิ๋ว"), "museum"),
    # Slow Tram Tours
    ProductSeed("tram-tour", "slow-tram", 320, "tickets", None,
                texts("Afternoon tram tour", "午後電車遊", "午后电车游", "ทัวร์รถรางยามบ่าย"), "tram"),
    ProductSeed("milk-tea-flask", "slow-tram", 48, "drinks", None,
                texts("Flask of milk tea", "奶茶一壺", "奶茶一壶", "ชานมหนึ่งกระติก"), "tram"),
    # Services
    ProductSeed("foot-bath-45", "still-water", 238, "services", None,
                texts("Foot bath, 45 minutes", "足浴 45 分鐘", "足浴 45 分钟", "แช่เท้า 45 นาที"), "spa"),
    ProductSeed("hem-trousers", "needle-star", 80, "services", None,
                texts("Trousers hemmed", "改褲腳", "改裤脚", "ตัดขากางเกง"), "thread"),
    ProductSeed("button", "needle-star", 20, "services", None,
                texts("A button sewn on", "釘鈕", "钉扣", "ติดกระดุม"), "thread"),
)  # fmt: skip
