"""What the paper reports: success rates after training, in its own scenes, under 1 cm of noise on the target.

Nematollahi et al., Robot Skill Adaptation via Soft Actor-Critic Gaussian Mixture Models, ICRA 2022. The scenes are not
the same as ours, so these numbers stand beside a result for orientation; they are no baseline of a measurement.
"""

# Task -> skill -> rate of success. The paper's door is a real one, on which SAC and Res-GMM have no number.
PUBLISHED: dict[str, dict[str, float]] = {
    "peg": {"gmm": 0.20, "sac": 0.00, "residual_gmm_paper": 0.30, "sac_gmm": 0.86},
    "lever": {"gmm": 0.54, "sac": 0.00, "residual_gmm_paper": 0.62, "sac_gmm": 0.81},
    "door": {"gmm": 0.10, "sac_gmm": 0.90},
}
