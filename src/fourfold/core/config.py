"""Settings: `fourfold.toml` in the home, overridden by FOURFOLD_* variables, read once."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from fourfold.core.build import placed
from fourfold.core.errors import BadSpec, did_you_mean

LicencePolicy = Literal["allow", "flag", "refuse"]


def setting(default: Any, help: str) -> Any:
    """A field of Settings with its line of help."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set for a home. Each field is a key of `fourfold.toml` and, upper-case after FOURFOLD_, a variable."""

    host: str = setting("127.0.0.1", "address to listen on; beyond loopback only once a key exists")
    port: int = setting(8044, "port of the one listener for requests, management and console")
    database: str = setting("", "PostgreSQL URL of the ledger; empty: ledger.sqlite in the home")
    fronts: int = setting(1, "front processes that share the port")
    workers: int = setting(1, "long acts that run side by side")
    max_body_bytes: int = setting(1 << 20, "largest request body that is read; a larger one is refused with 413")
    max_inputs: int = setting(256, "most inputs of one request")
    timeout_seconds: float = setting(30.0, "how long the front waits for an engine before it answers 504")
    queue_limit: int = setting(1024, "requests that may wait for one engine before the next gets 429")
    seal_seconds: float = setting(3600.0, "age at which a segment of the request log is sealed into Parquet")
    erasure_register: str = setting("", "folder of the erasure register, apart from backups; empty: erasures in the home")
    pseudonym_keys: str = setting(
        "", "folder of the keys of reversible pseudonyms, apart from backups; empty: pseudonyms in the home"
    )
    seal_bytes: int = setting(64 << 20, "size at which a segment of the request log is sealed into Parquet")
    licence_non_commercial: LicencePolicy = setting(
        "refuse", "allow, flag or refuse: training on and serving data whose licence forbids commercial use"
    )
    licence_no_derivatives: LicencePolicy = setting("refuse", "the same for licences that forbid derived works")
    licence_share_alike: LicencePolicy = setting("flag", "the same for licences that bind what is derived; flag: it is logged")
    licence_undeclared: LicencePolicy = setting("allow", "the same for data whose licence nobody declared")
    lineage_url: str = setting("", "where each run is told as OpenLineage events, by POST; empty: nowhere")
    lineage_file: str = setting(
        "", "file that they are appended to; empty: lineage/events.jsonl in the home, if there is a URL"
    )
    lineage_token: str = setting("", "bearer token for that URL; better in FOURFOLD_LINEAGE_TOKEN")
    lineage_namespace: str = setting("fourfold", "namespace of this home's jobs and datasets in these events")
    cache_bytes: int = setting(0, "largest size of the cache of versions that are laid out as files; 0: no limit")


def read_settings(home: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a home. Raises BadSpec that names the key, its file or variable, and the closest known one."""
    values: dict[str, Any] = {}
    file = home / "fourfold.toml"
    if file.exists():
        try:
            values = tomllib.loads(file.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSpec(f"{file} is no TOML: {error}.", hint="See docs/settings.md for an example.") from error
    known = [f.name for f in dataclasses.fields(Settings)]
    for key in values:
        if key not in known:
            raise BadSpec(f"{file} has no setting {key!r}.{did_you_mean(key, known)}", hint=f"Known: {', '.join(known)}.")
    for name in known:
        variable = f"FOURFOLD_{name.upper()}"
        if variable in environment:
            values[name] = environment[variable]
    try:
        return msgspec.convert(values, Settings, strict=False)  # variables are text
    except msgspec.ValidationError as error:
        what, where = placed(error)
        name = where.removeprefix(".")
        variable = f"FOURFOLD_{name.upper()}"
        source = f"The variable {variable}" if variable in environment else f"{file}, {name}"
        raise BadSpec(f"{source}: {what}.", hint="See docs/settings.md.") from error


def default_home(environment: Mapping[str, str] = os.environ) -> Path:
    """FOURFOLD_HOME, else ~/.fourfold."""
    return Path(environment.get("FOURFOLD_HOME") or Path.home() / ".fourfold").expanduser().absolute()
