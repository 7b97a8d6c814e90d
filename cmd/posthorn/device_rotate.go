package main

import (
	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/client"
)

// rotateJSON says when the earlier keys are gone.
type rotateJSON struct {
	Schema  string `json:"schema"`
	EraseAt moment `json:"erase_at"`
}

func newDeviceRotate(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Give up the keys with which others begin a conversation",
		Long: `Make new keys with which others begin a conversation with this device, and erase
the earlier ones an hour later, for when somebody may have had them. By itself that
happens once a week, when a device leaves your account, and when a copy of this
profile shows up. A text that was on its way for longer is asked for again.

It does not renew the keys of conversations that go on: 'posthorn session rekey
@NAME' does. If somebody may have the whole profile, link a new device and remove
this one.`,
		Example: "  posthorn device rotate\n  posthorn device rotate --json",
		Args:    arguments(0, 0, "no argument"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print when the earlier keys are erased as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withServer(cmd.Context(), func(c *client.Client) error {
			erased, err := c.RotatePrekeys(cmd.Context())
			if err != nil {
				return err
			}
			a.say("note", "this device has new keys for conversations that begin; the earlier ones are erased at "+clock(erased))
			if !asJSON {
				return nil
			}
			return a.printJSON(rotateJSON{"posthorn.device-rotate/1", moment(erased)})
		})
	}
	return cmd
}
