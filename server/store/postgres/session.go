package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// configure reads the URL and puts the checks of this package in the way of
// every connection. pgx tries the hosts of a URL one after the other until one
// passes, so a stale primary is passed over when there is a better one.
func configure(url string, o Options, seen *seen) (*pgxpool.Config, error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, fmt.Errorf("%w: it does not begin with postgres://", ErrURL)
	}
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("%w: it should look like postgres://user@host/database", ErrURL) // pgx's text repeats the URL
	}
	if o.Connections > 0 && !strings.Contains(url, "pool_max_conns") {
		c.MaxConns = int32(o.Connections)
	}
	c.PingTimeout = o.Patience
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	asked := c.ConnConfig.ValidateConnect // from target_session_attrs
	c.ConnConfig.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if asked != nil {
			if err := asked(ctx, conn); err != nil {
				return err
			}
		}
		return seen.examine(ctx, conn)
	}
	c.ConnConfig.OnNotice = noticeUnconfirmed
	c.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error {
		neverCancel(cc)
		return nil
	}
	c.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) {
		return seen.current(conn.PgConn()), nil
	}
	return c, nil
}

// unconfirmed marks a connection whose last commit was told off from waiting
// for a standby: it is done on the primary and may be lost with it.
const unconfirmed = "posthorn.unconfirmed"

// noticeUnconfirmed looks out for the warning that PostgreSQL gives then.
func noticeUnconfirmed(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.Code == "57014" || n.Code == "57P01" { // query canceled, admin shutdown
		c.CustomData()[unconfirmed] = true
	}
}

// confirmed is nil unless a commit on the connection may be lost.
func confirmed(c *pgx.Conn) error {
	if c.PgConn().CustomData()[unconfirmed] == nil {
		return nil
	}
	delete(c.PgConn().CustomData(), unconfirmed)
	return ErrUnknown
}

// neverCancel keeps pgx from asking the database to cancel a statement when a
// connection is given up. On a commit that waits for a standby that would end
// the wait and make the commit visible before it is safe.
func neverCancel(cc *pgx.ConnConfig) {
	var up atomic.Bool
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	cc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if up.Load() {
			return nil, errors.New("statements are not canceled")
		}
		return dialer.DialContext(ctx, network, addr)
	}
	validate := cc.ValidateConnect
	cc.ValidateConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		if err := validate(ctx, c); err != nil {
			return err
		}
		up.Store(true)
		return nil
	}
}

// server is what a connection leads to.
type server struct {
	postgres  bool   // PostgreSQL itself, Citus included
	standby   bool   // it only follows another
	system    string // system identifier; "" where there is none
	timeline  uint64 // 0 where there is none
	epoch     uint64 // from the table about
	moving    string // from the table about
	schema    uint64 // from the table about; 0: there is none yet
	writtenBy string // program that brought the schema to its version
	commit    string // synchronous_commit
	fsync     bool
	fullPages bool
	checksums bool
}

// look asks a new connection what it leads to.
func look(ctx context.Context, c *pgconn.PgConn) (v server, err error) {
	row, err := first(ctx, c, `SELECT version()`)
	if err != nil {
		return v, err
	}
	v.postgres = strings.HasPrefix(row[0], "PostgreSQL") && !strings.Contains(row[0], "-YB-")
	if row, err = first(ctx, c, `SHOW synchronous_commit`); err != nil {
		return v, err
	}
	v.commit, v.fsync, v.fullPages, v.checksums = row[0], true, true, true
	if v.postgres {
		if err := v.lookPostgres(ctx, c); err != nil {
			return v, err
		}
	}
	if v.standby {
		return v, nil
	}
	return v, v.lookAbout(ctx, c)
}

func (v *server) lookPostgres(ctx context.Context, c *pgconn.PgConn) error {
	row, err := first(ctx, c, `SELECT pg_is_in_recovery(), system_identifier, current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('data_checksums'), CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END FROM pg_control_system()`)
	if err != nil {
		return err
	}
	v.standby, v.system = row[0] == "t", row[1]
	v.fsync, v.fullPages, v.checksums = row[2] == "on", row[3] == "on", row[4] == "on"
	if v.standby {
		return nil
	}
	if len(row[5]) < 8 {
		return errors.New("postgres: no timeline in the name of a log file")
	}
	v.timeline, err = strconv.ParseUint(row[5][:8], 16, 32)
	return err
}

// lookAbout reads the table about, which a new database does not have.
func (v *server) lookAbout(ctx context.Context, c *pgconn.PgConn) error {
	row, err := first(ctx, c, `SELECT schema_version, epoch, written_by, moving FROM posthorn.about`)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "42P01" || e.Code == "3F000" || e.Code == errNoRow) {
		return nil // no such table, no such schema
	}
	if err != nil {
		return err
	}
	if v.schema, err = strconv.ParseUint(row[0], 10, 64); err != nil {
		return damaged("schema version")
	}
	if v.epoch, err = strconv.ParseUint(row[1], 10, 64); err != nil {
		return damaged("epoch")
	}
	v.writtenBy, v.moving = row[2], row[3]
	return nil
}

const errNoRow = "02000"

// first runs a query without arguments and returns its first row as texts.
func first(ctx context.Context, c *pgconn.PgConn, sql string) ([]string, error) {
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return nil, &pgconn.PgError{Severity: "ERROR", Code: errNoRow, Message: "a query gave no row"}
	}
	var row []string
	for _, v := range results[0].Rows[0] {
		row = append(row, string(v))
	}
	return row, nil
}

// set fixes the settings of a connection that the promises hang on, so that a
// change in the configuration of the database does not reach it. A node that the
// network has cut off in the middle of a transaction keeps the rows that it
// touched from all others until the database gives it up, so that comes soon: no
// transaction here waits for anything but the database.
func (v *server) set(ctx context.Context, c *pgconn.PgConn) error {
	sql := `SET synchronous_commit TO ` + v.commit
	if v.postgres {
		sql += `; SET default_transaction_isolation TO 'read committed'; SET default_transaction_read_only TO off;
			SET idle_in_transaction_session_timeout TO '5s'; SET statement_timeout TO 0; SET jit TO off;
			SET enable_seqscan TO off` // small tables too are gone through in the order of their keys, see plainAppend
	}
	_, err := c.Exec(ctx, sql).ReadAll()
	return err
}
