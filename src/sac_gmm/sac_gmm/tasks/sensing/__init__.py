"""What a simulated task can sense: cameras, touch, and the groups of an observation."""
