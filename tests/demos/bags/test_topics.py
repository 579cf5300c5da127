"""A topic's name with its leading slash and without: both mean the same, in the bag and in the option."""

import itertools

import numpy as np
import pytest
from foreign import foreign_bag, position

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, TopicNames, read_demonstration
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
from sac_gmm.demos.bags.topics import absolute, matching

SPELLINGS = list(itertools.product(("/", ""), repeat=2))


@pytest.mark.parametrize(("in_bag", "asked"), SPELLINGS)
def test_both_spellings_are_read(tmp_path, in_bag, asked):
    bag = foreign_bag(tmp_path / "bag", pose=f"{in_bag}tip", twist=f"{in_bag}speed", target=f"{in_bag}goal")
    demonstration = read_demonstration(bag, TopicNames(f"{asked}tip", f"{asked}speed", f"{asked}goal"))
    assert np.array_equal(demonstration.position_m, [position(i) for i in range(90)])
    assert np.allclose(demonstration.velocity_m_s, [0.3, 0, 0]), "the recorded velocity, not the positions' difference"


@pytest.mark.parametrize("command", ["info", "export", "plot", "trim", "fit"])
@pytest.mark.parametrize(("in_bag", "asked"), SPELLINGS[1:])
def test_every_command_takes_both(tmp_path, command, in_bag, asked):
    bag = rising(tmp_path / "bag", f"{in_bag}tip", f"{in_bag}goal")
    names = ["--pose-topic", f"{asked}tip", "--target-topic", f"{asked}goal"]
    outputs = {"export": "a.npz", "plot": "a.png", "trim": "cut", "fit": "skill.npz"}
    options = ["-o", str(tmp_path / outputs[command])] if command in outputs else []
    options += ["--model", "gmm", "-k", "1", "--plot", "none"] if command == "fit" else []
    words = [command] if command == "fit" else ["demos", command]
    assert main([*words, str(bag), *options, *names]) == 0
    if command == "trim":
        assert main(["demos", "info", str(tmp_path / "cut" / "bag"), *names]) == 0


def rising(path, pose, target):
    """One second of a motion upwards, to its target."""
    with EpisodeBagWriter(path, {pose: POSE, target: POSE}) as writer:
        writer.write(target, pose_stamped(0, "base", [0.5, 0, 0.4]))
        for i in range(50):
            share = i / 49
            height = 0.2 + 0.2 * (10 * share**3 - 15 * share**4 + 6 * share**5)
            writer.write(pose, pose_stamped(i * 20_000_000, "base", [0.5 + 0.02 * share, 0, height]))
    return path


def test_a_namespace_is_found_without_a_slash_too(tmp_path):
    bag = foreign_bag(tmp_path / "bag", pose="lbr/state/pose", twist="lbr/state/twist", target="lbr/target_pose")
    assert read_demonstration(bag).n_samples == 90


def test_two_namespaces_are_still_asked_about(tmp_path):
    bag = foreign_bag(tmp_path / "bag", pose="left/state/pose", twist="/right/state/pose", target="target_pose")
    with pytest.raises(UserError, match=r"/right/state/pose and left/state/pose could both be /state/pose"):
        read_demonstration(bag)


def test_the_spelling_that_was_asked_for_comes_first():
    both = ["/goal", "goal"]
    assert [matching(both, asked) for asked in both] == [["/goal"], ["goal"]]
    assert matching(["a/goal", "goal"], "/goal") == ["goal"]
    assert matching(["/a/goal", "/first_goal"], "goal") == ["/a/goal"], "whole words of the name"
    assert matching(both, "/nothing") == []
    assert absolute("a/b") == absolute("/a/b") == "/a/b"
