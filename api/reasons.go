package api

// The reasons in an ErrorDetail. They never change their meaning, so programs
// may act on them; the text beside them is for people.
const (
	ReasonNameTaken          = "name_taken"
	ReasonAccountExists      = "account_exists" // under another name
	ReasonRegistrationClosed = "registration_closed"
	ReasonInviteUnknown      = "invite_unknown" // no such invite
	ReasonInviteUsed         = "invite_used"    // by another account
	ReasonInviteExpired      = "invite_expired"
	ReasonInviteRevoked      = "invite_revoked"
	ReasonAccountDisabled    = "account_disabled" // by the operator
	ReasonRosterChanged      = "roster_changed"   // the statement is not the next one any more
	ReasonRosterFull         = "roster_full"      // too many statements for this server
	ReasonAccountHeld        = "account_held"     // by its recovery key
	ReasonDeviceRemoved      = "device_removed"   // from the roster of its account
	ReasonBadHold            = "bad_hold"
	ReasonDeviceCloned       = "device_cloned" // another copy of its profile has gone on
	ReasonUnknownAccount     = "unknown_account"
	ReasonUnknownDevice      = "unknown_device"
	ReasonNoBundle           = "no_bundle"
	ReasonBadProof           = "bad_proof"
	ReasonNoToken            = "no_token" // missing, unknown or expired
	ReasonBadRequest         = "bad_request"
	ReasonBadStatement       = "bad_statement"
	ReasonBadBundle          = "bad_bundle"
	ReasonOldBundle          = "old_bundle"
	ReasonRateLimited        = "rate_limited"
	ReasonReplaced           = "replaced" // by a newer stream of the device
	ReasonStorage            = "storage"
	ReasonStopping           = "stopping"
	ReasonStarting           = "starting"       // the log is being read
	ReasonUnpublished        = "unpublished"    // stored, and not yet in the published log
	ReasonNoAttachments      = "no_attachments" // this server keeps none
	ReasonUnknownAttachment  = "unknown_attachment"
	ReasonAttachmentSize     = "attachment_size"  // over the server's limit
	ReasonAttachmentQuota    = "attachment_quota" // the account's room is used up
	ReasonBadDigest          = "bad_digest"
	ReasonPairingUnknown     = "pairing_unknown" // no such slot, or its time is over
	ReasonPairingTaken       = "pairing_taken"   // another message is there already
	ReasonPairingFull        = "pairing_full"    // no room for more pairings
)
