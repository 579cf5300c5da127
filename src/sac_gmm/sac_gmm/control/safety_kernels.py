"""The compiled loops of `sac_gmm.control.safety`. Importing them compiles them, once per machine.

All state kept between steps, and the limits, are in one flat array, so that a step touches little memory: between two
steps other programs use the processor, and cache misses then take the most time.
"""

from __future__ import annotations

import math

from numba import boolean, float64, int64, types

from sac_gmm.control.codes import Limit
from sac_gmm.core.compiling import compiled

NO_LIMIT, WORKSPACE, SPEED, ACCELERATION, JERK = map(
    int, (Limit.NONE, Limit.WORKSPACE, Limit.SPEED, Limit.ACCELERATION, Limit.JERK)
)
VISIBLE_M_S = 1e-3  # a limit is reported when it changed the command by more than this

# Offsets in the flat array. The window of the last goals, (n, 3), comes last.
LOW, HIGH, BAND, TOP, REACH, BRAKING, DT = 0, 3, 6, 7, 8, 9, 10
GOAL, BRAKE, VELOCITY, COMMITTED, OLDEST, WINDOW = 11, 14, 17, 20, 23, 24

_vector = types.Array(types.float64, 1, "C")
_readonly = types.Array(types.float64, 1, "A", readonly=True)


@compiled(float64(float64, float64, float64))
def _norm(x, y, z):
    return math.sqrt(x * x + y * y + z * z)


@compiled(float64(float64, _vector))
def _outward_speed(distance_m, memory):
    """The outward speed allowed at a distance from a wall, m/s; infinite if the wall does not matter yet.

    It is the smaller of a linear slow-down inside the band and the speed v whose stopping distance
    v^2 / (2 a) + v dt fits into the distance.
    """
    if distance_m <= 0.0:
        return 0.0
    band, top, a, t = memory[BAND], memory[TOP], memory[BRAKING], memory[DT]
    allowed = a * (math.sqrt(t * t + 2.0 * distance_m / a) - t)
    if distance_m < band:
        allowed = min(allowed, top * distance_m / band)
    return allowed if allowed < top else math.inf


@compiled(int64(_vector, _readonly, boolean, float64, _vector))
def shape(asked, position_m, bounded, speed_scale, memory):
    """Cut the requested velocity by the workspace box and the speed limit, and scale it.

    Near each wall the outward component is cut to what can still be braked; BRAKE receives the change of the goal that
    the walls require.

    Args:
        asked: (3,), m/s; modified.
        position_m: Position of the end-effector, (3,).
        bounded: Whether the box applies.
        speed_scale: 0 to 1.
        memory: See above.

    Returns:
        The limit that changed the velocity.
    """
    limit = NO_LIMIT
    for i in range(3):
        memory[BRAKE + i] = 0.0
        if bounded:
            position, wanted, goal = position_m[i] + memory[COMMITTED + i], asked[i], memory[GOAL + i]
            outward = _outward_speed(memory[HIGH + i] - position, memory)
            inward = -_outward_speed(position - memory[LOW + i], memory)
            asked[i] = min(max(wanted, inward), outward)
            memory[BRAKE + i] = min(max(goal, inward), outward) - goal
            if abs(wanted - asked[i]) > VISIBLE_M_S:
                limit = WORKSPACE
    speed, factor = _norm(asked[0], asked[1], asked[2]), 1.0
    if speed > memory[TOP]:
        factor = memory[TOP] / speed
        limit = limit or SPEED
    for i in range(3):
        asked[i] = asked[i] * factor * speed_scale
    return limit


@compiled(boolean(_vector, _vector))
def _approach(asked, memory):
    """Move the goal to `asked`, or by REACH towards it; return whether it fell short. Braking for walls comes first.

    The goal stays in the speed ball: braking shrinks it, and the rest of the step leads to `asked`, also inside.
    """
    reach = memory[REACH]
    bx, by, bz = memory[BRAKE], memory[BRAKE + 1], memory[BRAKE + 2]
    x, y, z = asked[0] - memory[GOAL], asked[1] - memory[GOAL + 1], asked[2] - memory[GOAL + 2]
    if _norm(x, y, z) <= reach:
        for i in range(3):
            memory[GOAL + i] = asked[i]
        return False
    braking = _norm(bx, by, bz)
    if braking >= reach:
        for i in range(3):
            memory[GOAL + i] += memory[BRAKE + i] * (reach / braking)
        return True
    x, y, z = x - bx, y - by, z - bz
    # The largest share s of the rest with |brake + s rest| <= reach.
    rr, br = x * x + y * y + z * z, bx * x + by * y + bz * z
    share = min((math.sqrt(br * br + rr * (reach * reach - braking * braking)) - br) / rr, 1.0)
    memory[GOAL] += bx + x * share
    memory[GOAL + 1] += by + y * share
    memory[GOAL + 2] += bz + z * share
    return True


@compiled(types.Tuple((int64, boolean))(_vector, _vector))
def advance(asked, memory):
    """Move the goal towards the requested velocity, and store the mean of the last goals in VELOCITY.

    Args:
        asked: (3,), m/s, in the speed ball.
        memory: See above.

    Returns:
        The limit that held it back, and whether the velocity is zero and stays zero as long as zero is requested.
    """
    limit = ACCELERATION if _approach(asked, memory) else NO_LIMIT
    n = (memory.shape[0] - WINDOW) // 3
    oldest = WINDOW + 3 * int(memory[OLDEST])
    memory[OLDEST] = (memory[OLDEST] + 1.0) % n
    away, at_rest = 0.0, True
    for i in range(3):
        goal = memory[GOAL + i]
        memory[oldest + i] = goal
        total = 0.0
        at_rest &= goal == 0.0
        for k in range(n):
            total += memory[WINDOW + 3 * k + i]
            at_rest &= memory[WINDOW + 3 * k + i] == 0.0
        velocity = total / n
        memory[VELOCITY + i] = velocity
        # In the end each goal moves the arm by goal * dt; each command moves it by velocity * dt at once.
        memory[COMMITTED + i] += (goal - velocity) * memory[DT]
        away += (velocity - goal) ** 2
    if limit == NO_LIMIT and away > VISIBLE_M_S * VISIBLE_M_S:
        limit = JERK
    return limit, at_rest
