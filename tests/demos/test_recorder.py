import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeInfo, EpisodeRecorder, read_demonstration
from sac_gmm.demos.bags.message_types import EPISODE_TOPICS, POSE, TWIST, pose_stamped, twist_stamped, typestore

PERIOD_NS = 10**8


def pose(step, x=None):
    return bytes(
        typestore().serialize_cdr(pose_stamped(step * PERIOD_NS, "base", [step if x is None else x, 0, 0]), POSE)
    )


def twist(step):
    return bytes(typestore().serialize_cdr(twist_stamped(step * PERIOD_NS, "base", [step, 0, 0]), TWIST))


def positions(recording):
    return read_demonstration(recording.path).position_m[:, 0].tolist()


def test_everything_between_start_and_stop_with_the_target_said_long_before(tmp_path):
    recorder = EpisodeRecorder()
    recorder.take("/target_pose", pose(0, 7.0))
    recorder.take("/state/pose", pose(90))
    recorder.start(tmp_path / "a", EpisodeInfo("door", "ann"))
    for step in range(100, 105):
        recorder.take("/state/pose", pose(step))
        recorder.take("/state/pose", pose(step))  # a simulation at rest repeats itself
    recording = recorder.stop()
    recorder.take("/state/pose", pose(105))
    assert positions(recording) == [100, 101, 102, 103, 104]
    assert read_demonstration(recording.path).target_m[0] == 7.0
    assert recording.n_samples == 5
    assert "/wrench is empty" in recording.problems
    assert "5 samples" in recording.summary() and "0 messages dropped" in recording.summary()


def test_following_episodes_only_the_running_part_is_kept(tmp_path):
    recorder = EpisodeRecorder(follow_episodes=True)
    recorder.take("/target_pose", pose(0, 1.0))
    recorder.start(tmp_path / "a", EpisodeInfo())
    recorder.take("/state/pose", pose(1))  # held before the episode
    recorder.episode_waiting()
    recorder.take("/state/pose", pose(2))
    recorder.take("/state/pose", pose(10))  # the first state, ahead of the word that the episode runs
    recorder.take("/target_pose", pose(10, 2.0))
    recorder.episode_running(10 * PERIOD_NS)
    recorder.episode_running(10 * PERIOD_NS)  # said again to a late joiner
    for step in (11, 12):
        recorder.take("/state/pose", pose(step))
    recorder.episode_ended(13 * PERIOD_NS)
    for step in (13, 14):  # one is late, one is of the time after
        recorder.take("/state/pose", pose(step))
    recorder.episode_waiting()
    recorder.episode_running(20 * PERIOD_NS)
    recorder.take("/state/pose", pose(20))  # of the next episode: a bag holds one
    recording = recorder.stop()
    assert positions(recording) == [10, 11, 12, 13]
    assert read_demonstration(recording.path).target_m[0] == 2.0


def test_what_came_before_the_word_of_the_end_is_not_read_as_part_of_the_episode(tmp_path):
    recorder = EpisodeRecorder(follow_episodes=True)
    recorder.take("/target_pose", pose(0, 1.0))
    recorder.start(tmp_path / "a", EpisodeInfo())
    recorder.episode_running(10 * PERIOD_NS)
    for step in range(10, 20):
        recorder.take("/state/pose", pose(step))
    recorder.episode_ended(15 * PERIOD_NS)
    recorder.episode_waiting()
    assert positions(recorder.stop()) == [10, 11, 12, 13, 14, 15]


def test_a_target_said_after_the_end_is_of_the_next_episode(tmp_path):
    for overtakes in (False, True):
        recorder = EpisodeRecorder(follow_episodes=True)
        recorder.take("/target_pose", pose(0, 1.0))
        recorder.start(tmp_path / f"{overtakes}", EpisodeInfo())
        recorder.episode_running(10 * PERIOD_NS)
        for step in range(10, 16):
            recorder.take("/state/pose", pose(step))
        if overtakes:
            recorder.take("/target_pose", pose(30, 5.0))
        recorder.episode_ended(15 * PERIOD_NS)
        recorder.take("/target_pose", pose(31, 6.0))
        assert read_demonstration(recorder.stop().path).target_m[0] == 1.0


def test_a_state_of_the_episode_before_does_not_begin_the_next_recording(tmp_path):
    recorder = EpisodeRecorder(follow_episodes=True)
    recorder.episode_running(0)
    recorder.episode_ended(5 * PERIOD_NS)
    recorder.start(tmp_path / "a", EpisodeInfo())
    recorder.take("/target_pose", pose(10))
    recorder.take("/state/pose", pose(5))  # the simulation rests in its last state and repeats it
    recorder.episode_waiting()
    recorder.episode_running(10 * PERIOD_NS)
    for step in (10, 11, 12):
        recorder.take("/state/pose", pose(step))
    assert positions(recorder.stop()) == [10, 11, 12]


@settings(max_examples=15, deadline=None)
@given(st.randoms())
def test_whatever_the_order_the_bag_holds_the_episode_and_nothing_else(tmp_path_factory, random):
    """Topics are not ordered among each other: each has its own order, but they interleave at will."""
    recorder = EpisodeRecorder(follow_episodes=True)
    recorder.start(tmp_path_factory.mktemp("bags") / "a", EpisodeInfo())
    begin, end = 5, 12
    streams = {
        "state": [lambda s=s: recorder.take("/state/pose", pose(s)) for s in range(end + 1)],
        "command": [lambda s=s: recorder.take("/command/twist", twist(s)) for s in range(end + 1)],
        "target": [lambda: recorder.take("/target_pose", pose(begin, 3.0))],
        "word": [
            recorder.episode_waiting,
            lambda: recorder.episode_running(begin * PERIOD_NS),
            lambda: recorder.episode_ended(end * PERIOD_NS),
        ],
    }
    order = [name for name, stream in streams.items() for _ in stream]
    random.shuffle(order)
    for name in order:
        streams[name].pop(0)()
    recording = recorder.stop()
    assert positions(recording) == list(range(begin, end + 1))
    assert read_demonstration(recording.path).target_m[0] == 3.0
    assert recording.streams["/command/twist"].count == end + 1 - begin


