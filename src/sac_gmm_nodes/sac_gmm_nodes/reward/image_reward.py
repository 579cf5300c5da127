"""What sources of reward share that look at the fixed camera's pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sac_gmm_interfaces.msg import Reward
from sensor_msgs.msg import Image

from sac_gmm_nodes.common.pictures import AnyImage, image_message, image_transport, subscribe_to_pictures
from sac_gmm_nodes.common.qos import SENSOR
from sac_gmm_nodes.reward.reward_node import RewardNode

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
_SUCCESS: Colour = (0, 200, 0)
_NONE: Colour = (230, 120, 0)


class ImageReward(RewardNode):
    """Judges pictures, and shows on `~/debug_image` what was judged.

    Args:
        name: Name of the node.
        source: What the rewards are judged by.
    """

    def __init__(self, name: str, source: str) -> None:
        topic = "fixed_camera/image"
        super().__init__(name, source=source, reading="image", topic=topic, check="the camera and its driver", frames=3)
        self._debug = self.create_publisher(Image, "~/debug_image", SENSOR)
        self.topic = subscribe_to_pictures(self, topic, image_transport(self), self.on_image, self.sensor_qos)

    def on_image(self, message: AnyImage) -> None:
        """Judge a picture, and answer it."""
        raise NotImplementedError

    def show(self, picture: Picture, answer: Reward, draw: Callable[[Picture, Colour], None]) -> None:
        """Publish the picture with the verdict, if anybody looks; `draw` adds what was judged, in the given colour."""
        if not self._debug.get_subscription_count():
            return
        drawn: Any = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture.copy()
        colour = _SUCCESS if answer.success else _NONE
        draw(drawn, colour)
        at = (6, drawn.shape[0] - 8)
        cv2.putText(drawn, answer.text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
        self._debug.publish(image_message(drawn, answer.header))
