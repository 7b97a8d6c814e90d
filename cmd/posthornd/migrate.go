package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/store"
)

func newMigrate(a *app) *cobra.Command {
	asked := moveRequest{}
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Move a running server into a database, and its attachments elsewhere",
		Long: `Move what a running server keeps to other places, without a restart: with --to its
embedded store into an empty PostgreSQL database, with --blobs-to its attachments
into a bucket or another folder, with both first the attachments, then the store.
From then on it must be started with --store and that database, and with --blobs
and that place.

While the store is copied and compared, clients can read and are told to send a
moment later. Attachments are copied, each held against its digest and read again
where it arrived, while files come and go; only the last of them make uploads
wait. Uploads that are on their way are begun again by their clients. A file that
is damaged is named, and then the old place stays in use. Nothing is deleted at
the old places.

When a move does not come to its end, for whatever reason, the old place stays in
use, and the same command can be given again: files that are there whole and
right are not copied again.

The variable POSTHORN_TO keeps a password in the URL out of the list of
processes. The credentials of a bucket must be in the environment of the server,
which is what opens it.`,
		Example: "  POSTHORN_TO=postgres://posthorn:PASSWORD@db/posthorn posthornd migrate --data /var/lib/posthorn --blobs-to 's3://NAME?region=REGION'\n  posthornd migrate --data /var/lib/posthorn --blobs-to /mnt/attachments",
		Args:    noArguments,
	}
	cmd.Flags().StringVar(&asked.To, "to", "", "`URL` of an empty database: postgres://USER@HOST/DATABASE")
	cmd.Flags().StringVar(&asked.BlobsTo, "blobs-to", "", "`place` for the attachments: a folder or a bucket, as --blobs of serve names it")
	return asking(cmd, func(ctx context.Context, q question, _ []string) error {
		if asked.To == "" && asked.BlobsTo == "" {
			return usage(cmd, "migrate needs a database, --to URL or the variable POSTHORN_TO, or a place for attachments, --blobs-to PLACE")
		}
		if asked.BlobsTo != "" && !isBucket(asked.BlobsTo) {
			path, err := filepath.Abs(asked.BlobsTo) // the server has another working folder
			if err != nil {
				return err
			}
			asked.BlobsTo = path
		}
		return a.migrate(ctx, q, asked)
	})
}

// moveRequest asks a running server to move.
type moveRequest struct {
	To      string `json:"to"`       // empty: the store stays
	BlobsTo string `json:"blobs_to"` // empty: the attachments stay
}

// moveAnswer says what was moved.
type moveAnswer struct {
	*store.Sum              // nil: the store was not
	Attachments *movedFiles `json:"attachments,omitempty"`
	Blobs       string      `json:"blobs"` // where attachments lie now
}

func (a *app) migrate(ctx context.Context, q question, asked moveRequest) error {
	watched := a.watchMove(ctx, q.data, asked)
	var done moveAnswer
	err := admin.Call(ctx, q.data, http.MethodPost, "/migrate", asked, &done)
	watched()
	if err != nil {
		return err
	}
	if q.asJSON {
		return a.printObject("posthornd.migrate/1", done)
	}
	return a.printMove(done)
}

func (a *app) printMove(done moveAnswer) error {
	text := ""
	if files := done.Attachments; files != nil {
		text += fmt.Sprintf(`attachments: %d copied and compared, %d were there already
The server keeps attachments at the new place. From now on start it with --blobs
and that place. What is at the old place is not used any more; keep it until
there is a backup of the new one.
`, files.Copied, files.Present)
		if files.Begun > 0 {
			text += fmt.Sprintf("%d uploads were on their way; their clients begin them again by themselves.\n", files.Begun)
		}
		if files.Missing > 0 {
			text += fmt.Sprintf("%d attachments were not at the old place any more, and nobody could fetch them:\n", files.Missing)
			for _, id := range files.MissingIDs {
				text += "  " + id + "\n"
			}
		}
	}
	if sum := done.Sum; sum != nil {
		text += fmt.Sprintf(`moved and compared: %d mailboxes with %d envelopes, %d dropped ones, %d directory values, %d values in pools
The server goes on from the database. From now on start it with --store and this
database, best in the variable POSTHORN_STORE. The folder %s in the data folder
is not used any more; keep it until there is a backup of the database.
`, sum.Mailboxes, sum.Envelopes, sum.Dropped, sum.Values, sum.Pooled, storeFolder)
	}
	if done.Attachments == nil {
		text += fmt.Sprintf("The attachments stay where they are, in %s; --blobs-to moves them.\n", done.Blobs)
	}
	_, err := fmt.Fprint(a.stdout, text)
	return err
}

// watchEvery is how often the server is asked how far a move is.
const watchEvery = 5 * time.Second

// watchMove says on standard error how far the attachments are, until the
// returned function is called.
func (a *app) watchMove(ctx context.Context, data string, asked moveRequest) (end func()) {
	if asked.BlobsTo == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.sayProgress(ctx, data)
			}
		}
	}()
	return func() { cancel(); <-ended }
}

func (a *app) sayProgress(ctx context.Context, data string) {
	var far moveProgress
	if err := admin.Call(ctx, data, http.MethodGet, "/migrate", nil, &far); err != nil || !far.Moving {
		return
	}
	fmt.Fprintf(a.stderr, "posthornd: attachments: %d copied (%d MiB), %d were there\n", far.Copied, far.Bytes>>20, far.There)
}
