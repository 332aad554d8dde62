-- zones.sqlite, version 2: the configuration of the cluster as of applied_index.
-- Empty: nothing but the first configuration has been applied.
ALTER TABLE meta ADD COLUMN configuration BLOB NOT NULL DEFAULT x'';
