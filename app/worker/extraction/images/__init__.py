"""Makes pictures of the pages of a document, for models that see."""
