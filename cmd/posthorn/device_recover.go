package main

import (
	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/invite"
)

// recoverOptions are the flags of device recover.
type recoverOptions struct {
	server, invite, code, device string
	removeOthers, asJSON         bool
}

func newDeviceRecover(a *app) *cobra.Command {
	var o recoverOptions
	cmd := &cobra.Command{
		Use:   "recover NAME --server URL",
		Short: "Take your account back with the recovery phrase",
		Long: `Make this new profile a device of your account with nothing but the recovery
phrase, which is asked for in a terminal or read from standard input. Messages of
earlier devices are not on it. Say --remove-others when they were lost or stolen.

A server with a certificate of its own is named by any invite link of it, used or
not. If a connection is lost, run the same command again.`,
		Example: `  posthorn device recover alice --server https://posthorn.example
  posthorn device recover alice --server https://posthorn.example --remove-others < phrase`,
		Args: arguments(1, 1, "one NAME"),
	}
	cmd.Flags().StringVar(&o.server, "server", "", "`URL` of the server: https, or http on this machine")
	cmd.Flags().StringVar(&o.invite, "invite", "", "the `URL` of an invite of the server, instead of --server")
	cmd.Flags().StringVar(&o.code, "account", "", "the account's public `CODE`, if you have it: nothing is done if the server shows another account")
	deviceNameFlag(cmd, &o.device, "device-name")
	cmd.Flags().BoolVar(&o.removeOthers, "remove-others", false, "take every other device off the account")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the new device as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := account.ParseName(args[0])
		if err != nil {
			return err
		}
		return a.recover(cmd, name, o)
	}
	return cmd
}

// recover reads the phrase and takes the account back.
func (a *app) recover(cmd *cobra.Command, name account.Name, o recoverOptions) error {
	r := client.Rescue{Name: name, Server: o.server, Code: o.code, RemoveOthers: o.removeOthers}
	switch {
	case (o.server == "") == (o.invite == ""):
		return usagef(cmd, "say --server, or --invite with a link of the server")
	case o.invite != "":
		link, err := invite.Parse(o.invite)
		if err != nil {
			return err
		}
		r.Server, r.Pin = link.Server, link.Pin
	}
	if _, err := transport.ParseAddress(r.Server); err != nil {
		return err
	}
	phrase, err := a.phrase()
	if err != nil {
		return err
	}
	defer phrase.Wipe()
	r.Phrase = &phrase
	cfg := a.config()
	cfg.DeviceName = deviceLabel(o.device)
	c, err := client.Recover(cmd.Context(), cfg, r)
	if err != nil {
		return err
	}
	a.say("note", "you are @"+string(name)+" again; this profile is in "+a.home)
	if o.code == "" {
		a.say("hint", "the public code of this account is "+c.PublicCode()+"; if yours was another, the server has shown you a false account")
	}
	if o.asJSON {
		if err = a.printThisDevice(cmd, c); err != nil {
			return err
		}
	}
	return c.Close()
}

func (a *app) printThisDevice(cmd *cobra.Command, c *client.Client) error {
	devices, err := c.Devices(cmd.Context())
	if err != nil {
		return err
	}
	return a.printDevice(devices[0], true)
}
