import math
import signal
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, WrenchStamped
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MethodPace, MixtureUpdate

from sac_gmm.methods import method
from sac_gmm.methods.sac_gmm import Translation, WindowObserver
from sac_gmm.methods.sac_gmm import method as sac_gmm
from sac_gmm.methods.sac_gmm.settings import AgentSettings
from sac_gmm.methods.settings import load_settings
from sac_gmm.models import load_model, parameters_checksum
from sac_gmm.rl import load_checkpoint, read_extra, save_checkpoint, save_policy
from sac_gmm_nodes.common.conversions import header, pose_message, stamp_of, wrench_message
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])
FRAME = "lbr_link_0"
INTERVAL, STEPS = 4, 10


class World:
    """Robot, controller and episode manager in the test's process, in step with the adapter."""

    def __init__(self, graph, model_file, run_dir, **parameters):
        self.graph, self.base = graph, load_model(model_file)
        node = graph.node
        self.updates = graph.listen("model_update", MixtureUpdate, RELIABLE)
        self.paces = graph.listen("method_pace", MethodPace, LATCHED)
        self.poses = node.create_publisher(PoseStamped, "state/pose", RELIABLE)
        self.wrenches = node.create_publisher(WrenchStamped, "wrench", RELIABLE)
        self.targets = node.create_publisher(PoseStamped, "target_pose", LATCHED)
        self.episodes = node.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.statuses = node.create_publisher(ControllerStatus, "controller_status", RELIABLE)
        self.periods = 0
        self.episode_id = 0
        self.run_dir = run_dir
        self.fixed = {"model_file": model_file, "run_dir": run_dir, "use_image": False, "reliable_state": True}
        self.start(**parameters)

    def start(self, **parameters):
        self.graph.wait(lambda: not self.graph.node.count_publishers("model_update"), "the end of the adapter before")
        self.graph.start("sac_adapter", **(self.fixed | parameters))
        publishers = [self.poses, self.wrenches, self.targets, self.episodes, self.statuses]
        self.graph.wait(lambda: all(p.get_subscription_count() for p in publishers), "the adapter")
        self.graph.wait(lambda: self.graph.node.count_publishers("model_update"), "the adapter")

    def episode(self, mode, success=False, end_step=STEPS):
        """Play one episode and return the shifts of the attractor that the adapter decided on.

        Before it is told that the episode has ended, at `end_step`, the arm may have gone on.
        """
        self.episode_id += 1
        start = self.periods + 1
        state = EpisodeState(mode=mode, episode_id=self.episode_id, time_limit_s=STEPS / 30)
        state.phase, state.start_stamp = EpisodeState.PHASE_RUNNING, self.stamp(start)
        first = len(self.updates)
        self.targets.publish(pose_message(np.zeros(3), NO_TURN, header(self.stamp(start), FRAME)))
        self.episodes.publish(state)
        for step in range(STEPS + 1):
            self.periods = start + step
            head = header(self.stamp(self.periods), FRAME)
            self.say_state(step, head)
            if step % INTERVAL == 0:
                self.decide(step, head)
        state.phase, state.success, state.timed_out = EpisodeState.PHASE_ENDED, success, not success
        state.end_stamp = self.stamp(start + end_step)
        self.episodes.publish(state)
        return np.array([update.attractor for update in self.updates[first:]]) - self.base.attractor

    def say_state(self, step, head):
        self.poses.publish(pose_message(np.full(3, 0.01 * step), NO_TURN, head))
        self.wrenches.publish(wrench_message(np.full(6, float(step)), head))

    def decide(self, step, head):
        count = len(self.updates)
        status = ControllerStatus(header=head, model_id=self.base.model_id, version=count, episode_id=self.episode_id)
        status.step, status.decision, status.decision_due = step, step // INTERVAL, True
        self.statuses.publish(status)
        # Said again until it is answered: who asks for the latest state only may have missed it.
        self.graph.wait(lambda: self.say_state(step, head) or len(self.updates) > count, "an update")
        update = self.updates[-1]
        assert (update.model_id, update.base_version) == (self.base.model_id, count)
        assert update.new_version > update.base_version
        assert (update.episode_id, update.decision, update.header.stamp) == (
            self.episode_id,
            step // INTERVAL,
            head.stamp,
        )

    def stamp(self, period):
        return stamp_of(round(period * 1e9 / 30))

    def replay(self):
        checkpoint = load_checkpoint(self.run_dir / "agent.checkpoint")
        return checkpoint.algorithm.replay, checkpoint.algorithm.agent


