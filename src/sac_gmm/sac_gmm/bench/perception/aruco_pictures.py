"""The pictures of the marker benchmark: their content, and the camera that takes them."""

from __future__ import annotations

from typing import Any

from sac_gmm.core.errors import UserError

DICTIONARY, MARKER_ID, SIZE_M = "DICT_4X4_50", 7, 0.06
WIDTH, HEIGHT, FOCAL_PX = 640, 480, 600.0


def camera() -> Any:
    """The camera of all pictures."""
    from sac_gmm.perception import Camera

    return Camera.create(WIDTH, HEIGHT, [FOCAL_PX, 0, WIDTH / 2, 0, FOCAL_PX, HEIGHT / 2, 0, 0, 1])


def false_frame(rng: Any, others: list[tuple[str, int]], noise_fields: Any) -> Any:
    """A picture without the marker: clutter and three of the `others`, with random blur, light and noise."""
    import cv2
    import numpy as np

    from sac_gmm.perception.render import clutter, degrade, render_marker

    picture = clutter(rng, HEIGHT, WIDTH)
    for _ in range(3):
        name, marker_id = others[int(rng.integers(len(others)))]
        position, rotation = _pose(rng, (0.35, 1.2), (0.0, 60.0))
        picture = render_marker(picture, camera(), name, marker_id, SIZE_M, position, rotation)
    picture = degrade(picture, rng, blur_px=float(rng.uniform(0.0, 1.5)), gain=float(rng.uniform(0.3, 1.0)))
    std = float(rng.choice([0.0, 2.0, 5.0, 10.0, 20.0]))
    # A random section of one precomputed field: 300 000 random numbers per frame take longer than everything else.
    y, x = (int(rng.integers(0, room)) for room in (HEIGHT // 2, WIDTH // 2))
    noise = noise_fields[int(rng.integers(len(noise_fields))), y : y + HEIGHT, x : x + WIDTH]
    return np.asarray(cv2.scaleAdd(noise, std, picture.astype(np.float32)).round().clip(0, 255), np.uint8)


def other_markers() -> list[tuple[str, int]]:
    """Every marker of every dictionary except the marker itself, which the larger 4x4 dictionaries also contain."""
    import cv2
    import numpy as np

    from sac_gmm.perception import dictionary_names, marker_image

    def same(name: str, marker_id: int) -> bool:
        return name.startswith("DICT_4X4") and marker_id == MARKER_ID

    chosen = []
    for name in dictionary_names():
        table_ = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
        # An equal number from each dictionary, otherwise nearly all would come from the largest.
        ids = np.linspace(0, table_.bytesList.shape[0] - 1, 50).round().astype(int)
        chosen += [(name, int(i)) for i in np.unique(ids) if not same(name, int(i))]
    drawn = marker_image(DICTIONARY, MARKER_ID, 64)
    for name, marker_id in chosen:
        side = 8 * (cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name)).markerSize + 4)
        other = marker_image(name, marker_id, side)
        if other.shape == drawn.shape and any(np.array_equal(np.rot90(other, turn), drawn) for turn in range(4)):
            raise UserError(f"{name} {marker_id} is the marker itself")
    return chosen


def _pose(rng: Any, distance_m: tuple[float, float], tilt_deg: tuple[float, float]) -> tuple[Any, Any]:
    import numpy as np

    from sac_gmm.perception.render import facing_rotation

    z = rng.uniform(*distance_m)
    half_px = 0.75 * SIZE_M / z * FOCAL_PX  # with the quiet zone and rotated, it must fit into the picture
    u = rng.uniform(half_px, WIDTH - half_px) if 2 * half_px < WIDTH else WIDTH / 2
    v = rng.uniform(half_px, HEIGHT - half_px) if 2 * half_px < HEIGHT else HEIGHT / 2
    position = np.array([(u - WIDTH / 2) / FOCAL_PX * z, (v - HEIGHT / 2) / FOCAL_PX * z, z])
    return position, facing_rotation(np.deg2rad(rng.uniform(*tilt_deg)), *rng.uniform(0.0, 2 * np.pi, 2))


def view(
    rng: Any,
    background: Any,
    distance_m: tuple[float, float],
    tilt_deg: tuple[float, float],
    condition: dict[str, Any],
    marker: bool = True,
) -> tuple[Any, Any, Any]:
    """A picture, and the true pose of the marker in it."""
    from sac_gmm.perception.render import degrade, render_marker

    position, rotation = _pose(rng, distance_m, tilt_deg)
    if marker:
        background = render_marker(background, camera(), DICTIONARY, MARKER_ID, SIZE_M, position, rotation)
    return degrade(background, rng, **condition), position, rotation
