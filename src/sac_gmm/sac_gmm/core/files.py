"""Files that are complete or absent: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sac_gmm.core.errors import UserError


@contextlib.contextmanager
def atomic_file(path: Path | str, *, overwrite: bool = True) -> Iterator[Path]:
    """Provide a temporary path to write to; on success it replaces `path` in one step.

    Args:
        path: The finished file. A missing folder is created.
        overwrite: Whether an existing file may be replaced.

    Yields:
        A path in the same folder. If the block raises, it is removed and `path` stays unchanged.

    Raises:
        UserError: `path` exists and `overwrite` is false, it is a folder, or it cannot be written.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder: give the name of a file")
        if not overwrite:
            refuse_existing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
        sync_path(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def refuse_existing(path: Path) -> None:
    """Raise an error if a path exists.

    Raises:
        UserError: `path` exists.
    """
    if path.exists():
        raise UserError(f"{path} exists and is never overwritten: choose another name or remove it")


def check_output(path: Path | str, *endings: str) -> None:
    """Raise an error if a file could not be written later; commands check before they start, so no result is lost.

    Args:
        path: The file to write.
        endings: Allowed endings of its name; if empty, any.

    Raises:
        UserError: The path has another ending, is a folder, or is in a folder that is not writable.
    """
    path = Path(path)
    if endings and path.suffix not in endings:
        raise UserError(f"{path}: the name of the file to write must end in {' or '.join(endings)}")
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder: give the name of a file")
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        raise _cannot_write(path, error) from error
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: {nearest} is not a folder you may write to; choose another")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity, which JSON lacks, are errors.

    An existing file is replaced, so the name must end in .json: a typing mistake must not overwrite a model or picture.

    Raises:
        UserError: The name does not end in .json, or the file cannot be written.
    """
    check_output(path, ".json")
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: The file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # includes UnicodeDecodeError and too deep nesting
        raise UserError(f"{path} is not valid JSON ({error}): it was cut short or is another kind of file") from error


def _cannot_write(path: Path, error: OSError) -> UserError:
    """The error to show when the system refuses to write."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "make room on the disk" if full else "choose another name, in a folder you may write to"
    return UserError(f"cannot write {path}: {error.strerror or error}; {remedy}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_path(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_module(file: Path, prefix: str, named_by: str) -> ModuleType:
    """Load a user's Python file as a module.

    Args:
        file: The file.
        prefix: Prefix of the module's name; `file.stem` is appended.
        named_by: What names the file, for example an environment variable; used in the message.

    Raises:
        UserError: There is no such Python file, or running it fails.
    """
    name = f"{prefix}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise UserError(f"{named_by} names {file}, which is no Python file: give its path, or unset the variable")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{file} fails: {type(error).__name__}: {error}") from error
    return module
