package sdk

import (
	"context"
	"io"
	"time"

	"github.com/thumbturn/thumbturn/api"
)

// OnWaiting is told about a request that now waits for a person. It may be nil.
type OnWaiting = func(api.Waiting)

// Status asks how the daemon is.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	var out api.Status
	err := c.call(ctx, api.OpStatus, nil, nil, reply{into: &out})
	return out, err
}

// Whoami asks whom the daemon takes the caller for.
func (c *Client) Whoami(ctx context.Context) (api.Whoami, error) {
	var out api.Whoami
	err := c.call(ctx, api.OpWhoami, nil, nil, reply{into: &out})
	return out, err
}

// Init makes an account and returns its recovery code, which nothing can show
// again.
func (c *Client) Init(ctx context.Context, in api.Init, unlock, presence []byte) (code []byte, err error) {
	return c.one(ctx, api.OpInit, in, unlock, presence)
}

// Recover sets both passphrases anew with the recovery code, which it uses up,
// and returns the next one.
func (c *Client) Recover(ctx context.Context, in api.Auth, code, unlock, presence []byte) (next []byte, err error) {
	return c.one(ctx, api.OpRecover, in, code, unlock, presence)
}

// Recovery replaces the recovery code and returns the new one, which nothing can
// show again.
func (c *Client) Recovery(ctx context.Context, in api.Auth, presence []byte) (code []byte, err error) {
	return c.one(ctx, api.OpRecovery, in, presence)
}

func (c *Client) one(ctx context.Context, op api.Op, in any, values ...[]byte) ([]byte, error) {
	var got [][]byte
	if err := c.call(ctx, op, in, values, reply{values: 1, got: &got}); err != nil {
		return nil, err
	}
	return got[0], nil
}

// Unlock opens the vaults and marks the caller's terminal session as a
// person's.
func (c *Client) Unlock(ctx context.Context, in api.Auth, passphrase []byte) error {
	return c.call(ctx, api.OpUnlock, in, [][]byte{passphrase}, reply{})
}

// UnlockPage opens the vaults by a passkey: wait hears of the page first.
func (c *Client) UnlockPage(ctx context.Context, in api.Auth, wait OnWaiting) error {
	return c.call(ctx, api.OpUnlockPage, in, nil, reply{waiting: wait})
}

// Page returns the address of the approval page, good for one use.
func (c *Client) Page(ctx context.Context) (api.PageURL, error) {
	var out api.PageURL
	err := c.call(ctx, api.OpPage, nil, nil, reply{into: &out})
	return out, err
}

// PasskeyAdd begins the enrolment of a passkey; PasskeyWait waits for its end.
func (c *Client) PasskeyAdd(ctx context.Context, in api.PasskeyAdd, presence, code []byte) (api.PasskeyBegun, error) {
	var out api.PasskeyBegun
	err := c.call(ctx, api.OpPasskeyAdd, in, [][]byte{presence, code}, reply{into: &out})
	return out, err
}

// PasskeyWait waits until the page is done with an enrolment.
func (c *Client) PasskeyWait(ctx context.Context, id string) (api.Passkey, error) {
	var out api.Passkey
	err := c.call(ctx, api.OpPasskeyEnd, api.RequestID{ID: id}, nil, reply{into: &out})
	return out, err
}

// Passkeys lists the passkeys.
func (c *Client) Passkeys(ctx context.Context) ([]api.Passkey, error) {
	var out []api.Passkey
	err := c.call(ctx, api.OpPasskeys, nil, nil, reply{into: &out})
	return out, err
}

// PasskeyRemove takes a passkey away.
func (c *Client) PasskeyRemove(ctx context.Context, in api.PasskeyRemove, presence []byte) error {
	return c.call(ctx, api.OpPasskeyDel, in, [][]byte{presence}, reply{})
}

// Lock closes the vaults and ends all that waits.
func (c *Client) Lock(ctx context.Context) error {
	return c.call(ctx, api.OpLock, nil, nil, reply{})
}

// LockAfter chooses how long the vaults may stay open unused; zero is for ever.
func (c *Client) LockAfter(ctx context.Context, after time.Duration) error {
	return c.call(ctx, api.OpLockAfter, api.LockAfter{After: after.Milliseconds()}, nil, reply{})
}

