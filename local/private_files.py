"""Files that only their owner may read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path


def secret_file(data: Path) -> Path:
    """Return the file with this installation's JWT secret; make it at first use. Raise OSError.

    It appears under its name whole or not at all, whenever the machine stops; of several starts at once one makes it.
    """
    path = data.resolve() / "jwt-secret"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix="jwt-secret-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        # Not a rename, which would replace the secret of another start.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
    return path


def signing_secret(jwt_secret: Path) -> str:
    """Derive the key that signs forms and links from the installation's one secret."""
    return hashlib.sha256(b"forms and links\n" + jwt_secret.read_bytes()).hexdigest()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
