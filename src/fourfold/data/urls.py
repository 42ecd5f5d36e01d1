"""URLs: one spelling for each, so that a page is known again, and the signs of addresses that never end."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

import idna

from fourfold.core.fingerprint import digest_bytes

MAX_LENGTH = 2000  # characters
PORTS = {"http": 80, "https": 443}
# Query keys that say who asks or where from, not what is asked for.
SESSION = re.compile(
    r"(?:utm_\w+|gclid|fbclid|msclkid|yclid|spm|sid|s?ession_?id|jsessionid|phpsessid|aspsessionid\w*|zenid|cfid|cftoken|osCsid"
    r"|share_token|from_source)",
    re.IGNORECASE,
)
PATH_SESSION = re.compile(r";(?:jsessionid|sid|phpsessid)=[^/?#]*|/\((?:[sxaf]\([\w-]{10,}\))+\)(?=/)", re.IGNORECASE)
MAX_SEGMENTS, MAX_REPEATS = 16, 2  # of a path; /a/b/a/b/a/b comes from a relative link that was meant to be absolute


def normal(url: str, base: str = "") -> str | None:
    """The one spelling of an absolute http(s) URL, or None for what is none.

    Scheme and host in small letters (IDNA), no default port, fragment, user or session id; dots resolved; query keys sorted.
    """
    try:
        scheme, netloc, path, query, _ = urlsplit(urljoin(base, url.strip()))
        parts = urlsplit(f"{scheme}://{netloc}")
        host, port = _host(parts.hostname or ""), parts.port
    except (ValueError, UnicodeError):
        return None
    if scheme not in PORTS or not host or parts.username is not None:
        return None
    host = f"[{host}]" if ":" in host else host
    netloc = host if port in (None, PORTS[scheme]) else f"{host}:{port}"
    found = urlunsplit((scheme, netloc, _path(path), _query(query), ""))
    return found if len(found) <= MAX_LENGTH else None


def _host(host: str) -> str:
    host = host.rstrip(".").lower()
    return host if host.isascii() else idna.encode(host, uts46=True).decode()


def _path(path: str) -> str:
    parts: list[str] = []
    for part in PATH_SESSION.sub("", path or "/").split("/")[1:]:
        if part == "..":
            parts[-1:] = []
        elif part != ".":
            parts.append(part)
    if path.endswith(("/.", "/..")):
        parts.append("")
    return "/" + quote(unquote("/".join(parts), errors="surrogateescape"), safe="/:@!$&'()*+,;=~-._", errors="surrogateescape")


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape", max_num_fields=50)
    return urlencode(sorted(pair for pair in pairs if not SESSION.fullmatch(pair[0])), errors="surrogateescape")


def origin_of(url: str) -> str:
    """`https://host:port` of a normal URL."""
    scheme, netloc, *_ = urlsplit(url)
    return f"{scheme}://{netloc}"


def host_of(url: str) -> str:
    """`host:port` of a normal URL."""
    return urlsplit(url).netloc


def pattern_of(url: str) -> str:
    """What a URL has in common with those that a program makes beside it: digits are one sign, values of a query none."""
    _, netloc, path, query, _ = urlsplit(url)
    return f"{netloc}{re.sub(r'[0-9]+', '0', path)}{'?' if query else ''}"


def endless(url: str) -> bool:
    """Whether a path has the look of one that grows with each link."""
    segments = [segment for segment in urlsplit(url).path.split("/") if segment]
    if len(segments) > MAX_SEGMENTS:
        return True
    words = [segment for segment in segments if not segment.isdigit()]
    return any(n > MAX_REPEATS for n in Counter(words).values())


def file_path(url: str, ending: str) -> str:
    """The place of a page among raw files: readable, and one for each URL."""
    _, netloc, path, _, _ = urlsplit(url)
    words = [re.sub(r"[^\w.-]+", "_", unquote(part)).strip(".")[:60] for part in path.split("/") if part]
    stem = (words[-1] if words and not path.endswith("/") else "index").removesuffix(ending)
    folders = words[:-1] if words and not path.endswith("/") else words
    name = f"{stem[:60]}~{digest_bytes(url.encode('utf-8', 'surrogateescape'))[:10]}{ending}"
    folders = [folder for folder in folders if folder][:MAX_SEGMENTS]
    return "/".join([netloc.replace(":", "_").replace("[", "").replace("]", ""), *folders, name])
