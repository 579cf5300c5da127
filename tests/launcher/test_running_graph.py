import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.launcher import running_graph


@pytest.fixture
def client(monkeypatch, tmp_path):
    """Write what plays the role of the program `skill_client`."""

    def write(script):
        path = tmp_path / "client"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        monkeypatch.setattr(running_graph, "_client", lambda: str(path))

    return write


def test_what_the_client_says_is_passed_on_until_the_nodes_end(client):
    client('echo \'{"event": "episode", "seed": \'$5\'}\'; exec sleep 60')

    def nodes_ended():
        raise UserError("the nodes have ended")

    events = running_graph.events("train", 3, 7, check=nodes_ended)
    assert next(events) == {"event": "episode", "seed": 7}
    with pytest.raises(UserError, match="the nodes have ended"):
        next(events)


def test_a_client_that_fails_is_quoted(client):
    client("echo 'other words' >&2; echo 'skill_client: the episodes ended early: cancelled' >&2; exit 1")
    with pytest.raises(UserError, match=r"^the episodes ended early: cancelled$"):
        list(running_graph.events("base", 1, 0))
    with pytest.raises(UserError, match=r"^the episodes ended early: cancelled$"):
        running_graph.stop_episodes()


def test_the_node_that_failed_is_quoted():
    said = [
        "[launch] pybullet_bridge: started (pid 1)",
        "[pybullet_bridge] PybulletBridge: there is no task 'nope'",
        "[launch] pybullet_bridge: ended with exit code 2",
        "[launch] pybullet_bridge is required: stopping all the others",
        "[launch] aruco_reward: ended with exit code 0",
    ]
    assert running_graph.why_ended("\n".join(said)) == "\n".join(said[:3])
    assert running_graph.why_ended(said[4]) == said[4]
