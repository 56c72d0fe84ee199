-- Small parts of events keep all columns in one file. As wide ones they are some 400 files each, for the columns
-- and the maps of properties: creating and deleting them is a quarter of what storing costs (docs/decisions/0154).
ALTER TABLE events $on_cluster MODIFY SETTING min_bytes_for_wide_part = 134217728;
