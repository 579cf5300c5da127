"""One recording in several files without metadata.yaml: as `ros2 bag record -d` leaves it after a power cut."""

import contextlib
import shutil
import sqlite3

import numpy as np
import pytest
import yaml
from foreign import foreign_bag

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, TopicNames, check_set, find_bags, read_demonstration, trim
from sac_gmm.demos.bags.bag_file import BagFile, Topic
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
from sac_gmm.demos.bags.split import is_split
from sac_gmm.methods.sac_gmm.fit_bags import fit_bags

NAMES = TopicNames("/tool", target_topic="/aim")
START_NS = 1_700_000_000 * 10**9


def motion(n=180):
    s = np.linspace(0, 1, n)[:, None]
    s = 10 * s**3 - 15 * s**4 + 6 * s**5
    return np.array([0.4, 0.0, 0.2]) + (1 - s) * [0.2, -0.1, 0.1] + np.sin(np.pi * s) * [0.0, 0.0, 0.05]


def write_part(folder, name, points, first, start_ns=START_NS, with_target=True, rate_hz=60.0):
    """A bare file; its target is said once, at the start of the recording."""
    bag = folder / f"whole_{name}"
    kinds = {"/aim": POSE, "/tool": POSE} if with_target else {"/tool": POSE}
    with EpisodeBagWriter(bag, kinds) as writer:
        stamps = [start_ns + round(i / rate_hz * 1e9) for i in range(first, first + len(points))]
        if with_target:
            writer.write("/aim", pose_stamped(stamps[0], "base", [0.4, 0.0, 0.2]))
        for stamp_ns, point in zip(stamps, points, strict=True):
            writer.write("/tool", pose_stamped(stamp_ns, "base", point.tolist()))
    [file] = bag.glob("*.mcap")
    shutil.move(file, folder / f"{name}.mcap")
    shutil.rmtree(bag)
    return folder / f"{name}.mcap"


@pytest.fixture
def split(tmp_path):
    """Twelve parts of one recording: by name, part 10 would come before part 2."""
    folder = tmp_path / "monday"
    folder.mkdir()
    for k, points in enumerate(np.split(motion(), 12)):
        write_part(folder, f"rosbag2_monday_{k}", points, 15 * k, with_target=k == 0)
    return folder


def test_the_parts_of_one_recording_are_one_demonstration(split, tmp_path, capsys):
    assert is_split(split) and find_bags([split]) == [split] and find_bags([tmp_path]) == [split]
    demonstration = read_demonstration(split, NAMES)
    assert np.allclose(demonstration.position_m, motion()) and demonstration.target_m.tolist() == [0.4, 0.0, 0.2]
    names = ["--pose-topic", "/tool", "--target-topic", "/aim"]
    assert main(["demos", "check", str(split), *names]) == 0
    assert main(["demos", "info", str(split), *names]) == 0
    assert "files     12" in capsys.readouterr().out
    assert main(["fit", str(split), *names, "-o", str(tmp_path / "m.npz"), "-k", "3", "--plot", "none"]) == 0
    assert "from 1 demonstrations" in capsys.readouterr().out


def test_they_are_cut_as_one(split, tmp_path):
    trim(split, tmp_path / "cut", 0.0, 2.0, NAMES)
    assert read_demonstration(tmp_path / "cut", NAMES).duration_s == pytest.approx(2.0, abs=0.02)


def test_parts_named_one_by_one_are_refused(split):
    files = sorted(split.glob("*.mcap"))
    with pytest.raises(UserError, match=r"monday_1.mcap goes on where .*monday_0.mcap ends: .* folder of its own"):
        find_bags(files)
    shutil.copy(files[0], split / "another.mcap")
    with pytest.raises(UserError, match="parts of one recording"):
        find_bags([split])


@pytest.mark.parametrize("number", [0, 1, 11])
def test_a_part_that_is_named_alone_is_refused(split, number):
    with pytest.raises(UserError, match=r"either is a part of one recording, .* name the folder .*monday"):
        find_bags([split / f"rosbag2_monday_{number}.mcap"])


def metadata(ending):
    return yaml.safe_dump(
        {"rosbag2_bagfile_information": {"relative_file_paths": [f"monday_{k}{ending}" for k in range(3)]}}
    )