def test_one_recording_at_a_time_and_only_when_started(tmp_path):
    recorder = EpisodeRecorder()
    with pytest.raises(UserError, match="no recording is in progress"):
        recorder.stop()
    recorder.start(tmp_path / "a", EpisodeInfo())
    with pytest.raises(UserError, match="a is being recorded: stop that recording first"):
        recorder.start(tmp_path / "b", EpisodeInfo())
    assert recorder.stop(discard=True) is None
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_is_no_demonstration_is_kept_and_said(tmp_path):
    recorder = EpisodeRecorder()
    recorder.start(tmp_path / "a", EpisodeInfo())
    recorder.take("/state/pose", pose(1))
    recording = recorder.stop()
    assert recording.report is None
    assert any("not usable as a demonstration" in problem for problem in recording.problems)
    assert recording.path.exists()


def test_what_was_recorded_when_it_is_abandoned_stays(tmp_path):
    recorder = EpisodeRecorder()
    assert recorder.abandon() is None
    recorder.start(tmp_path / "a", EpisodeInfo())
    recorder.take("/state/pose", pose(1))
    left = recorder.abandon()
    assert left.exists() and left.name.endswith(".partial") and not recorder.recording


def test_messages_from_before_the_last_one_are_counted_and_said(tmp_path):
    recorder = EpisodeRecorder()
    for name, set_back in (("a", 10), ("b", 0)):
        recorder.start(tmp_path / name, EpisodeInfo())
        recorder.take("/target_pose", pose(0))
        for step in [*range(20), 19, *range(19 - set_back, 30)]:
            recorder.take("/state/pose", pose(step))
        recording = recorder.stop()
        assert recording.n_samples == 30 and recording.streams["/state/pose"].dropped == set_back
        said = [problem for problem in recording.problems if "was a clock set back?" in problem]
        assert len(said) == (set_back > 0)
        assert all("10 messages of /state/pose came with stamps before the newest" in problem for problem in said)


@pytest.mark.parametrize(("period_ms", "read"), [(2, 100), (20, 90)])
def test_a_stamp_that_runs_back_by_a_millisecond_loses_no_recording(tmp_path, period_ms, read):
    """At 500 Hz it was overtaken and takes its place; at 50 Hz it was stamped wrongly and has none."""
    recorder = EpisodeRecorder()
    recorder.start(tmp_path / "a", EpisodeInfo())
    recorder.take("/target_pose", pose(0))
    stamps_ms = [period_ms * i for i in range(100)]
    for i in range(10, 100, 10):
        if period_ms == 2:
            stamps_ms[i - 1], stamps_ms[i] = stamps_ms[i], stamps_ms[i - 1]
        else:
            stamps_ms[i] = stamps_ms[i - 1] - 1
    if period_ms == 20:
        stamps_ms[95] = stamps_ms[94] - 1
    for stamp_ms in stamps_ms:
        message = pose_stamped(stamp_ms * 1_000_000, "base", [1e-4 * stamp_ms, 0, 0])
        recorder.take("/state/pose", bytes(typestore().serialize_cdr(message, POSE)))
    recording = recorder.stop()
    assert recording.n_samples == 100 and not any("clock set back" in problem for problem in recording.problems)
    demonstration = read_demonstration(tmp_path / "a")
    assert demonstration.n_samples == read
    assert np.allclose(demonstration.velocity_m_s[:, 0], 0.1, atol=1e-6)


def test_other_states_of_one_stamp_are_counted_and_said(tmp_path):
    """A driver whose clock has steps, or two publishers: what is left out must not go unsaid."""
    recorder = EpisodeRecorder()
    for name, step_of in (("coarse", lambda i: i // 4), ("fine", lambda i: i)):
        recorder.start(tmp_path / name, EpisodeInfo())
        recorder.take("/target_pose", pose(0))
        for i in range(40):
            recorder.take("/state/pose", pose(step_of(i), 0.01 * i))
        said = [problem for problem in recorder.stop().problems if "stamp" in problem]
        assert [text.split(" and say")[0] for text in said] == (
            ["30 messages of /state/pose have the stamp of the one before"] if name == "coarse" else []
        )


def test_a_target_that_is_seldom_said_is_not_counted_as_lost(tmp_path):
    recorder = EpisodeRecorder()
    recorder.start(tmp_path / "a", EpisodeInfo())
    for step in range(300):
        recorder.take("/state/pose", pose(step))
        if step in (1, 2, 3, 250):
            recorder.take("/target_pose", pose(step, 1.0))
    said = recorder.stop().summary()
    assert "300 samples" in said and ", 0 messages dropped" in said


def test_drops_are_counted_by_stamps(tmp_path):
    recorder = EpisodeRecorder()
    recorder.start(tmp_path / "a", EpisodeInfo())
    recorder.take("/target_pose", pose(0))
    for step in np.delete(np.arange(30), [4, 9, 10]):
        recorder.take("/state/pose", pose(int(step)))
    recording = recorder.stop()
    assert recording.streams["/state/pose"].dropped == 3
    assert set(recording.streams) == set(EPISODE_TOPICS)
