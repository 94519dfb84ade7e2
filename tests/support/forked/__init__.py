"""Programs of this project that tests call many times: each call is a fork of a process that has made the imports."""
