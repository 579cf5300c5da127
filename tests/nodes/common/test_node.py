"""What all nodes share: how they start."""

import subprocess
import sys

import pytest

NODE = "from sac_gmm_nodes.common.node import BaseNode, run_node; run_node(lambda: BaseNode('pet'))"


@pytest.mark.parametrize("content", [b"/**:\n\tros__parameters: {}\n", bytes(range(256)), None])
def test_a_parameter_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "pet.yaml"
    if content is not None:
        path.write_bytes(content)
    command = [sys.executable, "-c", NODE, "--ros-args", "--params-file", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2
    assert f"--params-file {path}" in ended.stderr and "must be there and be YAML" in ended.stderr
    assert "Traceback" not in ended.stderr and ".c:" not in ended.stderr
