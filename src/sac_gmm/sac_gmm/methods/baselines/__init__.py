"""The methods that SAC-GMM is compared with."""

from sac_gmm.methods.baselines.velocity import ResidualGmm, Sac, VelocityDecoder

__all__ = ["ResidualGmm", "Sac", "VelocityDecoder"]
