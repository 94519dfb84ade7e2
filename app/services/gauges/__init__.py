"""What /metrics counts in the database at each scrape, by reads whose cost does not follow from the number of tasks."""
