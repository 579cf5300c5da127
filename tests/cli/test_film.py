"""`sac-gmm film`: a film or a still of an episode, with what the sensors see."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from sac_gmm.cli.main import main
from sac_gmm.perception.pictures import sensor_pictures


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "door.gif"
    assert main(["film", "door", "--skill", "gmm", "--sigma", "0", "--out", str(path)]) == 0
    return path


def test_a_film_shows_motion_and_ends_with_the_success(film, capsys):
    frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(film))]
    assert len(frames) > 20
    changes = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames)]
    assert np.median(changes) > 0.05
    door_at_start, door_at_end = frames[0][150:350, 250:400], frames[-1][150:350, 250:400]
    assert np.abs(door_at_start.astype(int) - door_at_end).mean() > 5.0


def test_a_still_shows_one_moment(tmp_path, capsys):
    path = tmp_path / "door.png"
    assert main(["film", "door", "--at", "1.0", "--out", str(path)]) == 0
    assert "after 1.0 s" in capsys.readouterr().out
    assert Image.open(path).size[0] > 640  # the sensors stand beside the scene


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["door", "--out", "door.avi"], ".mp4"),
        (["window", "--out", "window.gif"], "no task 'window'"),
        (["door", "--skill", "missing.npz", "--out", "door.gif"], "missing.npz"),
        (["door", "--sigma", "-1", "--out", "door.gif"], "target_noise_std_m"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(arguments, words, tmp_path, monkeypatch, capsys):
    (tmp_path / "demos").symlink_to(Path(__file__).parents[2] / "demos")
    monkeypatch.chdir(tmp_path)
    assert main(["film", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["demos"]


@pytest.mark.parametrize(
    ("group", "reading", "number"),
    [
        ("rgb", np.zeros((8, 8, 3), np.uint8), 1),
        ("depth", np.linspace(0.3, 0.9, 64, dtype=np.float32).reshape(8, 8), 1),
        ("tactile", np.full((2, 8, 8), 5e-4, np.float32), 2),
    ],
)
def test_every_sensor_has_a_picture(group, reading, number):
    pictures = sensor_pictures(group, reading)
    assert len(pictures) == number
    assert all(title and picture.shape == (8, 8, 3) and picture.dtype == np.uint8 for title, picture in pictures)
