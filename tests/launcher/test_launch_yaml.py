"""Launch files: what is read, and what is refused."""

from pathlib import Path

import pytest

from sac_gmm.cli import up
from sac_gmm.core.errors import UserError
from sac_gmm.launcher.launch_yaml import Node, declared_arguments, read_launch_file

LAUNCH = Path(__file__).parents[2] / "launch"


def only_node(path: Path, **given: str) -> Node:
    [node] = read_launch_file(path, given)
    return node


# ------------------------------------------------------------------------------------------------------------ reading


def test_node_with_everything(launch_file, package):
    path = launch_file(
        """
  - arg: {name: seed, default: "3", description: "seed of the noise"}
  - let: {name: size, value: "$(var seed)0"}
  - node:
      pkg: pets
      exec: show
      name: cat
      namespace: house
      args: "--size $(var size) 'two words'"
      remap: [{from: a, to: "b$(var seed)"}]
      env: [{name: PET, value: "$(var seed)"}]
      on_exit: shutdown
      sigterm_timeout: 1.5
"""
    )
    node = only_node(path)
    assert node.label == "cat"
    assert node.executable == package / "lib" / "pets" / "show"
    assert node.arguments == ("--size", "30", "two words")
    assert node.ros_arguments == ("-r", "__node:=cat", "-r", "__ns:=/house", "-r", "a:=b3")
    assert node.environment == {"PET": "3"}
    assert (node.required, node.respawn_delay_s, node.sigterm_timeout_s) == (True, None, 1.5)
    assert only_node(path, seed="7").arguments == ("--size", "70", "two words")


@pytest.mark.parametrize(("given", "words"), [({}, ("no", "3")), ({"kind": "dog"}, ("yes", "4"))])
def test_a_variable_may_have_a_default_where_it_is_used(launch_file, given, words):
    path = launch_file("""
  - arg: {name: kind, default: cat}
  - let: {name: legs_of_dog, value: "4"}
  - let: {name: barks_cat, value: "no"}
  - node: {pkg: pets, exec: show, args: "$(var barks_$(var kind) yes) $(var legs_of_$(var kind) 3)"}
""")
    assert only_node(path, **given).arguments == words


@pytest.mark.parametrize(("file", "more"), [("simulation", {}), ("robot", {"simulate": "true"})])
@pytest.mark.parametrize(
    ("given", "mover", "decider"),
    [
        ({}, "gmm_controller", "sac_adapter"),
        ({"method": "residual_gmm"}, "guard", "skill_runner"),
        ({"method": "mine"}, "guard", "skill_runner"),
        ({"guard": "true"}, "guard", "skill_runner"),
    ],
)
def test_the_method_chooses_who_moves_the_arm(file, more, given, mover, decider):
    nodes = read_launch_file(LAUNCH / f"{file}.launch.yaml", {"model": "skill.npz", **more, **given})
    labels = {node.label for node in nodes}
    assert labels & {"gmm_controller", "guard", "sac_adapter", "skill_runner"} == {mover, decider}


def test_the_robot_is_composed_by_arguments():
    def parameters(node):
        given = [part for part in node.parameters if isinstance(part, dict)]
        return {
            name: value for part in given for own in part.values() for name, value in own["ros__parameters"].items()
        }

    common = {"model": "skill.npz", "simulate": "true"}
    plain = {node.label: node for node in read_launch_file(LAUNCH / "robot.launch.yaml", common)}
    assert not plain.keys() & {"joy_teleop", "home_reset", "marker_target"}
    assert parameters(plain["gmm_controller"])["deadman"] is True
    assert parameters(plain["pybullet_bridge"])["serve_reset"] is True
    asked = common | {"deadman": "joy", "reset": "home", "home": "home.json", "target": "fixed", "reward": "button"}
    whole = {node.label: node for node in read_launch_file(LAUNCH / "robot.launch.yaml", asked)}
    assert whole.keys() >= {"joy_teleop", "home_reset", "marker_target", "button_reward"}
    assert parameters(whole["joy_teleop"])["drive"] is False
    assert parameters(whole["home_reset"])["home_file"] == "home.json"
    assert parameters(whole["pybullet_bridge"])["serve_reset"] is False
    without = {
        node.label: node for node in read_launch_file(LAUNCH / "robot.launch.yaml", common | {"deadman": "none"})
    }
    assert parameters(without["gmm_controller"])["deadman"] is False


