"""`sac-gmm fit`: bags in, a model file and a picture out, and one clear sentence when it cannot."""

import numpy as np
import pytest

from sac_gmm.cli import fit
from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.demos import Demonstration, write_demonstration
from sac_gmm.methods.sac_gmm.base_skill import fit_base_skill
from sac_gmm.models import certify, load_model


def write_bags(folder, n=3, task="reach"):
    """Reaches along a bow to 1 cm above a target that lies off the origin."""
    time_s = np.arange(0.0, 3.0, 1 / 30)
    s = time_s / time_s[-1]
    left = (1 - (10 * s**3 - 15 * s**4 + 6 * s**5))[:, None]
    target = np.array([0.5, 0.1, 0.2])
    for i in range(n):
        start, bow = np.array([-0.2, 0.1 + 0.01 * i, 0.15]), np.array([0.0, 0.05 + 0.005 * i, 0.0])
        position = target + [0.0, 0.0, 0.01] + start * left + bow * np.sin(np.pi * left)
        velocity = np.gradient(position, time_s, axis=0)
        write_demonstration(
            folder / f"{task}_{i:02d}", Demonstration(time_s, position, velocity, target, frame_id="base", task=task)
        )


@pytest.mark.parametrize("kind", ["gmm", "seds", "lpv_ds"])
def test_every_kind_is_fitted_saved_and_drawn(tmp_path, capsys, kind):
    write_bags(tmp_path / "bags")
    output = tmp_path / "models" / "reach.npz"
    assert main(["fit", str(tmp_path / "bags"), "--model", kind, "-k", "4", "-o", str(output)]) == 0
    text = capsys.readouterr().out
    assert f"{kind} with 4 Gaussians from 3 demonstrations" in text
    model = load_model(output)
    assert model.kind == kind and model.mixture.n_components == 4 and model.model_id in text
    assert model.meta["task"] == "reach" and model.meta["frame"] == "base"
    assert model.meta["demonstrations"] == ["reach_00", "reach_01", "reach_02"]
    assert np.allclose(model.attractor, [0.0, 0.0, 0.01], atol=2e-3)
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    if kind != "gmm":
        assert certify(model).holds and "holds" in text


def test_automatic_components_and_no_picture(tmp_path):
    write_bags(tmp_path / "bags")
    output = tmp_path / "reach.npz"
    assert fit.main([str(tmp_path / "bags"), "-o", str(output), "--plot", "none"]) == 0
    assert not output.with_suffix(".png").exists()
    assert load_model(output).meta["fit"]["n_components"] == "auto"