@pytest.mark.parametrize("learner", ["sync", "async"])
def test_modes_transitions_and_checkpoints(graph, model_file, tmp_path, learner):
    world = World(graph, model_file, tmp_path / "run", learner=learner)
    base = world.episode(EpisodeState.MODE_BASE)
    assert base.shape == (3, 3)
    assert not base.any()
    explored = world.episode(EpisodeState.MODE_TRAIN, success=True)
    assert explored.any()
    assert np.abs(explored).max() <= 0.03
    world.episode(EpisodeState.MODE_EVALUATE)
    update = world.updates[-1]
    shape = world.base.mixture.means.shape
    means = np.array(update.means).reshape(shape)
    covariances = np.array(update.covariances).reshape(*shape, shape[1])
    assert update.checksum == parameters_checksum(update.priors, means, covariances, update.attractor)
    assert graph.stop("sac_adapter") == 0

    replay, _ = world.replay()
    assert replay.size == 6  # two episodes of three decisions; what is evaluated is not learned from
    rows = replay.state_dict()
    assert rows["steps"].tolist() == [4, 4, 2, 4, 4, 2]
    # It comes with the second of the last two steps, and is discounted as the learner discounts what follows.
    assert rows["reward"] == pytest.approx([0, 0, 0, 0, 0, AgentSettings().discount])
    assert rows["terminated"].tolist() == [False] * 5 + [True]
    assert rows["last"].tolist() == [False, False, True, False, False, True]
    np.testing.assert_allclose(rows["action"][3:] * 0.03, explored, atol=1e-7)
    np.testing.assert_allclose(rows["vector"][1, :3], 0.04, atol=1e-7)  # relative to the target at the decision
    np.testing.assert_allclose(rows["vector"][1, 3:9], np.mean([1, 2, 3, 4]))  # mean wrench since the last one

    beside = read_extra(world.run_dir / "agent.checkpoint")
    assert beside["episodes"] == {"base": 1, "train": 1}

    world.start(learner=learner)
    assert "continuing from" in graph.output("sac_adapter")
    world.episode(EpisodeState.MODE_TRAIN)
    world.episode(EpisodeState.MODE_EVALUATE)  # whose decisions come after the end of the one before was taken in
    assert graph.stop("sac_adapter") == 0
    assert world.replay()[0].size == 9
    beside_now = read_extra(world.run_dir / "agent.checkpoint")
    assert beside_now["episodes"] == {"base": 1, "train": 2}
    assert beside_now["agent"]["noise"] != beside["agent"]["noise"]  # went on, and not from its first number


def test_a_success_belongs_to_the_decision_before_it(graph, model_file, tmp_path):
    """On the wall clock, the next decision may be made before the news of the success is there."""
    world = World(graph, model_file, tmp_path / "run", learner="sync", reliable_state=False)
    world.episode(EpisodeState.MODE_TRAIN, success=True, end_step=6)
    first = world.updates[0]
    world.episode(EpisodeState.MODE_EVALUATE)  # whose decisions come after the end of the one before was taken in
    assert graph.stop("sac_adapter") == 0
    rows = world.replay()[0].state_dict()
    assert rows["reward"] == pytest.approx([0, AgentSettings().discount])
    assert rows["terminated"].tolist() == rows["last"].tolist() == [False, True]
    assert rows["steps"].tolist() == [4, 2]
    np.testing.assert_allclose(rows["action"][0] * 0.03, first.attractor - world.base.attractor, atol=1e-7)


def test_what_it_waits_for_is_said(graph, model_file, tmp_path):
    world = World(graph, model_file, tmp_path / "run", learner="sync")
    head = header(world.stamp(1), FRAME)
    running = EpisodeState(phase=EpisodeState.PHASE_RUNNING, episode_id=1, start_stamp=head.stamp, time_limit_s=1.0)
    world.episodes.publish(running)
    world.targets.publish(pose_message(np.zeros(3), NO_TURN, head))
    world.poses.publish(pose_message(np.zeros(3), NO_TURN, head))
    world.statuses.publish(ControllerStatus(header=head, model_id=world.base.model_id, episode_id=1, decision_due=True))
    graph.wait(lambda: "waiting for wrench;" in graph.output("sac_adapter"), "what is missing")
    world.targets.publish(pose_message(np.zeros(3), NO_TURN, header(world.stamp(1), "camera")))
    graph.wait(
        lambda: (
            "target_pose is in the frame 'camera', not in the base frame 'lbr_link_0'" in graph.output("sac_adapter")
        ),
        "both frames",
    )
    world.wrenches.publish(wrench_message(np.zeros(6), head))
    graph.wait(lambda: "waiting for target_pose;" in graph.output("sac_adapter"), "no target to be kept")
    assert not world.updates
    world.targets.publish(pose_message(np.zeros(3), NO_TURN, head))
    graph.wait(lambda: world.updates, "the decision")


