"""Benchmarks of the control loop, and of the whole chain over hours."""
