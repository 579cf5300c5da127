"""`sac-gmm film`: a film or a still of an episode, with what the sensors see."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.perception.pictures import sensor_pictures
from sac_gmm.report import film as films


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
        (["door", "--seed", "-1", "--out", "door.gif"], "the seed is -1"),
        (["door", "--width", "100000000", "--out", "door.gif"], "the width is 100000000 pixels: give 100 to 4096"),
        (["door", "--out", "demos"], ".mp4"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(arguments, words, tmp_path, monkeypatch, capsys):
    (tmp_path / "demos").symlink_to(Path(__file__).parents[2] / "demos")
    monkeypatch.chdir(tmp_path)
    assert main(["film", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["demos"]


def some_frames(n=5):
    return [films.Frame(np.full((480, 640, 3), 40 * i, np.uint8), 0.1 * i, False) for i in range(n)]


def test_an_mp4_holds_all_frames_and_leaves_nothing_else(tmp_path):
    films.write_film(tmp_path / "x.mp4", some_frames(), 10.0)
    assert films._count_frames(tmp_path / "x.mp4") == 5 + 10
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]


def test_a_film_that_the_disk_did_not_take_whole_is_not_kept(tmp_path, monkeypatch):
    """OpenCV's writer says nothing when the disk is full."""
    count = films._count_frames

    def cut(path):
        path.write_bytes(path.read_bytes()[:2000])
        return count(path)

    (tmp_path / "x.mp4").write_text("an older film")
    monkeypatch.setattr(films, "_count_frames", cut)
    with pytest.raises(UserError, match="0 of 15 frames can be read back; make room"):
        films.write_film(tmp_path / "x.mp4", some_frames(), 10.0)
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]
    assert (tmp_path / "x.mp4").read_text() == "an older film"


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
