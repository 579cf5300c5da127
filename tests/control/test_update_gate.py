import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from line_skill import line_skill

from sac_gmm.control import Answer, ModelUpdate, SafetyLimits, UpdateBounds, UpdateGate, update_gate
from sac_gmm.core.errors import UserError
from sac_gmm.methods import method
from sac_gmm.methods.sac_gmm.adaptation import ADAPTATIONS, make_adaptation
from sac_gmm.methods.settings import load_settings
from sac_gmm.models import certify, load_model, parameters_checksum, project, translate

ROOT = Path(__file__).resolve().parents[2]

TARGET = np.array([0.5, 0.0, 0.4])
BASE = line_skill()


def update(base=BASE, **changes):
    """A correct update that shifts all means by 1 cm, with `changes`; the checksum fits unless it is given."""
    mixture = base.mixture
    shift = np.array([0.01, 0, 0, 0, 0, 0])
    fields = {
        "model_id": base.model_id,
        "base_version": 3,
        "new_version": 4,
        "episode_id": 7,
        "priors": mixture.priors,
        "means": mixture.means + shift,
        "covariances": mixture.covariances,
        "attractor": base.attractor + shift[:3],
    } | changes
    checksum = parameters_checksum(*(fields[name] for name in ("priors", "means", "covariances", "attractor")))
    return ModelUpdate(**({"checksum": checksum} | fields))


def judge(change, gate=None, version=3, target=TARGET, episode=7):
    return (gate or UpdateGate(BASE)).judge(change, version, target, episode)


def test_a_correct_update_is_accepted_and_gives_the_model():
    verdict = judge(update())
    assert (verdict.accepted, verdict.answer, verdict.text) == (True, Answer.ACCEPTED, "")
    np.testing.assert_array_equal(verdict.model.attractor, [0.01, 0, 0])
    np.testing.assert_allclose(verdict.model.mixture.means[:, 0], BASE.mixture.means[:, 0] + 0.01)


def test_flat_arrays_from_the_wire_are_accepted():
    shaped = update()
    flat = dataclasses.replace(shaped, means=shaped.means.ravel(), covariances=shaped.covariances.ravel())
    assert judge(flat).accepted


