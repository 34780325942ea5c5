"""transfer: a foreign query through an unchanged model: alignment, embedding, labels."""
