from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from tests.perception.test_hand_eye import CAMERA, render, session

from sac_gmm.core.errors import UserError
from sac_gmm.perception.calibrate_folder import calibrate_folder
from sac_gmm.perception.hand_eye import CharucoBoard

EVEN = CharucoBoard(7, 4, 0.035, 0.026, "DICT_6X6_250")
ODD = CharucoBoard(6, 5, 0.035, 0.026, "DICT_4X4_50")


def folder_of(board, path, n=6):
    """Pictures of a board on the flange, and the poses; the camera's true pose."""
    rng = np.random.default_rng(7)
    truth, seen, flanges = session("fixed", n, rng)
    entries = []
    for i, (pose, flange) in enumerate(zip(seen, flanges, strict=True)):
        cv2.imwrite(str(path / f"{i}.png"), render(pose, rng, board))
        position, quaternion = flange.position_m.tolist(), flange.quaternion_xyzw.tolist()
        entries.append({"image": f"{i}.png", "position_m": position, "quaternion_xyzw": quaternion})
    (path / "poses.yaml").write_text(yaml.safe_dump(entries))
    return truth


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (EVEN, EVEN),
        (replace(EVEN, old_layout=True), EVEN),
        (EVEN, replace(EVEN, columns=4, rows=7)),
        (replace(EVEN, old_layout=True), replace(EVEN, columns=4, rows=7)),
        (EVEN, replace(EVEN, old_layout=True)),
        (ODD, replace(ODD, columns=5, rows=6)),
        (ODD, replace(ODD, columns=5, rows=4)),
        (replace(EVEN, old_layout=True), replace(EVEN, columns=3, rows=6)),
    ],
)
def test_the_board_in_the_pictures_is_found_whatever_was_said(tmp_path, printed, said):
    truth = folder_of(printed, tmp_path)
    found = calibrate_folder(tmp_path, CAMERA, said, "fixed")
    assert found.board == printed and found.skipped == []
    assert np.linalg.norm((found.hand_eye.camera.inverse @ truth).position_m) < 2e-3


def test_what_else_is_in_the_pictures_is_said(tmp_path):
    folder_of(EVEN, tmp_path, n=5)
    with pytest.raises(
        UserError, match=r"none of 5 pictures.*hardly any markers of DICT_4X4_50.*say --dictionary DICT_6X6"
    ):
        calibrate_folder(tmp_path, CAMERA, ODD, "fixed")
    with pytest.raises(UserError, match=r"as --columns 9 --rows 8, nor as .*up to 14 markers .* 9x8 squares has 36"):
        calibrate_folder(tmp_path, CAMERA, replace(EVEN, columns=9, rows=8), "fixed")
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((480, 640), 90, np.uint8))
    with pytest.raises(UserError, match="no markers of any dictionary in them: is the board in view"):
        calibrate_folder(tmp_path, CAMERA, EVEN, "fixed")


def test_where_the_layouts_are_the_same_there_is_no_other_one():
    assert [board.name for board in CharucoBoard(5, 5).alternatives()] == [
        "--columns 6 --rows 6",
        "--columns 6 --rows 6, of the old layout",
    ]
    assert CharucoBoard(30, 30, dictionary="DICT_5X5_1000").alternatives() == [
        CharucoBoard(30, 30, dictionary="DICT_5X5_1000", old_layout=True)
    ]
