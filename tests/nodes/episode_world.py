"""A robot, a controller and a reward in the test's process, for whoever asks for episodes."""

import sys

from rclpy.callback_groups import ReentrantCallbackGroup
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureModel, Reward
from sac_gmm_interfaces.srv import ResetTask, RunEpisode

from sac_gmm_nodes.common.conversions import header, nanoseconds, stamp_of
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE

SECOND_NS = 1_000_000_000


class World:
    """Robot, controller and reward in the test's process: each episode's fate is what the test says."""

    def __init__(self, graph, rewards="reward", **parameters):
        self.graph = graph
        self.requests = []
        self.success_after_s = 0.5  # None: never
        self.ends = {}  # what else a reward says of how the episode ends, from a tenth of a second on
        self.valid = True
        self.judged_in = 0  # what the judge has heard of episodes
        self.silent = False
        self.answers_at_ns = None  # what reset_task says instead of the time at which the episode begins
        self.refuses = ""  # why it does not reset
        self.answers = None  # a future that its answer waits for
        self.value = 0.25  # of each reward
        self.held = None  # for what reason the controller holds the arm; None: it says nothing
        self.now_ns = self.start_ns = SECOND_NS
        node = graph.node
        self.states = graph.listen("episode_state", EpisodeState, EPISODE)
        self.rewards = node.create_publisher(Reward, rewards, RELIABLE)
        self.statuses = node.create_publisher(ControllerStatus, "controller_status", RELIABLE)
        self.models = node.create_publisher(MixtureModel, "model", LATCHED)
        # A waiting answer must not keep the rest from being heard.
        node.create_service(ResetTask, "reset_task", self._reset, callback_group=ReentrantCallbackGroup())
        node.create_timer(0.01, self._tick)
        given = {"time_limit_s": 2.0} | parameters
        words = [word for name, value in given.items() for word in ("-p", f"{name}:={str(value).lower()}")]
        command = [
            sys.executable,
            "-m",
            "sac_gmm_nodes.learning.episode_manager",
            "--ros-args",
            "-r",
            f"reward:={rewards}",
        ]
        graph.run("episode_manager", command + words)

    def ready(self):
        self.models.publish(MixtureModel())

    async def _reset(self, request, response):
        self.requests.append(request)
        if self.answers is not None:
            await self.answers
        self.now_ns += SECOND_NS
        self.start_ns = self.now_ns
        answer_ns = self.now_ns if self.answers_at_ns is None else self.answers_at_ns
        response.success, response.message, response.stamp = not self.refuses, self.refuses, stamp_of(answer_ns)
        response.context = request.context or [0.5]  # drawn, where none is asked for
        return response

    def _tick(self):
        if self.held is not None:
            self.statuses.publish(ControllerStatus(reason=self.held, remedy="mend it" if self.held else ""))
        self._see()

    def _see(self):
        """One picture, a tenth of a second after the last."""
        if self.silent or not self.states:
            return
        state = self.states[-1]
        success = False
        # The state of the episode before may still be the last that came when the next one is reset.
        if state.phase == EpisodeState.PHASE_RUNNING and nanoseconds(state.start_stamp) == self.start_ns:
            self.now_ns += SECOND_NS // 10
            elapsed_s = (self.now_ns - nanoseconds(state.start_stamp)) / SECOND_NS
            success = self.success_after_s is not None and elapsed_s >= self.success_after_s
        why = "" if self.valid else "the picture is too old"
        reward = Reward(header=header(stamp_of(self.now_ns)), episode_id=self.judged_in, valid=self.valid, text=why)
        reward.success, reward.value, reward.source = success, self.value, "lamp"
        if self.now_ns > self.start_ns:
            for name, value in self.ends.items():
                setattr(reward, name, value)
        self.rewards.publish(reward)

    def begin_episode(self):
        """Ask for an episode; gives the future of its outcome."""
        client = self.graph.node.create_client(RunEpisode, "run_episode")
        self.graph.wait_to_be_known(client.service_is_ready, "the episode manager")
        return client.call_async(RunEpisode.Request(mode=EpisodeState.MODE_TRAIN, seed=7))

    def run_episode(self, mode=EpisodeState.MODE_BASE, seed=7):
        return self.graph.call(RunEpisode, "run_episode", RunEpisode.Request(mode=mode, seed=seed))

    def phases(self):
        return [state.phase for state in self.states]