def test_mistakes_are_told_in_a_sentence(tmp_path, capsys):
    write_bags(tmp_path / "bags", 1)
    output = str(tmp_path / "reach.npz")
    with pytest.raises(UserError, match="positive whole number or auto, not 'many'"):
        fit.main([str(tmp_path / "bags"), "-k", "many", "-o", output])
    with pytest.raises(UserError, match="give one or more bags"):
        fit.main(["-o", output])
    assert main(["fit", str(tmp_path / "bags"), "-k", "4000", "-o", output]) == 2
    assert "components" in capsys.readouterr().err
    assert main(["fit", str(tmp_path / "nowhere"), "-o", output]) == 2
    assert not (tmp_path / "reach.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "reach.png"], "reach.png: the name of the file to write must end in .npz"),
        (["-o", "bags/reach_00/metadata.yaml"], "must end in .npz"),
        (["-o", "reach.npz", "--plot", "reach.npz"], "must end in .png or .pdf or .svg"),
        (["-o", "reach.npz", "--plot", "f.xyz"], "f.xyz: the name of the file to write must end in .png"),
        (["-o", "folder.npz"], "folder.npz is a folder"),
        (["-o", "reach.npz", "--model", "gmm", "--seed", "-1"], "the seed is -1"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_fit(arguments, words, tmp_path, monkeypatch, capsys):
    write_bags(tmp_path / "bags", 1)
    (tmp_path / "folder.npz").mkdir()
    before = (tmp_path / "bags" / "reach_00" / "metadata.yaml").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "bags", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / "bags" / "reach_00" / "metadata.yaml").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bags", "folder.npz"]


def test_bags_of_different_tasks_are_not_mixed(tmp_path, capsys):
    for task in ("reach", "push", ""):
        write_bags(tmp_path / f"of_{task}", 1, task)
    output = ["-o", str(tmp_path / "m.npz"), "--model", "gmm", "-k", "2", "--plot", "none"]
    assert main(["fit", str(tmp_path / "of_reach"), str(tmp_path / "of_push"), *output]) == 2
    assert "different tasks (push, reach)" in capsys.readouterr().err
    assert main(["fit", str(tmp_path / "of_"), str(tmp_path / "of_push"), *output]) == 0
    assert load_model(tmp_path / "m.npz").meta["task"] == "push"


def write_circles(folder):
    """Once round, ending a few millimetres from the start: stirring, say."""
    time_s = np.arange(0.0, 4.0, 1 / 60)
    s = time_s / time_s[-1]
    turn = 2 * np.pi * (10 * s**3 - 15 * s**4 + 6 * s**5)
    for i in range(3):
        radius = 0.07 + 0.01 * i
        circle = radius * np.column_stack((np.cos(turn) - 1.0, np.sin(turn), 0.0 * turn))
        position = [0.4, 0.2, 0.1] + circle + (1 - s)[:, None] * [0.003, 0.002 * i, 0.001]
        velocity = np.gradient(position, time_s, axis=0)
        write_demonstration(folder / f"stir_{i}", Demonstration(time_s, position, velocity, [0.4, 0.2, 0.1]))


@pytest.mark.parametrize("kind", ["lpv_ds", "seds"])
def test_a_skill_that_does_not_go_the_way_that_was_shown_is_no_success(kind, tmp_path, capsys):
    write_circles(tmp_path / "bags")
    output = tmp_path / "stir.npz"
    assert main(["fit", str(tmp_path / "bags"), "--model", kind, "-k", "4", "-o", str(output), "--plot", "none"]) == 0
    text = capsys.readouterr().out
    assert "% of the way shown" in text
    for i in range(3):
        assert f"problem: stir_{i}: from its start the skill goes" in text
    assert "fit a skill to each part" in text
    assert main(["inspect", str(output)]) == 0
    assert "problem      stir_0: from its start" in capsys.readouterr().out
    assert main(["demos", "check", str(tmp_path / "bags")]) == 1
    assert "problem: stir_2 ends" in capsys.readouterr().out


def test_a_reach_that_is_repeated_has_no_problem(tmp_path, capsys):
    write_bags(tmp_path / "bags")
    output = tmp_path / "reach.npz"
    assert main(["fit", str(tmp_path / "bags"), "-k", "4", "-o", str(output), "--plot", "none"]) == 0
    assert "problem" not in capsys.readouterr().out
    assert "problems" not in load_model(output).meta


def test_what_check_objects_to_is_said_by_the_fit_and_kept_in_the_model(tmp_path, capsys):
    """Centimetres and a jump: each makes a useless skill, whatever its certificate."""
    time_s = np.arange(0.0, 3.0, 1 / 30)
    s = (time_s / time_s[-1])[:, None]
    for i in range(2):
        position = 100.0 * ([0.4, 0.0, 0.2] + (1 - s) * [0.3, 0.02 * i, -0.1])
        position[45:] += 5.0 * i
        write_demonstration(
            tmp_path / "bags" / f"cm_{i}",
            Demonstration(time_s, position, np.gradient(position, time_s, axis=0), [40.0, 0.0, 20.0]),
        )
    assert main(["demos", "check", str(tmp_path / "bags")]) == 1
    objected = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem: ")]
    assert any("reaches 32 m from its target" in line for line in objected)
    assert any("jumps" in line for line in objected)
    output = tmp_path / "cm.npz"
    assert main(["fit", str(tmp_path / "bags"), "-k", "2", "-o", str(output), "--plot", "none"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in objected if line not in said] == []
    assert [f"problem: {text}" for text in load_model(output).meta["problems"]] == [
        line for line in said if line.startswith("problem: ")
    ]
    assert main(["demos", "export", str(tmp_path / "bags"), "-o", str(tmp_path / "cm.csv")]) == 0
    assert objected[0] in capsys.readouterr().err


def test_a_base_skill_says_what_is_wrong_with_its_demonstrations(tmp_path, capsys):
    write_circles(tmp_path / "peg")
    skill = fit_base_skill("peg", "lpv_ds", tmp_path)
    assert "stir_0" in skill.meta["problems"][0]
    assert "problem of the base skill: stir_0" in capsys.readouterr().err
