import json

import numpy as np
import pytest

from sac_gmm.cli import demos
from sac_gmm.core.errors import UserError
from sac_gmm.demos import Demonstration, write_demonstration


def demonstration(gap=False, end_m=0.3):
    time_s = np.arange(0.0, 3.0, 1 / 30)
    position = np.zeros((time_s.size, 3))
    position[:, 0] = end_m * np.sin(np.linspace(0, np.pi / 2, time_s.size))
    keep = (time_s < 1.0) | (time_s > 1.5) if gap else slice(None)
    return Demonstration(
        time_s[keep], position[keep], np.zeros_like(position[keep]), np.zeros(3), task="door", meta={"operator": "ann"}
    )


def test_info_says_what_is_in_bags(tmp_path, capsys):
    write_demonstration(tmp_path / "set" / "door_00", demonstration())
    assert demos.main(["info", str(tmp_path / "set")]) == 0
    text = capsys.readouterr().out
    assert "door_00" in text and "ann" in text and "90 in 2.97 s" in text


def test_check_is_quiet_about_good_bags_and_names_bad_ones(tmp_path, capsys):
    for i in range(2):
        write_demonstration(tmp_path / f"door_{i:02d}", demonstration())
    assert demos.main(["check", str(tmp_path)]) == 0
    assert "problem" not in capsys.readouterr().out
    write_demonstration(tmp_path / "door_02", demonstration(gap=True, end_m=0.6))
    assert demos.main(["check", str(tmp_path), "--json", str(tmp_path / "report.json")]) == 1
    text = capsys.readouterr().out
    assert "problem: door_02: has a gap of 0.5" in text
    assert "mm apart" in text
    assert len(json.loads((tmp_path / "report.json").read_text())["demonstrations"]) == 3


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_missing_bag_is_named(tmp_path, command):
    with pytest.raises(UserError, match="there is no such bag"):
        demos.main([command, str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match="is not a bag and holds none"):
        demos.main([command, str(tmp_path)])


def test_recording_refuses_to_overwrite_before_anything_starts(tmp_path):
    bag = write_demonstration(tmp_path / "door_01", demonstration())
    with pytest.raises(UserError, match="door_01 exists and is never overwritten"):
        demos.main(["record", "door", "-n", "2", "-o", str(tmp_path)])
    assert bag.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["window"], "there is no task 'window'; choose one of: door"), (["door", "-n", "0"], "0 demonstrations cannot")],
)
def test_what_cannot_be_recorded_is_named(tmp_path, arguments, words):
    with pytest.raises(UserError, match=words):
        demos.main(["record", *arguments, "-o", str(tmp_path)])


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as end:
        demos.main(["--help"])
    assert end.value.code == 0
    assert "sac-gmm demos record door -n 5" in capsys.readouterr().out
