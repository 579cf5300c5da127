"""Success rates reported in the paper: after training, in its own scenes, with 1 cm of noise on the target.

Nematollahi et al., Robot Skill Adaptation via Soft Actor-Critic Gaussian Mixture Models, ICRA 2022. The scenes differ
from ours, so these numbers are shown with a result for orientation only, not as a baseline.
"""

# Task -> skill -> success rate. The paper's door is a real one; it gives no numbers for SAC and Res-GMM on it.
PUBLISHED: dict[str, dict[str, float]] = {
    "peg": {"gmm": 0.20, "sac": 0.00, "residual_gmm_paper": 0.30, "sac_gmm": 0.86},
    "lever": {"gmm": 0.54, "sac": 0.00, "residual_gmm_paper": 0.62, "sac_gmm": 0.81},
    "door": {"gmm": 0.10, "sac_gmm": 0.90},
}
