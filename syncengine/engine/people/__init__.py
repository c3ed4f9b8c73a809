"""What operators do and see: held records, dead letters, links, previews, traces, status."""
