"""History lines as text and back, and what they mean in the books: pure, no file is opened here."""
