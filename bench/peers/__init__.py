"""Programs that do similar work, each in the virtual environment that `environment` makes: they are no dependencies.

Each module but `environment` is run there by its path, with nothing of this project. It prints version and rate.
"""