# What `launch_ros` of Jazzy makes of the same lines, found by running it.
@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        ('value: "$(var seed)"', 3),
        ('value: "5"', "5"),
        ("value: 5", 5),
        ("value: [1.0, 2.0]", [1.0, 2.0]),
        ('value: "5", type: str', "5"),
        ('value: "$(var seed)", type: str', "3"),
        ('value: "[a, b]"', "[a, b]"),
        ("value: hello world", "hello world"),
        ('value: "true"', "true"),
        ("value: true", True),
        ('value: "$(var seed).5", type: float', 3.5),
        ('value: "$(var yes)"', True),
        ('value: "$(var yes)", type: bool', True),
        (r'value: "\\$(var seed)"', "$(var seed)"),
        ('value: "[$(var seed), 4]"', [3, 4]),
        ('value: ["$(var seed)", 4]', [3, 4]),
    ],
)
def test_parameter_types(launch_file, attributes, value):
    path = launch_file(f"""
  - let: {{name: seed, value: "3"}}
  - let: {{name: "yes", value: "true"}}
  - node: {{pkg: pets, exec: show, param: [{{name: p, {attributes}}}]}}
""")
    assert only_node(path).parameters == ({"/**": {"ros__parameters": {"p": value}}},)


def test_parameters_of_a_node_with_full_name_and_from_a_file(launch_file, tmp_path):
    (tmp_path / "cat.yaml").write_text("/**:\n  ros__parameters: {a: 1}\n")
    path = launch_file("""
  - node:
      {pkg: pets, exec: show, name: cat, namespace: /house, param: [{from: $(dirname)/cat.yaml}, {name: a, value: 2}]}
""")
    assert only_node(path).parameters == (tmp_path / "cat.yaml", {"/house/cat": {"ros__parameters": {"a": 2}}})


def test_conditions(launch_file):
    path = launch_file("""
  - arg: {name: view, default: "false"}
  - node: {pkg: pets, exec: show, name: with_view, if: $(var view)}
  - node: {pkg: pets, exec: show, name: without_view, unless: $(var view)}
  - group:
      if: $(var view)
      children:
        - node: {pkg: pets, exec: show, name: in_group}
""")
    assert [node.label for node in read_launch_file(path, {})] == ["without_view"]
    assert [node.label for node in read_launch_file(path, {"view": "1"})] == ["with_view", "in_group"]
    with pytest.raises(UserError, match="'if' became 'maybe'"):
        read_launch_file(path, {"view": "maybe"})


def test_group_keeps_its_variables_inside_and_labels_differ(launch_file):
    path = launch_file("""
  - let: {name: a, value: outer}
  - group:
      - let: {name: a, value: inner}
      - node: {pkg: pets, exec: show, args: $(var a)}
  - node: {pkg: pets, exec: show, args: $(var a)}
""")
    nodes = read_launch_file(path, {})
    assert [(node.label, node.arguments) for node in nodes] == [("show", ("inner",)), ("show-2", ("outer",))]


