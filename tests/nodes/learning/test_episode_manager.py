import pytest
from episode_world import SECOND_NS, World
from lifecycle_msgs.msg import State
from rclpy.action import ActionClient
from rclpy.task import Future
from sac_gmm_interfaces.action import AdaptSkill
from sac_gmm_interfaces.msg import (
    EpisodeState,
    Heartbeat,
    MethodPace,
    MixtureUpdate,
)
from std_msgs.msg import String

from sac_gmm.control import Reason
from sac_gmm_nodes.common.conversions import nanoseconds
from sac_gmm_nodes.common.qos import LATCHED, RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_success_comes_from_the_reward_and_time_from_the_stamps(graph):
    world = World(graph, target_noise_std_m=0.02, training_noise_std_m=0.03)
    world.ready()
    outcome = world.run_episode(EpisodeState.MODE_EVALUATE)
    assert (outcome.success, outcome.task_success) == (True, True)
    assert outcome.duration_s == pytest.approx(0.5)
    assert (outcome.reward_source, outcome.episode_return) == ("lamp", pytest.approx(5 * 0.25))
    assert [(r.seed, r.target_noise_std_m) for r in world.requests] == [(7, pytest.approx(0.02))]
    expected = [
        EpisodeState.PHASE_IDLE,
        EpisodeState.PHASE_RESETTING,
        EpisodeState.PHASE_RUNNING,
        EpisodeState.PHASE_ENDED,
    ]
    graph.wait(lambda: world.phases() == expected, "all phases")
    ended = world.states[-1]
    assert (ended.success, ended.timed_out, ended.mode, ended.episode_id) == (
        True,
        False,
        EpisodeState.MODE_EVALUATE,
        1,
    )
    assert nanoseconds(ended.end_stamp) - nanoseconds(ended.start_stamp) == SECOND_NS // 2
    assert (ended.reward_source, ended.episode_return, list(ended.context)) == ("lamp", outcome.episode_return, [0.5])

    world.success_after_s, world.value = None, -1.0
    outcome = world.run_episode(EpisodeState.MODE_TRAIN)
    assert (outcome.success, outcome.task_success) == (True, False)
    assert outcome.duration_s == pytest.approx(2.0)
    graph.wait(lambda: world.states[-1].phase == EpisodeState.PHASE_ENDED, "the end")
    assert world.states[-1].timed_out
    assert outcome.episode_return == pytest.approx(-20.0), "what is paid need not be 0 or 1"
    assert world.requests[-1].target_noise_std_m == pytest.approx(0.03)
    assert graph.stop("episode_manager") == 0


def test_a_source_that_sees_it_fail_ends_it_and_one_that_discards_it_has_it_run_again(graph):
    world = World(graph)
    world.ready()
    world.success_after_s, world.ends = None, {"failed": True}
    outcome = world.run_episode(EpisodeState.MODE_TRAIN)
    assert (outcome.success, outcome.task_success) == (True, False) and outcome.duration_s < 1.9
    graph.wait(lambda: world.states[-1].phase == EpisodeState.PHASE_ENDED, "the end")
    ended = world.states[-1]
    assert (ended.success, ended.timed_out, ended.text) == (False, False, "the reward source saw it fail")

    world.ends = {"discard": True, "text": "a person calls discard"}
    outcome = world.run_episode(EpisodeState.MODE_TRAIN)
    why = "the episode does not count: a person calls discard"
    assert (outcome.success, outcome.message) == (False, why)
    graph.wait(lambda: (world.states[-1].phase, world.states[-1].text) == (EpisodeState.PHASE_IDLE, why), "rest")

    action = ActionClient(graph.node, AdaptSkill, "adapt_skill")
    graph.wait_to_be_known(action.server_is_ready, "the action")
    goal = action.send_goal_async(AdaptSkill.Goal(mode=EpisodeState.MODE_TRAIN, episodes=2, first_seed=40))
    graph.wait(lambda: [request.seed for request in world.requests].count(40) >= 2, "it to be run again")
    world.ends, world.success_after_s = {}, 0.3
    graph.wait(goal.done, "the goal")
    result = goal.result().get_result_async()
    graph.wait(result.done, "the result")
    assert list(result.result().result.outcomes) == [True, True], "the discarded ones are none of the two"
    assert world.requests[-1].seed == 41
    assert graph.stop("episode_manager") == 0


def test_a_reward_that_is_not_valid_is_neither_success_nor_failure(graph):
    world = World(graph)
    world.ready()
    world.valid = False
    outcome = world.run_episode(EpisodeState.MODE_TRAIN)
    assert not outcome.success and not outcome.task_success
    assert outcome.message == "at the end of the episode the reward is not valid: the picture is too old"
    graph.wait(lambda: world.phases()[-1] == EpisodeState.PHASE_IDLE, "rest")
    assert EpisodeState.PHASE_ENDED not in world.phases()


def test_a_reward_that_is_not_a_number_is_not_valid(graph):
    world = World(graph)
    world.ready()
    world.value, world.success_after_s = float("nan"), None
    outcome = world.run_episode(EpisodeState.MODE_TRAIN)
    assert not outcome.success and "its value is nan, not a finite number" in outcome.message


