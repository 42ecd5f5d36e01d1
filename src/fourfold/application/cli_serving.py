"""Commands on what is served: up, deploy, retire, rollback, deployments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, note, opened
from fourfold.application.cli_specs import settings, weighted
from fourfold.core.errors import BadSpec

if TYPE_CHECKING:
    from fourfold.application.client import Client
    from fourfold.application.results import DeploymentDetail
    from fourfold.core.nouns import Deployment

Name = Annotated[str, Parameter(help="The public name.")]
Reason = Annotated[str, Parameter(help="Why; it stays in the deployment's history.")]
Revision = Annotated[int | None, Parameter(help="Change nothing unless the deployment is at this revision.")]
Wait = Annotated[float, Parameter(help="Seconds to wait until it is served, where Fourfold runs. Default: 20.")]


def up(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on. Default: the home's setting, 127.0.0.1.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on. Default: the home's setting, 8044.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Serve a home until Ctrl-C."""
    from fourfold.application.own_key import first_key
    from fourfold.application.serving.supervisor import serve  # with everything that serves

    home = common.folder("up")

    def announce(address: str) -> None:
        token = first_key(home)

        def text() -> None:
            print(f"Fourfold serves {home} at {address}", flush=True)
            if token is not None:
                print(f"Admin token, shown this once: {token}", flush=True)
                print(f"Use it elsewhere: export FOURFOLD_URL={address} FOURFOLD_TOKEN={token}", flush=True)

        emit(common, {"home": str(home), "address": address, "admin_token": token}, text)
        note("Stop it with Ctrl-C. Next: fourfold deployments")

    serve(home, host, port, announce=announce)


def deploy(
    name: Name,
    /,
    *versions: Annotated[str, Parameter(help="A version: words@3, words@production; several with weights: words@3=0.9.")],
    limit: Annotated[tuple[str, ...], Parameter(help="A limit, key=value: record_content=true; may be repeated.")] = (),
    reason: Reason = "",
    expected_revision: Revision = None,
    wait: Wait = 20.0,
    common: Common = DEFAULT,
) -> None:
    """Serve versions under a name."""
    from fourfold.core.nouns import Route

    if not versions:
        raise BadSpec(f"{name}: no version is named.", hint=f"For example: fourfold deploy {name} MODEL@production")
    routes = [Route(*weighted(text)) for text in versions]
    with opened(common) as client:
        done = client.deploy(name, routes=routes, limits=settings(limit), reason=reason, expected_revision=expected_revision)
        report(common, client, done, wait)


def retire(
    name: Name, /, *, reason: Reason = "", expected_revision: Revision = None, wait: Wait = 20.0, common: Common = DEFAULT
) -> None:
    """Take a deployment out of service for good."""
    with opened(common) as client:
        report(common, client, client.retire(name, reason=reason, expected_revision=expected_revision), wait)


def rollback(
    name: Name, /, *, reason: Reason = "", expected_revision: Revision = None, wait: Wait = 20.0, common: Common = DEFAULT
) -> None:
    """Give a deployment back the versions that it served before."""
    with opened(common) as client:
        report(common, client, client.rollback(name, reason=reason, expected_revision=expected_revision), wait)


def deployments(*, common: Common = DEFAULT) -> None:
    """List the deployments."""
    with opened(common) as client:
        found = [client.deployment(one.name) for one in client.deployments()]
        running = serving(common, client)

    def text() -> None:
        from fourfold.application.cli_print import table, when

        rows = [
            (d.name, routes_text(d), state_text(detail, running), d.revision, when(d.updated_at))
            for detail in found
            for d in (detail.deployment,)
        ]
        head = ("name", "serves", "state", "revision", "since")
        table(head, rows, empty="Nothing is deployed. Run: fourfold deploy NAME MODEL")

    emit(common, found, text)


def report(common: Common, client: Client, done: Deployment, wait: float) -> None:
    """Print a deployment as it is now to be; where it is served, once the serving processes have made it true."""
    running = serving(common, client)
    detail = client.deployment(done.name)
    until = time.monotonic() + wait
    while running and not settled(detail) and time.monotonic() < until:
        time.sleep(0.1)
        detail = client.deployment(done.name)

    def text() -> None:
        from fourfold.application.cli_print import line

        line(done.name, routes_text(done), state_text(detail, running), f"revision {done.revision}")
        if not running:
            line("Run: fourfold up", style="dim")
        elif done.state == "live":
            line(f"Run: fourfold ask {done.name} TEXT", style="dim")

    emit(common, done, text)


def settled(detail: DeploymentDetail) -> bool:
    """Whether waiting longer changes nothing."""
    return detail.served or bool(detail.problem) or detail.deployment.state != "live"


def serving(common: Common, client: Client) -> bool:
    """Whether serving processes run: a server that answers is one; a home says so."""
    if common.remote:
        return True
    from fourfold.application.serving.home import status_of

    return status_of(common.folder("deployments")) is not None


def routes_text(deployment: Deployment) -> str:
    """`words@3`, or `words@3 90%, words@4 10%`."""
    routes = deployment.routes
    return routes[0].version if len(routes) == 1 else ", ".join(f"{r.version} {r.weight:.0%}" for r in routes)


def state_text(detail: DeploymentDetail, running: bool) -> str:
    """One or two words for how a deployment is."""
    state: Any = detail.deployment.state
    if state != "live":
        return state
    if not running:
        return "live, not running"
    if detail.problem:
        return f"not as wanted: {detail.problem}"
    return "live" if detail.served else "live, loading"
