import sys
from pathlib import Path

import numpy as np
import pytest

from sac_gmm.models import fit_gmm

sys.path.insert(0, str(Path(__file__).parent))  # for what the tests of this folder share


@pytest.fixture(scope="session")
def model():
    """A skill that moves straight down to a point below the target."""
    rng = np.random.default_rng(0)
    x, v, lengths = [], [], []
    for _ in range(4):
        start = np.array([0.0, 0.0, 0.1]) + 0.01 * rng.standard_normal(3)
        share = np.linspace(0.0, 1.0, 60)[:, None]
        path = start * (1 - share) + 0.0005 * rng.standard_normal((60, 3))
        x.append(path)
        v.append(np.gradient(path, 1 / 30, axis=0))
        lengths.append(60)
    return fit_gmm(np.vstack(x), np.vstack(v), lengths, 2, seed=0)
