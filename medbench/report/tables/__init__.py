"""The tables of a study, and the sentences below them."""
