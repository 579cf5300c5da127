"""Everything that learning depends on, in one file without pickle.

A checkpoint is an uncompressed zip archive with `header.json` (format, version, algorithm, shapes, configuration,
counters, random states and the checksum of every other member), `tensors.safetensors` (networks, targets, optimisers,
torch's random state) and a member for each group of arrays that the algorithm keeps, such as `replay.npz`. It is
written beside its final place and renamed, so that a crash leaves the previous one.
A policy file has the same format but only the policy's tensors: small, and enough to act.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors.torch

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file
from sac_gmm.rl.algorithm import Algorithm, AlgorithmSpec, AlgorithmState, Policy

FORMAT = "sac_gmm.rl"
VERSION = 1
_OF_THE_FILE = ("format", "version", "sha256")  # entries of a header that `_write` adds
_TENSORS, _ARRAYS = "tensors.safetensors", ".npz"

_Members = dict[str, bytes | dict[str, np.ndarray]]


@dataclass(frozen=True)
class Checkpoint:
    """Contents of a checkpoint."""

    algorithm: Algorithm
    extra: dict[str, Any] = field(default_factory=dict)  # the caller's JSON values: episode counters, noise state


def save_checkpoint(path: Path | str, algorithm: Algorithm, extra: dict[str, Any] | None = None) -> None:
    """Write an algorithm and the caller's JSON values to one file, atomically.

    Args:
        path: The file; an older one is replaced.
        algorithm: Saved completely, with its memory, so that learning resumes bit for bit.
        extra: JSON values, such as the episode counter or `Ar1Noise.state_dict()`.
    """
    state = algorithm.state_dict()
    members: _Members = {_TENSORS: safetensors.torch.save(state.tensors)}
    members |= {f"{group}{_ARRAYS}": arrays for group, arrays in state.arrays.items()}
    header = {"kind": "agent", **algorithm.spec.to_json(), "values": state.values, "extra": extra or {}}
    _write(path, header, members)


def load_checkpoint(path: Path | str, made_for: AlgorithmSpec | None = None) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.
        made_for: Spec it must have been made for, apart from the seed; None accepts any.

    Raises:
        UserError: The file is missing, truncated, altered, of another kind or version, has wrong shapes, or was made
        for another spec.
    """
    header, members = _read(path, "agent")
    try:
        spec = AlgorithmSpec.from_json(header, None if made_for is None else made_for.algorithm)
        fits = made_for is None or spec.same_but_for_the_seed(made_for)
        algorithm = spec.build() if fits else None
        if algorithm is not None:
            algorithm.load_state_dict(_state(header, members))
    except Exception as error:  # a file edited by hand can make this fail in any way
        raise UserError(f"checkpoint {path} does not fit this version's algorithm: {error}") from error
    if algorithm is None:
        raise UserError(
            f"checkpoint {path} was made with another observation or configuration, or by another algorithm: use the "
            "same, or another folder"
        )
    return Checkpoint(algorithm, header["extra"])


def save_policy(path: Path | str, policy: Policy, spec: AlgorithmSpec, extra: dict[str, Any] | None = None) -> None:
    """Write only a policy: enough to act, not to continue learning.

    Args:
        path: The file; an older one is replaced.
        policy: Such as `algorithm.policy`.
        spec: Spec of its algorithm.
        extra: JSON values, such as the task and its success rate.
    """
    tensors = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    header = {"kind": "policy", **spec.to_json(), "policy_version": policy.version, "extra": extra or {}}
    del header["seed"]  # the training seed; exploration with a loaded policy must not repeat it
    _write(path, header, {_TENSORS: safetensors.torch.save(tensors)})


