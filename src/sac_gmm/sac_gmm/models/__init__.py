"""The dynamical systems that move the robot: mixtures, their regression, and their stability.

Importing this package loads numpy alone; scipy, clarabel and numba are loaded by the functions that need them.
"""

from sac_gmm.models.fields.fitting import KINDS, Kind, fit_skill
from sac_gmm.models.fields.gmm import fit_gmm
from sac_gmm.models.fields.lpv_ds import fit_lpv_ds
from sac_gmm.models.fields.model import Certificate, SkillModel, parameters_checksum, rotate, translate
from sac_gmm.models.fields.rollout import limit_speed, rollout
from sac_gmm.models.fields.seds import fit_seds
from sac_gmm.models.fields.stability import certify, project, project_parameters
from sac_gmm.models.fields.storage import load_model, save_model
from sac_gmm.models.mixtures.mixture import GaussianMixture
from sac_gmm.models.mixtures.regression import Regressor

__all__ = [
    "KINDS",
    "Certificate",
    "GaussianMixture",
    "Kind",
    "Regressor",
    "SkillModel",
    "certify",
    "fit_gmm",
    "fit_lpv_ds",
    "fit_seds",
    "fit_skill",
    "limit_speed",
    "load_model",
    "parameters_checksum",
    "project",
    "project_parameters",
    "rollout",
    "rotate",
    "save_model",
    "translate",
]
