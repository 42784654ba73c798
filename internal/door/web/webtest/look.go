package webtest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
		shot, err := chromedp.Run(b.Ctx, chromedp.FullScreenshot(100))
		if err == nil {
			shot, err = small(shot)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+"-"+v.name+".png"), shot, 0o644)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	b.Do(chromedp.EmulateViewport(1280, 800))
}

// small is the same picture with the 256 colours that it uses most, as a page of text
// needs no more.
func small(shot []byte) ([]byte, error) {
	in, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	used := map[color.RGBA]int{}
	size := in.Bounds()
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			used[color.RGBAModel.Convert(in.At(x, y)).(color.RGBA)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(used), func(a, b color.RGBA) int { return used[b] - used[a] })
	var palette color.Palette
	for _, c := range most[:min(256, len(most))] {
		palette = append(palette, c)
	}
	near := map[color.RGBA]uint8{}
	for c := range used {
		near[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(size, palette)
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			out.SetColorIndex(x, y, near[color.RGBAModel.Convert(in.At(x, y)).(color.RGBA)])
		}
	}
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	err = e.Encode(&b, out)
	return b.Bytes(), err
}
