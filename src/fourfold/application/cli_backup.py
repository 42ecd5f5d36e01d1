"""Commands on backups and whole homes: backup, backups, restore, migrate, key-file; and tag, which marks versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Bar, Common, emit, opened
from fourfold.core.errors import BadSpec

KeyFile = Annotated[Path | None, Parameter(help="Seal, or open, the backup with the keys of this file.")]


def backup(
    to: Annotated[str, Parameter(help="A folder on another disk, or a URL such as s3://bucket/prefix.")],
    /,
    *,
    verify: Annotated[bool, Parameter(help="Make none: restore the newest into a scratch folder and examine it.")] = False,
    keep: Annotated[int, Parameter(help="Remove all but the newest so many. Default: 0, which removes none.")] = 0,
    key_file: KeyFile = None,
    common: Common = DEFAULT,
) -> None:
    """Back a home up."""
    place, keys = _place(to, common), None if key_file is None else str(key_file.expanduser().absolute())
    with opened(common) as client:
        if verify:
            found = client.verify_backup(place, key_file=keys)
            emit(common, found, lambda: _line("verified", found.backup, f"{found.versions} versions, {found.chunks} chunks"))
            return
        made = client.back_up(place, key_file=keys, keep=keep)

    def text() -> None:
        from fourfold.application.cli_print import size

        _line(made.id, place, f"{made.chunks:,} chunks, {size(made.size_bytes)}, of them {size(made.new_bytes)} new here")
        _line(f"It counts once its restore is checked. Run: fourfold backup {to} --verify")

    emit(common, made, text)


def backups(*, common: Common = DEFAULT) -> None:
    """List the backups of a home."""
    with opened(common) as client:
        found = client.backups()

    def text() -> None:
        from fourfold.application.cli_print import size, table, when

        rows = [
            (b.id, b.place, when(b.at), size(b.size_bytes), size(b.new_bytes), b.key_id, _state(b.verified_at, b.problem))
            for b in found.data
        ]
        head = ("backup", "place", "made", "size", "new", "key", "verified")
        table(head, rows, empty="No backup yet. Run: fourfold backup TO")

    emit(common, found, text)


def restore(
    source: Annotated[str, Parameter(help="The folder or URL that holds the backups.")],
    /,
    *,
    backup: Annotated[str | None, Parameter(help="Id of the backup. Default: the newest.")] = None,
    key_file: KeyFile = None,
    register: Annotated[
        Path | None, Parameter(help="Folder of the erasure register. Default: that of the restored home's settings.")
    ] = None,
    common: Common = DEFAULT,
) -> None:
    """Restore a backup into a new home."""
    from fourfold.application.moving import restore_home

    if common.home is None:
        raise BadSpec("Say which home the backup becomes.", hint="Name a new folder with --home.")
    home = common.folder("restore")
    with Bar() as bar:
        done = restore_home(source, home, backup, None if key_file is None else str(key_file), register, bar)

    def text() -> None:
        from fourfold.application.cli_print import size, when

        _line(done.backup, f"of {when(done.at)}", f"{done.versions} versions, {size(done.size_bytes)}")
        _line(f"Run: fourfold doctor --home {home}")

    emit(common, done, text)


def migrate(
    *,
    to: Annotated[str, Parameter(help="postgresql://user@host/database, empty; or sqlite.")],
    common: Common = DEFAULT,
) -> None:
    """Move the ledger of a home into another database."""
    from fourfold.application.moving import move_ledger

    with Bar() as bar:
        moved = move_ledger(common.folder("migrate"), to, bar)

    def text() -> None:
        from fourfold.application.cli_print import table

        table(("table", "rows", "digest"), [(t.table, t.rows, t.digest[:16]) for t in moved.tables])
        _line(f"The ledger is in {moved.target} now; {moved.kept} was left as it is.")

    emit(common, moved, text)


def key_file(
    path: Annotated[Path, Parameter(help="Where the key file is, or is to be.")],
    /,
    *,
    rotate: Annotated[bool, Parameter(help="Add a key to it: it seals from now on, the older ones still open.")] = False,
    common: Common = DEFAULT,
) -> None:
    """Make a key file for sealed backups, or add a key to one."""
    from fourfold.application.moving import make_key_file

    keys = make_key_file(path.expanduser().absolute(), rotate=rotate)
    found = {"key_file": str(path.expanduser().absolute()), "current": keys.current, "keys": list(keys.all)}
    emit(common, found, lambda: _line(str(path), f"seals with {keys.current}; keep a copy of it apart from the backups"))


def tag(
    version: Annotated[str, Parameter(help="A version: name@3, name@alias, an id.")],
    word: Annotated[str | None, Parameter(help="The tag. Default: only show those that there are.")] = None,
    value: Annotated[str, Parameter(help="Its value. Default: none.")] = "",
    /,
    *,
    unset: Annotated[bool, Parameter(help="Take the tag away.")] = False,
    common: Common = DEFAULT,
) -> None:
    """Tag a version, or show its tags."""
    with opened(common) as client:
        found = client.tags(version) if word is None else client.tag(version, word, value=None if unset else value)

    def text() -> None:
        from fourfold.application.cli_print import table

        table(("tag", "value"), list(found.tags.items()), empty=f"{found.version} has no tag.")

    emit(common, found, text)


def _place(to: str, common: Common) -> str:
    """A folder is named from here, but means the same to the home's worker."""
    return to if "://" in to or common.remote else str(Path(to).expanduser().absolute())


def _state(verified_at: float | None, problem: str) -> str:
    from fourfold.application.cli_print import when

    return problem or ("not yet" if verified_at is None else when(verified_at))


def _line(*words: str) -> None:
    from fourfold.application.cli_print import line

    line(*words)
