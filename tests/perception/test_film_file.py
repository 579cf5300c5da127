import struct

import cv2
import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera_file import guess_camera, load_camera
from sac_gmm.perception.film_file import Film


def write_film(path, n=20, size=(160, 120), rate_hz=25.0):
    """A film whose pictures grow brighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate_hz, size)
    assert writer.isOpened()
    for i in range(n):
        writer.write(np.full((size[1], size[0], 3), 10 * i, np.uint8))
    writer.release()
    return path


def box(data, name, start, end):
    """Start and end of an mp4 box's content."""
    at = start
    while at < end:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == name:
            return at, at + length
        at += length
    raise AssertionError(name)


def slow_down_second_half(path):
    """Make the rate uneven: the second half of the pictures lasts twice as long (the table of times is changed)."""
    data = bytearray(path.read_bytes())
    parents, start, end = [], 0, len(data)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        at, stop = box(data, name, start, end)
        parents.append(at)
        start, end = at + 8, stop
    entries, count, duration = struct.unpack_from(">III", data, start + 4)
    assert entries == 1
    table = struct.pack(">IIIII", 2, count // 2, duration, count - count // 2, 2 * duration)
    data[start + 4 : end] = table
    for at in parents:  # moov stands behind the pictures, so nothing else has to move
        (length,) = struct.unpack_from(">I", data, at)
        struct.pack_into(">I", data, at, length + len(table) - (end - start - 4))
    path.write_bytes(data.replace(b"edts", b"free"))  # it would cut the film at its old length


def test_pictures_come_with_their_times(tmp_path):
    with Film(write_film(tmp_path / "a.mp4", size=(120, 160))) as film:
        assert (film.width, film.height, film.rate_hz, film.declared_frames) == (120, 160, 25.0, 20)
        frames = list(film.frames())
    assert [number for number, _, _ in frames] == list(range(20))
    assert np.allclose([time_s for _, time_s, _ in frames], 0.04 * np.arange(20), atol=1e-3)
    brightness = [picture.mean() for _, _, picture in frames]
    assert np.abs(np.diff(brightness) - 10).max() < 3 and frames[0][2].shape == (160, 120, 3)
    with Film(tmp_path / "a.mp4") as film:
        later = list(film.frames(start=15))
    assert [number for number, _, _ in later] == [15, 16, 17, 18, 19]
    assert later[0][1] == pytest.approx(0.6, abs=1e-3)


def test_an_uneven_rate_is_kept(tmp_path):
    path = write_film(tmp_path / "a.mp4")
    slow_down_second_half(path)
    with Film(path) as film:
        times = np.array([time_s for _, time_s, _ in film.frames()])
    periods = np.diff(times)
    assert len(times) == 20
    assert np.allclose(periods[:9], 0.04, atol=2e-3) and np.allclose(periods[11:], 0.08, atol=2e-3)


def test_a_film_cut_short_gives_what_is_there(tmp_path):
    path = tmp_path / "a.avi"  # its index is at the end, so a cut one can be read up to the cut
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (160, 120))
    rng = np.random.default_rng(0)
    for _ in range(20):
        writer.write(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Film(path) as film:
        times = [time_s for _, time_s, _ in film.frames()]
    assert 5 <= len(times) <= 15
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("content", [b"", b"no film at all", b"\x00\x00\x00\x18ftypmp42" + bytes(100)])
def test_what_is_no_film_is_refused(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.mp4 cannot be read as a film"):
        Film(path)
    with pytest.raises(UserError, match="is a folder: name one film in it"):
        Film(tmp_path)
    with pytest.raises(UserError, match="no such film"):
        Film(tmp_path / "b.mp4")


def test_calibrations_are_read_as_ros_writes_them(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(
        "image_width: 640\nimage_height: 480\n"
        "camera_matrix: {rows: 3, cols: 3, data: [600, 0, 320, 0, 601, 240, 0, 0, 1]}\n"
        "distortion_model: plumb_bob\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}\n"
    )
    camera = load_camera(path)
    assert (camera.width, camera.matrix[1, 1], camera.distortion[0]) == (640, 601.0, 0.1)
    path.write_text("width: 640\nheight: 480\nk: [600, 0, 320, 0, 601, 240, 0, 0, 1]\nd: []\n---\n")
    assert load_camera(path).height == 480
    for text, words in (
        ("[1]", "not a calibration"),
        ("width: 640", "height or image_height"),
        ("width: .inf\nheight: 480", "width or image_width is inf, expected a whole number of pixels"),
        ("width: 640\nheight: 480\nk: [0, 0, 0, 0, 0, 0, 0, 0, 0]\nd: []", "is not a calibrated camera"),
        ("{", "cannot read"),
        (
            "width: 640\nheight: 480\nk: [600, 0, 320, 0, 601, 240, 0, 0, 1]\nd: [0.1, 0, 0, 0]\n"
            "distortion_model: equidistant",
            "model is 'equidistant'",
        ),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            load_camera(path)
    assert guess_camera(620, 1080).matrix[0, 0] == pytest.approx(847.6, abs=0.1)
    with pytest.raises(UserError, match="focal length is -1"):
        guess_camera(620, 1080, -1)


def turned_by_90(path):
    """Mark a film as a phone does that is held upright: the matrix in its track's header turns it by a quarter."""
    data = bytearray(path.read_bytes())
    start, end = 0, len(data)
    for name in (b"moov", b"trak", b"tkhd"):
        at, stop = box(data, name, start, end)
        start, end = at + 8, stop
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data[start + 40 : start + 76] = matrix
    path.write_bytes(data)
    return path


def test_a_film_that_is_marked_as_turned_is_shown_upright(tmp_path):
    """Clockwise by a quarter: what is on the left comes to the top."""
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (160, 120))
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[:, :40] = 255
    for _ in range(5):
        writer.write(picture)
    writer.release()
    with Film(turned_by_90(tmp_path / "a.mp4")) as film:
        assert (film.width, film.height, film.turned_deg) == (120, 160, 90)
        _, _, shown = next(film.frames())
        said = film.other_size(guess_camera(160, 120), "camera.yaml")
        other = film.other_size(guess_camera(320, 240), "camera.yaml")
    assert shown[:30].mean() > 200 and shown[60:].mean() < 50
    assert said.startswith("the film is 120x160 but camera.yaml is for 160x120: it is marked as filmed with the camera")
    assert "calibrate the camera held as it films" in said
    assert other.endswith("for 320x240: calibrate the camera in the size that it films in")
