"""Pages, figures and films about runs and results."""