def test_include_passes_arguments_and_shows_those_left_open(launch_file, package):
    (package / "share" / "pets" / "launch" / "one.launch.yaml").write_text("""
launch:
  - arg: {name: pet, description: which}
  - arg: {name: colour, default: grey, choice: [{value: grey}, {value: red}], description: its colour}
  - node: {pkg: pets, exec: show, name: $(var pet), args: "$(var colour) $(dirname)"}
""")
    path = launch_file("""
  - arg: {name: first, default: cat}
  - include: {file: $(find-pkg-share pets)/launch/one.launch.yaml, arg: [{name: pet, value: $(var first)}]}
""")
    assert [(a.name, a.default) for a in declared_arguments(path)] == [("first", "cat"), ("colour", "grey")]
    node = only_node(path, first="dog", colour="red")
    assert (node.label, node.arguments) == ("dog", ("red", str(package / "share" / "pets" / "launch")))
    with pytest.raises(UserError, match="'blue'; it must be one of: grey, red"):
        read_launch_file(path, {"colour": "blue"})


def test_environment_substitution(launch_file, monkeypatch):
    monkeypatch.setenv("PET", "cat")
    path = launch_file("  - node: {pkg: pets, exec: show, args: \"$(env PET) $(env NO_PET 'no pet')\"}\n")
    assert only_node(path).arguments == ("cat", "no pet")
    with pytest.raises(UserError, match="no variable NO_PET"):
        read_launch_file(launch_file("  - let: {name: a, value: $(env NO_PET)}\n"), {})


def test_a_variable_of_the_environment_holds_for_what_comes_after_it_in_its_group(launch_file, monkeypatch):
    monkeypatch.setenv("PET", "cat")
    path = launch_file("""
  - arg: {name: dogs, default: "true"}
  - node: {pkg: pets, exec: show, name: before}
  - group:
      - set_env: {if: $(var dogs), name: PET, value: dog}
      - node: {pkg: pets, exec: show, name: inside, args: $(env PET)}
      - node: {pkg: pets, exec: show, name: own, env: [{name: PET, value: cow}]}
  - node: {pkg: pets, exec: show, name: after, args: $(env PET)}
""")
    nodes = {node.label: node for node in read_launch_file(path, {})}
    said = {label: node.environment.get("PET") for label, node in nodes.items()}
    assert said == {"before": None, "inside": "dog", "own": "cow", "after": None}
    assert (nodes["inside"].arguments, nodes["after"].arguments) == (("dog",), ("cat",))
    nodes = {node.label: node for node in read_launch_file(path, {"dogs": "false"})}
    assert nodes["inside"].environment == {} and nodes["inside"].arguments == ("cat",)


LAUNCH_FILES = sorted((Path(__file__).parent.parent.parent / "launch").glob("*.launch.yaml"))


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_the_project_s_own_launch_files_are_understood(path):
    arguments = declared_arguments(path)
    assert all(argument.description for argument in arguments)
    given = {argument.name: "x" for argument in arguments if argument.default is None}
    # The driver's own launch file is Python, and RViz comes from apt: only `ros2 launch` runs these.
    given |= {argument.name: "false" for argument in arguments if argument.name in ("start_driver", "rviz")}
    assert read_launch_file(path, given)


