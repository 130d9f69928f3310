"""The report of a run as one html page."""
