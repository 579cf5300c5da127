"""Code shared by nodes. No node lives here.

Helpers: `node` (start, end, parameters), `lifecycle`, `qos`, `polling`, `pace`, `conversions`, `pictures`,
`marker_search`, `optional_messages`, `keyboard`, `early`, `episode_times`.
"""
