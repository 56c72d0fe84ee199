"""What is kept: the warehouse, the registry, rate limits and GeoIP."""
