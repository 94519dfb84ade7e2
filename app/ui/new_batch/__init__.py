"""The page on which a batch is created: the form, its preview, and what it makes."""
