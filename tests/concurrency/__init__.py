"""Races, crashes and lost answers: real processes, real servers, a real PostgreSQL."""
