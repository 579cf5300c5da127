import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.methods.sac_gmm import WindowObserver
from sac_gmm_nodes.learning.episode_gatherer import STREAMS, Begin, Decide, End, EpisodeGatherer

PERIOD_NS = 33_333_333
INTERVAL = 4


def script(n_steps=10, success=False, start_ns=PERIOD_NS, episode=1):
    """What happens in one episode, per topic: lists of (method, arguments) in the order of their stamps."""
    rng = np.random.default_rng(episode)
    stamps = [start_ns + k * PERIOD_NS for k in range(n_steps + 1)]
    return {
        "pose": [("pose", s, rng.standard_normal(3)) for s in stamps],
        "wrench": [("wrench", s, rng.standard_normal(6)) for s in stamps],
        "target": [("target", start_ns, rng.standard_normal(3))],
        "episode": [
            ("running", episode, 1, start_ns),
            ("ended", episode, stamps[-1], success, not success),
        ],
        "steps": list(range(0, n_steps, INTERVAL)),
        "stamps": stamps,
    }


def in_order(episode, order=()):
    """Play the topics out. Decisions are in lock-step: the states after one come only when it has been made."""
    gatherer = EpisodeGatherer(WindowObserver(3), 30.0, None)
    events = []

    def give(name, *arguments):
        getattr(gatherer, name)(*arguments)
        while (event := gatherer.poll()) is not None:
            events.append(event)

    order = iter(order)
    begin, end = episode["episode"]
    early = [begin, *episode["target"]]
    for k, stamp in enumerate(episode["stamps"]):
        batch = [episode["pose"][k], episode["wrench"][k]] + (early if k == 0 else [])
        if k in episode["steps"]:
            batch.append(("due", begin[1], k // INTERVAL, stamp, 0))
        if k == len(episode["stamps"]) - 1:
            batch.append(end)
        batch = [batch[i] for i in sorted(range(len(batch)), key=lambda _i: next(order, 0.5))]
        # The two messages about the episode's phase share one topic, so they keep their order.
        for call in batch:
            give(*call)
    return events


def flat(events):
    return [
        (type(event).__name__, getattr(event, "steps", None), *getattr(event, "observation", {"vector": []})["vector"])
        for event in events
    ]


def begun():
    """A gatherer in episode 1, which began at 100 ns with its target at the origin."""
    gatherer = EpisodeGatherer(WindowObserver(3), 30.0, None)
    gatherer.running(1, 1, 100)
    gatherer.poll()
    gatherer.target(100, np.zeros(3))
    return gatherer


def test_an_episode_gives_a_beginning_decisions_and_an_end():
    events = in_order(script())
    assert [type(event) for event in events] == [Begin, Decide, Decide, Decide, End]
    assert [event.steps for event in events[1:]] == [0, 4, 4, 2]
    assert events[-1].truncated and not events[-1].success


def test_the_observations_are_those_of_the_observer_in_one_process():
    episode = script()
    observer = WindowObserver(3)
    expected = []
    for k in range(11):
        observer.tick(episode["pose"][k][2] - episode["target"][0][2], episode["wrench"][k][2])
        if k in (*episode["steps"], 10):
            expected.append(observer.observe(None, k / 30)["vector"])
    events = in_order(episode)
    np.testing.assert_allclose([event.observation["vector"] for event in events[1:]], expected, rtol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=60, max_size=60), st.booleans(), st.sampled_from([9, 10, 11, 12]))
def test_any_order_of_arrival_gives_the_same_events(order, success, n_steps):
    episode = script(n_steps, success)
    assert flat(in_order(episode, order)) == flat(in_order(episode))


def test_a_decision_waits_for_its_picture():
    gatherer = EpisodeGatherer(WindowObserver(3, image="rgb"), 30.0, 0.0)
    gatherer.running(1, 1, 100)
    assert isinstance(gatherer.poll(), Begin)
    gatherer.target(100, np.zeros(3))
    gatherer.pose(100, np.zeros(3))
    gatherer.wrench(100, np.zeros(6))
    gatherer.due(1, 0, 100, 0)
    assert gatherer.poll() is None
    gatherer.image(99, np.zeros((64, 64, 3), np.uint8))
    assert gatherer.poll() is None
    gatherer.image(100, np.full((64, 64, 3), 7, np.uint8))
    event = gatherer.poll()
    assert event.observation["image"].shape == (3, 64, 64)
    assert event.observation["image"].min() == 7


def test_a_picture_of_the_episode_before_is_not_seen_however_young():
    gatherer = EpisodeGatherer(WindowObserver(3, image="rgb"), 30.0, 0.3)
    gatherer.image(10**9 - 70_000_000, np.zeros((64, 64, 3), np.uint8))
    gatherer.running(1, 1, 10**9)
    assert isinstance(gatherer.poll(), Begin)
    gatherer.target(10**9, np.zeros(3))
    gatherer.pose(10**9, np.zeros(3))
    gatherer.wrench(10**9, np.zeros(6))
    gatherer.due(1, 0, 10**9, 0)
    assert gatherer.poll() is None
    gatherer.image(10**9 + 30_000_000, np.full((64, 64, 3), 7, np.uint8))
    assert gatherer.poll().observation["image"].min() == 7


def test_repeated_states_and_lost_partners_do_no_harm():
    gatherer = begun()
    for stamp in (100, 100, 200, 300):
        gatherer.pose(stamp, np.zeros(3))
        if stamp != 200:
            gatherer.wrench(stamp, np.ones(6))
        gatherer.wrench(100, np.full(6, 50.0))
    gatherer.due(1, 0, 300, 0)
    assert gatherer.poll().observation["vector"][3] == pytest.approx(1.0)


def test_the_next_episode_closes_one_whose_last_state_never_came():
    gatherer = begun()
    gatherer.ended(1, 10_000, False, True)
    assert gatherer.poll() is None
    gatherer.running(2, 1, 20_000)
    assert isinstance(gatherer.poll(), End)
    assert gatherer.poll() == Begin(2, 1)


def test_an_episode_that_was_given_up_gives_no_end():
    gatherer = EpisodeGatherer(WindowObserver(3), 30.0, None)
    gatherer.running(1, 1, 100)
    gatherer.poll()
    gatherer.aborted()
    gatherer.ended(1, 10_000, False, True)
    assert gatherer.poll() is None


def test_a_late_state_of_one_episode_is_not_seen_in_the_next():
    gatherer = begun()
    gatherer.ended(1, 133, False, True)
    gatherer.pose(133, np.zeros(3))
    gatherer.running(2, 1, 166)
    assert isinstance(gatherer.poll(), End) and isinstance(gatherer.poll(), Begin)
    gatherer.wrench(133, np.full(6, 10.0))
    gatherer.target(166, np.zeros(3))
    gatherer.pose(166, np.zeros(3))
    gatherer.wrench(166, np.ones(6))
    gatherer.due(2, 0, 166, 0)
    event = gatherer.poll()
    assert isinstance(event, Decide)
    assert event.observation["vector"][3:9].tolist() == [1.0] * 6


def test_the_first_decision_of_the_next_episode_may_come_before_the_end_of_the_last():
    gatherer = begun()
    gatherer.ended(1, 10_000, False, True)
    gatherer.due(2, 0, 20_000, 5)
    gatherer.target(20_000, np.zeros(3))
    gatherer.pose(20_000, np.zeros(3))
    gatherer.wrench(20_000, np.zeros(6))
    gatherer.running(2, 1, 20_000)
    assert isinstance(gatherer.poll(), End)
    assert gatherer.poll() == Begin(2, 1)
    assert gatherer.poll().episode_id == 2


def test_a_decision_does_not_wait_for_a_state_that_was_lost():
    gatherer = begun()
    gatherer.pose(100, np.ones(3))
    gatherer.wrench(100, np.ones(6))
    gatherer.due(1, 0, 200, 0)
    gatherer.pose(200, np.full(3, 2.0))  # its wrench never comes
    assert gatherer.poll() is None
    gatherer.pose(300, np.full(3, 3.0))
    gatherer.wrench(300, np.ones(6))
    np.testing.assert_allclose(gatherer.poll().observation["vector"][:3], 1.0)


def test_who_was_started_again_hears_of_episodes_that_were_over():
    gatherer = EpisodeGatherer(WindowObserver(3), 30.0, None)
    for episode in (1, 2):
        gatherer.running(episode, 1, episode * 10_000)
        assert gatherer.poll() == Begin(episode, 1)
        gatherer.ended(episode, episode * 10_000 + 100, False, True)
        assert gatherer.poll() is None  # no target has come
    gatherer.running(3, 1, 30_000)
    assert gatherer.poll() == Begin(3, 1)


def test_the_target_of_the_next_episode_does_not_move_the_end_of_this_one():
    gatherer = begun()
    gatherer.target(20_000, np.ones(3))
    gatherer.pose(100, np.full(3, 0.1))
    gatherer.wrench(100, np.zeros(6))
    gatherer.ended(1, 100, True, False)
    np.testing.assert_allclose(gatherer.poll().observation["vector"][:3], 0.1)


def step(gatherer, stamp_ns, at=0.0):
    gatherer.pose(stamp_ns, np.full(3, at))
    gatherer.wrench(stamp_ns, np.zeros(6))


def drain(gatherer):
    return list(iter(gatherer.poll, None))


@pytest.mark.parametrize("waits", ["for the states", "for nothing"])
def test_a_clock_that_was_set_back_leaves_nothing_of_the_old_time(waits):
    """A simulation that was started again beside the adapter: its first decision must see its own state."""
    gatherer = EpisodeGatherer(WindowObserver(3, image="rgb"), 30.0, 0.0)
    old, new = 100 * 10**9, 10**9
    gatherer.running(7, 1, old)
    gatherer.target(old, np.full(3, 9.0))
    step(gatherer, old, 5.0)
    gatherer.image(old, np.zeros((64, 64, 3), np.uint8))
    gatherer.due(7, 0, old, 0)
    assert [type(event) for event in drain(gatherer)] == [Begin, Decide]
    step(gatherer, old + 1000, 5.0)

    if waits == "for nothing":
        step(gatherer, new, 0.1)
    gatherer.running(1, 1, new)
    gatherer.due(1, 0, new, 0)
    assert drain(gatherer) == [Begin(1, 1)]
    gatherer.target(new, np.zeros(3))
    gatherer.image(new, np.full((64, 64, 3), 7, np.uint8))
    if waits == "for the states":
        assert gatherer.poll() is None
        assert gatherer.missing == ["state/pose", "wrench"]
        step(gatherer, new, 0.1)
    (event,) = drain(gatherer)
    assert (event.episode_id, event.steps) == (1, 0)
    np.testing.assert_allclose(event.observation["vector"][:3], 0.1)
    assert event.observation["image"].min() == 7


def test_an_episode_in_which_the_clock_was_set_back_is_given_up():
    gatherer = EpisodeGatherer(WindowObserver(3), 30.0, None)
    start = 100 * 10**9
    gatherer.running(1, 1, start)
    gatherer.target(start, np.zeros(3))
    step(gatherer, start)
    gatherer.due(1, 0, start, 0)
    assert len(drain(gatherer)) == 2
    step(gatherer, start - 3 * 10**9)
    gatherer.due(1, 1, start - 3 * 10**9, 1)
    gatherer.ended(1, start - 2 * 10**9, True, False)
    step(gatherer, start - 2 * 10**9)
    assert not drain(gatherer)


def test_who_is_started_amid_an_episode_keeps_states_and_target():
    """What is latched comes when it likes: states may be here before episodes that are long over are heard of."""
    gatherer = EpisodeGatherer(WindowObserver(3), 30.0, None)
    start, now = 20 * 10**9, 30 * 10**9
    gatherer.target(start, np.zeros(3))
    step(gatherer, now)
    for episode_id, start_ns in enumerate((5 * 10**9, 10 * 10**9, start)):
        gatherer.running(episode_id, 1, start_ns)
        assert drain(gatherer) == [Begin(episode_id, 1)]
    gatherer.due(2, 40, now, 3)
    assert [type(event) for event in drain(gatherer)] == [Decide]


@pytest.mark.parametrize("end_ns, late, steps", [(250, True, 1), (300, True, 2), (350, False, 1)])
def test_an_end_says_whether_a_decision_was_made_at_or_after_it(end_ns, late, steps):
    """A decision on the last state is one too many: its steps are those of the decision before it."""
    gatherer = EpisodeGatherer(WindowObserver(3), 1e9 / 50, None)
    gatherer.running(1, 1, 100)
    gatherer.target(100, np.zeros(3))
    for decision, stamp_ns in enumerate((100, 200, 300)):
        step(gatherer, stamp_ns)
        gatherer.due(1, decision, stamp_ns, 0)
        drain(gatherer)
    step(gatherer, 350)
    gatherer.ended(1, end_ns, True, False)
    (end,) = drain(gatherer)
    assert (end.late, end.steps) == (late, steps)


def test_what_is_missing_is_named():
    gatherer = EpisodeGatherer(WindowObserver(3, image="rgb"), 30.0, 0.0)
    assert not gatherer.missing, "no episode"
    gatherer.running(1, 1, 100)
    drain(gatherer)
    assert not gatherer.missing, "nothing is due"
    gatherer.due(1, 0, 100, 0)
    assert gatherer.missing == ["target_pose", "state/pose", "wrench", "wrist_camera/image"]
    gatherer.target(100, np.zeros(3))
    gatherer.pose(100, np.zeros(3))
    assert gatherer.missing == ["wrench", "wrist_camera/image"]
    gatherer.wrench(101, np.zeros(6))
    gatherer.image(99, np.zeros((64, 64, 3), np.uint8))
    assert gatherer.missing == ["state/pose and wrench with the same stamp", "wrist_camera/image"]
    gatherer.no_target()
    assert gatherer.missing[0] == "target_pose"


def steps_of(gatherer):
    return list(iter(gatherer.next_step, None))


def test_control_steps_are_given_once_in_order_and_none_at_the_end_of_the_time():
    gatherer = EpisodeGatherer(WindowObserver(3), 1e9 / 100, None)
    step(gatherer, 100, 9.0)  # of the episode before
    step(gatherer, 200, 0.2)
    assert not steps_of(gatherer), "no episode"
    gatherer.running(1, 1, 200, end_ns=5_000, context=[0.5])
    assert drain(gatherer) == [Begin(1, 1)]
    assert not steps_of(gatherer), "no target"
    gatherer.target(200, np.ones(3))
    gatherer.pose(300, np.full(3, 0.3))
    (first,) = steps_of(gatherer)
    assert (first.episode_id, first.stamp_ns, first.step) == (1, 200, 0)
    assert {name: value.tolist() for name, value in first.state.items()} == {
        "ee_position_m": [0.2] * 3,
        "wrench": [0.0] * 6,
        "target_m": [1.0] * 3,
        "context": [0.5],
    }
    gatherer.wrench(300, np.zeros(6))
    step(gatherer, 300, 7.0)  # repeated
    assert [(s.step, s.stamp_ns) for s in steps_of(gatherer)] == [(1, 300)]
    gatherer.due(1, 0, 300, 0)
    assert [type(event) for event in drain(gatherer)] == [Decide]
    step(gatherer, 500)
    assert [(s.step, s.stamp_ns) for s in steps_of(gatherer)] == [(3, 500)]
    step(gatherer, 5_000)
    assert not steps_of(gatherer), "nothing follows the last state"
    gatherer.ended(1, 5_000, False, True)
    assert [type(event) for event in drain(gatherer)] == [End]
    assert not steps_of(gatherer)


def test_a_state_is_complete_when_all_of_its_topics_have_come():
    class Window(WindowObserver):
        seen: list = []  # noqa: RUF012 - of this test alone

        def take_in(self, state):
            self.seen.append(state)

    gatherer = EpisodeGatherer(Window(3), 30.0, None, tuple(STREAMS))
    gatherer.running(1, 1, 100)
    drain(gatherer)
    gatherer.target(100, np.zeros(3))
    gatherer.due(1, 0, 100, 0)
    step(gatherer, 100)
    gatherer.velocity(100, np.full(3, 2.0))
    assert not drain(gatherer) and gatherer.missing == gatherer.missing_for_steps == ["joint_states"]
    gatherer.joints(100, np.full(7, 3.0))
    assert [type(event) for event in drain(gatherer)] == [Decide]
    (state,) = Window.seen
    assert (state["ee_velocity_m_s"][0], state["joint_position_rad"].shape) == (2.0, (7,))
