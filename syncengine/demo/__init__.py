"""The demo: an installation of its own on this machine, two simulated systems, and a comparison of what they hold."""
