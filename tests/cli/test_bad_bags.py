"""What a person gets to read when a bag is bad: one sentence, an exit code that is not 0, and nothing overwritten."""

import numpy as np
import pytest

from sac_gmm.cli.main import main
from sac_gmm.demos import EpisodeBagWriter
from sac_gmm.demos.bags.message_types import POSE, pose_stamped


def bag(path, positions):
    with EpisodeBagWriter(path, {"/state/pose": POSE, "/target_pose": POSE}) as writer:
        writer.write("/target_pose", pose_stamped(0, "base", [0, 0, 0]))
        for i, position in enumerate(positions):
            writer.write("/state/pose", pose_stamped(i * 33_333_333, "base", position))
    return path


def missing(folder):
    return folder / "nowhere"


def truncated(folder):
    path = bag(folder / "cut", np.linspace([0, 0, 0], [0.3, 0, 0], 60))
    file = path / "cut.mcap"
    file.write_bytes(file.read_bytes()[:-200])
    return path


def not_a_number(folder):
    positions = np.linspace([0, 0, 0], [0.3, 0, 0], 60)
    positions[17, 2] = np.nan
    return bag(folder / "nan", positions)


def two_samples(folder):
    return bag(folder / "short", [[0, 0, 0], [0.1, 0, 0]])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (missing, "nowhere: there is no such bag"),
        (truncated, "it was cut short"),
        (not_a_number, "sample 17 of /state/pose holds a number that is not finite"),
        (two_samples, "holds 2 samples, expected at least 3"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_fitting_a_bad_bag(tmp_path, capsys, make, words):
    model = tmp_path / "door.npz"
    model.write_bytes(b"an older model")
    assert main(["fit", str(make(tmp_path)), "-o", str(model)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1 and error.startswith("sac-gmm fit: ")
    assert model.read_bytes() == b"an older model"
