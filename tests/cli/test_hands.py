import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation
from tests.perception.test_hand_eye import render, session

from sac_gmm.cli import hands
from sac_gmm.cli.main import main
from sac_gmm.demos import read_demonstration
from sac_gmm.demos.hands import film_tracker as hands_track
from sac_gmm.demos.hands.hand_recorder import HandRecorder
from sac_gmm.perception import Camera
from sac_gmm.perception.extrinsics import load_extrinsics, save_extrinsics
from sac_gmm.perception.film_file import Film
from sac_gmm.perception.hands import CleaningSettings, HandPose, Retargeting
from sac_gmm.perception.hands.model_files import prepared_path
from sac_gmm.perception.hands.simulated import SimulatedHand, looking_at
from sac_gmm.perception.render import degrade, facing_rotation, render_marker

ROOT = Path(__file__).parent.parent.parent
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

    save_extrinsics(tmp_path / "other.json", "base", "eye", looking_at([0.13, -0.38, 0.92], [0.45, 0.02, 0.36]))
    for other in (
        [*command[:-1], "0.55,0,0.31"],
        [*command[:-1], "end"],
        [*command, "--extrinsics", str(tmp_path / "other.json")],
        [*command, "--tool-offset-m", "0,0.08,-0.05"],
        [*command, "--point", "palm"],
        [*command, "--smoothing-s", "0.3"],
    ):
        assert hands.main(other) == 1, other
        assert "is of another film or other settings" in capsys.readouterr().out


def test_the_motion_is_made_again_with_what_was_recorded_and_what_is_said_now(film, extrinsics, tmp_path, capsys):
    bag = tmp_path / "out" / "hand"
    settings = [*MARKER, *extrinsics, "--point", "wrist", "--task", "wave", "--operator", "ann"]
    assert hands.main(["track", str(film), "-o", str(bag.parent), *settings, "--target", "0.55,0,0.3"]) == 0
    before = read_demonstration(bag)

    def retargeted(name, *arguments):
        assert hands.main(["retarget", str(bag), "-o", str(tmp_path / name), *arguments]) == 0
        sidecar = yaml.safe_load((tmp_path / name / "hand" / "episode.yaml").read_text())
        return read_demonstration(tmp_path / name / "hand"), sidecar

    again, sidecar = retargeted("again")
    assert (again.frame_id, again.task, again.meta["operator"]) == ("base", "wave", "ann")
    assert np.allclose(again.position_m, before.position_m, atol=1e-5)
    assert again.target_m.tolist() == [0.55, 0.0, 0.3] and sidecar["target_from"] == f"{bag} (--target)"
    assert sidecar["setup"]["point"] == "wrist" and sidecar["setup"]["retargeted_from"] == str(bag)

    bare, _ = retargeted("bare", "--tool-offset-m", "0,0,0")
    offset = np.linalg.norm(bare.position_m - before.position_m, axis=1)
    assert offset == pytest.approx(np.linalg.norm([0.01, 0.08, -0.05]), abs=2e-3)

    save_extrinsics(tmp_path / "table.json", "table", "eye", CAMERA)
    table = ["--extrinsics", str(tmp_path / "table.json")]
    assert main(["hands", "retarget", str(bag), "-o", str(tmp_path / "table"), *table]) == 2
    said = capsys.readouterr().err
    assert "its target is in frame 'base', its new motion in 'table'" in said and "--target x,y,z" in said
    assert not (tmp_path / "table").exists()
    there, sidecar = retargeted("table", *table, "--target", "0.1,0,0.3")
    assert there.frame_id == "table" and there.target_m.tolist() == [0.1, 0.0, 0.3]
    assert sidecar["target_from"] == "--target"
    end, sidecar = retargeted("end", *table, "--target", "end")
    assert np.array_equal(end.target_m, end.position_m[-1]) and sidecar["target_from"] == "end of the motion"

    (bag / "episode.yaml").unlink()
    assert main(["hands", "retarget", str(bag), "-o", str(tmp_path / "unknown")]) == 2
    assert "its target is in frame 'unknown'" in capsys.readouterr().err