// Passphrase replaces the passphrase that in.Which names.
func (c *Client) Passphrase(ctx context.Context, in api.Passphrase, presence, old, new []byte) error {
	return c.call(ctx, api.OpPassphrase, in, [][]byte{presence, old, new}, reply{})
}

// VaultCreate makes a vault.
func (c *Client) VaultCreate(ctx context.Context, in api.VaultCreate, wait OnWaiting) (api.Vault, error) {
	var out api.Vault
	err := c.call(ctx, api.OpVaultCreate, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// VaultEdit changes what a vault takes.
func (c *Client) VaultEdit(ctx context.Context, in api.VaultEdit, wait OnWaiting) (api.Vault, error) {
	var out api.Vault
	err := c.call(ctx, api.OpVaultEdit, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// Vaults lists the vaults.
func (c *Client) Vaults(ctx context.Context) ([]api.Vault, error) {
	var out []api.Vault
	err := c.call(ctx, api.OpVaultList, nil, nil, reply{into: &out})
	return out, err
}

// ItemPut writes an item; values are those of the fields with Value true, in
// order.
func (c *Client) ItemPut(ctx context.Context, in api.ItemPut, values [][]byte, wait OnWaiting) (api.ItemPutReply, error) {
	var out api.ItemPutReply
	err := c.call(ctx, api.OpItemPut, in, values, reply{into: &out, waiting: wait})
	return out, err
}

// ItemGet describes an item, without its concealed values.
func (c *Client) ItemGet(ctx context.Context, in api.ItemGet, wait OnWaiting) (api.Item, error) {
	var out api.Item
	err := c.call(ctx, api.OpItemGet, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// ItemDelete deletes an item, also one in the archive.
func (c *Client) ItemDelete(ctx context.Context, in api.ItemGet, wait OnWaiting) error {
	return c.call(ctx, api.OpItemDelete, in, nil, reply{waiting: wait})
}

// ItemArchive puts an item away; with in.Archived it brings it back.
func (c *Client) ItemArchive(ctx context.Context, in api.ItemGet, wait OnWaiting) error {
	return c.call(ctx, api.OpItemArchive, in, nil, reply{waiting: wait})
}

// ItemMove moves an item to another vault.
func (c *Client) ItemMove(ctx context.Context, in api.ItemMove, wait OnWaiting) (api.Item, error) {
	var out api.Item
	err := c.call(ctx, api.OpItemMove, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// ItemHistory lists an item's revisions, oldest first, without their values.
func (c *Client) ItemHistory(ctx context.Context, in api.ItemGet) ([]api.Revision, error) {
	var out []api.Revision
	err := c.call(ctx, api.OpItemHistory, in, nil, reply{into: &out})
	return out, err
}

// ItemRevert makes an old revision the current one.
func (c *Client) ItemRevert(ctx context.Context, in api.ItemRevert, wait OnWaiting) (api.ItemPutReply, error) {
	var out api.ItemPutReply
	err := c.call(ctx, api.OpItemRevert, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// ItemDecide activates or rejects what an agent proposed.
func (c *Client) ItemDecide(ctx context.Context, in api.ItemDecide, wait OnWaiting) (api.ItemPutReply, error) {
	var out api.ItemPutReply
	err := c.call(ctx, api.OpItemDecide, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// ItemPurge erases the sealed values of a deleted item for good.
func (c *Client) ItemPurge(ctx context.Context, in api.ItemGet, wait OnWaiting) (api.Purged, error) {
	var out api.Purged
	err := c.call(ctx, api.OpItemPurge, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// Items calls f for each item, as they arrive.
func (c *Client) Items(ctx context.Context, in api.ItemList, f func(api.Item) error) error {
	return c.call(ctx, api.OpItemList, in, nil, reply{each: stream(f)})
}

// GrantCreate asks a person for a grant.
func (c *Client) GrantCreate(ctx context.Context, in api.GrantCreate, wait OnWaiting) (api.Grant, error) {
	var out api.Grant
	err := c.call(ctx, api.OpGrantCreate, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// Grants lists the grants.
func (c *Client) Grants(ctx context.Context, in api.GrantList) ([]api.Grant, error) {
	var out []api.Grant
	err := c.call(ctx, api.OpGrantList, in, nil, reply{into: &out})
	return out, err
}

// GrantRevoke ends a grant, by name or id.
func (c *Client) GrantRevoke(ctx context.Context, name string) error {
	return c.call(ctx, api.OpGrantRevoke, api.GrantName{Name: name}, nil, reply{})
}

// Requests lists the requests that wait for a person, or all still known.
func (c *Client) Requests(ctx context.Context, in api.RequestList) ([]api.Pending, error) {
	var out []api.Pending
	err := c.call(ctx, api.OpRequests, in, nil, reply{into: &out})
	return out, err
}

// Request fetches one request with its canonical bytes.
func (c *Client) Request(ctx context.Context, id string) (api.Pending, error) {
	var out api.Pending
	err := c.call(ctx, api.OpRequest, api.RequestID{ID: id}, nil, reply{into: &out})
	return out, err
}

// Approve answers a request with the presence passphrase, or what else in says.
func (c *Client) Approve(ctx context.Context, in api.RequestID, presence []byte) error {
	return c.call(ctx, api.OpApprove, in, [][]byte{presence}, reply{})
}

// PIN tells how things are with the PIN and the TPM.
func (c *Client) PIN(ctx context.Context) (api.PIN, error) {
	var out api.PIN
	err := c.call(ctx, api.OpPIN, nil, nil, reply{into: &out})
	return out, err
}

// SetPIN makes a PIN of this device's TPM approve, in the place of one set before.
func (c *Client) SetPIN(ctx context.Context, in api.Auth, presence, pin []byte) error {
	return c.call(ctx, api.OpPINSet, in, [][]byte{presence, pin}, reply{})
}

// RemovePIN takes the PIN away.
func (c *Client) RemovePIN(ctx context.Context, in api.Auth, presence []byte) error {
	return c.call(ctx, api.OpPINRemove, in, [][]byte{presence}, reply{})
}

// Deny refuses a request, or ends a lease.
func (c *Client) Deny(ctx context.Context, id string) error {
	return c.call(ctx, api.OpDeny, api.RequestID{ID: id}, nil, reply{})
}

// Mute refuses a request, and whatever else its session asks for a time.
func (c *Client) Mute(ctx context.Context, id string, life time.Duration) error {
	return c.call(ctx, api.OpDeny, api.RequestID{ID: id, Mute: life.Milliseconds()}, nil, reply{})
}

// Unmute lets the session of a refused request ask again.
func (c *Client) Unmute(ctx context.Context, id string) error {
	return c.call(ctx, api.OpUnmute, api.RequestID{ID: id}, nil, reply{})
}

// Events calls f for each event that the filter selects.
func (c *Client) Events(ctx context.Context, in api.AuditFilter, f func(api.Event) error) error {
	return c.call(ctx, api.OpAuditList, in, nil, reply{each: stream(f)})
}

// Verify has the daemon check its whole ledger.
func (c *Client) Verify(ctx context.Context) (api.Verified, error) {
	var out api.Verified
	err := c.call(ctx, api.OpAuditVerify, nil, nil, reply{into: &out})
	return out, err
}

// Export calls f for each line of an export of the ledger.
func (c *Client) Export(ctx context.Context, f func(api.Line) error) error {
	return c.call(ctx, api.OpAuditExport, nil, nil, reply{each: stream(f)})
}

// Anchor returns the signed head of the ledger, to be kept elsewhere.
func (c *Client) Anchor(ctx context.Context) (api.Anchor, error) {
	var out api.Anchor
	err := c.call(ctx, api.OpAuditAnchor, nil, nil, reply{into: &out})
	return out, err
}

// Proof returns the proof of one receipt, to be kept byte for byte.
func (c *Client) Proof(ctx context.Context, in api.AuditProof) (api.Line, error) {
	var out api.Line
	err := c.call(ctx, api.OpAuditProof, in, nil, reply{into: &out})
	return out, err
}

// Restore accepts the present database after a rollback was detected.
func (c *Client) Restore(ctx context.Context, in api.Auth, presence []byte) (api.Restored, error) {
	var out api.Restored
	err := c.call(ctx, api.OpRestore, in, [][]byte{presence}, reply{into: &out})
	return out, err
}

// Backup calls f for each piece of a backup: ciphertext, and no share.
func (c *Client) Backup(ctx context.Context, f func(api.Chunk) error) error {
	return c.call(ctx, api.OpBackup, nil, nil, reply{each: stream(f)})
}

// PutBack makes a backup of size bytes the home's database. The daemon then
// replaces itself.
func (c *Client) PutBack(ctx context.Context, in api.Auth, presence []byte, size int64, backup io.Reader) (api.Restored, error) {
	var out api.Restored
	values, long, err := parcels(size, backup)
	if err == nil {
		err = c.call(ctx, api.OpPutBack, in, append([][]byte{presence}, values...), reply{into: &out, long: long})
	}
	return out, err
}

// parcels lays a backup out as a value or, where it is longer than one may be, as
// streams.
func parcels(size int64, backup io.Reader) (values [][]byte, long []Long, err error) {
	if size <= api.MaxValue {
		whole := make([]byte, max(size, 0))
		if _, err := io.ReadFull(backup, whole); err != nil {
			return nil, nil, errChanged
		}
		return [][]byte{whole}, nil, nil
	}
	n := (size + api.MaxStream - 1) / api.MaxStream
	each := (size + n - 1) / n // of about the same length, so that none is too short
	for ; size > each; size -= each {
		long = append(long, Long{Size: each, From: io.LimitReader(backup, each)})
	}
	return nil, append(long, Long{Size: size, From: backup}), nil
}

// RecoverFrom makes another device's backup, of size bytes, this home's database by
// the recovery code. The daemon then replaces itself. It returns the new code, which
// the caller wipes.
func (c *Client) RecoverFrom(ctx context.Context, in api.Auth, code, unlock, presence []byte, size int64, backup io.Reader) (api.Restored, []byte, error) {
	var out api.Restored
	var got [][]byte
	values, long, err := parcels(size, backup)
	if err == nil {
		err = c.call(ctx, api.OpRecoverFrom, in, append([][]byte{code, unlock, presence}, values...), reply{into: &out, values: 1, got: &got, long: long})
	}
	if err != nil {
		return out, nil, err
	}
	return out, got[0], nil
}

// Installation returns the public half of the daemon's device.
func (c *Client) Installation(ctx context.Context) (api.Installation, error) {
	var out api.Installation
	err := c.call(ctx, api.OpDeviceShow, nil, nil, reply{into: &out})
	return out, err
}

// DeviceMove gives the ledger to another device. Backup then gives what that one
// accepts.
func (c *Client) DeviceMove(ctx context.Context, in api.DeviceMove, presence []byte) error {
	return c.call(ctx, api.OpDeviceMove, in, [][]byte{presence}, reply{})
}

// DeviceStay takes DeviceMove back.
func (c *Client) DeviceStay(ctx context.Context, in api.Auth, presence []byte) error {
	return c.call(ctx, api.OpDeviceStay, in, [][]byte{presence}, reply{})
}

// DeviceAccept makes what was moved here, a backup of size bytes, the home's
// database. The daemon then replaces itself.
func (c *Client) DeviceAccept(ctx context.Context, in api.Auth, size int64, backup io.Reader) (api.Restored, error) {
	var out api.Restored
	values, long, err := parcels(size, backup)
	if err == nil {
		err = c.call(ctx, api.OpDeviceTake, in, values, reply{into: &out, long: long})
	}
	return out, err
}

// Policy returns the policy in force.
func (c *Client) Policy(ctx context.Context) (api.Policy, error) {
	var out api.Policy
	err := c.call(ctx, api.OpPolicyShow, nil, nil, reply{into: &out})
	return out, err
}

// PolicyApply makes a text the policy in force.
func (c *Client) PolicyApply(ctx context.Context, in api.PolicyApply, wait OnWaiting) error {
	return c.call(ctx, api.OpPolicyApply, in, nil, reply{waiting: wait})
}

// Stop ends the daemon.
func (c *Client) Stop(ctx context.Context) error {
	return c.call(ctx, api.OpStop, nil, nil, reply{})
}
