"""Markers against numbers worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from sac_gmm.models import GaussianMixture
from sac_gmm_nodes.common.conversions import point_array
from sac_gmm_nodes.common.qos import LATCHED
from sac_gmm_nodes.watching import markers

HEAD = Header(frame_id="base")
GREY = (0.5, 0.5, 0.5, 0.4)


def mixture(positions, position_covariances, weights):
    """Over [x; v]: these positions, at rest."""
    k = len(weights)
    means, covariances = np.zeros((k, 6)), np.tile(np.eye(6), (k, 1, 1))
    means[:, :3] = positions
    covariances[:, :3, :3] = position_covariances
    return GaussianMixture(np.array(weights), means, covariances)


def quadratic_form(marker):
    """The matrix A with x' A x = 1 on the surface of an ellipsoid, from what RViz would draw: scales are diameters."""
    turn = marker.pose.orientation
    R = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    return R @ np.diag((0.5 * point_array(marker.scale)) ** -2) @ R.T


def test_a_known_covariance_gives_the_known_ellipsoid():
    """Standard deviations of 1, 2 and 4 cm along x, y, z: two of them are half axes of 2, 4 and 8 cm."""
    model = mixture([[0.1, 0.2, 0.3]], [np.diag([1e-4, 4e-4, 16e-4])], [1.0])
    [seen] = markers.ellipsoids("base", model, np.array([1.0, 0.0, 0.0]), 2.0, GREY, HEAD)
    assert seen.type == Marker.SPHERE and seen.action == Marker.ADD
    assert (seen.ns, seen.id, seen.header.frame_id) == ("base", 0, "base")
    np.testing.assert_allclose(point_array(seen.pose.position), [1.1, 0.2, 0.3])
    np.testing.assert_allclose(sorted(point_array(seen.scale)), [0.04, 0.08, 0.16], rtol=1e-9)
    np.testing.assert_allclose(quadratic_form(seen), np.diag([0.02**-2, 0.04**-2, 0.08**-2]), atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_any_covariance_is_drawn_as_it_is(seed):
    """On the drawn surface x' S^-1 x is the number of standard deviations squared, whichever way S is turned."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(3, 3)) * 0.05 + 0.01 * np.eye(3)
    S = root @ root.T + 1e-5 * np.eye(3)
    [seen] = markers.ellipsoids("current", mixture([[0, 0, 0]], [S], [1.0]), np.zeros(3), 1.5, GREY, HEAD)
    np.testing.assert_allclose(quadratic_form(seen), np.linalg.inv(1.5**2 * S), rtol=1e-6)
    turn = seen.pose.orientation
    assert turn.x**2 + turn.y**2 + turn.z**2 + turn.w**2 == pytest.approx(1.0)


def test_ids_are_the_components_and_little_weight_is_faint():
    model = mixture(np.eye(3), [1e-4 * np.eye(3)] * 3, [0.6, 0.3, 0.1])
    seen = markers.ellipsoids("base", model, np.zeros(3), 2.0, GREY, HEAD)
    assert [marker.id for marker in seen] == [0, 1, 2]
    opacities = [marker.color.a for marker in seen]
    assert opacities[0] == pytest.approx(0.4) and opacities == sorted(opacities, reverse=True) and opacities[2] > 0.1
    written = markers.priors("prior", model, np.zeros(3), GREY, HEAD)
    assert [marker.text for marker in written] == ["60 %", "30 %", "10 %"]


def test_a_box_has_twelve_edges_of_its_lengths():
    low, high = np.array([0.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0])
    points = np.array([point_array(point) for point in markers.box("box", low, high, 0.01, GREY, HEAD).points])
    lengths = np.linalg.norm(points[0::2] - points[1::2], axis=1)
    assert sorted(lengths) == [1.0] * 4 + [2.0] * 4 + [3.0] * 4
    assert set(map(tuple, points)) == {(x, y, z) for x in (0, 1) for y in (0, 2) for z in (0, 3)}


@pytest.mark.parametrize("height_m", [0.004, 0.03, 0.5])
def test_a_text_says_how_wide_its_spaces_are(height_m):
    """RViz takes the width of a space from scale.x; a text that leaves it at zero is scattered over the screen."""
    seen = markers.text("said", 3, [0.1, 0.2, 0.3], "15 % of 20", height_m, GREY, HEAD)
    assert (seen.type, seen.text, seen.scale.z) == (Marker.TEXT_VIEW_FACING, "15 % of 20", height_m)
    assert seen.scale.x == pytest.approx(0.3 * height_m)


THREE = mixture(np.eye(3), [1e-4 * np.eye(3)] * 3, [0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    "made",
    [
        markers.ball("a", np.zeros(3), 0.1, GREY, HEAD),
        markers.line("a", 0, np.eye(3), 0.01, GREY, HEAD),
        markers.box("a", np.zeros(3), np.ones(3), 0.01, GREY, HEAD),
        markers.arrow("a", np.zeros(3), np.ones(3), 0.01, GREY, HEAD),
        markers.axes("a", np.zeros(3), np.eye(3), 0.1, HEAD),
        *markers.ellipsoids("a", THREE, np.zeros(3), 2.0, GREY, HEAD),
        *markers.priors("a", THREE, np.zeros(3), GREY, HEAD),
    ],
    ids=lambda marker: f"{marker.type}",
)
def test_every_marker_gives_the_scale_that_rviz_reads_for_its_kind(made):
    """From the marker displays of RViz 2: the parts of `scale` that each kind of marker takes its size from."""
    read = {
        Marker.SPHERE: "xyz",
        Marker.LINE_STRIP: "x",
        Marker.LINE_LIST: "x",
        Marker.ARROW: "xy",
        Marker.TEXT_VIEW_FACING: "xz",
    }
    assert all(getattr(made.scale, part) > 0 for part in read[made.type])
    assert made.color.a > 0


def test_axes_are_the_columns_of_the_rotation():
    R = Rotation.from_euler("xyz", [0.3, -0.2, 1.0]).as_matrix()
    seen = markers.axes("marker", np.array([1.0, 2.0, 3.0]), R, 0.1, HEAD)
    ends = np.array([point_array(point) for point in seen.points[1::2]])
    np.testing.assert_allclose((ends - [1, 2, 3]).T / 0.1, R, atol=1e-12)
    assert [(c.r, c.g, c.b) for c in seen.colors[::2]] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


@pytest.mark.ros
def test_what_is_shown_no_more_is_taken_away_first(graph):
    """Over DDS: a component more needs nothing; one less takes all away and shows the rest again, in one message."""
    heard = graph.listen("skill", MarkerArray, LATCHED)
    topic = markers.MarkerTopic(graph.node, "skill", LATCHED)
    balls = [markers.ball(f"ball_{i}", np.zeros(3), 0.1, GREY, HEAD) for i in range(3)]
    add, away = Marker.ADD, Marker.DELETEALL
    for count, expected in ((2, [add] * 2), (3, [add] * 3), (1, [away, add]), (1, [add])):
        topic.show(balls[:count])
        graph.wait(lambda: heard, "the markers")
        assert [marker.action for marker in heard.pop().markers] == expected


@pytest.mark.parametrize("variances", [[1e-2, 0.0, 0.0], [1e-2, 1e-2, 0.0], [0.0, 0.0, 1e-20]])
def test_motions_along_an_axis_or_in_a_plane_are_drawn_with_some_thickness(variances):
    """The floor is what a fit leaves at least; RViz refuses a scale of zero and a turn that is not one."""
    model = mixture([[0.1, 0.0, 0.0]], [np.diag(variances) + 1e-12 * np.eye(3)], [1.0])
    [seen] = markers.ellipsoids("base", model, np.zeros(3), 2.0, GREY, HEAD)
    assert (point_array(seen.scale) >= 0.001).all()
    turn = seen.pose.orientation
    assert turn.x**2 + turn.y**2 + turn.z**2 + turn.w**2 == pytest.approx(1.0)
