"""Results for people and other programs: tables, files, traces."""
