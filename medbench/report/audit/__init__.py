"""The pages of an audit: what it found, with pictures."""
