import dataclasses
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sac_gmm.core.errors import UserError
from sac_gmm.rl import (
    ObservationSpec,
    Sac,
    SacConfig,
    load_checkpoint,
    load_policy,
    read_extra,
    save_checkpoint,
    save_policy,
)
from sac_gmm.rl.sac import agent as sac

MODELS = Path(__file__).parents[2] / "models"
SCRIPT = Path(__file__).with_name("resumable_run.py")


@pytest.mark.parametrize(("encoder_interval", "n_proposals"), [(0, 0), (2, 0), (0, 8)])
def test_going_on_from_a_checkpoint_equals_never_stopping(
    monkeypatch, tmp_path, image_spec, small_config, transitions, observe, make_sac, encoder_interval, n_proposals
):
    monkeypatch.setattr(sac, "UPDATES_TO_CHOOSE", 5)
    config = dataclasses.replace(
        small_config, encoder_interval=encoder_interval, n_proposals=n_proposals, encoder_steps=3, replay_capacity=50
    )
    algorithm = make_sac(image_spec, config, seed=2)
    for transition in transitions(image_spec, 70):
        algorithm.observe(transition)
    algorithm.prepare()
    algorithm.update(7)
    save_checkpoint(tmp_path / "agent.checkpoint", algorithm, {"episode": 4})
    loaded = load_checkpoint(tmp_path / "agent.checkpoint")
    assert loaded.extra == {"episode": 4} == read_extra(tmp_path / "agent.checkpoint")
    assert loaded.algorithm.spec == algorithm.spec
    assert algorithm.update(9) == loaded.algorithm.update(9)
    obs = observe(image_spec, np.random.default_rng(0))
    np.testing.assert_array_equal(algorithm.act(obs), loaded.algorithm.act(obs))
    expected, got = algorithm.state_dict(), loaded.algorithm.state_dict()
    assert expected.values == got.values
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, got.tensors[name]), name


def start(path):
    return subprocess.Popen([sys.executable, str(SCRIPT), str(path)], stdout=subprocess.PIPE, text=True)


def test_a_run_that_was_killed_ends_bit_for_bit_where_an_unbroken_one_does(tmp_path):
    unbroken = start(tmp_path / "unbroken.checkpoint").communicate()[0].split()[-1]
    process = start(tmp_path / "killed.checkpoint")
    for line in process.stdout:
        if "episode 3" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    again = start(tmp_path / "killed.checkpoint").communicate()[0].split()
    assert "1" not in again  # it did not start from the first episode
    assert again[-1] == unbroken


@pytest.fixture
def saved(tmp_path, transitions, make_sac):
    spec = ObservationSpec(3)
    path = tmp_path / "agent.checkpoint"
    algorithm = make_sac(spec, SacConfig(critic_hidden=(8,)))
    for transition in transitions(spec, 20):
        algorithm.observe(transition)
    save_checkpoint(path, algorithm)
    return path


def rewrite(path, change, without=None):
    """Change the header of a checkpoint, and leave a member out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["header.json"])
    change(header)
    members["header.json"] = json.dumps(header).encode()
    members.pop(without, None)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_nothing_in_it_is_pickled(saved):
    with zipfile.ZipFile(saved) as archive:
        assert set(archive.namelist()) == {"header.json", "tensors.safetensors", "replay.npz"}
        with archive.open("replay.npz") as file:
            assert len(np.load(file, allow_pickle=False)["reward"]) == 20


@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_a_cut_file_is_named(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"agent\.checkpoint.*cut short"):
        load_checkpoint(saved)


def test_a_changed_byte_is_found(saved):
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    saved.write_bytes(content)
    with pytest.raises(UserError, match=r"agent\.checkpoint"):
        load_checkpoint(saved)


def test_a_flipped_bit_in_the_archive_is_found_or_harmless(saved):
    """In what the archive says of its members; each of them has a checksum."""
    whole = saved.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for place in (*range(8 * directory, 8 * len(whole), 37), *range(0, 240, 11)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        saved.write_bytes(flipped)
        try:
            assert read_extra(saved) == {}
        except UserError as error:
            assert "agent.checkpoint" in str(error)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("extra"),
        lambda header: header.update(sha256=[]),
        lambda header: header.update(spec=[1]),
        lambda header: header.update(action_dim="two"),
        lambda header: header["config"].update(replay_capacity=19),
        lambda header: header.update(algorithm="another"),
        lambda header: header["config"].update(gamma=float("nan")),
        lambda header: header["values"].clear(),
    ],
)
def test_a_header_that_was_changed_is_named(saved, change):
    rewrite(saved, change)
    with pytest.raises(UserError, match=r"agent\.checkpoint"):
        load_checkpoint(saved)


def test_a_header_that_is_no_object_is_named(saved):
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("header.json", "[1]")
    with pytest.raises(UserError, match=r"agent\.checkpoint is no checkpoint"):
        load_checkpoint(saved)


def test_another_version_is_refused(saved):
    rewrite(saved, lambda header: header.update(version=99))
    with pytest.raises(UserError, match="version 99"):
        load_checkpoint(saved)


def test_other_shapes_are_refused(saved):
    rewrite(saved, lambda header: header["config"].update(critic_hidden=[32]))
    with pytest.raises(UserError, match=r"does not fit.*critics"):
        load_checkpoint(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no file"):
        load_checkpoint(tmp_path / "none")


def test_a_checkpoint_without_its_replay_buffer_is_refused(saved):
    rewrite(saved, lambda header: header["sha256"].pop("replay.npz"), without="replay.npz")
    with pytest.raises(UserError, match=r"agent\.checkpoint.*no replay buffer"):
        load_checkpoint(saved)


def test_a_file_that_names_no_algorithm_is_of_the_first(saved):
    rewrite(saved, lambda header: header.pop("algorithm"))
    assert type(load_checkpoint(saved).algorithm) is Sac


def test_a_policy_file_is_small_and_acts_alike(tmp_path, image_spec, small_config, filled, observe, make_sac):
    algorithm = make_sac(image_spec, small_config)
    agent = algorithm.agent
    agent.update_many(filled(image_spec, 50), 5)
    path = tmp_path / "door.policy"
    save_policy(path, algorithm.policy, algorithm.spec, {"task": "door"})
    policy, extra = load_policy(path)
    obs = observe(image_spec, np.random.default_rng(0))
    np.testing.assert_array_equal(policy.act(obs, True), algorithm.act(obs, True))
    assert (extra, policy.version) == ({"task": "door"}, 5)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match="is a policy file"):
        load_checkpoint(path)


@pytest.mark.parametrize("path", sorted(MODELS.rglob("policy.bin")), ids=lambda path: path.parent.name)
def test_the_shipped_policies_load_and_act(path, observe):
    """They were written before files named their algorithm."""
    policy, extra = load_policy(path)
    obs = observe(policy.spec, np.random.default_rng(0))
    action = policy.act(obs, deterministic=True)
    assert action.shape == (3,)
    assert np.abs(action).max() <= 1.0
    np.testing.assert_array_equal(action, policy.act(obs, deterministic=True))
    assert extra["episodes_trained"] > 0
