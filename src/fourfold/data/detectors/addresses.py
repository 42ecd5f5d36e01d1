"""Postal addresses, Chinese and English, by their form: administrative units, streets, numbers, rooms, postcodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fourfold.core.errors import BadSpec
from fourfold.data.detectors import Finding

Language = Literal["zh", "en"]
ENTITY = "LOCATION"

# ---- Chinese: from large to small. A name ends with what kind of place it is; it holds none of the words that lead up to it.

LEADS = "的了到在往至寄送去从是住址为于给我你您他她它们请把将和与及或让叫找回来说这那哪"
HAN = f"(?:(?![{LEADS}])[\u3400-\u9fff])"
PROVINCES = (
    *("北京", "天津", "上海", "重庆", "河北", "山西", "辽宁", "吉林", "黑龙江", "江苏", "浙江", "安徽", "福建", "江西", "山东"),
    *("河南", "湖北", "湖南", "广东", "海南", "四川", "贵州", "云南", "陕西", "甘肃", "青海", "台湾", "内蒙古", "广西", "西藏"),
    *("宁夏", "新疆", "香港", "澳门"),
)
PROVINCE = rf"(?:{'|'.join(PROVINCES)})(?:省|市|壮族自治区|回族自治区|维吾尔自治区|自治区|特别行政区)?"
CITY = rf"{HAN}{{2,7}}?(?:市|自治州|地区|盟)"
DISTRICT = rf"{HAN}{{1,7}}?(?:新区|开发区|自治县|区|县|旗|市)"
TOWN = rf"{HAN}{{1,7}}?(?:街道办事处|街道|镇|乡|社区|工业园|科技园|产业园|园区|村)"
STREET = rf"(?:{HAN}|[A-Za-z0-9]){{1,9}}?(?:大道|大街|胡同|路|街|巷|弄|道|里|坊|段|屯|庄)"
NUMERAL = r"(?:[0-9０-９]{1,5}|[一二三四五六七八九十百]{1,4})"
NUMBER = rf"(?:[甲乙丙丁东西南北]?{NUMERAL}(?:[-－—之]{NUMERAL})?\s?(?:号院|号楼|号|弄|號)(?:院|内)?)"
ESTATES = "小区|花园|花苑|大厦|广场|公寓|家园|佳苑|新村|中心|写字楼|大楼|别墅|公馆|府|苑|城|园|庭"
ESTATE = rf"(?:{HAN}|[A-Za-z0-9·]){{1,12}}?(?:{ESTATES})"
ROOM = (
    rf"(?:(?:[A-Za-z]?{NUMERAL}[A-Za-z]?|[A-Za-z])\s?(?:号楼|号房|号|栋|幢|座|单元|层|楼|室|户|房|门|棟)"
    rf"(?:[A-Za-z]?{NUMERAL}(?![0-9号栋幢座单室元层楼年月日元个件台]))?)"
)
GAP = r"[ ,，·]{0,2}"
CHINESE = re.compile(
    rf"(?P<head>(?:{PROVINCE}{GAP})?(?:{CITY}{GAP})?(?:{DISTRICT}{GAP})?(?:{TOWN}{GAP}){{0,2}})"
    rf"(?P<street>(?:{STREET}{GAP}){{0,3}}(?:{NUMBER}{GAP}){{0,2}})(?P<estate>(?:{ESTATE}{GAP}){{0,2}})(?P<room>(?:{ROOM}{GAP}){{0,5}})"
)
NUMBERED = re.compile(rf"{NUMERAL}\s?(?:号|弄|號|栋|幢|座|单元|室|层|楼|户)|[A-Za-z](?:座|栋|幢)")  # what no address is without
LONGEST = 80  # characters before the last number of an address
UNIT = re.compile("省|市|区|县|镇|乡|街道|村|自治州")
STREET_AND_NUMBER = re.compile(rf"(?:{STREET}){GAP}(?:{NUMBER})")

# ---- English and what is written like it: a number and a street, a unit, a box, a place with its postcode.

NAME = r"[A-ZÀ-ÖØ-Þ][\w'’.\-]*"
KIND = (
    r"(?:Street|Str|St|Avenue|Ave|Av|Road|Rd|Lane|Ln|Boulevard|Blvd|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Ter|Parkway"
    r"|Pkwy|Highway|Hwy|Circle|Cir|Crescent|Close|Alley|Row|Mews|Quay|Gardens|Grove|Hill|Park|Trail|Trl|Walk|Wharf|Plaza|Bridge"
    r"|Turnpike|Loop|Point|Ridge|Route|Junction)\b\.?"
)
# Streets that carry their kind within the name, or before it, as on the European continent.
COMPOUND = r"[A-ZÀ-ÖØ-Þ]\w*(?:stra(?:ss|ß)e|gasse|weg|platz|laan|straat|plein|katu|tie|gatan|vägen|gade|vej|vegen|utca)\b"
BEFORE = r"(?:[Rr]ue|Avenue|Via|Viale|Piazza|Corso|Vicolo|Rua|Praça|Calle|Plaza|Avenida|Carrer|Boulevard|Chemin|Place)"
OF = r"(?:de|du|des|da|do|dos|del|della|la|le|les|van|von|der|den|z|y)"
UNIT_EN = r"(?:Apt|Apartment|Suite|Ste|Unit|Flat|Room|Rm|Floor|Bldg|Building)\.? ?#?[A-Z]?\d{1,5}[A-Z]?\b"
POSTCODE = r"(?:\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d)\b"
SEP = r"[ \t]*(?:,|\n)?[ \t]*"
WORD = r"[A-ZÀ-ÖØ-Þ](?:[^\W\d_]|['’.\-]){0,30}(?![\w])"
PLACE = rf"{WORD}(?: {WORD}){{0,3}}"
TAIL = rf"(?:{SEP}{UNIT_EN}){{0,2}}(?:{SEP}{PLACE})?(?:{SEP}[A-Z]{{2}}(?!\w))?(?:{SEP}(?:{PLACE} )?{POSTCODE})?"
ENGLISH = re.compile(
    rf"(?<![\w.,$€£#-])(?:(?:\d{{1,5}}[A-Za-z]? ){{1,2}}(?:(?:{NAME}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}{KIND}(?:{TAIL})"
    rf"|(?:\d{{1,5}}[A-Za-z]? ){{0,2}}(?:{COMPOUND}|{BEFORE}(?: {OF}){{0,2}}(?: {NAME}){{1,4}}) \d{{1,4}}[A-Za-z]?\b(?:{TAIL})"
    rf"|\d{{1,5}}[A-Za-z]?,? {BEFORE}(?: {OF}){{0,2}}(?: {NAME}){{1,4}}(?:{TAIL})"
    rf"|(?:\d{{1,5}} ){{1,2}}{PLACE} \d{{1,4}}[A-Za-z]?(?:{SEP}{UNIT_EN})(?:{TAIL})"
    rf"|(?:\d{{1,5}} )?{PLACE}{SEP}{UNIT_EN}(?:{TAIL})|{UNIT_EN}(?:{TAIL})"
    rf"|(?:P\.? ?O\.? ?Box|PSC|Unit|USNV) \d{{2,6}}(?:,? Box \d{{2,5}})?(?:{SEP}(?:APO|FPO|DPO) [A-Z]{{2}})?(?:{TAIL}))"
)
ENGLISH_SIGN = re.compile(r"\d")
LINE_ENDS = re.compile(r"[ \t\n,，·]+$")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Postal addresses as LOCATION. Chinese ones: administrative units from large to small, street, number, estate, room, where
    a street has its number, or two units stand together with something below them. English ones, and those written like
    them: a numbered street by its kind (Road, Ave, rue, -strasse …), units (Apt. 4), boxes, the place and postcode behind.

    A name of a place alone is no address.
    """

    languages: tuple[Language, ...] = ("zh", "en")

    def __post_init__(self) -> None:
        if not self.languages:
            raise BadSpec("addresses: languages is empty.", hint="Name zh, en or both.")

    @property
    def entities(self) -> Sequence[str]:
        """The one that it finds."""
        return (ENTITY,)

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]:
        return [self._find(text) for text in texts]

    def _find(self, text: str) -> list[Finding]:
        found: list[Finding] = []
        for language, finder in (("zh", _chinese), ("en", _english)):
            if language in self.languages:
                found += [f for f in finder(text) if not any(f.start < g.end and g.start < f.end for g in found)]
        return sorted(found, key=lambda f: f.start)


