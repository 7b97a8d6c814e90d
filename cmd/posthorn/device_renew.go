package main

import (
	"encoding/hex"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
)

// renewJSON is the device that a copied profile has become.
type renewJSON struct {
	Schema  string `json:"schema"`
	Name    string `json:"name"`
	Account string `json:"account_id"`
	Device  string `json:"device_id"`
}

func newDeviceRenew(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Make a profile that was put back from a copy a device of its own",
		Long: `Make this profile a new device, with new keys, in the place of the one it was. A
profile that was put back from a backup, or copied, must not go on with the keys in
it: the server turns it away, and this command is the way back. Contacts and
messages stay. Any other copy of the profile is off the account by it.

If the account's devices have changed since the copy was made, remove this device
on another one and use 'posthorn device link' in a new folder.`,
		Example: "  posthorn device renew",
		Args:    arguments(0, 0, "no argument"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the new device as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client.Renew(cmd.Context(), a.config())
		if err != nil {
			return err
		}
		who := c.Self()
		if asJSON {
			err = a.printJSON(renewJSON{"posthorn.device-renew/1", string(who.Name), hex.EncodeToString(who.Account[:]), hex.EncodeToString(who.Device[:])})
		}
		if told := a.notices(cmd.Context(), c); err == nil {
			err = told
		}
		if closed := c.Close(); err == nil {
			err = closed
		}
		return err
	}
	return cmd
}
