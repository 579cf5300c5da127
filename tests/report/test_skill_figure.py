"""Motions without width in one direction or two: through the fit, what is said of it, and every picture."""

import json
import warnings

import numpy as np
import pytest

from sac_gmm.cli.main import main
from sac_gmm.demos import Demonstration, TopicNames, plot, write_demonstration
from sac_gmm.methods import Outcome
from sac_gmm.methods.sac_gmm.fit_bags import fit_bags
from sac_gmm.models import load_model
from sac_gmm.models.fields.ellipsoids import MIN_HALF_AXIS_M, path_preview, position_ellipsoids
from sac_gmm.report.figures import mixture_figure
from sac_gmm.report.film import Watched
from sac_gmm.report.skill_figure import draw

# The way from start to end in m, and by how much it bows out along another axis.
WAYS = {
    "along x": ([-0.25, 0.0, 0.0], [0.0, 0.0, 0.0]),
    "along y": ([0.0, 0.3, 0.0], [0.0, 0.0, 0.0]),
    "down z": ([0.0, 0.0, 0.15], [0.0, 0.0, 0.0]),
    "almost along z": ([1e-15, 0.0, 0.15], [0.0, 0.0, 0.0]),
    "a diagonal": ([0.1, 0.1, 0.1], [0.0, 0.0, 0.0]),
    "in the plane xy": ([0.2, 0.0, 0.0], [0.0, 0.05, 0.0]),
    "in the plane yz": ([0.0, 0.0, 0.2], [0.0, 0.04, 0.0]),
}


def shown(way):
    start, bow = (np.array(part) for part in WAYS[way])
    time_s = np.arange(0.0, 3.0, 1 / 30)
    s = time_s / time_s[-1]
    left = (1 - (10 * s**3 - 15 * s**4 + 6 * s**5))[:, None]
    demonstrations = []
    for k in range(2):
        position = np.array([0.5, 0.0, 0.3]) + (1 + 0.1 * k) * (start * left + bow * np.sin(np.pi * left))
        velocity = np.gradient(position, time_s, axis=0)
        demonstrations.append(Demonstration(time_s, position, velocity, [0.5, 0.0, 0.3], task="door"))
    return demonstrations


@pytest.fixture(scope="module", params=WAYS)
def bags(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    for k, demonstration in enumerate(shown(request.param)):
        write_demonstration(folder / "bags" / f"push_{k}", demonstration)
    return folder / "bags"


@pytest.mark.parametrize("kind", ["gmm", "seds", "lpv_ds"])
def test_it_is_fitted_and_drawn_with_some_width(bags, kind, tmp_path):
    fitted = fit_bags(sorted(bags.iterdir()), kind, 3, names=TopicNames())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path / "push.png", fitted.skill, fitted.x, fitted.v, fitted.lengths, 1 / 30)
    assert (tmp_path / "push.png").read_bytes().startswith(b"\x89PNG")


def test_the_commands_take_it(bags, tmp_path, capsys):
    model = tmp_path / "push.npz"
    assert main(["fit", str(bags), "-k", "3", "-o", str(model)]) == 0
    assert model.with_suffix(".png").exists()
    assert main(["inspect", str(model), "--json", str(tmp_path / "push.json")]) == 0
    facts = json.loads((tmp_path / "push.json").read_text())
    assert np.isfinite([component["half_axes_mm"] for component in facts["components"]]).all()
    assert main(["demos", "check", str(bags)]) == 0
    assert "problem" not in capsys.readouterr().out


def test_reports_and_views_have_numbers_to_draw(bags, tmp_path):
    fitted = fit_bags(sorted(bags.iterdir()), "lpv_ds", 3)
    skill, start = fitted.skill, fitted.x[0]
    outcome = Outcome(0, True, 90, 2)
    tip = fitted.x[: fitted.lengths[0]]
    watched = Watched(outcome, 0.0, 3.0, tip, np.zeros(3), [(0.0, skill), (1.0, skill)], [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mixture_figure(skill, skill, watched, watched).startswith(b"\x89PNG")
        plot(tmp_path / "shown.png", shown("along x"))
    drawn = position_ellipsoids(skill.mixture)
    assert np.isfinite(drawn.quaternions).all() and (drawn.half_axes_m >= MIN_HALF_AXIS_M).all()
    ahead = path_preview(skill, start)
    assert np.isfinite(ahead).all() and np.linalg.norm(ahead[-1] - skill.attractor) < 2e-3


def test_a_film_of_a_straight_motion(tmp_path, capsys):
    for k, demonstration in enumerate(shown("along x")):
        write_demonstration(tmp_path / "bags" / f"push_{k}", demonstration)
    model = tmp_path / "push.npz"
    assert main(["fit", str(tmp_path / "bags"), "-k", "3", "-o", str(model), "--plot", "none"]) == 0
    assert load_model(model).meta["task"] == "door"
    assert main(["film", "door", "--skill", str(model), "--at", "0.5", "--out", str(tmp_path / "push.png")]) == 0
