"""`python -m bench`: measures the service as it is deployed, beside what the database alone can do.

Ratios of alternating rounds are what counts; absolute figures belong to a machine and its hour. Every row counts
in the database afterwards what was answered: a figure whose rows do not add up is an error, not a figure.
"""