def with_entry(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


MIXTURE = BASE.mixture
REFUSALS = [
    ({"model_id": "another"}, Answer.WRONG_MODEL),
    ({"episode_id": 6}, Answer.NOT_READY),
    ({"base_version": 2}, Answer.WRONG_VERSION),
    ({"new_version": 3}, Answer.WRONG_VERSION),
    ({"priors": np.full(4, 0.25)}, Answer.WRONG_SHAPE),
    ({"means": MIXTURE.means[:, :4]}, Answer.WRONG_SHAPE),
    ({"covariances": MIXTURE.covariances[:2]}, Answer.WRONG_SHAPE),
    ({"attractor": np.zeros(2)}, Answer.WRONG_SHAPE),
    ({"means": with_entry(MIXTURE.means, (1, 2), np.nan)}, Answer.NOT_FINITE),
    ({"attractor": np.array([np.inf, 0, 0])}, Answer.NOT_FINITE),
    ({"checksum": "0" * 64}, Answer.BAD_CHECKSUM),
    ({"priors": np.array([0.5, 0.5, 0.5])}, Answer.NOT_SIMPLEX),
    ({"priors": np.array([1.2, -0.1, -0.1])}, Answer.NOT_SIMPLEX),
    ({"covariances": with_entry(MIXTURE.covariances, (0, 0, 0), -1.0)}, Answer.NOT_POSITIVE_DEFINITE),
    ({"covariances": with_entry(MIXTURE.covariances, (0, 0, 1), 1e-3)}, Answer.NOT_POSITIVE_DEFINITE),
    ({"means": MIXTURE.means + 0.2}, Answer.CHANGE_TOO_LARGE),
    ({"means": with_entry(MIXTURE.means, (0, 4), 0.3)}, Answer.CHANGE_TOO_LARGE),
    ({"priors": np.array([0.98, 0.01, 0.01])}, Answer.CHANGE_TOO_LARGE),
    ({"covariances": MIXTURE.covariances * 9}, Answer.CHANGE_TOO_LARGE),
    ({"covariances": MIXTURE.covariances / 9}, Answer.CHANGE_TOO_LARGE),
    ({"covariances": MIXTURE.covariances * 1e307}, Answer.CHANGE_TOO_LARGE),
    ({"attractor": np.array([0.0, 0.3, 0.0])}, Answer.CHANGE_TOO_LARGE),
]


@pytest.mark.parametrize(("changes", "answer"), REFUSALS)
def test_refusals_name_their_reason(changes, answer):
    verdict = judge(update(**changes))
    assert (verdict.accepted, verdict.answer, verdict.model) == (False, answer, None)
    assert verdict.text


def test_no_update_without_an_episode_or_a_target():
    assert judge(update(), episode=None).answer is Answer.NOT_READY
    assert judge(update(), target=None).answer is Answer.NOT_READY


def test_the_attractor_stays_in_the_box():
    verdict = judge(update(), target=np.array([0.895, 0.0, 0.4]))
    assert verdict.answer is Answer.OUTSIDE_WORKSPACE
    assert "outside the box" in verdict.text


def certified():
    """A base with a certificate and the gate that keeps it."""
    base = project(line_skill())
    assert base.certificate.holds
    return base, UpdateGate(base)


def test_a_translation_keeps_the_certificate_as_it_is():
    base, gate = certified()
    moved = translate(base, [0.01, 0.0, 0.0])
    verdict = judge(update(base, means=moved.mixture.means, attractor=moved.attractor), gate)
    assert (verdict.accepted, verdict.text) == (True, "")
    assert verdict.model.certificate.holds
    np.testing.assert_array_equal(verdict.model.mixture.means, moved.mixture.means)


def test_a_field_that_lost_its_certificate_is_projected_back_to_one():
    base, gate = certified()
    means = with_entry(base.mixture.means, (1, 4), base.mixture.means[1, 4] + 0.02)
    verdict = judge(update(base, means=means, attractor=base.attractor), gate)
    assert verdict.accepted
    assert "projected" in verdict.text
    assert certify(verdict.model).holds


def test_a_field_without_a_stable_one_nearby_is_refused(monkeypatch):
    """By mathematics this does not happen within the bounds; rounding may know better."""
    base, gate = certified()

    def fail(model):
        raise UserError("no certificate in double precision")

    monkeypatch.setattr(update_gate, "project", fail)
    means = with_entry(base.mixture.means, (1, 4), base.mixture.means[1, 4] + 0.02)
    verdict = judge(update(base, means=means, attractor=base.attractor), gate)
    assert (verdict.accepted, verdict.answer, verdict.model) == (False, Answer.NOT_CERTIFIED, None)


def test_a_gain_counts_by_what_it_does_to_the_velocity():
    """A covariance that leaves all means as they are bends the field of its component."""
    base, gate = certified()
    base_gain = np.linalg.solve(base.mixture.covariances[0, :3, :3], base.mixture.covariances[0, :3, 3:]).T
    spread = np.sqrt(np.linalg.eigvalsh(base.mixture.covariances[0, :3, :3])[-1])
    for change_m_s, answer in ((0.01, Answer.ACCEPTED), (0.2, Answer.CHANGE_TOO_LARGE)):
        gain = base_gain - np.eye(3) * change_m_s / spread
        covariances = np.array(base.mixture.covariances)
        s_xx, s_vx = covariances[0, :3, :3], covariances[0, 3:, :3]
        noise = covariances[0, 3:, 3:] - base_gain @ s_vx.T
        covariances[0] = np.block([[s_xx, s_xx @ gain.T], [gain @ s_xx, noise + gain @ s_xx @ gain.T]])
        covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1))
        verdict = judge(update(base, covariances=covariances, means=base.mixture.means, attractor=base.attractor), gate)
        assert verdict.answer is answer


