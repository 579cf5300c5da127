import sys
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters
from sac_gmm_interfaces.msg import (
    ControllerStatus,
    EpisodeState,
    MethodPace,
    MixtureModel,
    MixtureUpdate,
    MixtureUpdateAnswer,
)
from std_srvs.srv import SetBool, Trigger
from tests.nodes.commands import Commands

from sac_gmm.control import Answer, Reason, State
from sac_gmm.models import load_model, translate
from sac_gmm_nodes.common.conversions import doubles, header, pose_message, stamp_of, twist_array, update_message
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, LATCHED, RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
START_NS = 1_000_000_000
FRAME = "lbr_link_0"
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])


class Robot:
    """A robot that stands still, in the test's process, with the controller in its own."""

    def __init__(self, graph, model_file, **parameters):
        self.graph = graph
        self.base = load_model(model_file)
        self.twists = graph.listen("command/twist", TwistStamped, RELIABLE)
        self.statuses = graph.listen("controller_status", ControllerStatus, RELIABLE)
        self.models = graph.listen("model", MixtureModel, LATCHED)
        self.answers = graph.listen("model_update_answer", MixtureUpdateAnswer, RELIABLE)
        node = graph.node
        self.poses = node.create_publisher(PoseStamped, "state/pose", COMMAND)
        self.targets = node.create_publisher(PoseStamped, "target_pose", LATCHED)
        self.episodes = node.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.updates = node.create_publisher(MixtureUpdate, "model_update", RELIABLE)
        self.paces = node.create_publisher(MethodPace, "method_pace", LATCHED)
        self.position = np.array([0.5, 0.0, 0.5])
        self.streaming = False
        self.now_ns = START_NS
        node.create_timer(0.01, self._stream)
        graph.start("gmm_controller", model_file=model_file, autostart=True, **parameters)
        graph.wait(lambda: self.models and self.statuses, "the controller")

    def _stream(self):
        if self.streaming:
            self.send_state()

    def send_state(self):
        self.now_ns += 10_000_000
        self.poses.publish(pose_message(self.position, NO_TURN, header(stamp_of(self.now_ns), FRAME)))

    def run_episode(self, episode_id=1, time_limit_s=60.0):
        self.streaming = True
        self.start_episode(episode_id, time_limit_s)
        self.graph.wait(lambda: self.status(State.ACTIVE), "motion")

    def start_episode(self, episode_id=1, time_limit_s=60.0):
        now_ns = self.now_ns
        self.detect(now_ns)
        self.episodes.publish(
            EpisodeState(
                phase=EpisodeState.PHASE_RUNNING,
                episode_id=episode_id,
                start_stamp=stamp_of(now_ns),
                time_limit_s=time_limit_s,
            )
        )

    def announce(self, interval, rate_hz=100.0, blend_s=0.3):
        """As the adapter does: a pace, which is in force from the next episode on."""
        self.paces.publish(MethodPace(decision_interval=interval, control_rate_hz=rate_hz, blend_s=blend_s))

    def due_steps(self, episode_id=1):
        return [status.step for status in self.statuses if status.decision_due and status.episode_id == episode_id]

    def detect(self, stamp_ns, frame=FRAME):
        target = np.array([0.5, 0.0, 0.4])
        self.targets.publish(pose_message(target, NO_TURN, header(stamp_of(stamp_ns), frame)))

    def status(self, state, reason=None):
        last = self.statuses[-1]
        return last.state == state and (reason is None or last.reason == reason)

    def update(self, **changes):
        """Send an update and return the answer."""
        version = self.statuses[-1].version
        fields = {"base_version": version, "new_version": version + 1, "episode_id": 1, "decision": 0} | changes
        model = fields.pop("model", translate(self.base, [0.01, 0.0, 0.0]))
        arrays = {key: doubles(np.asarray(fields.pop(key), float)) for key in ("means", "priors") if key in fields}
        checksum = fields.pop("checksum", None)
        message = update_message(model, fields.pop("model_id", self.base.model_id), **fields, stamp=stamp_of(0))
        for key, array in arrays.items():
            setattr(message, key, array)
        if checksum is not None:
            message.checksum = checksum
        count = len(self.answers)
        self.updates.publish(message)
        self.graph.wait(lambda: len(self.answers) > count, "an answer")
        return self.answers[-1]


