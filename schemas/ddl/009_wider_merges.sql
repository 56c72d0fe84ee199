-- A merge takes twice as many parts as by default, so that a row is written anew less often: merges are 40 % of what
-- storing costs (docs/decisions/0163).
ALTER TABLE events $on_cluster MODIFY SETTING merge_selector_base = 10;
