import numpy as np
import pytest
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import deserialize_message, serialize_message
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureUpdateAnswer
from std_msgs.msg import Header

from sac_gmm.control import Answer, Limit, Reason, State, remedy
from sac_gmm.methods import Mode
from sac_gmm.models import load_model, translate
from sac_gmm_nodes.common import conversions as c

pytestmark = pytest.mark.ros


@pytest.mark.parametrize(
    ("enum", "message", "prefix"),
    [
        (State, ControllerStatus, "STATE_"),
        (Reason, ControllerStatus, "REASON_"),
        (Limit, ControllerStatus, "LIMIT_"),
        (Answer, MixtureUpdateAnswer, ""),
        (Mode, EpisodeState, "MODE_"),
    ],
)
def test_the_enums_equal_the_constants_of_the_messages(enum, message, prefix):
    constants = {name for name in dir(type(message)) if name.isupper() and name[0] != "_" and name.startswith(prefix)}
    assert {prefix + member.name for member in enum} == constants
    assert all(getattr(message, prefix + member.name) == member for member in enum)


def test_every_reason_and_limit_has_a_remedy_in_words():
    assert all(len(remedy(reason, Limit.NONE)) > 20 for reason in list(Reason)[1:])
    assert all(len(remedy(Reason.NONE, limit)) > 20 for limit in list(Limit)[1:])
    assert remedy(Reason.NONE, Limit.NONE) == ""


def test_a_model_goes_through_an_update_unchanged(model_file):
    base = load_model(model_file)
    model = translate(base, [0.01, 0.0, -0.02])
    update = c.update_of(c.update_message(model, base.model_id, 3, 4, 7, 1, c.stamp_of(5)))
    assert (update.model_id, update.base_version, update.new_version, update.episode_id) == (base.model_id, 3, 4, 7)
    assert update.checksum == model.checksum
    np.testing.assert_array_equal(update.means.reshape(3, 6), model.mixture.means)
    np.testing.assert_array_equal(update.covariances.reshape(3, 6, 6), model.mixture.covariances)
    np.testing.assert_array_equal(update.attractor, model.attractor)


def test_stamps_twists_and_wrenches_come_back_as_they_went():
    assert c.nanoseconds(c.stamp_of(12_345_678_901)) == 12_345_678_901
    vector = np.arange(6.0)
    np.testing.assert_array_equal(c.twist_array(c.twist_message(vector, Header())), vector)
    np.testing.assert_array_equal(c.wrench_array(c.wrench_message(vector, Header())), vector)


@pytest.mark.parametrize("frame_id", ["", "a", "base", "lbr_link_0", "a" * 31, "a" * 32])
def test_a_pose_is_read_off_its_bytes(frame_id):
    position = np.array((0.1, -2.0, 3.5))
    message = c.pose_message(position, np.array((0.0, 0.0, 0.0, 1.0)), c.header(c.stamp_of(12_345_678_901), frame_id))
    assert c.read_pose(serialize_message(message)) == (frame_id, 12_345_678_901, (0.1, -2.0, 3.5))


@pytest.mark.parametrize("frame_id", ["", "a", "base", "lbr_link_0", "a" * 31, "a" * 32])
def test_a_twist_written_as_bytes_is_the_message(frame_id):
    twist = np.array((0.1, -2.0, 3.5, 1e-9, np.pi, -0.0))
    written = c.TwistStampedBytes(frame_id)(twist, 12_345_678_901)
    assert deserialize_message(written, TwistStamped) == c.twist_message(
        twist, c.header(c.stamp_of(12_345_678_901), frame_id)
    )
    assert deserialize_message(c.twist_bytes(twist), Twist) == c.twist_message(twist, Header()).twist


def test_only_the_base_frame_is_taken_for_it():
    assert c.frame_objection("lbr_link_0", "lbr_link_0", "target_pose") == ""
    objection = c.frame_objection("camera_optical", "lbr_link_0", "target_pose")
    assert all(word in objection for word in ("target_pose", "'camera_optical'", "'lbr_link_0'", "transform"))
    assert "''" in c.frame_objection("", "lbr_link_0", "target_pose")
