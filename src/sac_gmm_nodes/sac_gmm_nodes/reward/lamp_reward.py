"""The reward of a lamp: the task is done while the lamp is lit in the fixed camera's pictures.

    ros2 run sac_gmm_nodes lamp_reward --ros-args -p "region:=0.47,0.455,0.53,0.505"

Set the region so that it lies within the lamp: `lamp_reward/debug_image` shows it, each reward's text its brightness.
"""

from __future__ import annotations

import cv2
import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.perception import LampGate
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.common.pictures import AnyImage, picture_array
from sac_gmm_nodes.reward.image_reward import Colour, ImageReward


class LampReward(ImageReward):
    """Turns pictures of a lamp into Rewards."""

    def __init__(self) -> None:
        super().__init__("lamp_reward", "lamp")
        region = self.text(
            "region", "0.47,0.455,0.53,0.505", "left, top, right, bottom of the lamp, as shares of the picture"
        )
        self._gate = LampGate(
            _region(region),
            self.real("brightness_on", 0.5, 0.0, 1.0, "", "from this brightness on the lamp counts as lit"),
            self.real("brightness_off", 0.4, 0.0, 1.0, "", "once lit, it counts as lit until it is darker than this"),
        )

    def on_image(self, message: AnyImage) -> None:
        """Measure the lamp's brightness, and answer the picture."""
        self.take(message.header)
        try:
            picture = picture_array(message)
            self.check_age()
        except UserError as error:
            self.send_invalid(message.header.frame_id, str(error))
            return
        brightness = self._gate.brightness(picture)
        counts = self._gate.counts(brightness, self.success)
        answer = self.judge(
            counts, message.header, f"the lamp is {'lit' if counts else 'dark'} (brightness {brightness:.2f})"
        )
        self.send(answer)
        self.show(picture, answer, self._outline)

    def _outline(self, drawn: np.ndarray, colour: Colour) -> None:
        """Draw the region."""
        rows, columns = self._gate.window(*drawn.shape[:2])
        cv2.rectangle(drawn, (columns.start, rows.start), (columns.stop - 1, rows.stop - 1), colour, 1)


def _region(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(
            f"parameter region is '{text}': expected left,top,right,bottom as shares of the picture, such as "
            "0.47,0.455,0.53,0.505"
        ) from None
    return left, top, right, bottom


def main() -> None:
    """Run the node."""
    run_node(LampReward)


if __name__ == "__main__":
    main()
