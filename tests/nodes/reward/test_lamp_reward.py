import numpy as np
import pytest
from sac_gmm_interfaces.msg import Reward
from sensor_msgs.msg import Image

from sac_gmm_nodes.common.conversions import header, stamp_of
from sac_gmm_nodes.common.pictures import image_message, picture_array
from sac_gmm_nodes.common.qos import RELIABLE, SENSOR

pytestmark = pytest.mark.ros


def test_a_lit_lamp_is_paid_and_a_dark_or_unreadable_picture_is_not(graph):
    rewards = graph.listen("reward", Reward, RELIABLE)
    drawn = graph.listen("lamp_reward/debug_image", Image, SENSOR)
    images = graph.node.create_publisher(Image, "fixed_camera/image", RELIABLE)
    given = {"reliable_state": True, "max_image_age_s": 60.0}  # the first picture may come late on a busy machine
    graph.start("lamp_reward", frames_on=2, frames_off=1, region="0.25,0.0,0.75,1.0", **given)
    graph.wait(lambda: images.get_subscription_count() and graph.node.count_publishers("reward"), "lamp_reward")

    def show(brightness, encoding="rgb8"):
        picture = np.zeros((8, 8, 3), np.uint8)
        picture[:, 2:6, 0] = brightness  # within the region, and in one channel alone
        picture[:, :2] = 255  # beside it
        message = image_message(picture, header(stamp_of(graph.node.get_clock().now().nanoseconds), "camera"))
        message.encoding = encoding
        images.publish(message)
        graph.wait(lambda: any(r.header.stamp == message.header.stamp for r in rewards), "the answer")
        return next(r for r in rewards if r.header.stamp == message.header.stamp)

    told = [show(brightness) for brightness in (0, 200, 200, 0)]
    assert [(r.seen, r.success) for r in told] == [(False, False), (True, False), (True, True), (False, False)]
    assert {(r.source, r.valid) for r in told} == {("lamp", True)}
    assert told[2].value == 1.0 and told[2].text == "the lamp is lit (brightness 0.78)"
    unreadable = show(200, encoding="nv12")
    assert not unreadable.valid and "nv12" in unreadable.text
    graph.wait(lambda: drawn, "the picture of what was judged")
    assert picture_array(drawn[-1]).shape == (8, 8, 3)
    assert graph.stop("lamp_reward") == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"region": "0.1,0.2,0.3"}, "expected left,top,right,bottom"),
        ({"region": "0.5,0.2,0.3,0.4"}, "expected left < right"),
        ({"brightness_on": 0.2}, "0 <= brightness_off <= brightness_on"),
    ],
)
def test_bad_parameters_end_it_in_one_sentence(graph, parameters, words):
    process = graph.start("lamp_reward", **parameters)
    assert process.wait(60) == 2
    del graph.processes["lamp_reward"]
    assert words in graph.output("lamp_reward") and "Traceback" not in graph.output("lamp_reward")
