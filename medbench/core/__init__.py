"""What everything stands on: errors, sections, arms and labels, metrics, random streams, fingerprints."""
