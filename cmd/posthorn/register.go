package main

import (
	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/invite"
)

func newRegister(a *app) *cobra.Command {
	var server, link, device string
	cmd := &cobra.Command{
		Use:     "register NAME --invite URL",
		GroupID: groupAccount,
		Short:   "Make an account on a server",
		Long: `Make an account: new keys on this device, a profile that only your passphrase
(or the key store of this system) opens, and a name on a server.

An invite is a link from the server's operator: it says where the server is, lets
you in once, and names the certificate of a server that made its own. A server
that is open to everybody needs no invite; then --server says where it is.

A name has 3 to 32 characters of a-z, 0-9, '.', '_' and '-'. The passphrase
comes from the file named in POSTHORN_PASSPHRASE_FILE; without one the key
store keeps the key; without either you are asked in the terminal. If the
server cannot be reached, run the same command again.`,
		Example: `  posthorn register alice --invite https://posthorn.example/i/AAECAwQFBgcICQoLDA0ODxAR
  posthorn register alice --server https://posthorn.example
  posthorn --home /tmp/bob register bob --server http://127.0.0.1:7474`,
		Args: arguments(1, 1, "one NAME"),
	}
	cmd.Flags().StringVar(&link, "invite", "", "the `URL` of an invite")
	cmd.Flags().StringVar(&server, "server", "", "`URL` of the server: https, or http on this machine")
	deviceNameFlag(cmd, &device, "device-name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := account.ParseName(args[0])
		if err != nil {
			return err
		}
		cfg := a.config()
		cfg.DeviceName = deviceLabel(device)
		c, err := a.register(cmd, cfg, name, server, link)
		if err != nil {
			return err
		}
		a.say("note", "you are @"+string(name)+"; this profile is in "+a.home)
		a.warnUnrecoverable()
		return c.Close()
	}
	return cmd
}

// register makes the account at the one place that the options name.
func (a *app) register(cmd *cobra.Command, cfg client.Config, name account.Name, server, link string) (*client.Client, error) {
	switch {
	case (server == "") == (link == ""):
		return nil, usagef(cmd, "say --invite with the link that you were given, or --server for a server that is open to everybody")
	case link != "":
		with, err := invite.Parse(link)
		if err != nil {
			return nil, err
		}
		return client.RegisterInvited(cmd.Context(), cfg, name, with)
	}
	if _, err := transport.ParseAddress(server); err != nil {
		return nil, err
	}
	return client.Register(cmd.Context(), cfg, name, server)
}
