"""From a URL and somebody's parquet to a jet table."""
