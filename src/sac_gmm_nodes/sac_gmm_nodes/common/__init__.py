"""Code shared by nodes. No node lives here.

Helpers: `node` (start, end, parameters), `lifecycle`, `qos`, `polling`, `pace`, `conversions`, `pictures`,
`optional_messages`, `keyboard`, `early`, `episode_times`.
"""
