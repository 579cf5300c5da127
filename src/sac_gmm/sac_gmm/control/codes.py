"""What the controller is doing and why: as numbers on the wire, and in words for the user.

The numbers equal the constants of ControllerStatus.msg and MixtureUpdateAnswer.msg (a test compares them).
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """What the controller is doing (ControllerStatus.STATE_*)."""

    WAITING = 0
    IDLE = 1
    ACTIVE = 2
    PAUSED = 3
    STOPPING = 4


class Reason(IntEnum):
    """Why the arm is not moving (ControllerStatus.REASON_*)."""

    NONE = 0
    NO_MODEL = 1
    NO_STATE = 2
    NO_TARGET = 3
    NO_EPISODE = 4
    STALE_STATE = 5
    NOT_A_NUMBER = 6
    PAUSED = 7
    STOPPED = 8
    INACTIVE = 9
    NO_DEADMAN = 10
    # Of the guard, about what others ask for: sac_gmm.control.command_gate.
    NO_COMMAND = 11
    STALE_COMMAND = 12
    SECOND_SENDER = 13
    COMMAND_REFUSED = 14
    OTHER_COMMANDER = 15
    # Reported by the arm's own driver: sac_gmm.control.lbr_state.
    SESSION_LOST = 20
    POOR_CONNECTION = 21
    SAFETY_STOP = 22
    DRIVES_OFF = 23
    POOR_TRACKING = 24
    WRONG_DRIVER_SETTING = 25


class Limit(IntEnum):
    """The limit that shaped a command (ControllerStatus.LIMIT_*), the first in the order of the pipeline."""

    NONE = 0
    WORKSPACE = 1
    SPEED = 2
    ACCELERATION = 3
    JERK = 4
    JOINT = 5
    SINGULARITY = 6


class Answer(IntEnum):
    """The answer to an update of the model (MixtureUpdateAnswer.*)."""

    ACCEPTED = 0
    WRONG_MODEL = 1
    WRONG_VERSION = 2
    WRONG_SHAPE = 3
    NOT_FINITE = 4
    NOT_SIMPLEX = 5
    NOT_POSITIVE_DEFINITE = 6
    CHANGE_TOO_LARGE = 7
    NOT_CERTIFIED = 8
    BAD_CHECKSUM = 9
    NOT_READY = 10
    OUTSIDE_WORKSPACE = 11


_REASON_REMEDY = {
    Reason.NONE: "",
    Reason.NO_MODEL: "no skill is loaded: give the controller a model_file",
    Reason.NO_STATE: "no arm state has come yet: check that the robot driver or the simulation publishes state/pose",
    Reason.NO_TARGET: "no target has been detected yet: check that target_pose is published, in the base frame",
    Reason.NO_EPISODE: "no episode is running: start one with the episode manager",
    Reason.STALE_STATE: "the arm state is too old: check the connection to the robot; motion resumes with fresh states",
    Reason.NOT_A_NUMBER: "a state or the skill gave a value that is not a number: fix its source, then resume with "
    "~/pause data: false or start a new episode",
    Reason.PAUSED: "paused on request: call ~/pause with data: false to continue",
    Reason.STOPPED: "stopped on request: call ~/pause with data: false to continue",
    Reason.INACTIVE: "not activated: the lifecycle manager does that once all nodes are there; by hand, "
    "`ros2 lifecycle set /gmm_controller activate`",
    Reason.NO_DEADMAN: "the deadman is released, or its topic is silent: hold it down to move the arm",
    Reason.NO_COMMAND: "nobody asks for a motion: publish desired_twist or desired_joint_velocity",
    Reason.STALE_COMMAND: "the last command is too old: check that its sender runs, and by the same clock; motion "
    "resumes with fresh commands",
    Reason.SECOND_SENDER: "more than one node asks for motions (desired_twist, desired_joint_velocity, "
    "desired_gripper): stop all but one; motion resumes then",
    Reason.COMMAND_REFUSED: "the last command cannot be followed: fix its sender; motion resumes with the next good "
    "one",
    Reason.OTHER_COMMANDER: "another node publishes on the arm's command topics: stop it; motion resumes then",
    Reason.SESSION_LOST: "the FRI session is not commanding: start the LBRServer application on the smartPAD and hold "
    "the enabling switch; once it commands, resume with ~/pause data: false",
    Reason.POOR_CONNECTION: "the FRI connection is poor: use a dedicated cable and a real-time kernel, and let "
    "update_rate fit the send period; motion resumes when the quality has been good for a while",
    Reason.SAFETY_STOP: "the robot's safety controller has stopped it: clear the cause on the smartPAD, then resume "
    "with ~/pause data: false",
    Reason.DRIVES_OFF: "the drives are off: hold the enabling switch and start the application again, then resume "
    "with ~/pause data: false",
    Reason.POOR_TRACKING: "the arm cannot follow the commands: look for contact, lower the limits on speed, "
    "acceleration and jerk; motion resumes when it follows again",
    Reason.WRONG_DRIVER_SETTING: "the driver has not reported that it takes twists in base axes; in tip axes the "
    "arm would go the wrong way: set its twist_in_tip_frame to false, as config/lbr_controllers.yaml does, and start "
    "it again",
}

_LIMIT_REMEDY = {
    Limit.NONE: "",
    Limit.WORKSPACE: "slowed at the edge of the workspace box: move the target inward or widen the box",
    Limit.SPEED: "slowed to max_speed_m_s (a turn: max_turn_rad_s): more is asked for; raise the limit only if the arm "
    "may go faster",
    Limit.ACCELERATION: "smoothed to max_acceleration_m_s2 (a turn: max_turn_acceleration_rad_s2): nothing to do "
    "unless it lasts",
    Limit.JERK: "smoothed to max_jerk_m_s3 (a turn: max_turn_jerk_rad_s3): nothing to do unless it lasts",
    Limit.JOINT: "slowed by a joint near its limit: move the target, or start from another posture of the arm",
    Limit.SINGULARITY: "slowed near a singular posture, where the joints would race: keep the target away from the "
    "edge of the arm's reach, or start from another posture",
}


def remedy(reason: Reason, limit: Limit) -> str:
    """What the user can do about `reason` or, if the arm is moving, about `limit`; empty if all is well."""
    return _REASON_REMEDY[reason] or _LIMIT_REMEDY[limit]
