"""`sac-gmm evaluate` and `probe`: a result that could not be saved is refused before the episodes."""

from pathlib import Path

import pytest

from sac_gmm.cli.main import main

POLICY = str(Path(__file__).parents[2] / "models" / "door" / "sac_gmm")


@pytest.mark.parametrize("command", ["evaluate", "probe"])
@pytest.mark.parametrize(("name", "words"), [("policy.bin", "must end in .json"), ("folder.json", "is a folder")])
def test_the_result_file_is_checked_first(command, name, words, tmp_path, capsys):
    (tmp_path / "policy.bin").write_text("kept")
    (tmp_path / "folder.json").mkdir()
    assert main([command, POLICY, "--episodes", "100000", "--json", str(tmp_path / name)]) == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / "policy.bin").read_text() == "kept"
