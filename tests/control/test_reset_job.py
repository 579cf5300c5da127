"""A reset from its first tick to its answer, with an arm that goes where it is told, or does not."""

import numpy as np
import pytest
from tip_poses import moved, pose

from sac_gmm.control import Reason
from sac_gmm.control.reset_job import ResetJob, ResetSettings, Seen
from sac_gmm.control.reset_way import straight_leg
from sac_gmm.control.way_follower import WaySettings
from sac_gmm.core.errors import UserError

DT_S = 0.02
START, ELSEWHERE = pose(), pose(y=0.1)
WAY = WaySettings(reset_speed_m_s=0.1)
ASK = "close the door, then press button 2"


class Arm:
    """An arm, and what a reset asks of it; `changes` is told the time and changes what is seen."""

    def __init__(self, changes=lambda now_s, seen: seen, ask="", plan=None, **settings):
        self.pose, self.now_s, self.changes = ELSEWHERE, 0.0, changes
        self.plans = []  # where ways were planned from, and whether the arm was to go back first
        self.sent, self.said = [], []
        self.job = ResetJob(plan or self.plan, ResetSettings(**settings), WAY, DT_S, ask)

    def plan(self, now, retreat):
        self.plans.append((now, retreat))
        back = [straight_leg(now, pose(y=0.1, z=0.35))] if retreat else []
        return [*back, straight_leg(back[-1].end if back else now, START)]

    def run(self, most_s=500.0):
        asked = None
        while not self.job.over:
            moving = asked is not None and asked.any()
            seen = Seen(self.now_s, self.pose, 0.0, Reason.NONE if moving else Reason.NO_EPISODE)
            seen = self.changes(self.now_s, seen)
            asked = self.job.tick(seen)
            self.said.append(self.job.says)
            self.sent.append(asked)
            if asked is not None and seen.reason in (Reason.NONE, Reason.NO_EPISODE):
                self.pose = moved(self.pose, asked, DT_S)
            self.now_s += DT_S
            assert self.now_s < most_s, f"it does not end: {self.job.says}"
        return self.job

    @property
    def motions(self):
        return [twist for twist in self.sent if twist is not None and twist.any()]


def ends_with_zeros(sent):
    """What was sent last are zeros, then silence."""
    last = [twist for twist in sent if twist is not None][-10:]
    return all(not twist.any() for twist in last) and sent[-1] is None


def test_it_goes_back_then_to_the_start_and_stands_there():
    arm = Arm()
    job = arm.run()
    assert not job.failure and job.message.startswith("the arm stands ") and "degrees from its start" in job.message
    distance_m, angle_rad = arm.pose.apart(START)
    assert distance_m <= 2 * WAY.tolerance_m and angle_rad <= 2 * WAY.tolerance_rad
    assert [retreat for _, retreat in arm.plans] == [True]
    assert "going back the way it came" not in arm.said and arm.said[0].startswith("going")
    assert ends_with_zeros(arm.sent)


def test_a_person_is_asked_and_waited_for():
    """What was confirmed before it was asked does not count."""

    def confirms(now_s, seen):
        return seen._replace(confirmed=now_s < 1.0 or now_s > 30.0)

    arm = Arm(confirms, ask=ASK)
    job = arm.run()
    assert arm.now_s > 30.0 and ASK in arm.said and job.message.endswith(f"; confirmed: {ASK}")
    assert all(twist is None for twist in arm.sent[-500:]), "nothing is sent while a person is at the task"


