"""SAC-GMM: soft actor-critic adapts the parameters of a Gaussian mixture."""

from sac_gmm.methods.sac_gmm.adaptation import (
    ADAPTATIONS,
    Adaptation,
    ComponentAdaptation,
    Translation,
    make_adaptation,
)
from sac_gmm.methods.sac_gmm.decoder import Gmm, SacGmm
from sac_gmm.methods.sac_gmm.observer import WindowObserver

__all__ = [
    "ADAPTATIONS",
    "Adaptation",
    "ComponentAdaptation",
    "Gmm",
    "SacGmm",
    "Translation",
    "WindowObserver",
    "make_adaptation",
]
