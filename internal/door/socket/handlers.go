package socket

import (
	"math"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/config"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// handler answers one operation in the states that serve it. values is the exact
// number of value frames, -1 for any.
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
		api.OpHello:       {all, 0, (*call).hello},
		api.OpStatus:      {all, 0, (*call).status},
		api.OpWhoami:      {all, 0, (*call).whoami},
		api.OpStop:        {all, 0, (*call).stop},
		api.OpInit:        {[]string{e}, 2, (*call).init},
		api.OpUnlock:      {[]string{h, l, u}, 1, (*call).unlock},
		api.OpLock:        {[]string{l, u}, 0, (*call).lock},
		api.OpLockAfter:   {open, 0, (*call).lockAfter},
		api.OpRecover:     {[]string{l, u}, 3, (*call).recover},
		api.OpPassphrase:  {open, 3, (*call).passphrase},
		api.OpRecovery:    {open, 1, (*call).recovery},
		api.OpVaultCreate: {open, 0, (*call).vaultCreate},
		api.OpVaultList:   {open, 0, (*call).vaultList},
		api.OpItemPut:     {open, -1, (*call).itemPut},
		api.OpItemGet:     {open, 0, (*call).itemGet},
		api.OpItemList:    {open, 0, (*call).itemList},
		api.OpItemDelete:  {open, 0, (*call).itemDelete},
		api.OpItemArchive: {open, 0, (*call).itemArchive},
		api.OpItemMove:    {open, 0, (*call).itemMove},
		api.OpItemHistory: {open, 0, (*call).itemHistory},
		api.OpItemRevert:  {open, 0, (*call).itemRevert},
		api.OpItemDecide:  {open, 0, (*call).itemDecide},
		api.OpGrantCreate: {open, 0, (*call).grantCreate},
		api.OpGrantList:   {open, 0, (*call).grantList},
		api.OpGrantRevoke: {open, 0, (*call).grantRevoke},
		api.OpItemPurge:   {open, 0, (*call).itemPurge},
		api.OpRelease:     {open, 0, (*call).release},
		api.OpRequests:    {open, 0, (*call).requests},
		api.OpRequest:     {open, 0, (*call).request},
		api.OpApprove:     {open, 1, (*call).approve},
		api.OpUnlockPage:  {[]string{l, u}, 0, (*call).unlockPage},
		api.OpPage:        {open, 0, (*call).page},
		api.OpPasskeyAdd:  {open, 2, (*call).passkeyAdd},
		api.OpPasskeyEnd:  {open, 0, (*call).passkeyWait},
		api.OpPasskeys:    {open, 0, (*call).passkeys},
		api.OpPasskeyDel:  {open, 1, (*call).passkeyRemove},
		api.OpDeny:        {open, 0, (*call).deny},
		api.OpUnmute:      {open, 0, (*call).unmute},
		api.OpAuditList:   {open, 0, (*call).auditList},
		api.OpAuditVerify: {[]string{h, l, u}, 0, (*call).auditVerify},
		api.OpAuditExport: {[]string{h, u}, 0, (*call).auditExport},
		api.OpAuditAnchor: {[]string{h, l, u}, 0, (*call).auditAnchor},
		api.OpAuditProof:  {open, 0, (*call).auditProof},
		api.OpRestore:     {[]string{h}, 1, (*call).restore},
		api.OpBackup:      {[]string{h, l, u}, 0, (*call).backup},
		api.OpPutBack:     {all, -1, (*call).putBack},
		api.OpRecoverFrom: {all, -1, (*call).recoverFrom},
		api.OpDeviceShow:  {all, 0, (*call).deviceShow},
		api.OpDeviceMove:  {open, 1, (*call).deviceMove},
		api.OpDeviceStay:  {[]string{h}, 1, (*call).deviceStay},
		api.OpDeviceTake:  {all, -1, (*call).deviceAccept},
		api.OpPolicyShow:  {open, 0, (*call).policyShow},
		api.OpPolicyApply: {open, 0, (*call).policyApply},
	}
}

