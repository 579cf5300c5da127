import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import yaml
from foreign import STORAGES, foreign_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from tests.demos.saved import saved_so_far

from sac_gmm.cli import demos
from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, EpisodeInfo, find_unfinished, read_demonstration, salvage, unfinished
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
from sac_gmm.demos.bags.recover import _next_chunk

POSES = {"/state/pose": POSE, "/target_pose": POSE}


def abandoned(path, n=100):
    """What a recorder leaves behind that is stopped in the middle."""
    writer = EpisodeBagWriter(path, POSES, EpisodeInfo("door", "ann", {"seed": 4}))
    writer.write("/target_pose", pose_stamped(0, "base", [0.5, 0, 0]))
    for i in range(n):
        writer.write("/state/pose", pose_stamped(i * 10**7, "base", [0.01 * i, 0, 0]))
    writer.abandon()
    return writer.partial_path


def counts(bag):
    with AnyReader([bag]) as reader:
        return {c.topic: sum(1 for _ in reader.messages(connections=[c])) for c in reader.connections}


def storage_file(bag):
    (found,) = (f for f in bag.rglob("*") if f.is_file() and f.suffix in (".mcap", ".db3", ".zstd"))
    return found


KILLED = """
import os, signal, sys, types
from sac_gmm.demos import EpisodeBagWriter, EpisodeInfo
from sac_gmm.demos.bags import bag_file
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
now_ns = 10**9
bag_file.time = types.SimpleNamespace(monotonic=lambda: 1e-9 * now_ns)
writer = EpisodeBagWriter(sys.argv[1], {"/state/pose": POSE}, EpisodeInfo("door", "ann"))
for i in range(int(sys.argv[2])):
    writer.write("/state/pose", pose_stamped(now_ns, "base", [0, 0, i]))
    now_ns += 2_000_000
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("messages", [300, 550])
def test_kill_9_costs_at_most_half_a_second(tmp_path, messages):
    """For real, but for the time, which is simulated: a message every two milliseconds, the last at the kill."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "door_00"), str(messages)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = find_unfinished([tmp_path])
    done = salvage(left)
    assert done.path == tmp_path / "door_00", "the name it was to have"
    with AnyReader([done.path]) as reader:
        stamps = [stamp for _, stamp, _ in reader.messages()]
    assert messages - 250 < len(stamps)
    assert stamps == [10**9 + i * 2_000_000 for i in range(len(stamps))], "nothing is missing in between"
    assert left.exists(), "what the crash left is not touched"


SILENT = """
import sys, time
from sac_gmm.demos import EpisodeBagWriter, EpisodeInfo
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
writer = EpisodeBagWriter(sys.argv[1], {"/state/pose": POSE}, EpisodeInfo("door", "ann"))
for i in range(50):
    writer.write("/state/pose", pose_stamped(i, "base", [0, 0, i]))
time.sleep(3600)
"""


def test_kill_9_after_a_silence_costs_nothing(tmp_path):
    """What came last gets to the disk although no later message pushes it there."""
    with subprocess.Popen([sys.executable, "-c", SILENT, str(tmp_path / "door_00")]) as process:
        try:
            give_up_s = time.monotonic() + 120
            while saved_so_far(tmp_path / ".door_00.partial", "/state/pose") < 50:
                assert time.monotonic() < give_up_s, "the last messages did not get to the disk"
                time.sleep(0.05)
        finally:
            process.kill()
    done = salvage(*find_unfinished([tmp_path]))
    assert done.recovered == {"/state/pose": 50}
    assert done.missing == ()


def test_what_is_salvaged_reads_like_any_bag_and_keeps_what_was_known(tmp_path):
    left = abandoned(tmp_path / "door_00")
    done = salvage(left)
    demonstration = read_demonstration(done.path)
    assert demonstration.n_samples == 100
    assert (demonstration.task, demonstration.meta["operator"]) == ("door", "ann")
    assert demonstration.target_m.tolist() == [0.5, 0, 0]
    sidecar = yaml.safe_load((done.path / "episode.yaml").read_text())
    assert sidecar["seed"] == 4
    assert sidecar["salvaged"]["recovered"] == {"/state/pose": 100, "/target_pose": 1}
    with AnyReader([done.path]) as reader:
        durability = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader.connections}
    assert durability == {"/state/pose": "VOLATILE", "/target_pose": "TRANSIENT_LOCAL"}


def test_a_second_crash_of_the_same_name_gets_another_name(tmp_path):
    first, second = abandoned(tmp_path / "a", 5), abandoned(tmp_path / "a", 7)
    assert find_unfinished([tmp_path]) == sorted([first, second])
    assert {salvage(path).path.name for path in (first, second)} == {"a", "a_salvaged"}
    with pytest.raises(UserError, match="never overwritten"):
        salvage(second)


