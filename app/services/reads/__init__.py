"""What lists and pages show; one reader for each noun."""
