"""Any skill over ROS: runner and guard between the simulated robot and the episode manager, as launched."""

import sys
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from sac_gmm_interfaces.msg import EpisodeState
from sac_gmm_interfaces.srv import RunEpisode

from sac_gmm.methods import MacroEnv, method
from sac_gmm.methods.episodes import run_episode
from sac_gmm.methods.settings import load_settings
from sac_gmm.methods.skill import deterministic_policy
from sac_gmm.models import load_model
from sac_gmm.rl import save_policy
from sac_gmm.tasks import make_task
from sac_gmm_nodes.common.conversions import nanoseconds, point_array
from sac_gmm_nodes.common.qos import EPISODE

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PERIOD_NS = 1e9 / 30
TIME_LIMIT_S = 7.0
MODEL = ROOT / "models/door/sac_gmm/skill.npz"
SEEDS = (0, 2)  # one that succeeds, one that does not
EXACT = {"target_noise_std_m": 0.0}
ALL = QoSProfile(depth=1000)


class Chain:
    """The launched graph, and what of it these tests listen to."""

    def __init__(self, graph, **arguments):
        self.graph = graph
        self.poses = graph.listen("state/pose", PoseStamped, ALL)
        self.episodes = graph.listen("episode_state", EpisodeState, EPISODE)
        given = {"guard": "true", "time_limit_s": TIME_LIMIT_S} | arguments
        command = [sys.executable, "-m", "sac_gmm.cli.main", "up", "launch/simulation.launch.yaml"]
        graph.run("launch", command + [f"{name}:={value}" for name, value in given.items()])

    def run_episode(self, mode, seed):
        """Run an episode; return its announcement of the end."""
        outcome = self.graph.call(RunEpisode, "run_episode", RunEpisode.Request(mode=mode, seed=seed), 240.0)
        assert outcome.success, outcome.message
        last = lambda: self.episodes[-1]  # noqa: E731
        self.graph.wait(
            lambda: (last().phase, last().mode, last().seed) == (EpisodeState.PHASE_ENDED, mode, seed), "the end"
        )
        return last()

    def path_m(self, episode):
        """Positions of the arm in an episode, by control step; a busy listener may have missed some."""
        start_ns, end_ns = nanoseconds(episode.start_stamp), nanoseconds(episode.end_stamp)
        path = {}
        for message in list(self.poses):
            stamp_ns = nanoseconds(message.header.stamp)
            if start_ns <= stamp_ns <= end_ns:
                path[round((stamp_ns - start_ns) / PERIOD_NS)] = point_array(message.pose.position)
        return path


@pytest.fixture
def policy_file(tmp_path):
    """A residual agent for the door that has learned nothing, but acts."""
    spec, settings, model = residual_agent()[2:]
    about = {"task": "door", "skill": "residual_gmm", "settings": settings.to_json(), "model_id": model.model_id}
    save_policy(tmp_path / "policy.bin", spec.build().policy, spec, about)
    return tmp_path / "policy.bin"


def residual_agent():
    """Decoder, window, algorithm, settings and prior, as a runner makes them."""
    chosen, model = method("residual_gmm"), load_model(MODEL)
    settings = load_settings(chosen, "door", ROOT / "config/methods").changed(zero_init=False)
    decoder = chosen.decoder(model, settings)
    window = chosen.observation(decoder, settings, TIME_LIMIT_S)
    return decoder, window, chosen.algorithm(window.spec, decoder.action_dim, settings, 9), settings, model


def in_one_process(policy_file, seed):
    """The same episode without ROS: positions at every control step, actions, and whether it succeeded."""
    scene = make_task("door")
    scene.time_limit_s = TIME_LIMIT_S
    env = MacroEnv(scene, *residual_agent()[:2])
    path, actions = [], []
    env.on_state = lambda state: path.append(state["ee_position_m"].copy())
    act = deterministic_policy(policy_file)
    outcome = run_episode(env, act, seed, EXACT, on_step=lambda _, action, __: actions.append(action))
    scene.close()
    return np.array(path), np.array(actions), outcome.success


def test_a_skill_over_ros_is_the_skill_in_one_process(graph, policy_file):
    chain = Chain(graph, model=MODEL, policy=policy_file, **EXACT)
    for seed in SEEDS:
        ended = chain.run_episode(EpisodeState.MODE_EVALUATE, seed)
        expected, actions, success = in_one_process(policy_file, seed)
        assert np.abs(actions).max(axis=0).min() > 0.05, "it acts on every axis"
        graph.wait(lambda ended=ended: len(chain.path_m(ended)) > 100, "the way of the arm")
        path = chain.path_m(ended)
        for step in path.keys() & range(len(expected)):  # what is seen of a success comes a little later
            np.testing.assert_array_equal(path[step], expected[step], err_msg=f"seed {seed}, step {step}")
        assert ended.success == success, graph.output("launch")
        assert success or path.keys() <= set(range(len(expected)))
    assert graph.stop("launch") == 0
    assert "Traceback" not in graph.output("launch")
