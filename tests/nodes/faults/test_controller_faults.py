"""Faults that the controller meets by itself: states, models, limits, requests, life cycle."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import SetBool, Trigger
from tests.nodes.faults.conftest import STATE_TIMEOUT_S
from tests.nodes.faults.updates import Fuzzer, breaks_the_contract

from sac_gmm.control import Answer, Limit, Reason, State, remedy
from sac_gmm.models import parameters_checksum, translate
from sac_gmm_nodes.common.conversions import doubles, stamp_of, update_message

pytestmark = [pytest.mark.ros, pytest.mark.slow]
N_FUZZED = 10_000
SPEED_REACHED = 0.24


def pause(rig, wanted):
    return rig.graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=wanted))


def set_speed_scale(rig, value):
    parameter = Parameter(name="speed_scale")
    parameter.value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    answer = rig.graph.call(
        SetParameters, "gmm_controller/set_parameters", SetParameters.Request(parameters=[parameter])
    )
    return answer.results[0]


def moving_again(rig):
    return rig.wait_for(lambda status: status.state == State.ACTIVE and status.velocity.z < -0.02, "motion again")


def test_the_first_command_is_no_jump(rig, table):
    rig.begin()
    rig.commands.check_limits()
    first = rig.commands[0]
    assert np.linalg.norm(first.velocity) <= 0.02 + 1e-9
    table.add("nothing: the start", "no command before the first valid state; the first is below 0.02 m/s", "ACTIVE")


def test_states_stop(rig, table):
    rig.begin()
    since = len(rig.statuses)
    sent = len(rig.commands)
    rig.streaming = False
    stop = rig.stop_for(Reason.STALE_STATE, since)
    noticed = next(i for i in range(since, len(rig.statuses)) if rig.statuses[i].reason == Reason.STALE_STATE)
    before, first = rig.statuses[noticed - 1 : noticed + 1]
    assert before.state_age_s <= STATE_TIMEOUT_S < first.state_age_s, "noticed at the first tick after the time-out"
    assert first.remedy == remedy(Reason.STALE_STATE, Limit.NONE)
    tick = rig.statuses[-1].tick
    rig.wait_for(lambda status: status.tick > tick + 30, "more ticks")
    silent = len(rig.commands)
    zeros = sum(not command.twist.any() for command in rig.commands.since(sent))
    assert 8 <= zeros <= 10
    tick = rig.statuses[-1].tick
    rig.wait_for(lambda status: status.tick > tick + 20, "more ticks")
    assert len(rig.commands) == silent
    rig.commands.check_limits(sent)
    table.add("states stop", f"ramps {stop}, 10 zero commands, then silence", "STALE_STATE")
    rig.streaming = True
    moving_again(rig)
    rig.commands.check_limits(sent)


def test_states_stop_for_a_moment(rig, table):
    rig.begin()
    since, sent = len(rig.statuses), len(rig.commands)
    rig.streaming = False
    rig.wait_for(lambda status: status.reason == Reason.STALE_STATE, "a state that is too old")
    rig.streaming = True
    moving_again(rig)
    reasons = {status.reason for status in rig.statuses[since:]}
    assert reasons == {Reason.NONE, Reason.STALE_STATE}
    rig.commands.check_limits(sent)
    table.add(
        "states stop for a moment", "begins to brake, goes on when they are back; no jump", "STALE_STATE, then ACTIVE"
    )


def test_the_controller_is_frozen_for_a_second(rig, table):
    rig.begin()
    controller = rig.graph.processes["gmm_controller"].pid
    os.kill(controller, signal.SIGSTOP)
    try:
        sent = len(rig.commands)
        rig.graph.wait(lambda: time.monotonic() - rig.commands[-1].at_s > 1.0, "a second without commands")
    finally:
        os.kill(controller, signal.SIGCONT)
    moving_again(rig)
    after = next(
        i for i in range(max(sent, 1), len(rig.commands)) if rig.commands[i].sent_s - rig.commands[i - 1].sent_s > 0.9
    )
    first = rig.commands[after]
    assert np.linalg.norm(first.velocity) <= 0.02 + 1e-9, "the driver has stopped the arm: it begins at zero"
    rig.commands.check_limits(after)
    soon = [command for command in rig.commands.since(after) if command.sent_s < first.sent_s + 0.1]
    assert len(soon) <= 15, "ticks that were missed are not made up for"
    table.add(
        "the controller is frozen for a second",
        "the driver's time-out stops the arm; afterwards it starts again from zero, and nothing is made up for",
        "ACTIVE",
    )


def test_a_state_is_not_a_number(rig, table):
    rig.begin()
    since, sent = len(rig.statuses), len(rig.commands)
    rig.not_a_number = True
    stop = rig.stop_for(Reason.NOT_A_NUMBER, since)
    rig.not_a_number = False
    tick = rig.statuses[-1].tick
    still = rig.wait_for(lambda status: status.tick > tick + 20, "ticks with good states")
    assert still.reason == Reason.NOT_A_NUMBER, "good states alone do not set the arm in motion again"
    assert still.remedy
    pause(rig, False)
    moving_again(rig)
    rig.commands.check_limits(sent)
    table.add("a state is not a number", f"ramps {stop}; stays there until resumed by a person", "NOT_A_NUMBER")


@pytest.mark.parametrize(
    ("fault", "break_it", "answer"),
    [
        ("a number that is none", lambda u: u["means"].__setitem__((0, 0), np.nan), Answer.NOT_FINITE),
        ("a component too few", lambda u: u.update(means=u["means"][:2]), Answer.WRONG_SHAPE),
        ("two dimensions instead of three", lambda u: u.update(attractor=u["attractor"][:2]), Answer.WRONG_SHAPE),
        ("priors that sum to 1.2", lambda u: u.update(priors=u["priors"] * 1.2), Answer.NOT_SIMPLEX),
        (
            "a covariance that is not positive definite",
            lambda u: u["covariances"].__setitem__((0, 0, 0), -1e-3),
            Answer.NOT_POSITIVE_DEFINITE,
        ),
        ("a wrong base version", lambda u: u.update(base_version=77, new_version=78), Answer.WRONG_VERSION),
        ("an old version", lambda u: u.update(new_version=u["base_version"]), Answer.WRONG_VERSION),
        ("a wrong checksum", lambda u: u.update(checksum="0" * 64), Answer.BAD_CHECKSUM),
        ("a change beyond the bound", lambda u: u["means"].__iadd__(0.2), Answer.CHANGE_TOO_LARGE),
        ("another skill's name", lambda u: u.update(model_id="another"), Answer.WRONG_MODEL),
        ("another episode's number", lambda u: u.update(episode_id=10_000), Answer.NOT_READY),
    ],
)
def test_a_broken_update(rig, table, fault, break_it, answer):
    if not any(status.state == State.ACTIVE for status in rig.statuses[-5:]):
        rig.begin()
    sent, version = len(rig.commands), rig.statuses[-1].version
    found = rig_update(rig, break_it)
    assert (found.accepted, found.reason) == (False, answer)
    assert found.text
    status = rig.wait_for(lambda status: True, "a status")
    assert (status.version, status.state) == (version, State.ACTIVE)
    rig.graph.wait(lambda: len(rig.commands) > sent + 5, "commands")
    rig.commands.check_limits(sent)
    table.add(f"an update with {fault}", "goes on with the version before", f"answer {answer.name}")


def test_an_update_out_of_the_box(rig, table):
    rig.begin(target=(0.27, 0.0, 0.3), start=(0.4, 0.0, 0.5))
    model = translate(rig.base, [-0.05, 0.0, 0.0])
    found = rig_update(rig, lambda u: u.update(vars_of(model)))
    assert (found.accepted, found.reason) == (False, Answer.OUTSIDE_WORKSPACE)
    table.add(
        "an update that leads out of the box",
        "goes on with the version before",
        f"answer {Answer.OUTSIDE_WORKSPACE.name}",
    )


def test_an_update_blends_in_and_rolls_back(rig, table):
    rig.begin()
    sent = len(rig.commands)
    model = translate(rig.base, [0.03, 0.0, 0.0])
    found = rig_update(rig, lambda u: u.update(vars_of(model)))
    assert found.accepted, found.text
    first = rig.wait_for(lambda status: status.version == found.new_version, "the update in force")
    assert first.tick >= found.tick
    rig.graph.call(Trigger, "gmm_controller/roll_back", Trigger.Request())
    rig.wait_for(lambda status: status.version == 0, "the version before")
    rig.graph.wait(lambda: len(rig.commands) > sent + 60, "commands")
    rig.commands.check_limits(sent)
    table.add("a good update, then roll-back", "both blend in within the limits", "the version in force")


def test_ten_thousand_fuzzed_updates(rig, table):
    rig.begin()
    sent, fuzzer = len(rig.commands), Fuzzer(rig.base, np.random.default_rng(0))
    accepted, reasons = 0, set()
    for _ in range(N_FUZZED // 10):
        version, count = rig.statuses[-1].version, len(rig.answers)
        # Nine that are most probably bad, then one that may be good.
        batch = [fuzzer.update(version, rig.episode, wild=number < 9) for number in range(10)]
        for message in batch:
            rig.updates.publish(message)
        with rig.answered:
            assert rig.answered.wait_for(lambda seen=count: len(rig.answers) >= seen + 10, 120.0), "answers are missing"
        for message, answer in zip(batch, rig.answers[count:], strict=True):
            reasons.add(Answer(answer.reason))
            if answer.accepted:
                accepted += 1
                broken = breaks_the_contract(message, rig.base, rig.target, rig.episode)
                assert broken == "", f"accepted although {broken}"
        if np.linalg.norm(rig.position - rig.target) < 0.08:
            rig.position = np.array([0.5, 0.0, 0.5])  # the arm is set back; the commands must not jump for that
    assert accepted > 100
    assert len(reasons) >= 10, reasons
    assert rig.graph.processes["gmm_controller"].poll() is None
    assert rig.statuses[-1].state == State.ACTIVE
    rig.commands.check_limits(sent)
    table.add(
        "10 000 fuzzed updates",
        "stays within its limits throughout",
        "none accepted that breaks the contract, none crashes",
    )


def test_ten_metres_per_second(rig, table, racing_model):
    assert rig.transition("deactivate")
    assert rig.transition("cleanup")
    rig.model_file.write_bytes(racing_model.read_bytes())
    assert rig.transition("configure")
    assert rig.transition("activate")
    try:
        sent = rig.begin(target=(0.5, 0.0, 0.05), start=(0.5, 0.0, 0.7))
        rig.wait_for(lambda status: abs(status.velocity.z) > SPEED_REACHED, "the highest speed")
        fastest = rig.wait_for(lambda status: status.limit == Limit.SPEED, "the limit on speed")
        assert fastest.remedy == remedy(Reason.NONE, Limit.SPEED)
        rig.commands.check_limits(sent)
        direction = rig.commands[-1].velocity / np.linalg.norm(rig.commands[-1].velocity)
        np.testing.assert_allclose(direction, [0.0, 0.0, -1.0], atol=1e-6)
        table.add("a skill asks for 10 m/s", "0.25 m/s in the skill's direction", "ACTIVE, limit SPEED")

        walled = rig.wait_for(lambda status: status.limit == Limit.WORKSPACE, "the box")
        assert walled.remedy == remedy(Reason.NONE, Limit.WORKSPACE)
        tick = walled.tick
        rig.wait_for(lambda status: status.tick > tick + 150, "a long push against the wall")
        assert rig.position[2] >= 0.05 - 1e-3
        assert rig.position[2] < 0.08
        rig.commands.check_limits(sent)
        table.add("a skill leads out of the box", "slows down and stops at the wall, inside", "ACTIVE, limit WORKSPACE")
    finally:
        assert rig.transition("deactivate")
        assert rig.transition("cleanup")
        rig.model_file.write_bytes(rig.good)
        assert rig.transition("configure")
        assert rig.transition("activate")


def test_pause_and_resume(rig, table):
    rig.begin()
    since, sent = len(rig.statuses), len(rig.commands)
    assert pause(rig, True).success
    stop = rig.stop_for(Reason.PAUSED, since)
    pause(rig, False)
    moving_again(rig)
    rig.commands.check_limits(sent)
    table.add("~/pause, then resumed", f"ramps {stop}, then goes on from rest", "PAUSED, then ACTIVE")


def test_stop(rig, table):
    rig.begin()
    since, sent = len(rig.statuses), len(rig.commands)
    rig.graph.call(Trigger, "gmm_controller/stop", Trigger.Request())
    stop = rig.stop_for(Reason.STOPPED, since)
    pause(rig, False)
    moving_again(rig)
    rig.commands.check_limits(sent)
    table.add("~/stop", f"ramps {stop}", "STOPPED")


def test_the_deadman_is_released(rig, table):
    rig.begin()
    since, sent = len(rig.statuses), len(rig.commands)
    rig.deadman = False
    stop = rig.stop_for(Reason.NO_DEADMAN, since)
    rig.deadman = True
    moving_again(rig)
    rig.commands.check_limits(sent)
    table.add("the deadman is released or falls silent", f"ramps {stop}; goes on when it is held again", "NO_DEADMAN")


def test_the_speed_scale(rig, table):
    refused = set_speed_scale(rig, 1.5)
    assert not refused.successful and "Max: 1.0" in refused.reason
    assert set_speed_scale(rig, 0.1).successful
    try:
        sent = rig.begin_slowly()
        rig.commands.check_limits(sent, speed=0.025)
        assert rig.statuses[-1].speed_scale == 0.1
        set_speed_scale(rig, 1.0)
        moving_again(rig)
        rig.commands.check_limits(sent)
    finally:
        set_speed_scale(rig, 1.0)
    table.add("speed scale 0.1, then 1", "a tenth of the speed; takes to the whole within its limits", "speed_scale")


def test_transitions_that_are_not_possible(rig, table):
    rig.begin()
    sent = len(rig.commands)
    for label in ("activate", "configure", "cleanup", "no_such_transition"):
        assert not rig.transition(label)
    assert rig.lifecycle_state() == "active"
    assert rig.statuses[-1].state == State.ACTIVE
    assert "activate is not possible while active" in rig.graph.output("gmm_controller")
    rig.graph.wait(lambda: len(rig.commands) > sent + 5, "commands")
    rig.commands.check_limits(sent)
    table.add("a transition that is not possible", "goes on moving", "refused; still active")


def test_deactivated_on_the_way(rig, table):
    rig.begin()
    since, sent = len(rig.statuses), len(rig.commands)
    assert rig.transition("deactivate")
    stop = rig.stop_for(Reason.INACTIVE, since)
    assert not rig.commands[-1].twist.any()
    assert rig.transition("activate")
    moving_again(rig)
    rig.commands.check_limits(sent)
    table.add("deactivated while it moves", f"ramps {stop} before the transition ends", "INACTIVE")


def test_a_model_file_that_is_broken(rig, table):
    rig.begin()
    sent = len(rig.commands)
    assert rig.transition("deactivate") and rig.transition("cleanup")
    rig.model_file.write_bytes(rig.good[:500])
    try:
        assert not rig.transition("configure")
        assert rig.lifecycle_state() == "unconfigured"
        assert not rig.transition("activate")
        output = rig.graph.output("gmm_controller")
        assert "cannot configure: " in output and "skill.npz" in output
    finally:
        rig.model_file.write_bytes(rig.good)
    assert rig.transition("configure") and rig.transition("activate")
    rig.begin()
    rig.commands.check_limits(sent)
    table.add(
        "a model file cut short", "rests; moves once the file is whole and it is configured again", "unconfigured"
    )


def test_ctrl_c_on_the_way(rig, table):
    """Last: it ends the controller."""
    rig.begin()
    sent = len(rig.commands)
    assert rig.graph.stop("gmm_controller") == 0
    rig.graph.wait(lambda: not rig.commands[-1].twist.any(), "a zero command at the end")
    rig.commands.check_limits(sent)
    assert "Traceback" not in rig.graph.output("gmm_controller")
    table.add("Ctrl-C while it moves", "ramps to rest, a zero command is the last", "exit code 0")


def vars_of(model):
    mixture = model.mixture
    return {
        "priors": mixture.priors,
        "means": mixture.means,
        "covariances": mixture.covariances,
        "attractor": model.attractor,
    }


def rig_update(rig, change):
    """Send the base model, changed, as an update; its answer."""
    version = rig.statuses[-1].version
    fields = {key: value.copy() for key, value in vars_of(rig.base).items()}
    fields |= {"base_version": version, "new_version": version + 1, "episode_id": rig.episode}
    fields |= {"model_id": rig.base.model_id}
    change(fields)
    message = update_message(
        rig.base, fields["model_id"], fields["base_version"], fields["new_version"], 0, 0, stamp_of(0)
    )
    message.episode_id = fields["episode_id"]
    for key in ("priors", "means", "covariances", "attractor"):
        setattr(message, key, doubles(np.asarray(fields[key])))
    arrays = [np.asarray(fields[key]) for key in ("priors", "means", "covariances", "attractor")]
    message.checksum = fields.get("checksum") or parameters_checksum(*arrays)
    count = len(rig.answers)
    rig.updates.publish(message)
    rig.graph.wait(lambda: len(rig.answers) > count, "an answer")
    return rig.answers[-1]
