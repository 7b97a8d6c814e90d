//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// mqtt is one MQTT 3.1.1 connection, at QoS 1: every publication is
// acknowledged, as every envelope of posthornd is.
type mqtt struct {
	conn net.Conn
	in   *bufio.Reader
}

// The packet types, in the high half of the first byte.
const (
	mqttConnect   = 0x10
	mqttPublish   = 0x32 // QoS 1
	mqttAck       = 0x40
	mqttSubscribe = 0x82
)

func dialMQTT(ctx context.Context, address, name string) (*mqtt, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	m := &mqtt{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	const cleanSession, noKeepAlive = 2, 0
	hello := append(mqttText("MQTT"), 4, cleanSession, noKeepAlive, noKeepAlive)
	_ = conn.SetDeadline(time.Now().Add(patience))
	if err := m.write(mqttConnect, append(hello, mqttText(name)...)); err != nil {
		return nil, err
	}
	if _, body, err := m.read(); err != nil || len(body) != 2 || body[1] != 0 {
		return nil, fmt.Errorf("MQTT connect: %w, %x", err, body)
	}
	return m, nil
}

func mqttText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func (m *mqtt) write(kind byte, body []byte) error {
	packet := append([]byte{kind}, binary.AppendUvarint(nil, uint64(len(body)))...)
	_, err := m.conn.Write(append(packet, body...))
	return err
}

func (m *mqtt) read() (kind byte, body []byte, err error) {
	if kind, err = m.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(m.in)
	if err != nil || n > 1<<20 {
		return 0, nil, fmt.Errorf("MQTT length %d: %w", n, err)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(m.in, body)
	return kind, body, err
}

// publish sends one message n times, as many at once as may be under way, and
// waits for the acknowledgement of each.
func (m *mqtt) publish(topic string, body []byte, n, ahead int) error {
	head, answered := mqttText(topic), uint16(0)
	return pipelined(m.conn, n, ahead, func(i int) []byte {
		packet := append([]byte{mqttPublish}, binary.AppendUvarint(nil, uint64(len(head)+2+len(body)))...)
		return append(binary.BigEndian.AppendUint16(append(packet, head...), uint16(i+1)), body...)
	}, func() error {
		answered++
		kind, answer, err := m.read()
		if err != nil || kind != mqttAck || binary.BigEndian.Uint16(answer) != answered {
			return fmt.Errorf("MQTT publish: %w, packet %x", err, kind)
		}
		return nil
	})
}

// subscribe asks for a topic at QoS 1.
func (m *mqtt) subscribe(topic string) error {
	const first, qos1 = 1, 1
	if err := m.write(mqttSubscribe, append(append([]byte{0, first}, mqttText(topic)...), qos1)); err != nil {
		return err
	}
	_, answer, err := m.read()
	if err != nil || len(answer) != 3 || answer[2] != qos1 {
		return fmt.Errorf("MQTT subscribe: %w, %x", err, answer)
	}
	return nil
}

// receive counts and acknowledges publications until ctx ends.
func (m *mqtt) receive(ctx context.Context, count *atomic.Int64) error {
	stop := context.AfterFunc(ctx, func() { _ = m.conn.Close() })
	defer stop()
	_ = m.conn.SetDeadline(time.Time{})
	for {
		kind, body, err := m.read()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if kind&0xf0 != 0x30 || len(body) < 4 {
			continue
		}
		topic := int(binary.BigEndian.Uint16(body))
		count.Add(1)
		if err := m.write(mqttAck, body[2+topic:4+topic]); err != nil {
			return err
		}
	}
}