def test_in_lockstep_the_state_of_the_next_episode_waits_for_its_model(graph, model_file):
    robot = Robot(graph, model_file, lockstep=True, expect_adapter=True, lockstep_timeout_s=60.0)
    robot.announce(16)
    robot.send_state()
    robot.start_episode(1)
    graph.wait(lambda: robot.statuses and robot.statuses[-1].decision_due, "a decision to be due")
    # The scene is reset while the adapter is still waited for, and only then the end of the episode is heard.
    robot.send_state()
    announced = len(robot.statuses)
    graph.wait(lambda: len(robot.statuses) > announced + 1, "the decision to be announced again")
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_ENDED, episode_id=1))
    robot.start_episode(2)
    graph.wait(lambda: robot.statuses[-1].episode_id == 2, "the next episode")
    assert robot.statuses[-1].decision_due and robot.statuses[-1].decision == 0
    assert robot.statuses[-1].header.stamp == stamp_of(robot.now_ns)
    assert not robot.twists
    assert robot.update(episode_id=2, base_version=0).accepted
    graph.wait(lambda: robot.twists, "the command for that state")
    assert robot.twists[0].header.stamp == stamp_of(robot.now_ns)


def test_it_asks_at_the_pace_that_the_adapter_announces(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode(1)
    graph.wait(lambda: robot.statuses[-1].step > 40, "a way without an adapter")
    assert not robot.due_steps(), "without an adapter there is nothing to decide"

    robot.announce(16)
    robot.run_episode(2)
    graph.wait(lambda: len(robot.due_steps(2)) >= 3, "decisions")
    robot.announce(5)
    graph.wait(lambda: len(robot.due_steps(2)) >= 6, "more decisions of the same episode")
    # On a busy machine a status may be lost on its way here.
    assert {step % 16 for step in robot.due_steps(2)[:6]} == {0}, "a change takes force at the next episode"
    assert {s.decision for s in robot.statuses if s.episode_id == 2 and 16 <= s.step < 32} == {1}
    robot.run_episode(3)
    graph.wait(lambda: len(robot.due_steps(3)) >= 3, "decisions at the new pace")
    assert {step % 5 for step in robot.due_steps(3)[:3]} == {0} and robot.due_steps(3)[2] < 32


def test_the_time_between_two_decisions_is_the_same_at_any_rate(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.announce(8, rate_hz=30.0)
    robot.run_episode()
    graph.wait(lambda: len(robot.due_steps()) >= 3, "decisions")
    assert {step % 27 for step in robot.due_steps()[:3]} == {0}  # 0.27 s, as 8 steps of 30 a second


def test_a_change_takes_over_in_the_time_that_the_adapter_announces(graph, model_file):
    quick = {"max_acceleration_m_s2": 20.0, "max_jerk_m_s3": 1000.0}
    # On a busy machine this process may be late with its states: that is not what is tested here.
    robot = Robot(graph, model_file, rate_hz=100.0, state_timeout_s=1.0, **quick)

    def after(ticks, version, episode_id):
        """The first status so many ticks after the first one of that version."""
        of_version = [s for s in robot.statuses if (s.episode_id, s.version) == (episode_id, version)]
        return next((s for s in of_version if s.tick >= of_version[0].tick + ticks), None)

    shares = []  # of the change, a seventh of a second after it was put in force
    for episode_id, blend_s in ((1, 0.05), (2, 1.0)):
        robot.announce(16, blend_s=blend_s)
        robot.run_episode(episode_id)
        graph.wait(lambda n=episode_id: after(50, 0, n), "the end of the start's ramp")
        before = after(50, 0, episode_id).velocity.x
        assert robot.update(episode_id=episode_id, model=translate(robot.base, [0.03, 0.0, 0.0])).accepted
        graph.wait(lambda n=episode_id: after(130, 1, n), "the change in force")
        first, last = (after(ticks, 1, episode_id).velocity.x for ticks in (15, 130))
        shares.append((first - before) / (last - before))
    assert shares[0] > 0.9 and 0.02 < shares[1] < 0.5


def test_in_lockstep_the_first_decision_waits_for_the_announcement(graph, model_file):
    robot = Robot(graph, model_file, lockstep=True, expect_adapter=True, lockstep_timeout_s=60.0)
    robot.send_state()
    robot.start_episode(1)
    graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=False))  # its main thread goes on meanwhile
    assert not robot.twists and not any(status.decision_due for status in robot.statuses)
    robot.announce(16)
    graph.wait(lambda: robot.statuses and robot.statuses[-1].decision_due, "the first decision to be due")
    assert robot.due_steps()[0] == 0
    assert robot.update(base_version=0).accepted
    graph.wait(lambda: robot.twists, "the command")


