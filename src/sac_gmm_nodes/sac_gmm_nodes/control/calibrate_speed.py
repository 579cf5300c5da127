"""Measures how fast the arm moves when commanded: strokes out and back along an axis, at several speeds.

    ros2 launch sac_gmm_bringup calibrate_speed.launch.yaml move:=true
    sac-gmm up launch/calibrate_speed.launch.yaml simulate:=true move:=true deadman:=false out:=runs/speed

Without `move` it only prints the planned motion. It respects the same limits and checks the robot as the controller
does. It stops where the controller would wait for the operator or for the deadman. It writes `speed.json` and
`speed.png`, and suggests a `twist_gain`.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.executors import Executor

from sac_gmm.control import Limit, Reason, SafetyLimits, SafetyPipeline, remedy
from sac_gmm.control.speed_calibration import CalibrationSettings, calibrate, draw
from sac_gmm.core.errors import UserError
from sac_gmm.core.files import write_json
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import SENSOR
from sac_gmm_nodes.control.control_loop import DeadlineLoop
from sac_gmm_nodes.control.deadman import Deadman
from sac_gmm_nodes.control.joint_link import link_of
from sac_gmm_nodes.control.robot_link import ArmReading

_PAUSE_S = 0.3  # rest between two strokes
_READY_S = 60.0  # time for the robot to become ready
_TELL_EVERY_S = 5.0
_HEAL_S = 5.0  # time for an objection that clears by itself
_HEALING = (Reason.STALE_STATE, Reason.POOR_CONNECTION, Reason.POOR_TRACKING)
_AXES = {"x": 0, "y": 1, "z": 2}


class CalibrateSpeed(BaseNode):
    """Runs its loop in a separate thread; when the loop ends, so does the node."""

    def __init__(self) -> None:
        super().__init__("calibrate_speed")
        self._rate_hz = self.real("rate_hz", 100.0, 30.0, 500.0, "Hz", "rate of the loop")
        frame = self.text("base_frame", "lbr_link_0", "frame of poses and twists")
        self._axis = _AXES[self.text("axis", "z", "axis of the motion, base frame", tuple(_AXES))]
        self._move = self.flag("move", False, "whether the arm may move; otherwise its motion is only printed")
        self._deadman = Deadman(self)
        self._out = Path(self.text("out", "runs/speed", "folder of the results"))
        self._limits = self.settings(SafetyLimits)
        settings = self.settings(CalibrationSettings)
        self._stroke_m, self._speeds_m_s = settings.stroke_m, settings.speeds_m_s
        if max(self._speeds_m_s) > self._limits.max_speed_m_s:
            raise UserError(f"parameter speeds_m_s: {max(self._speeds_m_s):g} m/s is above max_speed_m_s")
        self.link = link_of(self, frame, SENSOR, None)
        joints = self.link.prepare(self._limits, 1 / self._rate_hz)
        self._pipeline = SafetyPipeline(self._limits, 1 / self._rate_hz, joints)
        self._samples: list[tuple[float, float, float]] = []  # time, commanded displacement, position, along the axis
        self._way_m = 0.0
        self._held: tuple[float, float] | None = None  # start and speed of the command being held
        self._failure = ""
        self._velocity = np.zeros(3)
        self._loop = DeadlineLoop(1 / self._rate_hz, self._tick, lambda: None, lambda _: None)
        self._plan = self._steps()
        self._asked = next(self._plan)
        self.run_thread(self._run)

    def spin(self, executor: Executor) -> None:
        """Run until the measurement is over; report the result.

        Raises:
            UserError: The robot was not ready, or objected during the motion.
        """
        super().spin(executor)
        self.join_threads()
        if self._failure:
            raise UserError(self._failure)
        if self._samples:
            self._report()

    def close(self) -> None:
        """Leave the arm at rest."""
        self._loop.end()
        self.join_threads()
        self.link.flush()

    # The loop --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._loop.run()
        self.stopping.set()

    def _tick(self, _late_s: float) -> None:
        """Send one command; on a failure or Ctrl-C, bring the arm to rest within its limits and end the measurement."""
        reading, now_s = self.link.poll(), time.monotonic()
        objection = Reason.NO_STATE if reading is None else self.link.hold(now_s)
        if reading is not None and not objection and now_s - reading.arrived_s > self._limits.state_timeout_s:
            objection = Reason.STALE_STATE
        if reading is not None and not np.isfinite(reading.position_m).all():
            objection = Reason.NOT_A_NUMBER
        if self._move and not objection and self._deadman.released(now_s):
            objection = Reason.NO_DEADMAN
        stopping = bool(self._failure) or self.stopping.is_set()
        if not stopping:
            try:
                self._asked = self._plan.send((now_s, reading, objection))
            except StopIteration:
                self._loop.end()
                return
            except UserError as error:
                self._failure, stopping = str(error), True
        asked = np.zeros(3) if stopping else self._asked
        position = None if stopping or reading is None else reading.position_m
        moving = asked.any() or not self._pipeline.at_rest
        velocity, _ = self._pipeline.step(asked.copy(), position)
        self._velocity = velocity
        if moving and reading is not None:
            twist = np.zeros(6)
            twist[:3] = velocity
            self.link.send(twist, reading.stamp_ns)
            self._note(reading)
        if stopping and self._pipeline.at_rest:
            self._loop.end()

    def _note(self, reading: ArmReading) -> None:
        """Integrate the commanded displacement, and record it with the position of each new state.

        Uses the node's clock, so that a slow simulation does not look like a slow arm.
        """
        now_s = self.get_clock().now().nanoseconds * 1e-9
        if self._held is not None:
            since_s, speed = self._held
            self._way_m += speed * (now_s - since_s)
        self._held = now_s, float(self._velocity[self._axis])
        stamp_s = reading.stamp_ns * 1e-9
        if not self._samples or stamp_s > self._samples[-1][0]:
            self._samples.append((stamp_s, self._way_m, float(reading.position_m[self._axis])))

    def _steps(self) -> Generator[np.ndarray, tuple[float, Any, Reason], None]:
        """The measurement as a sequence: wait for the robot, then move out and back at each speed.

        It receives the time, the newest reading and the objection to motion, and yields the velocity to request.
        """
        rest = np.zeros(3)
        now_s, reading, objection = yield rest
        end_s = now_s + _READY_S
        while reading is None or objection:
            if now_s > end_s:
                raise UserError(f"the robot is not ready after {_READY_S:g} s: {self._remedy(objection)}")
            why = f"waiting for the robot ({objection.name}): {self._remedy(objection)}"
            self.get_logger().info(why, throttle_duration_sec=_TELL_EVERY_S)
            now_s, reading, objection = yield rest
        self._check_box(reading.position_m)
        start = float(reading.position_m[self._axis])
        name = "xyz"[self._axis]
        self.get_logger().info(
            f"from {name} = {start:.3f} m to {start + self._stroke_m:.3f} m and back, at "
            f"{', '.join(f'{speed:g}' for speed in self._speeds_m_s)} m/s"
        )
        if not self._move:
            self.get_logger().info("nothing was moved: set move:=true when the path is clear")
            return
        for speed in self._speeds_m_s:
            for goal in (start + self._stroke_m, start):
                sign = 1.0 if goal > reading.position_m[self._axis] else -1.0
                asked = np.zeros(3)
                asked[self._axis] = sign * speed
                end_s = now_s + 5 * abs(self._stroke_m) / speed + 2.0
                while sign * (goal - reading.position_m[self._axis]) > 0:
                    now_s, reading, objection = yield asked
                    if objection:
                        now_s, reading = yield from self._let_heal(now_s, objection)
                    if now_s > end_s:
                        raise UserError("the arm makes no progress: look for contact, a limit, or a much too low speed")
                end_s = now_s + _PAUSE_S
                while now_s < end_s or np.linalg.norm(self._velocity) > 0:
                    now_s, reading, objection = yield rest
                    if objection:
                        now_s, reading = yield from self._let_heal(now_s, objection)

    def _check_box(self, start_m: np.ndarray) -> None:
        """Check the box: if the arm slows down or stops at its edge, there is nothing to measure."""
        limits, end_m = self._limits, start_m.copy()
        end_m[self._axis] += self._stroke_m
        low = np.array(limits.workspace_min_m) + limits.slow_down_band_m
        high = np.array(limits.workspace_max_m) - limits.slow_down_band_m
        for where_m in (start_m, end_m):
            if (where_m < low).any() or (where_m > high).any():
                raise UserError(
                    f"the path from {_place(start_m)} to {_place(end_m)} is not inside the workspace box less its "
                    f"slow-down band, {_place(low)} to {_place(high)}: move the arm, take another axis or stroke_m, or "
                    "set the box in config/robot_arm.yaml"
                )

    def _let_heal(
        self, now_s: float, objection: Reason
    ) -> Generator[np.ndarray, tuple[float, Any, Reason], tuple[float, Any]]:
        """Rest until an objection that depends on the load has cleared; any other ends the measurement."""
        end_s, reading = now_s + _HEAL_S, None
        while objection:
            if objection not in _HEALING or now_s > end_s:
                raise UserError(f"stopped ({objection.name}): {self._remedy(objection)}")
            now_s, reading, objection = yield np.zeros(3)
        return now_s, reading

    def _remedy(self, objection: Reason) -> str:
        return self.link.complaint(objection) or remedy(objection, Limit.NONE)

    # Results ---------------------------------------------------------------------------------------------------

    def _report(self) -> None:
        data = np.array(self._samples).T
        result = calibrate(*data)
        gain = self.link.twist_gain
        suggestion = gain / result.gain if result.gain > 0 else float("nan")
        self._out.mkdir(parents=True, exist_ok=True)
        value = {
            "axis": "xyz"[self._axis],
            "rate_hz": self._rate_hz,
            "twist_gain_used": gain,
            "twist_gain_suggested": round(suggestion, 3) if np.isfinite(suggestion) else None,
            **asdict(result),
            "time_s": (data[0] - data[0, 0]).round(4).tolist(),
            "way_m": data[1].round(6).tolist(),
            "position_m": data[2].round(6).tolist(),
        }
        write_json(self._out / "speed.json", value)
        draw(self._out / "speed.png", result, *data)
        response_s = max(result.delay_s, 0.02)
        self.get_logger().info(
            f"executed = {result.gain:.3f} x commanded, {result.delay_s * 1e3:.0f} ms late: set twist_gain to "
            f"{suggestion:.2f} and response_s to {response_s:.2f} in config/robot_arm.yaml ({self._out / 'speed.png'})"
        )


def _place(position_m: np.ndarray) -> str:
    return f"({', '.join(f'{value:.3f}' for value in position_m)}) m"


def main() -> None:
    """Run the node."""
    run_node(CalibrateSpeed)


if __name__ == "__main__":
    main()
