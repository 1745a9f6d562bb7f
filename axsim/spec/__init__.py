"""What people write: chips and workloads as YAML, checked, explained, or made from a checkpoint."""
