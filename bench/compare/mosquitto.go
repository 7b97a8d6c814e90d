//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// mosquitto with its package's default store, which writes to disk every half
// an hour, and without a bound on what waits.
type mosquitto struct{}

func (mosquitto) round(ctx context.Context, k task) (r result, err error) {
	err = withPeer(ctx, "mosquitto", mosquitto{}.configure, func(address string) (err error) {
		r, err = runMQTT(ctx, address, k)
		return err
	})
	return r, err
}

func (mosquitto) configure(folder, port string) (string, []string, error) {
	config := filepath.Join(folder, "mosquitto.conf")
	return "/usr/sbin/mosquitto", []string{"-c", config}, os.WriteFile(config, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\n"+
		"max_queued_messages 0\nmax_inflight_messages 0\npersistence true\npersistence_location "+folder+"/\nlog_type error\n"), 0o644)
}

func runMQTT(ctx context.Context, address string, k task) (r result, err error) {
	listening, hangUp := context.WithCancel(ctx)
	defer hangUp()
	var arrived atomic.Int64
	for i := range k.receivers {
		m, err := dialMQTT(ctx, address, fmt.Sprintf("r%d", i))
		if err != nil {
			return r, err
		}
		if err := m.subscribe(fmt.Sprintf("to/%d", i)); err != nil {
			return r, err
		}
		go func() { _ = m.receive(listening, &arrived) }()
	}
	senders := make([]*mqtt, k.connections)
	for i := range senders {
		if senders[i], err = dialMQTT(ctx, address, fmt.Sprintf("s%d", i)); err != nil {
			return r, err
		}
	}
	body := make([]byte, k.body)
	_, _ = rand.Read(body)
	begun := time.Now()
	err = together(len(senders), func(i int) error {
		return senders[i].publish(fmt.Sprintf("to/%d", i%k.receivers), body, k.calls, k.ahead)
	})
	if err != nil {
		return r, err
	}
	waitFor(ctx, &arrived, k.messages())
	return result{perSecond: float64(k.messages()) / time.Since(begun).Seconds(), arrived: int(arrived.Load())}, nil
}
