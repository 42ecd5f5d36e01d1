"""Database URLs as people write them → as SQLAlchemy's driver takes them."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fourfold.core.errors import BadSpec

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


def is_postgres(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return url.partition("://")[0] in SCHEMES


def driver_url(url: str) -> str:
    """The URL for psycopg 3. Several hosts, as libpq writes them (`postgresql://me@a:5432,b:5432/db`), are tried in turn;
    unless the URL says otherwise the one that takes writes is chosen (`target_session_attrs=read-write`).

    Raises BadSpec for a URL that names no database.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        return url
    parts = urlsplit(f"postgresql://{rest}")
    if not parts.path.strip("/"):
        raise BadSpec(f"{hidden(url)} names no database.", hint="Write postgresql://user@host:5432/database")
    user, at, hosts = parts.netloc.rpartition("@")
    query = parse_qsl(parts.query, keep_blank_values=True)
    if "," in hosts:
        query += [("host", host if _port(host) else f"{host}:5432") for host in hosts.split(",")]
        hosts = ""
    several = sum(key == "host" for key, _ in query) > 1 or any(key == "host" and "," in value for key, value in query)
    if several and not any(key == "target_session_attrs" for key, _ in query):
        query.append(("target_session_attrs", "read-write"))
    text = urlencode(query, quote_via=quote, safe="/:,")
    return f"postgresql+psycopg://{user}{at}{hosts}{parts.path}" + (f"?{text}" if text else "")


def hidden(url: str) -> str:
    """The URL without its password, for messages."""
    scheme, sign, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    user, at, hosts = netloc.rpartition("@")
    name = user.partition(":")[0]
    return f"{scheme}{sign}{name}{':***' if ':' in user else ''}{at}{hosts}{slash}{path}"


def _port(host: str) -> bool:
    return host.rpartition("]")[2].rpartition(":")[2].isdecimal() and ":" in host.rpartition("]")[2]