def test_what_was_judged_in_another_episode_is_not_paid(graph):
    world = World(graph)
    world.ready()
    assert world.run_episode().task_success
    for judged_in, succeeds in ((1, False), (3, True)):
        world.judged_in = judged_in
        outcome = world.run_episode()
        assert (outcome.success, outcome.task_success) == (succeeds, succeeds)
        why = "at the end of the episode the reward is not valid: it was judged in episode 1, not 2"
        assert outcome.message == ("" if succeeds else why)


def test_it_says_what_it_waits_for_and_does_not_wait_for_ever(graph):
    world = World(graph, ready_timeout_s=3.0, expect_adapter=True)
    response = world.run_episode()
    assert not response.success
    assert response.message == (
        "still missing after 3 s: the controller's model, the adapter, the adapter's pace (method_pace)"
    )
    assert "waiting for" in graph.output("episode_manager")
    # A controller that is finalized is not waited for at all.
    beats = graph.node.create_publisher(Heartbeat, "heartbeat", RELIABLE)
    last = Heartbeat(node="/listener", lifecycle_state=State.PRIMARY_STATE_FINALIZED)
    graph.node.create_timer(0.1, lambda: beats.publish(last))
    why = "no episode without a controller that may move the arm: /listener is finalized, which cannot be undone: end"
    graph.wait(lambda: world.run_episode().message.startswith(why), "the reason")
    assert not world.requests


@pytest.mark.parametrize("own", [-1.0, 0.03])
def test_training_episodes_have_the_noise_that_the_adapter_announces(graph, own):
    world = World(graph, target_noise_std_m=0.02, training_noise_std_m=own, expect_adapter=True)
    world.ready()
    graph.node.create_publisher(MixtureUpdate, "model_update", RELIABLE)
    paces = graph.node.create_publisher(MethodPace, "method_pace", LATCHED)
    outcome = world.begin_episode()
    why = "waiting for the adapter's pace (method_pace)"
    graph.wait(lambda: why in graph.output("episode_manager"), "the manager to say what it waits for")
    assert not world.requests
    paces.publish(MethodPace(decision_interval=8, control_rate_hz=30.0, training_noise_std_m=0.014))
    graph.wait(outcome.done, "the episode")
    assert world.requests[-1].target_noise_std_m == pytest.approx(0.014 if own < 0 else own)
    world.run_episode(EpisodeState.MODE_EVALUATE)
    assert world.requests[-1].target_noise_std_m == pytest.approx(0.02)
    heard = len(graph.output("episode_manager"))
    paces.publish(MethodPace(decision_interval=0, control_rate_hz=30.0))
    graph.wait(lambda: "method_pace is ignored" in graph.output("episode_manager")[heard:], "the refusal of nonsense")
    world.run_episode(EpisodeState.MODE_BASE)
    assert world.requests[-1].target_noise_std_m == pytest.approx(0.02), "nothing is announced of base episodes"
    pace = MethodPace(decision_interval=8, control_rate_hz=30.0, training_noise_std_m=float("nan"))
    pace.base_noise_std_m = 0.0
    paces.publish(pace)
    paces.wait_for_all_acked()
    world.run_episode(EpisodeState.MODE_TRAIN)
    assert world.requests[-1].target_noise_std_m == pytest.approx(0.02 if own < 0 else own)
    world.run_episode(EpisodeState.MODE_BASE)
    assert world.requests[-1].target_noise_std_m == 0.0


def test_silence_of_the_reward_ends_the_episode(graph):
    world = World(graph, silence_timeout_s=0.5)
    world.ready()
    graph.wait(lambda: world.states, "the manager")
    world.silent = True
    response = world.run_episode()
    assert not response.success
    assert "no reward for a new picture for 0.5 s" in response.message
    graph.wait(lambda: world.states[-1].phase == EpisodeState.PHASE_IDLE, "rest")


def test_an_action_counts_its_episodes_and_refuses_a_second_one(graph):
    world = World(graph)
    world.ready()
    client = ActionClient(graph.node, AdaptSkill, "adapt_skill")
    graph.wait_to_be_known(client.server_is_ready, "the action server")
    feedback = []
    world.silent = True  # the first episode lasts until the others have been refused
    goal = client.send_goal_async(
        AdaptSkill.Goal(mode=EpisodeState.MODE_TRAIN, episodes=3, first_seed=40, context=[0.1]),
        feedback_callback=lambda message: feedback.append(message.feedback),
    )
    graph.wait(goal.done, "the goal to be accepted")
    graph.wait(lambda: world.requests, "the first reset")
    second = client.send_goal_async(AdaptSkill.Goal(mode=EpisodeState.MODE_TRAIN, episodes=1))
    graph.wait(second.done, "the answer to the second goal")
    assert not second.result().accepted
    assert world.run_episode().message == "another episode is running"
    world.silent = False
    future = goal.result().get_result_async()
    graph.wait(future.done, "the result")
    result = future.result().result
    assert (result.completed, result.episodes, result.successes) == (True, 3, 3), result.message
    assert list(result.outcomes) == [True] * 3
    assert list(result.durations_s) == pytest.approx([0.5] * 3)
    assert (result.reward_source, list(result.returns)) == ("lamp", pytest.approx([1.25] * 3))
    assert [list(request.context) for request in world.requests] == [[0.1]] * 3
    assert [request.seed for request in world.requests] == [40, 41, 42]
    graph.wait(lambda: len(feedback) == 3, "the feedback")
    assert [message.episode for message in feedback] == [1, 2, 3]
    assert feedback[0].last_return == pytest.approx(1.25)


