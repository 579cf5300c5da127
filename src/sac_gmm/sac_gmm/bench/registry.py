"""The benchmarks by name: the one list of them."""

from __future__ import annotations

# Each benchmark is a module with `main(args) -> int`; it is imported only when it is asked for.
BENCHMARKS = {
    "gmr": ("sac_gmm.bench.models.gmr", "mixture regression: microseconds a state, against gmr and textbook numpy"),
    "em": ("sac_gmm.bench.models.em", "expectation maximisation: milliseconds a fit, against scikit-learn"),
    "lpv": ("sac_gmm.bench.models.lpv", "LPV-DS: solving for the gains; updating, projecting and certifying"),
    "lasa": ("sac_gmm.bench.models.lasa", "SEDS and LPV-DS on handwriting motions, by the published protocol"),
    "sac": ("sac_gmm.bench.rl.sac", "soft actor-critic: gradient updates a second, against stable-baselines3"),
    "aruco": (
        "sac_gmm.bench.perception.aruco",
        "markers on rendered pictures: detection, pose errors, false rewards, time",
    ),
    "sim": (
        "sac_gmm.bench.tasks.sim",
        "simulated tasks: a step against the bare physics under it; sensors, workers",
    ),
    "hands": ("sac_gmm.bench.perception.hands", "hand tracking: agreement with reference landmarks, frames a second"),
    "hand_demos": (
        "sac_gmm.bench.recording.hand_demos",
        "the door, shown with a hand before a camera or with the robot",
    ),
    "loop": ("sac_gmm.bench.control.loop", "the control loop: deadlines, computing, state to command, against a timer"),
    "soak": ("sac_gmm.bench.control.soak", "the whole chain for a long time: memory, missed messages, a clean end"),
    "view": ("sac_gmm.bench.view.view", "the live page: processor time, how soon it opens, an hour of 100 Gaussians"),
    "bag": ("sac_gmm.bench.recording.bag", "bags: rates of writing and reading; what a recording of two cameras drops"),
    "async": ("sac_gmm.bench.rl.async_learner", "learner beside a 30 Hz loop: deadlines, waits, updates per decision"),
    "contacts": ("sac_gmm.bench.tasks.contacts", "tunnelling and explosions over many episodes of random actions"),
    "tactile": ("sac_gmm.bench.tasks.tactile", "touch: time of a frame, and what it tells of where the hole lies"),
}
