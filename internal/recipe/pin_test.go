package recipe

import (
	"strings"
	"testing"
)

func TestCheckPIN(t *testing.T) {
	for pin, ok := range map[string]bool{
		"": false, "123": false, "739": false, "0000": false, "1234": false, "7890": false, "4321": false, "0987": false, "abcd": false, "fedcba": false,
		"1212": false, "12121": false, "aaaaaa": false, "\xff\x00\xff\x00": false,
		"1235": true, "7391": true, "2580": true, "1221": true, "correct horse": true, "9:0;": true,
		strings.Repeat("abc", 21): true, strings.Repeat("abc", 21) + "d": true, strings.Repeat("abc", 22): false,
	} {
		if err := CheckPIN([]byte(pin)); (err == nil) != ok {
			t.Errorf("%q: %v", pin, err)
		}
	}
}