def test_a_folder_is_salvaged_once(tmp_path, capsys):
    """A second copy would be fitted as another demonstration."""
    for name in ("door_00", "door_01"):
        abandoned(tmp_path / name)
    found = find_unfinished([tmp_path])
    assert [path.name for path in found] == [".door_00.partial", ".door_01.partial"]
    salvage(found[0])
    assert find_unfinished([tmp_path]) == unfinished(tmp_path) == found[1:]
    salvage(found[1])
    with pytest.raises(UserError, match="not salvaged yet"):
        find_unfinished([tmp_path])
    assert main(["demos", "info", str(tmp_path)]) == 0
    assert "unfinished" not in capsys.readouterr().out


def test_salvaged_elsewhere_every_recording_has_a_name_of_its_own(tmp_path):
    for name in ("peg_0.5mm_00", "peg_0.5mm_01"):
        abandoned(tmp_path / "from" / name)
    salvage(tmp_path / "from" / ".peg_0.5mm_00.partial")
    again = abandoned(tmp_path / "from" / "peg_0.5mm_02")
    again.rename(again.with_name(".peg_0.5mm_00.1.partial"))
    for source in sorted((tmp_path / "from").glob(".*.partial")):
        salvage(source, folder=tmp_path / "to")
    names = sorted(path.name for path in (tmp_path / "to").iterdir())
    assert names == ["peg_0.5mm_00", "peg_0.5mm_00_salvaged", "peg_0.5mm_01"]


@pytest.mark.parametrize("storage", STORAGES)
def test_bags_of_others_are_salvaged_wherever_they_were_cut(tmp_path, storage):
    whole = foreign_bag(tmp_path / "whole", storage, samples=4000)
    full = counts(whole)
    size = storage_file(whole).stat().st_size
    kept_before = 0
    for share in (0.35, 0.6):
        bag = tmp_path / f"cut_{share}"
        shutil.copytree(whole, bag)
        with storage_file(bag).open("rb+") as file:
            file.truncate(int(share * size))
        done = salvage(bag)
        assert counts(done.path) == done.recovered
        assert done.expected == full
        kept = sum(done.recovered.values())
        assert kept_before < kept < sum(full.values())
        assert kept > (share - 0.2) * sum(full.values()), "about as much as there is of the file"
        assert any("messages of /ee/pose" in sentence for sentence in done.missing)
        kept_before = kept
        with AnyReader([done.path]) as reader:  # the unknown type came with its definition
            (connection,) = (c for c in reader.connections if c.topic == "/grip")
            first = next(reader.messages(connections=[connection]))
            assert reader.deserialize(first[2], "lab_msgs/msg/Grip").finger == "left"


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data(), storage=st.sampled_from(["mcap", "mcap, chunks compressed", "sqlite3"]))
def test_whatever_happened_to_the_file_it_ends_in_a_bag_or_in_a_sentence(tmp_path_factory, data, storage):
    folder = tmp_path_factory.mktemp("damaged")
    bag = foreign_bag(folder / "bag", storage, samples=30, custom=False)
    file = storage_file(bag)
    content = bytearray(file.read_bytes())
    cut = data.draw(st.booleans())
    if cut:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(3):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        done = salvage(bag)
    except UserError:
        assert sorted(p.name for p in folder.iterdir()) == ["bag"]
    else:
        assert sum(done.recovered.values()) <= 61
        with Reader(done.path) as reader:
            assert sum(1 for _ in reader.messages()) == sum(done.recovered.values())
        if cut:
            assert counts(done.path) == done.recovered
    assert file.read_bytes() == content, "the source is never changed"


def test_a_damaged_piece_in_the_middle_is_left_out_and_said(tmp_path):
    bag = tmp_path / "bag"
    with EpisodeBagWriter(bag, POSES) as writer:
        for i in range(60_000):  # several chunks of a megabyte
            writer.write("/state/pose", pose_stamped(i * 10**6, "base", [i, 0, 0]))
    file = bag / "bag.mcap"
    content = bytearray(file.read_bytes())
    with file.open("rb") as opened:
        chunk = _next_chunk(opened, len(content) // 2)
    content[chunk + 500 : chunk + 2500] = bytes(2000)
    file.write_bytes(content)
    done = salvage(bag)
    assert any("the chunk at byte" in sentence for sentence in done.missing)
    assert any("of 60000 messages of /state/pose" in sentence for sentence in done.missing)
    with AnyReader([done.path]) as reader:
        stamps = [stamp for _, stamp, _ in reader.messages()]
    assert stamps[0] == 0 and stamps[-1] == 59_999 * 10**6, "what came before and after it is there"


def test_a_bag_without_metadata_and_one_whose_sqlite_journal_was_left(tmp_path):
    bag = foreign_bag(tmp_path / "bag", "sqlite3", samples=50)
    (bag / "metadata.yaml").unlink()
    file = storage_file(bag)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "INSERT INTO messages (topic_id, timestamp, data) SELECT topic_id, 9, data FROM messages LIMIT 1"
    )
    connection.commit()
    crashed = tmp_path / "crashed"
    shutil.copytree(bag, crashed)  # as it lies there while the recorder lives
    connection.close()
    assert storage_file(crashed).with_name(file.name + "-wal").stat().st_size > 0
    assert sum(salvage(crashed).recovered.values()) == sum(salvage(bag).recovered.values()) == 152


