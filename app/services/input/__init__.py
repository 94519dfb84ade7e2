"""What a batch is made of: documents, prompts, models, ready-made tasks."""
