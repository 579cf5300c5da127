"""The sources without a browser: bags, runs, and what they answer to bad input."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from tests.demos.foreign import without_slashes
from tests.view.conftest import BAG, ROOT, wait

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
from sac_gmm.demos.bags.open_bag import open_bag
from sac_gmm.models import GaussianMixture, SkillModel, save_model
from sac_gmm.view.bag_source import BagSource, _shown_topics
from sac_gmm.view.collector import Collector
from sac_gmm.view.demonstrations import relative_paths
from sac_gmm.view.episode_log import ShownLog
from sac_gmm.view.listener import Listener
from sac_gmm.view.run_source import RunSource
from sac_gmm.view.sources import open_source


def skill(shift_m: float = 0.0) -> SkillModel:
    """Goes down onto the target, or beside it."""
    means = np.zeros((3, 6))
    means[:, 2] = [0.12, 0.06, 0.0]
    means[:-1, 5] = -0.06
    means[:, 0] += shift_m
    covariance = np.diag([4e-3] * 3 + [1e-3] * 3)
    covariance[[0, 1, 2], [3, 4, 5]] = covariance[[3, 4, 5], [0, 1, 2]] = -1e-3
    mixture = GaussianMixture(np.full(3, 1 / 3), means, np.tile(covariance, (3, 1, 1)))
    return SkillModel("gmm", mixture, np.array([shift_m, 0.0, 0.0]))


@pytest.fixture
def run_folder(tmp_path) -> Path:
    """A run that has only begun: no policy yet."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"task": "door", "task_options": {}}))
    save_model(folder / "skill.npz", skill())
    return folder


def log_line(number: int, success: bool) -> str:
    line = {"number": number, "mode": "train", "seed": 100 + number, "success": success, "steps": 60, "decisions": 4}
    return json.dumps({**line, "wall_s": 0.4}) + "\n"


# Bags ------------------------------------------------------------------------------------------------------------


def test_a_bag_is_played_in_its_own_time_and_again():
    source = BagSource(BAG)
    source.controls.set_speed(8.0)
    wait(lambda: source.snapshot().status.state == "ended", "the end of the bag")
    ended = source.snapshot()
    assert ended.joints_rad.shape == (7,)
    assert len(ended.path_m) > 50
    np.testing.assert_allclose(ended.path_m[-1], ended.tip_m, atol=0.002)
    source.controls.set_speed(1.0)
    assert source.controls.reset() == "from the start"
    wait(lambda: source.snapshot().status.state == "playing", "the bag to play again")
    assert len(source.snapshot().path_m) < len(ended.path_m)
    source.close()


def test_a_bag_without_leading_slashes_shows_the_same(tmp_path):
    bag = without_slashes(BAG, tmp_path / "bag")
    with open_bag(BAG) as ours, open_bag(bag) as theirs:
        assert {key[1:]: name for key, name in _shown_topics(ours).items()} == _shown_topics(theirs)


def test_the_problems_of_the_demonstrations_that_are_drawn_are_named(tmp_path, capsys):
    with EpisodeBagWriter(tmp_path / "in_mm", {"/state/pose": POSE, "/target_pose": POSE}) as writer:
        writer.write("/target_pose", pose_stamped(0, "base", [400.0, 0.0, 200.0]))
        for i in range(90):
            writer.write("/state/pose", pose_stamped(i * 33_000_000, "base", [400.0, 0.0, 500.0 - 3.0 * i]))
    assert len(relative_paths(tmp_path)) == 1
    assert "the demonstrations: in_mm: reaches 300 m from its target" in capsys.readouterr().err


def test_a_skill_can_be_given_to_a_bag_without_one(tmp_path):
    save_model(tmp_path / "skill.npz", skill())
    source = BagSource(BAG, tmp_path / "skill.npz")
    assert source.snapshot().base.model_id == skill().model_id
    source.close()