def test_a_whole_recording_that_never_got_its_name_is_copied_out(tmp_path, monkeypatch):
    def recording(name):
        writer = EpisodeBagWriter(tmp_path / name, POSES, EpisodeInfo("door", "ann"))
        writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
        return writer

    def power_fails(*_):
        raise OSError("the power failed")

    taken = recording("taken")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match="was created in the meantime"):
        taken.close()
    crashed = recording("crashed")
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", power_fails)
        with pytest.raises(UserError, match="demos salvage"):
            crashed.close()
    assert demos.main(["salvage", str(tmp_path)]) == 0
    for writer, bag in ((taken, tmp_path / "taken_salvaged"), (crashed, tmp_path / "crashed")):
        assert counts(bag)["/state/pose"] == 1 and writer.partial_path.exists()
        assert yaml.safe_load((bag / "episode.yaml").read_text())["operator"] == "ann"


def test_a_recording_in_progress_and_a_whole_bag_are_refused(tmp_path):
    writer = EpisodeBagWriter(tmp_path / "a", POSES)
    writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
    with pytest.raises(UserError, match="is being recorded right now"):
        salvage(writer.partial_path)
    bag = writer.close()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="a is whole: there is nothing to salvage"):
        salvage(bag)
    with pytest.raises(UserError, match="holds no recording that is cut short"):
        find_unfinished([tmp_path])
    assert sorted(tmp_path.rglob("*")) == before


def test_what_holds_nothing_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no such bag or folder"):
        find_unfinished([tmp_path / "nowhere"])
    (tmp_path / "x.mcap").write_text("hello")
    with pytest.raises(UserError, match=r"x.mcap is no mcap file"):
        salvage(tmp_path / "x.mcap")
    empty = EpisodeBagWriter(tmp_path / "a", POSES)
    empty.abandon()
    with pytest.raises(UserError, match="holds no whole message"):
        salvage(empty.partial_path)


def test_the_command_says_what_was_saved_and_what_was_lost(tmp_path, capsys):
    left = abandoned(tmp_path / "door_00")
    with storage_file(left).open("rb+") as file:
        file.truncate(file.seek(0, 2) - 20)
    assert main(["demos", "info", str(tmp_path)]) == 2
    assert "sac-gmm demos salvage" in capsys.readouterr().err
    abandoned(tmp_path / "other" / "b")
    salvage(*find_unfinished([tmp_path / "other"]), tmp_path / "other" / "a")
    abandoned(tmp_path / "other" / "c")
    assert main(["demos", "info", str(tmp_path / "other")]) == 0
    assert "unfinished: `sac-gmm demos salvage" in capsys.readouterr().out
    assert demos.main(["salvage", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert f"{tmp_path / 'door_00'}: " in text and "/state/pose: " in text
    assert "lost: " in text and "bytes at the end" in text
    assert demos.main(["info", str(tmp_path / "door_00")]) == 0


DISK = """
import sys
from sac_gmm.demos import EpisodeBagWriter
from sac_gmm.demos.bags.recover import _next_chunk
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
from sac_gmm.core.errors import UserError
writer = EpisodeBagWriter(sys.argv[1], {"/state/pose": POSE})
try:
    for i in range(1_000_000):
        writer.write("/state/pose", pose_stamped(i * 10**7, "base", [i**0.5, i**1.5, i**2.5]))
    writer.close()
except UserError as error:
    print(error)
"""


def test_a_full_disk_ends_the_recording_with_a_sentence_and_what_was_recorded_is_salvaged(tmp_path):
    """On a file system of 1 MB of its own, in a namespace of its own."""
    inside = f"""
mount -t tmpfs -o size=1m none {tmp_path} || exit 77
mkdir {tmp_path}/bags && printf kept > {tmp_path}/bags/other
{sys.executable} -c '{DISK}' {tmp_path}/bags/door_00 || exit 1
cat {tmp_path}/bags/other && ls -A {tmp_path}/bags
{sys.executable} -c "
from sac_gmm.demos import find_unfinished, salvage
import sys
print(salvage(find_unfinished(['{tmp_path}/bags'])[0], '{tmp_path.parent}/saved').recovered)"
"""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare to make a small file system")
    done = subprocess.run(["unshare", "-Urm", "bash", "-c", inside], capture_output=True, text=True)
    if done.returncode == 77 or "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let a user mount a small file system")
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout and "make room on the disk" in done.stdout
    assert "sac-gmm demos salvage" in done.stdout and "Traceback" not in done.stderr
    assert "kept" in done.stdout and "\ndoor_00\n" not in done.stdout
    assert counts(tmp_path.parent / "saved")["/state/pose"] > 1000
