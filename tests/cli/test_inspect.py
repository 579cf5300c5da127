"""`sac-gmm inspect`: what a file holds, and that a certificate is checked rather than believed."""

import dataclasses
import json

import numpy as np

from sac_gmm.cli.main import main
from sac_gmm.models import GaussianMixture, SkillModel, fit_seds, save_model


def skill() -> SkillModel:
    s = np.linspace(0, 1, 60)[:, None]
    x = np.concatenate([(1 - s) ** 2 * [0.2, 0.1 + 0.02 * i] for i in range(2)])
    v = np.concatenate([-2 * (1 - s) * [0.2, 0.1 + 0.02 * i] for i in range(2)])
    model = fit_seds(x, v, [60, 60], 3)
    return dataclasses.replace(model, meta={**model.meta, "task": "door", "frame": "base"})


def test_it_says_what_is_in_the_file(tmp_path, capsys):
    model = skill()
    save_model(tmp_path / "door.npz", model)
    assert main(["inspect", str(tmp_path / "door.npz"), "--json", str(tmp_path / "door.json")]) == 0
    text = capsys.readouterr().out
    assert "seds, 3 Gaussians" in text and model.model_id in text and "door" in text
    assert "true for these numbers" in text
    facts = json.loads((tmp_path / "door.json").read_text())
    assert facts["checksum"] == model.checksum and len(facts["components"]) == 3
    assert facts["certificate_true"] is True


def test_the_description_does_not_replace_the_model(tmp_path, capsys):
    path = tmp_path / "door.npz"
    save_model(path, skill())
    before = path.read_bytes()
    assert main(["inspect", str(path), "--json", str(path)]) == 2
    assert "must end in .json" in capsys.readouterr().err and path.read_bytes() == before


def test_a_false_certificate_is_found_out(tmp_path, capsys):
    model = skill()
    means = model.mixture.means.copy()
    means[0, 2:] += 0.5
    edited = GaussianMixture(model.mixture.priors, means, model.mixture.covariances)
    save_model(tmp_path / "door.npz", dataclasses.replace(model, mixture=edited))
    assert main(["inspect", str(tmp_path / "door.npz")]) == 1
    assert "FALSE for these numbers" in capsys.readouterr().out


def test_a_file_of_another_kind_is_refused(tmp_path, capsys):
    (tmp_path / "door.npz").write_text("hello")
    assert main(["inspect", str(tmp_path / "door.npz")]) == 2
    assert "not a model file" in capsys.readouterr().err
