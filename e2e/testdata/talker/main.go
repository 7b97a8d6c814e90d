// Command talker is a client that stays and writes on command, for tests that
// look into the memory of such a process. It opens the profile in its first
// argument and then reads lines from standard input: "NAME COUNT" sends that
// many texts and prints "delivered" once the recipient's device has confirmed
// the last one.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
)

func main() {
	if err := talk(); err != nil {
		fmt.Fprintln(os.Stderr, "talker:", err)
		os.Exit(1)
	}
}

func talk() error {
	c, err := client.Open(client.Config{Home: os.Args[1], Passphrase: passphrase})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		if err := c.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "talker:", err)
			os.Exit(1)
		}
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var name account.Name
		var count int
		if _, err := fmt.Sscan(lines.Text(), &name, &count); err != nil {
			return err
		}
		if err := burst(ctx, c, name, count); err != nil {
			return err
		}
		fmt.Println("delivered")
	}
	return nil
}

// burst sends count texts and waits for the last one's receipt.
func burst(ctx context.Context, c *client.Client, name account.Name, count int) error {
	var last client.Sent
	for i := range count {
		var err error
		if last, err = c.Send(ctx, name, fmt.Sprint("text ", i)); err != nil {
			return err
		}
	}
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		messages, err := c.Inbox(ctx, client.Filter{From: name, All: true})
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.ID == last.ID && m.State == "delivered" {
				return nil
			}
		}
	}
	return fmt.Errorf("no receipt from @%s within five minutes", name)
}

func passphrase(bool) ([]byte, error) {
	text, err := os.ReadFile(os.Getenv("POSTHORN_PASSPHRASE_FILE"))
	if err != nil {
		return nil, err
	}
	return text[:len(text)-1], nil // without its line ending
}
