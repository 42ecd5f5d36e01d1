"""Dialogues: chat messages, ShareGPT and alpaca records → one shape, the messages of OpenAI's interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["auto", "messages", "sharegpt", "alpaca"]
ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "customer", "client", "用户", "客户"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "model", "bot", "agent", "客服", "助手"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "function_response"), "tool"),
    **dict.fromkeys(("function_call", "tool_call"), "assistant"),
}
OUTCOMES = ("outcome", "resolution", "result", "rating", "feedback", "score", "status", "结果", "评价", "满意度")
TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog")
ALPACA = ("instruction", "input", "output", "history", "system")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Messages (`role`, `content`, and whatever else a message says), how it ended, and the record's other fields."""

    messages: list[dict[str, Any]]
    outcome: Any = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What was said, a message after the other."""
        return "\n".join(content for one in self.messages if (content := one["content"]).strip())

    @property
    def roles(self) -> list[str]:
        """Who spoke, in order."""
        return [one["role"] for one in self.messages]

    @property
    def turns(self) -> int:
        """How often somebody asked."""
        return self.roles.count("user")


def dialogue_of(record: Mapping[str, Any], kind: Kind = "auto", outcome: str = "") -> Dialogue | str:
    """The dialogue of a record, or why there is none: `no_messages`, `unknown_role`, `bad_message`, `no_text`."""
    turns = next((name for name in TURNS if isinstance(record.get(name), list)), "")
    if kind == "alpaca" or (kind == "auto" and not turns and "instruction" in record):
        found, used = _alpaca(record), ALPACA
    elif turns:
        found, used = _turns(record[turns], record.get("system")), (turns, "system")
    else:
        return "no_messages"
    if isinstance(found, str):
        return found
    ended = outcome or next((name for name in OUTCOMES if record.get(name) not in (None, "", [], {})), "")
    rest = {name: value for name, value in record.items() if name not in used and name != ended}
    dialogue = Dialogue(found, record.get(ended) if ended else None, rest)
    if not found:
        return "no_messages"
    return dialogue if dialogue.text.strip() else "no_text"


def _turns(turns: Sequence[Any], system: Any) -> list[dict[str, Any]] | str:
    found: list[dict[str, Any]] = []
    if isinstance(system, str) and system.strip():
        found.append({"role": "system", "content": system})
    for one in turns:
        if not isinstance(one, Mapping):
            return "bad_message"
        said = one.get("role", one.get("from"))
        role = ROLES.get(said.strip().lower()) if isinstance(said, str) else None
        if role is None:
            return "unknown_role"
        content = _content(one.get("content", one.get("value", one.get("text"))))
        if content is None:
            return "bad_message"
        more = {name: value for name, value in one.items() if name not in ("role", "from", "content", "value", "text")}
        call = {"said_as": said} if said in ("function_call", "tool_call") else {}
        found.append({"role": role, "content": content, **call, **more})
    return found


def _content(value: Any) -> str | None:
    """The text of a message: a string, parts of which some are text, or nothing beside a call of a tool."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
        return "\n".join(part["text"] for part in value if isinstance(part.get("text"), str))
    return None


def _alpaca(record: Mapping[str, Any]) -> list[dict[str, Any]] | str:
    found: list[dict[str, Any]] = []
    asked, given, answer = (record.get(name) or "" for name in ("instruction", "input", "output"))
    if not all(isinstance(one, str) for one in (asked, given, answer)):
        return "bad_message"
    system = record.get("system")
    if isinstance(system, str) and system.strip():
        found.append({"role": "system", "content": system})
    for pair in record.get("history") or ():
        if not (isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(one, str) for one in pair)):
            return "bad_message"
        found += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    said = "\n".join(part for part in (asked, given) if part.strip())
    pairs = (("user", said), ("assistant", answer))
    return found + [{"role": role, "content": content} for role, content in pairs if content.strip()]
