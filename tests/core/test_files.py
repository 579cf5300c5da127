"""Files that are whole or not there, and names that must not be given."""

import errno

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file, check_output, read_json, write_json

LONG = "n" * 300


@pytest.mark.parametrize("name", ["skill.npz", "policy.bin", "json", "picture.png"])
def test_json_replaces_nothing_but_json(tmp_path, name):
    (tmp_path / name).write_text("kept")
    with pytest.raises(UserError, match=rf"{name}: .* must end in \.json"):
        write_json(tmp_path / name, {})
    assert (tmp_path / name).read_text() == "kept"
    write_json(tmp_path / "again.json", 1)
    write_json(tmp_path / "again.json", 2)
    assert read_json(tmp_path / "again.json") == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [("folder.json", "is a folder"), ("file/x.json", "file is not a folder"), (LONG + ".json", "File name too long")],
)
def test_what_could_not_be_written_is_refused_before_the_work(tmp_path, name, told):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=told):
        check_output(tmp_path / name, ".json")


def test_a_new_folder_may_be_named(tmp_path):
    check_output(tmp_path / "new" / "newer" / "x.json", ".json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "told"), [("folder", "is a folder"), (LONG, "cannot write .*: File name too long")])
def test_a_place_that_takes_no_file_is_named(tmp_path, name, told):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=told), atomic_file(tmp_path / name):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_names_the_file_and_leaves_the_older_one(tmp_path):
    path = tmp_path / "model"
    path.write_text("kept")
    with pytest.raises(UserError, match=rf"cannot write {path}: No space.*make room"), atomic_file(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "kept" and len(list(tmp_path.iterdir())) == 1


def test_json_that_is_nested_too_deep_is_named(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"deep\.json is not valid JSON"):
        read_json(path)
