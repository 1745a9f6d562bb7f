"""Results for people and other programs: tables, traces, pictures, reports."""
