"""What generated images do to a classifier."""
