"""What everything stands on: errors, sections, arms and labels, metrics, random streams, fingerprints."""

__version__ = "0.1.0"
