package webtest

import (
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Look writes to a folder what a desktop in light and dark, and a phone, show of the
// page. Nothing may be wider than the screen.
func (b *Tab) Look(dir, name string) {
	b.t.Helper()
	b.Do(chromedp.Sleep(700 * time.Millisecond)) // the buttons are armed by then
	for _, v := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"light", 1280, 800, "light"}, {"dark", 1280, 800, "dark"}, {"phone", 360, 740, "light"}} {
		if _, err := chromedp.Call(b.Ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}}}); err != nil {
			b.t.Fatal(err)
		}
		b.Do(chromedp.EmulateViewport(v.width, v.height), chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
		b.Do(chromedp.Sleep(250 * time.Millisecond))
		if wide := Eval[int](b, `document.documentElement.scrollWidth`); wide > int(v.width) {
			b.t.Errorf("%s on a %s is %d wide", name, v.name, wide)
		}
		png, err := chromedp.Run(b.Ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+"-"+v.name+".png"), png, 0o600)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	b.Do(chromedp.EmulateViewport(1280, 800))
}
