"""Gaussian mixtures: EM, selection, regression and edits."""
