"""Invented Chinese personal data with its gold spans: every check digit is right, and nobody is meant."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from stdnum import luhn
from stdnum.cn import ric, uscc

from fourfold.data.detectors import Finding

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
FAMILY_NAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN_NAMES = (
    "伟",
    "芳",
    "娜",
    "秀英",
    "敏",
    "静",
    "丽",
    "强",
    "磊",
    "军",
    "洋",
    "勇",
    "艳",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "霞",
    "平",
    "子轩",
    "雨桐",
)

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


def invented_texts(count: int, *, seed: int = 0) -> Iterator[Invented]:
    """`count` messages as customers write them: six in seven hold personal data, more than half a decoy (order and parcel
    numbers, times, tracking codes, amounts, wrong check digits). Equal seeds give equal texts.
    """
    draw = random.Random(seed)
    kinds = list(SENTENCES)
    for n in range(count):
        if n % 7 == 6:
            yield Invented(draw.choice(NOTHING).format(d=_decoy(draw, always=True)), ())
            continue
        entity = draw.choice(kinds)
        value = VALUES[entity](draw)
        before, after = draw.choice(SENTENCES[entity]).split("{X}")
        name = draw.choice(FAMILY_NAMES) + draw.choice(GIVEN_NAMES)
        before, after = (part.format(n=name, d=_decoy(draw)) for part in (before, after))
        yield Invented(before + value + after, (Finding(len(before), len(before) + len(value), entity, 1.0),))


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
    "CN_USCC": _credit_code, "CN_PASSPORT": _passport,
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
