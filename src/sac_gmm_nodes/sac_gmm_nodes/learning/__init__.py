"""Decisions and episodes: the adapter, the runner, the episode manager and the client that asks for episodes.

Nodes: `sac_adapter`, `skill_runner`, `episode_manager`, `skill_client`.
Helpers: `agent_pictures`, `episode_gatherer`, `state_input`, `given_skill`, `practice`, `guard_limits`,
`controller_watch`, `episode_request`.
"""
