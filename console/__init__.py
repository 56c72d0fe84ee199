"""The api process: what tenants and operators may read, under /penstock/v1. One file per resource."""