def test_in_lockstep_the_clock_may_be_set_back(graph, model_file):
    """The simulation was started again: the controller must not wait until it is as late as in the old one."""
    robot = Robot(graph, model_file, lockstep=True)
    robot.now_ns = 1000 * START_NS
    robot.start_episode(1)
    robot.send_state()
    graph.wait(lambda: robot.twists, "the command for a late state")
    for transition in ("deactivate", "activate"):  # as the lifecycle manager does when the simulation is lost
        request = ChangeState.Request()
        request.transition.label = transition
        assert graph.call(ChangeState, "gmm_controller/change_state", request).success
    robot.now_ns = START_NS
    robot.start_episode(2)
    robot.send_state()
    answered = stamp_of(robot.now_ns)
    graph.wait(lambda: robot.twists[-1].header.stamp == answered, "the command for an early state")


def test_from_silence_to_motion_to_rest(graph, model_file):
    commands = Commands(graph)
    robot = Robot(graph, model_file, rate_hz=100.0)
    graph.wait(lambda: robot.status(State.WAITING, Reason.NO_STATE), "the controller to miss the states")
    assert not robot.twists
    robot.streaming = True
    graph.wait(lambda: robot.status(State.WAITING, Reason.NO_TARGET), "the controller to miss the target")
    assert "target" in robot.statuses[-1].remedy
    robot.run_episode()
    graph.wait(lambda: len(robot.twists) > 100, "a second of commands")
    assert np.linalg.norm(twist_array(robot.twists[0])) <= 2.0 * 0.01 + 1e-9
    commands.check_limits()
    assert twist_array(robot.twists[-1])[2] < -0.02
    steps = np.diff([message.tick for message in robot.statuses])
    assert (steps >= 1).all()

    robot.streaming = False
    graph.wait(lambda: robot.statuses[-1].reason == Reason.STALE_STATE, "stale states to be noticed")
    graph.wait(lambda: not twist_array(robot.twists[-1]).any(), "zero commands")
    robot.streaming = True
    graph.wait(lambda: robot.status(State.ACTIVE), "motion again")
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_ENDED, episode_id=1))
    graph.wait(lambda: robot.status(State.IDLE, Reason.NO_EPISODE), "rest")
    count = len(robot.twists)
    ticks = robot.statuses[-1].tick
    graph.wait(lambda: robot.statuses[-1].tick > ticks + 30, "more ticks")
    assert len(robot.twists) <= count + 10
    assert not twist_array(robot.twists[-1]).any()


