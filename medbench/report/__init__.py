"""From a run's files to tables and figures."""
