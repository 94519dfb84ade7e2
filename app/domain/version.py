"""The version of Interlock."""

VERSION = "0.1.0"