def test_each_episode_waits_for_a_target_of_its_own(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode()
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_ENDED, episode_id=1))
    graph.wait(lambda: robot.status(State.IDLE, Reason.NO_EPISODE), "rest")
    graph.wait(lambda: robot.statuses[-1].reason == Reason.NO_EPISODE and not robot.statuses[-1].velocity.z, "rest")
    sent = len(robot.twists)
    start = stamp_of(robot.now_ns)
    robot.episodes.publish(
        EpisodeState(phase=EpisodeState.PHASE_RUNNING, episode_id=2, start_stamp=start, time_limit_s=60.0)
    )
    graph.wait(lambda: robot.status(State.WAITING, Reason.NO_TARGET), "the target of the last episode to be too old")
    ticks = robot.statuses[-1].tick
    graph.wait(lambda: robot.statuses[-1].tick > ticks + 30, "more ticks")
    assert not any(twist_array(message).any() for message in robot.twists[sent:])
    robot.detect(robot.now_ns)
    graph.wait(lambda: robot.status(State.ACTIVE), "motion")


@pytest.mark.parametrize("frame", ["camera_optical", ""])
def test_a_target_in_another_frame_is_none(graph, model_file, frame):
    """Its numbers would be taken for places before the robot."""
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode()
    robot.detect(robot.now_ns, frame)
    graph.wait(lambda: robot.status(State.WAITING, Reason.NO_TARGET), "the target to be dropped")
    assert f"target_pose is in the frame '{frame}', not in the base frame '{FRAME}'" in graph.output("gmm_controller")
    robot.detect(robot.now_ns)
    graph.wait(lambda: robot.status(State.ACTIVE), "motion with a target in the base frame")


def test_an_episode_is_new_by_its_start_when_its_number_is_not(graph, model_file):
    """A manager that was started again counts from one again."""
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode(1)
    assert robot.update().accepted
    graph.wait(lambda: robot.statuses[-1].version == 1, "the update in force")
    robot.run_episode(1)
    graph.wait(lambda: robot.statuses[-1].version == 0, "the base model for another episode 1")


def test_pause_stop_and_the_last_command(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode()
    graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=True))
    graph.wait(lambda: robot.status(State.PAUSED, Reason.PAUSED), "the pause")
    graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=False))
    graph.wait(lambda: robot.status(State.ACTIVE), "motion again")
    graph.call(Trigger, "gmm_controller/stop", Trigger.Request())
    graph.wait(lambda: robot.status(State.PAUSED, Reason.STOPPED), "the stop")
    graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=False))
    graph.wait(lambda: robot.status(State.ACTIVE), "motion again")
    graph.wait(lambda: twist_array(robot.twists[-1])[2] < -0.02, "speed")
    assert graph.stop("gmm_controller") == 0
    graph.wait(lambda: not twist_array(robot.twists[-1]).any(), "a zero command at the end")
    assert "Traceback" not in graph.output("gmm_controller")


def test_torch_is_not_in_the_process(graph, model_file):
    Robot(graph, model_file)
    maps = Path(f"/proc/{graph.processes['gmm_controller'].pid}/maps").read_text()
    assert "torch" not in maps


