"""SAC-GMM: skills as Gaussian mixture dynamical systems, refined by soft actor-critic. Imports no ROS."""

__version__ = "0.1.0"
