package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/admin"
)

func newLogPolicy(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show or change which witnesses clients ask for",
		Long: `A client believes a checkpoint of the log only with the signatures that the log's
policy asks for. The log begins with a policy and can go on to others: each has to
be signed by the witnesses of the one before it.`,
		Example: "  posthornd log policy show --data /var/lib/posthorn\n  posthornd log policy set witnesses --data /var/lib/posthorn",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLogPolicyShow(a), newLogPolicySet(a))
	return cmd
}

// printedPolicy is what log policy show and set print with --json.
type printedPolicy struct {
	Number    uint32   `json:"number"` // 0: the log began with it
	Witnesses []string `json:"witnesses"`
	Policy    string   `json:"policy"`
}

func policyOf(p *kt.Policy) printedPolicy {
	return printedPolicy{p.Standing().Number, append([]string{}, p.Witnesses()...), string(p.Text())}
}

func newLogPolicyShow(a *app) *cobra.Command {
	return asking(&cobra.Command{
		Use:     "show",
		Short:   "Print the policy that clients ask for",
		Long:    "Print the newest policy of the log, in the form of C2SP tlog-policy: the log's keys, witnesses and quorum. A server may run on the folder.",
		Example: "  posthornd log policy show --data /var/lib/posthorn\n  posthornd log policy show --data data --json",
		Args:    noArguments,
	}, func(_ context.Context, q question, _ []string) error {
		_, policies, err := ktlog.ReadPublic(filepath.Join(q.data, logFolder))
		if err != nil {
			return err
		}
		return a.printPolicy(policyOf(policies[len(policies)-1]), q.asJSON)
	})
}

func (a *app) printPolicy(p printedPolicy, asJSON bool) error {
	if asJSON {
		return a.printObject("posthornd.log-policy/1", p)
	}
	_, err := fmt.Fprint(a.stdout, p.Policy)
	return err
}

func newLogPolicySet(a *app) *cobra.Command {
	return asking(&cobra.Command{
		Use:   "set FILE",
		Short: "Have clients ask for other witnesses from now on",
		Long: `Put the policy in FILE in force: witnesses, groups and a quorum, in the form of the
file for --log-witnesses. The running server writes it into the log, under a
checkpoint that meets the policy of before, and clients go on to it by themselves.

The server has to ask the witnesses of both policies already, so start it with a
file for --log-witnesses that wants them all. Once the new policy is in force, the
file may be that of the new policy alone. A policy cannot be taken back, only
followed by another one.`,
		Example: "  posthornd log policy set witnesses --data /var/lib/posthorn\n  posthornd log policy set witnesses --data data --json",
		Args:    oneArgument("one FILE"),
	}, func(ctx context.Context, q question, args []string) error {
		text, err := readPolicy(args[0])
		if err != nil {
			return err
		}
		var set printedPolicy
		if err := admin.Call(ctx, q.data, http.MethodPost, "/log/policy", policyOrder{text}, &set); err != nil {
			return err
		}
		return a.printPolicy(set, q.asJSON)
	})
}

// readPolicy reads the operator's file.
func readPolicy(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", &failure{exitUser, "the policy cannot be read: " + err.Error() + "; nothing was changed", "name a file with a policy"}
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, kt.MaxPolicy+1))
	if err != nil || len(raw) > kt.MaxPolicy {
		return "", &failure{exitUser, "the policy cannot be read or is too long; nothing was changed", "name a file with a policy"}
	}
	return string(raw), nil
}

// policyOrder asks a running server for a policy.
type policyOrder struct {
	Policy string `json:"policy"`
}

// policyTime bounds how long the command waits for witnesses.
const policyTime = 45 * time.Second

// setPolicy is the command behind posthornd log policy set.
func setPolicy(log *ktlog.Log) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var asked policyOrder
		if err := json.NewDecoder(io.LimitReader(r.Body, 4*kt.MaxPolicy)).Decode(&asked); err != nil {
			return &admin.Error{Kind: admin.KindRefused, Text: "the request cannot be read; nothing was changed", Hint: "use the posthornd of the same version"}
		}
		bounded, cancel := context.WithTimeout(r.Context(), policyTime)
		defer cancel()
		if err := log.SetPolicy(bounded, []byte(asked.Policy)); err != nil {
			return refusedPolicy(err)
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(policyOf(log.Policy()))
	}
}

func refusedPolicy(err error) error {
	why := ""
	if refused, ok := errors.AsType[*reject.Error](err); ok {
		why = ": " + refused.Detail
	}
	switch {
	case errors.Is(err, ktlog.ErrUnmet):
		return &admin.Error{Kind: admin.KindRefused, Text: strings.TrimPrefix(ktlog.ErrUnmet.Error(), "log: ") + why, Hint: "start the server with a file for --log-witnesses that asks for the witnesses of both policies, and set the new one then"}
	case errors.Is(err, ktlog.ErrPolicy):
		return &admin.Error{Kind: admin.KindRefused, Text: "the file has no policy that can be used" + why + "; nothing was changed", Hint: "check the lines witness, group and quorum in the file"}
	case errors.Is(err, ktlog.ErrWaiting):
		return &admin.Error{
			Kind: admin.KindFailed, Text: "the log waits for signatures of its witnesses; the new policy comes into force when they are there, if it is in the log already",
			Hint: "see 'posthornd log policy show', and whether all witnesses of both policies are asked and answer; then run the command again",
		}
	}
	return err
}
