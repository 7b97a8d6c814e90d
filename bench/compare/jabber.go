//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// jabber is one of the XMPP servers.
type jabber struct {
	user      string // that its package runs it as
	configure configuration
}

// ejabberd with its package's defaults: mnesia, offline messages on disk. Only
// what would slow down or stop a load is changed: shapers, the offline quota,
// and the pause between registrations.
var ejabberd = jabber{"ejabberd", func(folder, port string) (string, []string, error) {
	config := filepath.Join(folder, "ejabberd.yml")
	err := errors.Join(os.WriteFile(config, []byte(`hosts: [localhost]
loglevel: 1
log_rotate_count: 0
registration_timeout: infinity
auth_password_format: plain
listen:
  - {port: `+port+`, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, starttls: false}
access_rules: {register: {allow: all}, c2s: {allow: all}}
shaper_rules: {max_user_offline_messages: infinity, max_user_sessions: 10, c2s_shaper: none}
modules:
  mod_register: {ip_access: all, access: register}
  mod_offline: {access_max_user_messages: max_user_offline_messages}
  mod_stream_mgmt: {}
  mod_roster: {}
`), 0o644),
		os.WriteFile(filepath.Join(folder, "ejabberdctl.cfg"), []byte("ERLANG_NODE=load@localhost\nEJABBERD_PID_PATH="+filepath.Join(folder, "pid")+"\n"), 0o644),
		os.WriteFile(filepath.Join(folder, "inetrc"), []byte("{lookup,[\"file\",\"native\"]}.\n{host,{127,0,0,1}, [\"localhost\"]}.\n"), 0o644))
	return "/usr/sbin/ejabberdctl", []string{"--config-dir", folder, "--config", config, "--ctl-config", filepath.Join(folder, "ejabberdctl.cfg"),
		"--spool", filepath.Join(folder, "spool"), "--logs", folder, "foreground"}, err
}}

// prosody with its package's default store: files.
var prosody = jabber{"prosody", func(folder, port string) (string, []string, error) {
	config := filepath.Join(folder, "prosody.cfg.lua")
	return "/usr/bin/prosody", []string{"--config", config, "-F"}, os.WriteFile(config, []byte(`
daemonize = false
pidfile = "`+filepath.Join(folder, "pid")+`"
data_path = "`+filepath.Join(folder, "spool")+`"
log = { error = "*console" }
modules_enabled = { "roster", "saslauth", "register", "smacks" }
modules_disabled = { "s2s", "tls" }
allow_registration = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
c2s_ports = { `+port+` }
c2s_interfaces = { "127.0.0.1" }
VirtualHost "localhost"
`), 0o644)
}}

func (j jabber) round(ctx context.Context, k task) (r result, err error) {
	err = withPeer(ctx, j.user, j.configure, func(address string) (err error) {
		r, err = (&jabberLoad{address: address, task: k}).run(ctx)
		return err
	})
	return r, err
}

// jabberLoad is one round against one server.
type jabberLoad struct {
	task
	address string
	arrived atomic.Int64
}

func (l *jabberLoad) run(ctx context.Context) (r result, err error) {
	senders, err := l.people(ctx, "s", l.connections, true)
	if err != nil {
		return r, err
	}
	if _, err := l.people(ctx, "r", l.receivers, false); err != nil {
		return r, err
	}
	listening, hangUp := context.WithCancel(ctx)
	defer hangUp()
	if l.online {
		if err := l.listen(listening); err != nil {
			return r, err
		}
	}
	begun := time.Now()
	if err := l.send(senders); err != nil {
		return r, err
	}
	took := time.Since(begun)
	if l.online {
		l.wait(ctx)
		took = time.Since(begun)
	} else if err := l.listen(listening); err != nil {
		return r, err
	}
	l.wait(ctx)
	return result{perSecond: float64(l.messages()) / took.Seconds(), arrived: int(l.arrived.Load())}, nil
}

// people makes accounts, and logs them in if asked.
func (l *jabberLoad) people(ctx context.Context, prefix string, n int, login bool) (all []*xmpp, err error) {
	for i := range n {
		name := fmt.Sprintf("%s%d", prefix, i)
		if _, err := dialXMPP(ctx, l.address, name, true); err != nil {
			return nil, err
		}
		if !login {
			continue
		}
		x, err := dialXMPP(ctx, l.address, name, false)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

func (l *jabberLoad) listen(ctx context.Context) error {
	for i := range l.receivers {
		x, err := dialXMPP(ctx, l.address, fmt.Sprintf("r%d", i), false)
		if err != nil {
			return err
		}
		go func() { _ = x.receive(ctx, &l.arrived) }()
	}
	if l.online {
		time.Sleep(time.Second) // until every presence is known
	}
	return nil
}

// send lets every sender write its messages.
func (l *jabberLoad) send(senders []*xmpp) error {
	return together(len(senders), func(i int) error {
		message := xmppMessage(fmt.Sprintf("r%d", i%l.receivers), l.body)
		return senders[i].send(message, l.calls, l.ahead)
	})
}

// wait ends when everything has arrived, or nothing more comes.
func (l *jabberLoad) wait(ctx context.Context) { waitFor(ctx, &l.arrived, l.messages()) }

// together runs n goroutines and returns the first failure.
func together(n int, run func(i int) error) error {
	failed := make(chan error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := run(i); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// waitFor ends when count has reached want, or has not moved for ten seconds.
func waitFor(ctx context.Context, count *atomic.Int64, want int) {
	last, moved := int64(-1), time.Now()
	for ctx.Err() == nil && count.Load() < int64(want) && time.Since(moved) < 10*time.Second {
		if now := count.Load(); now != last {
			last, moved = now, time.Now()
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// present says which of the servers' programs this machine lacks.
func present() (missing []string) {
	for _, program := range []string{"/usr/sbin/ejabberdctl", "/usr/bin/prosody", "/usr/sbin/mosquitto"} {
		if _, err := os.Stat(program); err != nil {
			missing = append(missing, filepath.Base(strings.TrimSuffix(program, "ctl")))
		}
	}
	return missing
}