func (c *call) hello() error {
	in, err := body[api.Hello](c)
	if err != nil {
		return err
	}
	st := c.s.Status()
	return c.reply(api.HelloReply{Version: st.Version, Protocol: api.Version, Device: st.Device,
		Signature: c.s.prove(in.Nonce), State: c.s.Account.State(), PID: st.PID})
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

func (c *call) init() error {
	in, err := body[api.Init](c)
	if err != nil {
		return err
	}
	code, err := c.s.Account.Init(c.ctx, c.who, in.TestHome, source(in.Source), c.values[0], c.values[1])
	if err != nil {
		return err
	}
	return code(func(b []byte) error { return c.reply(struct{}{}, b) })
}

func (c *call) unlock() error {
	in, err := body[api.Auth](c)
	if err != nil {
		return err
	}
	if err := c.s.Account.Unlock(c.ctx, c.who, in.Source, c.values[0]); err != nil {
		return err
	}
	if c.s.leaving() { // a lock came first, and what opened ends with this process
		return fault.New(fault.Unavailable, "unlock", "", "the vaults were just being locked").WithHint("try again")
	}
	return c.reply(struct{}{})
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

func (c *call) lockAfter() error {
	in, err := body[api.LockAfter](c)
	if err != nil {
		return err
	}
	after := time.Duration(in.After) * time.Millisecond
	if in.After < 0 || in.After > math.MaxInt64/int64(time.Millisecond) || config.Check(after) != nil {
		return fault.New(fault.Usage, "lock after", "", "no length of time").WithHint("a second at least, or 0 for ever")
	}
	keep := func() error { return config.Write(c.s.Config, config.Config{LockAfter: after}) }
	if err := c.s.Account.LockAfter(c.ctx, c.who, after, keep); err != nil {
		return err
	}
	return c.reply(struct{}{})
}

func (c *call) recover() error {
	in, err := body[api.Auth](c)
	if err != nil {
		return err
	}
	code, err := c.s.Account.Recover(c.ctx, c.who, in.Source, c.values[0], c.values[1], c.values[2])
	if err != nil {
		return err
	}
	return code(func(b []byte) error { return c.reply(struct{}{}, b) })
}

func (c *call) recovery() error {
	in, err := body[api.Auth](c)
	if err != nil {
		return err
	}
	ask, ctx, done := c.ask(api.Ask{})
	defer done()
	code, err := c.s.Account.RenewRecovery(ctx, c.who, ask, source(in.Source), c.values[0])
	if err != nil {
		return err
	}
	return code(func(b []byte) error { return c.reply(struct{}{}, b) })
}

func (c *call) passphrase() error {
	in, err := body[api.Passphrase](c)
	if err != nil {
		return err
	}
	ask, ctx, done := c.ask(api.Ask{})
	defer done()
	err = c.s.Account.Passphrase(ctx, c.who, ask, source(in.Source), in.Which, c.values[0], c.values[1], c.values[2])
	if err != nil {
		return err
	}
	return c.reply(struct{}{})
}

func source(s string) string {
	if s == "" {
		return "terminal"
	}
	return s
}

func (c *call) requests() error {
	in, err := body[api.RequestList](c)
	if err != nil {
		return err
	}
	var lasting []api.Pending
	special := map[string]bool{} // told in another state
	for _, l := range c.s.Broker.Leases(c.ctx) {
		p := described(l.Request)
		p.State, p.Expires, p.Left = "leased", l.Until.UnixMilli(), l.Left
		lasting, special[p.ID] = append(lasting, p), true
	}
	for _, m := range c.s.Broker.Muted() {
		p, err := pending(m.Ticket)
		if err != nil {
			return err
		}
		p.State, p.Expires, p.Refused, p.Lease, p.Raw = "muted", m.Until.UnixMilli(), m.Refused, 0, nil
		lasting, special[p.ID] = append(lasting, p), true
	}
	out := []api.Pending{}
	for _, t := range c.s.Broker.Requests() {
		p, err := pending(t)
		if err != nil {
			return err
		}
		if p.Raw = nil; special[p.ID] || !in.All && t.State != approve.Pending {
			continue
		}
		out = append(out, p)
	}
	return c.reply(append(out, lasting...))
}

func (c *call) request() error {
	in, err := body[api.RequestID](c)
	if err != nil {
		return err
	}
	t, err := c.s.Broker.Request(in.ID)
	if err != nil {
		return err
	}
	p, err := pending(t)
	if err != nil {
		return err
	}
	return c.reply(p)
}

func pending(t approve.Ticket) (api.Pending, error) {
	var r canon.Request
	if err := canon.Decode(t.Raw, &r); err != nil {
		return api.Pending{}, fault.Wrap(fault.Internal, "requests", t.ID, err)
	}
	p := described(r)
	p.State, p.Rules, p.Why, p.Lease, p.Raw = string(t.State), t.Rules, t.Why, t.Lease.Milliseconds(), t.Raw
	return p, nil
}

// described is what a list tells of a request.
func described(r canon.Request) api.Pending {
	p := api.Pending{ID: r.ID, Code: canon.ShortCode(canon.RequestDigest(canon.Encode(r))), Action: r.Action, Caller: r.Caller.Kind,
		Label: r.Caller.Label, Root: r.Caller.Root, Issued: r.Issued, Expires: r.Expires}
	for _, s := range r.Subjects {
		p.Refs = append(p.Refs, s.Ref)
	}
	return p
}

func (c *call) approve() error {
	in, err := body[api.RequestID](c)
	if err != nil {
		return err
	}
	if in.Source == "file" && !c.s.Account.TestHome() {
		return fault.New(fault.Denied, "approve", in.ID, "a passphrase from a file is accepted in test homes only").WithHint("type it at a terminal")
	}
	var given approve.Lease
	if in.Lease != nil {
		given = approve.Lease{Until: in.Lease.Until, Uses: in.Lease.Uses}
	}
	err = c.s.Account.Slowly(func() error {
		return c.s.Broker.Approve(c.ctx, c.who, in.ID, source(in.Source), given, c.values[0])
	})
	if err != nil {
		return err
	}
	return c.reply(struct{}{})
}

func (c *call) deny() error {
	in, err := body[api.RequestID](c)
	if err != nil {
		return err
	}
	const most = 1 << 43 // milliseconds: far above any limit, below what a duration holds
	switch {
	case in.Mute < 0 || in.Mute > most:
		return fault.New(fault.Usage, "deny", in.ID, "no such time")
	case in.Mute > 0:
		err = c.s.Broker.Mute(c.ctx, c.who, in.ID, time.Duration(in.Mute)*time.Millisecond)
	default:
		err = c.s.Broker.Deny(c.ctx, c.who, in.ID)
	}
	if err != nil {
		return err
	}
	return c.reply(struct{}{})
}

func (c *call) unmute() error {
	in, err := body[api.RequestID](c)
	if err != nil {
		return err
	}
	if err := c.s.Broker.Unmute(c.ctx, c.who, in.ID); err != nil {
		return err
	}
	return c.reply(struct{}{})
}
