"""The system below: files, locks and the cache; cores, threads and processes; the terminal; installed extras."""
