"""The methods that SAC-GMM is compared with."""
