-- log.sqlite, version 1: the consensus log and the promises of this node.
PRAGMA application_id = 0x54524d4c; -- "TRML"

-- One row: who this store is, and the state beside the entries.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    store_id INTEGER NOT NULL,
    node_id INTEGER NOT NULL,
    members TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    compacted_index INTEGER NOT NULL,
    decided_index INTEGER NOT NULL,
    promise_configuration INTEGER,
    promise_number INTEGER,
    promise_priority INTEGER,
    promise_pid INTEGER,
    accepted_configuration INTEGER,
    accepted_number INTEGER,
    accepted_priority INTEGER,
    accepted_pid INTEGER
);

-- Contiguous from meta.compacted_index. decided_index is a hint as of the write of the row: kept here so
-- that a plain append touches one page only.
CREATE TABLE log (
    log_index INTEGER PRIMARY KEY,
    decided_index INTEGER NOT NULL,
    entry BLOB NOT NULL
);

-- The store id that each other member showed first.
CREATE TABLE peer (
    node_id INTEGER PRIMARY KEY,
    store_id INTEGER NOT NULL
);