def test_updates_are_answered_with_the_right_reason(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode()
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_IDLE, episode_id=1, text="cancelled"))
    graph.wait(lambda: robot.status(State.IDLE, Reason.NO_EPISODE), "the end of the episode")
    assert robot.update().reason == Answer.NOT_READY
    assert "refused" not in graph.output("gmm_controller"), "it was under way when the episode was cancelled"
    assert robot.update(episode_id=2).reason == Answer.NOT_READY
    graph.wait(lambda: "refused (NOT_READY)" in graph.output("gmm_controller"), "the warning")
    robot.run_episode()
    base, mixture = robot.base, robot.base.mixture
    bad_means = np.array(mixture.means)
    bad_means[0, 0] = np.nan
    for changes, reason in [
        ({"model_id": "another"}, Answer.WRONG_MODEL),
        ({"base_version": 7, "new_version": 8}, Answer.WRONG_VERSION),
        ({"new_version": 0}, Answer.WRONG_VERSION),
        ({"episode_id": 9}, Answer.NOT_READY),
        ({"means": mixture.means[:2]}, Answer.WRONG_SHAPE),
        ({"means": bad_means}, Answer.NOT_FINITE),
        ({"checksum": "0" * 64}, Answer.BAD_CHECKSUM),
        ({"model": translate(base, [0.3, 0.0, 0.0])}, Answer.CHANGE_TOO_LARGE),
    ]:
        answer = robot.update(**changes)
        assert (answer.accepted, answer.reason) == (False, reason)
        assert answer.text
    assert robot.statuses[-1].version == 0

    answer = robot.update(new_version=5)
    assert (answer.accepted, answer.reason, answer.new_version) == (True, Answer.ACCEPTED, 5)
    graph.wait(lambda: robot.statuses[-1].version == 5, "the new version in force")
    graph.wait(lambda: robot.models[-1].version == 5, "the new version published")
    assert robot.models[-1].model_id == base.model_id
    assert robot.models[-1].attractor[0] == pytest.approx(0.01)
    assert robot.statuses[-1].adapter_alive
    first = next(status for status in robot.statuses if status.version == 5)
    assert first.tick <= answer.tick + 1
    graph.call(Trigger, "gmm_controller/roll_back", Trigger.Request())
    graph.wait(lambda: robot.statuses[-1].version == 0, "the version before")


def test_diagnostics_tell_of_loop_state_and_updates(graph, model_file):
    arrays = graph.listen("/diagnostics", DiagnosticArray, RELIABLE)
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode()
    robot.update(model_id="another")
    found = {}

    def refusal_told():
        for array in arrays:
            for status in array.status:
                if status.name == "gmm_controller: control loop":
                    found.update({entry.key: entry.value for entry in status.values}, message=status.message)
        return found.get("updates_refused") == "1"

    graph.wait(refusal_told, "the refusal in the diagnostics")
    assert found["lifecycle_state"] == "active"
    assert found["last_refusal"].startswith("WRONG_MODEL: ")
    assert found["model_id"] == robot.base.model_id
    assert int(found["ticks"]) >= int(found["ticks_on_time"]) >= 0
    assert int(found["ticks"]) > 10 and float(found["compute_us_median"]) > 0
    assert found["rate_hz"] == "100"


def test_at_rest_in_lockstep_status_and_diagnostics_say_how_it_stands(graph, model_file):
    """There is no tick then, which used to leave who looked with nothing, or with what was over."""
    arrays = graph.listen("/diagnostics", DiagnosticArray, RELIABLE)
    robot = Robot(graph, model_file, lockstep=True)
    graph.wait(lambda: robot.status(State.WAITING, Reason.NO_STATE), "no state")
    assert "nobody publishes" not in robot.statuses[-1].remedy
    robot.send_state()
    robot.detect(robot.now_ns)
    graph.wait(lambda: robot.status(State.IDLE, Reason.NO_EPISODE), "no episode")
    since = len(robot.statuses)
    graph.wait(lambda: len(robot.statuses) >= since + 2, "the same, said again")
    assert not robot.twists and {status.tick for status in robot.statuses} == {0}
    graph.wait(lambda: arrays[-1].status[0].message == robot.statuses[-1].remedy, "the same in the diagnostics")
    robot.start_episode()
    robot.send_state()
    graph.wait(lambda: robot.twists, "a command")
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_ENDED, episode_id=1))
    graph.wait(lambda: robot.status(State.IDLE, Reason.NO_EPISODE), "rest after an episode")
    graph.wait(lambda: "no episode" in arrays[-1].status[0].message, "and in the diagnostics")


def test_before_it_is_configured_it_says_that_it_is_not_active(graph, model_file):
    statuses = graph.listen("controller_status", ControllerStatus, RELIABLE)
    graph.start("gmm_controller", model_file=model_file)
    graph.wait(lambda: len(statuses) >= 2, "statuses")
    assert {status.reason for status in statuses} == {Reason.INACTIVE} and statuses[-1].remedy


