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
	ca          string
	cert, key   string
	name        string
}

func (o *nodeOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.bus, "bus", "", "`url` of the NATS server between several nodes: nats://HOST:PORT or tls://HOST:PORT")
	flags.StringVar(&o.credentials, "bus-credentials", "", "`file` with the credentials of a NATS user, or with the seed of its nkey")
	flags.StringVar(&o.ca, "bus-ca", "", "`file` with the authorities that may vouch for a tls:// bus, in place of the system's")
	flags.StringVar(&o.cert, "bus-cert", "", "`file` with this node's certificate, for a tls:// bus that wants one")
	flags.StringVar(&o.key, "bus-key", "", "`file` with the key of --bus-cert")
	flags.StringVar(&o.name, "node-name", "", "`name` of this node, one for each (default a new one at every start)")
}

// check refuses several nodes over a store that is one process's own.
func (o *nodeOptions) check(cmd *cobra.Command, shared bool) error {
	switch {
	case !shared && (o.bus != "" || o.name != ""):
		return usage(cmd, "--bus and --node-name are for several nodes, which need a PostgreSQL database; the embedded store serves one")
	case o.credentials+o.ca+o.cert+o.key != "" && o.bus == "":
		return usage(cmd, "--bus-credentials, --bus-ca, --bus-cert and --bus-key need --bus")
	case (o.cert == "") != (o.key == ""):
		return usage(cmd, "--bus-cert and --bus-key belong together")
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
	between, err := bus.New(bus.Options{URL: o.bus, Credentials: o.credentials, CA: o.ca, Cert: o.cert, Key: o.key, Log: log})
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
