"""The consumers: they walk events through stages and sink them into ClickHouse."""