@pytest.fixture
def session_bag(tmp_path) -> Path:
    """Half a second of a session: episode, model and its update, status, target, all as the nodes say them."""
    store = get_typestore(Stores.ROS2_JAZZY)
    messages = ROOT / "src" / "sac_gmm_interfaces" / "msg"
    for name in ("MixtureModel", "EpisodeState", "ControllerStatus"):
        text = (messages / f"{name}.msg").read_text()
        store.register(get_types_from_msg(text, f"sac_gmm_interfaces/msg/{name}"))
    types = store.types

    def head(stamp_s: float):
        stamp = types["builtin_interfaces/msg/Time"](int(stamp_s), round(1e9 * (stamp_s % 1.0)))
        return types["std_msgs/msg/Header"](stamp, "base")

    def pose(stamp_s: float, xyz: tuple[float, float, float]):
        point, facing = types["geometry_msgs/msg/Point"](*xyz), types["geometry_msgs/msg/Quaternion"](0, 0, 0, 1)
        return types["geometry_msgs/msg/PoseStamped"](head(stamp_s), types["geometry_msgs/msg/Pose"](point, facing))

    def model(stamp_s: float, version: int):
        shown = skill(0.01 * version)
        arrays = (shown.mixture.priors, shown.mixture.means.ravel(), shown.mixture.covariances.ravel())
        kind = types["sac_gmm_interfaces/msg/MixtureModel"]
        return kind(head(stamp_s), "base", "gmm", version, 3, 3, *arrays, shown.attractor, shown.checksum)

    def episode(stamp_s: float, phase: int, success: bool = False):
        kind = types["sac_gmm_interfaces/msg/EpisodeState"]
        start, end = head(1.0).stamp, head(stamp_s).stamp
        return kind(
            head(stamp_s), phase, 1, 4, 17, np.zeros(0), start, 10.0, "marker", success, float(success), False, end, ""
        )

    def status(stamp_s: float):
        kind = types["sac_gmm_interfaces/msg/ControllerStatus"]
        velocity = types["geometry_msgs/msg/Vector3"](0.0, 0.03, 0.04)
        numbers = (1, 5, 4, 5, 0, False, True, 2e-4, 1e-3, 0.01, 0.5)
        return kind(head(stamp_s), 2, 0, 2, "slowed to max_speed_m_s", "base", *numbers, velocity)

    said = [
        (1.00, "/target_pose", "geometry_msgs/msg/PoseStamped", pose(1.0, (0.5, 0.0, 0.3))),
        (1.01, "/model", "sac_gmm_interfaces/msg/MixtureModel", model(1.01, 0)),
        (1.02, "/episode_state", "sac_gmm_interfaces/msg/EpisodeState", episode(1.02, 2)),
        *((t, "/state/pose", "geometry_msgs/msg/PoseStamped", pose(t, (0.5, 0.1 * t, 0.4))) for t in (1.1, 1.2, 1.3)),
        (1.35, "/model", "sac_gmm_interfaces/msg/MixtureModel", model(1.35, 1)),
        (1.40, "/controller_status", "sac_gmm_interfaces/msg/ControllerStatus", status(1.40)),
        (1.50, "/episode_state", "sac_gmm_interfaces/msg/EpisodeState", episode(1.5, 3, success=True)),
    ]
    path = tmp_path / "session"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for time_s, topic, kind, message in said:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], round(1e9 * time_s), store.serialize_cdr(message, kind))
    return path


def test_a_recorded_session_shows_episode_model_update_and_status(session_bag):
    source = open_source(session_bag)
    wait(lambda: source.snapshot().status.state == "ended", "the end of the bag")
    now = source.snapshot()
    assert now.base.model_id == skill().model_id
    assert now.current.model_id == skill(0.01).model_id
    assert [vars(row) for row in now.episodes] == [
        {"number": 4, "mode": "train", "seed": 17, "success": True, "duration_s": 0.5}
    ]
    assert [rollout.success for rollout in now.rollouts] == [True]
    np.testing.assert_allclose(now.rollouts[0].path_m, [[0, 0.11, 0.1], [0, 0.12, 0.1], [0, 0.13, 0.1]], atol=1e-12)
    np.testing.assert_allclose(now.ticks.compute_ms, [0.2])
    np.testing.assert_allclose(now.ticks.late_ms, [1.0])
    source.close()


