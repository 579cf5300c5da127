"""Programs of our ROS package, run to their end."""

import sys

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.launcher import node_program


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Make an executable of a Python text, in a package of its own."""

    def make(text):
        path = tmp_path / "lib" / "sac_gmm_nodes" / "act"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
        path.chmod(0o755)

    monkeypatch.setattr(node_program, "find_package", lambda _name: tmp_path)
    return make


def test_it_gets_its_parameters_and_its_words_come_back(program):
    program("print(*sys.argv[1:])")
    said = node_program.run_node_program("act", {"file": "a b.json", "overwrite": False, "timeout_s": 2.0})
    assert said == '--ros-args -p file:="a b.json" -p overwrite:=false -p timeout_s:=2.0\n'


def test_its_own_sentence_is_the_error(program):
    program("print('[INFO] something', file=sys.stderr); sys.exit('TeachHome: the arm moves: let it stand')")
    with pytest.raises(UserError, match=r"^the arm moves: let it stand$"):
        node_program.run_node_program("act", {})
