"""The rows of the table. Each function takes a Bench, measures something and returns Results."""
