package canon

import "testing"

func TestLeastAdmits(t *testing.T) {
	kinds := []SlotKind{SlotPresence, SlotPIN, SlotPasskey, SlotUnlock, SlotRecovery, "", "thumb"}
	for least, from := range map[Least]int{LeastUnlock: 0, LeastPresence: 0, LeastPIN: 1, LeastPasskey: 2, "": 3, "thumb": 3, "Passkey": 3} {
		for i, kind := range kinds {
			if got, want := least.Admits(kind), i >= from && i < 3; got != want {
				t.Errorf("%q admits %q: %v", least, kind, got)
			}
		}
	}
}

func TestLeastFor(t *testing.T) {
	for _, c := range []struct {
		least Least
		tier  Tier
		want  Least // empty is an error
	}{
		{"", TierStandard, LeastUnlock}, {LeastUnlock, TierStandard, LeastUnlock}, {LeastPresence, TierStandard, ""}, {LeastPasskey, TierStandard, ""},
		{"", TierPresence, LeastPresence}, {LeastPresence, TierPresence, LeastPresence}, {LeastPIN, TierPresence, LeastPIN},
		{LeastPasskey, TierPresence, LeastPasskey}, {LeastUnlock, TierPresence, ""}, {"thumb", TierPresence, ""}, {"thumb", TierStandard, ""},
		{"", "", ""}, {LeastPIN, "guarded", ""},
	} {
		got, err := c.least.For(c.tier)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q for %q: %q, %v", c.least, c.tier, got, err)
		}
	}
}

// The highest epoch is read wherever it stands, and only where one stands.
func TestNewestEpoch(t *testing.T) {
	m := Item{V: 1, Vault: "vvv", Epoch: 2, State: StateCurrent, Writer: `agent ,"epoch":9,`}
	read := func(want int64) {
		t.Helper()
		if h, err := ReadItemHead(Encode(m)); err != nil || h.Newest != want || h.Epoch != 2 {
			t.Errorf("%+v, %v; want %d", h, err, want)
		}
	}
	read(0)
	m.Records = []FieldHash{{Field: `a,"epoch":7,`, Revision: 1, Epoch: 3}, {Field: "b", Revision: 1, Epoch: 1}}
	read(3)
	m.Pending = &Proposal{Values: []FieldHash{{Field: "a", Revision: 2, Epoch: 5}}, Writer: `,"epoch":8,`}
	read(5)
}
