package atomicfile

import (
	"strings"
	"testing"
)

func TestTrustees(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ sddl, want string }{
		{"O:S-1-5-21-1-2-3-1001G:S-1-5-21-1-2-3-513D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;S-1-5-21-1-2-3-1001)", "S-1-5-21-1-2-3-1001: SY S-1-5-21-1-2-3-1001"},
		{"O:BAD:(D;;GA;;;NU)(A;ID;0x1200a9;;;BU)", "BA: BU"},
		{"O:BAG:SYD:", "BA: "},
		{"O:BAD:P", "BA: "},
		{"O:BAG:SY", "error"},
		{"O:BAD:NO_ACCESS_CONTROL", "error"},
		{"D:(A;;FA;;;SY)", "error"},
		{"O:D:(A;;FA;;;SY)", "error"},
		{"O:BAD:(A;;FA;;;SY", "error"},
		{"O:BAD:(A;;FA;;;SY)x", "error"},
		{"O:BAD:(A;;FA;;;)", "error"},
		{"O:BAD:(A;;FA;;SY)", "error"},
		{"O:BAD:(XA;;FA;;;WD;(@User.Title==\"PM\"))", "error"},
		{"O:BAD:(A;;FA;;;SY)S:(ML;;NW;;;ME)", "error"},
		{"", "error"},
	} {
		owner, allowed, err := trustees(tt.sddl)
		got := owner + ": " + strings.Join(allowed, " ")
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.sddl, got, tt.want)
		}
	}
}
