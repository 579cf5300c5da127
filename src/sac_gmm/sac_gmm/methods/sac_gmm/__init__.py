"""SAC-GMM: soft actor-critic adapts the parameters of a Gaussian mixture."""
