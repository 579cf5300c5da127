import sys
import zipfile

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception.hands import detector, model_files


def fake_wheel(path, content=b"something else"):
    with zipfile.ZipFile(path, "w") as archive:
        for inside, _ in model_files._PARTS.values():
            archive.writestr(inside, content)
    return path


def test_the_prepared_model_is_the_one_that_was_tested():
    if not model_files.prepared_path().exists():
        pytest.skip("the hand model is not prepared: run `sac-gmm hands prepare` where the wheel can be downloaded")
    assert model_files.find_model() == model_files.prepared_path()


def test_a_wheel_with_other_content_is_refused_and_nothing_is_written(tmp_path):
    target = tmp_path / "hand.task"
    with pytest.raises(UserError, match=r"checksum .* expected 1b14e9422c6a"):
        model_files.prepare(fake_wheel(tmp_path / "a.whl"), target)
    assert not target.exists()


def test_what_is_no_wheel_is_refused_with_the_command_that_gets_one(tmp_path):
    (tmp_path / "a.whl").write_text("no archive")
    with pytest.raises(UserError, match=r"is not the wheel mediapipe==0\.10\.21 .*`pip download"):
        model_files.prepare(tmp_path / "a.whl", tmp_path / "hand.task")


def test_a_download_that_fails_says_how_to_bring_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_ARGS", f"--no-index --find-links {tmp_path}")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(UserError, match=r"cannot be downloaded .*`sac-gmm hands prepare --wheel FILE"):
        model_files.prepare(destination=tmp_path / "hand.task")


def test_what_is_made_is_checked_when_it_is_used(tmp_path, monkeypatch):
    wheel = fake_wheel(tmp_path / "a.whl", b"model")
    digest = "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
    monkeypatch.setattr(
        model_files, "_PARTS", {name: (inside, digest) for name, (inside, _) in model_files._PARTS.items()}
    )
    monkeypatch.setenv("SAC_GMM_HAND_MODEL", str(tmp_path / "share" / "hand.task"))
    path = model_files.prepare(wheel)
    assert path == tmp_path / "share" / "hand.task" == model_files.find_model()
    again = path.read_bytes()
    assert model_files.prepare(wheel).read_bytes() == again, "the same wheel makes the same file"
    with zipfile.ZipFile(path, "w") as bundle:
        for name in model_files._PARTS:
            bundle.writestr(name, "changed")
    with pytest.raises(UserError, match="sac-gmm hands prepare"):
        model_files.find_model()
    assert model_files.find_model(path) == path, "a file of the user's own may hold any model"


def test_a_file_of_the_users_own_is_looked_at(tmp_path):
    with pytest.raises(UserError, match="is missing: name a hand_landmarker"):
        model_files.find_model(tmp_path / "none.task")
    (tmp_path / "text.task").write_text("text")
    with pytest.raises(UserError, match="cannot be read"):
        model_files.find_model(tmp_path / "text.task")
    with zipfile.ZipFile(tmp_path / "other.task", "w") as bundle:
        bundle.writestr("face.tflite", "")
    with pytest.raises(UserError, match=r"not a hand model \(it lacks hand_detector"):
        model_files.find_model(tmp_path / "other.task")


def test_without_the_runtime_it_is_said_which_machines_have_it(tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "find_model", lambda _: tmp_path)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match=r"needs mediapipe 0\.10\.31, .* only for x86_64 .*follow a marker"):
        detector.HandDetector()
