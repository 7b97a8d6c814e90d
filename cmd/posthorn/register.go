package main

import (
	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/client/transport"
)

func newRegister(a *app) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:     "register NAME --server URL",
		GroupID: groupAccount,
		Short:   "Make an account on a server",
		Long: `Make an account: new keys on this device, a profile that only your passphrase
(or the key store of this system) opens, and a name on a server.

A name has 3 to 32 characters of a-z, 0-9, '.', '_' and '-'. The passphrase
comes from the file named in POSTHORN_PASSPHRASE_FILE; without one the key
store keeps the key; without either you are asked in the terminal. If the
server cannot be reached, run the same command again.`,
		Example: `  posthorn register alice --server https://posthorn.example
  posthorn --home /tmp/bob register bob --server http://127.0.0.1:7474`,
		Args: arguments(1, 1, "one NAME"),
	}
	cmd.Flags().StringVar(&server, "server", "", "`URL` of the server: https, or http on this machine")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := account.ParseName(args[0])
		if err != nil {
			return err
		}
		if server == "" {
			return usagef(cmd, "--server is missing")
		}
		if _, err := transport.ParseAddress(server); err != nil {
			return err
		}
		c, err := client.Register(cmd.Context(), a.config(), name, server)
		if err != nil {
			return err
		}
		a.say("note", "you are @"+string(name)+"; this profile is in "+a.home)
		return c.Close()
	}
	return cmd
}
