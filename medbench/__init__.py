"""medbench: which generative augmenter helps a medical image classifier, by how much, and can the number be trusted?"""

__version__ = "0.1.0"
