package main

import "github.com/spf13/cobra"

func newDevice(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "device",
		GroupID: groupAccount,
		Short:   "The devices of your account",
		Long: `All devices of an account are equal: each has keys of its own, gets every message,
and can let further ones in. If all are lost, the account comes back with a
recovery phrase that you have made before and kept on paper.`,
		Example: "  posthorn device list\n  posthorn device remove 4f2a\n  posthorn device recovery create",
		Args:    noSubcommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newDeviceList(a), newDeviceLink(a), newDeviceApprove(a), newDeviceRenew(a), newDeviceRotate(a), newDeviceRename(a), newDeviceRemove(a),
		newDeviceRecovery(a), newDeviceHold(a), newDeviceRecover(a),
	)
	return cmd
}
