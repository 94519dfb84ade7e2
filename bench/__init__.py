"""`python -m bench`: measures the service as it is deployed, and compares it with the database alone.

Compare the ratios of alternating rounds: absolute figures depend on the machine and on its load. After each
measurement, the rows in the database are counted. If they do not match the answers, the benchmark fails.
"""