def _chinese(text: str) -> Iterator[Finding]:
    at = 0
    for number in NUMBERED.finditer(text):
        at = max(at, number.start() - LONGEST)
        while at < number.end():
            match = CHINESE.match(text, at)
            score = 0.0 if match is None or match.end() == at else _chinese_score(match)
            if match is not None and score:
                end = at + len(LINE_ENDS.sub("", match[0]))
                yield Finding(at, end, ENTITY, score)
                at = end
            else:
                at += 1


def _chinese_score(match: re.Match[str]) -> float:
    """How sure it is that this is an address; 0 if it is none."""
    head, street, estate, room = match["head"], match["street"], match["estate"], match["room"]
    units = len(UNIT.findall(head)) + head.startswith(PROVINCES)
    numbered = bool(STREET_AND_NUMBER.search(street))
    if numbered and (units or estate or room):
        return 0.95
    if units >= 2 and (street or estate or room):
        return 0.9
    if units and estate and room:
        return 0.9
    return 0.8 if numbered or (estate and room and re.search(r"\d", room)) else 0.0


def _english(text: str) -> Iterator[Finding]:
    if ENGLISH_SIGN.search(text):
        for match in ENGLISH.finditer(text):
            yield Finding(match.start(), match.start() + len(LINE_ENDS.sub("", match[0])), ENTITY, 0.85)
