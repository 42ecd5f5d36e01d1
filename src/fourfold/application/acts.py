"""Every act of the platform and its route under /api/v1: one line each. Path parameters are arguments of the method.

The other arguments are the query of a GET and the JSON body of the rest. A `long` act answers 202 with a job.
"""

from __future__ import annotations

import functools
import inspect
import typing
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Act:
    """A platform method's route. `tag` groups it in the documentation; `etag` names where the reply's revision stands."""

    name: str
    method: str
    path: str
    tag: str
    long: bool = False
    etag: str = ""
    status: int = 200

    @property
    def action(self) -> str:
        """The permission that it takes. An act without one is a mistake that stops the program."""
        from fourfold.application.platform import Platform  # the table itself is light: the SDK reads it

        declared = getattr(getattr(Platform, self.name), "action", None)
        assert declared is not None, f"Platform.{self.name} declares no action"
        return declared


ACTS = {
    act.name: act
    for act in (
        Act("versions", "GET", "/versions", "versions"),
        Act("version", "GET", "/versions/{ref}", "versions"),
        Act("tags", "GET", "/versions/{ref}/tags", "versions"),
        Act("tag", "POST", "/versions/{ref}/tags", "versions"),
        Act("version_file", "GET", "/versions/{ref}/files/{path:path}", "versions"),
        Act("show", "GET", "/things/{thing}", "versions"),
        Act("collect", "POST", "/datasets/collect", "datasets", long=True),
        Act("sources", "GET", "/sources", "datasets"),
        Act("extract", "POST", "/datasets/extract", "datasets", long=True),
        Act("clean", "POST", "/datasets/clean", "datasets", long=True),
        Act("deidentify", "POST", "/datasets/deidentify", "datasets", long=True),
        Act("export", "POST", "/datasets/export", "datasets", long=True),
        Act("fill", "POST", "/datasets/{dataset}/fill", "datasets"),
        Act("detection", "POST", "/datasets/detection", "datasets", long=True),
        Act("reidentify", "POST", "/datasets/{dataset}/reidentify", "datasets"),
        Act("describe", "GET", "/datasets/{dataset}/description", "datasets"),
        Act("documents", "GET", "/datasets/{dataset}/documents", "datasets"),
        Act("index", "POST", "/indexes", "indexes", long=True),
        Act("search", "GET", "/indexes/{index}/search", "indexes"),
        Act("drops", "GET", "/datasets/{dataset}/drops", "datasets"),
        Act("annotations", "GET", "/annotations", "annotations"),
        Act("create_annotation", "POST", "/annotations", "annotations", status=201),
        Act("annotation", "GET", "/annotations/{name}", "annotations"),
        Act("write_guideline", "POST", "/annotations/{name}/guidelines", "annotations"),
        Act("next_items", "POST", "/annotations/{name}/next", "annotations"),
        Act("release_items", "POST", "/annotations/{name}/release", "annotations"),
        Act("label_item", "POST", "/annotations/{name}/answers", "annotations"),
        Act("labels", "GET", "/annotations/{name}/answers", "annotations"),
        Act("agreement", "GET", "/annotations/{name}/agreement", "annotations"),
        Act("disagreements", "GET", "/annotations/{name}/disagreements", "annotations"),
        Act("adjudicate", "POST", "/annotations/{name}/decisions", "annotations"),
        Act("prelabel", "POST", "/annotations/{name}/prelabel", "annotations", long=True),
        Act("publish_annotation", "POST", "/annotations/{name}/publish", "annotations", long=True),
        Act("import_annotation", "POST", "/annotations/{name}/import", "annotations"),
        Act("export_annotation", "GET", "/annotations/{name}/export", "annotations"),
        Act("close_annotation", "POST", "/annotations/{name}/close", "annotations"),
        Act("move_annotation", "POST", "/annotations/{name}/move", "annotations"),
        Act("train", "POST", "/models/train", "models", long=True),
        Act("evaluate", "POST", "/models/evaluate", "models", long=True),
        Act("compare", "POST", "/models/compare", "models", long=True),
        Act("predict", "POST", "/models/predict", "models", long=True),
        Act("promote", "POST", "/aliases/promote", "aliases"),
        Act("aliases", "GET", "/aliases", "aliases"),
        Act("alias", "GET", "/aliases/{name}/{alias}", "aliases"),
        Act("deployments", "GET", "/deployments", "deployments"),
        Act("deployment", "GET", "/deployments/{name}", "deployments", etag="deployment"),
        Act("deploy", "PUT", "/deployments/{name}", "deployments", etag="."),
        Act("retire", "POST", "/deployments/{name}/retire", "deployments", etag="."),
        Act("rollback", "POST", "/deployments/{name}/rollback", "deployments", etag="."),
        Act("why", "GET", "/answers/{answer_id}/why", "answers"),
        Act("follow", "GET", "/datasets/{dataset}/why", "answers"),
        Act("runs", "GET", "/runs", "runs"),
        Act("run", "GET", "/runs/{run_id}", "runs"),
        Act("run_metrics", "GET", "/runs/{run_id}/metrics", "runs"),
        Act("run_log", "GET", "/runs/{run_id}/log", "runs"),
        Act("jobs", "GET", "/jobs", "jobs"),
        Act("submit", "POST", "/jobs", "jobs", status=202),
        Act("job", "GET", "/jobs/{job_id}", "jobs"),
        Act("cancel", "POST", "/jobs/{job_id}/cancel", "jobs"),
        Act("retry", "POST", "/jobs/{job_id}/retry", "jobs"),
        Act("limit_queue", "PUT", "/queues/{queue}", "jobs"),
        Act("schedules", "GET", "/schedules", "jobs"),
        Act("schedule", "PUT", "/schedules/{name}", "jobs"),
        Act("unschedule", "POST", "/schedules/{name}/remove", "jobs"),
        Act("apply", "POST", "/projects/apply", "projects", long=True),
        Act("collect_garbage", "POST", "/garbage/collect", "storage", long=True),
        Act("fsck", "POST", "/storage/fsck", "storage", long=True),
        Act("erase", "POST", "/versions/erase", "storage", long=True),
        Act("remove", "POST", "/versions/{ref}/remove", "storage"),
        Act("hold", "POST", "/versions/{ref}/hold", "storage"),
        Act("keys", "GET", "/keys", "keys"),
        Act("create_key", "POST", "/keys", "keys", status=201),
        Act("revoke_key", "POST", "/keys/{key_id}/revoke", "keys"),
        Act("storage", "GET", "/storage", "stores"),
        Act("add_store", "POST", "/stores", "stores", long=True),
        Act("move_to_store", "POST", "/stores/{name}/move", "stores", long=True),
        Act("remove_store", "POST", "/stores/{name}/remove", "stores", long=True),
        Act("scrub_store", "POST", "/stores/{name}/scrub", "stores", long=True),
        Act("whoami", "GET", "/whoami", "keys"),
        Act("back_up", "POST", "/backups", "backups", long=True),
        Act("backups", "GET", "/backups", "backups"),
        Act("verify_backup", "POST", "/backups/verify", "backups", long=True),
        Act("doctor", "GET", "/doctor", "health"),
    )
}


@functools.cache
def signature(name: str) -> tuple[list[inspect.Parameter], dict[str, Any], Any]:
    """Parameters (without self), resolved type of each, and return type of a platform method."""
    from fourfold.application.platform import Platform

    method = inspect.unwrap(getattr(Platform, name))
    hints = typing.get_type_hints(method)
    result = hints.pop("return")
    return list(inspect.signature(method).parameters.values())[1:], hints, result
