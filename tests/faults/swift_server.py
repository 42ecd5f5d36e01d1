"""One process of a small OpenStack Swift; runs in Swift's own environment, knows nothing of Fourfold.

`swift_server.py prepare FOLDER PORT` writes rings and configuration; `swift_server.py node FOLDER N` serves the accounts,
containers and objects of node N (1, 2, 3); `swift_server.py proxy FOLDER` serves S3 on PORT. Swift's own code throughout, but
for what memcached would do for one proxy: a dictionary.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from pathlib import Path
from typing import Any

KINDS = ("account", "container", "object")
NODES = (1, 2, 3)

SWIFT = """[swift-hash]
swift_hash_path_suffix = fourfold
swift_hash_path_prefix = fourfold
[storage-policy:0]
name = gold
default = yes
"""

SERVER = """[DEFAULT]
swift_dir = {folder}
devices = {folder}/node{node}
mount_check = false
disable_fallocate = true
bind_ip = 127.0.0.1
bind_port = {port}
log_level = ERROR
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

PROXY = """[DEFAULT]
swift_dir = {folder}
bind_ip = 127.0.0.1
bind_port = {port}
log_level = ERROR
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth bulk copy slo dlo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
auth_pipeline_check = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 1
node_timeout = 10
recoverable_node_timeout = 3
error_suppression_interval = 1
"""


def prepare(folder: Path, port: int) -> None:
    """Rings of 3 replicas over 3 devices, each in a zone of its own, so that every node holds a copy of everything."""
    (folder / "swift.conf").write_text(SWIFT)
    _settle(folder)
    from swift.common.ring import RingBuilder

    (folder / "proxy.conf").write_text(PROXY.format(folder=folder, port=port))
    for place, kind in enumerate(KINDS):
        ring = RingBuilder(6, 3, 1)
        for node in NODES:
            (folder / f"node{node}" / "disk").mkdir(parents=True, exist_ok=True)
            at = port + 3 * node + place
            text = SERVER.format(folder=folder, node=node, kind=kind, port=at)
            (folder / f"{kind}{node}.conf").write_text(text)
            ring.add_dev(
                {"id": node - 1, "region": 1, "zone": node, "ip": "127.0.0.1", "port": at, "device": "disk", "weight": 1.0}
            )
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{kind}.ring.gz"))


def _settle(folder: Path) -> None:
    from swift.common import utils

    utils.set_swift_dir(str(folder))
    from swift.common import storage_policy

    storage_policy.reload_storage_policies()


def serve(folder: Path, names: list[str]) -> None:
    """Serve the configurations of those names until killed, or until the process that started this one is gone."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    import eventlet

    eventlet.monkey_patch()
    _settle(folder)
    from eventlet import wsgi
    from swift.common.utils import NullLogger
    from swift.common.wsgi import SwiftHttpProtocol, load_app_config, loadapp

    servers = []
    for name in names:
        path = str(folder / f"{name}.conf")
        port = int(load_app_config(path)["bind_port"])
        app = loadapp(path, global_conf={"log_name": name})
        if name == "proxy":
            app = cached(app)
        listening = eventlet.listen(("127.0.0.1", port), backlog=256)
        options = {"protocol": SwiftHttpProtocol, "capitalize_response_headers": False, "socket_timeout": 60.0}
        servers.append(eventlet.spawn(wsgi.server, listening, app, NullLogger(), **options))
    for server in servers:
        server.wait()


class Cache:
    """What Swift asks of memcached."""

    def __init__(self) -> None:
        self.kept: dict[Any, tuple[float, Any]] = {}

    def get(self, key: Any, **_options: Any) -> Any:
        until, value = self.kept.get(key, (0.0, None))
        return value if until > time.time() else None

    def set(self, key: Any, value: Any, time: float = 0, **_options: Any) -> None:  # memcached's name
        self.kept[key] = (now() + (time or 1e9), value)

    def incr(self, key: Any, delta: int = 1, time: float = 0) -> int:
        value = (self.get(key) or 0) + delta
        self.set(key, value, time=time)
        return value

    def decr(self, key: Any, delta: int = 1, time: float = 0) -> int:
        return self.incr(key, -delta, time)

    def delete(self, key: Any, **_options: Any) -> None:
        self.kept.pop(key, None)


now = time.time


def cached(app: Any) -> Any:
    """The app with a cache in its environment."""
    cache = Cache()

    def call(environ: dict[str, Any], start: Any) -> Any:
        environ["swift.cache"] = cache
        return app(environ, start)

    return call


if __name__ == "__main__":
    act, where, *rest = sys.argv[1:]
    if act == "prepare":
        prepare(Path(where), int(rest[0]))
    elif act == "node":
        serve(Path(where), [f"{kind}{rest[0]}" for kind in KINDS])
    else:
        serve(Path(where), ["proxy"])
