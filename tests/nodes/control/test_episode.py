import pytest
from sac_gmm_interfaces.msg import EpisodeState

from sac_gmm_nodes.common.conversions import stamp_of
from sac_gmm_nodes.control.episode import Episode

pytestmark = pytest.mark.ros
SECOND_NS = 1_000_000_000


def episode(phase=EpisodeState.PHASE_RUNNING):
    start = stamp_of(5 * SECOND_NS)
    return Episode.of(EpisodeState(phase=phase, episode_id=3, start_stamp=start, time_limit_s=2.0))


def test_an_episode_is_told_by_number_and_start():
    assert episode().key == (3, 5 * SECOND_NS)
    assert episode().end_ns == 7 * SECOND_NS


def test_it_runs_until_its_manager_should_have_ended_it():
    assert episode().runs_at(None)
    assert episode().runs_at(7 * SECOND_NS)
    assert not episode().runs_at(8 * SECOND_NS)
    assert not episode(EpisodeState.PHASE_ENDED).runs_at(6 * SECOND_NS)
