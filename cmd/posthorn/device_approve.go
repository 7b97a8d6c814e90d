package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/internal/visible"
)

// approveJSON is what the old device says about the one it let in.
type approveJSON struct {
	Schema  string      `json:"schema"`
	Device  string      `json:"device_id"`
	Name    string      `json:"name"`
	History historyJSON `json:"history"`
}

func newDeviceApprove(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "approve CODE",
		Short: "Let the device that shows a code onto this account",
		Long: `Let the device that shows a code onto this account. It gets keys of its own, your
contacts and your messages, and can do whatever this device can, also remove it.
On a terminal you are asked first; elsewhere the code itself says yes. A code is
good for ten minutes and for one device.

If it stops while messages go out, any later command of this device goes on.`,
		Example: "  posthorn device approve 4K7QZ-0M2XV-9T3RB-H6C8N-1WJ5D-PEFGA",
		Args:    arguments(1, 1, "one CODE"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the device as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			who, err := c.Approve(cmd.Context(), args[0], a.agree)
			if err != nil {
				return err
			}
			last, without, err := a.handOver(cmd.Context(), c, who)
			if err != nil || !asJSON {
				return err
			}
			return a.printJSON(approveJSON{
				Schema: "posthorn.device-approve/1", Device: hex.EncodeToString(who.Device[:]), Name: who.Label,
				History: historyJSON{last.Done, last.Total, last.Finished, without},
			})
		})
	}
	return cmd
}

// agree asks on a terminal. Without one, whoever gave the code has agreed.
func (a *app) agree(who client.Newcomer) (bool, error) {
	if !term.IsTerminal(int(a.stdin.Fd())) {
		return true, nil
	}
	fmt.Fprintf(a.stderr, "posthorn: let %q onto this account, with all contacts and messages? [y/N] ", visible.Text(who.Label))
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil {
		fmt.Fprintln(a.stderr)
		return false, nil
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// handOver sends the history. That the device is on the account stands whatever
// becomes of it. without says that the server takes nothing of it.
func (a *app) handOver(ctx context.Context, c *client.Client, who client.Newcomer) (last client.HistoryProgress, without bool, err error) {
	a.say("note", visible.Text(who.Label)+" is a device of this account now")
	if err := c.RenameDevice(ctx, who.Device, who.Label); err != nil && !errors.Is(err, client.ErrDeviceName) {
		return last, false, err
	}
	if err := refresh(ctx, c); err != nil {
		return last, false, err
	}
	progress := a.newBar("sending")
	err = c.ExportHistory(ctx, who.Device, func(p client.HistoryProgress) {
		last = p
		progress.history(p)
	})
	progress.end()
	switch {
	case errors.Is(err, client.ErrNoAttachments):
		a.say("note", "this server keeps no attachments, so contacts, what you verified and messages were not handed over; they stay on this device")
		return last, true, nil
	case errors.Is(err, client.ErrOffline), errors.Is(err, client.ErrNoRoom):
		a.say("note", "contacts and messages are not all handed over; later commands of this device go on")
		return last, false, nil
	}
	return last, false, err
}