@pytest.mark.parametrize("task", ["door", "lever", "peg"])
@pytest.mark.parametrize("name", sorted(ADAPTATIONS))
def test_every_adaptation_of_a_shipped_skill_is_accepted(task, name):
    """With the bounds that `config/controller.yaml` gives the controller."""
    base = load_model(ROOT / "models" / task / "sac_gmm" / "skill.npz")
    settings = yaml.safe_load((ROOT / "config" / "controller.yaml").read_text())
    (node,) = settings.values()
    names = [field.name for field in dataclasses.fields(UpdateBounds)]
    bounds = UpdateBounds(**{name: node["ros__parameters"][name] for name in names})
    settings = load_settings(method("sac_gmm"), task, ROOT / "config" / "methods")
    adaptation = make_adaptation(name, base, settings.skill.reach_m)
    rng = np.random.default_rng(0)
    for _ in range(20):
        adapted = adaptation.apply(rng.choice([-1.0, 1.0], size=adaptation.action_dim))  # the corners are furthest
        mixture = adapted.mixture
        parameters = {key: getattr(mixture, key) for key in ("priors", "means", "covariances")}
        verdict = judge(update(base, attractor=adapted.attractor, **parameters), UpdateGate(base, bounds=bounds))
        assert (verdict.answer, verdict.text) == (Answer.ACCEPTED, "")


def test_every_answer_is_reached_by_a_test():
    reached = {answer for _, answer in REFUSALS} | {Answer.ACCEPTED, Answer.OUTSIDE_WORKSPACE, Answer.NOT_CERTIFIED}
    assert reached == set(Answer)


def test_ten_thousand_fuzzed_updates_never_break_the_contract():
    """Half are near misses of a good update, half carry arbitrary numbers; what is accepted keeps every promise."""
    rng = np.random.default_rng(0)
    bounds, limits = UpdateBounds(), SafetyLimits()
    gate = UpdateGate(BASE, limits, bounds)
    wild = np.array([0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-320, 1e308, -1e308, 1e-9, 0.3])
    accepted = 0
    for _ in range(10_000):
        arrays = {
            "priors": rng.dirichlet(np.full(3, 50.0)),
            "means": MIXTURE.means + rng.normal(scale=rng.choice([0.0, 0.01, 0.05]), size=MIXTURE.means.shape),
            "covariances": MIXTURE.covariances * rng.choice([0.3, 1.0, 3.0, 5.0]),
            "attractor": BASE.attractor + rng.normal(scale=rng.choice([0.0, 0.02, 0.5]), size=3),
        }
        if rng.random() < 0.5:
            name = rng.choice(list(arrays))
            entries = rng.random(arrays[name].shape) < 0.2
            arrays[name] = np.where(entries, rng.choice(wild, size=arrays[name].shape), arrays[name])
        changes = dict(arrays)
        if rng.random() < 0.2:
            changes[rng.choice(["base_version", "new_version", "episode_id"])] = int(rng.integers(-2, 9))
        if rng.random() < 0.05:
            changes["checksum"] = ""
        change = update(**changes)
        verdict = judge(change, gate)
        assert verdict.accepted == (verdict.answer is Answer.ACCEPTED) == (verdict.model is not None)
        if verdict.accepted:
            accepted += 1
            mixture = verdict.model.mixture  # its constructor has checked the simplex and the covariances
            assert change.base_version == 3 and change.new_version > 3 and change.episode_id == 7
            shift = np.linalg.norm((mixture.means - MIXTURE.means)[:, :3], axis=1).max()
            assert shift <= bounds.max_position_change_m * (1 + 1e-6)
            assert np.linalg.norm(verdict.model.attractor) <= bounds.max_position_change_m * (1 + 1e-6)
    assert accepted > 500
