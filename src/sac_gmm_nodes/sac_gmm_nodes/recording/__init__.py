"""Nodes that record demonstrations and play them back."""
