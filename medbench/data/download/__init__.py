"""How the bytes of published files come here."""
