"""Invented Chinese personal data with its gold spans: every check digit is right, and nobody is meant."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from string import Formatter

from stdnum import luhn
from stdnum.cn import ric, uscc

from fourfold.data.detectors import Finding
from fourfold.data.words import pieces

PLACES = (
    "110101",
    "120103",
    "310115",
    "320583",
    "330106",
    "350203",
    "370202",
    "420111",
    "440305",
    "500112",
    "510104",
    "610113",
)
BANKS = ("622202", "621700", "622848", "621661", "623058", "621226", "955880", "622588", "622700")
MOBILES = (*range(130, 140), 147, *range(150, 154), *range(155, 160), 166, 176, 177, 178, *range(180, 190), 191, 195, 198, 199)
PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
MAIL_NAMES = (
    "zhang.wei",
    "lixiaoming88",
    "wang_fang",
    "chenjie",
    "liu-yang",
    "zhaolei2019",
    "sunli",
    "qq10086",
    "he.ping",
    "xu_mm",
)
MAIL_HOSTS = ("mail.example", "post.example.cn", "qq.example.com", "company.example.com.cn", "163.example.net")
FAMILY_NAMES = (
    *"王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕",
    *"苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金",
    *["欧阳", "上官", "司马", "诸葛", "皇甫", "尉迟"],
)
GIVEN = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平子轩雨桐浩宇欣怡梓涵晨曦嘉琪思远文博志刚建国晓东海"
    "燕玉兰春梅桂香佳慧天佑若琳俊凯雪莹鹏飞云鹤一诺可馨家豪婉清"
)
CITIES = [
    "浙江省杭州市西湖区",
    "上海市浦东新区",
    "北京市朝阳区",
    "广东省深圳市南山区",
    "四川省成都市武侯区",
    "江苏省苏州市工业园区",
    "湖北省武汉市洪山区",
    "福建厦门市思明区",
    "青岛市市南区",
    "重庆市渝中区",
    "陕西省西安市雁塔区",
    "昆山市玉山镇",
]
STREETS = [
    "文三路",
    "祖冲之路",
    "建国路",
    "科苑路",
    "天府大道北段",
    "中山北路",
    "解放大道",
    "湖滨南路",
    "香港中路",
    "人民街",
    "长江巷",
    "学府大街",
]
ESTATES = ("", "", *["阳光花园", "锦绣家园", "时代大厦", "创业中心", "翠湖小区", "云谷公寓"])

# What people write around them. {X} stands for the entity, {n} for a name, {d} for a decoy or nothing.
SENTENCES: dict[str, tuple[str, ...]] = {
    "CN_ID_CARD": (
        "我的身份证号是{X}，请帮我办理实名认证。{d}",
        "身份证：{X}",
        "{n}（身份证{X}）已到店登记。{d}",
        "证件号码{X}，本人{n}，申请退货退款。",
        "实名信息有误，正确的是{X}，麻烦改一下{d}",
        "{d}我是{n} {X} 请核实",
        "报案人{n}，公民身份号码{X}，住址同上。",
    ),
    "CN_MOBILE": (
        "请打{X}联系我，{n}。{d}",
        "手机{X}，下午在家",
        "我换号了，新的是{X}{d}",
        "快递员说打不通{X}，我再给一个：座机不方便。",
        "{n} {X} 收",
        "联系方式：{X}（微信同号）。{d}",
        "短信没收到，号码{X}，验证码也没有",
        "回电{X}谢谢",
        "{d}，电话{X}",
        "收货人{n}，{X}，放门口就行。",
    ),
    "CN_BANK_CARD": (
        "退款请打到{X}，户名{n}。{d}",
        "银行卡号{X}，开户行写的是支行",
        "卡号：{X}",
        "我用尾号那张卡付的，完整的是{X}，没到账{d}",
        "{n}，{X}，麻烦财务打款",
        "绑卡失败，卡{X}提示余额不足。{d}",
    ),
    "CN_PLATE": (
        "送货车是{X}，门卫不让进。{d}",
        "我的车牌{X}，想预约充电桩",
        "{X}停在地库B2层，帮忙挪一下",
        "车主{n}，车牌号：{X}。{d}",
        "访客车辆{X}今天到",
        "看到一辆{X}的货车把我的箱子压了{d}",
    ),
    "EMAIL_ADDRESS": (
        "发票发到{X}，谢谢。{d}",
        "邮箱{X}收不到验证邮件",
        "请回复{X}，{n}",
        "我的邮箱是{X}，之前的不用了。{d}",
        "抄送{X}和财务",
        "账号就是邮箱（{X}），密码忘了{d}",
    ),
    "CN_USCC": ("开票抬头：云上贸易有限公司，税号{X}。{d}", "统一社会信用代码{X}，请开专票", "纳税人识别号：{X}{d}"),
    "CN_PASSPORT": ("护照号{X}，{n}，想买免税的那款。{d}", "我没有身份证，用护照 {X} 可以吗", "护照：{X}，签证已过期{d}"),
    "LOCATION": (
        "请寄到{X}，{n}收。{d}",
        "地址：{X}",
        "收货地址改成{X}，原来那个不用了{d}",
        "上门维修：{X}，下午三点后有人。",
        "我住在{X}，快递每次都放驿站。{d}",
        "{n}，{X}，麻烦发顺丰",
        "{d}师傅到了吗？地点是{X}。",
        "货送错了，送到{X}去了！",
    ),
    "PERSON": (
        "我叫{X}，上周买的机器坏了。{d}",
        "麻烦找一下{X}，他之前处理过我的单子。",
        "收件人是{X}，不是我本人",
        "{X}先生您好，您的退款已经到账。{d}",
        "联系人：{X}",
        "客服{X}态度很好，想表扬一下。{d}",
        "昨天和{X}通过话，说今天答复",
        "上门的师傅叫{X}，很专业。",
        "发票抬头写{X}就行{d}",
        "本人{X}，要求退货。",
        "{d}我老婆{X}也下了一单，能一起发吗？",
        "投诉{X}，打了三次电话都不接",
        "这台是替{X}买的，保修写他的名字。",
        "{X}女士上次说可以换新，怎么又不行了？",
    ),
}
NOTHING = (
    "扫地机回充失败，灯一直闪。{d}",
    "昨天买的滤网尺寸不对，想换一个。{d}",
    "请问{d}这个还能退吗？",
    "{d}到货了，外箱破损。",
    "升级以后更吵了{d}，能退回旧版本吗？",
)


@dataclass(frozen=True, slots=True)
class Invented:
    """A text and what is personal in it, in order of start."""

    text: str
    gold: tuple[Finding, ...]


def invented_texts(count: int, *, seed: int = 0, half: int | None = None) -> Iterator[Invented]:
    """`count` messages as customers write them: six in seven hold personal data, more than half a decoy (order and parcel
    numbers, times, tracking codes, amounts, wrong check digits). Equal seeds give equal texts. `half` (0 or 1) takes every
    other sentence only: what is learnt on one half is measured on the other.
    """
    draw = random.Random(seed)
    kinds = list(SENTENCES)
    for n in range(count):
        if n % 7 == 6:
            yield _filled(draw, draw.choice(_of(NOTHING, half)), "", always=True)
        else:
            entity = draw.choice(kinds)
            yield _filled(draw, draw.choice(_of(SENTENCES[entity], half)), entity)


def tagged(one: Invented, entity: str = "PERSON") -> tuple[list[str], list[str]]:
    """Words and their tags in BIO form, as a tagger learns them: each span of `entity` is a word of its own."""
    tokens: list[str] = []
    tags: list[str] = []
    at = 0
    for span in [*(f for f in one.gold if f.entity == entity), None]:
        between = pieces(one.text[at : span.start if span else None])
        tokens += between
        tags += ["O"] * len(between)
        if span is not None:
            tokens.append(one.text[span.start : span.end])
            tags.append(f"B-{entity}")
            at = span.end
    return tokens, tags


def _of(sentences: Sequence[str], half: int | None) -> Sequence[str]:
    return sentences if half is None else sentences[half::2]


def _filled(draw: random.Random, sentence: str, entity: str, *, always: bool = False) -> Invented:
    """A sentence with its places filled, and where names and the entity came to stand."""
    text, gold = "", []
    for words, place, _, _ in Formatter().parse(sentence):
        text += words
        kind = {"X": entity, "n": "PERSON"}.get(place or "", "")
        value = VALUES[kind](draw) if kind else _decoy(draw, always=always) if place else ""
        if kind:
            gold.append(Finding(len(text), len(text) + len(value), kind, 1.0))
        text += value
    return Invented(text, tuple(gold))


def _name(draw: random.Random) -> str:
    return draw.choice(FAMILY_NAMES) + "".join(draw.choices(GIVEN, k=draw.choice((1, 2, 2))))


def _address(draw: random.Random) -> str:
    place = draw.choice(CITIES) + draw.choice(STREETS) + f"{draw.randint(1, 2400)}号" + draw.choice(ESTATES)
    room = draw.choice(("", "{}号楼{}室", "{}栋{}单元{}", "{}幢{}", "{}座{}", "{}单元{}室"))
    return place + room.format(draw.randint(1, 30), draw.randint(1, 3) * 100 + draw.randint(1, 9), draw.randint(101, 2502))


def _id_card(draw: random.Random) -> str:
    born = date(1950, 1, 1) + timedelta(days=draw.randrange(57 * 365))
    body = f"{draw.choice(PLACES)}{born:%Y%m%d}{draw.randrange(1000):03}"
    digit = ric.calc_check_digit(body + "0")
    return body + (digit.lower() if draw.random() < 0.2 else digit)


def _mobile(draw: random.Random) -> str:
    digits = f"{draw.choice(MOBILES)}{draw.randrange(10**8):08}"
    gap = draw.choice(("", "", "", " ", "-"))
    country = draw.choice(("+86 ", "86-", "+86")) if draw.random() < 0.15 else ""
    return country + gap.join((digits[:3], digits[3:7], digits[7:]))


def _bank_card(draw: random.Random) -> str:
    body = draw.choice(BANKS) + "".join(draw.choices("0123456789", k=draw.choice((9, 12))))
    digits = body + luhn.calc_check_digit(body)
    if len(digits) == 16 and draw.random() < 0.4:
        return " ".join(digits[i : i + 4] for i in range(0, 16, 4))
    return digits


def _plate(draw: random.Random) -> str:
    head = draw.choice(PROVINCES) + draw.choice(PLATE_LETTERS)
    if draw.random() < 0.3:
        tail = draw.choice("DF") + "".join(draw.choices("0123456789", k=5))  # a small electric car
    else:
        signs = [*draw.choices("0123456789", k=5)]
        for place in draw.sample(range(5), draw.choice((0, 1, 2))):
            signs[place] = draw.choice(PLATE_LETTERS)
        tail = "".join(signs)
    return head + draw.choice(("", "", "·", " ")) + tail


def _email(draw: random.Random) -> str:
    return f"{draw.choice(MAIL_NAMES)}{draw.choice(('', str(draw.randrange(1000))))}@{draw.choice(MAIL_HOSTS)}"


def _credit_code(draw: random.Random) -> str:
    body = f"91{draw.choice(PLACES)}" + "".join(draw.choices(CODE_SIGNS, k=9))
    return body + uscc.calc_check_digit(body)


def _passport(draw: random.Random) -> str:
    return (
        draw.choice(("E", "G", "E" + draw.choice("ABCDEFGH"))).ljust(2, draw.choice("123456789"))
        + f"{draw.randrange(10**7):07}"
    )


def _decoy(draw: random.Random, *, always: bool = False) -> str:
    return draw.choice(DECOYS)(draw) if always or draw.random() < 0.5 else ""


def _wrong_id(draw: random.Random) -> str:
    right = _id_card(draw).upper()
    wrong = draw.choice([digit for digit in "0123456789" if digit != right[-1]])
    return f"系统流水{right[:-1]}{wrong}"


def _wrong_card(draw: random.Random) -> str:
    right = _bank_card(draw).replace(" ", "")
    return f"交易流水{right[:-1]}{(int(right[-1]) + draw.randint(1, 9)) % 10}"


VALUES: dict[str, Callable[[random.Random], str]] = {
    "CN_ID_CARD": _id_card, "CN_MOBILE": _mobile, "CN_BANK_CARD": _bank_card, "CN_PLATE": _plate, "EMAIL_ADDRESS": _email,
    "CN_USCC": _credit_code, "CN_PASSPORT": _passport, "PERSON": _name, "LOCATION": _address,
}  # fmt: skip
DECOYS: tuple[Callable[[random.Random], str], ...] = (
    lambda draw: f"订单号TM{2026000000 + draw.randrange(10**6)}",
    lambda draw: f"单号{draw.randrange(10**14, 10**15)}",
    lambda draw: f"运单SF{draw.randrange(10**12, 10**13)}",
    lambda draw: f"快递单号YT{draw.randrange(10**15, 10**16)}",
    lambda draw: (
        f"下单时间2026-{draw.randint(1, 12):02}-{draw.randint(1, 28):02} {draw.randint(0, 23):02}:{draw.randint(0, 59):02}:07"
    ),
    lambda draw: f"时间戳{1760000000 + draw.randrange(10**7)}",
    lambda draw: f"时间戳{1760000000000 + draw.randrange(10**10)}",
    lambda draw: f"金额{draw.randint(1, 99999)}.{draw.randint(0, 99):02}元",
    lambda draw: f"型号VX-{draw.randint(100, 999)}E{draw.randint(10, 99)}",
    lambda draw: f"序列号{''.join(draw.choices('0123456789ABCDEF', k=16))}",
    lambda draw: f"固件版本{draw.randint(1, 9)}.{draw.randint(0, 20)}.{draw.randint(0, 9)}.{draw.randint(0, 9)}",
    lambda draw: f"货架{draw.choice('京沪苏浙')}区{draw.choice('ABC')}{draw.randint(100, 99999)}",
    _wrong_id,
    _wrong_card,
)