def test_a_motion_made_again_has_no_pauses_either(tmp_path, capsys):
    recorder = HandRecorder(Retargeting(), "palm", CleaningSettings(), {"point": "palm"})
    recorder.start(tmp_path / "bags" / "a")
    for i in range(90):
        if i in (30, 60):
            recorder.pause()
            recorder.resume()
        position = np.array([0.3 * i / 90, 0.0, 0.5])
        recorder.take(10**9 + (i + 200 * (i // 30)) * 10**9 // 30, HandPose(position, np.eye(3), 0.9, "marker", 0.06))
    assert recorder.save().problems == ()
    assert hands.main(["retarget", str(tmp_path / "bags"), "-o", str(tmp_path / "again")]) == 0
    before, again = (read_demonstration(tmp_path / name / "a") for name in ("bags", "again"))
    assert (before.n_samples, again.n_samples) == (90, 90)
    assert np.allclose(again.position_m, before.position_m, atol=1e-6)
    assert "left out" not in capsys.readouterr().out

    sidecar = tmp_path / "bags" / "a" / "episode.yaml"
    damaged = re.sub(r"resumed_ns:\n(- .*\n)+", "resumed_ns: soon\n", sidecar.read_text())
    sidecar.write_text(damaged)
    assert main(["hands", "retarget", str(tmp_path / "bags"), "-o", str(tmp_path / "damaged")]) == 2
    assert "resumed_ns in its sidecar is 'soon'" in capsys.readouterr().err


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
    assert "no hand was seen in any of 10 pictures: 10 of 10 pictures show nothing but one even colour" in text
    assert "none.mp4: there is no such film" in text
    assert "1 of 4 films are demonstrations now" in text
    assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == ["hand"]


def test_what_a_film_without_the_hand_shows_is_said(film, tmp_path, capsys):
    black = write_film(tmp_path / "black.avi", [np.zeros((480, 640), np.uint8)] * 10)
    assert hands.main(["track", str(black), "-o", str(tmp_path / "out"), *MARKER]) == 1
    assert "no hand was seen in any of 10 pictures: 10 of 10 pictures are black" in capsys.readouterr().out
    other = ["--marker", "DICT_4X4_50:5:0.06", "--focal-px", "600"]
    assert hands.main(["track", str(film), "-o", str(tmp_path / "out"), *other]) == 1
    said = capsys.readouterr().out
    assert "in any of 60 pictures: in 60 of 60 pictures marker 3 of DICT_4X4_50 is in the image, not 5" in said


def test_what_is_noticed_of_the_marker_is_said(tmp_path, capsys):
    """A small one that is turned by 8 degrees, alone and with another of the same id in view."""
    camera, rng = Camera.create(640, 480, [600, 0, 320, 0, 600, 240, 0, 0, 1]), np.random.default_rng(0)
    turn, pictures = facing_rotation(np.radians(8), 0.4), []
    for i in range(15):
        picture = np.full((480, 640), 120, np.uint8)
        for place in ([0.01 * i, 0.02, 1.0], [-0.2, 0.2, 1.0])[: 2 if i == 14 else 1]:
            picture = render_marker(picture, camera, "DICT_4X4_50", 3, 0.06, place, turn)
        pictures.append(degrade(picture, rng, blur_px=0.8, noise=5))
    film = write_film(tmp_path / "far.avi", pictures)
    assert hands.main(["track", str(film), "-o", str(tmp_path / "out"), *MARKER]) == 0
    said = capsys.readouterr().out
    assert "frames the marker may be turned in two ways that fit equally well" in said
    assert "2 times" not in said, "in a single frame"
    film = write_film(tmp_path / "twice.avi", [*pictures[:9], *pictures[-1:] * 3])
    assert hands.main(["track", str(film), "-o", str(tmp_path / "out"), *MARKER]) == 0
    assert "in 3 frames marker 3 is in the image 2 times: leave one of them in view" in capsys.readouterr().out
    assert hands.main(["track", str(film), "-o", str(tmp_path / "cm"), "--marker", "DICT_4X4_50:3:6"]) == 1
    assert "is the size of the palm or marker right, in metres" in capsys.readouterr().out


@pytest.mark.skipif(not CLIP.exists(), reason=f"the real footage {CLIP} is not here")
@pytest.mark.skipif(not prepared_path().exists(), reason="the hand model is not prepared: sac-gmm hands prepare")
def test_a_hand_of_the_other_side_than_asked_for_is_said(tmp_path, capsys):
    pictures = []
    with Film(CLIP) as film:
        for number, _, picture in film.frames():
            pictures.append(picture)
            if number == 14:
                break
    writer = cv2.VideoWriter(
        str(tmp_path / "right.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, pictures[0].shape[1::-1]
    )
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    command = ["track", str(tmp_path / "right.avi"), "-o", str(tmp_path / "out"), "--side", "left"]
    assert hands.main(command) == 1
    assert "a right hand was seen in 15 of 15 pictures, a left one in none: set the side to right or any" in (
        capsys.readouterr().out
    )


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
    simulated, _, _ = load_extrinsics(ROOT / "config" / "hand_camera.json")
    assert (parent, child) == (simulated, "camera_optical_frame")
    error = pose.inverse @ truth
    assert np.linalg.norm(error.position_m) < 1.5e-3
    assert Rotation.from_matrix(error.rotation).magnitude() < np.radians(0.2)

    found = (tmp_path / "found.json").read_bytes()
    assert main(command) == 2
    assert "found.json exists and is never overwritten" in capsys.readouterr().err
    assert (tmp_path / "found.json").read_bytes() == found
    command[command.index("-o") + 1] = str(tmp_path / "found.png")
    assert main(command) == 2
    assert "a name that ends in .json" in capsys.readouterr().err

    command[command.index("-o") + 1] = str(tmp_path / "exchanged.json")
    assert main([*command, "--columns", "5", "--rows", "7"]) == 0
    assert "the board is not --columns 5 --rows 7: what is in the pictures is --columns 7 --rows 5, which was used" in (
        capsys.readouterr().out
    )
    command[command.index("-o") + 1] = str(tmp_path / "other.json")
    assert main([*command, "--mounting", "wrist"]) == 2
    assert "the views do not fit together" in capsys.readouterr().err
    (tmp_path / "poses.yaml").write_text(yaml.safe_dump([{"image": "0.png"}]))
    assert main(command) == 2
    assert "entry 0 lacks 'position_m'" in capsys.readouterr().err
    (tmp_path / "poses.yaml").write_text(yaml.safe_dump([{**entries[0], "position_m": ["abc", 0, 0]}]))
    assert main(command) == 2
    assert "entry 0: a position is three finite numbers (m), not ['abc', 0, 0]" in capsys.readouterr().err
    (tmp_path / "poses.yaml").unlink()
    assert main(command) == 2
    assert "cannot read" in capsys.readouterr().err


def test_the_board_is_drawn_for_printing(tmp_path, capsys):
    assert hands.main(["board", "-o", str(tmp_path / "board.png")]) == 0
    assert "245 mm wide" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "board.png"), 0).shape == (1000, 1400)


@pytest.mark.parametrize(("name", "words"), [("old.png", "never overwritten"), ("board.pdf", "use .png")])
def test_a_board_that_cannot_be_written_is_refused(tmp_path, capsys, name, words):
    (tmp_path / "old.png").write_text("mine")
    assert main(["hands", "board", "-o", str(tmp_path / name)]) == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / "old.png").read_text() == "mine" and not (tmp_path / "board.pdf").exists()


def test_another_motion_of_no_bag_is_refused(tmp_path, capsys):
    assert main(["hands", "retarget", "-o", str(tmp_path / "out")]) == 2
    assert "there is no bag" in capsys.readouterr().err


@pytest.mark.skipif(not CLIP.exists(), reason=f"the real footage {CLIP} is not here")
@pytest.mark.skipif(not prepared_path().exists(), reason="the hand model is not prepared: sac-gmm hands prepare")
def test_real_footage_becomes_a_demonstration_that_a_mixture_fits(tmp_path, capsys):
    assert main(["hands", "track", str(CLIP), "-o", str(tmp_path / "out"), "--palm-width-m", "0.065"]) == 0
    said = capsys.readouterr().out
    assert "hand in 325 of 325 frames" in said and "one scale from the palm's width: 0.9" in said
    bag = tmp_path / "out" / "asl_hand.25fps"
    sidecar = yaml.safe_load((bag / "episode.yaml").read_text())
    assert sidecar["palm_scale"]["pictures"] == 325 and sidecar["size_from"] == {"palm width": 325}
    assert main(["demos", "check", str(bag)]) == 1  # it is a gesture, which ends where it began, and nothing else
    problems = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem:")]
    assert re.search(r"from its start after 1\.2\d m of way", problems[0])
    assert "position alone" in problems[1] and len(problems) == 2
    for kind in ("gmm", "lpv_ds"):
        fit = ["fit", str(bag), "--model", kind, "-k", "6", "--plot", "none", "-o", str(tmp_path / f"{kind}.npz")]
        assert main(fit) == 0
        assert (tmp_path / f"{kind}.npz").exists()
