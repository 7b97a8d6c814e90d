-- One row for each mailbox. Its envelopes are exactly the numbers first..last.
CREATE TABLE posthorn.heads (
  box           bytea   PRIMARY KEY,
  first         bigint  NOT NULL DEFAULT 1,     -- lowest number kept
  last          bigint  NOT NULL DEFAULT 0,     -- highest number given out
  size          bigint  NOT NULL DEFAULT 0,     -- bytes of data in first..last
  expired       bigint  NOT NULL DEFAULT 0,     -- aged out since the owner last asked
  max_envelopes bigint  NOT NULL,               -- 0: the default
  max_size      bigint  NOT NULL,               -- 0: the default
  gone          boolean NOT NULL DEFAULT false, -- dropped for good
  crowded       boolean NOT NULL DEFAULT false, -- shares has a row for each of its senders
  node          text    NOT NULL DEFAULT '',    -- where it is read
  opened        bytea   NOT NULL DEFAULT ''     -- by which process; see opened
);

CREATE TABLE posthorn.envelopes (
  box    bytea  NOT NULL,
  seq    bigint NOT NULL,
  at     bigint NOT NULL, -- when it was accepted, in milliseconds since 1970
  id     bytea  NOT NULL,
  sender bytea  NOT NULL,
  data   bytea  NOT NULL,
  PRIMARY KEY (box, seq)
);

-- What each sender has in a crowded mailbox.
CREATE TABLE posthorn.shares (
  box       bytea  NOT NULL,
  sender    bytea  NOT NULL,
  envelopes bigint NOT NULL,
  size      bigint NOT NULL,
  PRIMARY KEY (box, sender)
);

CREATE TABLE posthorn.directory (
  key bytea  PRIMARY KEY,
  ver bigint NOT NULL,
  val bytea  NOT NULL
);

-- The values of a pool are the numbers first..next-1.
CREATE TABLE posthorn.pools (
  pool  bytea  PRIMARY KEY,
  first bigint NOT NULL,
  next  bigint NOT NULL
);

CREATE TABLE posthorn.pooled (
  pool bytea  NOT NULL,
  n    bigint NOT NULL,
  val  bytea  NOT NULL,
  PRIMARY KEY (pool, n)
);

-- The processes that have the store open; each renews its row.
CREATE TABLE posthorn.opened (
  id   bytea       PRIMARY KEY,
  seen timestamptz NOT NULL
);
