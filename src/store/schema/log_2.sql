-- log.sqlite, version 2: the configuration that this node votes under is kept beside its promises.
-- NULL: the members of version 1 hold, as the first configuration. Its id was a digest of them.
ALTER TABLE meta ADD COLUMN configuration BLOB;
UPDATE meta SET promise_configuration = 1 WHERE promise_configuration IS NOT NULL;
UPDATE meta SET accepted_configuration = 1 WHERE accepted_configuration IS NOT NULL;
