"""What `xrec validate-data` finds in raw tables."""
