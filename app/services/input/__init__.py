"""The input of a batch: documents, prompts and models, or ready-made tasks."""
