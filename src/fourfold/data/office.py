"""What Word, Excel and PowerPoint files have in common: they are zip files, and may be broken, locked or bombs."""

from __future__ import annotations

import datetime
import io
import zipfile
from typing import Any

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an encrypted file, or one of before 2007
MAX_UNPACKED = 1 << 30
MAX_RATIO = 300


def trouble_of(data: bytes, name: str) -> str:
    """Why a file cannot be what its name says: `password`, `not_docx`, `bomb`; "" if nothing speaks against it."""
    if data.startswith(OLE):
        return "password" if "EncryptedPackage".encode("utf-16-le") in data else "old_office"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            unpacked = sum(item.file_size for item in file.infolist())
            return "bomb" if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(len(data), 1 << 16) else ""
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):
        return f"not_{name}"


def about(properties: Any) -> dict[str, Any]:
    """Title, author and date of a file's core properties."""
    found = {"title": properties.title, "author": getattr(properties, "author", None) or getattr(properties, "creator", None)}
    created = properties.created
    if isinstance(created, datetime.datetime):
        found["date"] = created.date().isoformat()
    return {name: str(value).strip() for name, value in found.items() if value and str(value).strip()}
