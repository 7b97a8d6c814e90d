package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/content"
)

// The values of send --wait.
const (
	waitSent      = "sent"
	waitDelivered = "delivered"
)

// sending is the flags of send.
type sending struct {
	wait    string
	timeout time.Duration
	json    bool
	attach  []string
}

func newSend(a *app) *cobra.Command {
	var s sending
	cmd := &cobra.Command{
		Use:     "send @NAME [TEXT]",
		GroupID: groupTalk,
		Short:   "Send a text, or files",
		Long: `Send a text of at most 64 KiB. Without TEXT it is read from standard input,
byte for byte: a newline at its end is part of it.

With -a a file goes with it, or several, and the text may be left out. Files are
sealed on this machine and uploaded; the message says where they lie and what
opens them. If the upload is interrupted, the same command goes on where it
stopped. --timeout does not count the upload.

The command succeeds once the server has stored the message durably, or with
--wait delivered once every device of the recipient has confirmed it, which
only people who have you as a contact do. If the server is out of reach the
text is kept, encrypted, and goes out with a later command.`,
		Example: `  posthorn send @bob "See you at eight"
  posthorn send @bob --wait delivered --timeout 1m "Are you there?"
  posthorn send @bob < letter.txt
  posthorn send @bob -a minutes.pdf -a photo.jpg "From this morning"
  posthorn send @bob -- "-- begins with a dash"`,
		Args: arguments(1, 2, "@NAME and one TEXT in quotes"),
	}
	cmd.Flags().StringVar(&s.wait, "wait", waitSent, "wait until the message is `sent or delivered`")
	cmd.Flags().DurationVar(&s.timeout, "timeout", 30*time.Second, "give up after this `time`; the text is kept")
	cmd.Flags().StringArrayVarP(&s.attach, "attach", "a", nil, "attach this `file`; may be given up to 16 times")
	cmd.Flags().BoolVar(&s.json, "json", false, "print the id and the state as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.send(cmd, s, args) }
	return cmd
}

func (a *app) send(cmd *cobra.Command, s sending, args []string) error {
	to, err := parsePeer(args[0])
	if err != nil {
		return err
	}
	if s.wait != waitSent && s.wait != waitDelivered {
		return usagef(cmd, "--wait is %q; it may be %s or %s", s.wait, waitSent, waitDelivered)
	}
	if s.timeout <= 0 {
		return usagef(cmd, "--timeout must be longer than nothing")
	}
	text, err := a.textFor(s, args[1:])
	if err != nil {
		return err
	}
	return a.withServer(cmd.Context(), func(c *client.Client) error {
		files, err := a.upload(cmd.Context(), c, to, s.attach)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
		defer cancel()
		sent, err := transmit(ctx, c, to, text, files)
		if err != nil {
			return err
		}
		if s.wait == waitDelivered {
			if err := c.WaitDelivered(ctx, sent.ID); err != nil {
				return undelivered(cmd.Context(), err, s.timeout)
			}
		}
		return a.printSent(s, string(to), sent.ID, files)
	})
}

// upload brings the attached files to the server, with a bar on a terminal.
func (a *app) upload(ctx context.Context, c *client.Client, to account.Name, paths []string) ([]content.File, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	bar := a.newBar("uploading")
	files, err := c.Upload(ctx, to, paths, bar.tell)
	bar.end()
	if failed, ok := errors.AsType[*client.FileError](err); ok && len(paths) > 1 {
		a.say("note", "this is about "+failed.Name)
	}
	return files, err
}

func transmit(ctx context.Context, c *client.Client, to account.Name, text string, files []content.File) (client.Sent, error) {
	if len(files) == 0 {
		return c.Send(ctx, to, text)
	}
	return c.SendFiles(ctx, to, text, files)
}

// undelivered tells a text that is on its way from one that is not.
func undelivered(ctx context.Context, err error, waited time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return timeout("the server has the message, but no receipt came within %s", waited)
	}
	return err
}

// sentJSON is what send --json prints.
type sentJSON struct {
	Schema string `json:"schema"`
	ID     string `json:"id"`
	To     string `json:"to"`
	State  string `json:"state"`

	Attachments []attachmentJSON `json:"attachments,omitempty"`
}

func (a *app) printSent(s sending, to string, id content.ID, files []content.File) error {
	if !s.json {
		return nil
	}
	out := sentJSON{Schema: "posthorn.sent/1", ID: id.String(), To: to, State: s.wait}
	for _, f := range files {
		out.Attachments = append(out.Attachments, attachmentJSON{ID: f.ID.String(), Name: client.SafeName(f.Name), Size: f.Size, Type: f.Type})
	}
	return a.printJSON(out)
}

// textFor is textOf, but with files the text may be left out and standard input
// is not read.
func (a *app) textFor(s sending, args []string) (string, error) {
	if len(s.attach) > 0 && len(args) == 0 {
		return "", nil
	}
	return a.textOf(args)
}

// textOf takes the text from the arguments, else from standard input. It reads
// no more than tells a text that is too long.
func (a *app) textOf(args []string) (string, error) {
	if len(args) > 0 {
		return checked(args[0])
	}
	if term.IsTerminal(int(a.stdin.Fd())) {
		a.say("note", "type the text and end it with Ctrl-D on a line of its own")
	}
	text, err := io.ReadAll(io.LimitReader(a.stdin, content.MaxText+1))
	if err != nil {
		return "", err
	}
	return checked(string(text))
}

// checked refuses a text that could never be sent before the profile is opened.
func checked(text string) (string, error) {
	_, err := content.Encode(content.Message{Body: content.Text{Text: text}})
	return text, err
}
