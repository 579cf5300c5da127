"""Judging whether the task is done.

Node: `aruco_reward`.
"""
