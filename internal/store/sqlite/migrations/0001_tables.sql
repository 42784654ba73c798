-- Ciphertext, hashes and signed bytes. Digests are 32-byte blobs.

PRAGMA application_id = 0x5454524E; -- "TTRN"

-- The one row is updated by every commit: its counts are the optimistic lock.
CREATE TABLE head (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  statements INTEGER NOT NULL,
  events     INTEGER NOT NULL,
  note       BLOB NOT NULL
) STRICT;
INSERT INTO head (id, statements, events, note) VALUES (1, 0, 0, x'');

CREATE TABLE statement (
  n    INTEGER PRIMARY KEY,
  link BLOB NOT NULL,
  body BLOB NOT NULL,
  sig  BLOB NOT NULL
) STRICT;

CREATE TABLE event (
  n      INTEGER PRIMARY KEY,
  leaf   BLOB NOT NULL,
  key    BLOB NOT NULL,
  sealed BLOB NOT NULL
) STRICT;

CREATE TABLE node (
  idx  INTEGER PRIMARY KEY,
  hash BLOB NOT NULL
) STRICT;

-- id is the order of arrival, which listing keeps.
CREATE TABLE blob (
  id    INTEGER PRIMARY KEY,
  hash  BLOB NOT NULL UNIQUE,
  kind  INTEGER NOT NULL,
  vault TEXT NOT NULL,
  item  TEXT NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX blob_by_vault ON blob (vault, kind);

CREATE TABLE consumed (
  id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
