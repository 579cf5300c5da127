from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation
from tests.perception.test_hand_eye import render, session

from sac_gmm.cli import hands, hands_track
from sac_gmm.cli.main import main
from sac_gmm.demos import read_demonstration
from sac_gmm.perception.hands.model import prepared_path
from sac_gmm.perception.hands.simulated import SimulatedHand, looking_at
from sac_gmm.perception.transform import load_extrinsics, save_extrinsics

CLIP = Path(__file__).parents[3] / "shared" / "data" / "hands" / "asl_hand.25fps.mp4"
CAMERA = looking_at([0.12, -0.38, 0.92], [0.45, 0.02, 0.36])
MARKER = ["--marker", "DICT_4X4_50:3:0.06", "--focal-px", "600"]


def way(i):
    s = i / 60
    return np.array([0.45 + 0.1 * s, -0.1 + 0.15 * s, 0.35 - 0.05 * np.sin(3 * s)])


def write_film(path, pictures):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30.0, (640, 480))
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A hand with a marker, two seconds long."""
    hand = SimulatedHand(0, CAMERA, wobble_rad=0.03)
    pictures = [hand.picture(hand.marker_pose(way(i), 1 / 30)) for i in range(60)]
    return write_film(tmp_path_factory.mktemp("films") / "hand.avi", pictures)


@pytest.fixture
def extrinsics(tmp_path):
    save_extrinsics(tmp_path / "camera.json", "base", "eye", CAMERA)
    return ["--extrinsics", str(tmp_path / "camera.json"), "--tool-offset-m", "0.01,0.08,-0.05"]


def test_a_film_becomes_a_demonstration_once(film, extrinsics, tmp_path, capsys):
    command = ["track", str(film), "-o", str(tmp_path / "out"), *MARKER, *extrinsics, "--target", "0.55,0,0.3"]
    assert hands.main([*command, "--task", "wave"]) == 0
    assert "hand in 60 of 60 frames (100.0 %)" in capsys.readouterr().out
    demonstration = read_demonstration(tmp_path / "out" / "hand")
    assert (demonstration.n_samples, demonstration.frame_id, demonstration.task) == (60, "base", "wave")
    assert demonstration.target_m.tolist() == [0.55, 0.0, 0.3]
    assert np.linalg.norm(demonstration.position_m - [way(i) for i in range(60)], axis=1).max() < 5e-3
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["hand"]

    assert hands.main(command) == 0
    assert "done before" in capsys.readouterr().out
    assert hands.main([*command[:-4], "--point", "palm", "--focal-px", "601"]) == 1
    assert "never overwritten" in capsys.readouterr().out

    moved = ["retarget", str(tmp_path / "out" / "hand"), "-o", str(tmp_path / "moved"), "--target", "end"]
    assert hands.main(moved) == 0
    again = read_demonstration(tmp_path / "moved" / "hand")
    assert again.frame_id == "camera_optical_frame" and again.n_samples == 60
    offset = CAMERA.apply(again.position_m) - demonstration.position_m
    assert np.linalg.norm(offset, axis=1) == pytest.approx(np.linalg.norm([0.01, 0.08, -0.05]), abs=2e-3)


def test_stopped_in_the_middle_it_goes_on_and_nothing_is_different(film, tmp_path, monkeypatch, capsys):
    assert hands.main(["track", str(film), "-o", str(tmp_path / "whole"), *MARKER]) == 0
    looked_at = []
    real = hands_track.MarkerHandTracker.track

    def stop_after_40(self, picture, time_s):
        looked_at.append(time_s)
        if len(looked_at) == 40:
            raise KeyboardInterrupt
        return real(self, picture, time_s)

    monkeypatch.setattr(hands_track.MarkerHandTracker, "track", stop_after_40)
    command = ["hands", "track", str(film), "-o", str(tmp_path / "parts"), *MARKER]
    assert main(command) == 130
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [".hand.track.npz"]
    assert main(command) == 0
    assert len(looked_at) == 40 + 60 - (39 - 15)
    whole, parts = (read_demonstration(tmp_path / name / "hand") for name in ("whole", "parts"))
    assert np.array_equal(whole.position_m, parts.position_m)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["hand"]


def test_films_that_cannot_be_used_are_named_and_the_others_are_made(film, tmp_path, capsys):
    empty = write_film(tmp_path / "empty.avi", [np.full((480, 640), 90, np.uint8)] * 10)
    (tmp_path / "broken.mp4").write_text("no film")
    out = tmp_path / "out"
    films = [str(tmp_path / "broken.mp4"), str(empty), str(tmp_path / "none.mp4"), str(film)]
    assert hands.main(["track", *films, "-o", str(out), *MARKER]) == 1
    text = capsys.readouterr().out
    assert "broken.mp4 cannot be read as a film" in text
    assert "no hand was seen in any of 10 pictures" in text
    assert "none.mp4: there is no such film" in text
    assert "1 of 4 films are demonstrations now" in text
    assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == ["hand"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--marker", "DICT_4X4_50:3"], "expected DICTIONARY:ID:SIZE_M"),
        (["--marker", "DICT_4X4_50:99:0.06"], "marker id 99"),
        (["--palm-width-m", "1"], "palm width is 1.0 m"),
        (["--target", "here"], "--target here: expected three numbers"),
        (["--model", "/nowhere.task"], "/nowhere.task is missing"),
        (["--camera", "/nowhere.yaml"], "cannot read the calibration /nowhere.yaml"),
        (["--max-gap-s", "-1"], "max_gap_s is -1"),
    ],
)
def test_bad_settings_are_refused_before_the_film_is_read(film, tmp_path, capsys, arguments, words):
    assert main(["hands", "track", str(film), "-o", str(tmp_path / "out"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_two_films_of_one_name_and_a_camera_of_another_size_are_refused(film, tmp_path, capsys):
    other = tmp_path / "hand.avi"
    other.write_bytes(film.read_bytes())
    assert main(["hands", "track", str(film), str(other), "-o", str(tmp_path / "out"), *MARKER]) == 2
    assert "would make the same bag" in capsys.readouterr().err
    camera = tmp_path / "camera.yaml"
    camera.write_text("width: 320\nheight: 240\nk: [300, 0, 160, 0, 300, 120, 0, 0, 1]\nd: []\n")
    assert main(["hands", "track", str(film), "-o", str(tmp_path / "out"), *MARKER, "--camera", str(camera)]) == 1
    assert "the film is 640x480 but" in capsys.readouterr().out


def test_the_camera_is_calibrated_from_a_folder_of_pictures(tmp_path, capsys):
    rng = np.random.default_rng(3)
    truth, seen, flanges = session("fixed", 7, rng)
    entries = []
    for i, (pose, flange) in enumerate(zip(seen, flanges, strict=True)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), render(pose, rng))
        entries.append(
            {
                "image": f"{i}.png",
                "position_m": flange.position_m.tolist(),
                "quaternion_xyzw": flange.quaternion_xyzw.tolist(),
            }
        )
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((480, 640), 90, np.uint8))
    entries.append({**entries[0], "image": "empty.png"})
    (tmp_path / "poses.yaml").write_text(yaml.safe_dump(entries))
    camera = tmp_path / "camera.yaml"
    camera.write_text("width: 640\nheight: 480\nk: [600, 0, 319.5, 0, 600, 239.5, 0, 0, 1]\nd: []\n")
    command = ["hands", "calibrate", str(tmp_path), "-o", str(tmp_path / "found.json"), "--camera", str(camera)]
    assert main(command) == 0
    assert "skipped empty.png" in capsys.readouterr().out
    parent, child, pose = load_extrinsics(tmp_path / "found.json")
    assert (parent, child) == ("base", "camera_optical_frame")
    error = pose.inverse @ truth
    assert np.linalg.norm(error.position_m) < 1.5e-3
    assert Rotation.from_matrix(error.rotation).magnitude() < np.radians(0.2)

    (tmp_path / "poses.yaml").write_text(yaml.safe_dump([{"image": "0.png"}]))
    assert main(command) == 2
    assert "entry 0 lacks 'position_m'" in capsys.readouterr().err
    (tmp_path / "poses.yaml").unlink()
    assert main(command) == 2
    assert "cannot read" in capsys.readouterr().err


def test_the_board_is_drawn_for_printing(tmp_path, capsys):
    assert hands.main(["board", "-o", str(tmp_path / "board.png")]) == 0
    assert "245 mm wide" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "board.png"), 0).shape == (1000, 1400)


@pytest.mark.skipif(not CLIP.exists(), reason=f"the real footage {CLIP} is not here")
@pytest.mark.skipif(not prepared_path().exists(), reason="the hand model is not prepared: sac-gmm hands prepare")
def test_real_footage_becomes_a_demonstration_that_a_mixture_fits(tmp_path, capsys):
    assert main(["hands", "track", str(CLIP), "-o", str(tmp_path / "out"), "--palm-width-m", "0.065"]) == 0
    assert "hand in 325 of 325 frames" in capsys.readouterr().out
    bag = tmp_path / "out" / "asl_hand.25fps"
    assert main(["demos", "check", str(bag)]) == 0
    for kind in ("gmm", "lpv_ds"):
        fit = ["fit", str(bag), "--model", kind, "-k", "6", "--plot", "none", "-o", str(tmp_path / f"{kind}.npz")]
        assert main(fit) == 0
        assert (tmp_path / f"{kind}.npz").exists()
