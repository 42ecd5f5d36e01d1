"""The management process: the platform's HTTP interface on a Unix socket, behind the front.

Run as `python -m fourfold.application.http.serve SETTINGS`, with ManagementSettings as JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import uvicorn

from fourfold.application.http.app import management_app
from fourfold.application.serving.processes import ManagementSettings, die_with_parent, log_to_stderr


def main() -> None:
    """Serve until SIGTERM."""
    settings = msgspec.json.decode(sys.argv[1], type=ManagementSettings)
    log_to_stderr()
    die_with_parent(settings.lifeline)
    Path(settings.socket).unlink(missing_ok=True)
    config = uvicorn.Config(
        management_app(Path(settings.home)),
        uds=settings.socket,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=False,  # the front writes it
        forwarded_allow_ips="*",  # the socket is the front's alone, which says who called
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
