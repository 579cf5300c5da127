import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from tests.rl.conftest import wait_for

from sac_gmm.core.errors import UserError
from sac_gmm.rl import AlgorithmSpec, AsyncLearner, ObservationSpec, Sac, SacConfig, SyncLearner, load_checkpoint

OBSERVATION = ObservationSpec(6)
SPEC = AlgorithmSpec(Sac, OBSERVATION, 2, SacConfig(updates_per_decision=10), seed=1)


@pytest.fixture
def learner():
    learner = AsyncLearner(SPEC)
    learner.wait_until_ready()
    yield learner
    learner.close()
    assert not learner.alive


def idle_turns(learner, path):
    """Have the learner go round its loop: after two requests it has had the time for an update, were one due."""
    for _ in range(2):
        learner.checkpoint(path)


def test_the_learner_keeps_to_its_updates_per_decision_and_publishes(learner, transitions, tmp_path):
    for transition in transitions(OBSERVATION, 40):
        learner.observe(transition, learn=False)
    made = transitions(OBSERVATION, 20, seed=1)
    for transition in made:
        learner.observe(transition)
    wait_for(lambda: learner.metrics().get("updates") == 200)
    idle_turns(learner, tmp_path / "agent.checkpoint")
    metrics = learner.metrics()
    assert metrics["updates"] == 200  # and no more
    assert metrics["transitions"] == 60
    assert metrics["alive"] == 1.0
    policy = learner.policy()
    assert policy.version == 200
    assert (policy.act(made[0].obs, True) != 0.0).any()


def test_the_actor_never_waits_for_the_learner(learner, transitions):
    """Not even for one that stands still: what it hands over and what it asks for needs no answer."""
    made = transitions(OBSERVATION, 300)
    os.kill(learner._process.pid, signal.SIGSTOP)
    try:
        for transition in made:
            learner.observe(transition)
            learner.policy().act(transition.obs)
        version = learner.policy().version
    finally:
        os.kill(learner._process.pid, signal.SIGCONT)
    wait_for(lambda: learner.policy().version > version)


def test_new_policies_come_while_the_actor_goes_on(learner, transitions):
    versions = set()

    def ten_have_come():
        for transition in transitions(OBSERVATION, 3):
            learner.observe(transition)
            versions.add(learner.policy().version)
        return len(versions) > 10

    wait_for(ten_have_come)
    assert learner.metrics()["updates"] > 20


def test_checkpoint_on_request_and_resume(tmp_path, transitions):
    path = tmp_path / "agent.checkpoint"
    first = AsyncLearner(SPEC, checkpoint_path=path)
    first.remember({"episode": 7})
    for transition in transitions(OBSERVATION, 20):
        first.observe(transition)
    wait_for(lambda: first.metrics().get("updates") == 200)
    first.close()  # saves itself
    assert load_checkpoint(path).extra == {"episode": 7}

    second = AsyncLearner(SPEC, resume_from=path)
    second.wait_until_ready()
    try:
        assert second.metrics()["updates"] == 200
        assert second.policy().version == 200
        idle_turns(second, tmp_path / "idle.checkpoint")
        assert second.metrics()["updates"] == 200  # no burst after a resume
        second.checkpoint(tmp_path / "again.checkpoint", {"episode": 8})
        assert load_checkpoint(tmp_path / "again.checkpoint").extra == {"episode": 8}
    finally:
        second.close()


def test_it_saves_itself_at_intervals(tmp_path, transitions):
    path = tmp_path / "agent.checkpoint"
    learner = AsyncLearner(SPEC, checkpoint_path=path, checkpoint_interval_s=0.2)
    try:
        learner.wait_until_ready()
        learner.observe(transitions(OBSERVATION, 1)[0])
        wait_for(lambda: path.exists() and load_checkpoint(path).algorithm.metrics()["updates"] == 10)
    finally:
        learner.close()


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_learning(tmp_path, transitions):
    (tmp_path / "file").write_text("not a folder")
    path = tmp_path / "file" / "agent.checkpoint"
    learner = AsyncLearner(SPEC, checkpoint_path=path, checkpoint_interval_s=0.1)
    try:
        learner.wait_until_ready()
        for _ in range(3):
            with pytest.raises(UserError, match="cannot write"):
                learner.checkpoint(path)
        learner.observe(transitions(OBSERVATION, 1)[0])
        wait_for(lambda: learner.metrics().get("updates") == 10)
        assert learner.alive
    finally:
        learner.close()


def test_what_ended_the_learning_is_told(transitions):
    learner = AsyncLearner(SPEC)
    try:
        learner.wait_until_ready()
        broken = transitions(OBSERVATION, 1)[0]
        broken.next_obs["vector"][0] = np.nan
        learner.observe(broken)
        wait_for(lambda: not learner.alive)
        assert "not finite" in learner.why_ended()
    finally:
        learner.close()


def test_a_resume_with_another_configuration_is_refused(tmp_path):
    path = tmp_path / "agent.checkpoint"
    SyncLearner(SPEC.build()).checkpoint(path)
    other = dataclasses.replace(SPEC, config=SacConfig(gamma=0.5))
    learner = AsyncLearner(other, resume_from=path)
    with pytest.raises(UserError, match="another observation or configuration"):
        learner.wait_until_ready()
    learner.close()


def test_a_learner_that_dies_leaves_the_actor_its_policy(learner, transitions):
    obs = transitions(OBSERVATION, 1)[0].obs
    before = learner.policy().act(obs, True)
    os.kill(learner._process.pid, signal.SIGKILL)
    wait_for(lambda: not learner.alive)
    for transition in transitions(OBSERVATION, 3):
        learner.observe(transition)
    learner.remember({"episodes": 1})
    assert learner._inbox.qsize() == 0, "what nobody will read is not kept"
    np.testing.assert_array_equal(learner.policy().act(obs, True), before)
    assert learner.metrics()["alive"] == 0.0
    with pytest.raises(UserError, match="ended"):
        learner.checkpoint("unused")


PARENT = """
import time
from sac_gmm.rl import AlgorithmSpec, AsyncLearner, ObservationSpec, Sac, SacConfig
if __name__ == "__main__":
    learner = AsyncLearner(AlgorithmSpec(Sac, ObservationSpec(6), 2, SacConfig()))
    learner.wait_until_ready()
    print(learner._process.pid, flush=True)
    time.sleep(3600)
"""


def test_it_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()

    def gone():
        try:
            with open(f"/proc/{child}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_for(gone)
    assert multiprocessing.active_children() == []


UNCLOSED = """
import os, signal
import numpy as np
from sac_gmm.rl import AlgorithmSpec, AsyncLearner, ObservationSpec, Sac, SacConfig, Transition
if __name__ == "__main__":
    spec = ObservationSpec(0, (3, 64, 64))
    learner = AsyncLearner(AlgorithmSpec(Sac, spec, 2, SacConfig()))
    learner.wait_until_ready()
    os.kill(learner._process.pid, signal.SIGSTOP)  # it reads no more
    obs = {"image": np.zeros((3, 64, 64), np.uint8)}
    for _ in range(200):  # far more than the pipe holds
        learner.observe(Transition(obs, np.zeros(2), 0.0, obs, False))
    os.kill(learner._process.pid, signal.SIGKILL)
"""


def test_an_actor_that_exits_waits_for_nobody(tmp_path):
    """Even if it never closed its learner, and the learner has not read everything."""
    script = tmp_path / "unclosed.py"
    script.write_text(UNCLOSED)
    assert subprocess.run([sys.executable, str(script)], timeout=120, check=False).returncode == 0
