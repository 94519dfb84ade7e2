"""The rows of the table: each module measures something, by functions that take a Bench and give Results."""
