"""Hands made of numbers."""

import numpy as np

from sac_gmm.perception.hands import HandObservation


def hand_shape(pinch=0.0):
    """A right hand (21, 3) in metres, palm towards the viewer, fingers up: x right, y down, z away; pinch 0 to 1."""
    points = np.zeros((21, 3))
    points[1:5] = [[0.025, -0.02, -0.005], [0.045, -0.04, -0.01], [0.06, -0.055, -0.012], [0.075, -0.07, -0.015]]
    for finger, x in enumerate([0.028, 0.008, -0.012, -0.032]):
        for joint, y in enumerate([-0.09, -0.125, -0.15, -0.17]):
            points[5 + 4 * finger + joint] = [x * (1 + 0.1 * joint), y, -0.008 * joint * (1 + 0.2 * finger)]
    points[8] = (1 - pinch) * points[8] + pinch * (points[4] + [0.01, 0.0, 0.0])
    return points


def observe(camera, landmarks_m, side="right", guess=1.0):
    """What a perfect tracker would say about a hand (21, 3) in the optical frame, its size guessed `guess` times."""
    seen = landmarks_m @ camera.matrix.T
    shape = (landmarks_m - landmarks_m.mean(axis=0)) * guess
    return HandObservation(seen[:, :2] / seen[:, 2:], shape, side, 0.95)
