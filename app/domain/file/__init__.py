"""Files of the API at /v1, and the batches that are made of them: ids, limits, windows and statuses."""