@pytest.mark.parametrize("learner", ["sync", "async"])
def test_the_checkpoint_of_something_else_is_refused(graph, model_file, tmp_path, learner):
    observer = WindowObserver(3)  # without what the adapter sees by default
    algorithm = sac_gmm.algorithm(observer.spec, 3, AgentSettings(), seed=1).build()
    base = load_model(model_file)
    path = tmp_path / "agent.checkpoint"
    given = {"model_file": model_file, "run_dir": tmp_path, "use_image": False, "learner": learner}
    for model_id, episodes, words in (
        ("another", {}, "adapts skill another"),
        (base.model_id, {}, "another observation"),
        (base.model_id, 120, "that of a run of `sac-gmm train`"),
    ):
        extra = {"model_id": model_id, "episodes": episodes, "agent": {}}
        save_checkpoint(path, algorithm, extra)
        assert graph.start("sac_adapter", **given).wait(60) == 2
        assert words in graph.output("sac_adapter")
        assert "Traceback" not in graph.output("sac_adapter")


def test_a_checkpoint_survives_a_kill(graph, model_file, tmp_path):
    world = World(graph, model_file, tmp_path / "run", learner="sync", checkpoint_interval_s=1.0)
    checkpoint = world.run_dir / "agent.checkpoint"
    graph.wait(lambda: world.episode(EpisodeState.MODE_TRAIN).any() and checkpoint.exists(), "a checkpoint")
    graph.stop("sac_adapter", sign=signal.SIGKILL)
    replay, agent = world.replay()
    assert replay.size >= 3
    assert agent.n_updates > 0


def test_bad_parameters_are_refused_in_one_sentence(graph, model_file):
    slow = graph.start("slow", executable="sac_adapter", model_file=model_file, learner="slow")
    other = graph.start("other", executable="sac_adapter", model_file=model_file, method="residual_gmm")
    assert slow.wait(120) == other.wait(120) == 2
    assert "parameter learner = 'slow': expected one of: async, sync" in graph.output("slow")
    said = "the decisions of method 'residual_gmm' do not change a mixture: it is run by skill_runner behind guard"
    assert said in graph.output("other") and "guard:=true" in graph.output("other")


def test_a_trained_policy_is_used_as_it_is(graph, model_file, tmp_path):
    base = load_model(model_file)
    observer = WindowObserver(3, memory=True, action_shift=Translation(base).action_shift)
    settings = AgentSettings().changed(zero_init=False, interval=5, blend_s=0.2, training_noise_m=0.014)
    spec = sac_gmm.algorithm(observer.spec, 3, settings, seed=1)
    policy = spec.build().policy
    about = {"settings": settings.to_json(), "model_id": base.model_id, "episodes_trained": 7}
    path = tmp_path / "policy.bin"
    save_policy(path, policy, spec, about)
    world = World(graph, model_file, tmp_path / "run", policy_file=path)
    assert "after 7 training episodes" in graph.output("sac_adapter")
    once = world.episode(EpisodeState.MODE_TRAIN, success=True)
    assert once.any()
    np.testing.assert_array_equal(world.episode(EpisodeState.MODE_TRAIN)[0], once[0])  # no exploration
    graph.wait(lambda: world.paces, "the pace")
    assert len(world.paces) == 1
    pace = world.paces[0]
    assert (pace.model_id, pace.decision_interval, pace.control_rate_hz) == (base.model_id, 5, 30.0)
    assert (pace.blend_s, pace.training_noise_std_m) == (0.2, 0.014)
    assert graph.stop("sac_adapter") == 0
    assert not (world.run_dir / "agent.checkpoint").exists()  # nothing was learned

    save_policy(path, policy, spec, {**about, "model_id": "another"})
    process = graph.start("sac_adapter", model_file=model_file, use_image=False, policy_file=path)
    assert process.wait(60) == 2
    assert "adapts skill another" in graph.output("sac_adapter")


def test_it_announces_the_pace_of_its_task(graph, model_file, tmp_path):
    config = ROOT / "config" / "methods"
    world = World(graph, model_file, tmp_path / "run", config_folder=config, task="peg", learner="sync")
    graph.wait(lambda: world.paces, "the pace")
    skill = load_settings(method("sac_gmm"), "peg", config).skill
    assert (world.paces[0].decision_interval, world.paces[0].blend_s) == (skill.interval, skill.blend_s)
    assert (skill.interval, skill.training_noise_m) == (4, None) and math.isnan(world.paces[0].training_noise_std_m)
