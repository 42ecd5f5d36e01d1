"""Asking a deployment, and tracing its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fourfold.application.results import Followed, Trace
from fourfold.application.sdk import Line
from fourfold.compute.tasks import TASKS, Embedded, Generated, Ranked, Scored, Suggested, Tagged
from fourfold.core.errors import BadSpec, did_you_mean

Result = Tagged | Ranked | Scored | Suggested | Generated | Embedded


@dataclass(frozen=True, slots=True)
class Answer:
    """What a deployment answered: one result per input, in order. `id` is what `why` traces; times are milliseconds."""

    id: str
    deployment: str
    version: str
    results: Sequence[Result]
    route: Mapping[str, Any]
    usage: Mapping[str, int]
    timings_ms: Mapping[str, float]


class Asking(Line):
    """Asking a deployment, and tracing its answers."""

    def ask(
        self,
        deployment: str,
        task: str,
        inputs: str | Mapping[str, Any] | msgspec.Struct | Sequence[str | Mapping[str, Any] | msgspec.Struct],
        **options: Any,
    ) -> Answer:
        """Ask a deployment: texts, or inputs of the task such as {"query": …, "items": […]}, with options such as unit="word".

        Raises NotReady where nothing serves the home.
        """
        if task not in TASKS:
            raise BadSpec(f"There is no task {task!r}.{did_you_mean(task, TASKS)}", hint=f"Known: {', '.join(TASKS)}.")
        many = [inputs] if isinstance(inputs, str | Mapping | msgspec.Struct) else inputs
        body = {"inputs": [{"text": one} if isinstance(one, str) else one for one in many], **options}
        answer = msgspec.json.decode(self._transport.ask(deployment, task, body))
        results: Any = msgspec.convert(answer["results"], list[TASKS[task].result])
        return Answer(results=results, **{f: answer[f] for f in Answer.__dataclass_fields__ if f != "results"})

    def why(self, answer_id: str, *, text: str | None = None, limit: int = 5) -> Trace:
        """The chain from an answer down to source documents. `text`: the input, where the deployment does not keep it."""
        return self._do("why", {"answer_id": answer_id, "text": text, "limit": limit}, Trace)

    def follow(self, dataset: str, thing: str, *, limit: int = 20) -> Followed:
        """The way of a document from raw bytes to a dataset, each change as a diff and each drop with its reason; or, where
        `thing` is the path or digest of a raw file, the ways of the documents that came of it.
        """
        return self._do("follow", {"dataset": dataset, "thing": thing, "limit": limit}, Followed)
