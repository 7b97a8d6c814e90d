package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/content"
)

func newAttachment(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "attachment",
		GroupID: groupTalk,
		Short:   "Save or list the files that came with messages",
		Long: `Files travel apart from the message: they lie sealed on the server, for 30 days
unless its operator says otherwise, and are fetched when you ask for them.`,
		Example: `  posthorn attachment list
  posthorn attachment save 3f0c7a9e5b1d42688f21c0d4e7a9b355 Downloads`,
		Args: noSubcommand,
		RunE: runGroup,
	}
	cmd.AddCommand(newAttachmentSave(a), newAttachmentList(a))
	return cmd
}

func newAttachmentSave(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "save ID FOLDER",
		Short: "Fetch an attachment, verify it, and save it in a folder",
		Long: `Fetch an attachment, verify every part of it, and save it in a folder that is
there. The name is near to the sender's: without paths, control characters and
whatever else could do harm, and with a number behind it if it is taken, so that
nothing is overwritten. An attachment that is not exactly what the sender sent
is not saved, and the exit code is 4.

When the command is interrupted, the next one goes on where it stopped. The path
of the file is printed on standard output.`,
		Example: `  posthorn attachment save 3f0c7a9e5b1d42688f21c0d4e7a9b355 Downloads`,
		Args:    arguments(2, 2, "an ID and one FOLDER"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the path as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := content.ParseFileID(args[0])
		if err != nil {
			return &usageError{"the id of an attachment is 32 hexadecimal digits, nothing was done", "'posthorn attachment list' shows the ids"}
		}
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			bar := a.newBar("fetching")
			path, err := c.SaveAttachment(cmd.Context(), id, args[1], bar.tell)
			bar.end()
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(savedJSON{Schema: "posthorn.saved/1", ID: id.String(), Path: path})
			}
			_, err = fmt.Fprintln(a.stdout, visiblePath(path))
			return err
		})
	}
	return cmd
}

// savedJSON is what attachment save --json prints.
type savedJSON struct {
	Schema string `json:"schema"`
	ID     string `json:"id"`
	Path   string `json:"path"`
}

func newAttachmentList(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the attachments of all messages",
		Long:    "List the attachments of all messages, in the order of arrival. Whether the server still has them is not asked.",
		Example: "  posthorn attachment list --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			all, err := c.Attachments(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return a.printReceivedJSON(all)
			}
			return a.printReceived(all)
		})
	}
	return cmd
}

// receivedJSON is what attachment list --json prints for each.
type receivedJSON struct {
	Schema string `json:"schema"`
	attachmentJSON
	Conversation string `json:"conversation"`
	From         string `json:"from"`
	SentAt       moment `json:"sent_at"`
}

func (a *app) printReceivedJSON(all []client.Received) error {
	for _, r := range all {
		line := receivedJSON{
			Schema: "posthorn.attachment/1", attachmentJSON: attachmentOf(r.Attachment),
			Conversation: string(r.Conversation), From: string(r.From), SentAt: moment(r.SentAt),
		}
		if err := a.printJSON(line); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printReceived(all []client.Received) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, r := range all {
		fmt.Fprintf(table, "%s\t@%s\t%s\t%s\t%s\n", clock(r.SentAt), r.From, r.ID, amount(r.Size), r.Name)
	}
	return table.Flush()
}

// attachmentJSON is one attachment in JSON. The name is the safe one.
type attachmentJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Size uint64 `json:"size"`
	Type string `json:"type"`
}

func attachmentOf(a client.Attachment) attachmentJSON {
	return attachmentJSON{ID: a.ID.String(), Name: a.Name, Size: a.Size, Type: a.Type}
}

// attachmentsJSON is absent from the output where there are none.
func attachmentsJSON(all []client.Attachment) (list []attachmentJSON) {
	for _, a := range all {
		list = append(list, attachmentOf(a))
	}
	return list
}

// printAttachments prints one line for each attachment of a message. It begins
// at the margin, where no line of a message does, so that no text can pass for
// it; the safe name has no control characters.
func (a *app) printAttachments(all []client.Attachment) error {
	for _, f := range all {
		if _, err := fmt.Fprintf(a.stdout, "attached: %s (%s), 'posthorn attachment save %s FOLDER' saves it\n", f.Name, amount(f.Size), f.ID); err != nil {
			return err
		}
	}
	return nil
}

// amount is a size for people.
func amount(bytes uint64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	size, units := float64(bytes)/1024, []string{"KiB", "MiB", "GiB", "TiB"}
	for size >= 1023.95 && len(units) > 1 {
		size, units = size/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %s", size, units[0])
}
