"""What everything stands on: errors, sections, arms and labels, random streams, kinds by name, fingerprints."""
