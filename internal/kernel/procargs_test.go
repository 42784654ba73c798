package kernel

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProcargs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want procargs
		ok   bool
	}{
		{"\x02\x00\x00\x00/bin/zsh\x00\x00\x00\x00-zsh\x00-i\x00", procargs{path: "/bin/zsh", argv: []string{"-zsh", "-i"}}, true},
		{"\x01\x00\x00\x00/opt/x\x00x\x00HOME=/h\x00CLAUDECODE=1\x00CLAUDECODE=2\x00\x00executable_path=/opt/x\x00",
			procargs{path: "/opt/x", argv: []string{"x"}, marks: []string{"CLAUDECODE"}, environ: true}, true},
		{"\x02\x00\x00\x00/opt/x\x00x\x00\x00A=1\x00", procargs{path: "/opt/x", argv: []string{"x", ""}, environ: true}, true},
		{"\x00\x00\x00\x00/opt/x\x00", procargs{path: "/opt/x"}, true},
		{"\x03\x00\x00\x00/opt/x\x00x\x00y", procargs{}, false},
		{"\xff\xff\xff\xff/opt/x\x00x\x00", procargs{}, false},
		{"\x01\x00\x00\x00/opt/x", procargs{}, false},
		{"\x01\x00\x00\x00\x00x\x00", procargs{}, false},
		{"\x01\x00", procargs{}, false},
		{"", procargs{}, false},
	} {
		got, ok := parseProcargs([]byte(tt.in))
		if !tt.ok {
			got = procargs{}
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(procargs{})); diff != "" || ok != tt.ok {
			t.Errorf("%q: %v\n%s", tt.in, ok, diff)
		}
	}
}

func FuzzProcargs(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00/opt/x\x00x\x00HOME=/h\x00\x00e=/opt/x\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parseProcargs(b); ok && p.path == "" {
			t.Errorf("%q: no path", b)
		}
	})
}
