"""Motions in the LASA format, and the protocol on made-up motions."""

import numpy as np
import pytest
from lasa_files import save_motions

from sac_gmm.bench.models.lasa_data import FIGURES, N_SAMPLES, load_motions, make_motion, make_motions
from sac_gmm.bench.models.lasa_protocol import score, split
from sac_gmm.core.errors import UserError
from sac_gmm.models import fit_lpv_ds, fit_seds


def test_made_up_motions_are_like_handwriting():
    motions = make_motions()
    assert len(motions) == len(FIGURES) == 26
    for motion in motions:
        assert len(motion.positions_mm) == 7
        for x, v, dt in zip(motion.positions_mm, motion.velocities_mm_s, motion.time_step_s, strict=True):
            assert x.shape == v.shape == (N_SAMPLES, 2) and np.isfinite(v).all()
            assert np.allclose(x[-1], 0.0)
            assert np.allclose(x[0] + dt * v[:-1].sum(axis=0), x[-1], atol=1.0)
            assert 10.0 < np.linalg.norm(v, axis=1).max() < 200.0
    assert np.array_equal(make_motion("hook", 3).positions_mm[0], make_motion("hook", 3).positions_mm[0])
    assert not np.array_equal(make_motion("hook", 3).positions_mm[0], make_motion("hook", 4).positions_mm[0])


def test_a_folder_in_the_format_is_read_back(tmp_path):
    motions = [make_motion("hook"), make_motion("angle")]
    save_motions(tmp_path, motions)
    (tmp_path / "Multi_Models_1.mat").write_bytes(b"")
    again = load_motions(tmp_path)
    assert [motion.name for motion in again] == ["angle", "hook"]
    assert np.array_equal(again[1].positions_mm[6], motions[0].positions_mm[6])
    assert again[1].time_step_s == motions[0].time_step_s
    with pytest.raises(UserError, match=r"no \.mat files"):
        load_motions(tmp_path / "nowhere")
    from scipy.io import savemat

    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(UserError, match="not in the LASA format"):
        load_motions(tmp_path)


def test_the_protocol_splits_four_to_three_and_halves_the_samples():
    motion = make_motion("hook")
    (x, v, lengths), (x_test, _, test_lengths) = split(motion)
    assert lengths == [500] * 4 and test_lengths == [500] * 3
    assert np.array_equal(x[:500], motion.positions_mm[0][::2]) and v.shape == x.shape
    assert np.array_equal(x_test[-500:], motion.positions_mm[6][::2])


@pytest.mark.parametrize("fit", [fit_seds, fit_lpv_ds])
def test_both_systems_follow_a_figure_and_arrive(fit):
    motion = make_motion("leaf")
    result = score(fit(*split(motion)[0], 8), motion)
    assert result.converged and result.end_mm < 1.0
    assert result.rmse < 6.0 and result.e_dot < 0.1 and result.dtwd < 1500.0
