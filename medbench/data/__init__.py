"""Datasets: labelled images in MedMNIST's layout, with a card."""
