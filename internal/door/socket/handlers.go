package socket

import (
	"math"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/config"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// handler answers one operation in the states that serve it. values is the exact
// number of value frames, -1 for any. run takes no body and ignores what comes as
// one, unless with, done or tell names the message that it is.
type handler struct {
	states []string
	values int
	run    func(*call) error
}

// handlers is the whole door. What is not listed for a state is refused in it.
func handlers() map[api.Op]handler {
	const e, h, l, u = api.StateEmpty, api.StateHeld, api.StateLocked, api.StateUnlocked
	all, open := []string{e, h, l, u}, []string{u}
	return map[api.Op]handler{
		api.OpHello:       {all, 0, tell[api.Hello]((*call).hello)},
		api.OpStatus:      {all, 0, (*call).status},
		api.OpWhoami:      {all, 0, (*call).whoami},
		api.OpStop:        {all, 0, (*call).stop},
		api.OpInit:        {[]string{e}, 2, with[api.Init]((*call).init)},
		api.OpUnlock:      {[]string{h, l, u}, 1, done[api.Auth]((*call).unlock)},
		api.OpLock:        {[]string{l, u}, 0, (*call).lock},
		api.OpLockAfter:   {open, 0, done[api.LockAfter]((*call).lockAfter)},
		api.OpRecover:     {[]string{l, u}, 3, with[api.Auth]((*call).recover)},
		api.OpPassphrase:  {open, 3, done[api.Passphrase]((*call).passphrase)},
		api.OpRecovery:    {open, 1, with[api.Auth]((*call).recovery)},
		api.OpVaultCreate: {open, 0, tell[api.VaultCreate]((*call).vaultCreate)},
		api.OpVaultEdit:   {open, 0, tell[api.VaultEdit]((*call).vaultEdit)},
		api.OpVaultList:   {open, 0, (*call).vaultList},
		api.OpItemPut:     {open, -1, tell[api.ItemPut]((*call).itemPut)},
		api.OpItemGet:     {open, 0, tell[api.ItemGet]((*call).itemGet)},
		api.OpItemList:    {open, 0, tell[api.ItemList]((*call).itemList)},
		api.OpItemDelete:  {open, 0, done[api.ItemGet]((*call).itemDelete)},
		api.OpItemArchive: {open, 0, done[api.ItemGet]((*call).itemArchive)},
		api.OpItemMove:    {open, 0, tell[api.ItemMove]((*call).itemMove)},
		api.OpItemHistory: {open, 0, tell[api.ItemGet]((*call).itemHistory)},
		api.OpItemRevert:  {open, 0, tell[api.ItemRevert]((*call).itemRevert)},
		api.OpItemDecide:  {open, 0, tell[api.ItemDecide]((*call).itemDecide)},
		api.OpGrantCreate: {open, 0, tell[api.GrantCreate]((*call).grantCreate)},
		api.OpGrantList:   {open, 0, tell[api.GrantList]((*call).grantList)},
		api.OpGrantRevoke: {open, 0, done[api.GrantName]((*call).grantRevoke)},
		api.OpItemPurge:   {open, 0, tell[api.ItemGet]((*call).itemPurge)},
		api.OpRelease:     {[]string{l, u}, 0, with[api.Want]((*call).release)},
		api.OpRequests:    {[]string{l, u}, 0, tell[api.RequestList]((*call).requests)},
		api.OpRequest:     {[]string{l, u}, 0, tell[api.RequestID]((*call).request)},
		api.OpApprove:     {open, 1, done[api.RequestID]((*call).approve)},
		api.OpUnlockPage:  {[]string{l, u}, 0, done[api.Auth]((*call).unlockPage)},
		api.OpPage:        {[]string{h, l, u}, 0, (*call).page}, // held and locked too: a restore asks, and who waits for the vaults
		api.OpPasskeyAdd:  {open, 2, tell[api.PasskeyAdd]((*call).passkeyAdd)},
		api.OpPasskeyEnd:  {open, 0, tell[api.RequestID]((*call).passkeyWait)},
		api.OpPasskeys:    {open, 0, (*call).passkeys},
		api.OpPasskeyDel:  {open, 1, done[api.PasskeyRemove]((*call).passkeyRemove)},
		api.OpPIN:         {all, 0, (*call).pin},
		api.OpPINSet:      {open, 2, done[api.Auth]((*call).pinSet)},
		api.OpPINRemove:   {open, 1, done[api.Auth]((*call).pinRemove)},
		api.OpDeny:        {[]string{l, u}, 0, done[api.RequestID]((*call).deny)},
		api.OpUnmute:      {open, 0, done[api.RequestID]((*call).unmute)},
		api.OpAuditList:   {open, 0, tell[api.AuditFilter]((*call).auditList)},
		api.OpAuditVerify: {[]string{h, l, u}, 0, (*call).auditVerify},
		api.OpAuditExport: {[]string{h, u}, 0, (*call).auditExport},
		api.OpAuditAnchor: {[]string{h, l, u}, 0, (*call).auditAnchor},
		api.OpAuditProof:  {open, 0, tell[api.AuditProof]((*call).auditProof)},
		api.OpRestore:     {[]string{h}, 1, tell[api.Auth]((*call).restore)},
		api.OpBackup:      {[]string{h, l, u}, 0, (*call).backup},
		api.OpPutBack:     {all, -1, with[api.Auth]((*call).putBack)},
		api.OpRecoverFrom: {all, -1, with[api.Auth]((*call).recoverFrom)},
		api.OpDeviceShow:  {all, 0, (*call).deviceShow},
		api.OpDeviceMove:  {open, 1, done[api.DeviceMove]((*call).deviceMove)},
		api.OpDeviceStay:  {[]string{h}, 1, done[api.Auth]((*call).deviceStay)},
		api.OpDeviceTake:  {all, -1, with[api.Auth]((*call).deviceAccept)},
		api.OpPolicyShow:  {open, 0, (*call).policyShow},
		api.OpPolicyApply: {open, 0, done[api.PolicyApply]((*call).policyApply)},
	}
}

// with is for a handler that takes a body and answers by itself: with values, or
// in pieces.
func with[In any](run func(*call, In) error) func(*call) error {
	return func(c *call) error {
		in, err := body[In](c)
		if err != nil {
			return err
		}
		return run(c, in)
	}
}

// done is for a handler that takes a body and has nothing to tell but that it is
// done.
func done[In any](run func(*call, In) error) func(*call) error {
	return with(func(c *call, in In) error {
		if err := run(c, in); err != nil {
			return err
		}
		return c.reply(struct{}{})
	})
}

// tell is for a handler that takes a body and returns the last message of its
// reply.
func tell[In, Out any](run func(*call, In) (Out, error)) func(*call) error {
	return with(func(c *call, in In) error {
		out, err := run(c, in)
		if err != nil {
			return err
		}
		return c.reply(out)
	})
}

func (c *call) hello(in api.Hello) (api.HelloReply, error) {
	st := c.s.Status()
	return api.HelloReply{Version: st.Version, Protocol: api.Version, Device: st.Device,
		Signature: c.s.prove(in.Nonce), State: c.s.Account.State(), PID: st.PID}, nil
}

func (c *call) status() error {
	st := c.s.Status()
	c.s.Account.Describe(&st)
	return c.reply(st)
}

func (c *call) whoami() error {
	under, _ := c.who.UnderAgent()
	out := api.Whoami{Kind: string(c.who.Kind()), Label: c.who.Label(), Why: c.who.Why(), Root: c.who.Root().String(),
		UID: c.who.UID(), UnderAgent: under, Unlocked: c.s.Account.Who().Marked(c.who), Chain: c.who.Chain()}
	if c.who.HasTerminal() {
		out.Terminal = c.who.Session().TTY
	}
	return c.reply(out)
}

func (c *call) stop() error {
	if err := c.reply(struct{}{}); err != nil {
		return err
	}
	c.s.End(false)
	return nil
}

func (c *call) init(in api.Init) error {
	return c.code(c.s.Account.Init(c.ctx, c.who, in.TestHome, source(in.Source), c.values[0], c.values[1]))
}

func (c *call) unlock(in api.Auth) error {
	if err := c.s.Account.Unlock(c.ctx, c.who, in.Source, c.values[0]); err != nil {
		return err
	}
	if c.s.leaving() { // a lock came first, and what opened ends with this process
		return fault.New(fault.Unavailable, "unlock", "", "the vaults were just being locked").WithHint("try again")
	}
	return nil
}

func (c *call) lock() error {
	if err := c.s.Account.Lock(c.ctx, "asked by "+string(c.who.Kind())); err != nil {
		return err
	}
	c.s.Stop() // before the answer: whoever hears it may come at once
	if err := c.reply(struct{}{}); err != nil {
		c.s.Log("lock: %v", err)
	}
	c.s.End(true)
	return nil
}

func (c *call) lockAfter(in api.LockAfter) error {
	after := time.Duration(in.After) * time.Millisecond
	if in.After < 0 || in.After > math.MaxInt64/int64(time.Millisecond) || config.Check(after) != nil {
		return fault.New(fault.Usage, "lock after", "", "no length of time").WithHint("a second at least, or 0 for ever")
	}
	keep := func() error { return config.SetLockAfter(c.s.Config, after) }
	return c.s.Account.LockAfter(c.ctx, c.who, after, keep)
}

func (c *call) recover(in api.Auth) error {
	return c.code(c.s.Account.Recover(c.ctx, c.who, in.Source, c.values[0], c.values[1], c.values[2]))
}

func (c *call) recovery(in api.Auth) error {
	ask, ctx, stop := c.typed(in)
	defer stop()
	return c.code(c.s.Account.RenewRecovery(ctx, c.who, ask, source(in.Source), c.values[0]))
}

func (c *call) passphrase(in api.Passphrase) error {
	ask, ctx, stop := c.typed(in.Auth)
	defer stop()
	return c.s.Account.Passphrase(ctx, c.who, ask, source(in.Source), in.Which, c.values[0], c.values[1], c.values[2])
}

// code answers with a new recovery code, which is lent.
func (c *call) code(lend func(use func([]byte) error) error, err error) error {
	if err != nil {
		return err
	}
	return lend(func(b []byte) error { return c.reply(struct{}{}, b) })
}

func source(s string) string {
	if s == "" {
		return "terminal"
	}
	return s
}

func (c *call) requests(in api.RequestList) ([]api.Pending, error) {
	var lasting []api.Pending
	special := map[string]bool{} // told in another state
	locked := c.s.Account.State() == api.StateLocked
	for _, l := range c.s.Broker.Leases(c.ctx) {
		p := described(l.Request)
		p.State, p.Expires, p.Left = "leased", l.Until.UnixMilli(), l.Left
		lasting, special[p.ID] = append(lasting, p), true
	}
	for _, m := range c.s.Account.Muted() {
		p, err := pending(m.Ticket)
		if err != nil {
			return nil, err
		}
		p.State, p.Expires, p.Refused, p.Lease, p.Raw = "muted", m.Until.UnixMilli(), m.Refused, 0, nil
		lasting, special[p.ID] = append(lasting, p), true
	}
	out := []api.Pending{}
	for _, t := range c.s.Broker.Requests() {
		p, err := pending(t)
		if err != nil {
			return nil, err
		}
		if p.Raw = nil; special[p.ID] || !in.All && t.State != approve.Pending || locked && !t.Unlock {
			continue
		}
		out = append(out, p)
	}
	if locked { // or as good as, with keys and leases for a moment more
		return out, nil
	}
	return append(out, lasting...), nil
}

func (c *call) request(in api.RequestID) (api.Pending, error) {
	t, err := c.s.Broker.Request(in.ID)
	if err != nil {
		return api.Pending{}, err
	}
	return pending(t)
}

func pending(t approve.Ticket) (api.Pending, error) {
	var r canon.Request
	if err := canon.Decode(t.Raw, &r); err != nil {
		return api.Pending{}, fault.Wrap(fault.Internal, "requests", t.ID, err)
	}
	p := described(r)
	p.State, p.Rules, p.Why, p.Lease, p.Raw, p.Unlock = string(t.State), t.Rules, t.Why, t.Lease.Milliseconds(), t.Raw, t.Unlock
	return p, nil
}

// described is what a list tells of a request.
func described(r canon.Request) api.Pending {
	p := api.Pending{ID: r.ID, Code: canon.ShortCode(canon.RequestDigest(canon.Encode(r))), Action: r.Action, Caller: r.Caller.Kind,
		Label: r.Caller.Label, Root: r.Caller.Root, Issued: r.Issued, Expires: r.Expires}
	for _, s := range r.Subjects {
		p.Refs = append(p.Refs, s.Ref)
		p.Secrets = append(p.Secrets, api.PendingSecret{Ref: s.Ref, Tier: string(s.Tier), Revision: s.Revision, Writer: s.Writer,
			Addresses: s.Addresses, Binding: s.Binding.String()})
	}
	return p
}

func (c *call) approve(in api.RequestID) error {
	if in.Source == "file" && !c.s.Account.TestHome() {
		return fault.New(fault.Denied, "approve", in.ID, "a passphrase from a file is accepted in test homes only").WithHint("type it at a terminal")
	}
	var given approve.Lease
	if in.Lease != nil {
		given = approve.Lease{Until: in.Lease.Until, Uses: in.Lease.Uses}
	}
	ask, ctx, stop := c.ask(api.Ask{})
	defer stop()
	return c.s.Broker.Approve(ctx, c.who, in.ID, broker.Answer{Source: source(in.Source), Lease: given, Typed: canon.SlotKind(in.Kind), Secret: c.values[0], Tell: ask.Tell})
}

func (c *call) deny(in api.RequestID) error {
	const most = 1 << 43 // milliseconds: far above any limit, below what a duration holds
	switch {
	case in.Mute < 0 || in.Mute > most:
		return fault.New(fault.Usage, "deny", in.ID, "no such time")
	case in.Mute > 0:
		return c.s.Account.Mute(c.ctx, c.who, in.ID, time.Duration(in.Mute)*time.Millisecond)
	}
	return c.s.Broker.Deny(c.ctx, c.who, in.ID)
}

func (c *call) unmute(in api.RequestID) error {
	return c.s.Account.Unmute(c.ctx, c.who, in.ID)
}
