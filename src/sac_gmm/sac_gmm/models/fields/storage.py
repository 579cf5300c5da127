"""Model files: one npz with a JSON header inside, versioned and checksummed, never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file
from sac_gmm.models.fields.model import Certificate, SkillModel
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture

FORMAT = "sac_gmm.skill_model"
VERSION = 1
_ARRAYS = ("priors", "means", "covariances", "attractor")


def save_model(path: Path | str, model: SkillModel) -> None:
    """Write a model to `path` (a single .npz file), atomically. Reading it back gives exactly the same numbers.

    Raises:
        UserError: The folder cannot be written to, or `meta` holds something that JSON cannot.
    """
    certificate = model.certificate
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kind": model.kind,
        "checksum": model.checksum,
        "meta": model.meta,
        "certificate": None if certificate is None else {**vars(certificate), "P": certificate.P.tolist()},
    }
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"the meta of a model must be plain JSON values: {error}") from error
    arrays = dict(zip(_ARRAYS, _parameters(model), strict=True))
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, header=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)


def load_model(path: Path | str) -> SkillModel:
    """Read a model that `save_model` wrote.

    Raises:
        UserError: The file is missing, cut short, of another kind or version, altered, or its arrays do not fit.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            header, arrays = _parse(path, file)
    except FileNotFoundError as error:
        raise UserError(f"cannot read {path}: there is no such file; `sac-gmm fit` writes one") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UserError(f"{path} is not a model file: its header lacks the format name '{FORMAT}'")
    if header.get("version") != VERSION:
        raise UserError(
            f"{path} has format version {header.get('version')}, this program reads version {VERSION}: "
            "fit the model again or use the program that wrote it"
        )
    try:
        priors, means, covariances, attractor = arrays
        if not isinstance(header["meta"], dict):
            raise UserError("the meta in the header is not an object with names and values: write it again")
        model = SkillModel(
            kind=header["kind"],
            mixture=GaussianMixture(priors, means, covariances),
            attractor=attractor,
            certificate=_read_certificate(header["certificate"], attractor.size),
            meta=header["meta"],
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the header does not fit the format ({error!r}): write it again") from error
    if model.checksum != header.get("checksum"):
        raise UserError(f"{path} was altered after it was written: its numbers do not have the checksum in its header")
    return model


def _parse(path: Path, file: IO[bytes]) -> tuple[Any, list[Array]]:
    """Header and arrays of a model file, as they are in it."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            return json.loads(archive["header"].tobytes()), [archive[name] for name in _ARRAYS]
    except Exception as error:  # a damaged file can make the parser stumble in any way at all
        raise UserError(
            f"{path} is not a model file or was cut short ({error}): write it again with `sac-gmm fit`"
        ) from error


def _parameters(model: SkillModel) -> tuple[Any, ...]:
    return model.mixture.priors, model.mixture.means, model.mixture.covariances, model.attractor


def _read_certificate(value: dict[str, Any] | None, d: int) -> Certificate | None:
    if value is None:
        return None
    P = np.array(value["P"], dtype=np.float64)
    if P.shape != (d, d):
        raise UserError(f"the certificate's P must have shape ({d}, {d}), not {P.shape}")
    return Certificate(**{**value, "P": P})