def later_part_in_mcap(folder, monkeypatch):
    monkeypatch.setattr("sac_gmm.demos.bags.bag_file._of_jazzy", lambda _text: metadata(".mcap"))
    return write_part(folder, "monday_2", motion(), 0)


def later_part_in_sqlite(folder, _monkeypatch):
    [file] = foreign_bag(folder / "bag", "sqlite3", samples=60, pose="/tool", target="/aim").glob("*.db3")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO metadata(metadata_version, metadata) VALUES(9, ?)", (metadata(".db3"),))
        connection.commit()
    return file.rename(folder / "monday_2.db3")


@pytest.mark.parametrize("make", [later_part_in_mcap, later_part_in_sqlite])
def test_a_part_whose_other_parts_are_elsewhere_is_an_objection(tmp_path, monkeypatch, make):
    """A recorder leaves in each of its files the names of those before it."""
    alone = make(tmp_path, monkeypatch)
    said = "is part 3 of a recording in several files: put the files before it beside it"
    assert any(said in text for text in check_set([read_demonstration(alone, NAMES)]).all_problems)
    first = alone.rename(tmp_path / f"monday_0{alone.suffix}")
    assert not any("part" in text for text in check_set([read_demonstration(first, NAMES)]).all_problems)


def test_parts_under_other_names_are_refused_by_the_fit(tmp_path, capsys):
    first = write_part(tmp_path, "begin", motion()[:80], 0)
    second = write_part(tmp_path, "finish", motion()[80:], 80)
    demonstrations = [read_demonstration(path, NAMES) for path in (second, first)]
    assert any("finish.mcap goes on where begin.mcap ends" in text for text in check_set(demonstrations).problems)
    with pytest.raises(UserError, match=r"finish.mcap begins when and where begin.mcap ends"):
        fit_bags([second, first], "gmm", 2, names=NAMES)


@pytest.mark.parametrize("pause_s", [0.0, 2.0])
def test_demonstrations_in_numbered_files_stay_demonstrations(tmp_path, pause_s):
    """Shown one after the other, or each by a clock that begins anew."""
    for k in range(3):
        start_ns = START_NS + round(k * (3.0 + pause_s) * 1e9) * (pause_s > 0.0)
        write_part(tmp_path, f"demo_{k}", motion(), 0, start_ns)
    assert not is_split(tmp_path)
    bags = find_bags([tmp_path])
    assert [bag.name for bag in bags] == ["demo_0.mcap", "demo_1.mcap", "demo_2.mcap"]
    assert check_set([read_demonstration(bag, NAMES) for bag in bags]).all_problems == []


def test_a_recording_that_is_named_twice_is_an_objection(tmp_path):
    path = write_part(tmp_path, "a", motion(), 0)
    bags = find_bags([tmp_path, path])
    assert check_set([read_demonstration(bag, NAMES) for bag in bags]).problems == (
        f"{path.resolve()} is there 2 times: name each bag once",
    )


def test_a_next_demonstration_that_begins_elsewhere_is_no_part(tmp_path):
    write_part(tmp_path, "a", motion(), 0)
    write_part(tmp_path, "b", motion(), 181)
    bags = find_bags([tmp_path])
    assert check_set([read_demonstration(bag, NAMES) for bag in bags]).all_problems == []


def test_a_part_that_was_begun_and_not_filled_is_no_objection(split):
    BagFile(split / "empty", [Topic("/tool", POSE)]).close()
    shutil.move(split / "empty" / "empty.mcap", split / "rosbag2_monday_12.mcap")
    shutil.rmtree(split / "empty")
    assert find_bags([split]) == [split]
    assert np.allclose(read_demonstration(split, NAMES).position_m, motion())


@pytest.mark.parametrize("left", [0, 1000])
def test_the_part_that_was_being_written_at_the_power_cut_is_named(split, left, capsys):
    last = split / "rosbag2_monday_11.mcap"
    last.write_bytes(last.read_bytes()[:left])
    for bag in (split, split.parent):
        with pytest.raises(UserError) as refused:
            [read_demonstration(one, NAMES) for one in find_bags([bag])]
        words = f"{split} holds the files of one recording: `sac-gmm demos salvage {split}` makes a bag of"
        assert str(refused.value).startswith(str(last)) and words in str(refused.value)
    assert main(["demos", "salvage", str(split)]) == 0
    assert "/tool: 165 messages" in capsys.readouterr().out
