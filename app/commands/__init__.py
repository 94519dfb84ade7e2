"""The operators' commands of `interlock`: an HTTP client like any other, which stands on the package `interlock`."""
