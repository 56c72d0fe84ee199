"""How Penstock is deployed: container files, monitoring, and the servers of one development machine."""
