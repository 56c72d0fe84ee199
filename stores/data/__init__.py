"""Data that ships with Penstock: DB-IP Lite countries (CC BY 4.0, by DB-IP.com; see NOTICE)."""
