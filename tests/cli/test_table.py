"""`sac-gmm table`: what it refuses before it begins."""

import pytest

from sac_gmm.cli.main import main


@pytest.mark.parametrize("name", ["seeds", "episodes", "workers"])
def test_nothing_at_all_is_refused(name, tmp_path, capsys):
    assert main(["table", "--json", str(tmp_path / "table.json"), f"--{name}", "0"]) == 2
    assert f"--{name} 0: expected 1 or more" in capsys.readouterr().err
