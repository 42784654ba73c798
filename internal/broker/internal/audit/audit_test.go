package audit

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
)

// told is an event that carries its request.
func told(id, principal, tenant, purpose string) canon.Event {
	r := canon.Request{V: 1, ID: id, Principal: canon.Fact{Value: principal, Derived: true},
		Tenant: canon.Fact{Value: tenant, Derived: true}, Purpose: canon.Fact{Value: purpose}}
	return canon.Event{Request: id, Raw: json.RawMessage(canon.Encode(r))}
}

func TestRequestFacts(t *testing.T) {
	events := []canon.Event{
		{Type: canon.EventStart},
		{Request: "b"}, // an outcome whose request came before the first event
		told("a", "uid 1000", "acme", "OPS-1"),
		{Request: "a"},
		told("b", "uid 1000", "acme", "OPS-2"),
		{Request: "b"},
		told("c", "uid 1001", "other", ""),
		{Request: "c"},
		{Request: "d", Raw: json.RawMessage(`{"purpose":"OPS-1"}`)}, // no canonical request
	}
	for _, tt := range []struct {
		name string
		f    api.AuditFilter
		want []int
	}{
		{"no filter", api.AuditFilter{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"other filters only", api.AuditFilter{Agent: "x"}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"purpose", api.AuditFilter{Purpose: "OPS-1"}, []int{2, 3}},
		{"purpose, whole", api.AuditFilter{Purpose: "OPS"}, nil},
		{"tenant", api.AuditFilter{Tenant: "acme"}, []int{2, 3, 4, 5}},
		{"principal", api.AuditFilter{Principal: "uid 1001"}, []int{6, 7}},
		{"all three", api.AuditFilter{Principal: "uid 1000", Tenant: "acme", Purpose: "OPS-2"}, []int{4, 5}},
		{"two that disagree", api.AuditFilter{Principal: "uid 1001", Tenant: "acme"}, nil},
	} {
		facts := requestFacts{f: tt.f, told: map[string]bool{}}
		var got []int
		for i, ev := range events {
			if facts.selects(ev) {
				got = append(got, i)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
