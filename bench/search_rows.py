"""Chinese rows for search: 20,000 messages to a shop, drawn by a seeded generator, and strings that stand in them literally.

Words come alone and inside longer ones (快递, 快递费, 快递员), phrases whole and torn apart (客服态度, 客服的态度), and some
strings stand across the borders of words (会员工作日 holds 员工).
"""

from __future__ import annotations

import random

ROWS, STRINGS = 20_000, 200


def _words(text: str) -> list[str]:
    return text.split()


THINGS = _words("""
    水壶 电水壶 加湿器 台灯 扫地机 扫地机器人 体脂秤 咖啡机 磨豆机 净化器 空气净化器 插座 智能插座 滤芯 滤网
    壶盖 底座 电源线 遥控器 说明书 包装盒 快递 快递费 快递员 快递单号 快递柜 运费 运费险 发票 电子发票 订单
    订单号 会员 会员卡 会员积分 积分 优惠券 赠品 退款 退款申请 退货 退货地址 换货 保修 保修期 保修卡 客服
    客服电话 人工客服 在线客服 验证码 账号 密码 地址 收货地址 仓库 物流
""")
DOINGS = _words("""
    坏了 漏水 不亮 不转 没声音 连不上 充不进电 有异味 太吵 很好用 收到了 还没到 丢了 寄错了 少发了 碎了 发烫
    掉漆 生锈 报错 一直闪 关不掉 开不了机 自动关机 显示离线 价格变了 过期了 用不了 找不到 退回来了 签收了
    被拒收 延误了 到账了 没到账
""")
PEOPLE = _words("""
    我妈 我爸 老人 孩子 邻居 同事 室友 前台 门卫 快递小哥 安装师傅 店员 员工 会员 客户 买家 朋友
""")
WHEN = _words("""
    昨天 今天 前天 上周 这个月 国庆那天 早上 晚上 中午 刚才 工作日 周末 三天前 半个月前 双十一
""")
FEELINGS = _words("""
    客服态度很好 客服态度差 客服的态度让人生气 态度和服务都不错 服务态度一般 体验不错 有点失望 非常满意 不想再买了
    会推荐给别人
""")
ASKS = _words("""
    请尽快处理 怎么退 能换新的吗 麻烦查一下 什么时候发货 可以补发吗 多久能到 需要寄回吗 在哪里看 谢谢
""")
JOINS = ("，而且", "，但是", "，所以", "。另外", "；还有", "！结果", "，", " ", "\n")
SHAPES = (
    "{when}{people}说{thing}{doing}",
    "{thing}和{thing2}都{doing}",
    "{people}把{thing}弄丢了，{ask}",
    "会员工作日也能领{thing}吗",
    "{thing}的{thing2}{doing}，{feeling}",
    "{feeling}，{ask}",
    "买{thing}送的{thing2}{doing}",
    "{when}申请的{thing}，{when}才{doing}",
)


def rows(count: int = ROWS, seed: int = 4) -> list[str]:
    """The texts, the same each time; the first of a smaller `count` are those of a larger one."""
    draw = random.Random(seed)
    return [_row(draw) for _ in range(count)]


def strings(texts: list[str], count: int = STRINGS, seed: int = 5) -> list[str]:
    """Words, phrases, and stretches of two to six characters without signs, each in some text; 快递 and 客服态度 among them."""
    draw = random.Random(seed)
    found = dict.fromkeys(["快递", "客服态度", "员工", "会员", "态度", *draw.sample(THINGS, 40), *draw.sample(DOINGS, 15)])
    while len(found) < count:
        text = draw.choice(texts)
        begin, length = draw.randrange(len(text)), draw.randint(2, 6)
        stretch = text[begin : begin + length]
        if len(stretch) == length and all("\u4e00" <= character <= "\u9fff" for character in stretch):
            found[stretch] = None
    return list(found)[:count]


def _row(draw: random.Random) -> str:
    parts = [_sentence(draw)]
    for _ in range(draw.randrange(3)):
        parts += [draw.choice(JOINS), _sentence(draw)]
    return "".join(parts)


def _sentence(draw: random.Random) -> str:
    return draw.choice(SHAPES).format(
        thing=draw.choice(THINGS),
        thing2=draw.choice(THINGS),
        doing=draw.choice(DOINGS),
        people=draw.choice(PEOPLE),
        when=draw.choice(WHEN),
        feeling=draw.choice(FEELINGS),
        ask=draw.choice(ASKS),
    )
