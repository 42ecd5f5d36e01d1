"""Who may do what: a table from actions to roles, asked once per act."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args

from fourfold.core.errors import NotPermitted
from fourfold.core.nouns import Actor, Role

ROLES: tuple[Role, ...] = get_args(Role)

EVERYBODY = frozenset(ROLES)

ACTIONS: dict[str, frozenset[Role]] = {
    "enter": EVERYBODY,  # who one is, and which annotation projects there are
    "read": EVERYBODY - {"annotator"},  # whoever only labels sees no document but those that are handed to them
    "predict": EVERYBODY - {"annotator"},
    "label": frozenset({"annotator", "developer", "admin"}),
    "adjudicate": frozenset({"developer", "approver", "admin"}),
    "make": frozenset({"developer", "admin"}),  # datasets, models, reports
    "promote": frozenset({"approver", "admin"}),
    "deploy": frozenset({"operator", "admin"}),
    "administer": frozenset({"admin"}),
    "reidentify": frozenset({"admin"}),  # turn pseudonyms back into what they stand for
}

P = ParamSpec("P")
R = TypeVar("R")


class Acting(Protocol):
    """Somebody's hand on the platform."""

    actor: Actor


def action(name: str) -> Callable[[Callable[Concatenate[Any, P], R]], Callable[Concatenate[Any, P], R]]:
    """Declare which action a platform method is. The table is asked each time before the method runs."""
    assert name in ACTIONS, name

    def declare(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
        @functools.wraps(method)
        def checked(self: Acting, *args: P.args, **kwargs: P.kwargs) -> R:
            permit(self.actor, name, method.__name__)
            return method(self, *args, **kwargs)

        checked.action = name  # type: ignore[attr-defined]
        return checked

    return declare


def permit(actor: Actor, name: str, act: str) -> None:
    """Raise NotPermitted, naming who may, unless the actor's role allows the action."""
    if actor.role not in ACTIONS[name]:
        who = " or ".join(sorted(ACTIONS[name]))
        raise NotPermitted(
            f"{actor.name} has role {actor.role}, which may not do this ({act}): it takes {who}.",
            hint="Ask an admin for a key with that role: fourfold keys create NAME --role ROLE",
        )


def allowed(role: Role) -> list[str]:
    """The actions that a role may do."""
    return [name for name, roles in ACTIONS.items() if role in roles]
