"""Answers and whatever an id stands for."""

from __future__ import annotations

from fourfold.application import answers, following, look
from fourfold.application.permissions import action
from fourfold.application.results import Followed, Shown, Trace
from fourfold.application.topics import Hand


class Answers(Hand):
    """Answers and whatever an id stands for."""

    @action("read")
    def why(self, answer_id: str, *, text: str | None = None, limit: int = 5) -> Trace:
        """The chain from an answer down to source documents. `text`: the input, where the deployment does not keep it."""
        return answers.why(self.ledger, answer_id, text=text, limit=limit)

    @action("read")
    def follow(self, dataset: str, thing: str, *, limit: int = 20) -> Followed:
        """The way of a document from raw bytes to a dataset, each change as a diff and each drop with its reason; or, where
        `thing` is the path or digest of a raw file, the ways of the documents that came of it.
        """
        return following.follow(self.ledger, self.ledger.version(dataset), thing, limit=limit)

    @action("read")
    def show(self, thing: str) -> Shown:
        """Whatever a version, alias, run, job, answer, deployment, document id or digest stands for."""
        return look.show(self.ledger, thing)
