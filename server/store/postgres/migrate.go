package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// migration is one step of the schema. Its number is its place, from 1.
type migration struct {
	sql  string
	tune string // for PostgreSQL alone
}

// migrations are the steps, in order.
func migrations() (list []migration) {
	names, _ := fs.Glob(schemaFiles, "schema/*.sql") // embedded: there is no error
	slices.Sort(names)
	for _, name := range names {
		sql, _ := schemaFiles.ReadFile(name)
		if strings.HasSuffix(name, ".tune.sql") { // sorts behind the step that it is for
			list[len(list)-1].tune = string(sql)
			continue
		}
		list = append(list, migration{sql: string(sql)})
	}
	return list
}

// newest is the version of the schema that this program knows.
func newest() uint64 { return uint64(len(migrations())) }

func refuseSchema(v server) error {
	return reject.New("V-122", store.ErrFormat, fmt.Sprintf("the database has schema %d, written by %s, and this program knows up to %d; nothing was changed", v.schema, v.writtenBy, newest()))
}

// foundation holds one row, which is the lock of migrations as well.
const foundation = `
CREATE SCHEMA IF NOT EXISTS posthorn;
CREATE TABLE IF NOT EXISTS posthorn.about (
  one            boolean PRIMARY KEY CHECK (one), -- there is one row
  schema_version bigint  NOT NULL,
  written_by     text    NOT NULL, -- the program that brought it to its version
  epoch          bigint  NOT NULL, -- raised by the operator; see docs/operator.md
  system         text    NOT NULL, -- system identifier of PostgreSQL
  timeline       bigint  NOT NULL, -- the highest that wrote here
  moving         text    NOT NULL  -- id of a move into this database; "done" before it: complete
);
INSERT INTO posthorn.about VALUES (true, 0, '', 0, '', 0, '') ON CONFLICT (one) DO NOTHING`

// migrate brings the schema of the database to the newest version. Processes
// that do so at once wait for each other and migrate once.
func migrate(ctx context.Context, c *pgx.Conn, o Options, v server) error {
	for {
		err := migrateOnce(ctx, c, o, v)
		if !met(err) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// met reports whether two processes laid the foundation at the same moment.
func met(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"23505", "42P06", "42P07", "42710", "40001", "40P01", "XX000"}, e.Code) &&
		(e.Code != "XX000" || strings.Contains(e.Message, "concurrently"))
}

func migrateOnce(ctx context.Context, c *pgx.Conn, o Options, v server) error {
	if v.schema == 0 {
		for _, sql := range strings.Split(foundation, ";\n") {
			if _, err := c.Exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT schema_version, written_by FROM posthorn.about WHERE one FOR UPDATE`).Scan(&v.schema, &v.writtenBy); err != nil {
			return err
		}
		steps := migrations()
		if v.schema > uint64(len(steps)) {
			return refuseSchema(v)
		}
		for _, m := range steps[v.schema:] {
			if _, err := tx.Exec(ctx, m.sql); err != nil {
				return err
			}
			if !v.postgres {
				continue
			}
			if _, err := tx.Exec(ctx, m.tune); err != nil {
				return err
			}
		}
		if err := settleMove(ctx, tx, o); err != nil {
			return err
		}
		return record(ctx, tx, o, v, len(steps))
	})
}

// record notes in the database what has written to it.
func record(ctx context.Context, tx pgx.Tx, o Options, v server, version int) error {
	var system string
	var timeline uint64
	err := tx.QueryRow(ctx, `SELECT system, timeline FROM posthorn.about WHERE one`).Scan(&system, &timeline)
	if err != nil {
		return err
	}
	if !o.Accept && system != "" && (system != v.system || v.timeline < timeline) {
		return stale("the database was last used as system %s on timeline %d, and is %s on %d; if that is meant, as after a restored dump, pg_upgrade or backup, start once with --store-accept",
			system, timeline, v.system, v.timeline)
	}
	if int(v.schema) < version {
		_, err = tx.Exec(ctx, `UPDATE posthorn.about SET schema_version = $1, written_by = $2, epoch = greatest(epoch, $3) WHERE one`, version, o.Program, int64(o.Epoch))
	}
	if err == nil && (system != v.system || timeline != v.timeline) {
		_, err = tx.Exec(ctx, `UPDATE posthorn.about SET system = $1, timeline = $2 WHERE one`, v.system, int64(v.timeline))
	}
	return err
}
