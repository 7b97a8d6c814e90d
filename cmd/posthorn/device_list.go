package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/internal/visible"
)

func newDeviceList(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the devices of your account",
		Long: `List the devices that get your messages, this one first. If one of them is not
yours, remove it. Names are your own: no server and no contact sees them. A device
that was removed shows itself as such, with the others as it last knew them.`,
		Example: "  posthorn device list\n  posthorn device list --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withProfile(cmd.Context(), func(c *client.Client) error {
			return a.showing(cmd.Context(), c, func(removed bool) error { return a.listDevices(cmd.Context(), c, removed, asJSON) })
		})
	}
	return cmd
}

func (a *app) listDevices(ctx context.Context, c *client.Client, removed, asJSON bool) error {
	devices, err := c.Devices(ctx)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := a.printDevice(d, asJSON); err != nil {
			return err
		}
	}
	recoverable, err := c.Recoverable(ctx)
	if err == nil && !recoverable && !removed {
		a.warnUnrecoverable()
	}
	return err
}

// warnUnrecoverable says what an account without a recovery key risks.
func (a *app) warnUnrecoverable() {
	a.say("note", "your account has no recovery key: whoever takes one of your devices while it is unlocked can take the account, and if you lose all devices nobody can give it back")
	a.say("hint", "run 'posthorn device recovery create' and keep the words on paper")
}

// ownDeviceJSON is what the device commands print with --json.
type ownDeviceJSON struct {
	Schema  string `json:"schema"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	This    bool   `json:"this"`
	AddedAt moment `json:"added_at"`
	Removed bool   `json:"device_removed,omitempty"` // true: it is this device, and off the account
}

func (a *app) printDevice(d client.Device, asJSON bool) error {
	if asJSON {
		return a.printJSON(ownDeviceJSON{"posthorn.device/1", d.ID.String(), d.Name, d.This, moment(d.AddedAt), d.Removed})
	}
	mark := ""
	switch {
	case d.Removed:
		mark = "  this device, removed from the account"
	case d.This:
		mark = "  this device"
	}
	_, err := fmt.Fprintf(a.stdout, "%.16s  %-24s  added %s%s\n", d.ID.String(), visible.Text(d.Name), clock(d.AddedAt), mark)
	return err
}

func newDeviceRemove(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Take a lost or old device off your account",
		Long: `Take a device off your account for good: it can send and fetch nothing from then
on, and contacts drop it when they next look you up. What it has received so far
stays readable on it. ID is the device's id, or how it begins.`,
		Example: "  posthorn device remove 4f2a\n  posthorn device remove 4f2a --json",
		Args:    arguments(1, 1, "one ID"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the removed device as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			d, err := c.FindDevice(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := c.RemoveDevices(cmd.Context(), d.ID); err != nil {
				return err
			}
			a.say("note", fmt.Sprintf("device %.16s is off your account: it can send and fetch nothing any more, and contacts drop it at their next look; what it had received it still has", d.ID.String()))
			if !asJSON {
				return nil
			}
			return a.printDevice(d, true)
		})
	}
	return cmd
}

func newDeviceRename(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rename ID NAME",
		Short: "Name one of your devices",
		Long: `Name one of your devices, on all of them. The name travels encrypted between your
devices alone. ID is the device's id, or how it begins.`,
		Example: "  posthorn device rename 4f2a laptop\n  posthorn device rename 4f2a \"work telephone\" --json",
		Args:    arguments(2, 2, "an ID and a NAME"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the device as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			d, err := c.FindDevice(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := c.RenameDevice(cmd.Context(), d.ID, args[1]); err != nil || !asJSON {
				return err
			}
			d, err = c.FindDevice(cmd.Context(), d.ID.String())
			if err != nil {
				return err
			}
			return a.printDevice(d, true)
		})
	}
	return cmd
}
