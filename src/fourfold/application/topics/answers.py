"""Answers and whatever an id stands for."""

from __future__ import annotations

from fourfold.application import answers, look
from fourfold.application.permissions import action
from fourfold.application.results import Shown, Trace
from fourfold.application.topics import Hand


class Answers(Hand):
    """Answers and whatever an id stands for."""

    @action("read")
    def why(self, answer_id: str, *, text: str | None = None, limit: int = 5) -> Trace:
        """The chain from an answer down to source documents. `text`: the input, where the deployment does not keep it."""
        return answers.why(self.ledger, answer_id, text=text, limit=limit)

    @action("read")
    def show(self, thing: str) -> Shown:
        """Whatever a version, alias, run, job, answer, deployment, document id or digest stands for."""
        return look.show(self.ledger, thing)
