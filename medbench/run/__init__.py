"""What a run leaves: its files, written whole and sealed, their records and check, logs, status."""
