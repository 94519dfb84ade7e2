"""JSON in a model's answer: found, read leniently, checked against a schema."""
