package main

import "github.com/spf13/cobra"

func newDevice(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "device",
		GroupID: groupAccount,
		Short:   "The devices of your account",
		Long: `All devices of an account are equal: each has keys of its own, gets every message,
and can let further ones in.`,
		Example: "  posthorn device link --server https://posthorn.example\n  posthorn device approve 4K7QZ-0M2XV-9T3RB-H6C8N-1WJ5D-PEFGA",
		Args:    noSubcommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeviceLink(a), newDeviceApprove(a), newDeviceRenew(a))
	return cmd
}
