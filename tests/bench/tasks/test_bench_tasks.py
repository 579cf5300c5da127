"""The benchmarks of the tasks: contacts under random actions, touch."""

import json

import pytest

from sac_gmm.bench.tasks import contacts as bench_contacts
from sac_gmm.bench.tasks import tactile as bench_tactile
from sac_gmm.core.errors import UserError
from sac_gmm.tasks import make_task

COUNTS = (
    "episodes",
    "episodes_with_contact",
    "overlaps",
    "tunnelling",
    "explosions",
    "deepest_m",
    "fastest_m_s",
    "strongest_n",
)


def test_contacts_go_on_where_they_stopped(tmp_path, capsys):
    stopped, whole = tmp_path / "stopped.json", tmp_path / "whole.json"
    for path, episodes in ((stopped, 3), (stopped, 6), (whole, 6)):
        assert bench_contacts.main(["peg", "--episodes", str(episodes), "--json", str(path)]) == 0
    assert "6 episodes" in capsys.readouterr().out
    one, other = (json.loads(path.read_text()) for path in (stopped, whole))
    assert [one[name] for name in COUNTS] == [other[name] for name in COUNTS]
    assert one["episodes_with_contact"] >= 4 and one["tunnelling"] == one["explosions"] == 0


def test_every_tenth_episode_strays():
    task = make_task("door")
    near, far = (bench_contacts.play(task, seed) for seed in (8, 9))
    elapsed = task.elapsed_steps
    task.close()
    assert near["touched"] and elapsed == 300
    assert far["finite"] and far["fastest_m_s"] < bench_contacts.EXPLOSION_M_S


def test_contacts_of_another_task_are_not_gone_on_with(tmp_path):
    path = tmp_path / "contacts.json"
    bench_contacts.main(["peg", "--episodes", "1", "--json", str(path)])
    with pytest.raises(UserError, match="door"):
        bench_contacts.main(["door", "--json", str(path)])


@pytest.mark.parametrize("arguments", [["peg", "--episodes", "0"], ["window"]])
def test_what_cannot_be_counted_is_said(arguments):
    with pytest.raises(UserError):
        bench_contacts.main(arguments)


def test_what_moves_too_fast_or_goes_in_too_deep_is_counted():
    counts = bench_contacts.nothing("peg")
    calm = {"deepest_m": 1e-4, "fastest_m_s": 0.3, "strongest_n": 20.0, "touched": True, "finite": True}
    for change in (
        {},
        {"deepest_m": 0.002},
        {"deepest_m": 0.005},
        {"fastest_m_s": 2.0},
        {"strongest_n": 2e3},
        {"finite": False},
    ):
        bench_contacts.add(counts, calm | change)
    assert (counts["episodes"], counts["overlaps"]) == (6, 2)
    assert (counts["tunnelling"], counts["explosions"]) == (1, 3)


def test_touch_is_measured(tmp_path):
    path = tmp_path / "tactile.json"
    assert bench_tactile.main(["--presses", "20", "--json", str(path)]) == 0
    result = json.loads(path.read_text())
    assert result["frame_us"] > 0.0 and 0.0 <= result["tactile"]["median_error_deg"] <= 180.0
    with pytest.raises(UserError, match="20"):
        bench_tactile.main(["--presses", "3"])
