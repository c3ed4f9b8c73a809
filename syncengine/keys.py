"""Encryption keys: made, checked, and kept in a file for installations that set none. What they seal: `vault`."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet

from syncengine.errors import Misconfigured

log = logging.getLogger(__name__)


def new() -> str:
    """A new Fernet key: 44 characters of URL-safe base64."""
    return Fernet.generate_key().decode()


def checked(where: str, keys: Sequence[str]) -> tuple[str, ...]:
    """`keys` as they are. Raises Misconfigured with `where` and the position of one that is none, never its value."""
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise Misconfigured(f"key {number} of {where} is not a key. `syncengine keys new` makes one") from None
    return tuple(keys)


def from_file(path: Path) -> tuple[str, ...]:
    """The keys in a file, one a line, newest first.

    Raises Misconfigured if there is no file or no key in it, or it cannot be read.
    """
    try:
        keys = checked(str(path), path.read_text(encoding="ascii", errors="replace").split())
    except FileNotFoundError:
        keys = ()
    except OSError as error:
        raise _unusable(path, error) from None
    if not keys:
        raise Misconfigured(
            f"no encryption key in {path}. Put back the one that was in use, or set SYNCENGINE_KEYS; "
            "`syncengine keys new` makes one for a new installation"
        )
    return keys


def print_of(key: str) -> str:
    """A short name of a key that tells nothing of it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def put_first(path: Path, key: str) -> None:
    """Put a new key before those in the file: from then on it seals, and the others open. Raises Misconfigured."""
    _replace(path, (key, *from_file(path)))


def remove(path: Path, print_: str) -> None:
    """Take the key of this print out of the file. Raises Misconfigured."""
    _replace(path, [key for key in from_file(path) if print_of(key) != print_])


def _replace(path: Path, lines: Sequence[str]) -> None:
    """Write the file again, whole or not at all, and on the disk before anything is sealed with what is new in it.

    Whoever may read it still may: the workers, where root has run the command.
    """
    path = path.resolve()  # what a link names, not the link
    try:
        former = path.stat()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # created with mode 0600
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                os.fchown(descriptor, former.st_uid, former.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(former.st_mode))
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(descriptor)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        raise _unusable(path, error) from None


def make(path: Path) -> None:
    """Put a new key into `path`, readable by its owner only, and say so in the log.

    Of several processes that begin at once, one wins. Raises Misconfigured if it cannot be written.
    """
    try:
        _make(path)
    except OSError as error:
        raise _unusable(path, error) from None


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # created with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{new()}\n")
        os.link(draft, path)  # whole or not at all, and never over another one's
    except FileExistsError:
        return
    finally:
        Path(draft).unlink()
    log.warning("made an encryption key: %s. Keep a copy: without it stored credentials cannot be read", path)


def _unusable(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured(f"the key file {path} cannot be used: {error.strerror}. Set SYNCENGINE_KEYS")
