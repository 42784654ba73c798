package api

import "testing"

func TestPipeName(t *testing.T) {
	got := pipeName(`C:\Users\Ada\AppData\Local\.local\state\thumbturn\run`)
	if got != pipeName(`c:\users\ada\appdata\local\.local\state\thumbturn\RUN`) || got != `\\.\pipe\thumbturn-6212328350c8b702d5b2f99a8510cc64` {
		t.Error(got)
	}
	if got == pipeName(`C:\Users\Eve\AppData\Local\.local\state\thumbturn\run`) {
		t.Error("two homes have one pipe")
	}
}
