"""Baselines for comparison with SAC-GMM."""

from sac_gmm.methods.baselines.velocity import ResidualGmm, Sac, VelocityDecoder

__all__ = ["ResidualGmm", "Sac", "VelocityDecoder"]