# ----------------------------------------------------------------------------------------------------------- refusing


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("  - timer: {period: 1.0}", "the action 'timer'"),
        ("  - node: {pkg: pets, exec: show, shell: true}", "the attribute 'shell'"),
        ("  - node: {pkg: pets}", "'exec' is missing"),
        ("  - node: {pkg: pets, exec: bark}", "no executable 'bark'"),
        ("  - node: {pkg: plants, exec: show}", "'plants' is not found"),
        ("  - node: {pkg: pets, exec: show, respawn: true}", 'respawn: "true"'),
        ('  - node: {pkg: pets, exec: show, respawn: "1", on_exit: shutdown}', "exclude each other"),
        ("  - node: {pkg: pets, exec: show, on_exit: bark}", "can only be 'shutdown'"),
        ("  - node: {pkg: pets, exec: show, sigterm_timeout: 2}", "decimal point, found 2"),
        ("  - node: {pkg: pets, exec: show, param: {a: 1}}", "'param' must be a list"),
        ("  - node: {pkg: pets, exec: show, param: [{name: a}]}", "either 'name' with 'value', or 'from' alone"),
        ("  - node: {pkg: pets, exec: show, param: [{from: no.yaml}]}", "no parameter file no.yaml"),
        ("  - node: {pkg: pets, exec: show, param: [{name: a, value: [1, b]}]}", "mixes types"),
        ("  - node: {pkg: pets, exec: show, param: [{name: a, value: x, type: int}]}", "which is no int"),
        ('  - node: {pkg: pets, exec: show, if: "1", unless: "0"}', "exclude each other"),
        ("  - arg: {name: a, default: 3}", 'default: "3"'),
        ("  - let: {name: a, value: $(eval 1 + 1)}", r"does not know \$\(eval 1 \+ 1\)"),
        ("  - set_env: {name: A, value: 1}", 'value: "1"'),
        ("  - let: {name: a, value: $(var b)}", r"\$\(var b\) is not set"),
        ('  - let: {name: a, value: "$(var b"}', "not closed"),
        ("  - include: {file: nowhere.launch.yaml}", "cannot read launch file nowhere.launch.yaml"),
        ("  - include: {file: $(dirname)/pets.launch.yaml}", "includes itself"),
        ("  node: {}", "need a list of actions"),
        ("  - {a: 1, b: 2}", "every action is one 'kind: {attributes}'"),
        ("  - [", "not valid YAML"),
        ("  - let: {name: a, value: 2020-99-99}", "not valid YAML"),
        ("  - group: &g [{group: *g}]", "an alias"),
        ('  - node: {pkg: pets, exec: show, args: "it\'s"}', "'args' cannot be split into words"),
    ],
)
def test_refuses_by_name(launch_file, lines, message):
    with pytest.raises(UserError, match=message) as caught:
        read_launch_file(launch_file(lines), {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["*.npz", "@x", "%x", "a: b: c", "[1", "2020-99-99", "[" * 2000])
def test_an_argument_that_is_no_yaml_is_refused_by_name(launch_file, value):
    path = launch_file("""
  - arg: {name: model}
  - node: {pkg: pets, exec: show, param: [{name: model, value: $(var model)}]}
""")
    with pytest.raises(UserError, match=r"parameter 'model' became .*, which cannot be read as YAML"):
        read_launch_file(path, {"model": value})


def test_refuses_even_in_a_branch_not_taken(launch_file):
    with pytest.raises(UserError, match="the action 'executable'"):
        read_launch_file(launch_file('  - group: {if: "false", children: [{executable: {cmd: ls}}]}'), {})


def test_arguments_unknown_missing_or_malformed(launch_file, capfd):
    path = launch_file("  - arg: {name: pet, description: which one}\n  - node: {pkg: pets, exec: show}\n")
    with pytest.raises(UserError, match="no argument 'pot': it takes pet"):
        read_launch_file(path, {"pet": "cat", "pot": "x"})
    with pytest.raises(UserError, match=r"needs the argument 'pet' \(which one\)"):
        read_launch_file(path, {})
    with pytest.raises(UserError, match="write name:=value"):
        up.main([str(path), "pet=cat"])
    assert up.main([str(path), "--show-args"]) == 0
    assert "pet  (must be given)\n    which one" in capfd.readouterr().out


def test_a_launch_file_in_python_is_left_to_ros2_launch(launch_file, package):
    (package / "share" / "pets" / "launch" / "driver.launch.py").write_text("")
    path = launch_file(
        "- arg: {name: drive, default: 'true', description: 'start the driver'}\n"
        "- include: {if: $(var drive), file: $(find-pkg-share pets)/launch/driver.launch.py}\n"
        "- node: {pkg: pets, exec: show}\n"
    )
    assert [argument.name for argument in declared_arguments(path)] == ["drive"]
    with pytest.raises(UserError, match=r"driver\.launch\.py.*needs `ros2 launch`"):
        read_launch_file(path, {})
    assert len(read_launch_file(path, {"drive": "false"})) == 1