def load_policy(path: Path | str) -> tuple[Policy, dict[str, Any]]:
    """Read a policy file; return the policy and the caller's JSON values.

    Raises:
        UserError: The file is missing, truncated, altered, of another kind or version, or has wrong shapes.
    """
    header, members = _read(path, "policy")
    try:
        policy = AlgorithmSpec.from_json(header).make_policy()
        policy.load_state_dict(safetensors.torch.load(members[_TENSORS]))
        policy.version = header["policy_version"]
    except Exception as error:  # a file edited by hand can make this fail in any way
        raise UserError(f"policy {path} does not fit this version: {error}") from error
    return policy, header["extra"]


def unpack_policy(path: Path | str) -> tuple[dict[str, Any], bytes]:
    """The two parts of a policy file, verified: what it says about itself, and its tensors as a safetensors file.

    Raises:
        UserError: As for `load_policy`.
    """
    load_policy(path)
    header, members = _read(path, "policy")
    return {name: value for name, value in header.items() if name not in _OF_THE_FILE}, members[_TENSORS]


def pack_policy(path: Path | str, about: dict[str, Any], tensors: bytes) -> None:
    """Write a policy file from the two parts that `unpack_policy` gave."""
    _write(path, about, {_TENSORS: tensors})


def read_extra(path: Path | str) -> dict[str, Any]:
    """Read only the caller's JSON values of a checkpoint, such as where to resume."""
    return _read(path, "agent")[0]["extra"]


def _state(header: dict[str, Any], members: dict[str, bytes]) -> AlgorithmState:
    """Rebuild the algorithm's state from what `save_checkpoint` stored."""
    arrays = {}
    for name, content in members.items():
        if name.endswith(_ARRAYS):
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                arrays[name.removesuffix(_ARRAYS)] = dict(stored)
    return AlgorithmState(safetensors.torch.load(members[_TENSORS]), header["values"], arrays)


def _write(path: Path | str, header: dict[str, Any], members: _Members) -> None:
    """Write header and members."""
    header = {"format": FORMAT, "version": VERSION, **header, "sha256": {}}
    with atomic_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                hashed = _Hashed(member)
                if isinstance(content, bytes):
                    hashed.write(content)
                else:
                    _save_arrays(hashed, content)
            header["sha256"][name] = hashed.sha256.hexdigest()
        archive.writestr("header.json", json.dumps(header, indent=1, allow_nan=False))


def _save_arrays(file: io.RawIOBase, arrays: dict[str, np.ndarray]) -> None:
    """Write what `numpy.load` reads, like `numpy.savez` but without a copy: a replay may fill half the memory."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            values = np.asarray(array, order="C")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(values))
                member.write(values.reshape(-1).view(np.uint8).data)


class _Hashed(io.RawIOBase):
    """A file stream that computes the checksum of what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self._file.write(data)


def _read(path: Path | str, kind: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return header and members, verified."""
    try:
        with Path(path).open("rb") as file:
            header, members = _parse(path, file)
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if not isinstance(header, dict):
        raise UserError(f"{path} is no checkpoint: its header is not an object with names and values")
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise UserError(
            f"{path} is {header.get('format')} version {header.get('version')}, this program reads {FORMAT} version "
            f"{VERSION}: use the program version that wrote it"
        )
    if header.get("kind") != kind:
        raise UserError(f"{path} is a {header.get('kind')} file, expected a {kind} file")
    if not all(isinstance(header.get(name), dict) for name in ("sha256", "extra")):
        raise UserError(f"{path}: its header lacks the checksums or the run's own values: use an older copy")
    for name, checksum in header["sha256"].items():
        if name not in members or hashlib.sha256(members[name]).hexdigest() != checksum:
            raise UserError(f"{path}: {name} is missing or does not match its checksum: use an older copy")
    return header, members


def _parse(path: Path | str, file: IO[bytes]) -> tuple[Any, dict[str, bytes]]:
    """Return header and members of an archive, unverified."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        return json.loads(members.pop("header.json")), members
    except Exception as error:  # a damaged file can make the parser fail in any way
        raise UserError(f"{path} was cut short or is no checkpoint ({error}): use an older copy") from error
