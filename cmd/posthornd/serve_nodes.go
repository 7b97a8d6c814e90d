package main

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/bus"
)

// nodeOptions make this process one of several over one store.
type nodeOptions struct {
	bus         string
	credentials string
	name        string
}

func (o *nodeOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.bus, "bus", "", "`url` of the NATS server between several nodes: nats://HOST:PORT or tls://HOST:PORT")
	flags.StringVar(&o.credentials, "bus-credentials", "", "`file` with the credentials of a NATS user")
	flags.StringVar(&o.name, "node-name", "", "`name` of this node, one for each (default a new one at every start)")
}

// check refuses several nodes over a store that is one process's own.
func (o *nodeOptions) check(cmd *cobra.Command, shared bool) error {
	switch {
	case !shared && (o.bus != "" || o.name != ""):
		return usage(cmd, "--bus and --node-name are for several nodes, which need a PostgreSQL database; the embedded store serves one")
	case o.credentials != "" && o.bus == "":
		return usage(cmd, "--bus-credentials needs --bus")
	case o.name != "" && server.CheckNodeName(o.name) != nil:
		return usage(cmd, "--node-name has 1 to 32 letters a-z, digits and hyphens")
	}
	return nil
}

// place sets which node a server is, and its way to the others.
func (o *nodeOptions) place(options *server.Options, shared bool, log *slog.Logger) error {
	if !shared {
		return nil
	}
	if options.Node = o.name; o.name == "" {
		options.Node = randomNode()
	}
	if o.bus == "" {
		return nil
	}
	between, err := bus.New(bus.Options{URL: o.bus, Credentials: o.credentials, Log: log})
	if err != nil {
		return err
	}
	options.Bus = between
	return nil
}

// randomNode is a name that no other node has, nor this one had before, so that
// a start never waits for an older run to be given up.
func randomNode() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return "node-" + hex.EncodeToString(b[:])
}