def test_no_episodes_and_unknown_modes_are_refused(graph):
    """A goal that succeeds without an episode would look like practice."""
    world = World(graph)
    client = ActionClient(graph.node, AdaptSkill, "adapt_skill")
    graph.wait_to_be_known(client.server_is_ready, "the action server")
    for goal, why in (
        (AdaptSkill.Goal(mode=EpisodeState.MODE_TRAIN, episodes=0), "episodes is 0: ask for at least one"),
        (AdaptSkill.Goal(mode=9, episodes=1), "mode 9 is not known"),
    ):
        future = client.send_goal_async(goal)
        graph.wait(future.done, "the answer")
        assert not future.result().accepted
        graph.wait(lambda why=why: why in graph.output("episode_manager"), "the reason in the log")
    assert world.requests == []


def test_an_episode_begins_only_when_the_arm_may_be_moved(graph):
    world = World(graph)
    world.ready()
    world.held = Reason.NO_DEADMAN
    outcome = world.begin_episode()
    why = "waiting for a controller that may move the arm (NO_DEADMAN: mend it)"
    graph.wait(lambda: why in graph.output("episode_manager"), "the manager to say what it waits for")
    assert not world.requests
    world.held = Reason.NO_TARGET  # as before the first episode, whose reset brings one
    graph.wait(outcome.done, "the episode")
    assert outcome.result().task_success


@pytest.mark.parametrize(
    ("held", "why"), [(Reason.PAUSED, "PAUSED: mend it"), (None, "it says nothing: look at its log")]
)
def test_an_episode_goes_not_on_without_the_arm(graph, held, why):
    """It would be scored as a failure of the skill, and learned from."""
    world = World(graph, time_limit_s=600.0, idle_timeout_s=10.0)  # a second of pictures; a status may be late
    world.ready()
    world.held, world.success_after_s = Reason.NONE, None
    outcome = world.begin_episode()
    running = EpisodeState.PHASE_RUNNING
    graph.wait(lambda: world.now_ns > world.start_ns + 3 * SECOND_NS, "an episode that goes on while the arm moves")
    assert world.phases()[-1] == running
    world.held = held
    graph.wait(outcome.done, "the end of the episode")
    answer = outcome.result()
    assert not answer.success and not answer.task_success
    assert answer.message.startswith("the controller has not moved the arm for 10.")
    assert answer.message.endswith(f"({why})")
    graph.wait(lambda: world.phases()[-1] == EpisodeState.PHASE_IDLE, "rest")
    assert EpisodeState.PHASE_ENDED not in world.phases()
    assert world.states[-1].text == answer.message


def test_an_episode_that_begins_at_no_time_is_refused(graph):
    world = World(graph)
    world.ready()
    world.answers_at_ns = 0
    outcome = world.run_episode()
    assert not outcome.success
    assert outcome.message == "reset_task answered with stamp 0: it must give the time at which the episode begins"
    # What keeps a reset from being done is what whoever asked for the episode is told.
    world.refuses = "blocked: 90 N at the tip"
    assert world.run_episode().message == "reset_task failed: blocked: 90 N at the tip"
    # And so is what a reset waits for, while it waits.
    world.refuses, world.answers_at_ns, world.answers = "", None, Future()
    statuses = graph.node.create_publisher(String, "reset_status", LATCHED)
    outcome = world.begin_episode()
    told = "waiting for the reset: close the door"
    graph.wait(lambda: statuses.publish(String(data="close the door")) or world.states[-1].text == told, told)
    assert world.states[-1].phase == EpisodeState.PHASE_RESETTING
    world.answers.set_result(True)
    graph.wait(outcome.done, "the episode")
    assert outcome.result().task_success


def test_the_clock_may_be_set_back_between_two_episodes(graph):
    """The simulation was started again: what was judged in the old one is far past the end of an episode in the new."""
    world = World(graph)
    world.ready()
    world.now_ns = 1000 * SECOND_NS
    assert world.run_episode().task_success
    world.silent = True
    world.now_ns = SECOND_NS
    outcome = world.begin_episode()
    graph.wait(lambda: world.phases().count(EpisodeState.PHASE_RUNNING) == 2, "the second episode")
    world.silent = False
    graph.wait(outcome.done, "its end")
    assert outcome.result().duration_s == pytest.approx(0.5) and outcome.result().task_success


def test_a_reward_under_another_name_is_found(graph):
    world = World(graph, rewards="lab/reward")
    world.ready()
    assert world.run_episode().task_success
