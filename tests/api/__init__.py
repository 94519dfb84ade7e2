"""The HTTP edge, contract 5 call by call: one file for each endpoint or noun, works first, then each refusal."""
