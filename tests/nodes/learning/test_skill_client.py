"""The client keeps of each episode what was seen, and the skill that was in force when it ended."""

import sys

import numpy as np
import pytest
from sac_gmm_interfaces.msg import EpisodeState, MixtureModel
from sensor_msgs.msg import Image

from sac_gmm.models import load_model, translate
from sac_gmm_nodes.common.conversions import header, model_message, stamp_of
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE, SENSOR
from sac_gmm_nodes.learning.skill_client import Films

pytestmark = pytest.mark.ros
START_NS, END_NS = 1_000, 2_000


def test_the_skill_at_the_end_is_kept_though_the_next_episode_has_begun(graph, model_file, tmp_path):
    base = load_model(model_file)
    films = Films(graph.node, tmp_path)
    assert not films.ready.is_set()
    models = graph.node.create_publisher(MixtureModel, "model", LATCHED)
    pictures = graph.node.create_publisher(Image, "fixed_camera/image", RELIABLE)
    states = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)

    def say_model(version, stamp_ns):
        model = translate(base, np.array([0.001 * version, 0.0, 0.0]))
        models.publish(model_message(model, base.model_id, version, header(stamp_of(stamp_ns), "base")))

    def say_phase(phase):
        state = EpisodeState(phase=phase, seed=7, success=True)
        state.start_stamp, state.end_stamp = stamp_of(START_NS), stamp_of(END_NS)
        states.publish(state)

    say_model(4, START_NS - 100)  # of the episode before
    assert films.ready.wait(120.0), "camera and controller were not found"
    say_phase(EpisodeState.PHASE_RUNNING)
    graph.wait(lambda: films._running, "the episode")
    picture = Image(height=4, width=4, encoding="rgb8", step=12, data=bytes(48))
    picture.header.stamp = stamp_of(START_NS)
    pictures.publish(picture)
    for version, stamp_ns in ((1, START_NS + 100), (2, START_NS + 200), (3, END_NS + 1), (0, END_NS + 2)):
        say_model(version, stamp_ns)
    graph.wait(lambda: len(films._frames) == 1 and len(films._models) == 5, "picture and models")
    say_phase(EpisodeState.PHASE_ENDED)
    kept = tmp_path / "7_success.npz"
    graph.wait(kept.exists, "the skill")
    assert (tmp_path / "7_success.jpg").exists()
    shift = load_model(kept).mixture.means[:, 0] - base.mixture.means[:, 0]
    np.testing.assert_allclose(shift, 0.002, atol=1e-12, err_msg="version 2 was in force at the end")


def test_a_camera_that_sends_only_the_latest_is_filmed_too(graph, tmp_path):
    films = Films(graph.node, tmp_path)
    pictures = graph.node.create_publisher(Image, "fixed_camera/image", SENSOR)
    graph.node.create_publisher(EpisodeState, "episode_state", EPISODE).publish(
        EpisodeState(phase=EpisodeState.PHASE_RUNNING)
    )
    graph.wait(lambda: films._running, "the episode")

    def filmed():
        pictures.publish(Image(height=4, width=4, encoding="rgb8", step=12, data=bytes(48)))
        return films._frames

    graph.wait(filmed, "a picture")


def test_interrupted_it_does_not_pass_for_done(graph):
    command = [
        sys.executable,
        "-m",
        "sac_gmm_nodes.learning.skill_client",
        "train",
        "--episodes",
        "1",
        "--first-seed",
        "0",
    ]
    graph.run("client", command)
    graph.wait(lambda: "skill_client" in graph.node.get_node_names(), "the client")
    assert graph.stop("client") == 1
    assert "Traceback" not in graph.output("client")