def test_nobody_confirms():
    assert Arm(ask=ASK, ask_timeout_s=5.0).run().failure == f"nobody has confirmed within 5 s (reset_done): {ASK}"


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        ({"reason": Reason.NO_DEADMAN, "remedy": "hold it"}, "could not be moved for 3 s: NO_DEADMAN: hold it"),
        ({"pose_age_s": 9.0}, "could not be moved for 3 s: the arm's state is silent"),
        ({"pose": None}, "could not be moved for 3 s: the arm's state is silent"),
        ({"reason": None}, "could not be moved for 3 s: nothing comes on controller_status"),
        ({"reason": Reason.SECOND_SENDER, "remedy": "two ask"}, "could not be moved for 3 s: SECOND_SENDER: two ask"),
        ({"abandoned": "it was given up"}, "it was given up"),
        ({"force_n": 90.0}, "blocked: 90 N at the tip, more than 40 N"),
    ],
)
@pytest.mark.parametrize("at_s", [0.0, 0.7])
def test_it_stops_and_says_why(seen, sentence, at_s):
    arm = Arm(lambda now_s, now: now._replace(**seen) if now_s >= at_s else now, hold_timeout_s=3.0)
    arm.job._retreated = "force_n" in seen  # a way out of a contact allows for the force of the contact
    job = arm.run()
    assert sentence in job.failure and not job.message
    if at_s:
        assert arm.motions and ends_with_zeros(arm.sent)
    elif "force_n" not in seen:
        assert not arm.motions


def test_a_contact_is_left_although_it_presses():
    """The force at the beginning is that of the contact; once away from it the arm is free."""
    arm = Arm(lambda now_s, seen: seen._replace(force_n=70.0 if now_s < 0.5 else 5.0))
    assert arm.run().message


def test_what_follows_a_release_goes_from_where_the_arm_is_then():
    """Led elsewhere by hand while it was held, it is not drawn back to where it was."""

    def releases(now_s, seen):
        if not 1.5 < now_s < 4.0:
            return seen
        arm.pose = pose(y=-0.2)
        return seen._replace(reason=Reason.NO_DEADMAN, remedy="hold it")

    arm = Arm(releases)
    job = arm.run()
    assert job.message and len(arm.plans) == 2
    np.testing.assert_array_equal(arm.plans[1][0].position_m, pose(y=-0.2).position_m)
    silent = next(k for k, twist in enumerate(arm.sent) if twist is None)  # while it is held
    again = next(k for k, twist in enumerate(arm.sent) if k > silent and twist is not None and twist.any())
    assert np.linalg.norm(arm.sent[again]) <= WAY.reset_acceleration_m_s2 * DT_S + 1e-9, "no jump"
    assert "waiting: NO_DEADMAN: hold it" in arm.said


@pytest.mark.parametrize(("for_s", "failure"), [(0.3, ""), (60.0, "stopped: SECOND_SENDER: two ask")])
def test_another_sender_may_be_there_for_a_moment(for_s, failure):
    """It is noticed while this one asks, and only then."""

    def contested(now_s, seen):
        last = next((twist for twist in reversed(arm.sent[-3:]) if twist is not None), np.zeros(6))
        if now_s < for_s and last.any():
            return seen._replace(reason=Reason.SECOND_SENDER, remedy="two ask")
        return seen._replace(reason=Reason.NO_EPISODE) if now_s < for_s else seen

    arm = Arm(contested)
    job = arm.run()
    assert job.failure == failure and bool(job.message) == (not failure)


def test_an_arm_that_comes_no_nearer_is_blocked():
    def stands(now_s, seen):
        arm.pose = ELSEWHERE
        return seen

    arm = Arm(stands, progress_timeout_s=2.0)
    job = arm.run()
    assert job.failure.startswith("blocked: the arm came no nearer for 2 s") and "free the arm by hand" in job.failure
    assert ends_with_zeros(arm.sent)


def test_what_is_asked_for_is_not_followed():
    """Only an episode's motions are: the node is of another version, or lock-step."""
    job = Arm(lambda now_s, seen: seen._replace(reason=Reason.NO_EPISODE, remedy="start one")).run()
    assert "is not followed: NO_EPISODE: start one" in job.failure


def test_a_way_that_takes_too_long_is_given_up():
    assert "was not reached within 1 s" in Arm(reset_timeout_s=1.0).run().failure


def test_a_way_that_must_not_be_gone_is_not_begun():
    def refuse(_now, _retreat):
        raise UserError("the start pose is outside the workspace box")

    arm = Arm(plan=refuse)
    assert arm.run().failure == "the start pose is outside the workspace box"
    assert not arm.motions
