"""Nodes at the rate of decisions: the adapter, episodes, and the client that asks for them."""
