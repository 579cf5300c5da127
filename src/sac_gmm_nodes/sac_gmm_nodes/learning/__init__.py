"""Decisions and episodes: the adapter, the episode manager and the client that asks for episodes.

Nodes: `sac_adapter`, `episode_manager`, `skill_client`.
Helper: `episode_gatherer`.
"""
