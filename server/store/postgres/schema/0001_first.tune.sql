-- For PostgreSQL itself: what is deleted soon after it is written needs an
-- eager vacuum, a head is rewritten in place, ciphertext does not compress.
ALTER TABLE posthorn.heads SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_limit = 10000, autovacuum_vacuum_cost_delay = 1);
ALTER TABLE posthorn.envelopes SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_limit = 10000, autovacuum_vacuum_cost_delay = 1,
  toast.autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_vacuum_threshold = 1000);
ALTER TABLE posthorn.envelopes ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE posthorn.shares SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
ALTER TABLE posthorn.pooled SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE posthorn.pooled ALTER COLUMN val SET STORAGE EXTERNAL;
