"""Decisions and episodes: the adapter, the episode manager and the client that asks for episodes.

Nodes: `sac_adapter`, `episode_manager`, `skill_client`.
Helpers: `episode_gatherer`, `controller_watch`, `episode_request`.
"""
