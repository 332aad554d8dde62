-- zones.sqlite, version 1: what applying the log gave, written behind.
PRAGMA application_id = 0x54524d5a; -- "TRMZ"

-- One row: how much of which log is contained.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    store_id INTEGER, -- of the log.sqlite beside this file; NULL until the first start
    applied_index INTEGER NOT NULL,
    window BLOB NOT NULL
);

CREATE TABLE zone (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL,
    loading INTEGER NOT NULL,
    file_digest BLOB NOT NULL,
    extra BLOB NOT NULL
);

CREATE TABLE owner (
    zone INTEGER NOT NULL,
    key BLOB NOT NULL,
    node BLOB NOT NULL,
    PRIMARY KEY (zone, key)
) WITHOUT ROWID;

CREATE TABLE journal (
    zone INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    changeset BLOB NOT NULL,
    PRIMARY KEY (zone, log_index)
) WITHOUT ROWID;