def test_a_skill_that_was_given_stays_the_one_as_fitted_for_whoever_comes_late():
    collector = Collector(base=skill())
    changed = skill(0.01)
    message = SimpleNamespace(
        n_components=3,
        state_dim=3,
        kind="gmm",
        version=7,
        model_id=skill().model_id,
        priors=changed.mixture.priors,
        means=changed.mixture.means.ravel(),
        covariances=changed.mixture.covariances.ravel(),
        attractor=changed.attractor,
    )
    Listener(collector).take_in("model", message)
    now = collector.snapshot()
    assert now.base.model_id == skill().model_id and now.current.model_id == changed.model_id
    message.model_id = "another"  # a controller with another skill: the one given is not its base
    Listener(collector).take_in("model", message)
    assert collector.snapshot().base is None


# Runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_is_followed_and_its_episodes_are_played(run_folder):
    source = RunSource(run_folder, ROOT / "demos")
    source.controls.set_speed(8.0)
    assert len(source.snapshot().demonstrations) == 5
    wait(lambda: source.snapshot().tip_m is not None, "the simulation")
    wait(lambda: len(source.snapshot().path_m) > 10, "the arm to move")
    now = source.snapshot()
    assert now.status.state == "active" and "skill as fitted" in now.status.episode
    assert 0.001 < np.linalg.norm(now.target_m - now.true_target_m) < 0.06
    assert set(now.pictures) == {"fixed", "rgb"}

    log = run_folder / "episodes.jsonl"
    log.write_text(log_line(0, False))
    wait(lambda: len(source.snapshot().episodes) == 1, "the first line")
    with log.open("a") as file:
        file.write(log_line(1, True)[:20])  # half written
    with log.open("a") as file:
        file.write(log_line(1, True)[20:])
    wait(lambda: len(source.snapshot().episodes) == 2, "the second line")
    row = source.snapshot().episodes[-1]
    assert (row.number, row.success, row.seed, row.duration_s) == (1, True, 101, pytest.approx(2.0))
    source.controls.reset()
    wait(lambda: "episode 1 (train)" in source.snapshot().status.episode, "the newest episode")
    source.controls.pause()
    wait(lambda: source.snapshot().status.state == "paused", "the pause")
    step_s = source.snapshot().time_s
    assert source.snapshot().time_s == step_s
    source.close()


def test_a_log_that_was_taken_back_is_read_anew(tmp_path):
    path = tmp_path / "episodes.jsonl"
    path.write_text(log_line(0, True) + log_line(1, False) + log_line(2, False))
    log = ShownLog(path, 1 / 30)
    assert log.read() and len(log.rows) == 3
    assert not log.read()
    path.write_text(log_line(0, True))
    assert log.read()
    assert [(row.number, row.success) for row in log.rows] == [(0, True)]


# Bad input -------------------------------------------------------------------------------------------------------


def test_what_is_neither_run_nor_bag_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"neither a run \(config.json is missing\) nor a bag"):
        open_source(tmp_path)
    with pytest.raises(UserError, match=r"nowhere does not exist: give the folder of a run, a bag"):
        open_source(tmp_path / "nowhere")


def test_a_run_without_its_files_names_the_one_that_is_missing(run_folder):
    (run_folder / "skill.npz").unlink()
    with pytest.raises(UserError, match=r"skill\.npz"):
        open_source(run_folder)
    (run_folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="names no task"):
        open_source(run_folder)


@pytest.mark.parametrize("line", ['{"loss": 1}', "[1]"])
def test_a_log_of_something_else_is_refused(run_folder, line):
    (run_folder / "episodes.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=r"episodes\.jsonl is not a log of episodes"):
        open_source(run_folder)


def test_a_bag_that_was_cut_short_is_refused(tmp_path):
    whole = next(BAG.glob("*.mcap")).read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.mcap cannot be read: it was cut short"):
        open_source(tmp_path / "cut.mcap")