def test_what_holds_the_arm_is_logged_and_is_the_answer_to_go_on(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode()

    def pause(wanted):
        return graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=wanted))

    assert pause(True).message == "paused"
    graph.wait(lambda: "the arm is held (PAUSED): paused on request" in graph.output("gmm_controller"), "a warning")
    assert pause(False).message == "going on"
    graph.wait(lambda: "no longer held for PAUSED: the arm may move" in graph.output("gmm_controller"), "its end")
    pause(True)
    robot.streaming = False
    graph.wait(lambda: robot.statuses[-1].state_age_s > 0.5, "states that are too old")
    answer = pause(False)
    assert answer.success and "something else holds the arm (STALE_STATE): " in answer.message


def test_in_a_namespace_it_has_its_configuration_and_a_name_of_its_own(graph, model_file):
    """Else a second robot goes by the defaults, whose box is no box, and its health hides that of the first."""
    arrays = graph.listen("/diagnostics", DiagnosticArray, RELIABLE)
    files = ["--params-file", "config/controller.yaml", "--params-file", "config/simulation.yaml"]
    arguments = ["-r", "__ns:=/left", *files, "-p", f"model_file:={model_file}"]
    graph.run("left", [sys.executable, "-m", "sac_gmm_nodes.control.gmm_controller", "--ros-args", *arguments])
    request = GetParameters.Request(names=["workspace_max_m", "rate_hz"])
    corner, rate = graph.call(GetParameters, "/left/gmm_controller/get_parameters", request).values
    assert (list(corner.double_array_value), rate.double_value) == ([0.8, 0.45, 0.8], 30.0)
    transition = ChangeState.Request()
    transition.transition.label = "configure"
    assert graph.call(ChangeState, "/left/gmm_controller/change_state", transition).success
    graph.wait(lambda: arrays, "diagnostics")
    assert arrays[-1].status[0].name == "left/gmm_controller: control loop"


def test_without_updates_the_base_returns(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0, adapter_timeout_s=0.3, adapter_return_s=0.1)
    robot.run_episode()
    assert robot.update().accepted
    graph.wait(lambda: any(status.version == 1 for status in robot.statuses), "the update in force")
    graph.wait(lambda: robot.statuses[-1].version == 0, "the return to the base")
    assert not robot.statuses[-1].adapter_alive
    graph.wait(lambda: robot.status(State.ACTIVE), "motion on")


def test_an_episode_ends_in_time_without_its_manager(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=100.0)
    robot.run_episode(time_limit_s=1.0)
    graph.wait(lambda: robot.status(State.IDLE, Reason.NO_EPISODE), "rest")
    assert not twist_array(robot.twists[-1]).any()


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"rate_hz": 5000.0}, "parameter rate_hz = 5000.0 is out of range: expected 30 to 500 Hz"),
        ({"max_speed_m_s": 9.0}, "parameter max_speed_m_s = 9 is out of range: expected 0.001 to 1.5 m/s"),
        ({"workspace_min_m": "[0.0, 1.0]"}, "parameter workspace_min_m has 2 entries: expected 3"),
        ({"lockstep": 3}, "parameter lockstep = 3: expected true or false"),
        ({"max_sped_m_s": 0.1}, "there is no parameter max_sped_m_s"),
        ({"model_file": "/nowhere.npz"}, "/nowhere.npz"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(graph, model_file, parameters, sentence):
    process = graph.start("gmm_controller", **({"model_file": model_file, "autostart": True} | parameters))
    assert process.wait(120.0) == 2
    output = graph.output("gmm_controller")
    assert sentence in output
    assert "Traceback" not in output


def test_numbers_may_be_written_without_a_point(graph, model_file):
    robot = Robot(graph, model_file, rate_hz=50, adapter_timeout_s=1)
    assert robot.statuses
