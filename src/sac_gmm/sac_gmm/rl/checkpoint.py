"""Everything that learning depends on, in one file without pickle.

A checkpoint is an uncompressed zip archive with `header.json` (format, version, shapes, configuration, counters, random
states and the checksum of every other member), `tensors.safetensors` (networks, targets, optimisers, torch's random
state) and, where asked for, `replay.npz`. It is written beside its place and renamed: a crash leaves the last one.
A policy file is the same without critics, optimisers and replay: small, and enough to act.
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
from sac_gmm.rl.replay import Replay
from sac_gmm.rl.sac.agent import Policy, SacAgent
from sac_gmm.rl.sac.config import ObservationSpec, SacConfig

FORMAT = "sac_gmm.rl"
VERSION = 1

_Members = dict[str, bytes | dict[str, np.ndarray]]


@dataclass(frozen=True)
class Checkpoint:
    """What `load_checkpoint` found."""

    agent: SacAgent
    replay: Replay | None
    extra: dict[str, Any] = field(default_factory=dict)  # JSON values of the caller: episode counters, noise state


def save_checkpoint(
    path: Path | str, agent: SacAgent, replay: Replay | None = None, extra: dict[str, Any] | None = None
) -> None:
    """Write agent, replay buffer and the caller's own JSON values to one file, in one step.

    Args:
        path: The file; an older one is replaced.
        agent: Saved whole, so that learning goes on bit for bit.
        replay: Saved where given.
        extra: JSON values, such as the episode counter or `Ar1Noise.state_dict()`.
    """
    state = agent.state_dict()
    members: _Members = {"tensors.safetensors": safetensors.torch.save(state["tensors"])}
    if replay is not None:
        members["replay.npz"] = replay.state_dict()
    header = {
        "kind": "agent",
        "seed": agent.seed,
        "values": state["values"],
        "replay_capacity": None if replay is None else replay.capacity,
        "extra": extra or {},
    }
    _write(path, {**_describe(agent.policy, agent.config), **header}, members)


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        UserError: No such file, a cut or changed file, another kind or version, shapes that do not fit.
    """
    header, members = _read(path, "agent")
    try:
        spec, config = ObservationSpec.from_json(header["spec"]), SacConfig.from_json(header["config"])
        agent = SacAgent(spec, header["action_dim"], config, header["seed"])
        agent.load_state_dict(
            {"tensors": safetensors.torch.load(members["tensors.safetensors"]), "values": header["values"]}
        )
        replay = None
        if "replay.npz" in members:
            replay = Replay(spec, agent.action_dim, header["replay_capacity"])
            with np.load(io.BytesIO(members["replay.npz"]), allow_pickle=False) as arrays:
                replay.load_state_dict(dict(arrays))
    except Exception as error:  # what was changed by hand can make this stumble in any way at all
        raise UserError(f"checkpoint {path} does not fit this version's agent: {error}") from error
    return Checkpoint(agent, replay, header["extra"])


def save_policy(path: Path | str, policy: Policy, config: SacConfig, extra: dict[str, Any] | None = None) -> None:
    """Write a policy alone: what is needed to act, not to learn on.

    Args:
        path: The file; an older one is replaced.
        policy: Such as `agent.policy`.
        config: The configuration that it was built with.
        extra: JSON values, such as the task and its success rate.
    """
    tensors = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    header = {"kind": "policy", "policy_version": policy.version, "extra": extra or {}}
    _write(path, {**_describe(policy, config), **header}, {"tensors.safetensors": safetensors.torch.save(tensors)})


def load_policy(path: Path | str) -> tuple[Policy, dict[str, Any]]:
    """Read a policy file; return the policy and the caller's JSON values.

    Raises:
        UserError: No such file, a cut or changed file, another kind or version, shapes that do not fit.
    """
    header, members = _read(path, "policy")
    try:
        spec, config = ObservationSpec.from_json(header["spec"]), SacConfig.from_json(header["config"])
        policy = Policy(spec, header["action_dim"], config)
        policy.load_state_dict(safetensors.torch.load(members["tensors.safetensors"]))
        policy.version = header["policy_version"]
    except Exception as error:  # what was changed by hand can make this stumble in any way at all
        raise UserError(f"policy {path} does not fit this version: {error}") from error
    return policy, header["extra"]


def read_extra(path: Path | str) -> dict[str, Any]:
    """Read only the caller's JSON values of a checkpoint, such as where to go on."""
    return _read(path, "agent")[0]["extra"]


def _describe(policy: Policy, config: SacConfig) -> dict[str, Any]:
    return {"spec": policy.spec.to_json(), "action_dim": policy.action_dim, "config": config.to_json()}


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
    """Write what `numpy.load` reads, as `numpy.savez` does, but without a copy: a replay may fill half the memory."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            values = np.asarray(array, order="C")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(values))
                member.write(values.reshape(-1).view(np.uint8).data)


class _Hashed(io.RawIOBase):
    """A stream into a file that knows the checksum of what went through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self._file.write(data)


def _read(path: Path | str, kind: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return header and members, checked."""
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
        raise UserError(f"{path} holds a {header.get('kind')}, expected a file with a {kind}")
    if not all(isinstance(header.get(name), dict) for name in ("sha256", "extra")):
        raise UserError(f"{path}: its header lacks the checksums or what belongs to the run: use an older copy")
    for name, checksum in header["sha256"].items():
        if name not in members or hashlib.sha256(members[name]).hexdigest() != checksum:
            raise UserError(f"{path}: {name} is missing or does not match its checksum: use an older copy")
    return header, members


def _parse(path: Path | str, file: IO[bytes]) -> tuple[Any, dict[str, bytes]]:
    """Header and members of an archive, as they are in it."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        return json.loads(members.pop("header.json")), members
    except Exception as error:  # a damaged file can make the parser stumble in any way at all
        raise UserError(f"{path} was cut short or is no checkpoint ({error}): use an older copy") from error
