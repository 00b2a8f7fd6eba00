"""Images and labels, read from wherever they are; nothing is learnt here."""
