"""What all nodes share: how they start."""

import subprocess
import sys

import pytest
import rclpy
from rcl_interfaces.msg import ParameterType, SetParametersResult
from rclpy.parameter import Parameter

from sac_gmm_nodes.common.node import BaseNode

NODE = "from sac_gmm_nodes.common.node import BaseNode, run_node; run_node(lambda: BaseNode('pet'))"


@pytest.mark.parametrize("content", [b"/**:\n\tros__parameters: {}\n", bytes(range(256)), None])
def test_a_parameter_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "pet.yaml"
    if content is not None:
        path.write_bytes(content)
    command = [sys.executable, "-c", NODE, "--ros-args", "--params-file", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2
    assert f"--params-file {path}" in ended.stderr and "must exist and be YAML" in ended.stderr
    assert "Traceback" not in ended.stderr and ".c:" not in ended.stderr


class Pet(BaseNode):
    """A node with parameters of the kinds that a person may set."""

    def __init__(self):
        super().__init__("pet")
        self.cores = self.wholes("cores", (), 0, 9, "cores")
        self.toes = self.wholes("toes", (4, 5), 0, 9, "toes")
        self.speed = self.real("speed", 0.5, 0.0, 2.0, "m/s", "speed", tunable=True)


@pytest.fixture
def pet(ros_domain):
    rclpy.init()
    node = Pet()
    yield node
    node.destroy_node()
    rclpy.shutdown()


def test_a_list_of_whole_numbers_is_one_when_it_is_empty_too(pet):
    assert pet.cores == [] and pet.toes == [4, 5]
    for name, value in (("cores", []), ("toes", [4, 5])):
        parameter = pet.get_parameter(name)
        assert (parameter.type_, list(parameter.value)) == (Parameter.Type.INTEGER_ARRAY, value)
        assert parameter.get_parameter_value().type == ParameterType.PARAMETER_INTEGER_ARRAY


@pytest.mark.parametrize("wanted", [1, 2, 0, 1.5])
def test_a_number_set_as_a_whole_one_stays_a_real_one(pet, wanted):
    """`ros2 param set /pet speed 1` sends an integer."""
    heard = []
    pet.add_on_set_parameters_callback(lambda given: heard.extend(given) or SetParametersResult(successful=True))
    [result] = pet.set_parameters([Parameter("speed", value=wanted)])
    assert result.successful, result.reason
    parameter = pet.get_parameter("speed")
    assert (parameter.type_, parameter.value) == (Parameter.Type.DOUBLE, float(wanted))
    assert [given.type_ for given in heard] == [Parameter.Type.DOUBLE]
    [result] = pet.set_parameters([Parameter("speed", value=7)])
    assert not result.successful and pet.get_parameter("speed").value == float(wanted)
