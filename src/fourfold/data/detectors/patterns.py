"""Personal data that has a form: e-mail and IP addresses, phone, card, identity and passport numbers, number plates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_address
from typing import Literal

import phonenumbers
from stdnum import luhn
from stdnum.cn import ric, uscc

from fourfold.core.errors import BadSpec, did_you_mean
from fourfold.data.detectors import Finding

Entity = Literal[
    "EMAIL_ADDRESS", "CN_ID_CARD", "CN_BANK_CARD", "CREDIT_CARD", "CN_USCC", "CN_PASSPORT", "CN_PLATE", "CN_MOBILE",
    "IP_ADDRESS", "PHONE_NUMBER",
]  # fmt: skip
Hits = Iterator[tuple[int, int, Entity, float]]
Area = tuple[int, int]  # of a text: where to look

WORTH_A_LOOK = re.compile("[0-9@０-９＠]|::")
# Digits with at most five signs between two; seven or more of them where the group matches. Whoever looks for numbers looks
# only around these: a pass over the digits of a text is cheap, nine are not.
RUN = re.compile(r"(\d(?:[^\w\n]{0,5}\d){6,})|\d(?:[^\w\n]{0,5}\d){3,5}")
BESIDE = 32  # characters: letters that belong to a number, a country code's bracket before it, an extension behind it
LONGEST_MAIL, LONGEST_HOST = 80, 600  # before the @, and behind it
MAILS, NUMBERS, PLATES, IPV4_ADDRESSES, IPV6_ADDRESSES = "@", "number", "plate", "ipv4", "ipv6"
WIDE = re.compile("[\uff01-\uff5e]")
NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # one for one: offsets stay

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9\u00c0-\u024f][\w.!#$%&'*+/=?^`{|}~\-]{0,63}"
    r"@(?:[A-Za-z0-9\u00c0-\u024f\-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])",
    re.ASCII,
)

ID_CARD = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{5}[ \-]?(?:18|19|20)\d{6}[ \-]?\d{3}[0-9Xx](?![0-9A-Za-z])")
PROVINCES = frozenset(  # first two digits, GB/T 2260
    str(n)
    for n in (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
)

# Unified social credit code, GB 32100: authority, kind, six digits of place, nine of the organisation, check digit.
USCC = re.compile(r"(?<![0-9A-Za-z])[1-9AN-Y][1-59]\d{6}[0-9A-HJ-NP-RT-UW-Y]{10}(?![0-9A-Za-z])")

# Number plates, GA 36: province, office, five signs or, for electric cars, six, among them at most two letters, never I or O.
PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Za-hj-np-z][ ·•・.\-]?"
    r"([0-9A-HJ-NP-Za-hj-np-z]{4}[学警挂港澳]|[0-9A-HJ-NP-Za-hj-np-z]{5,6})(?![0-9A-Za-z])"
)

# Passports: ordinary (E or G, a second letter since 2017), of service and diplomatic ones (P, S, D).
PASSPORT = re.compile(r"(?<![0-9A-Za-z])(?:[EeGg]\d{8}|[Ee][A-HJ-NP-Za-hj-np-z]\d{7}|[DdSsPp][Ee]?\d{7,8})(?![0-9A-Za-z])")
PASSPORT_BEFORE = re.compile(r"(?:护照|旅行证件|\bpassports?\b)[^\n0-9]{0,20}$", re.IGNORECASE)

# Twelve to nineteen digits, unbroken or in the groups that cards are printed in.
CARD = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][.,\-])(?:\d{12,19}|\d{4}([ \-])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?|\d{4}([ \-])\d{6}\2\d{4,5})"
    r"(?![0-9A-Za-z])"
)
CARD_ISSUERS = re.compile(  # first digits and lengths: ISO/IEC 7812, as issuers publish them
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}(?:\d\d)?|35\d{14}|(?:1800|2131)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"
    r"|(?:5[06-8]\d\d|6\d{3})\d{8,15}"
)
CARD_BEFORE = re.compile(r"(?:\bcards?\b|银行卡|信用卡|卡号)[^\n0-9]{0,16}$", re.IGNORECASE)
CN_CARD = re.compile(r"62\d{14,17}|9558\d{12,15}")

MOBILE = re.compile(
    r"(?<![0-9¥$€£])(?<![0-9][.,])(?:(?:\+|00)?86[ \-]?|\(\+?86\)[ \-]?)?"
    r"1[3-9]\d(?:[ \-]?\d{4}[ \-]?\d{4}|[ \-]\d{3}[ \-]\d{5})(?![0-9]|[.,][0-9]|[A-Za-z])"
)
LETTERS_BEFORE = re.compile(r"[A-Za-z0-9_#]*[A-Za-z_#][A-Za-z0-9_#\-]*$")
ABROAD_BEFORE = re.compile(r"\+\d{1,3}[ \-]?$")

IPV4 = re.compile(r"(?<![0-9.])(?<![A-Za-z])\d{1,3}(?:\.\d{1,3}){3}(?![0-9A-Za-z]|\.[0-9])")
IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{1,4})?(?::{1,2}[0-9A-Fa-f]{1,4}){1,8}(?:::)?(?:\.\d{1,3}){0,3}(?![0-9A-Za-z:])"
)
IPV6_SIGN = re.compile(":[0-9A-Fa-f]{1,4}:")
VERSION = re.compile(
    r"(?:\bv(?:er(?:sion)?)?|\brelease|\bbuild|\bfirmware|\bsection|\bchapter|\bclause|§|版本?号?|固件|第|章节?)"
    r"[\s:：.#]*(?:is |to |from |是|到|为)?$",
    re.IGNORECASE,
)

# A run of seven to fifteen digits with what people put between them; whether it is a phone number is decided afterwards.
PHONE = re.compile(
    r"(?<![0-9A-Za-z_@/=#¥$€£])(?<![0-9][.,:\-])(?<![A-Za-z]-)(?:\+ ?|\(\+?|00)?\d(?:(?:\)? ?[.\-/]? ?\(?|\) ?\()\d){6,16}"
    r"(?:(?:[ ,]{0,2}(?:x|ext\.?|extension|转|分机)[ ]?)\d{1,6})?(?![0-9A-Za-z%@_]|[.,:][0-9]|[\-/][0-9])",
    re.IGNORECASE,
)
EXTENSION = re.compile(r"[ ,]{0,2}(?:x|ext\.?|extension|转|分机) ?\d{1,6}$", re.IGNORECASE)
ROOM = re.compile(r"\d{4,6} +(?=[(\d])")  # a postcode or a room in front of the number
PHONE_BEFORE = re.compile(
    r"(?:\b(?:tele)?phones?|\btel|\bcell|\bcellphone|\bmobile|\bmob|\bcall(?:ed|ing|s|back)?|\bdial|\bring|\bfax|\bdesk"
    r"|\bwhats ?app|\bsms|\btext(?:ed)?|\bhotline|\breach(?:ed)?|\bcontact|\banswering|\bmessages?|\bregistered"
    r"|电话|手机|座机|热线|传真|致电|拨打?|来电|联系|号码|短信|微信)[^\n0-9]{0,24}\n?[^\n0-9]{0,6}$",
    re.IGNORECASE,
)
PHONE_AFTER = re.compile(r"[ \-(,]{0,3}(?:office|mobile|cell|fax|home|work|desk|phone|电话|手机)\b", re.IGNORECASE)
OTHER_BEFORE = re.compile(
    r"(?:\border|\binvoice|\btracking|\bparcel|\bticket|\bserial|\bref(?:erence)?|\bcase|\bmodel|\bsku|\baccount|\bcard|\bid"
    r"|\bcode|\bimei|\biban|\bssn|\bzip|\bpassport|\blicen[cs]e|\bversion|单号|订单|编号|运单|快递|发票|序列|型号|工单|案号"
    r"|卡号|税号|账号|帐号|条码|批号|验证码|会员号?)(?:[ ]?(?:no\.?|number|nr\.?|num|code|号码?|#))?[^\n0-9]{0,12}$",
    re.IGNORECASE,
)
NEVER_BEFORE = re.compile(r"(?:\btimestamp|时间戳|流水号?|单号|金额)[^\n0-9]{0,4}$", re.IGNORECASE)  # however near a phone is
IBAN_BEFORE = re.compile(r"\b[A-Z]{2}\d\d(?: ?[0-9A-Z]{4}){0,6} ?$")
DAY = r"(?:0?[1-9]|[12]\d|3[01])"
DATE = re.compile(rf"(?:19|20)\d\d[.\-/ ]?(?:0?[1-9]|1[0-2])[.\-/ ]?{DAY}(?!\d)|{DAY}[./\-]{DAY}[./\-](?:19|20)\d\d")
YEARS = re.compile(r"(?:19|20)\d\d ?[\-/] ?(?:19|20)\d\d")
NO_PHONE = re.compile(r"\d{5}-\d{4}|\d+\.(?:\d\d?|\d{5,})")  # ZIP+4; an amount; a decimal number
BEFORE, AFTER = 48, 16  # characters of context


@dataclass(frozen=True, slots=True)
class Patterns:
    """Entities by form and check: e-mail addresses; Chinese identity cards (GB 11643: province, date of birth, check digit) and
    unified social credit codes (GB 32100: check digit); cards (issuer's digits, length, Luhn; Chinese ones begin with 62);
    Chinese passports beside the word, number plates and mobile numbers; IP addresses (v4, v6); phone numbers that are valid in
    one of `regions`, or that stand beside a word such as "call" or 电话.

    Full-width digits and letters count as their half-width forms. Where findings overlap the first of that order is kept.
    """

    entities: tuple[Entity, ...] = (
        "EMAIL_ADDRESS",
        "CN_ID_CARD",
        "CN_BANK_CARD",
        "CREDIT_CARD",
        "CN_USCC",
        "CN_PASSPORT",
        "CN_PLATE",
        "CN_MOBILE",
        "IP_ADDRESS",
        "PHONE_NUMBER",
    )
    regions: tuple[str, ...] = ("CN", "US", "GB")  # where a number without country code may be from (ISO 3166)

    def __post_init__(self) -> None:
        for region in self.regions:
            if region not in phonenumbers.SUPPORTED_REGIONS:
                raise BadSpec(f"There is no region {region!r}.{did_you_mean(region.upper(), phonenumbers.SUPPORTED_REGIONS)}")

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]:
        return [self._find(text) if WORTH_A_LOOK.search(text) else [] for text in texts]

    def _find(self, text: str) -> list[Finding]:
        if not text.isascii() and WIDE.search(text):
            text = text.translate(NARROW)
        areas = _areas(text)
        found: list[Finding] = []
        for sign, finder in FINDERS:
            for area in areas.get(sign, ()):
                for start, end, entity, score in finder(text, area, self):
                    if not any(start < other.end and other.start < end for other in found):
                        found.append(Finding(start, end, entity, score))
        return sorted((f for f in found if f.entity in self.entities), key=lambda f: f.start)


def _areas(text: str) -> dict[str, list[Area]]:
    """Where finders must look, by the sign that they go by. One pass over the digits of a text serves most of them."""
    long: list[Area] = []
    whole = [(0, len(text))]
    areas: dict[str, list[Area]] = {} if text.isascii() else {PLATES: whole}
    for run in RUN.finditer(text):
        if IPV4_ADDRESSES not in areas and run[0].count(".") >= 3:
            areas[IPV4_ADDRESSES] = whole
        if run[1] is not None:  # seven digits or more
            _widen(long, run.start() - BESIDE, run.end() + BESIDE)
    if long:
        areas[NUMBERS] = long
    at = text.find("@")
    while at >= 0:
        _widen(areas.setdefault(MAILS, []), at - LONGEST_MAIL, at + LONGEST_HOST)
        at = text.find("@", at + 1)
    if "::" in text or IPV6_SIGN.search(text):
        areas[IPV6_ADDRESSES] = whole
    return areas


def _widen(areas: list[Area], start: int, end: int) -> None:
    """One more area, joined to the last where they meet."""
    if areas and start <= areas[-1][1]:
        areas[-1] = (areas[-1][0], end)
    else:
        areas.append((max(0, start), end))


def _emails(text: str, area: Area, _part: Patterns) -> Hits:
    for match in EMAIL.finditer(text, *area):
        yield match.start(), match.end(), "EMAIL_ADDRESS", 1.0


def _id_cards(text: str, area: Area, _part: Patterns) -> Hits:
    for match in ID_CARD.finditer(text, *area):
        number = ric.compact(match[0])
        if _is_of_a_person(number) and number[-1] == ric.calc_check_digit(number):
            yield match.start(), match.end(), "CN_ID_CARD", 1.0


def _credit_codes(text: str, area: Area, _part: Patterns) -> Hits:
    for match in USCC.finditer(text, *area):
        if uscc.is_valid(match[0]) and not _is_of_a_person(match[0]):
            yield match.start(), match.end(), "CN_USCC", 1.0


def _plates(text: str, area: Area, _part: Patterns) -> Hits:
    for match in PLATE.finditer(text, *area):
        letters = sum(sign.isascii() and sign.isalpha() for sign in match[1])
        if letters <= 2:
            yield match.start(), match.end(), "CN_PLATE", 0.95


def _passports(text: str, area: Area, _part: Patterns) -> Hits:
    for match in PASSPORT.finditer(text, *area):
        if PASSPORT_BEFORE.search(text, max(0, match.start() - BEFORE), match.start()):
            yield match.start(), match.end(), "CN_PASSPORT", 0.95


def _cards(text: str, area: Area, _part: Patterns) -> Hits:
    for match in CARD.finditer(text, *area):
        digits = re.sub(r"\D", "", match[0])
        if not luhn.is_valid(digits):
            continue
        if CN_CARD.fullmatch(digits):
            yield match.start(), match.end(), "CN_BANK_CARD", 0.99
        elif NEVER_BEFORE.search(text, max(0, match.start() - BEFORE), match.start()) or _is_of_a_person(digits):
            continue  # one in ten numbers of a parcel, or of a person with a slip in it, has a card's check digit
        elif CARD_ISSUERS.fullmatch(digits) or CARD_BEFORE.search(text, max(0, match.start() - BEFORE), match.start()):
            yield match.start(), match.end(), "CREDIT_CARD", 0.95


def _mobiles(text: str, area: Area, _part: Patterns) -> Hits:
    for match in MOBILE.finditer(text, *area):
        # Part of an order number or a word, unless the word says what it is: "Tel13800000000".
        if ABROAD_BEFORE.search(text, max(0, match.start() - 8), match.start()):
            continue  # +49 152 …: a German one
        glued = LETTERS_BEFORE.search(text, max(0, match.start() - BEFORE), match.start())
        if not glued or PHONE_BEFORE.search(text, max(0, match.start() - BEFORE), match.start()):
            yield match.start(), match.end(), "CN_MOBILE", 0.99


def _short_addresses(text: str, area: Area, _part: Patterns) -> Hits:
    return _addresses(text, IPV4.finditer(text, *area))


def _long_addresses(text: str, area: Area, _part: Patterns) -> Hits:
    return _addresses(text, IPV6.finditer(text, *area))


def _addresses(text: str, matches: Iterator[re.Match[str]]) -> Hits:
    for match in matches:
        try:
            address = ip_address(match[0])
        except ValueError:
            continue
        short = "::" in match[0] and not any(c.isdigit() for c in match[0])
        if (
            not short
            and not VERSION.search(text, max(0, match.start() - BEFORE), match.start())
            and not _is_zero(address.packed)
        ):
            yield match.start(), match.end(), "IP_ADDRESS", 0.95


def _phones(text: str, area: Area, part: Patterns) -> Hits:
    for match in PHONE.finditer(text, *area):
        start, end = match.span()
        if match[0].startswith("(") and match[0].count("(") > match[0].count(")"):
            start += 1  # it opens a remark, not the area code
        if IBAN_BEFORE.search(text, max(0, start - BEFORE), start):
            continue
        room = ROOM.match(text, start, end)
        if room and any(_valid(text[room.end() : end], region) for region in part.regions):
            start = room.end()
        score = _phone_score(text, start, end, part.regions)
        if score:
            yield start, end, "PHONE_NUMBER", score


def _phone_score(text: str, start: int, end: int, regions: Sequence[str]) -> float:
    """How sure it is that text[start:end] is a phone number; 0 if it is none."""
    number = EXTENSION.sub("", text[start:end])
    digits = re.sub(r"\D", "", number)
    if not 7 <= len(digits) <= 15 or DATE.match(number) or YEARS.match(number) or NO_PHONE.fullmatch(number):
        return 0.0
    before = max(0, start - BEFORE)
    if NEVER_BEFORE.search(text, before, start):
        return 0.0
    other = OTHER_BEFORE.search(text, before, start)
    if number.lstrip("( ").startswith(("+", "00")) and not (other and "+" not in number):
        return 0.99 if _possible_abroad(number) else 0.0
    near = PHONE_BEFORE.search(text, before, start)
    if (near and (not other or near.end() > other.start() > near.start())) or PHONE_AFTER.match(text[end : end + AFTER]):
        return 0.0 if other and not near else 0.8
    if other or not _grouped(number):
        return 0.0
    return 0.7 if any(_valid(number, region) for region in regions) else 0.0


def _grouped(number: str) -> bool:
    """Whether the digits stand in groups as phone numbers do: at least two, none of them of one digit but the first."""
    groups = re.findall(r"\d+", number)
    return len(groups) > 1 and all(len(group) > 1 for group in groups[1:]) and len(groups[-1]) >= 2


def _possible_abroad(number: str) -> bool:
    plain = re.sub(r"^\(?(?:\+|00)", "+", number.replace("(0)", "").strip())
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(plain, None))
    except phonenumbers.NumberParseException:
        return False


def _valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number_for_region(phonenumbers.parse(number, region), region)
    except phonenumbers.NumberParseException:
        return False


def _is_of_a_person(number: str) -> bool:
    """Whether 18 digits begin as an identity number does: a province, a place, a date of birth."""
    return (
        len(number) == 18
        and number[:2] in PROVINCES
        and number[:17].isdigit()
        and "18" <= number[6:8] <= "20"
        and _is_date(number[6:14])
    )


def _is_date(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True


def _is_zero(packed: bytes) -> bool:
    return (packed[:1] == b"\x00" and len(packed) == 4) or not any(packed)  # 0.x.x.x is no host


# In the order in which they have first choice, each with the sign that it goes by.
FINDERS: tuple[tuple[str, Callable[[str, Area, Patterns], Hits]], ...] = (
    (MAILS, _emails),
    (NUMBERS, _id_cards),
    (NUMBERS, _cards),
    (NUMBERS, _credit_codes),
    (NUMBERS, _passports),
    (PLATES, _plates),
    (NUMBERS, _mobiles),
    (IPV4_ADDRESSES, _short_addresses),
    (IPV6_ADDRESSES, _long_addresses),
    (NUMBERS, _phones),
)
