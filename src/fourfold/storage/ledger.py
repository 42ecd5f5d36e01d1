"""The ledger: the one truth about versions, runs, aliases, deployments and keys of a home."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from fourfold import __version__
from fourfold.core.config import read_settings
from fourfold.core.errors import BadInput, FourfoldError
from fourfold.core.fingerprint import fingerprint
from fourfold.core.ids import new_id
from fourfold.core.nouns import Actor, Deployment, Kind, Role, Run, Version
from fourfold.core.progress import Progress, silent
from fourfold.storage import (
    artifacts,
    audit,
    deployments,
    guard,
    keys,
    run_records,
    runs,
    schema,
    segments,
    steps,
    store_rows,
    terms,
    versions,
)
from fourfold.storage.database import Database
from fourfold.storage.in_use import InUse
from fourfold.storage.leases import Claim
from fourfold.storage.materialised import Materialised
from fourfold.storage.stores import Stores

Made = TypeVar("Made")


class Ledger:
    """A home folder and its database. Open with `Ledger.open`, close with `close()`; safe to use from many threads."""

    def __init__(self, home: Path, database: Database, use: InUse | None = None) -> None:
        self.home = home
        self.use = use
        self.register = home / "erasures"  # kept apart from backups, and replayed by every restore
        self.database = database
        self.told: runs.Told = runs.nobody  # who hears of each run as it begins and ends
        self.claim: Claim | None = None  # the job that this process does: its runs are steps, and an old claim writes nothing
        self.blobs = Stores.of_home(home, database)
        self.materialised = Materialised(home / "cache" / "versions", database, self.blobs)

    @classmethod
    def open(cls, home: Path, *, url: str | None = None) -> Ledger:
        """Open a home, creating or migrating what is missing. `url` names another database than its settings do.

        Raises BadInput if the home is no folder that can be written, Conflict if a newer program wrote it.
        """
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            (home / "work").mkdir(exist_ok=True)
        except OSError as error:
            raise BadInput(f"{home} cannot be a home: {error.strerror}.", hint="Name a folder of yours with --home.") from error
        with ExitStack() as opening:
            use = opening.enter_context(closing(InUse(home)))
            settings = read_settings(home)  # not before: a move to another database changes them
            database = Database(url or settings.database or f"sqlite:///{home / 'ledger.sqlite'}")
            opening.callback(database.close)
            database.prepare(keep=home / "backups")
            opening.pop_all()
        ledger = cls(home, database, use)
        ledger.materialised.limit_bytes = settings.cache_bytes
        return ledger

    def close(self) -> None:
        """Chain the audit rows of this process and let go of the database."""
        audit.seal(self.database)
        self.materialised.close()
        self.blobs.close()
        self.database.close()
        if self.use is not None:
            self.use.close()

    def write(self) -> AbstractContextManager[sa.Connection]:
        """The transaction that all changes go through."""
        return self.database.write()

    # Runs

    @contextmanager
    def run(
        self,
        verb: str,
        *,
        name: str,
        spec: Mapping[str, Any],
        actor: Actor,
        kind: Kind | None = None,
        inputs: Sequence[Version] = (),
        progress: Progress = silent,
    ) -> Iterator[runs.OpenRun]:
        """Open a run. When the block ends its files become a version of `kind`, in one transaction with the end of the run.

        An exception marks the run as failed with its error, leaves no version, and is raised on. `kind` None: no version.
        """
        if kind is not None:
            versions.check_name(name)
        row = self._begin(verb, name, spec, tuple(inputs), actor, kind)  # raises StepDone if the job has done this step
        folder = self.home / "work" / row.id
        recorder = run_records.Recorder(self, row.id)
        open_run = runs.OpenRun(row.id, folder, progress, point=recorder.point)
        self.told("START", row, inputs, None, "")
        try:
            folder.mkdir(parents=True)
            yield open_run
            version = None if kind is None else self._publish(row, kind, tuple(inputs), open_run)
            if version is None:
                self._finish(row, open_run, lambda connection: None)
            open_run._version = version
        except BaseException as error:
            recorder.failed(error)
            shutil.rmtree(folder, ignore_errors=True)  # first: on a full disk it makes room to write that the run failed
            with suppress(FourfoldError):  # what went wrong is told, not that it cannot be written; a sweep will
                self._fail(row.id, error, open_run)
            self.told("FAIL", row, inputs, None, f"{error}" or type(error).__name__)
            raise
        finally:
            recorder.close()
            shutil.rmtree(folder, ignore_errors=True)
        self.told("COMPLETE", row, inputs, open_run._version, "")

    def recipe(self, verb: str, spec: Mapping[str, Any], inputs: Sequence[Version]) -> str:
        """Fingerprint of what a run would do: verb, spec and the content of its inputs."""
        return fingerprint({"verb": verb, "spec": spec, "inputs": [v.digest for v in inputs]})

    def _begin(
        self, verb: str, name: str, spec: Mapping[str, Any], inputs: tuple[Version, ...], actor: Actor, kind: Kind | None
    ) -> Run:
        refs = tuple(v.ref for v in inputs)
        recipe = self.recipe(verb, spec, inputs)
        row = Run(new_id("run"), verb, name, spec, refs, actor.id, recipe, __version__, "running", time.time())
        claim = self.claim

        def begin(connection: sa.Connection) -> tuple[bool, Version | None]:
            done = (False, None) if claim is None else steps.version_of(connection, claim.job_id, _step(row))
            if not done[0] and runs.is_new(connection, row.id):
                runs.insert(connection, row, claim and claim.job_id)
                if kind is not None:
                    guard.take(connection, row.id)  # in one transaction with the run: a quick publish pays for no other
            return done

        done, version = self.database.repeat(begin)
        if done:
            raise steps.StepDone(version)
        return row

    def _publish(self, row: Run, kind: Kind, inputs: tuple[Version, ...], open_run: runs.OpenRun) -> Version:
        names = self.blobs.refresh(self.home, self.database)

        def publish(connection: sa.Connection, manifest: artifacts.Manifest, check: guard.Guard) -> Version:
            store_rows.unchanged(connection, names)
            check(connection)
            number = versions.next_number(connection, row.name, kind)
            artifacts.insert(connection, manifest)
            made = Version(
                new_id("ver"), row.name, number, kind, manifest.digest, row.id, time.time(), manifest.size_bytes,
                terms.inherited(inputs, open_run.meta),
            )  # fmt: skip
            versions.insert(connection, made, inputs)
            audit.record(connection, row.actor, row.verb, made.ref, {"run": row.id, "digest": made.digest})
            return made

        return guard.publish(  # durable before the row that makes it visible
            self.database,
            self.blobs,
            open_run.folder,
            row.id,
            lambda manifest, check: self._finish(row, open_run, lambda connection: publish(connection, manifest, check)),
        )

    def _finish(self, row: Run, open_run: runs.OpenRun, publish: Callable[[sa.Connection], Made]) -> Made:
        def finish(connection: sa.Connection) -> tuple[Made]:
            made = publish(connection)
            for change in open_run.changes:
                change(connection)
            runs.close(connection, row.id, error=None, figures=open_run.figures)
            guard.release(connection, row.id)
            if self.claim is not None:
                version = made.id if isinstance(made, Version) else None
                steps.record(connection, self.claim, _step(row), {"run": row.id}, version)
            return (made,)

        def landed(connection: sa.Connection) -> tuple[Any] | None:  # the commit that nobody answered may have happened
            return versions.made_by_run(connection, row.id) if runs.one(connection, row.id).state == "done" else None

        return self.database.repeat(finish, landed=landed)[0]

    def _fail(self, run_id: str, error: BaseException, open_run: runs.OpenRun) -> None:
        reason = "Interrupted." if isinstance(error, KeyboardInterrupt) else f"{error}" or type(error).__name__
        if not isinstance(error, FourfoldError | KeyboardInterrupt):
            reason = f"{type(error).__name__}: {reason}"
        with self.write() as connection:
            runs.close(connection, run_id, error=reason, figures=open_run.figures)
            guard.release(connection, run_id)

    def made_in_this_job(self, version: Version) -> bool:
        """Whether a step of the job that this process does made it, in whatever process."""
        if self.claim is None:
            return False
        with self.database.read() as connection:
            return version.id in steps.made_by(connection, self.claim.job_id)

    def find_run(self, run_id: str) -> Run:
        """The run of that id. Raises NotFound."""
        with self.database.read() as connection:
            return runs.one(connection, run_id)

    def runs(
        self,
        *,
        verb: str | None = None,
        name: str | None = None,
        state: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Run]:
        """Runs, newest first, at most `limit`; `before` is the last id of the page before."""
        with self.database.read() as connection:
            return runs.page(connection, verb=verb, name=name, state=state, limit=limit, before=before)

    def made_before(self, name: str, verb: str, spec: Mapping[str, Any], inputs: Sequence[Version]) -> Version | None:
        """The version that an equal run of that name left already, if there is one."""
        with self.database.read() as connection:
            run = runs.latest(connection, name, self.recipe(verb, spec, inputs))
            return None if run is None or run.version is None else versions.find(connection, run.version)

    def sweep(self) -> list[str]:
        """Mark runs whose process died as failed; returns their ids."""
        with self.database.read() as connection:
            if not runs.page(connection, verb=None, name=None, state="running", limit=1, before=None):
                return []
        with self.write() as connection:
            return runs.sweep(connection, self.home / "work")

    # Versions

    def version(self, ref: str) -> Version:
        """The version meant by `name@3`, `name@alias`, `name` (newest), an id or a digest. Raises NotFound."""
        with self.database.read() as connection:
            return versions.find(connection, ref)

    def versions(
        self, *, name: str | None = None, kind: Kind | None = None, limit: int = 50, before: str | None = None
    ) -> list[Version]:
        """Versions, newest first, at most `limit`; `before` is the last id of the page before."""
        with self.database.read() as connection:
            return versions.page(connection, name=name, kind=kind, limit=limit, before=before)

    def manifest(self, version: Version) -> artifacts.Manifest:
        """The list of a version's files."""
        with self.database.read() as connection:
            return artifacts.read_manifest(connection, version.digest)

    def materialise(self, version: Version) -> Path:
        """A read-only folder with the version's files, verified. Raises Corrupt if the store has lost them."""
        return self.materialised.open(version.digest)

    def holders(self, digest: str) -> list[tuple[Version, artifacts.StoredFile]]:
        """The versions that hold a file whose digest begins so, oldest first, each with the file."""
        with self.database.read() as connection:
            return [(versions.from_row(row), file) for row, file in artifacts.holders(connection, digest)]

    def inputs(self, version: Version) -> list[Version]:
        """The versions that a version was made from."""
        return self._neighbours(schema.edge.c.version_id == version.id, schema.edge.c.input_id)

    def outputs(self, version: Version) -> list[Version]:
        """The versions that were made from a version."""
        return self._neighbours(schema.edge.c.input_id == version.id, schema.edge.c.version_id)

    def _neighbours(self, where: sa.ColumnElement[bool], side: sa.Column[Any]) -> list[Version]:
        query = (
            sa.select(schema.version).join(schema.edge, side == schema.version.c.id).where(where).order_by(schema.version.c.id)
        )
        with self.database.read() as connection:
            return [versions.from_row(row) for row in connection.execute(query)]

    # Aliases

    def move_alias(self, version: Version, alias: str, *, actor: Actor, reason: str = "") -> versions.AliasMove:
        """Point `name@alias` at a version; the move is kept in the alias's history."""
        with self.write() as connection:
            return versions.move_alias(connection, actor.id, version, alias, reason)

    def aliases(self, name: str | None = None) -> dict[str, str]:
        """`name@alias` → `name@number`."""
        with self.database.read() as connection:
            return versions.aliases(connection, name)

    def alias_moves(self, name: str, alias: str | None = None) -> list[versions.AliasMove]:
        """History of the aliases of a name, oldest first."""
        with self.database.read() as connection:
            return versions.alias_moves(connection, name, alias)

    # Deployments, keys, segments

    def deployments(self) -> list[Deployment]:
        """Every deployment, whatever its state."""
        with self.database.read() as connection:
            return deployments.all_deployments(connection)

    def deployment(self, name: str) -> Deployment:
        """The deployment of that name. Raises NotFound."""
        with self.database.read() as connection:
            return deployments.one(connection, name)

    def deployment_history(self, name: str) -> list[tuple[Deployment, str]]:
        """All states of a deployment with the reason of each, oldest first."""
        with self.database.read() as connection:
            return deployments.history(connection, name)

    def keys(self) -> list[keys.ApiKey]:
        """Every key, the revoked included."""
        with self.database.read() as connection:
            return keys.all_keys(connection)

    def find_key(self, token: str) -> keys.ApiKey | None:
        """The key that a token belongs to, alive or not."""
        with self.database.read() as connection:
            return keys.find(connection, token)

    def create_key(self, name: str, role: Role, *, actor: str, expires_at: float | None = None) -> tuple[keys.ApiKey, str]:
        """A new key and its token, which cannot be read again."""
        with self.write() as connection:
            return keys.create(connection, actor, name, role, expires_at)

    def revoke_key(self, key_id: str, *, actor: str) -> keys.ApiKey:
        """Close a key for good. Raises NotFound."""
        with self.write() as connection:
            return keys.revoke(connection, actor, key_id)

    def stamp(self) -> str:
        """A short text that changes whenever a deployment or key does."""
        d, k, change = schema.deployment.c, schema.api_key.c, sa.func
        query = sa.select(
            sa.select(change.coalesce(change.sum(d.revision), 0)).scalar_subquery(),
            sa.select(change.count(k.id)).scalar_subquery(),
            sa.select(change.count(k.revoked_at)).scalar_subquery(),
        )
        with self.database.read() as connection:
            return "-".join(str(part) for part in connection.execute(query).one())

    def add_segment(self, path: Path, *, name: str, front: int, rows: int, first_at: float, last_at: float) -> segments.Segment:
        """Keep a Parquet file of request records; the file moves into the stores. Repeating it is harmless."""
        folder = self.home / "work" / new_id("seg")
        folder.mkdir(parents=True)

        def add(manifest: artifacts.Manifest, check: guard.Guard) -> segments.Segment:
            segment = segments.Segment(name, front, rows, first_at, last_at, manifest.digest)
            with self.write() as connection:
                check(connection)
                artifacts.insert(connection, manifest)
                segments.insert(connection, segment)
                guard.release(connection, folder.name)
            return segment

        try:
            shutil.copyfile(path, folder / "requests.parquet")
            self.blobs.refresh(self.home, self.database)
            return guard.publish(self.database, self.blobs, folder, folder.name, add)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def segments(self) -> list[segments.Segment]:
        """Every sealed segment of the request log, in order of time."""
        with self.database.read() as connection:
            return segments.all_segments(connection)

    def open_segment(self, name: str) -> Path:
        """The Parquet file of a sealed segment. Raises NotFound."""
        with self.database.read() as connection:
            segment = segments.one(connection, name)
        return self.materialised.open(segment.manifest) / "requests.parquet"

    def verify_audit(self) -> tuple[int, str]:
        """Rows in the audit chain and its head. Raises Corrupt if a row was changed or removed."""
        audit.seal(self.database)
        return audit.verify(self.database)


def _step(row: Run) -> str:
    return f"{row.verb} {row.name} {row.recipe[:16]}"
