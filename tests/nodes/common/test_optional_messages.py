import pytest
from geometry_msgs.msg import PoseStamped

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.optional_messages import message_type

pytestmark = pytest.mark.ros


def test_a_type_is_found_by_its_name():
    assert message_type("geometry_msgs/msg/PoseStamped") is PoseStamped


@pytest.mark.parametrize("kind", ["no_such_package/msg/Thing", "geometry_msgs/msg/Thing", "PoseStamped"])
def test_a_type_that_is_not_installed_is_named(kind):
    with pytest.raises(UserError, match=f"there is no message type {kind} here"):
        message_type(kind)
